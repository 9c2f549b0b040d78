"""How an evaluation fails, as four plain values, and the fault that they amount to.

A cell may be another process, and that process is not trusted: it may say which failure it was (a kind, two numbers
and a text), never the sentence. The sentence is made here, in the process that decides, in the same way for every kind
of cell. Only `REFUSED` and `REPORTED` carry a text; it is cleaned and quoted as anybody's.
"""

from __future__ import annotations

from wasmguard.errors import (
    GuestFault,
    InvalidAnswer,
    OutOfFuel,
    OutOfMemory,
    OutOfTime,
    StackOverflow,
    Trapped,
)
from wasmguard.guest import abi
from wasmguard.sandbox import traps as c
from wasmguard.sandbox.at_once import BYTES, Pace, used_up
from wasmguard.text import one_line, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasmguard.limits import Limits

    Failure = tuple[int, int, int, str]

TRAP = 1  # number of the trap, phase
REFUSED = 2  # an error of the engine that is no trap; phase; the engine's words
ROOM = 3  # the address that alloc gave, the size that was wanted
RANGE = 4  # address and length of what evaluate named
REPORTED = 5  # the error arm of a component, its text
LAST = REPORTED  # no kind of fault has a higher number
NOT_AT_ONCE = 6  # no fault: number of the trap that ended it before it had everything. See `sandbox.at_once`

PHASES = ("start", abi.INITIALIZE, abi.ALLOC, abi.EVALUATE, abi.COMPONENT_EXPORT)
UNKNOWN = 255  # a trap without a number
TEXT = 500  # characters of a text in a failure


class Failed(Exception):
    """An evaluation that failed."""

    fuel: int | None = None
    """What the guest had burned by then; None where nobody could measure it."""

    def __init__(self, kind: int, first: int = 0, second: int = 0, text: str = "") -> None:
        super().__init__(kind, first, second, text)
        self.failure: Failure = (kind, first, second, one_line(text, TEXT))

    @property
    def out_of_time(self) -> bool:
        """Whether the clock ended it. What the engine then says about fuel is stale."""
        return self.failure[:2] == (TRAP, c.INTERRUPT)


class Runs:
    """A loaded guest, whose failures become faults here."""

    quick = True
    """Whether its kind starts soon enough to be asked at once."""

    def __init__(self, limits: Limits, answer: int) -> None:
        """Run it under *limits*; an answer may have *answer* bytes."""
        self._limits, self._answer = limits, answer
        self._pace = Pace(limits, quick=self.quick, warm=False)

    def warm(self) -> None:
        """Make what the engine makes at the first instance, before this process is shut in. Runs no guest code."""

    def run(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """The guest's answer to *request*, and the fuel it took; *at_once* with little fuel and time.

        Raises:
            Failed: if it gave none.
        """
        raise TypeError("the kind of guest decides")

    def run_at_once(self, request: bytes) -> tuple[bytes, int]:
        """As `run`, with little; what that was not enough for fails as `NOT_AT_ONCE`. See `sandbox.at_once`."""
        if not self.quick:
            raise Failed(NOT_AT_ONCE)
        try:
            answer, fuel = self.run(request, at_once=True)
        except Failed as failed:
            if failed.out_of_time:
                raise Failed(NOT_AT_ONCE, c.INTERRUPT) from None
            if used_up(failed.fuel, self._limits):
                raise Failed(NOT_AT_ONCE, c.OUT_OF_FUEL) from None
            raise
        if len(answer) > BYTES or used_up(fuel, self._limits):
            raise Failed(NOT_AT_ONCE, c.OUT_OF_FUEL)
        return answer, fuel

    def evaluate(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """The guest's answer to *request*, and the fuel it took.

        Raises:
            GuestFault: whatever the guest did wrong; its `fuel` says what was burned by then.
            NotAtOnce: only with *at_once*, if that may take longer than an event loop may wait: ask again in a thread.
        """
        begun = self._pace.begin(request) if at_once else 0.0
        try:
            said = self.run_at_once(request) if at_once else self.run(request)
        except Failed as failed:
            if failed.failure[0] == NOT_AT_ONCE:
                raise self._pace.stopped(failed.failure[1]) from None
            made = fault(failed.failure, self._limits, self._answer)
            made.fuel = failed.fuel
            raise made from None
        finally:
            if at_once:
                self._pace.took(begun)
        self._pace.warm = True
        return said


def fault(failure: Failure, limits: Limits, answer: int) -> GuestFault:
    """The fault that *failure* means under *limits*, where an answer may have *answer* bytes."""
    kind, first, second, text = failure
    if kind == TRAP:
        return _trapped(first, _phase(second), limits)
    if kind == REFUSED:
        return _refused(_phase(first), text)
    if kind == ROOM:
        return InvalidAnswer(_room(first, second))
    if kind == RANGE:
        return InvalidAnswer(_range(first, second, answer))
    if kind == REPORTED:
        return InvalidAnswer(f"the policy reports an error (untrusted text): {quoted(one_line(text, TEXT))}")
    return Trapped("failed in a way that no policy can: report it")


def _phase(number: int) -> str:
    return PHASES[number] if number < len(PHASES) else "no known phase"


def _trapped(code: int, phase: str, limits: Limits) -> GuestFault:
    if code == c.OUT_OF_FUEL:
        return OutOfFuel(f"out of fuel (limit {limits.fuel:_}): raise `limits.fuel` or fix the policy")
    if code == c.INTERRUPT:
        return OutOfTime(f"out of time (limit {limits.clock} ms): raise `limits.clock` or fix the policy")
    if code == c.STACK_OVERFLOW:
        return StackOverflow(f"stack overflow in {phase} (limit {limits.stack:_} bytes): the policy recurses too deep")
    return Trapped(f"trapped in {phase}: {c.TRAPS.get(code, f'trap {code}')}")


def _refused(phase: str, said: str) -> GuestFault:
    """At the start, only a limit refuses a module that was checked."""
    said = one_line(said, 200)
    if phase == "start":
        raised = "raise `limits.memory` or `limits.table_elements`"
        if "count too high" in said:  # of instances, memories, tables: only a profile says how many
            raised = 'take `limits.profile = "roomy"`'
        return OutOfMemory(f"cannot start within its limits: {said}: {raised}")
    return Trapped(f"failed in {phase}: {said}")


def _room(start: int, size: int) -> str:
    if not start:
        return f"{abi.ALLOC} gave no room for {size:_} bytes: raise `limits.memory` or fix the policy"
    return f"{abi.ALLOC} gave an address outside its memory ({start:#x} for {size:_} bytes)"


def _range(begin: int, length: int, cap: int) -> str:
    if not length:
        return "invalid answer: it is empty"
    if length > cap:
        return f"invalid answer: {length:_} bytes (limit {cap:_}): raise `limits.answer` or fix the policy"
    return f"invalid answer: {length:_} bytes at {begin:#x} are outside its memory"
