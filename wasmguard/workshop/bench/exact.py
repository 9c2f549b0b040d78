"""What a policy costs without any noise: fuel, memory, sizes, and how much of its limits that is.

1. Fuel is burned in the guard's own decision, in a jailed process, with an event whose time is always the same. What a
   policy remembers begins empty, and the events come in their order. In this process nothing of a policy runs, unless
   the system has no others.
2. Everything is decided twice. Fuel that is not the same both times is an error: then nothing of this means anything.
3. The clock ends nobody here: only its share of the limit is told. So fuel does not depend on how busy the machine is.
4. Fuel of an event is that of its whole decision: a policy that rewrites is asked again. Shares of a limit are those of
   one evaluation, because that is what the limit is about.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from statistics import median, median_low
from typing import TYPE_CHECKING, Any

from wasmguard.agents import claude
from wasmguard.decision import OURSELVES
from wasmguard.errors import GuestFault, HostError
from wasmguard.guard import SLOTS
from wasmguard.limits import HARD_MAX
from wasmguard.plan import guest as guest_of
from wasmguard.sandbox.watching import WatchedCells, isolation
from wasmguard.text import one_line
from wasmguard.value import Value, same
from wasmguard.workshop.bench.inside import Asked
from wasmguard.workshop.bench.subjects import forgotten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.decision import Decision, Verdict
    from wasmguard.event import Event
    from wasmguard.guard import Guard
    from wasmguard.plan import Plan
    from wasmguard.sandbox.watched import Seen
    from wasmguard.workshop.bench.subjects import Target
    from wasmguard.workshop.bench.variant import Given

TIME = 1_700_000_000_000
"""When all events happen, Unix milliseconds: one that no policy can tell from another run's."""

WORDS, VALUE = 300, 100  # characters of an answer in words, and of a value in it
LOADS = 5
SLOWEST, AGAIN = 3, 5  # evaluations whose time is taken again, and how often
EFFECTS = ("pass", "allow", "ask", "deny", "rewrite", "fault")  # what an event can come to


class Judged(Value):
    """What one event came to."""

    event: Event
    decision: Decision
    verdicts: tuple[Verdict, ...]
    """The policy's own, one for each time that it was asked."""
    seen: tuple[Seen, ...]
    """Its evaluations."""

    @property
    def fuel(self) -> int | None:
        """Of the whole decision; None if it was not asked, or nobody could measure it."""
        burned = [verdict.fuel for verdict in self.verdicts]
        return sum(fuel for fuel in burned if fuel is not None) if burned and None not in burned else None

    @property
    def came_to(self) -> str:
        """The one word for it: `fault`, `rewrite`, or the effect; nothing if the guard refused it before the policy was
        asked, which is no answer of the policy's."""
        if not self.verdicts:
            return ""
        if self.fault:
            return "fault"
        if any(verdict.rewrite is not None or verdict.output is not None for verdict in self.verdicts):
            return "rewrite"
        return self.decision.effect.name.lower()

    @property
    def fault(self) -> str:
        """Why the policy failed, in our words; empty if it did not."""
        return next((verdict.fault for verdict in self.verdicts if verdict.fault), "")

    @property
    def answer(self) -> str:
        """What the agent would get, in words, cut."""
        decision, effect = self.decision, self.decision.effect.name.lower()
        reasons = "; ".join(dict.fromkeys(verdict.reason or verdict.fault for verdict in decision.because))
        said = [f"{effect}: {reasons}" if reasons else effect]
        given = self.event.input
        said += [
            f"rewrite `{name}` to `{_shown(value)}`"
            for name, value in (decision.rewrite or {}).items()
            if not same(value, given.get(name))
        ]
        said += [f"rewrite the output to `{_shown(decision.output)}`"] if decision.output is not None else []
        said += [f"add `{_shown(self._context)}`"] if self._context else []
        return one_line("; ".join(said if len(said) == 1 or reasons or effect != "pass" else said[1:]), WORDS)

    @property
    def _context(self) -> str:
        return next((verdict.context for verdict in reversed(self.verdicts) if verdict.context), "")

    @property
    def digest(self) -> str:
        """Of all that the agent would get. Without the policy's name, which another version of it does not have."""
        decision = self.decision
        said = {
            "effect": decision.effect.name.lower(),
            "reasons": [verdict.reason for verdict in decision.because],
            "rewrite": decision.rewrite,
            "output": decision.output,
            "context": self._context,
            "faults": [verdict.fault for verdict in decision.verdicts if verdict.fault],
            "interrupt": decision.interrupt,
            "permissions": list(decision.permissions),
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def exact(target: Target, given: Sequence[Given]) -> dict[str, Any]:
    """An entry of `policies` in the document, without `split`.

    Raises:
        HostError: if fuel differs from one run to the next, the guard itself fails, or no process can be started.
        EventError: if something in *given* is no event.
    """
    own = _without_clock(target.plan)
    cells = WatchedCells(own.made["library"], own.setups, slots=SLOTS, event=own.event, isolation=isolation())
    with Asked(own, cells) as guard:  # who closes the cells, too
        guest_of(own.policies[0], cells)  # also if no event concerns it: its load time is told
        first, judged = (_judged(guard, cells, given) for _ in range(2))
        for one, before, after in zip(given, first, judged, strict=True):
            _check_same(target.name, one.name, before, after)
        asked = [one for one in judged if one is not None]
        memory, slowest, load = _memory(asked, cells), _slowest(asked, cells), median(cells.load_times(LOADS))
    planned, limits = target.planned, target.planned.limits
    fuel = [None if one is None else one.fuel for one in judged]
    return {
        "name": target.name,
        "module": target.shown,
        "sha256": planned.sha256,
        "kind": planned.kind,
        "bytes": len(target.bundle.module),
        "compile": target.told.seconds,
        "load": load,
        "limits": {name: limits[name] for name in ("fuel", "memory", "clock", "module")},
        "fuel": {**_spread([burned for burned in fuel if burned is not None]), "events": fuel},
        "memory": memory,
        "used": {
            "fuel": max((seen.fuel or 0 for one in asked for seen in one.seen), default=0) / limits["fuel"],
            "memory": (memory or 0) / limits["memory"],
            "clock": slowest / 1e6 / limits["clock"],
            "module": len(target.bundle.module) / limits["module"],
        },
        "effects": {name: sum(one.came_to == name for one in asked) for name in EFFECTS},
        "decisions": [None if one is None else one.digest for one in judged],
        "answers": [None if one is None else one.answer for one in judged],
        "faults": [None if one is None else one.fault for one in judged],
    }


def begin_anew(locked: Plan) -> None:
    """Let the policies of *locked* forget what they remember."""
    if forget := forgotten(locked):
        forget()


def _without_clock(plan: Plan) -> Plan:
    policies = (policy.replaced(limits={**policy.limits, "clock": HARD_MAX.clock}) for policy in plan.policies)
    return plan.replaced(policies=tuple(policies))


def _judged(guard: Guard, cells: WatchedCells, given: Sequence[Given]) -> list[Judged | None]:
    """What each event comes to when nothing is remembered yet; None where the policy is not concerned."""
    begin_anew(guard.plan)
    return [_one(guard, cells, one) for one in given]


def _one(guard: Guard, cells: WatchedCells, one: Given) -> Judged | None:
    event = claude.from_mapping(one.fields, time=TIME)
    if not guard.policies[0].judges(event.name, event.tool):
        return None
    cells.seen.clear()
    decision = guard.decide(event)
    own = tuple(verdict for verdict in decision.verdicts if verdict.policy != OURSELVES)
    return Judged(event=event, decision=decision, verdicts=own, seen=tuple(cells.seen))


def _check_same(policy: str, event: str, before: Judged | None, after: Judged | None) -> None:
    if before is None or after is None or before.fuel is None or after.fuel is None:
        return  # not concerned, or stopped by the clock, which is not exact
    if (before.fuel, before.digest) == (after.fuel, after.digest):
        return
    what = f"{before.fuel:_} fuel and then {after.fuel:_}" if before.fuel != after.fuel else "two answers"
    raise HostError(f"`{policy}`: `{event}` came to {what}: verdicts must be pure: please report it")


def _memory(asked: Sequence[Judged], cells: WatchedCells) -> int | None:
    """The most that any event took; of what cannot be seen, the least with which the most expensive one is judged."""
    evaluations = [seen for one in asked for seen in one.seen]
    if seen := [seen.memory for seen in evaluations if seen.memory is not None]:
        return max(seen)
    answered = [seen for seen in evaluations if seen.fuel is not None]
    if not answered:
        return None
    return cells.least_memory(0, max(answered, key=lambda seen: seen.fuel or 0).request)


def _slowest(asked: Sequence[Judged], cells: WatchedCells) -> float:
    """Nanoseconds of the slowest evaluation: the largest of the medians, each over some evaluations of one request.

    The longest single time would be the machine's: it is told with the times, not as a share of a limit."""
    evaluations = sorted((seen for one in asked for seen in one.seen), key=lambda seen: -seen.nanoseconds)[:SLOWEST]
    return max((median(_again(seen.request, cells) or [seen.nanoseconds]) for seen in evaluations), default=0)


def _again(request: bytes, cells: WatchedCells) -> list[int]:
    """Nanoseconds of a few more evaluations; none of a guest whose cells died, one after the other."""
    cells.seen.clear()
    for _ in range(AGAIN):
        with suppress(GuestFault):
            cells.watched[0].evaluate(request)
    return [seen.nanoseconds for seen in cells.seen]


def _spread(burned: Sequence[int]) -> dict[str, int | None]:
    """Least, middle and most; the middle is one that was burned, never a mean of two."""
    if not burned:
        return {"min": None, "median": None, "max": None}
    return {"min": min(burned), "median": median_low(burned), "max": max(burned)}


def _shown(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), VALUE)
