"""The cell that a hook process forks ahead, before it has read anything of ours, and before it imports anything else.

The cell needs longer to get ready than the hook to know what to load, so it comes first. And a fork shares memory until
somebody writes to it: the less there is, the less is copied afterwards.
"""

from __future__ import annotations

import os
import sys
from _socket import socketpair

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from _socket import socket
else:
    import _signal as signal  # without its enumerations, as in `serve.hook`

PR_SET_PDEATHSIG = 1  # linux/prctl.h
CHANNEL = 3  # the descriptor of a cell's socket

_spare: list[tuple[int, socket]] = []


def fork_ahead() -> None:
    """Start a cell by fork, before this process knows anything.

    Only for a process with one thread that has not loaded wasmtime: a hook process. Cells that it needs later are
    spawned: by then it knows the key of the cache, and a fork would too.
    """
    _spare.append(_forked())


def taken() -> tuple[int, socket] | None:
    """A cell that was forked ahead, if there is one: its process and its channel, which does not block."""
    return _spare.pop() if _spare else None


def end_spare() -> None:
    """End the cells that were forked ahead and not needed."""
    while _spare:
        pid, channel = _spare.pop()
        channel.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _forked() -> tuple[int, socket]:
    ours, theirs = socketpair()
    pid = os.fork()
    if pid == 0:
        _become(theirs.detach())
    theirs.close()
    ours.setblocking(False)
    return pid, ours


def _become(channel: int) -> None:
    """The child's life after a fork: it keeps its channel, and nothing that it could know."""
    try:
        _die_with_parent()
        os.dup2(channel, CHANNEL)
        empty = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(empty, standard)
        os.closerange(CHANNEL + 1, 1 << 16)
        os.chdir("/")
        from wasmguard.sandbox.inmate import forget, live

        forget()
        live(CHANNEL, follow=True)
    finally:
        os._exit(70)  # EX_SOFTWARE


def _die_with_parent() -> None:
    """Or a cell that hangs before its jail closes would stay when the process that asks it is killed."""
    if sys.platform == "linux":
        import ctypes  # the cell needs it anyway

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
