"""A hook that is a program: started for each event as an agent starts it, its answer read as Claude Code reads it.

An answer is the exit code 0 with nothing, or with a JSON object that may hold a permission decision, or the exit code
2, which stops. After any other code Claude Code lets the tool run; here it is no answer: a broken program is fast.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from wasmguard.errors import HostError
from wasmguard.text import one_line
from wasmguard.workshop.bench.peers.peer import PATIENCE, Ask
from wasmguard.workshop.bench.spawning import spawned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.workshop.bench.variant import Given

STOPS, LETS = frozenset({"deny", "ask", "block"}), frozenset({"allow", "approve", "defer"})
HOMES = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "TMPDIR")
KEPT = ("PATH", "LANG", "LC_ALL")


def asks(command: Sequence[str], folder: str, *, there: bool = False) -> Ask:
    """A way to ask the program *command*, its home in *folder*; with *there*, events say that they happen there, too:
    some programs refuse to judge what happens in a folder that does not exist."""
    environ, moved = environment(folder), dict[bytes, bytes]()

    def ask(given: Given) -> bool:
        if there and given.raw not in moved:  # once: it is no part of the program's time
            moved[given.raw] = json.dumps({**given.fields, "cwd": folder}).encode()
        ended = spawned(command, environ, moved.get(given.raw, given.raw), PATIENCE)
        return stops(ended.out, ended.code)

    return ask


def environment(folder: str) -> dict[str, str]:
    """The variables of such a program: what it needs to start, and its home in *folder*."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, **dict.fromkeys(HOMES, folder), "WASMGUARD_DAEMON": "0"}


def stops(output: bytes, code: int) -> bool:
    """Whether a hook that ended so keeps the tool from running, or puts it to a human.

    Raises:
        HostError: if that is no answer of a hook.
    """
    if code == 2:
        return True
    if code:
        raise HostError(f"ended with code {code}, which is no answer")
    if not output.strip():
        return False
    try:
        said: Any = json.loads(output)
        word = (said.get("hookSpecificOutput") or {}).get("permissionDecision") or said.get("decision")
    except (ValueError, AttributeError):
        raise HostError(f"what it says is no answer: {one_line(output.decode(errors='replace'), 80)}") from None
    if word is not None and word not in STOPS | LETS:
        raise HostError(f"what it says is no answer: {one_line(str(word), 80)}")
    return word in STOPS


def written(folder: str, name: str, text: str) -> str:
    """The path of a new file *name* in *folder*."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path
