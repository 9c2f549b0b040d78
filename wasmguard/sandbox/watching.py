"""Who asks watched guests (`sandbox.watched`) in jailed cells, and what is believed of what they tell.

For measuring only. The cells, the protocol and the jail are those of `sandbox.process`; what differs is one word in the
load message, which makes the guests watched ones, and what stands before each answer.

1. What was seen is a claim of a hostile process. It is three numbers: the times together are no more than the round
   trip took here, and a memory is no more than its limit. A cell that says anything else has broken the protocol.
   Whoever has taken a cell over may lie within that: about his own figures, and nobody else's.
2. Of an evaluation whose cell died nothing is known but how long that took.
3. Where a system has no processes the guests are watched in this one, as under the isolation `thread`.
"""

from __future__ import annotations

import os
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

from wasmguard.errors import CellDied, GuestFault, NotAtOnce
from wasmguard.sandbox import frames
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.isolation import PROCESS, THREAD, Cells
from wasmguard.sandbox.process import Processes
from wasmguard.sandbox.watched import FIGURES, LEAST, NO_MEMORY, NUMBER, PAGE, PARTS, Seen, WatchedCell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wasmguard.sandbox.isolation import Code, Guest
    from wasmguard.sandbox.process import ProcessGuest, Reply
    from wasmguard.sandbox.spec import Spec
    from wasmguard.sandbox.turns import Place
    from wasmguard.sandbox.watched import Watched


def isolation() -> str:
    """Where guests are watched: in processes, wherever there are any."""
    return PROCESS if hasattr(os, "fork") else THREAD


class WatchedProcesses(Processes):
    """Processes whose guests are watched."""

    def __init__(self, *given: Any, watched: str, tell: Callable[[Seen], object], **named: Any) -> None:
        """As `Processes`; what is *watched* is `PARTS` or `LEAST`, and *tell* is told about each evaluation."""
        super().__init__(*given, **named)
        self._header["watched"], self._tell = watched, tell
        self._with_packages = True  # all kinds of watched guests stand in one module

    def load(self, spec: Spec, code: Code) -> ProcessGuest:
        """See `Processes.load`."""
        guest = super().load(spec, code)
        guest.whole = (spec.answer + FIGURES, spec.limits.fuel)
        return guest

    def ask(self, guest: ProcessGuest, request: bytes) -> Reply:
        """See `Processes.ask`."""
        begun = perf_counter_ns()
        try:
            return super().ask(guest, request)
        except CellDied:
            self._tell(Seen(request=request, instantiate=perf_counter_ns() - begun, evaluate=0))
            raise

    def ask_at_once(self, guest: ProcessGuest, request: bytes) -> Reply:
        """Raises NotAtOnce: nobody who measures is in such a hurry."""
        raise NotAtOnce

    def _answered(self, place: Place, guest: ProcessGuest, request: bytes) -> Reply:
        self._live(place, guest)  # to start one is nobody's time
        begun = perf_counter_ns()
        head, payload = super()._answered(place, guest, request)
        took = perf_counter_ns() - begun
        try:
            figures, said = _parted(head[0], payload)
            seen = believed(request, figures, head[1], took, guest.limits.memory)
        except ValueError:
            place.end()
            raise CellDied("its cell broke the protocol and was killed") from None
        self._tell(seen)
        return head, said


def _parted(kind: int, payload: bytes) -> tuple[bytes, bytes]:
    """The figures before the answer, or before the text of a failure of that *kind*, and the rest.

    Raises:
        ValueError: if there are none.
    """
    if kind == frames.ANSWER:
        return payload[:FIGURES], payload[FIGURES:]
    return bytes.fromhex(payload[: 2 * FIGURES].decode("ascii")), payload[2 * FIGURES :]


def believed(request: bytes, figures: bytes, fuel: int | None, took: int, memory: int) -> Seen:
    """What was seen of an evaluation, as far as its cell can be believed: rule 1. The round trip took *took*
    nanoseconds, and its limit is *memory* bytes.

    Raises:
        ValueError: if an honest cell would not say that.
    """
    if len(figures) != FIGURES:
        raise ValueError("not as many figures as there are")
    starts = range(0, FIGURES, NUMBER)
    instantiate, evaluate, most = (int.from_bytes(figures[start : start + NUMBER], "big") for start in starts)
    carry = took - instantiate - evaluate
    if carry < 0 or (most > -(-memory // PAGE) * PAGE and most != NO_MEMORY):
        raise ValueError("figures that cannot be")
    parts = {"instantiate": instantiate, "evaluate": evaluate, "carry": carry}
    return Seen(request=request, **parts, fuel=fuel, memory=None if most == NO_MEMORY else most)


class WatchedCells(Cells):
    """Cells whose guests are watched: for a guard that is measured. One caller at a time."""

    def __init__(
        self,
        library: str,
        setups: Mapping[str, Mapping[str, Any]],
        *,
        slots: int,
        event: int,
        isolation: str,
    ) -> None:
        """As `Cells`, with one process for each kind of module."""
        super().__init__(library, setups, slots=slots, event=event, isolation=isolation, processes=1)
        self.seen: list[Seen] = []
        """What was seen of each evaluation, oldest first. Whoever reads it clears it."""
        self.watched: list[Guest] = []
        """The guests, in the order in which they were loaded."""
        self._sources: list[tuple[Spec, tuple[bytes, ...]]] = []

    def least_memory(self, place: int, request: bytes) -> int | None:
        """The least limit of its memory, in bytes, under which the guest at *place* in `watched` answers *request* as
        it does under its own; None if it does not answer, or its memory is seen after each evaluation anyway.

        Raises:
            HostError: if no process can be started.
        """
        spec, code = self._sources[place]
        if self.isolation == THREAD:
            here: Watched = self.watched[place]  # type: ignore[assignment]  # nothing else is loaded there
            return here.least_memory(request)
        if spec.kind != "component":
            return None
        found: list[Seen] = []
        cells = self._watching(spec.kind, LEAST, found.append)  # one process for all tries
        try:
            guest = cells.load(spec, lambda: code)
            tries = (spec.limits.memory // PAGE).bit_length() + 2
            guest.deadline += tries * spec.limits.clock / 1000
            guest.evaluate(request)
        except GuestFault:
            return None
        finally:
            cells.close()
        return found[-1].memory

    def load_times(self, times: int) -> list[float]:
        """Seconds that it takes to load the guests, as often as *times*: from verified code to what can be asked. They
        are loaded in this process, and not asked."""
        return [self._load_time() for _ in range(times)]

    def _load_time(self) -> float:
        cell = Cell(self._library, self._made_setups(), self._slots, portable=self._portable)
        begun = perf_counter()
        guests = [cell.load(spec, code) for spec, code in self._sources]
        taken = perf_counter() - begun
        del guests  # what they hold is let go of outside the time
        return taken

    def _loaded(self, spec: Spec, code: Code) -> Guest:
        source = spec, code()
        guest = self._loaded_here(*source) if self.isolation == THREAD else self._loaded_there(*source)
        self._sources.append(source)
        self.watched.append(guest)
        return guest

    def _loaded_here(self, spec: Spec, code: tuple[bytes, ...]) -> Guest:
        cell = WatchedCell(self._library, self._made_setups(), self._slots, portable=self._portable)
        guest = cell.load(spec, code)
        guest.tell = self.seen.append
        return guest

    def _loaded_there(self, spec: Spec, code: tuple[bytes, ...]) -> Guest:
        if spec.kind not in self._cells:
            self._cells[spec.kind] = self._watching(spec.kind, PARTS, self.seen.append)
        return self._cells[spec.kind].load(spec, lambda: code)

    def _watching(self, kind: str, watched: str, tell: Callable[[Seen], object]) -> WatchedProcesses:
        return WatchedProcesses(
            self._library,
            self._setups[kind],
            1,
            event=self._event,
            portable=self._portable,
            watched=watched,
            tell=tell,
        )
