"""Cells that are processes: started, asked, killed and started anew. This side decides; that side is hostile.

1. A cell is a child with one end of a socket pair and nothing else. It is spawned with an empty environment; a hook
   process, which is about to end anyway, forks it instead and scrubs the environment from its memory.
2. Whatever the cell says after it ran a guest is a claim: sizes are held against their limits, fuel against its own,
   and the answer's bytes go through the same decoder and the same grants as anybody's.
3. A cell that dies, says nonsense or is not done by its deadline has refused: it is killed, the event is a fault, and
   the next event starts a new one. Three deaths in a row and the policy is broken until the guard is loaded again.
4. One cell runs one guest at a time. Callers in several threads get cells of their own, up to `size`.

A cell that nobody needs any more reads the end of its socket and leaves.
"""

from __future__ import annotations

import _socket
import _thread
import os
import sys
from time import monotonic, sleep

from wasmguard.errors import CellDied, HostError, WasmguardError
from wasmguard.sandbox import frames
from wasmguard.sandbox.failure import fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
    from typing import Any

    from wasmguard.sandbox.spec import Spec

    Code = Callable[[], tuple[bytes, ...]]
else:
    import _signal as signal  # without its enumerations, as in `serve.hook`

READY = 15.0  # seconds until a cell is ready: large components take one to load, a busy machine some more
SLOTS = 2  # of a cell's pool; it serves one event at a time. One: no pool, for a process that decides one event
DEATHS = 3  # in a row, and a policy is broken
PATIENCE = 50  # milliseconds for a cell to be dead after it closed its socket: then how it died can be told
SPIN = frames.SPIN if (os.cpu_count() or 1) > 1 else 0  # on one processor the cell runs when this side sleeps
CHANNEL = 3  # the descriptor of a spawned cell's socket

_SPAWNED = (
    "import os, sys; os.chdir('/'); os.closerange(4, 1 << 16); sys.path[:0] = sys.argv[2:];"
    "from wasmguard.sandbox.inmate import live; live(3, follow=sys.argv[1] == 'follow')"
)
_spare: list[Child] = []  # cells that were forked ahead


class Child:
    """One cell process, as its parent sees it."""

    def __init__(self, pid: int, channel: _socket.socket) -> None:
        self.pid, self._channel, self._owner = pid, channel, os.getpid()
        self._patience, self._ended = 0.0, False
        self.guests: list[str] = []
        self.report: dict[str, Any] = {}

    def __del__(self) -> None:
        """A guard that nobody closed leaves no process behind."""
        try:  # noqa: SIM105  # what is imported for that costs a hook process 4 ms
            self.end()
        except Exception:  # noqa: BLE001, S110  # at the end of the interpreter nothing is sure to be there
            pass

    @property
    def ours(self) -> bool:
        """Whether this process started it, rather than the one that this process was forked from."""
        return self._owner == os.getpid()

    def within(self, seconds: float) -> None:
        """Give every later `send` and `receive` that long. A timeout of the kernel costs nothing for each of them."""
        if seconds != self._patience:
            timeval = int(seconds).to_bytes(8, sys.byteorder) + int(seconds % 1 * 1e6).to_bytes(8, sys.byteorder)
            self._channel.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, timeval)
            self._channel.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, timeval)
            self._patience = seconds

    def send(self, data: bytes) -> None:
        """Raises OSError if the cell does not take it in time."""
        self._channel.sendall(data)

    def receive(self, size: int, most: int) -> bytes:
        """At least *size* and at most *most* bytes. Raises OSError if the cell does not send them in time."""
        parts, until = [], monotonic() + self._patience
        while size > 0:
            part = frames.received(self._channel, most, SPIN)
            if not part:
                raise ConnectionResetError("the cell closed its end")
            parts.append(part)
            size, most = size - len(part), most - len(part)
            if size > 0 and monotonic() > until:  # it drips
                raise TimeoutError
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def end(self, *, dying: bool = False) -> str:
        """Kill it, if it still lives, and say how it ended; if it is *dying*, give it a moment to do that itself."""
        self._channel.close()
        if self._ended or not self.ours:
            return "has ended" if self._ended else "belongs to another process"
        self._ended = True
        try:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            patience = PATIENCE if dying else 0
            while not ended and patience:
                sleep(0.001)
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                patience -= 1
            if not ended:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return "was killed"
        except (ChildProcessError, ProcessLookupError):  # somebody else waits for all children of this process
            return "is gone"
        return _ending(status)


class Processes:
    """Up to *size* processes that run the same guests, started when they are needed."""

    def __init__(self, library: str, setup: Mapping[str, Any], size: int, *, event: int, portable: bool) -> None:
        """Use wasmtime's *library* and an engine of *setup* (`engine.Setup`); an event has at most *event* bytes."""
        slots = 1 if size == 1 else SLOTS
        self._header = {"library": library, "setup": setup, "event": event, "portable": portable, "slots": slots}
        self._with_packages = portable or setup["kind"] == "component"
        self._guests: list[ProcessGuest] = []
        self._places: list[tuple[_thread.LockType, list[Child]]] = [(_thread.allocate_lock(), []) for _ in range(size)]

    def begin(self) -> None:
        """Start a cell now, if there is none, and go on while it gets ready.

        Raises:
            HostError: if it cannot be started. What goes wrong later is said when it is asked.
        """
        lock, cells = self._place()
        try:
            if not cells:
                cells.append(self._born())
        finally:
            lock.release()

    def load(self, spec: Spec, code: Code) -> ProcessGuest:
        """A guest whose native code, as verified bytes, *code* fetches whenever a cell is started; see `Cell.load`."""
        guest = ProcessGuest(self, len(self._guests), spec, code)
        self._guests.append(guest)
        return guest

    def ask(self, guest: ProcessGuest, request: bytes) -> tuple[tuple[int, int | None, int, int, int], bytes]:
        """The reply of a cell: its head, as `frames.reply` read it, and its payload.

        Raises:
            CellDied: if there is none.
            HostError: if no cell can be started, or it cannot load *guest*.
        """
        lock, cells = self._place()
        try:
            child = self._live(cells, guest)
            child.within(guest.deadline)
            child.send(frames.request(guest.number, request))
            said = child.receive(frames.REPLY, frames.PIECE)
            head = frames.reply(said, guest.cap)
            if (missing := frames.REPLY + head[4] - len(said)) > 0:
                said += child.receive(missing, missing)
            elif missing:
                raise ValueError("more than a reply")  # noqa: TRY301  # ends the cell like any other nonsense
            return head, said[frames.REPLY :]
        except (OSError, ValueError) as error:
            how = cells.pop().end(dying=isinstance(error, ConnectionError)) if cells else "cannot be started"
            if isinstance(error, TimeoutError | BlockingIOError):
                how = f"gave no answer in {guest.deadline:.1f} s and was killed"
            raise CellDied(f"its cell {how}") from None
        except BaseException:  # such as a signal: a reply that nobody read must not be taken for the next one
            if cells:
                cells.pop().end()
            raise
        finally:
            lock.release()

    def start(self) -> dict[str, Any]:
        """Start a cell now, if there is none, and return the report of its jail.

        Raises:
            HostError: if it cannot be started.
        """
        lock, cells = self._place()
        try:
            return self._ready(cells).report
        finally:
            lock.release()

    def pids(self) -> list[int]:
        """The processes that live now."""
        return [child.pid for _, cells in self._places for child in cells]

    def close(self) -> None:
        """End them all."""
        for lock, cells in self._places:
            with lock:
                while cells:
                    cells.pop().end()

    def _place(self) -> tuple[_thread.LockType, list[Child]]:
        """A place that nobody uses, now locked; started cells come first."""
        for place in self._places:
            if place[0].acquire(blocking=False):
                return place
        place = self._places[_thread.get_ident() % len(self._places)]
        place[0].acquire()
        return place

    def _live(self, cells: list[Child], guest: ProcessGuest) -> Child:
        """A cell that runs *guest*."""
        if cells and (not cells[0].ours or len(cells[0].guests) <= guest.number):  # after a fork; or loaded too early
            cells.pop().end()
        child = self._ready(cells)
        if why := child.guests[guest.number]:
            raise HostError(why)
        return child

    def _ready(self, cells: list[Child]) -> Child:
        """The one of *cells*, or a new one, after it said that it is ready."""
        if not cells:
            cells.append(self._born())
        child = cells[0]
        if child.report:
            return child
        try:
            child.within(READY)
            said = frames.header(lambda size: child.receive(size, size))
            child.report, after = said["report"], said["guests"]
            child.guests = [before or why for before, why in zip(child.guests, after, strict=True)]
        except (OSError, ValueError):
            raise HostError(
                f"the cell {cells.pop().end(dying=True)} before it was ready: run `wasmguard doctor`"
            ) from None
        if why := child.report.get("error"):
            cells.pop().end()
            raise HostError(f"no policy can run: {why}: run `wasmguard doctor`")
        return child

    def _born(self) -> Child:
        """A new cell that was told what to load."""
        codes, told = _fetched(self._guests)
        guests = [
            guest.spec.as_data() | {"sizes": [len(part) for part in code]}
            for guest, code in zip(self._guests, codes, strict=True)
        ]
        message = frames.message(self._header | {"guests": guests}, *(part for code in codes for part in code))
        child = _born(with_packages=self._with_packages)
        child.guests = told
        try:
            child.within(READY)
            child.send(message)
        except OSError:
            raise HostError(f"the cell {child.end(dying=True)} before it was ready: run `wasmguard doctor`") from None
        return child


class ProcessGuest:
    """A guest that runs in another process."""

    def __init__(self, cells: Processes, number: int, spec: Spec, code: Code) -> None:
        self.number, self.spec, self.code, self.limits, self.cap = number, spec, code, spec.limits, spec.answer
        self.deadline = max(0.5, 5 * spec.limits.clock / 1000)  # seconds: what no limit of a guest stops, this does
        self._cells, self._deaths = cells, 0

    def evaluate(self, request: bytes) -> tuple[bytes, int]:
        """The guest's answer to *request*, and the fuel it took. See `Runs.evaluate`.

        Raises:
            GuestFault: whatever the guest did wrong; `CellDied` if it took its cell along.
            HostError: if no cell can be started.
        """
        if self._deaths >= DEATHS:
            raise CellDied(
                f"its cell died {DEATHS} times in a row: it is broken: fix or replace it, then load it again"
            )
        try:
            (kind, fuel, first, second, _), payload = self._cells.ask(self, request)
        except CellDied:
            self._deaths += 1
            raise
        self._deaths = 0
        if fuel is not None and fuel > self.limits.fuel:
            fuel = None  # no guest burns more: the cell lies
        if kind == frames.ANSWER and fuel is not None:
            return payload, fuel
        made = fault((kind, first, second, payload.decode("utf-8", "replace")), self.limits, self.cap)
        made.fuel = fuel
        raise made


def fork_ahead() -> None:
    """Start a cell by fork, before this process knows anything; from now on cells are forked here.

    Only for a process with one thread that has not loaded wasmtime: a hook process.
    """
    global _forks  # noqa: PLW0603  # a property of the process
    _forks = True
    _spare.append(_forked())


def end_spare() -> None:
    """End the cells that were forked ahead and not needed."""
    while _spare:
        _spare.pop().end()


_forks = False


def _born(*, with_packages: bool) -> Child:
    """A new cell, which waits for its load message.

    Raises:
        HostError: if there can be none.
    """
    try:
        if _spare:
            return _spare.pop()
        return _forked() if _forks else _spawned(with_packages=with_packages)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"cannot start a cell: {why}: free memory and processes") from None


def _forked() -> Child:
    ours, theirs = _socket.socketpair()
    pid = os.fork()
    if pid == 0:
        _become(theirs.detach())
    theirs.close()
    return Child(pid, ours)


def _become(channel: int) -> None:
    """The child's life after a fork: it keeps its channel, and nothing that it could know."""
    try:
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


def _spawned(*, with_packages: bool) -> Child:
    follow = "follow" if _thread.get_native_id() == os.getpid() else "stay"  # the signal comes when the *thread* ends
    ours, theirs = _socket.socketpair()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-B", "-c", _SPAWNED, follow, *_roots(with_packages=with_packages)],
            {"MALLOC_ARENA_MAX": "1"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL),
                *((os.POSIX_SPAWN_OPEN, standard, os.devnull, os.O_RDWR, 0) for standard in (0, 1, 2)),
            ],
            setsigmask=[],
            setsigdef=[number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)],
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Child(pid, ours)


def _roots(*, with_packages: bool) -> list[str]:
    """Where a spawned cell finds this package, and wasmtime's if it needs that: it starts without site-packages."""
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [ours, *(path for path in sys.path if with_packages and path and path != ours)]


def _fetched(guests: list[ProcessGuest]) -> tuple[list[tuple[bytes, ...]], list[str]]:
    """The code of every guest, and why some cannot be loaded."""
    codes, told = [], []
    for guest in guests:
        try:
            codes.append(guest.code())
            told.append("")
        except WasmguardError as error:
            codes.append((b"",))
            told.append(str(error))
    return codes, told


def _ending(status: int) -> str:
    number = status & 0x7F
    if number == getattr(signal, "SIGSYS", -1):
        return "was ended by the kernel: it tried what its jail forbids"
    return f"died by signal {number}" if number else f"ended with code {status >> 8}"
