"""Who was asked in which round, and what each of them said and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.decision import OURSELVES, Effect
from wasmguard.text import one_line, quoted
from wasmguard.value import Value
from wasmguard.workshop.columns import beside, latency
from wasmguard.workshop.explain_diff import difference
from wasmguard.workshop.explain_words import LONGEST, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from wasmguard.decision import Decision, Verdict

    Line = tuple[str, str]

LEAST = 0.01  # percent of a limit that are worth a number
WORDS = {Effect.PASS: "pass", Effect.ALLOW: "allow", Effect.ASK: "ask", Effect.DENY: "deny"}
WOULD = {
    Effect.PASS: "would have passed it",
    Effect.ALLOW: "would have allowed it",
    Effect.ASK: "would have asked you",
    Effect.DENY: "would have denied it",
}
LOOKS = {Effect.DENY: "deny", Effect.ASK: "rewrite", Effect.ALLOW: "pass", Effect.PASS: "plain"}


class Asked(Value):
    """One policy that was asked once."""

    verdict: Verdict
    before: Mapping[str, Any]
    """The tool input that it saw."""
    kept: Mapping[str, Any]
    """Its verdict as it was recorded: with `module`, `settings`, `answer`, `given`."""
    given: int | None
    """Bytes that it remembered when it was asked; None if it was given nothing."""
    limit: int | None
    """Its fuel limit, if its plan was kept."""


class Told(Value):
    """Everything that was said about one event."""

    rounds: tuple[tuple[Asked, ...], ...]
    shadows: tuple[Asked, ...]
    ourselves: tuple[Verdict, ...]
    """What the guard itself said."""


def told(
    decision: Decision,
    kept: Sequence[Mapping[str, Any]],
    tool_input: Mapping[str, Any],
    limits: Mapping[str, int],
    blob: Callable[[str], bytes | None],
) -> Told:
    """The verdicts of a *decision*, as they were *kept*, in their rounds. *limits* are those of fuel by policy, where
    they are known; *blob* finds the bytes that records name by their digest.

    A policy is asked once in a round, in the owner's order, and the first round asks all of them; so the order is that
    of their first verdicts, and a verdict that goes back in it begins another round.
    """
    order: dict[str, int] = {}
    rounds: list[list[Asked]] = []
    first: dict[str, Mapping[str, Any]] = {}  # what each policy saw first: so did another version of it
    shadows, ourselves, now, last = [], [], tool_input, -1
    for verdict, raw in zip(decision.verdicts, kept, strict=True):
        if verdict.policy == OURSELVES:
            ourselves.append(verdict)
            continue
        given = len(blob(raw["given"]) or b"") if raw.get("given") else None
        seen = now
        if verdict.shadow:
            seen = first.get(raw["of"], now) if raw.get("of") else tool_input
        asked = Asked(verdict=verdict, before=seen, kept=raw, given=given, limit=limits.get(verdict.policy))
        if verdict.shadow:
            shadows.append(asked)
            continue
        first.setdefault(verdict.policy, now)
        place = order.setdefault(verdict.policy, len(order))
        if place <= last or not rounds:
            rounds.append([])
        last = place
        rounds[-1].append(asked)
        now = verdict.rewrite if verdict.rewrite is not None else now
    return Told(rounds=tuple(map(tuple, rounds)), shadows=tuple(shadows), ourselves=tuple(ourselves))


def lines(asked: Asked) -> Iterator[Line]:
    """What one policy said, and what it used: (style, text)."""
    verdict = asked.verdict
    style = LOOKS[verdict.effect] if verdict.rewrite is None and verdict.output is None else "rewrite"
    instead = f"instead of {said(asked.kept['of'])}: " if asked.kept.get("of") else ""
    yield style, beside(said(verdict.policy), instead + _word(verdict))
    if verdict.rewrite is not None:
        yield from difference(asked.before, verdict.rewrite, " " * 16)
    if verdict.context:
        yield "plain", beside("", f"it adds for the model (untrusted text): {quoted(one_line(verdict.context, 400))}")
    for note in verdict.notes:
        yield "plain", beside("", f"it notes (untrusted text): {quoted(said(note))}")
    if verdict.interrupt:
        yield "plain", beside("", "and wants the run stopped")
    yield "plain", beside("", used(asked))


def _word(verdict: Verdict) -> str:
    if verdict.fault:
        effect = WORDS[verdict.effect]
        could = f"failed, which would count as {effect}" if verdict.shadow else f"failed, which counts as {effect}"
        return f"{could}: {said(verdict.fault)}"
    words = WOULD[verdict.effect] if verdict.shadow else WORDS[verdict.effect]
    if verdict.rewrite is not None:
        words += ", with another input" if verdict.shadow else ", and rewrote the input"
    if verdict.output is not None:
        words += ", and rewrote the output"
    if verdict.reason:
        words += f", and says (untrusted text): {quoted(one_line(verdict.reason, LONGEST))}"
    return words


def used(asked: Asked) -> str:
    """Fuel with its share of the limit, time, memory."""
    verdict, words = asked.verdict, []
    if verdict.fuel is None:
        words.append("its fuel could not be measured")
    elif asked.limit:
        share = 100 * verdict.fuel / asked.limit
        part = f"{share:.2g} %" if share >= LEAST else f"under {LEAST} %"
        words.append(f"{verdict.fuel:,} fuel, {part} of its limit ({asked.limit:,})")
    else:
        words.append(f"{verdict.fuel:,} fuel")
    words.append(latency(verdict.microseconds))
    if asked.given is not None:
        words.append(f"it remembered {asked.given:,} bytes")
    if asked.kept.get("state"):
        words.append("and remembers something else from then on")
    return "; ".join(words)
