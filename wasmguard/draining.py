"""Moving records on from the spool, by a process that nobody waits for.

Readers and the daemon do it as they go. Where there is neither, whoever writes the record that makes the spool too long
starts such a process, at most once in `PAUSE` seconds.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from wasmguard import places

SOON = 4 * 2**20  # bytes of the spool: 3,000 ordinary records, a tenth of a second of work
PAUSE = 30.0  # seconds
PASSED = ("HOME", "TMPDIR")  # variables: none is a secret, and no other may say anything to it

_began = -PAUSE
_child = 0


def begin() -> None:
    """Start a process that moves on what waits. Never raises, and never waits."""
    global _began, _child  # noqa: PLW0603  # one for each process
    now = monotonic()
    if now - _began < PAUSE or not hasattr(os, "posix_spawn"):
        return
    _began = now
    _bury()
    command = [sys.executable, "-I", "-m", "wasmguard.records", "--state", places.state_dir()]
    try:
        empty = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            files = [(os.POSIX_SPAWN_DUP2, empty, number) for number in (0, 1, 2)]
            passed = {name: os.environ[name] for name in PASSED if name in os.environ}
            _child = os.posix_spawn(sys.executable, command, passed, file_actions=files, setsid=True)
        finally:
            os.close(empty)
    except Exception:  # noqa: BLE001  # no process is left, or this system cannot start one that way: readers do it
        return


def _bury() -> None:
    """Take leave of the process that was started before, if it has ended."""
    if _child:
        try:
            os.waitpid(_child, os.WNOHANG)
        except ChildProcessError:  # somebody else did, or it is the child of whoever forked us
            return
