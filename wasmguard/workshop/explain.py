"""`wasmguard explain`: the story of one record, in the order in which it happened.

Who asked for what; who was asked about it in each round, what they said and what they used; what that amounted to and
who carried it; what the agent was told; what happened afterwards; what can be done now. The record is the only source,
but for whether an alarm still stands: what is not in it is not told, and what it holds of agents and guests is quoted.
"""

from __future__ import annotations

import json
from time import time
from typing import TYPE_CHECKING

from wasmguard.decision import OURSELVES, Effect, refused
from wasmguard.errors import HostError, UsageError
from wasmguard.event import AFTER, TOOL_GATES, Event
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop import explain_next
from wasmguard.workshop import explain_rounds as rounds
from wasmguard.workshop.columns import beside, clock, day, latency, length_of, wrapped
from wasmguard.workshop.explain_acts import in_words
from wasmguard.workshop.explain_diff import difference
from wasmguard.workshop.explain_words import DECIDED, WRONG, result, said, telling_field, tool_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from wasmguard.decision import Decision
    from wasmguard.plan import PlannedPolicy
    from wasmguard.records.query import Record

    Line = tuple[str, str]

LONGEST = 600  # characters of one field that are shown
FIELDS = 40  # fields that are shown
HIDDEN = {"hook_event_name", "session_id", "cwd", "transcript_path", "permission_mode"}
WAYS = {"hook": "a hook in a process of its own", "daemon": "the daemon", "library": "a program that embeds it"}
INPUTS = {
    "redacted": "secrets in it were replaced before it was kept, so it cannot be decided again",
    "cut": "long texts in it were cut (`[record] largest`), so it cannot be decided again",
    "digest": "only its digest was kept (`[record] inputs`), so it cannot be decided again",
}


class Story(Value):
    """One record, and what is known about it."""

    record: Record
    decision: Decision | None
    """None for acts."""
    told: rounds.Told
    answer: Mapping[str, Any] | None
    """What the agent was told, in its own words; None if that is not known any more."""


def story(which: str) -> Story:
    """The record that *which* names: its number, its id or the first of its digits, a tool use, or `last`.

    Raises:
        UsageError: if there is none.
        HostError: if there are none at all, or they cannot be read.
    """
    from wasmguard.records import query
    from wasmguard.records import said as records_said

    record = query.record(which)
    if record is None:
        raise _unknown(which, query.state())
    body = record.body
    if body["kind"] not in DECIDED:
        return Story(record=record, decision=None, told=rounds.Told(rounds=(), shadows=(), ourselves=()), answer=None)
    if body["kind"] == "refused":
        return _refused(record)
    decision = records_said.decision(body)
    told = rounds.told(decision, body.get("verdicts") or (), tool_input(body), _limits(body), query.blob)
    return Story(record=record, decision=decision, told=told, answer=_answer(body, decision))


def told(story: Story) -> Iterator[Line]:
    """The story in plain sentences: (style, text)."""
    body = story.record.body
    if story.decision is None:
        yield from _act(story.record)
        return
    yield from _head(story, story.decision)
    yield from _wanted(body)
    yield from _asked(story)
    yield from _decided(story, story.decision)
    yield from _answered(story)
    yield from _afterwards(story.record)
    yield from explain_next.lines(story.record, story.decision)


def as_data(story: Story) -> dict[str, Any]:
    """The same for programs."""
    record, decision = story.record, story.decision
    joined = record.joined
    data: dict[str, Any] = {"seq": record.seq, "hash": record.hash, "record": record.body}
    if decision is None:
        return data | {"decision": None}
    return data | {
        "rounds": [[_as_data(one) for one in asked] for asked in story.told.rounds],
        "shadows": [_as_data(one) for one in story.told.shadows],
        "decision": {
            "effect": decision.effect.name.lower(),
            "carried_by": list(dict.fromkeys(verdict.policy for verdict in decision.because)),
            "reason": decision.reason,
            "rewrite": decision.rewrite,
            "context": decision.context,
        },
        "answer": story.answer,
        "joined": {"seq": joined.seq, "hash": joined.hash, "record": joined.body} if joined else None,
        "allow_once": explain_next.can_allow(record, decision),
        "acknowledge": explain_next.can_acknowledge(record),
    }


def _as_data(asked: rounds.Asked) -> dict[str, Any]:
    verdict = asked.verdict
    return {
        "policy": verdict.policy,
        "effect": verdict.effect.name.lower(),
        "reason": verdict.reason,
        "fault": verdict.fault or None,
        "rewrite": verdict.rewrite,
        "context": verdict.context,
        "notes": list(verdict.notes),
        "fuel": verdict.fuel,
        "limit": asked.limit,
        "microseconds": verdict.microseconds,
        "remembered": asked.given,
        "module": asked.kept.get("module"),
    }


def _refused(record: Record) -> Story:
    """The story of an event that nobody could judge."""
    from wasmguard.agents import claude

    why, event = str(record.body.get("why", "")), record.body.get("event")
    decision = refused(one_line(why, 1_000) or "nobody could be asked")
    told = rounds.Told(rounds=(), shadows=(), ourselves=decision.because)
    return Story(record=record, decision=decision, told=told, answer=claude.refusal(event, decision.reason))


def _limits(body: Mapping[str, Any]) -> dict[str, int]:
    """The fuel that each policy might burn."""
    return {policy.name: policy.limits["fuel"] for policy in _policies(body)}


def _policies(body: Mapping[str, Any]) -> list[PlannedPolicy]:
    """The policies of the plan that was in force, if it was kept; guards that decide as one have several."""
    from wasmguard import kept

    plans = [kept.plan_of(identity) for identity in str(body.get("plan", "")).split()]
    return [policy for found in plans if found is not None for policy in found.policies]


def _unknown(which: str, state: Mapping[str, Any]) -> HostError | UsageError:
    if not state["records"]:
        return HostError("there are no records yet: run `wasmguard install claude-code`, and let your agent use a tool")
    if which == "last":
        return HostError("no decision is recorded yet, only acts: `wasmguard log` shows them")
    head = str(state["head"]).partition(":")[0]
    return UsageError(
        f"no record `{one_line(which, 80)}`: write a number up to {head}, an id, a tool use id or `last`,"
        " see `wasmguard log`"
    )


def _answer(body: Mapping[str, Any], decision: Decision) -> Mapping[str, Any] | None:
    """What the agent was told: its dialect says a decision in one way only."""
    from wasmguard.agents import claude

    if body.get("agent", claude.name) != claude.name or (body.get("rewrote") and body.get("rewrite") is None):
        return None
    fields = body.get("fields") or {"hook_event_name": body["event"], "tool_name": body.get("tool")}
    event = Event(name=body["event"], agent=claude.name, fields=fields, time=body["time"])
    return claude.render(event, decision)


def _head(story: Story, decision: Decision) -> Iterator[Line]:
    record = story.record
    body = record.body
    what = f"{said(body.get('event') or 'an event')}{_of_tool(body)}"
    style = rounds.LOOKS[decision.effect] if decision.rewrite is None else "rewrite"
    yield style, f"Record {record.seq}: {what}: {_outcome(decision)}"
    yield "plain", beside("when", _when(body["time"]))
    who = f"{said(body.get('agent', 'an agent'))}, through {WAYS.get(body.get('way', ''), 'wasmguard')}"
    yield "plain", beside("agent", who)
    mode = (body.get("fields") or {}).get("permission_mode")
    if mode not in (None, "default"):
        yield "plain", beside("mode", said(mode))
    for head, key in (("session", "session"), ("tool use", "call"), ("folder", "cwd"), ("id", "id")):
        if body.get(key):
            yield "plain", beside(head, said(body[key]))


def _outcome(decision: Decision) -> str:
    words = {Effect.PASS: "passed", Effect.ALLOW: "allowed", Effect.ASK: "a human was asked", Effect.DENY: "denied"}
    changed = ", with another input" if decision.effect is Effect.ASK else " with another input"
    changed = changed if decision.rewrite is not None else ""
    return words[decision.effect] + changed + (", its output rewritten" if decision.output is not None else "")


def _of_tool(body: Mapping[str, Any]) -> str:
    return f" of {said(body['tool'])}" if body.get("tool") else ""


def _when(ms: int) -> str:
    ago = time() - ms / 1000
    since = f", {length_of(ago)} ago" if ago >= 1 else ""
    return f"{day(ms)} {clock(ms)}.{ms % 1000:03}{since}"


def _wanted(body: Mapping[str, Any]) -> Iterator[Line]:
    """What the agent wanted: the tool's input, and what an event tells besides."""
    fields = body.get("fields") or {}
    yield "title", "\nWhat it was about"
    if why := INPUTS.get(body.get("inputs", "full")):
        yield "note", beside("note", why)
    given = tool_input(body)
    if body.get("tool"):
        first = telling_field(given)
        shown = sorted(given.items(), key=lambda item: item[0] != first)
        shown += [(name, fields[name]) for name in ("tool_response", "error") if name in fields]
    else:
        shown = [(name, value) for name, value in fields.items() if name not in HIDDEN]
    for name, value in shown[:FIELDS]:
        yield "plain", beside(said(name), _shown(value))
    if len(shown) > FIELDS:
        yield "plain", beside("", f"and {len(shown) - FIELDS} fields more")
    if not shown:
        yield "plain", beside("", "nothing that was recorded")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    size = f" ({len(text):,} characters)" if len(text) > LONGEST else ""
    return one_line(text, LONGEST) + size


def _asked(story: Story) -> Iterator[Line]:
    told = story.told
    for number, asked in enumerate(told.rounds, 1):
        again = "" if number == 1 else ": who had seen another input was asked again"
        yield "title", f"\nRound {number}{again}"
        for one in asked:
            yield from rounds.lines(one)
    if not told.rounds and not told.ourselves:
        yield "title", "\nNobody was asked"
        who = "only shadows are" if told.shadows else "no policy of the configuration is"
        yield "plain", beside("", f"{who} about such an event")
    aside = _set_aside(story.record.body)
    for title, those in (
        ("Set aside by your exception: asked and recorded, not obeyed", True),
        ("Shadows: asked and recorded, never obeyed", False),
    ):
        found = [one for one in told.shadows if (one.verdict.policy in aside) is those]
        if found:
            yield "title", f"\n{title}"
        for one in found:
            yield from rounds.lines(one)


def _set_aside(body: Mapping[str, Any]) -> set[str]:
    """The policies that are recorded as shadows because an exception was used, as far as the plan was kept."""
    if not body.get("exception"):
        return set()
    return {policy.name for policy in _policies(body) if not policy.shadow}


def _decided(story: Story, decision: Decision) -> Iterator[Line]:
    body = story.record.body
    yield "title", "\nWhat that amounts to"
    carriers = list(dict.fromkeys(verdict.policy for verdict in decision.because))
    by = f", carried by {', '.join(said(name) for name in carriers)}" if carriers else ": nobody objected"
    yield rounds.LOOKS[decision.effect], beside("effect", f"{decision.effect.name.lower()}{by}")
    for verdict in story.told.ourselves:
        yield "deny", beside(OURSELVES, said(verdict.fault or verdict.reason))
    if decision.rewrite is not None:
        yield "rewrite", beside("rewrite", "the tool runs with another input than the agent wrote")
        if body.get("inputs", "full") != "digest":
            yield from difference(tool_input(body), decision.rewrite, " " * 16)
    elif body.get("rewrote"):
        yield "rewrite", beside("rewrite", "the tool runs with another input; neither was recorded")
    if body.get("exception"):
        came = "still stands: others deny the call as well" if body.get("stands") else "was used"
        yield "note", beside("exception", f"your `wasmguard allow --once` of record {said(body['exception'])} {came}")
    yield "plain", beside("took", f"{latency(body.get('us', 0.0))} in all")
    if body.get("plan"):
        kept = f"{said(body['plan'])[:12]} of {said(body.get('config', 'a configuration'))}"
        yield "plain", beside("plan", f"{kept} (wasmguard {said(body.get('version', '?'))})")


def _answered(story: Story) -> Iterator[Line]:
    agent = said(story.record.body.get("agent", "the agent"))
    yield "title", f"\nWhat {agent} was told"
    if story.answer is None:
        yield "plain", beside("", "cannot be said any more: the new input was not recorded")
    elif not story.answer:
        yield "plain", beside("", "nothing: its own permission rules go on")
    else:
        yield "plain", beside("", one_line(json.dumps(_briefly(story.answer), ensure_ascii=False), 2 * LONGEST))


def _briefly(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without the new input and output, which are told elsewhere."""
    brief = {"updatedInput": "(the new input, whole)", "updatedToolOutput": "(the new output, whole)"}
    return {
        key: _briefly(value) if isinstance(value, dict) and key not in brief else brief.get(key, value)
        for key, value in answer.items()
    }


def _afterwards(record: Record) -> Iterator[Line]:
    body, joined = record.body, record.joined
    if body.get("event") in AFTER:
        yield "title", "\nWhat had happened"
        yield from _ran(body, "")
        if joined is not None:
            yield "plain", beside("asked for", f"in record {joined.seq}: `wasmguard explain {joined.seq}`")
        return
    if body.get("event") not in TOOL_GATES:
        return
    yield "title", "\nWhat happened afterwards"
    if joined is not None:
        yield from _ran(joined.body, f" (record {joined.seq})")
    elif body.get("effect", "deny") == "deny":
        yield "plain", beside("", "no result came: the tool did not run")
    else:
        yield "plain", beside("", "no result came: it runs still, was refused by others, or no hook tells of results")


def _ran(body: Mapping[str, Any], where: str) -> Iterator[Line]:
    """How a call ended, and what to do if it was not the one that was granted."""
    wrong = body.get("executed") in WRONG
    yield "wrong" if wrong else "plain", beside("result", f"{result(body) or 'the tool ran'}{where}")
    if wrong:
        ran = one_line(json.dumps(tool_input(body), ensure_ascii=False), LONGEST)
        yield "wrong", beside("it ran with", ran)


def _act(record: Record) -> Iterator[Line]:
    body = record.body
    yield "title", f"Record {record.seq}: {said(body['kind'])}"
    yield "plain", beside("when", _when(body["time"]))
    if sentence := in_words(body):
        for line in wrapped(sentence, "  "):
            yield "plain", line
    for name, value in body.items():
        if name not in ("v", "time", "kind"):
            yield "plain", beside(said(name), _shown(value))
