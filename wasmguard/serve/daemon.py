"""The daemon's master: it holds the lock and the sockets, keeps workers alive, follows the configuration, and ends.

1. It decides nothing and reads nothing that a client sends: workers do (`serve.worker`). It has one thread and loads no
   engine, so that a worker can be forked from it at any time.
2. The socket gets its name when a worker is there to answer, and loses it before the workers are told to end: who finds
   no name decides by itself at once, who finds a silent socket waits. If no worker can begin any more, the daemon ends
   and says why.
3. It ends when it is told to (SIGTERM, SIGINT, SIGHUP, `wasmguard stop`), when nobody needed it for the time given,
   when its socket or its lock lost its name, and when wasmguard was installed anew. Workers finish what they began.
4. A daemon that a hook started gives way to any other, and leaves a note if it cannot begin (`serve.start`).
5. What it inherited that is secret or could steer it goes first: environment, current folder, standard input.
"""

from __future__ import annotations

import os
import resource
import select
import signal
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING

from wasmguard import audit, bearer, link, places, version
from wasmguard.errors import HostError, UsageError, WasmguardError
from wasmguard.serve import activation, listening
from wasmguard.serve.board import Board
from wasmguard.serve.following import PAUSE, Following, say
from wasmguard.serve.http import HttpTalk
from wasmguard.serve.recording import Moving
from wasmguard.serve.standing import Standing
from wasmguard.serve.start import note
from wasmguard.serve.talk import FrameTalk
from wasmguard.serve.team import Team
from wasmguard.serve.worker import work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from socket import socket
    from typing import Any, NoReturn

    from wasmguard.serve.talk import Talk
    from wasmguard.serve.worker import Listener

MOST_WORKERS = 8  # by default; each has cells of its own
MANY_WORKERS = 64
SOON = 0.01  # seconds between two looks for the first worker
DRAIN = 10.0  # seconds that workers have to finish: an event takes 5 at most, and some may be waiting
KEPT = (
    "HOME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    "WASMGUARD_PORTABLE",
)
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(  # noqa: PLR0913  # what the command line says
    config: str,
    *,
    socket: str | None = None,
    http: tuple[str, int] | None = None,
    idle: float | None = None,
    workers: int | None = None,
    lock: int | None = None,
) -> None:
    """Be the daemon of the configuration file *config* until it ends.

    It listens at the Unix *socket*, by default the one that belongs to *config* (`link.socket_of`), and at the loopback
    address *http*. After *idle* seconds without an event or a client it ends, unless it listens at an address. There
    are so many *workers*, by default one for each core that this process may use. *lock* is a descriptor of the
    socket's lock: from a hook, for whom another daemon is as good.

    Raises:
        UsageError: if an argument cannot be meant.
        HostError: if there is a daemon already, or the machine does not let us.
        ConfigError: if the configuration cannot be locked. Other errors of locking likewise.
    """
    if not hasattr(os, "fork"):
        raise HostError("this system has no `fork`: there is no daemon, and hooks decide by themselves")
    if workers is not None and not 1 <= workers <= MANY_WORKERS:
        raise UsageError(f"`--workers {workers}` is not between 1 and {MANY_WORKERS}")
    if idle is not None and not idle > 0:
        raise UsageError(f"`--idle {idle:g}` is no time: write seconds, or leave it out")
    config, manager = os.path.abspath(config), os.environ.pop("NOTIFY_SOCKET", None)
    unix, inet = activation.given()
    path = unix.getsockname() if unix else os.path.abspath(socket or link.socket_of(config))
    held = listening.claimed(path, lock)
    if held is None:
        if lock is not None:
            return
        raise HostError(
            f"a daemon already listens at `{path}`: `wasmguard status` tells of it, `wasmguard stop` ends it"
        )
    _leave_behind()
    door = None
    try:
        inet = inet or (listening.http(http) if http else None)
        door = listening.Door(path, held, unix)
        Master(config, door, inet, idle=idle, workers=workers or _cores(), manager=manager).live()
    except WasmguardError as error:
        if lock is not None:  # hooks need not try again at once
            _leave_note(path, str(error))
        raise
    finally:
        if door:
            door.close()
        os.close(held)


class Master:
    """A daemon from its first worker to its last."""

    def __init__(  # noqa: PLR0913  # as `run`
        self,
        config: str,
        door: listening.Door,
        inet: socket | None,
        *,
        idle: float | None,
        workers: int,
        manager: str | None,
    ) -> None:
        self._config, self._door, self._manager = config, door, manager
        self._idle = None if inet else idle
        self._inet = inet
        self._token = bearer.token(create=True) if inet else ""
        self._board, self._notes = Board(workers), Board(1).seats[0]
        self._following = Following(config, self._private)
        self._team = Team(workers, self._work, self._private, lambda number: self._board.seats[number].pid)
        self._moving = Moving(self._private)
        self._noted = self._following.reload
        self._facts = Facts(self._notes, self._told())
        self._wake: tuple[int, ...] = ()
        self._version, self._why, self._open = _installed(), "", False

    def live(self) -> None:
        """Raises WasmguardError if nobody can answer."""
        try:
            self._following.begin()
            self._wake = _woken_by_signals()
            while not self._why:
                self._team.staff()
                self._wait()
                self._team.bury()
                self._look()
        finally:
            self._end()

    def _wait(self) -> None:
        """Sleep until something happens, or it is time to look."""
        poll = select.poll()
        poll.register(self._wake[0], select.POLLIN)
        if self._following.channel >= 0:
            poll.register(self._following.channel, select.POLLIN)
        seconds = self._team.pause(PAUSE if self._open else SOON)
        for descriptor, _ in poll.poll(seconds * 1000):
            if descriptor == self._following.channel:
                self._following.heard()
            else:
                heard = os.read(descriptor, 512)
                told = next((number for number in ENDING if number in heard), None)
                self._why = f"told to ({told.name})" if told else self._why

    def _look(self) -> None:
        """Rules 2 and 3."""
        if why := self._team.failure():
            raise HostError(f"no worker can begin: {why}")
        if not self._open and self._team.seated():
            self._begin()
        self._following.look()
        self._moving.look()
        if self._noted is not self._following.reload:
            self._noted = self._following.reload
            self._notes.write("reload", self._noted.as_dict())
        if self._why:
            return
        if self._door.lost():
            self._why = f"`{self._door.path}` or its lock is gone"
        elif _installed() != self._version:
            self._why = "wasmguard was installed anew"
        elif self._idle and self._board.idle() > self._idle and not self._board.clients():
            self._why = f"idle for {self._idle:g} s"

    def _begin(self) -> None:
        """Somebody answers: let clients find it."""
        self._door.open()
        self._open = True
        with suppress(OSError):
            os.unlink(note(self._door.path))
        http = self._facts["http"]
        say(f"listening at {self._door.path}{f' and http://{http}' if http else ''}")
        activation.notify("READY=1", self._manager)
        self._record("started", digest=self._following.digest)

    def _end(self) -> None:
        """Nobody new; everybody may finish, within `DRAIN`."""
        self._door.close()
        if self._inet:
            self._inet.close()
        activation.notify("STOPPING=1", self._manager)
        self._following.end()
        self._team.end(DRAIN)
        self._moving.end()
        if self._open:
            self._record("ended", digest=self._following.digest, why=self._why or "an error")
            say(f"ended: {self._why or 'an error'}")
        signal.set_wakeup_fd(-1)
        for descriptor in self._wake:
            os.close(descriptor)

    def _work(self, number: int) -> NoReturn:
        """The life of a worker."""
        made: list[Standing] = []

        def standing(config: str) -> Standing:
            made.append(Standing(config))
            return made[0]

        def talk() -> Talk:
            return HttpTalk(self._token, self._inet.getsockname()[1], lambda: made[0].plan.event)  # type: ignore[union-attr]

        listeners: list[Listener] = [(self._door.listener, partial(FrameTalk, self._door.path))]
        if self._inet:
            listeners.append((self._inet, talk))
        work(listeners, self._board, number, self._config, facts=self._facts, standing=standing)

    def _private(self) -> tuple[int, ...]:
        """The descriptors that are the master's alone."""
        channel = self._following.channel
        return (self._door.lock, *self._wake, *((channel,) if channel >= 0 else ()))

    def _told(self) -> dict[str, Any]:
        return {
            "socket": self._door.path,
            "http": listening.told(*self._inet.getsockname()[:2]) if self._inet else "",
            "since": time_ns() // 1_000_000,
            "ends_after": self._idle,
        }

    def _record(self, act: str, **more: str) -> None:
        about = {"pid": os.getpid(), "version": version.__version__, "socket": self._door.path}
        try:
            audit.record("daemon", act=act, **about, **more)
        except WasmguardError as error:
            say(f"not recorded: {error}")


class Facts(Mapping[str, "Any"]):
    """What the master adds to every status: what it knew when it began, and `followed`, what came of the last change of
    the configuration; None before the first."""

    def __init__(self, notes: Any, known: dict[str, Any]) -> None:
        self._notes, self._known = notes, known

    def __getitem__(self, name: str) -> Any:
        return self._notes.note("reload") if name == "followed" else self._known[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield "followed"

    def __len__(self) -> int:
        return len(self._known) + 1


def _leave_behind() -> None:
    """Rule 5."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.umask(0o077)
    os.chdir("/")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # events would be in it
    empty = os.open(os.devnull, os.O_RDWR)
    os.dup2(empty, 0)
    os.close(empty)


def _woken_by_signals() -> tuple[int, int]:
    """Both ends of a pipe that says which signals came."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (*ENDING, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reading, writing


def _cores() -> int:
    """How many workers there are by default."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    return max(1, min(cores, MOST_WORKERS))


def _installed() -> tuple[int, ...]:
    """What tells one installation of wasmguard from the next; empty if there is none."""
    try:
        return places.stamp(os.stat(version.__file__))
    except OSError:
        return ()


def _leave_note(path: str, why: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):
        file = os.open(note(path), flags, 0o600)
        try:
            os.write(file, f"{why}\n".encode("utf-8", "replace"))
        finally:
            os.close(file)
