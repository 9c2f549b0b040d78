"""Whom to ask, and whom to ask again: the loop that asks strangers.

1. Policies are asked in the owner's order, and each sees the input as those before it left it.
2. If any rewrite happened, every policy that saw another input is asked again about the final one, until nothing
   changes any more. So nobody's rewrite slips past anybody's guard. Who rewrote an input has not agreed to it: it is
   asked again even when somebody else puts that same input back.
3. After `ROUNDS` rounds without rest the decision is DENY, carried by `wasmguard`, which no policy may be called.
4. A DENY ends the asking.
5. A rewrite that changes nothing is no rewrite; else a redirect that repeats itself would void the others' ALLOW.
6. Shadowed policies are asked once, about the original, and never obeyed.

Every verdict is kept in the order given, and one list is settled (`wasmguard.decision`). The chain knows nothing of
wasm: it takes anything that can be asked.
"""

from __future__ import annotations

from wasmguard.decision import OURSELVES, Decision, Effect, Verdict, settle
from wasmguard.limits import ROUNDS
from wasmguard.value import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from wasmguard.event import Event

    class Asked(Protocol):
        """Who can be asked. `ask` does not raise: a failure is a verdict."""

        @property
        def name(self) -> str: ...
        @property
        def shadow(self) -> bool: ...
        def ask(self, event: Event) -> Verdict: ...


def decided(policies: Sequence[Asked], event: Event) -> Decision:
    """What *policies*, in this order, amount to for *event*."""
    verdicts = _asked_until_rest([p for p in policies if not p.shadow], event)
    verdicts += [p.ask(event).replaced(shadow=True) for p in policies if p.shadow]
    decision = settle(verdicts)
    if decision.rewrite is not None and same(decision.rewrite, event.input):  # there and back again
        return decision.replaced(rewrite=None)
    return decision


def _asked_until_rest(policies: Sequence[Asked], event: Event) -> list[Verdict]:
    verdicts: list[Verdict] = []
    agreed: dict[str, Event] = {}  # what each policy last judged and left as it was
    for _ in range(ROUNDS):
        for policy in policies:
            if policy.name in agreed and _same_input(agreed[policy.name], event):
                continue
            verdict = _without_idle_rewrite(policy.ask(event), event)
            verdicts.append(verdict)
            if verdict.effect is Effect.DENY:
                return verdicts
            if verdict.rewrite is None:
                agreed[policy.name] = event
            else:
                agreed.pop(policy.name, None)
                event = event.with_input(verdict.rewrite)
        if len(agreed) == len(policies) and all(_same_input(last, event) for last in agreed.values()):
            return verdicts
    return [
        *verdicts,
        Verdict.failed(OURSELVES, f"no rest after {ROUNDS} rounds: policies keep rewriting each other"),
    ]


def _same_input(one: Event, other: Event) -> bool:
    return one is other or same(one.input, other.input)


def _without_idle_rewrite(verdict: Verdict, event: Event) -> Verdict:
    idle = verdict.rewrite is not None and same(verdict.rewrite, event.input)
    return verdict.replaced(rewrite=None) if idle else verdict
