"""The small guard as a policy of ours behind a hook: the commands that `wasmguard install` writes, with a daemon of
this run, and what becomes of them without one. From spawn to exit, like every hook here.

As in `outside` (rule 1), one that shall ask the daemon is given a configuration that is not there: it would decide by
itself in silence otherwise.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from wasmguard.own_home import home_in
from wasmguard.workshop import hook_command
from wasmguard.workshop.bench import running
from wasmguard.workshop.bench.outside import sockets_in
from wasmguard.workshop.bench.peers.ours import locked
from wasmguard.workshop.bench.peers.peer import Ask, Peer
from wasmguard.workshop.bench.peers.spawn import asks, environment

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def alone(folder: str) -> Iterator[Ask]:
    """See `Peer.start`: a hook that decides by itself."""
    with home_in(folder):
        config = locked(folder)
        _, client, arguments = _parts(config)
    yield asks((*client, os.path.join(folder, "nobody"), *arguments), folder)


@contextmanager
def asking(folder: str, *, native: bool) -> Iterator[Ask]:
    """See `Peer.start`: a hook that asks a daemon, by the client in C or that in Python."""
    with home_in(folder):
        config = locked(folder)
        by_native, client, arguments = _parts(config)
    with (
        sockets_in(folder) as sockets,
        running.daemon(client[0], arguments, environment(folder), sockets) as daemon,
    ):
        nowhere = [f"{word}.not-there" if word == config else word for word in arguments]
        line = (*client, daemon.socket, *nowhere)
        yield asks((*by_native, daemon.socket, *line) if native else line, folder)


def _parts(config: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The command of a hook in parts: the client in C if there is one, that in Python, and what it is given behind the
    name of a socket."""
    line = hook_command.command(config)
    at = line.index(hook_command.STEP)
    return line[: at - 4][:1], line[at - 4 : at + 2], line[at + 3 :]


def _no_fork() -> str:
    return "" if hasattr(os, "fork") else "this system has no `fork`"


def _no_native() -> str:
    return _no_fork() or ("" if hook_command.native_client() else "this installation has none that runs here")


PEERS = (
    Peer(
        ours=True,
        name="wasmguard, native client",
        about="spawn to exit; asks a daemon",
        lacking=_no_native,
        start=partial(asking, native=True),
        spawned=True,
    ),
    Peer(
        ours=True,
        name="wasmguard, Python client",
        about="spawn to exit; asks a daemon",
        lacking=_no_fork,
        start=partial(asking, native=False),
        spawned=True,
    ),
    Peer(
        ours=True,
        name="wasmguard, no daemon",
        about="spawn to exit; decides by itself",
        lacking=_no_fork,
        start=alone,
        spawned=True,
    ),
)
