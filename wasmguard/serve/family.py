"""Processes that the daemon's master forks: they have what they need of it, and do not outlive it.

1. A child begins with signals as any program has them, in a process group of its own: Ctrl-C at a terminal is for the
   master alone, which lets everybody finish.
2. It dies with the master: by a signal where the kernel sends one (Linux), and it looks once whether the master had
   gone before it asked for that.
3. It closes what is the master's alone: above all the lock, or it would still be held when the master is dead.
4. It never comes back from its work into the master's code.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from wasmguard.errors import WasmguardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PR_SET_PDEATHSIG = 1  # linux/prctl.h
BROKEN = 70  # EX_SOFTWARE


def forked(work: Callable[[], object], *, close: Iterable[int], ends: int = signal.SIGTERM) -> int:
    """The process that does *work* and ends. It gets the signal *ends* when this process dies, and *close* are the
    descriptors that it shall not have.

    Raises:
        OSError: if there can be none.
    """
    master, libc = os.getpid(), ctypes.CDLL(None)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # or it would hear ours as the master's
    try:
        pid = os.fork()
        if pid == 0:
            _become(work, close, master, ends, libc)
        with suppress(OSError):  # the child does it too: who needs it first finds it done
            os.setpgid(pid, pid)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return pid


def _become(work: Callable[[], object], close: Iterable[int], master: int, ends: int, libc: ctypes.CDLL) -> None:
    try:
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if signal.getsignal(number) not in (signal.SIG_DFL, None):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python has it: who went away ends nobody
        os.setpgid(0, 0)
        for descriptor in close:
            os.close(descriptor)
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, int(ends))
        if os.getppid() == master:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            work()
            os._exit(0)
    except WasmguardError:
        pass  # said by whoever raised it
    except BaseException:  # noqa: BLE001  # a bug of ours
        traceback.print_exc()
    finally:
        os._exit(BROKEN)
