"""What differs between two decisions about one event.

1. Three things can change: the effect, the rewrite of the input (unless a side denies: then nothing runs), and the
   rewrite of the output.
2. Other words for the same are told, but are no change.
3. A rewrite to what the input was already is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from wasmguard.decision import OURSELVES, Effect
from wasmguard.value import same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmguard.decision import Decision, Verdict
    from wasmguard.event import Event

WORDS = "other words"


class Change(NamedTuple):
    """How a decision changed."""

    what: str
    """`pass -> deny`, `rewrite added`, …; `other words` if nothing but its reason did."""
    policy: str
    """Who made the difference: who carries the stricter side, or rewrote."""
    effect: bool = False
    rewrite: bool = False
    output: bool = False

    @property
    def counts(self) -> bool:
        """Whether a decision or a rewrite changed."""
        return self.effect or self.rewrite or self.output


def changed(event: Event, before: Decision, after: Decision) -> Change | None:
    """How *after* differs from *before*, both about *event*; None if it does not."""
    said, who = [], ""
    effect, rewrite, output = before.effect is not after.effect, False, False
    if effect:
        said.append(f"{word(before.effect)} -> {word(after.effect)}")
        who = _first((after if after.effect > before.effect else before).because)
    if Effect.DENY not in (before.effect, after.effect) and (before.rewrite is not None or after.rewrite is not None):
        old, new = left(event, before), left(event, after)
        rewrite = not same(old, new)
        if rewrite:
            said.append(_difference("rewrite", old, new))
            who = who or _rewriter(after, "rewrite") or _rewriter(before, "rewrite")
    if before.output is not None or after.output is not None:
        output = not same(before.output, after.output)
        if output:
            said.append(_difference("output", before.output, after.output))
            who = who or _rewriter(after, "output") or _rewriter(before, "output")
    if said:
        return Change(", ".join(said), who or OURSELVES, effect, rewrite, output)
    if before.effect is not Effect.PASS and before.reason != after.reason:
        return Change(WORDS, _first(after.because))
    return None


def left(event: Event, decision: Decision) -> Mapping[str, Any] | None:
    """The input that *decision* leaves instead of that of *event*; None if it stays what it was."""
    rewrite = decision.rewrite
    return None if rewrite is None or same(rewrite, event.input) else dict(rewrite)


def word(effect: Effect) -> str:
    """An effect as it is printed."""
    return effect.name.lower()


def _difference(what: str, old: Any, new: Any) -> str:
    if old is None:
        return f"{what} added"
    return f"{what} gone" if new is None else f"another {what}"


def _first(verdicts: tuple[Verdict, ...]) -> str:
    return verdicts[0].policy if verdicts else ""


def _rewriter(decision: Decision, what: str) -> str:
    """Who rewrote last."""
    return next((v.policy for v in reversed(decision.verdicts) if not v.shadow and getattr(v, what) is not None), "")
