"""Moving records on from the spool, by a process that nobody waits for.

Readers and the daemon do it as they go. Where there is neither, whoever writes the record that makes the spool too long
starts such a process, at most once in `PAUSE` seconds.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from wasmguard import spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SOON = 4 * 2**20  # bytes of the spool: 3,000 ordinary records, a tenth of a second of work
PAUSE = 30.0  # seconds
PASSED = ("HOME", "XDG_STATE_HOME", "TMPDIR")  # variables: none is a secret

_began = -PAUSE
_child = 0


def begin(kept: Mapping[str, Any]) -> None:
    """Start a process that moves on what waits; *kept* is the owner's `[record]`. Never raises, and never waits."""
    global _began, _child  # noqa: PLW0603  # one for each process
    now = monotonic()
    if now - _began < PAUSE or not hasattr(os, "posix_spawn"):
        return
    _began = now
    bounds = [str(kept[name]) for name in ("keep", "size", "segment")]
    command = [sys.executable, "-I", "-m", "wasmguard.records", spool.folder(), *bounds]
    try:
        if _child:
            os.waitpid(_child, os.WNOHANG)
        empty = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            files = [(os.POSIX_SPAWN_DUP2, empty, number) for number in (0, 1, 2)]
            passed = {name: os.environ[name] for name in PASSED if name in os.environ}
            _child = os.posix_spawn(sys.executable, command, passed, file_actions=files, setsid=True)
        finally:
            os.close(empty)
    except OSError:
        return
