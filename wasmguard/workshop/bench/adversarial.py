"""Inputs that an agent could craft against its guard: it writes the command, so it writes what the guard has to read.

A guard that takes too long is none, because the client goes on when its hook's time is over; neither is one that reads
the beginning and lets the rest pass. So each input is bulk around a plain one (`crafted`), and must be answered

1. within a bound: the `limits.clock` of each policy for each time that it is asked, what it takes to carry so many
   bytes (`CARRIED`), and `GRACE`; where the guard protects itself, what that may take (`PROTECTING`); and never later
   than a hook has to answer (`DEADLINE`);
2. no looser than the plain input is, by PASS < ALLOW < ASK < DENY; what is rewritten there is rewritten here too, or
   denied.

What is asked is what a hook asks: the bytes, held to the plan's size and to the rules of the dialect, then a guard
whose policies run in jailed processes. A fault is a DENY, so a policy that runs out of fuel stands. One that is built
in and whose owner set nothing may pass everything, which proves nothing: it is tried with the settings of `STRICT`.
"""

from __future__ import annotations

import os
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from wasmguard import plan
from wasmguard.agents import claude
from wasmguard.decision import OURSELVES, Effect, refused
from wasmguard.errors import EventError
from wasmguard.event import OUTPUTS
from wasmguard.guard import Guard
from wasmguard.guest.bundle import BUILTIN
from wasmguard.guest.outputs import NOTICE
from wasmguard.sandbox.isolation import PROCESS, THREAD
from wasmguard.text import one_line
from wasmguard.workshop.bench.crafted import crafted
from wasmguard.workshop.bench.variant import CHAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wasmguard.decision import Decision
    from wasmguard.event import Event
    from wasmguard.plan import Plan, PlannedPolicy
    from wasmguard.workshop.bench.crafted import Crafted
    from wasmguard.workshop.bench.subjects import Bench, Target

DEADLINE = 25_000.0  # milliseconds until a hook answers "no" by itself, `serve.hook.DEADLINE`
GRACE = 150.0  # milliseconds: a busy machine gives a process its turn that much later
READINGS = 2  # how often we go through the bytes before anybody is asked: as JSON, and to refuse them
CARRIED = 16 * 2**20 / 1000  # bytes a millisecond: JSON is read and written at 30 to 300 MB/s, and the machine is busy
PROTECTING = 1_500.0
"""Milliseconds that self-protection may take: it reads 2^20 characters at the most, 1 us each, and looks paths up for
0.25 s (`protection.acts.MOST_READ`, `protection.timed.LONGEST_LOOK`)."""
TRIES = 3  # how often what took too long is asked at the most: the least time counts
SLOTS = 2  # evaluations at the same time; with one, every instance would be made without a pool

STRICT: Mapping[str, Mapping[str, Any]] = {
    "tool-gate": {"deny_commands": ["rm -rf"], "deny_extensions": ["passwd", ".env"]},
    "prompt-guard": {"redact": True},
}
"""Settings of builtin policies under which plain inputs are denied, for those that do nothing by default."""


def tried(bench: Bench, said: Callable[[float], object]) -> Iterator[dict[str, Any]]:
    """What became of each crafted input, for every policy that is asked about such, and for all of them as a chain:
    entries of `adversarial`. *said* is told which share is done."""
    strict = {target.name: target.planned.replaced(settings=_settings(target)) for target in bench.targets}
    plans = [(target.name, _alone(target.plan, strict)) for target in bench.targets]
    if len(plans) > 1:
        plans.append((CHAIN, _with(bench.plan, strict)))
    inputs, done = list(crafted()), 0
    for name, locked in plans:
        with _guard(locked) as guard:
            for one in inputs:
                if any(policy.judges(one.event, one.tool) for policy in guard.policies):
                    yield _tried(guard, name, one)
                done += 1
                said(done / (len(plans) * len(inputs)))


def _alone(locked: Plan, strict: Mapping[str, PlannedPolicy]) -> Plan:
    """The plan of one policy, without what the guard denies by itself, which would hide what the policy lets pass."""
    return _with(locked, strict).replaced(self_protection=False)


def _with(locked: Plan, strict: Mapping[str, PlannedPolicy]) -> Plan:
    return locked.replaced(policies=tuple(strict.get(policy.name, policy) for policy in locked.policies))


def _settings(target: Target) -> Mapping[str, Any]:
    """The settings under which *target* is tried: its own, unless it is built in and has nothing but its defaults."""
    own, manifest = target.planned.settings, target.bundle.manifest
    stricter = STRICT.get(target.reference.removeprefix(BUILTIN), {}) if target.reference.startswith(BUILTIN) else {}
    if not stricter or manifest is None or own != manifest.settled({}, target.name):
        return own
    return {**own, **stricter}


def _guard(locked: Plan) -> Guard:
    isolation = PROCESS if hasattr(os, "fork") else THREAD
    return Guard(locked, plan.cells(locked, slots=SLOTS, isolation=isolation, processes=1))


def _tried(guard: Guard, policy: str, one: Crafted) -> dict[str, Any]:
    """What *guard*, which is called *policy*, makes of the input *one*: an entry of `adversarial`."""
    plain, _ = _decided(guard, one.plain)
    raw = one.raw()
    decision, took = _decided(guard, raw)
    bound = _bound(guard, decision, len(raw))
    for _ in range(TRIES - 1):  # what others did to this machine meanwhile is no fault of a policy's
        if took <= bound:
            break
        repeated, less = _decided(guard, raw)
        took = min(took, less)
        decision = min(decision, repeated, key=lambda one: _strictness(one, plain))
    looser, late = _strictness(decision, plain) == 0, took > bound
    return {
        "policy": policy,
        "input": one.name,
        "bytes": len(raw),
        "milliseconds": round(took, 3),
        "bound": round(bound, 1),
        "plain": _word(plain),
        "effect": _word(decision),
        "fault": next((one_line(verdict.fault, 300) for verdict in decision.because if verdict.fault), ""),
        "ok": not (looser or late),
        "why": _why(decision, plain, looser=looser, late=late),
    }


def _decided(guard: Guard, raw: bytes) -> tuple[Decision, float]:
    """What a hook that was given *raw* answers, and after how many milliseconds."""
    begun = perf_counter_ns()
    try:
        decision = guard.decide(_event(raw, guard.plan.event))
    except EventError as error:
        decision = _refused(guard, raw, str(error))
    return decision, (perf_counter_ns() - begun) / 1e6


def _event(raw: bytes, most: int) -> Event:
    """The event in *raw*, as `serve.answer` reads it.

    Raises:
        EventError: if it is none, or has more than *most* bytes.
    """
    if len(raw) > most:
        raise EventError(f"the event has {len(raw):_} bytes, more than the limit of {most:_}")
    return claude.parse(raw, time=time_ns() // 1_000_000)


def _refused(guard: Guard, raw: bytes, why: str) -> Decision:
    """The answer to bytes that nobody may read: an output in them is withheld if a policy might have rewritten it."""
    name, decision = claude.name_of(raw), refused(why)
    if name in OUTPUTS and guard.may_rewrite_output(claude.unread(raw, name)):
        return decision.replaced(output=NOTICE)
    return decision


def _bound(guard: Guard, decision: Decision, size: int) -> float:
    """Milliseconds within which *decision*, about an event of *size* bytes, had to be made: rule 1."""
    clocks = {policy.name: float(policy.limits["clock"]) for policy in guard.plan.policies}
    asked = [clocks[verdict.policy] for verdict in decision.verdicts if verdict.policy in clocks]
    carrying = (READINGS + len(asked)) * size / CARRIED
    protecting = PROTECTING if guard.plan.self_protection else 0.0
    return min(sum(asked) + carrying + protecting + GRACE, DEADLINE)


def _strictness(decision: Decision, plain: Decision) -> int:
    """0 if *decision* is looser than the one about the *plain* input, else more."""
    if decision.effect < plain.effect or (plain.output is not None and decision.output is None):
        return 0
    if plain.rewrite is not None and decision.rewrite is None and decision.effect is not Effect.DENY:
        return 0
    return 1 + decision.effect


def _why(decision: Decision, plain: Decision, *, looser: bool, late: bool) -> str:
    """In words, why it did not stand, or what there is to know if it did."""
    if looser:
        late_too = ", and it took too long" if late else ""
        return f"looser than `{_word(plain)}` on the plain input{late_too}"
    if late:
        return "it took longer than the bound"
    if plain.faulted and any(verdict.policy != OURSELVES for verdict in plain.because):
        return "a fault on the plain input too, so this says little"
    if any(verdict.policy == OURSELVES for verdict in decision.because):
        return "refused by the guard itself"
    return "a fault counts as deny" if decision.faulted else ""


def _word(decision: Decision) -> str:
    changed = decision.rewrite is not None or decision.output is not None
    return "rewrite" if changed and decision.effect < Effect.ASK else decision.effect.name.lower()
