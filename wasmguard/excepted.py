"""What becomes of a call for which its owner made an exception (`wasmguard.exceptions`).

1. It is tried with all policies and without those that the exception sets aside, before either is done: a policy that
   remembers counts the event once, whichever way is taken.
2. Where the decision is less strict without them, the exception is used up, and that is the decision. The owner's word
   is an ALLOW like any other: it vouches for the input that they saw.
3. Where others deny the call as well, the exception stands, and the decision is theirs: that is what the owner wants to
   know. Else, and where others who are not set aside carry it, nothing is set aside.
4. Who is set aside is asked all the same, and recorded. It is never the guard itself.
"""

from __future__ import annotations

from wasmguard import exceptions
from wasmguard.chain import decided
from wasmguard.decision import OURSELVES, Effect, Verdict, settle
from wasmguard.policy import SetAside
from wasmguard.recall import recalled, tried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from wasmguard.decision import Decision
    from wasmguard.event import Event
    from wasmguard.exceptions import Exception_
    from wasmguard.policy import Policy


def excepted(
    found: Exception_,
    concerned: Sequence[Policy],
    event: Event,
    environ: Mapping[str, str] | None,
    used: dict[str, Any],
) -> Decision:
    """What the policies *concerned* amount to for the event of the exception *found*. *used* takes what the record says
    about that."""
    word = Verdict(policy=OURSELVES, effect=Effect.ALLOW, reason=found.sentence)
    without = [SetAside(policy) if policy.name in found.policies else policy for policy in concerned]
    before = tried(concerned, event, environ)
    if not found.covers({verdict.policy for verdict in before.because}):
        return _asked(concerned, event, environ)
    after = settle([word, *tried(without, event, environ).verdicts])
    if before.effect is after.effect is Effect.DENY:
        word = word.replaced(effect=Effect.PASS, reason=found.in_vain)
        used["stands"] = True
    elif after.effect >= before.effect or not exceptions.use(found):
        return _asked(concerned, event, environ)
    used["exception"] = found.record
    again = _asked(without, event, environ)
    decision = settle([word, *again.verdicts])
    return decision if again.rewrite is not None else decision.replaced(rewrite=None)  # there and back again


def _asked(policies: Sequence[Policy | SetAside], event: Event, environ: Mapping[str, str] | None) -> Decision:
    if any(policy.store is not None for policy in policies):
        return recalled(policies, event, environ)
    return decided(policies, event)
