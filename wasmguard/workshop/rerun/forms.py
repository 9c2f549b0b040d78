"""What a pool and its processes say to each other: frames of msgpack, each with its length first.

1. Once: the load message, and back the report of a process that has shut itself in.
2. Then questions in batches, and outcomes in batches, in the order of the questions: `[number, verdicts]`, `[number]`
   where it came to what was expected, or `[number, text]` where nobody could decide; with them what the policies
   remember now. Of a line: `[number, counts, None]`, `[number, None, [verdicts, verdicts, …]]`, `[number]` where
   there is no event in it, or `[number, text]`.
3. What comes back is a claim of strangers: it is read as data of bounded size, every field has its type, and nothing
   else is believed.

Both ends are the same installation, so there is no version in a frame. An integer of more than 64 bits, which JSON can
say and msgpack cannot, goes as JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wasmguard.decision import Decision, Effect, Verdict, settle
from wasmguard.event import Event
from wasmguard.guest.codec import packed
from wasmguard.value import same
from wasmguard.workshop.rerun.asked import Expected, Quiet, Spent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wasmguard.workshop.rerun.asked import Asked, Line

LENGTH = 8  # bytes of a length, big endian
LARGEST = 2**30  # bytes of a load message: native code
LARGEST_SAID = 2**28  # bytes of what a process says at once

_NONE = type(None)
_KINDS: Mapping[str, tuple[type, ...]] = {
    "policy": (str,),
    "effect": (int,),
    "reason": (str,),
    "rewrite": (dict, _NONE),
    "output": (dict, list, str, int, float, bool, _NONE),
    "fault": (str,),
    "context": (str,),
    "interrupt": (bool,),
    "permissions": (list,),
    "notes": (list,),
    "state": (bytes, _NONE),
    "given": (bytes, _NONE),
    "answer": (bytes,),
    "shadow": (bool,),
    "of": (str,),
    "fuel": (int, _NONE),
    "microseconds": (float,),
}
_EFFECTS = {int(effect): effect for effect in Effect}
_UNLESS_NONE = frozenset({"rewrite", "output", "state", "given", "fuel"})
_LOUD = frozenset({"effect", "rewrite", "output", "context", "fault"})
_BARE = Verdict(policy="")  # none has this name
_SILENCE = settle([])


def frame(body: bytes) -> bytes:
    """*body* and its length."""
    return len(body).to_bytes(LENGTH, "big") + body


def batch(parts: Sequence[bytes]) -> bytes:
    """An array of values that are packed already."""
    return b"\xdd" + len(parts).to_bytes(4, "big") + b"".join(parts)  # 0xdd: the header of msgpack's array 32


def question(number: int, plan: int, asked: Asked) -> bytes:
    """*asked* for the process, which knows plans by their numbers.

    Raises:
        ValueError: if nobody could say that.
    """
    event, states = asked.event, asked.states
    about = [event.name, event.agent, event.fields, event.time, event.checked]
    more = [None if states is None else dict(states), list(asked.aside)]
    try:
        return packed([number, plan, *about, *more, *_expectation(asked.expected)])
    except ValueError:  # what was expected is not said then: who asked compares
        return packed([number, plan, *about[:2], _as_json(event.fields), *about[3:], *more])


def line(number: int, asked: Line) -> bytes:
    """*asked* for the process."""
    return packed([number, asked.line])


def is_line(said: Sequence[Any]) -> bool:
    """Whether that was asked by `line`."""
    return len(said) == 2


def _expectation(expected: Expected | None) -> list[Any]:
    return [] if expected is None else [[expected.verdicts, expected.effect, expected.rewrite, expected.fuel]]


def expected(said: Sequence[Any]) -> Expected | None:
    """What is expected of the decision about a question."""
    if len(said) < 10:
        return None
    verdicts, effect, rewrite, fuel = said[9]
    return Expected(verdicts=verdicts, effect=effect, rewrite=rewrite, fuel=fuel)


def _as_json(fields: Mapping[str, Any]) -> str:
    try:
        return json.dumps(fields)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def asked_about(said: Sequence[Any]) -> Event:
    """The event of a question."""
    name, agent, fields, time, checked = said[2:7]
    if type(fields) is str:
        fields = json.loads(fields)
    return Event(name=name, agent=agent, fields=fields, time=time, checked=checked)


def outcome(number: int, decision: Decision) -> list[Any]:
    """What a process says about a question."""
    return [number, told(decision)]


def told(decision: Decision) -> list[dict[str, Any]]:
    """The verdicts of *decision*."""
    return [_told(verdict) for verdict in decision.verdicts]


def quietly(event: Event, decisions: Sequence[Decision], places: Sequence[Mapping[str, int]]) -> list[Any] | None:
    """What a process says about an event if nothing but counts is worth telling, see `Quiet`: *decisions* by plans
    whose policies have these *places*. None if there is more to tell."""
    effect, reason = decisions[0].effect, None
    if len(decisions) == 1 and effect is not Effect.PASS:  # on the other side is nobody
        return None
    spent = []
    for made, place in zip(decisions, places, strict=True):
        if made.effect is not effect or made.rewrite is not None or made.output is not None:
            return None
        if effect is not Effect.PASS:
            if reason is not None and made.reason != reason:
                return None
            reason = made.reason
        costs: list[Any] = []
        for verdict in made.verdicts:
            if verdict.policy not in place:
                return None
            nanoseconds = int(verdict.microseconds * 1000)
            costs.append((place[verdict.policy], bool(verdict.fault), verdict.fuel, nanoseconds))
        spent.append(costs)
    return [event.name, event.tool, event.time, int(effect), spent]


def quiet(said: Sequence[Any], places: Sequence[int]) -> Quiet:
    """What a process claims in the words of `quietly`; each plan has so many *places*.

    Raises:
        Exception: if it is none, as far as types go.
    """
    name, tool, time, effect, spent = said
    if not (type(name) is str and (tool is None or type(tool) is str) and type(time) is int and time >= 0):
        raise ValueError("no event")
    made = [_spent(costs, most) for costs, most in zip(spent, places, strict=True)]
    return Quiet(name, tool, time, _EFFECTS[effect], tuple(made))


def _spent(costs: Sequence[Any], most: int) -> tuple[Spent, ...]:
    made = tuple([Spent(*cost) for cost in costs])
    for policy, faulted, fuel, nanoseconds in made:
        if not (type(policy) is int and 0 <= policy < most and type(faulted) is bool):
            raise ValueError("no policy")
        if not (type(nanoseconds) is int and nanoseconds >= 0 and (fuel is None or (type(fuel) is int and fuel >= 0))):
            raise ValueError("no cost")
    return made


def decision(event: Event, said: Sequence[dict[str, Any]]) -> Decision:
    """The decision about *event* that a process claims.

    Raises:
        Exception: if it is none, as far as types go.
    """
    if not any(map(_is_loud, said)):  # most decisions: nobody had an opinion
        return _SILENCE.replaced(verdicts=tuple(map(_verdict, said)))
    made = settle(map(_verdict, said))
    if made.rewrite is not None and same(made.rewrite, event.input):  # as `wasmguard.chain.decided`
        return made.replaced(rewrite=None)
    return made


def _told(verdict: Verdict) -> dict[str, Any]:
    """*verdict* without what is as by default."""
    held = verdict.__dict__
    return {name: value for name, value in held.items() if value or (name in _UNLESS_NONE and value is not None)}


def _is_loud(said: Mapping[str, Any]) -> bool:
    """Whether a verdict says something that settles into anything but silence."""
    return not _LOUD.isdisjoint(said)


def _verdict(said: dict[str, Any]) -> Verdict:
    for name, value in said.items():
        if type(value) not in _KINDS[name]:
            raise ValueError(f"a verdict's `{name}` has another type")
    if not said.get("policy"):
        raise ValueError("a verdict of nobody")
    if "effect" in said:
        said["effect"] = _EFFECTS[said["effect"]]
    if "notes" in said:
        said["notes"] = tuple(map(str, said["notes"]))
    if "permissions" in said:
        said["permissions"] = tuple(map(dict, said["permissions"]))
    return _BARE.replaced(**said)  # which costs a third of making one
