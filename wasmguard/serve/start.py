"""A hook that had to decide by itself starts the daemon, so that the next one need not.

1. At most one daemon, and one start, for a socket: who holds the lock beside it. The lock goes from the hook to the
   daemon as an open descriptor and is never free in between. A lock that is taken means that there is nothing to do.
2. Only in a folder that is ours alone, and with the folders and the configuration that the hook itself decided with.
3. The daemon gets nothing of the hook: no environment, no descriptor but the lock, no terminal, no standard output, for
   whose end the agent may be waiting. What it says goes to `daemon.log` in the state folder.
4. A daemon that cannot come up is not tried at every event. Each attempt leaves a byte in the note beside the socket,
   which a daemon that listens removes: so much longer is the pause before the next attempt. One that knows why it
   failed writes that there, and the pause is a minute.
5. Nothing that goes wrong here is said or raised: the event was answered already, and hooks can do without a daemon.

The hook process imports this, so it imports next to nothing.
"""

from __future__ import annotations

import os
import stat
import sys
from time import time

from wasmguard import places
from wasmguard.sandbox.cache import private_folder
from wasmguard.serve.options import in_agent, parsed, settled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
else:
    import _signal as signal  # without its enumerations, as in `serve.hook`

IDLE = 1800  # seconds without an event after which a daemon that was started on demand ends
PAUSE = 60.0  # seconds after a failed start, and at most after attempts of which nobody knows the end
FIRST_PAUSE = 0.1  # seconds; doubled for each attempt
MOST, ATTEMPT = 16, b"."  # attempts that are counted, and what each of them writes
LOG, LARGEST_LOG = "daemon.log", 2**20  # bytes, after which it begins anew
LOCK = 3  # the descriptor that the daemon finds the lock at
_OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)  # waits for no pipe


def start(socket: str, arguments: Sequence[str]) -> None:
    """Start a daemon at *socket* for the configuration that *arguments*, a hook's, name; unless there is one, it was
    tried just now, or there is no way. It listens some time after this returned."""
    try:
        if os.environ.get("WASMGUARD_DAEMON") != "0" or in_agent():  # a project may set variables for an agent's hooks
            _started(socket, arguments)
    except BaseException:  # noqa: BLE001, S110  # rule 5
        pass


def locked(socket: str) -> int:
    """A descriptor that holds the lock of *socket*, or -1 if somebody else holds it.

    Raises:
        OSError: if it cannot be had.
    """
    import fcntl

    path = f"{socket}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if holds(lock, socket):
            return lock
    except BlockingIOError:
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return -1


def holds(lock: int, socket: str) -> bool:
    """Whether *lock* is a descriptor of the file that is the lock of *socket* now, and of ours."""
    try:
        mine, named = os.fstat(lock), os.lstat(f"{socket}.lock")
    except OSError:
        return False
    ours = mine.st_uid == os.geteuid() and stat.S_ISREG(mine.st_mode)
    return ours and (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def note(socket: str) -> str:
    """The file that says how starting a daemon at *socket* went wrong."""
    return f"{socket}.failed"


def _started(socket: str, arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    config = settled(options)
    private_folder(os.path.dirname(socket))
    lock = locked(socket)
    if lock < 0:
        return
    try:
        if (attempts := _attempts(note(socket))) >= 0:
            _attempted(note(socket), attempts + 1)
            folders = {"home": options.home or places.home_in_database(), "http": options.http}
            folders |= {"state": places.state_dir(), "cache": places.cache_dir()}
            said = [word for name, value in folders.items() if value for word in (f"--{name}", value)]
            _spawned(["--socket", socket, "--config", config, "--idle", str(IDLE), *said], lock)
    finally:
        os.close(lock)


def _attempts(path: str) -> int:
    """How many attempts the note at *path* counts; -1 if it says that now is too soon for another (rule 4).

    Raises:
        OSError: if it cannot be read.
    """
    try:
        file = os.open(path, os.O_RDONLY | _OPEN)
    except FileNotFoundError:
        return 0
    try:
        said, age = os.read(file, MOST + 1), time() - os.fstat(file).st_mtime
    finally:
        os.close(file)
    attempts = len(said) if said == ATTEMPT * len(said) else MOST
    pause = min(FIRST_PAUSE * 2**attempts, PAUSE)
    return -1 if 0 <= age < pause else attempts  # a clock that was set back starts too early, not never


def _attempted(path: str, attempts: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OPEN, 0o600)
    try:
        os.write(file, ATTEMPT * min(attempts, MOST))
    finally:
        os.close(file)


def _spawned(arguments: list[str], lock: int) -> None:
    """Start the daemon with nothing of ours but *lock* (rule 3)."""
    import fcntl

    _close_on_exec()
    empty = os.open(os.devnull, os.O_RDWR)
    above = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, 16)  # the one below may be `LOCK` already: that stays closed
    log = _log()
    try:
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-m", "wasmguard", "serve", "--daemon", "--lock", str(LOCK), *arguments],
            {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, empty, 0),
                (os.POSIX_SPAWN_DUP2, empty, 1),
                (os.POSIX_SPAWN_DUP2, empty if log < 0 else log, 2),
                (os.POSIX_SPAWN_DUP2, above, LOCK),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)],
        )
    finally:
        for descriptor in (empty, above, log):
            if descriptor >= 0:
                os.close(descriptor)


def _close_on_exec() -> None:
    """Whatever descriptors the agent left open to this process: none goes on to the daemon."""
    try:
        numbers = [number for name in os.listdir("/dev/fd") if (number := int(name)) > 2]
    except OSError:
        numbers = list(range(3, 1024))
    for number in numbers:
        try:  # noqa: SIM105  # `contextlib` costs a hook process 4 ms
            os.set_inheritable(number, False)
        except OSError:  # such as the one that listed them
            pass


def _log() -> int:
    """A descriptor of the daemon's log, or -1 if it cannot be had."""
    path = os.path.join(places.state_dir(), LOG)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _OPEN, 0o600)
    except OSError:
        return -1
    seen = os.fstat(file)
    private = stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o077
    if not private or seen.st_nlink != 1:
        os.close(file)
        return -1
    if seen.st_size > LARGEST_LOG:
        os.ftruncate(file, 0)
    return file
