"""Where the time of a decision goes.

A decision is made by hand, in the very steps of `Policy.ask`, and the clock is looked at between them; in turns with
that, the guard makes it, in a thread and in a jailed process.

1. `encode` makes the request, `decode` reads the answer; for a policy in Rego both with its JSON. `instantiate` and
   `evaluate` are what `wasmguard.sandbox.watched` calls so: in its proportions, of the time that an unwatched guest
   takes.
2. `gate` is all that the guard's own decision takes beyond these four: the event is read, the guard protects itself,
   the answer is held against its grants, the chain settles, a state is recalled and kept.
3. `carry` is what the same decision takes longer where the policy runs in a process.
4. Of each event, each time is the median over all passes; each figure is the mean of these over the events that the
   policy is asked about, each with the same weight. So the first five come to a decision in a thread, and with `carry`
   to one in a process.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from statistics import fmean, median
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any

from wasmguard import plan
from wasmguard.agents import claude
from wasmguard.errors import GuestFault, HostError
from wasmguard.guard import SLOTS
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.guest.opa import answer as as_answer
from wasmguard.guest.opa import as_input
from wasmguard.policy import Encoder, Policy
from wasmguard.sandbox.isolation import PROCESS, THREAD
from wasmguard.sandbox.watched import WatchedCells
from wasmguard.value import Value
from wasmguard.workshop.bench.exact import TIME, begin_anew
from wasmguard.workshop.bench.inside import Asked
from wasmguard.workshop.bench.variant import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wasmguard.decision import Verdict
    from wasmguard.event import Event
    from wasmguard.guard import Guard
    from wasmguard.plan import Plan
    from wasmguard.sandbox.isolation import Cells
    from wasmguard.workshop.bench.subjects import Target
    from wasmguard.workshop.bench.variant import Given

    Round = tuple[Event, bytes | None]  # what a policy is asked about, and what it remembers then

LEAST = 3  # passes, however long they take
PATIENCE = 3  # times the seconds, after which even those are cut short


class Times(Value):
    """What was taken of one event, in nanoseconds, one for each pass."""

    encode: list[int]
    asked: list[int]
    """An unwatched guest, from request to answer."""
    instantiate: list[int]
    """Watched, as `evaluate`: for their proportion."""
    evaluate: list[int]
    decode: list[int]
    thread: list[int]
    """The guard's decision, with guests in this process."""
    process: list[int]
    """The same with guests in another one; empty if there is none."""

    @classmethod
    def none_yet(cls) -> Times:
        return cls(**{name: [] for name in cls._fields})


def split(target: Target, given: Sequence[Given], seconds: float) -> dict[str, float | None]:
    """Microseconds of each of `PARTS` in a decision of the policy; None for what there is not: no event that it is
    asked about, no processes here."""
    with ExitStack() as until_done:
        own, until = target.plan, monotonic() + seconds
        here = plan.cells(own, slots=SLOTS, isolation=THREAD)
        asked = _asked_about(own, here, given)
        if not asked:
            return dict.fromkeys(PARTS)
        thread = until_done.enter_context(Asked(own, here))
        process = _jailed(own)
        if process is not None:
            until_done.enter_context(process)
        _Turns(asked, _ByHand(own, here), thread, process).taken(until, until + (PATIENCE - 1) * seconds)
        return told([one.times for one in asked])


def told(times: Sequence[Times]) -> dict[str, float | None]:
    """The figures that *times* of some events come to, by rule 4."""
    each = [_of_event(one) for one in times]
    return {part: _mean([figures[part] for figures in each]) for part in PARTS}


def _of_event(times: Times) -> dict[str, float | None]:
    middle: dict[str, float] = {name: median(taken) for name, taken in times.as_dict().items() if taken}
    watched = middle["instantiate"] + middle["evaluate"]
    share = middle["instantiate"] / watched if watched else 0
    known = middle["encode"] + middle["asked"] + middle["decode"]
    return {
        "encode": middle["encode"],
        "instantiate": middle["asked"] * share,
        "evaluate": middle["asked"] * (1 - share),
        "decode": middle["decode"],
        # Both are differences: where a guest takes milliseconds, noise can make them less than nothing. Then they are
        # nothing, and the parts come to that much more than the decision.
        "gate": max(0, middle["thread"] - known),
        "carry": max(0, middle["process"] - middle["thread"]) if "process" in middle else None,
    }


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
    """A guard whose policies do."""

    def __init__(self, locked: Plan, cells: Cells) -> None:
        super().__init__(locked, cells)
        encoded = Encoder()
        self.noting = tuple(_Noting(planned, cells, encoded, self._store) for planned in locked.policies)
        self.policies = self.noting

    def asked_about(self, event: Event) -> list[Round]:
        """What the policies are asked for one decision about *event*."""
        for policy in self.noting:
            policy.asked.clear()
        self.decide(event)
        return [asked for policy in self.noting for asked in policy.asked]


class _ByHand:
    """A policy that is asked step by step, as `Policy.ask` does it."""

    def __init__(self, locked: Plan, cells: Cells) -> None:
        """Ask the policy of *locked*, whose guest is in *cells* and, watched, in others."""
        self._planned = planned = locked.policies[0]
        self._reads = None if planned.reads is None else frozenset(planned.reads)
        self._settings = encode_settings(planned.settings)
        watched = WatchedCells(locked.made["library"], locked.setups, slots=SLOTS, event=locked.event)
        bare = planned.replaced(entrypoint="")  # what stands before a policy in Rego belongs to other parts
        self._guest, self._watched, self._seen = plan.guest(bare, cells), plan.guest(bare, watched), watched.seen

    def ask(self, rounds: Sequence[Round], times: Times) -> None:
        """Ask as often as one decision does, and note into *times* what each step took."""
        steps = [self._steps(event, state) for event, state in rounds]
        for noted, taken in zip((times.encode, times.asked, times.decode), zip(*steps, strict=True), strict=True):
            noted.append(sum(taken))
        times.instantiate.append(sum(seen.instantiate for seen in self._seen))
        times.evaluate.append(sum(seen.evaluate for seen in self._seen))
        self._seen.clear()

    def _steps(self, event: Event, state: bytes | None) -> tuple[int, int, int]:
        """Nanoseconds to encode, to have it answered, and to decode."""
        entrypoint, now = self._planned.entrypoint, perf_counter_ns
        marks, asked = [now()], b""
        with suppress(GuestFault):  # what failed took its time too
            asked = request(encode_event(event, self._reads), self._settings, state)
            if entrypoint:
                asked = as_input(asked)
            marks.append(now())
            answer, _ = self._guest.evaluate(asked)
            marks.append(now())
            decode_answer(as_answer(answer, entrypoint) if entrypoint else answer)
        marks.append(now())
        if asked:
            with suppress(GuestFault):
                self._watched.evaluate(asked)
        begun, encoded, answered, decoded = marks + [marks[-1]] * (4 - len(marks))
        return encoded - begun, answered - encoded, decoded - answered


class _Asked:
    """One event, and what is known of it."""

    def __init__(self, fields: Mapping[str, Any], rounds: Sequence[Round]) -> None:
        self.fields, self.rounds, self.times = fields, rounds, Times.none_yet()


def _asked_about(locked: Plan, cells: Cells, given: Sequence[Given]) -> list[_Asked]:
    """Those of *given* that the policy of *locked*, whose guest is in *cells*, is asked about."""
    begin_anew(locked)
    asked = []
    with _NotingGuard(locked, cells) as guard:
        for one in given:
            event = claude.from_mapping(one.fields, time=TIME)
            if rounds := guard.asked_about(event):
                asked.append(_Asked(one.fields, rounds))
    return asked


def _jailed(locked: Plan) -> Guard | None:
    """A guard whose policies run in a process; None if there can be none here."""
    try:
        cells = plan.cells(locked, slots=SLOTS, isolation=PROCESS, processes=1)
    except HostError:
        return None
    guard = Asked(locked, cells)
    try:
        cells.start()
    except HostError:
        guard.close()
        return None
    return guard


class _Turns:
    """The ways to one decision, taken in turns."""

    def __init__(self, asked: Sequence[_Asked], by_hand: _ByHand, thread: Guard, process: Guard | None) -> None:
        self._asked, self._by_hand, self._thread, self._process = asked, by_hand, thread, process

    def taken(self, until: float, latest: float) -> None:
        """Go through all that is asked, in changing order, until the time *until* if that is often enough, and never
        again after *latest*."""
        passes = 0
        while not passes or monotonic() < until or (passes < LEAST and monotonic() < latest):
            for turn in (self._here, self._there) if passes % 2 else (self._there, self._here):
                begin_anew(self._thread.plan)
                turn(passes % 4 < 2)
            passes += 1

    def _here(self, by_hand_first: bool) -> None:
        for one in self._asked:
            if by_hand_first:
                self._by_hand.ask(one.rounds, one.times)
            one.times.thread.append(_taken(self._thread, one.fields))
            if not by_hand_first:
                self._by_hand.ask(one.rounds, one.times)

    def _there(self, _: bool) -> None:
        if self._process is None:
            return
        for one in self._asked:
            one.times.process.append(_taken(self._process, one.fields))


def _taken(guard: Guard, fields: Mapping[str, Any]) -> int:
    begun = perf_counter_ns()
    guard.decide(fields)
    return perf_counter_ns() - begun
