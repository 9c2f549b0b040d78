"""Verdicts, and how the verdicts of many policies become one decision.

A policy answers an event with a *verdict*. Asking a chain of policies leaves a list of verdicts, in the order they were
given, and the list settles into one *decision*, which a dialect then says in its agent's own words:

1. The strictest effect wins: PASS < ALLOW < ASK < DENY.
2. Silence is no opinion. An empty list is PASS, and on PASS the agent asks its user whatever it would have asked
   without us. PASS is not ALLOW.
3. An ALLOW vouches for the input its policy saw. A later rewrite voids it.
4. A DENY is final: no later verdict undoes it, and no input is rewritten. A rewritten output stays rewritten.
5. A policy that could not answer counts as DENY, unless its owner said ASK. It can never count as less.

Whom to ask, and whom to ask again after a rewrite, is the chain's business: it hands over one list, however many rounds
that took. What an agent cannot do is the dialect's business: it may answer more strictly, never less.

The list is the whole story. A record keeps the verdicts, and settling them again gives the same decision; settling in
parts does too (see `settle`).
"""

from __future__ import annotations

from enum import IntEnum

from wasmguard.text import quoted
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


OURSELVES = "wasmguard"  # who speaks where no policy does; none may be called so


class Effect(IntEnum):
    """What may happen next, from no opinion to the strictest."""

    PASS = 0  # the agent's own permission rules decide
    ALLOW = 1  # go ahead, and do not ask the user
    ASK = 2  # the user decides
    DENY = 3  # stop


class Verdict(Value):
    """What one policy said about one event, cut down to its grants. All its texts are cleaned (`wasmguard.text`)."""

    policy: str
    """The name its owner gave it, never the guest's word for itself."""

    effect: Effect = Effect.PASS

    reason: str = ""
    """Why, in the guest's words. Untrusted text: show it, never interpret it."""

    rewrite: Mapping[str, Any] | None = None
    """The whole tool input from here on, as the host rebuilt and checked it.

    None if it stays what it was: a rewrite that changes nothing is no rewrite.
    """

    output: Any = None
    """The whole output of the tool from here on, as the host rebuilt and checked it. None if it stays what it was."""

    fault: str = ""
    """Why the policy could not answer, in the host's words. Empty if it answered."""

    context: str = ""
    """Text for the model, where the event takes it. Untrusted."""

    interrupt: bool = False
    """With DENY: stop the whole run, where the agent can."""

    permissions: tuple[Mapping[str, Any], ...] = ()
    """Permission updates to go with an ALLOW."""

    notes: tuple[str, ...] = ()
    """For the record only. Untrusted."""

    state: bytes | None = None
    """What the policy remembers from now on: empty for nothing any more, None for what it remembered before."""

    shadow: bool = False
    """Asked and recorded, never obeyed."""

    of: str = ""
    """The policy that a shadow is another version of; empty for others."""

    fuel: int | None = None
    """What the guest burned; None where nobody could measure it (no instance, or stopped by the clock)."""

    microseconds: float = 0.0
    """How long asking took, wall clock."""

    given: bytes | None = None
    """What it remembered when it was asked, if it may remember anything. For the record."""

    answer: bytes = b""
    """A digest of the bytes that it answered (BLAKE2b-128); empty if there were none. For the record."""

    @classmethod
    def failed(cls, policy: str, fault: str, effect: Effect = Effect.DENY, **measured: Any) -> Verdict:
        """The verdict of a policy that trapped, hit a limit or spoke nonsense.

        Raises:
            ValueError: if *effect* is looser than ASK. A fault cannot fail open.
        """
        if effect < Effect.ASK:
            raise ValueError(f"policy `{policy}` cannot fail open: `on_fault` is `ask` or `deny`")
        return cls(policy=policy, effect=effect, fault=fault, **measured)

    @property
    def sentence(self) -> str:
        """What it said, so that a reader knows whose words they are: the host's on a fault, else the guest's."""
        if self.policy == OURSELVES:
            return f"{OURSELVES}: {self.fault or self.reason}"
        if self.fault:
            return f"policy `{self.policy}`: {self.fault}"
        if self.reason:
            return f'policy "{self.policy}" says (untrusted text): {quoted(self.reason)}'
        return f'policy "{self.policy}" gave no reason'


class Decision(Value):
    """What wasmguard answers the agent."""

    effect: Effect

    because: tuple[Verdict, ...] = ()
    """The verdicts that carried the effect, oldest first. Empty on PASS."""

    rewrite: Mapping[str, Any] | None = None
    """The complete new tool input, or None."""

    output: Any = None
    """The complete new output of the tool, whatever the effect: what was taken out stays out. None: as it was."""

    context: str = ""
    """What the policies say to the model, one paragraph each, in the order of the policies."""

    verdicts: tuple[Verdict, ...] = ()
    """Everything that was said, oldest first, shadowed policies included: the whole story."""

    @property
    def reason(self) -> str:
        """One line for each policy in `because`: its last word, and only its own."""
        return "\n".join({v.policy: v.sentence for v in self.because}.values())

    @property
    def interrupt(self) -> bool:
        """Whether a verdict that carried a DENY wants the run stopped."""
        return self.effect is Effect.DENY and any(v.interrupt for v in self.because)

    @property
    def permissions(self) -> tuple[Mapping[str, Any], ...]:
        """Permission updates of the verdicts that carried an ALLOW."""
        return tuple(p for v in self.because for p in v.permissions) if self.effect is Effect.ALLOW else ()

    @property
    def faulted(self) -> bool:
        """Whether nothing but faults carries the effect: no policy meant it."""
        return bool(self.because) and all(v.fault for v in self.because)


def settle(verdicts: Iterable[Verdict]) -> Decision:
    """Settle *verdicts*, oldest first, into the decision they amount to.

    Settling in parts changes nothing: a decision that goes on as one verdict at the head of another list ends in the
    same effect and the same rewrite.
    """
    everything = tuple(verdicts)
    if len(everything) == 1 and not everything[0].shadow:
        return _alone(everything)
    said = [v for v in everything if not v.shadow]
    last = 0
    for place, verdict in enumerate(said):
        if verdict.rewrite is not None:
            last = place
    standing = [v for place, v in enumerate(said) if place >= last or v.effect is not Effect.ALLOW]
    effect = max([v.effect for v in standing], default=Effect.PASS)
    return Decision(
        effect=effect,
        because=() if effect is Effect.PASS else tuple(v for v in standing if v.effect is effect),
        rewrite=said[last].rewrite if said and effect is not Effect.DENY else None,
        output=next((v.output for v in reversed(said) if v.output is not None), None),
        context=_contexts(said),
        verdicts=everything,
    )


def _alone(verdicts: tuple[Verdict, ...]) -> Decision:
    """What a single verdict amounts to: the same as for many, and most events have one."""
    (verdict,) = verdicts
    effect = verdict.effect
    return Decision(
        effect=effect,
        because=() if effect is Effect.PASS else verdicts,
        rewrite=None if effect is Effect.DENY else verdict.rewrite,
        output=verdict.output,
        context=_contexts(verdicts) if verdict.context else "",
        verdicts=verdicts,
    )


def _contexts(said: Iterable[Verdict]) -> str:
    """The last word of each policy, fenced; lines are indented, so that none begins like one of ours."""
    last_words = {v.policy: quoted(v.context).replace("\n", "\n  ") for v in said if v.context}
    return "\n".join(f'policy "{name}" adds (untrusted text): {text}' for name, text in last_words.items())


def refused(why: str) -> Decision:
    """A DENY in our own voice."""
    return settle([Verdict.failed(OURSELVES, why)])
