"""Cells that are processes: started, asked, ended and started anew. This side decides; that side is hostile.

1. A cell is a child with one end of a socket pair and nothing else. It is spawned with an empty environment; a hook
   process forks its first one instead (`ahead`), before it has read anything of ours, and the cell scrubs the
   environment from its memory.
2. Whatever the cell says after it ran a guest is a claim: sizes are held against their limits, fuel against its own,
   and the answer's bytes go through the same decoder and the same grants as anybody's.
3. A cell that dies, says nonsense or is not done by its deadline has refused: it is killed, the event is a fault, and
   the next event starts a new one. Three deaths in a row and the policy is broken: it is asked again after `HEALS`.
   A cell that died or spoke while nobody asked it anything is replaced, and that is nobody's fault. So is one that
   somebody else killed: what it was asked is asked a new one, `AGAIN` times; a verdict is a pure function.
4. What is asked at once gets a cell that is ready and free, for `WAIT`. Where that comes to nothing the cell is killed,
   whatever it was; but nobody has refused yet, and nothing is counted: the question comes again, with everything.
   For `BUSY` seconds it is then not tried: the machine is busy. See `at_once`.
5. One cell runs one guest at a time. Callers in several threads get cells of their own, up to `size`: see `turns`.

A cell that nobody needs any more reads the end of its socket and leaves.
"""

from __future__ import annotations

import _thread
import os
import sys
from time import monotonic

from wasmguard.errors import CellDied, HostError, NotAtOnce, WasmguardError
from wasmguard.limits import DEFAULT, MIB
from wasmguard.sandbox import ahead, frames
from wasmguard.sandbox.ahead import CHANNEL
from wasmguard.sandbox.at_once import BUSY, BYTES, WAIT, Pace, small
from wasmguard.sandbox.child import Child, pair, watch
from wasmguard.sandbox.failure import NOT_AT_ONCE, fault
from wasmguard.sandbox.turns import Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from wasmguard.sandbox.spec import Spec
    from wasmguard.sandbox.turns import Place

    Code = Callable[[], tuple[bytes, ...]]
    Reply = tuple[frames.Head, bytes]
    T = TypeVar("T")
else:
    import _signal as signal  # without its enumerations, as in `serve.hook`

READY = 15.0  # seconds until a cell is ready: large components take one to load, a busy machine some more
SLOTS = 2  # of a cell's pool; it serves one event at a time. One slot: no pool
DEATHS = 3  # in a row, and a policy is broken
AGAIN = 2  # times
HEALS = 10.0  # seconds: a daemon lives on, and what killed the cells may have been this machine
SHORTEST, LONGEST = 0.5, 5.0  # seconds that an answer may take, whatever the clock of a policy is
CARRIED = 32 * MIB  # bytes a second: what more than the usual 4 MiB of a request gives on top of the deadline

_SPAWNED = (
    "import os, sys; os.chdir('/'); os.closerange(4, 1 << 16); sys.path[:0] = sys.argv[2:];"
    "from wasmguard.sandbox.inmate import live; live(3, follow=sys.argv[1] == 'follow')"
)


class Processes:
    """Up to *size* processes that run the same guests, started when they are needed."""

    def __init__(  # noqa: PLR0913  # all by name but the first
        self,
        library: str,
        setup: Mapping[str, Any],
        size: int,
        *,
        event: int,
        portable: bool,
        pooled: bool = True,
    ) -> None:
        """Use wasmtime's *library* and an engine of *setup* (`engine.Setup`); an event has at most *event* bytes. Not
        *pooled*, an engine is made sooner and an instance later: for a process that decides one event."""
        slots = SLOTS if pooled else 1
        self._header = {"library": library, "setup": setup, "event": event, "portable": portable, "slots": slots}
        self._with_packages = portable or setup["kind"] == "component"
        self._loads: list[tuple[Spec, Code]] = []  # not the guests, which know us: nobody waits for a cycle to be found
        self._turns, self._busy = Turns(size), 0.0

    def begin(self) -> None:
        """Start a cell now, if there is none, and go on while it gets ready.

        Raises:
            HostError: if it cannot be started. What goes wrong later is said when it is asked.
        """
        self._turns.take(lambda place: _again(place, lambda: self._begun(place)))

    def load(self, spec: Spec, code: Code) -> ProcessGuest:
        """A guest whose native code, as verified bytes, *code* fetches whenever a cell is started; see `Cell.load`."""
        load = spec, code
        self._loads.append(load)
        number = next(place for place, other in enumerate(self._loads) if other is load)
        return ProcessGuest(self, number, spec)

    def ask(self, guest: ProcessGuest, request: bytes) -> Reply:
        """The reply of a cell: its head, as `frames.reply` read it, and its payload.

        Raises:
            CellDied: if there is none.
            HostError: if no cell can be started, or it cannot load *guest*.
        """
        return self._turns.take(lambda place: _again(place, lambda: self._answered(place, guest, request)))

    def ask_at_once(self, guest: ProcessGuest, request: bytes) -> Reply:
        """As `ask`, of a cell that is ready and free now.

        Raises:
            NotAtOnce: if there is none, or no reply of it in `WAIT`.
        """
        if monotonic() < self._busy:
            raise NotAtOnce
        return self._turns.take_ready(lambda place: self._answered_at_once(place, guest, request))

    def start(self) -> dict[str, Any]:
        """Start a cell now, if there is none, and return the report of its jail.

        Raises:
            HostError: if it cannot be started.
        """
        return self._turns.take(lambda place: _again(place, lambda: self._ready(place))).report

    def pids(self) -> list[int]:
        """The processes that live now."""
        return [cell.pid for cell in self._turns.cells()]

    def close(self) -> None:
        """End them all; those that are being asked, as soon as they have answered."""
        self._turns.close()

    def _answered(self, place: Place, guest: ProcessGuest, request: bytes) -> Reply:
        cell = self._live(place, guest)
        seconds = guest.deadline + max(0, len(request) - DEFAULT.event) / CARRIED
        try:
            return _exchanged(cell, guest, request, seconds)
        except TimeoutError:
            place.end()
            raise CellDied(f"its cell gave no answer in {seconds:.1f} s and was killed") from None
        except OSError:
            raise CellDied(f"its cell {place.end(dying=True)}") from None
        except ValueError:
            place.end()
            raise CellDied("its cell broke the protocol and was killed") from None
        except BaseException:  # such as a signal's
            place.end()
            raise

    def _answered_at_once(self, place: Place, guest: ProcessGuest, request: bytes) -> Reply:
        cell, number = place.cell, guest.number
        if not cell or not cell.usable or number >= len(cell.guests) or cell.guests[number]:
            raise NotAtOnce
        try:
            return _exchanged(cell, guest, request, WAIT, at_once=True)
        except BaseException as error:  # a signal's too
            cell.kill()  # it is not clean, so the next turn in this place buries it
            if not isinstance(error, (OSError, ValueError)):
                raise
            self._busy = monotonic() + BUSY
            raise NotAtOnce from None

    def _live(self, place: Place, guest: ProcessGuest) -> Child:
        """A cell that runs *guest*."""
        if (cell := place.cell) and (not cell.usable or len(cell.guests) <= guest.number):  # or loaded too early
            place.end()
        cell = self._ready(place)
        if guest.number in cell.unfetched:
            self._loads[guest.number][1]()  # raises what is wrong, as it is now; else it can be loaded again
            place.end()
            cell = self._ready(place)
        if why := cell.guests[guest.number]:
            raise HostError(why)
        return cell

    def _begun(self, place: Place) -> Child:
        if place.cell is None:
            if self._turns.over:
                raise HostError("the guard is closed: load another")
            place.cell = _born(with_packages=self._with_packages)
            try:
                self._told(place.cell)
            except BaseException as error:
                how = place.end(dying=True)
                if isinstance(error, OSError):
                    raise _unready(how) from None
                raise
        return place.cell

    def _ready(self, place: Place) -> Child:
        """The cell of *place*, or a new one, after it said that it is ready."""
        cell = self._begun(place)
        if cell.report:
            return cell
        try:
            cell.clean = False
            cell.within(READY)
            cell.report, why = frames.told(lambda size: cell.receive(size, size) if size else b"", len(cell.guests))
            cell.guests = [before or after for before, after in zip(cell.guests, why, strict=True)]
            cell.clean = True
        except (OSError, ValueError) as error:
            raise _unready(place.end(dying=isinstance(error, ConnectionError))) from None
        except BaseException:
            place.end()
            raise
        if wrong := cell.report.get("error"):
            place.end()
            raise HostError(f"no policy can run: {wrong}: run `wasmguard doctor`")
        return cell

    def _told(self, cell: Child) -> None:
        """Say to a new cell what it shall load."""
        guests, why = [], []
        codes: list[bytes] = []
        for spec, fetch in tuple(self._loads):
            try:
                code, wrong = fetch(), ""
            except WasmguardError as error:
                code, wrong = (), str(error)
            guests.append(spec.as_data() | {"sizes": [len(part) for part in code]})
            codes += code
            why.append(wrong)
        cell.guests, cell.unfetched = why, frozenset(number for number, wrong in enumerate(why) if wrong)
        cell.within(READY)
        cell.send(frames.message(self._header | {"guests": guests}, *codes))


class ProcessGuest:
    """A guest that runs in another process."""

    def __init__(self, cells: Processes, number: int, spec: Spec) -> None:
        self.number, self.limits, self.answer = number, spec.limits, spec.answer
        self.whole, self.little = (spec.answer, spec.limits.fuel), (min(spec.answer, BYTES), small(spec.limits)[0])
        """The most bytes of its answer, and the most fuel; the same at once."""
        self.deadline = min(max(SHORTEST, 5 * spec.limits.clock / 1000), LONGEST)
        """Seconds for an answer: what no limit of a guest stops, this does."""
        self._cells, self._deaths, self._died, self._heals = cells, 0, 0.0, 0.0
        self._pace = Pace(spec.limits, quick=spec.kind == "core", warm=True)

    def evaluate(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """The guest's answer to *request*, and the fuel it took. See `Runs.evaluate`.

        Raises:
            GuestFault: whatever the guest did wrong; `CellDied` if it took its cell along.
            HostError: if no cell can be started.
            NotAtOnce: only with *at_once*: ask again in a thread.
        """
        if self._deaths >= DEATHS and monotonic() < self._heals:
            raise CellDied(f"its cell died {DEATHS} times in a row: it is broken: fix or replace it")
        begun = monotonic()
        try:
            reply = self._asked_at_once(request) if at_once else self._cells.ask(self, request)
        except CellDied:
            if begun >= self._died:  # several at the same time are one: a machine that stood still ends them all
                self._deaths += 1
            self._died = monotonic()
            self._heals = self._died + HEALS
            raise
        (kind, fuel, first, second, _), payload = reply
        self._deaths = 0
        if kind == frames.ANSWER and fuel is not None:
            return payload, fuel
        made = fault((kind, first, second, payload.decode("utf-8", "replace")), self.limits, self.answer)
        made.fuel = fuel
        raise made

    def _asked_at_once(self, request: bytes) -> Reply:
        begun = self._pace.begin(request)
        try:
            reply = self._cells.ask_at_once(self, request)
        finally:
            self._pace.took(begun)
        if reply[0][0] == NOT_AT_ONCE:
            raise self._pace.stopped(reply[0][2])
        return reply


def _exchanged(cell: Child, guest: ProcessGuest, request: bytes, seconds: float, *, at_once: bool = False) -> Reply:
    """What *cell* replies about *guest*.

    Raises:
        OSError: if there is no reply in so many *seconds*.
        ValueError: if an honest cell would not say that.
    """
    number, (most, fuel) = os.urandom(frames.NUMBER), guest.little if at_once else guest.whole
    cell.clean = False
    cell.within(seconds)
    cell.send(frames.request(guest.number, number, request, more=watch.spin > 0, at_once=at_once))
    said = cell.receive(frames.REPLY, frames.PIECE)
    head = frames.reply(said, number, most=most, fuel=fuel, at_once=at_once)
    if (missing := frames.REPLY + head[4] - len(said)) > 0:
        said += cell.receive(missing, missing)
    elif missing:
        raise ValueError("more than a reply")
    cell.clean = True
    return head, said[frames.REPLY :]


def _again(place: Place, work: Callable[[], T]) -> T:
    """What *work* gives; it is done again if somebody else killed the cell of *place* meanwhile."""
    for _ in range(AGAIN):
        place.killed = False
        try:
            return work()
        except (CellDied, HostError):
            if not place.killed:
                raise
    return work()


def _unready(how: str) -> HostError:
    return HostError(f"the cell {how} before it was ready: run `wasmguard doctor`")


def _born(*, with_packages: bool) -> Child:
    """A new cell, which waits for its load message.

    Raises:
        HostError: if there can be none.
    """
    try:
        return Child(*spare) if (spare := ahead.taken()) else _spawned(with_packages=with_packages)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"cannot start a cell: {why}: free memory and processes") from None


def _spawned(*, with_packages: bool) -> Child:
    from functools import partial  # here, not above: a hook process forks its cell, and need not wait for this

    follow = "follow" if _thread.get_native_id() == os.getpid() else "stay"  # the signal comes when the *thread* ends
    command = [sys.executable, "-I", "-S", "-B", "-c", _SPAWNED, follow, *_roots(with_packages=with_packages)]
    ours, theirs = pair()
    spawn = partial(
        os.posix_spawn,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL),
            *((os.POSIX_SPAWN_OPEN, standard, os.devnull, os.O_RDWR, 0) for standard in (0, 1, 2)),
        ],
        setsigmask=[],
        setsigdef=[number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)],
    )
    made: list[int] = []
    try:
        made.extend(map(spawn, [sys.executable], [command], [{"MALLOC_ARENA_MAX": "1"}]))  # one step: no signal between
        return Child(made[0], ours)
    except BaseException:
        for pid in made:
            Child(pid, ours).end()
        ours.close()
        raise
    finally:
        theirs.close()


def _roots(*, with_packages: bool) -> list[str]:
    """Where a spawned cell finds this package, and wasmtime's if it needs that: it starts without site-packages."""
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [ours, *(path for path in sys.path if with_packages and path and path != ours)]
