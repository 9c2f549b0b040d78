"""Decisions without a hook around them: by a guard in this process, its policies here (`library`) or in jailed
processes (`cell`).

1. What a guard is asked about is a mapping, as programs have it: reading it is part of a decision.
2. Everything is measured beside the null policy, asked about the same events: that is what the host takes by itself.
3. A policy is asked about the events that it judges: about others nobody asks it.
4. Where nobody could judge there is nothing to measure: that is an error, and not a very fast deny.
5. A fault of a policy is a decision, but who reads its time has to know it for one: `faults` tells.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Never

from wasmguard import guard as guards
from wasmguard import plan
from wasmguard.decision import OURSELVES
from wasmguard.errors import HostError
from wasmguard.guard import Guard
from wasmguard.sandbox.isolation import PROCESS, THREAD
from wasmguard.workshop.bench.subjects import NULL, forgotten
from wasmguard.workshop.bench.variant import CHAIN, FLOOR, LIBRARY, POLICY, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wasmguard.decision import Decision
    from wasmguard.event import Event
    from wasmguard.plan import Plan
    from wasmguard.workshop.bench.subjects import Bench
    from wasmguard.workshop.bench.variant import Given


class Asked(Guard):
    """A guard that says so when nobody could judge an event."""

    def unjudged(self, event: Event | Mapping[str, Any], why: str) -> Never:
        """Raises:
        HostError: always.
        """
        raise HostError(why)


@contextmanager
def variants(bench: Bench, given: Sequence[Given], path: str) -> Iterator[list[Variant]]:
    """The null policy, each policy of *bench* that judges some of the events *given*, and all of them as the chain if
    there is more than one, on the *path* `LIBRARY` or `CELL`.

    Raises:
        HostError: if there are no jailed processes here.
    """
    with ExitStack() as open_now:

        def asked(locked: Plan) -> Asked:
            isolation = THREAD if path == LIBRARY else PROCESS
            return open_now.enter_context(Asked(locked, plan.cells(locked, slots=guards.SLOTS, isolation=isolation)))

        where = "in this process" if path == LIBRARY else "in a jailed process"
        alone = [(target, asked(target.plan)) for target in bench.targets]
        judged = [_judged(guard, given) for _, guard in alone]
        some = tuple(sorted({place for places in judged for place in places}))
        null = _variant(asked(bench.null), given, path, some or tuple(range(len(given)))).replaced(
            subject=NULL, kind=FLOOR, about=f"what the host takes by itself, {where}"
        )
        made = [
            _variant(guard, given, path, places).replaced(subject=target.name)
            for (target, guard), places in zip(alone, judged, strict=True)
        ]
        if len(made) > 1:
            made.append(_variant(asked(bench.plan), given, path, some).replaced(subject=CHAIN, kind=CHAIN))
        yield [null, *(one.replaced(floor=null.id, about=f"Guard.decide, {where}") for one in made if one.events)]


def _judged(guard: Guard, given: Sequence[Given]) -> tuple[int, ...]:
    """The events that a policy of *guard* is asked about, by their places."""
    return tuple(
        place
        for place, one in enumerate(given)
        if any(policy.judges(one.fields["hook_event_name"], one.fields.get("tool_name")) for policy in guard.policies)
    )


def faults(variant: Variant) -> dict[int, str]:
    """The events about which some decision of *variant* was a fault, by their places, and what the first one was."""
    return dict(variant.ask.faults) if isinstance(variant.ask, _Asking) else {}


class _Asking:
    """Asks a guard, and remembers what failed."""

    def __init__(self, guard: Guard, given: Sequence[Given]) -> None:
        self.faults: dict[int, str] = {}
        self._decide, self._given, self._fields = guard.decide, given, [one.fields for one in given]

    def __call__(self, place: int) -> Decision:
        try:
            decision = self._decide(self._fields[place])
        except HostError as error:
            raise HostError(f"event `{self._given[place].name}`: nobody could judge it: {error}") from None
        for verdict in decision.verdicts:
            if verdict.fault and verdict.policy != OURSELVES:
                self.faults.setdefault(place, verdict.fault)
        return decision


def _variant(guard: Guard, given: Sequence[Given], path: str, events: tuple[int, ...]) -> Variant:
    """What asks *guard* about the *events*."""
    ask = _Asking(guard, given)
    return Variant(path=path, subject="", kind=POLICY, events=events, ask=ask, reset=forgotten(guard.plan))
