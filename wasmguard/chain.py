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
6. Shadowed policies are asked once, when everything is decided, and never obeyed: about the original; another version
   of a policy about what that policy was asked about first, or, if a DENY before it spared it the question, about what
   was left at the end. Whatever one of them does, a bug of ours included, is a fault of its own.
7. Shadows take no decision's time: once `PATIENCE` seconds went into an event, no other one is asked, and says so.

Every verdict is kept in the order given, and one list is settled (`wasmguard.decision`). The chain knows nothing of
wasm: it takes anything that can be asked.
"""

from __future__ import annotations

from time import monotonic

from wasmguard.decision import OURSELVES, Decision, Effect, Verdict, settle
from wasmguard.errors import NotAtOnce
from wasmguard.event import GATING, OUTPUTS, STOPPING
from wasmguard.guest.outputs import withheld
from wasmguard.limits import ROUNDS
from wasmguard.value import Value, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Protocol, TypeVar

    from wasmguard.event import Event

    class Asked(Protocol):
        """Who can be asked. `ask` does not raise: a failure is a verdict."""

        @property
        def name(self) -> str: ...
        @property
        def shadow(self) -> bool: ...
        @property
        def shadow_of(self) -> str: ...
        def ask(self, event: Event) -> Verdict: ...

    class Shadow(Protocol):
        """Who is never obeyed."""

        @property
        def name(self) -> str: ...
        @property
        def shadow_of(self) -> str: ...

    S = TypeVar("S", bound=Shadow)


PATIENCE = 5.0  # seconds; the last one may take 2 (`HARD_MAX.clock`) and wait 5 for its state, and a hook has 25


class Course(Value):
    """How the asking went, for those who are asked afterwards."""

    verdicts: tuple[Verdict, ...]
    original: Event
    first: Mapping[str, Event]
    """What each policy was asked about first."""
    last: Event
    """What was left at the end."""

    def seen_by(self, shadow: Shadow) -> Event:
        """What *shadow* is asked about."""
        return self.first.get(shadow.shadow_of, self.last) if shadow.shadow_of else self.original


def decided(policies: Sequence[Asked], event: Event) -> Decision:
    """What *policies*, in this order, amount to for *event*."""
    begun = monotonic()
    obeyed = [p for p in policies if not p.shadow]
    went = course(obeyed, event)
    if len(obeyed) == len(policies):
        return amounts_to(went)
    said = watched([p for p in policies if p.shadow], lambda p: [asked_once(p, went.seen_by(p))], begun)
    return amounts_to(went, said)


def amounts_to(went: Course, shadows: Iterable[Verdict] = ()) -> Decision:
    """The decision that *went* comes to, with what *shadows* said in its record."""
    decision = settle([*went.verdicts, *shadows])
    if decision.rewrite is not None and same(decision.rewrite, went.original.input):  # there and back again
        return decision.replaced(rewrite=None)
    return decision


def watched(shadows: Iterable[S], ask: Callable[[S], Iterable[Verdict]], begun: float) -> list[Verdict]:
    """What *shadows* say when each is asked by *ask* (rules 6 and 7); the event began at *begun*, by `monotonic`.

    Raises:
        NotAtOnce: if one that is asked at once or not at all would take long.
    """
    verdicts: list[Verdict] = []
    for shadow in shadows:
        said: Iterable[Verdict]
        if (took := monotonic() - begun) > PATIENCE:
            said = [Verdict.failed(shadow.name, f"not asked: {took:.0f} s went into this event before: ask fewer")]
        else:
            try:
                said = ask(shadow)
            except NotAtOnce:
                raise
            except Exception as error:  # noqa: BLE001  # who is not obeyed cannot stop anything either
                said = [Verdict.failed(shadow.name, f"internal error: {type(error).__name__}: please report it")]
        verdicts += [verdict.replaced(shadow=True, of=shadow.shadow_of) for verdict in said]
    return verdicts


def course(policies: Sequence[Asked], event: Event) -> Course:
    """Ask *policies*, all of which are obeyed, about *event* until rest."""
    first: dict[str, Event] = {}
    verdicts, last = _asked_until_rest(policies, event, first)
    return Course(verdicts=tuple(verdicts), original=event, first=first, last=last)


def _asked_until_rest(policies: Sequence[Asked], event: Event, first: dict[str, Event]) -> tuple[list[Verdict], Event]:
    """All that was said, and the event as it was left; *first* takes what each was asked about first."""
    verdicts: list[Verdict] = []
    agreed: dict[str, Event] = {}  # what each policy last judged and left as it was
    final = event.name in GATING and event.name not in STOPPING
    for _ in range(ROUNDS):
        for policy in policies:
            if policy.name in agreed and _unchanged(agreed[policy.name], event):
                continue
            first.setdefault(policy.name, event)
            verdict = asked_once(policy, event)
            verdicts.append(verdict)
            if verdict.effect is Effect.DENY and final:
                return verdicts, event
            if verdict.rewrite is None and verdict.output is None:
                agreed[policy.name] = event
            else:
                agreed.pop(policy.name, None)
                event = _left_by(verdict, event)
        if len(agreed) == len(policies) and all(_unchanged(last, event) for last in agreed.values()):
            return verdicts, event
    why = f"no rest after {ROUNDS} rounds: policies keep rewriting each other"
    output = withheld(event.output, event.tool) if event.name in OUTPUTS else None
    return [*verdicts, Verdict.failed(OURSELVES, why, output=output)], event


def _left_by(verdict: Verdict, event: Event) -> Event:
    """*event* as the policy with this *verdict* left it."""
    if verdict.rewrite is not None:
        event = event.with_input(verdict.rewrite)
    return event if verdict.output is None else event.with_output(verdict.output)


def _unchanged(one: Event, other: Event) -> bool:
    return one is other or (same(one.input, other.input) and same(one.output, other.output))


def asked_once(policy: Asked, event: Event) -> Verdict:
    """What *policy* says about *event*; a rewrite that changes nothing is none."""
    verdict = policy.ask(event)
    if verdict.rewrite is not None and same(verdict.rewrite, event.input):
        verdict = verdict.replaced(rewrite=None)
    if verdict.output is not None and same(verdict.output, event.output):
        verdict = verdict.replaced(output=None)
    return verdict
