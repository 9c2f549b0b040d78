"""Where the time of a decision goes.

The guard makes it, with its policy in a jailed process; in turns with that, another guard whose policy is watched there
(`wasmguard.sandbox.watching`), and both ends are done by hand, in the very steps of `Policy.ask`. Only where there are
no processes a policy is asked in this one.

1. `encode` makes the request, `decode` reads the answer; for a policy in Rego both with its JSON. They are done by
   hand, and the clock is looked at between them.
2. `instantiate` and `evaluate` are what `wasmguard.sandbox.watched` calls so, as the policy's cell saw them; `carry` is
   the rest of the way to that cell and back, and there is none without processes. They are those of the watched
   decision: in its proportions, of the time that an unwatched one takes.
3. `gate` is all that the unwatched decision takes beyond these: the event is read, the guard protects itself, the
   answer is held against its grants, the chain settles, a state is recalled and kept.
4. Of each event, each time is the median over all passes; each figure is the mean of these over the events that the
   policy is asked about, each with the same weight. So all parts together come to a decision.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from statistics import fmean, median
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any

from wasmguard import plan
from wasmguard.agents import claude
from wasmguard.errors import GuestFault
from wasmguard.guard import SLOTS
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.guest.opa import answer as as_answer
from wasmguard.guest.opa import as_input
from wasmguard.policy import Encoder, Policy
from wasmguard.sandbox.isolation import PROCESS
from wasmguard.sandbox.watching import WatchedCells, isolation
from wasmguard.value import Value
from wasmguard.workshop.bench.exact import TIME, begin_anew
from wasmguard.workshop.bench.inside import Asked
from wasmguard.workshop.bench.variant import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wasmguard.decision import Verdict
    from wasmguard.event import Event
    from wasmguard.guard import Guard
    from wasmguard.plan import Plan
    from wasmguard.sandbox.isolation import Cells
    from wasmguard.workshop.bench.subjects import Target
    from wasmguard.workshop.bench.variant import Given

    Round = tuple[Event, bytes | None]  # what a policy is asked about, and what it remembers then

SEEN = ("instantiate", "evaluate", "carry")  # of a watched guest
LEAST = 3  # passes, however long they take
PATIENCE = 3  # times the seconds, after which even those are cut short


class Times(Value):
    """What was taken of one event, in nanoseconds, one for each pass."""

    encode: list[int]
    decode: list[int]
    decision: list[int]
    """The guard's decision."""
    watched: list[int]
    """The same decision while the policy is watched."""
    instantiate: list[int]
    """In the watched decision, as `evaluate` and `carry`: for their proportions."""
    evaluate: list[int]
    carry: list[int]
    """Empty if guests run in this process."""

    @classmethod
    def none_yet(cls) -> Times:
        return cls(**{name: [] for name in cls._fields})


def split(target: Target, given: Sequence[Given], seconds: float) -> dict[str, float | None]:
    """Microseconds of each of `PARTS` in a decision of the policy; None for what there is not: no event that it is
    asked about, no processes here.

    Raises:
        HostError: if no process can be started.
    """
    own, until, where = target.plan, monotonic() + seconds, isolation()
    with ExitStack() as until_done:
        cells = plan.cells(own, slots=SLOTS, isolation=where, processes=1)
        guard = until_done.enter_context(_NotingGuard(own, cells))
        asked = _asked_about(guard, given)
        if not asked:
            return dict.fromkeys(PARTS)
        watched = WatchedCells(own.made["library"], own.setups, slots=SLOTS, event=own.event, isolation=where)
        watching = until_done.enter_context(_WatchingGuard(own, watched))
        _Turns(asked, _ByHand(own, cells), guard, watching).taken(until, until + (PATIENCE - 1) * seconds)
        return told([one.times for one in asked])


def told(times: Sequence[Times]) -> dict[str, float | None]:
    """The figures that *times* of some events come to, by rule 4."""
    each = [_of_event(one) for one in times]
    return {part: _mean([figures.get(part) for figures in each]) for part in PARTS}


def _of_event(times: Times) -> dict[str, float]:
    middle: dict[str, float] = {name: median(taken) for name, taken in times.as_dict().items() if taken}
    scale = middle["decision"] / middle["watched"] if middle["watched"] else 0
    parts = {"encode": middle["encode"], "decode": middle["decode"]}
    parts |= {part: middle[part] * scale for part in SEEN if part in middle}
    # A difference: where a guest takes milliseconds, noise can make it less than nothing. Then it is nothing, and the
    # parts come to that much more than the decision.
    return parts | {"gate": max(0, middle["decision"] - sum(parts.values()))}


def _mean(nanoseconds: Sequence[float | None]) -> float | None:
    known = [taken for taken in nanoseconds if taken is not None]
    return round(fmean(known) / 1000, 3) if known else None


class _Noting(Policy):
    """A policy that keeps what it is asked."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: list[Round] = []

    def ask(self, event: Event, state: bytes | None = None, *, at_once: bool = False) -> Verdict:
        self.asked.append((event, state))
        return super().ask(event, state, at_once=at_once)


class _NotingGuard(Asked):
    """A guard that can tell what its policies are asked."""

    def __init__(self, locked: Plan, cells: Cells) -> None:
        super().__init__(locked, cells)
        self._encoded = Encoder()

    def asked_about(self, event: Event) -> list[Round]:
        """What the policies are asked for one decision about *event*."""
        own = self.policies
        noting = tuple(_Noting(planned, self.cells, self._encoded, self._store) for planned in self.plan.policies)
        try:
            self._asks(noting)
            self.decide(event)
        finally:
            self._asks(own)
        return [asked for policy in noting for asked in policy.asked]

    def _asks(self, policies: tuple[Policy, ...]) -> None:
        self.policies = policies
        self._routes.clear()  # they lead to the others


class _WatchingGuard(Asked):
    """A guard whose policy is watched."""

    def __init__(self, locked: Plan, cells: WatchedCells) -> None:
        super().__init__(locked, cells)
        self._seen, self._carries = cells.seen, cells.isolation == PROCESS

    def watch(self, fields: Mapping[str, Any], times: Times) -> None:
        """Decide, and note into *times* how long that took, and what was seen."""
        self._seen.clear()
        times.watched.append(_taken(self, fields))
        times.instantiate.append(sum(seen.instantiate for seen in self._seen))
        times.evaluate.append(sum(seen.evaluate for seen in self._seen))
        if self._carries:
            times.carry.append(sum(seen.carry for seen in self._seen))


class _ByHand:
    """A policy that is asked step by step, as `Policy.ask` does it."""

    def __init__(self, locked: Plan, cells: Cells) -> None:
        """Ask the policy of *locked*, whose guest is in *cells*."""
        self._planned = planned = locked.policies[0]
        self._reads = None if planned.reads is None else frozenset(planned.reads)
        self._settings = encode_settings(planned.settings)
        # What stands before a policy in Rego belongs to encode and decode.
        self._guest = plan.guest(planned.replaced(entrypoint=""), cells)

    def ask(self, rounds: Sequence[Round], times: Times) -> None:
        """Ask as often as one decision does, and note into *times* what each step took."""
        steps = [self._steps(event, state) for event, state in rounds]
        times.encode.append(sum(encode for encode, _ in steps))
        times.decode.append(sum(decode for _, decode in steps))

    def _steps(self, event: Event, state: bytes | None) -> tuple[int, int]:
        """Nanoseconds to encode and to decode."""
        entrypoint, now = self._planned.entrypoint, perf_counter_ns
        marks = [now()]
        with suppress(GuestFault):  # what failed took its time too
            asked = request(encode_event(event, self._reads), self._settings, state)
            if entrypoint:
                asked = as_input(asked)
            marks.append(now())
            answer, _ = self._guest.evaluate(asked)
            marks.append(now())
            decode_answer(as_answer(answer, entrypoint) if entrypoint else answer)
        marks.append(now())
        begun, encoded, answered, decoded = marks + [marks[-1]] * (4 - len(marks))
        return encoded - begun, decoded - answered


class _Asked:
    """One event, and what is known of it."""

    def __init__(self, fields: Mapping[str, Any], rounds: Sequence[Round]) -> None:
        self.fields, self.rounds, self.times = fields, rounds, Times.none_yet()


def _asked_about(guard: _NotingGuard, given: Sequence[Given]) -> list[_Asked]:
    """Those of *given* that the policy of *guard* is asked about."""
    begin_anew(guard.plan)
    asked = []
    for one in given:
        event = claude.from_mapping(one.fields, time=TIME)
        if rounds := guard.asked_about(event):
            asked.append(_Asked(one.fields, rounds))
    return asked


class _Turns:
    """The ways to one decision, taken in turns: each goes through all events without a pause, or its cell would fall
    asleep (`frames.SPIN`) while another one is asked."""

    def __init__(self, asked: Sequence[_Asked], by_hand: _ByHand, guard: Guard, watching: _WatchingGuard) -> None:
        self._asked, self._by_hand, self._guard, self._watching = asked, by_hand, guard, watching
        self._ways: tuple[Callable[[_Asked], None], ...] = (self._decided, self._watched, self._both_ends)

    def taken(self, until: float, latest: float) -> None:
        """Go through all that is asked, in changing order, until the time *until* if that is often enough, and never
        again after *latest*."""
        passes = 0
        while not passes or monotonic() < until or (passes < LEAST and monotonic() < latest):
            for place in range(len(self._ways)):
                way = self._ways[(passes + place) % len(self._ways)]
                begin_anew(self._guard.plan)
                for one in self._asked:
                    way(one)
            passes += 1

    def _decided(self, one: _Asked) -> None:
        one.times.decision.append(_taken(self._guard, one.fields))

    def _watched(self, one: _Asked) -> None:
        self._watching.watch(one.fields, one.times)

    def _both_ends(self, one: _Asked) -> None:
        self._by_hand.ask(one.rounds, one.times)


def _taken(guard: Guard, fields: Mapping[str, Any]) -> int:
    begun = perf_counter_ns()
    guard.decide(fields)
    return perf_counter_ns() - begun
