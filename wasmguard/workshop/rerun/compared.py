"""Whether what was decided again is what was decided: verdict by verdict, byte by byte.

1. The verdicts of the policies are compared in their order, in all that a policy says and all that the host made of it.
   How long it took is not compared; fuel only under the same engine, which defines it.
2. What the guard itself said is taken as recorded: it looked at the machine, at marks and at exceptions of that moment.
   But what it says because the policies found no rest, it must have said.
3. The first difference decides what kind it is:
   - `CLOCK`: one of both never came to an answer and burned no known amount of fuel: a limit of time, or the machine.
   - `FILES`: the same answer to the byte, and a grant for paths that held once and not the other time: it looks at
     symlinks (`wasmguard.guest.paths`), which come and go.
   - `ANOTHER`: anything else. A pure function does not do that.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from wasmguard.decision import OURSELVES, Effect
from wasmguard.value import Value, same

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wasmguard.decision import Decision, Verdict
    from wasmguard.plan import Plan
    from wasmguard.workshop.rerun.asked import Expected

CLOCK, FILES, ANOTHER = "clock", "files", "another"

Said = dict[str, Any]
"""A verdict as a record has it, defaults left out."""


def _as_it_is(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    return value or ""


def _list(value: Any) -> Any:
    return list(value or ())


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "policy": _as_it_is,
    "effect": lambda value: value or "pass",
    **dict.fromkeys(("reason", "fault", "context", "of", "answer"), _text),
    **dict.fromkeys(("rewrite", "output", "state"), _as_it_is),
    **dict.fromkeys(("permissions", "notes"), _list),
    **dict.fromkeys(("interrupt", "shadow"), bool),
}
"""What is compared, in this order, and what of it counts: what a record leaves out is as by default."""
_EFFECTS = [effect.name.lower() for effect in Effect]
_NOT_SAID = frozenset({"given", "microseconds", "answer"})
_BESIDE = frozenset({"given", "us", "module", "settings"})  # in a record, and not what a policy said
_DEEP = frozenset({"rewrite", "output", "permissions", "notes"})
_UNLESS_NONE = frozenset({"fuel", "state"})


class Difference(Value):
    """The first thing that is not as it was recorded."""

    kind: str
    policy: str
    what: str
    """Which part of its verdict."""
    recorded: Any = None
    now: Any = None


def difference(recorded: Sequence[Said], decision: Decision, plan: Plan, *, fuel: bool) -> Difference | None:
    """What differs between the *recorded* verdicts of a decision by *plan* and the *decision* that was made again;
    None if nothing does. *fuel* says whether that must be the same, too."""
    before = [said for said in recorded if said["policy"] != OURSELVES]
    after = [_said(verdict) for verdict in decision.verdicts if verdict.policy != OURSELVES]
    for one, other in zip(before, after, strict=False):
        if _obviously_same(one, other, fuel=fuel):
            continue
        if what := _differs(one, other, fuel=fuel):
            kind = _kind(one, other, what, plan)
            return Difference(kind=kind, policy=one["policy"], what=what, recorded=one.get(what), now=other.get(what))
    if len(before) != len(after):
        longer = before if len(before) > len(after) else after
        one = longer[min(len(before), len(after))]
        sides = (None, one["effect"]) if longer is after else (one["effect"], None)
        return Difference(kind=ANOTHER, policy=one["policy"], what="verdict", recorded=sides[0], now=sides[1])
    if len(after) < len(decision.verdicts) and len(before) == len(recorded):
        return Difference(kind=ANOTHER, policy=OURSELVES, what="verdict", now="deny")
    return None


def came_out(expected: Expected, decision: Decision, plan: Plan) -> bool:
    """Whether *decision* by *plan*, made again, is to the byte what its record has *expected*."""
    return (
        _EFFECTS[decision.effect] == expected.effect
        and same(decision.rewrite, expected.rewrite)
        and difference(expected.verdicts, decision, plan, fuel=expected.fuel) is None
    )


def _said(verdict: Verdict) -> Said:
    """*verdict* as a record has it."""
    said: Said = {
        name: value for name, value in verdict.__dict__.items() if value is not None and name not in _NOT_SAID
    }
    said["effect"] = _EFFECTS[verdict.effect]
    if verdict.answer:
        said["answer"] = verdict.answer.hex()
    if verdict.state is not None:
        said["state"] = sha256(verdict.state).hexdigest()
    return said


def _obviously_same(one: Said, other: Said, *, fuel: bool) -> bool:
    """Whether both are the same and hold no data in which Python would take 1 for true: most are, and this is quick."""
    if not (fuel and _DEEP.isdisjoint(one)):
        return False
    return {name: value for name, value in one.items() if name not in _BESIDE} == {
        name: value for name, value in other.items() if value or name in _UNLESS_NONE
    }


def _differs(one: Said, other: Said, *, fuel: bool) -> str:
    """The name of the first part in which both differ; empty if there is none."""
    for name, as_it_counts in _PARTS.items():
        if not same(as_it_counts(one.get(name)), as_it_counts(other.get(name))):
            return name
    return "fuel" if fuel and one.get("fuel") != other.get("fuel") else ""


def _kind(one: Said, other: Said, what: str, plan: Plan) -> str:
    if what == "policy":
        return ANOTHER
    if any(said.get("fault") and said.get("fuel") is None and not said.get("answer") for said in (one, other)):
        return CLOCK
    answered = one.get("answer") and one.get("answer") == other.get("answer")
    if answered and bool(one.get("fault")) != bool(other.get("fault")) and _looks_at_paths(one["policy"], plan):
        return FILES
    return ANOTHER


def _looks_at_paths(policy: str, plan: Plan) -> bool:
    grants: list[Mapping[str, Any]] = [planned.grants for planned in plan.policies if planned.name == policy]
    return any("within" in constraint for granted in grants for constraint in granted["rewrite"].values())
