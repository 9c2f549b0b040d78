"""Whom to ask, and whom to ask again: the loop that asks strangers.

1. Policies are asked in the owner's order, and each sees the input, or the output, as those before it left it.
2. If any rewrite happened, every policy that saw another input is asked again about the final one, until nothing
   changes any more. So nobody's rewrite slips past anybody's guard. Who rewrote an input has not agreed to it: it is
   asked again even when somebody else puts that same input back.
3. After `ROUNDS` rounds without rest the decision is DENY, carried by `wasmguard`, which no policy may be called; an
   output that was rewritten is withheld.
4. A DENY ends the asking where it stops something for good. Elsewhere everybody is asked: whoever takes secrets out of
   an output, keeps statistics or has a reason to go on must not be silenced by another's word, or failure.
5. A rewrite that changes nothing is no rewrite; else a redirect that repeats itself would void the others' ALLOW.
6. Shadowed policies are asked once, about the original, and never obeyed.

Every verdict is kept in the order given, and one list is settled (`wasmguard.decision`). The chain knows nothing of
wasm: it takes anything that can be asked.
"""

from __future__ import annotations

from wasmguard.decision import OURSELVES, Decision, Effect, Verdict, settle
from wasmguard.event import GATING, OUTPUTS, STOPPING
from wasmguard.guest.outputs import withheld
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
    final = event.name in GATING and event.name not in STOPPING
    for _ in range(ROUNDS):
        for policy in policies:
            if policy.name in agreed and _unchanged(agreed[policy.name], event):
                continue
            verdict = _without_idle_rewrite(policy.ask(event), event)
            verdicts.append(verdict)
            if verdict.effect is Effect.DENY and final:
                return verdicts
            if verdict.rewrite is None and verdict.output is None:
                agreed[policy.name] = event
            else:
                agreed.pop(policy.name, None)
                event = _left_by(verdict, event)
        if len(agreed) == len(policies) and all(_unchanged(last, event) for last in agreed.values()):
            return verdicts
    why = f"no rest after {ROUNDS} rounds: policies keep rewriting each other"
    output = withheld(event.output, event.tool) if event.name in OUTPUTS else None
    return [*verdicts, Verdict.failed(OURSELVES, why, output=output)]


def _left_by(verdict: Verdict, event: Event) -> Event:
    """*event* as the policy with this *verdict* left it."""
    if verdict.rewrite is not None:
        event = event.with_input(verdict.rewrite)
    return event if verdict.output is None else event.with_output(verdict.output)


def _unchanged(one: Event, other: Event) -> bool:
    return one is other or (same(one.input, other.input) and same(one.output, other.output))


def _without_idle_rewrite(verdict: Verdict, event: Event) -> Verdict:
    if verdict.rewrite is not None and same(verdict.rewrite, event.input):
        verdict = verdict.replaced(rewrite=None)
    if verdict.output is not None and same(verdict.output, event.output):
        verdict = verdict.replaced(output=None)
    return verdict
