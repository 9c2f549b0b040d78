"""Who is asked: everybody that is here and carries out the small guard, us among them. See `peer` for what that is."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from wasmguard.text import one_line
from wasmguard.workshop.bench.peers import (
    bash_jq,
    callback,
    cedar,
    extism,
    guards,
    node_hook,
    opa,
    ours,
    ours_hook,
    public_wasmtime,
    python_hook,
)
from wasmguard.workshop.bench.peers.peer import first_answer, program, wrong
from wasmguard.workshop.bench.peers.shared import EVENT, shared
from wasmguard.workshop.bench.variant import OURS, PEER, Given, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmguard.workshop.bench.peers.peer import Ask, Peer

MODULES = (callback, ours, public_wasmtime, extism, cedar, ours_hook, python_hook, bash_jq, node_hook, opa, guards)
PEERS: tuple[Peer, ...] = tuple(peer for module in MODULES for peer in module.PEERS)


def _probe(tool: str, **tool_input: str) -> Given:
    fields = {
        "session_id": "bench",
        "transcript_path": "/nowhere/bench.jsonl",
        "cwd": "/nowhere",
        "permission_mode": "default",
        "hook_event_name": EVENT,
        "tool_name": tool,
        "tool_input": tool_input,
        "tool_use_id": "toolu_bench",
    }
    return Given(name=f"{tool} as a trial", fields=fields, raw=json.dumps(fields).encode())


DESTROYS = _probe("Bash", command="cd / && rm -rf / --no-preserve-root")
TRIALS = (
    DESTROYS,
    _probe("Bash", command="rm -r build; git commit -m 'rm rf'"),
    _probe("Write", file_path="/etc/passwd", content="root::0:0::/:/bin/sh\n"),
    _probe("Write", file_path="/etcetera/notes", content="rm -rf"),
    _probe("Edit", file_path="/etc", old_string="a", new_string="b"),
    _probe("Read", file_path="/etc/hosts"),
    DESTROYS,
)
"""What everybody is asked before it counts: both answers, for each tool, and the first again after the others."""


@contextmanager
def variants(given: Sequence[Given], home: str) -> Iterator[tuple[list[Variant], list[str]]]:
    """Everything that can be asked here about those of *given* that all are asked about (`shared`), and what cannot,
    with why. Whatever they write is in *home*, and gone at the end; so are their processes."""
    asked, missing = shared(given, home)
    missing += [f"`{name}`: {why}" for name, why in guards.UNMEASURED.items() if program(name)]
    found: list[Variant] = []
    with ExitStack() as running:
        folder = running.enter_context(TemporaryDirectory(prefix="peers-", dir=home, ignore_cleanup_errors=True))
        for peer in PEERS if asked else ():
            try:
                found.append(_variant(peer, asked, *running.enter_context(_ready(peer, folder, asked))))
            except Exception as error:  # noqa: BLE001  # others' code may raise anything
                missing.append(f"`{peer.name}`: {one_line(str(error), 200) or type(error).__name__}")
        yield found, missing


@contextmanager
def _ready(peer: Peer, home: str, asked: dict[int, Given]) -> Iterator[tuple[Ask, dict[int, bool]]]:
    """How *peer* is asked, and what it rightly says about each event in *asked*; it has answered the trials before.

    Raises:
        Exception: whatever it raises, and LookupError if something that it needs is not there.
    """
    if lacking := peer.lacking():
        raise LookupError(lacking)
    with (
        TemporaryDirectory(prefix="peer-", dir=home, ignore_cleanup_errors=True) as folder,
        peer.start(os.path.realpath(folder)) as ask,
    ):
        said = [first_answer(peer, ask, trial) for trial in TRIALS]
        if peer.own and not said[0]:
            raise LookupError("it lets `rm -rf /` pass, so it is not at work")
        yield ask, {place: first_answer(peer, ask, one) for place, one in asked.items()}


def _variant(peer: Peer, asked: dict[int, Given], ask: Ask, right: dict[int, bool]) -> Variant:
    def again(place: int) -> None:
        if ask(asked[place]) is not right[place]:
            raise wrong(peer, asked[place])

    return Variant(
        path=PEER,
        subject=peer.name,
        kind=OURS if peer.ours else PEER,
        events=tuple(asked),
        ask=again,
        spawned=peer.spawned,
        about=peer.about,
    )
