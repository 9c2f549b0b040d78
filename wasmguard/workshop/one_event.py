"""`wasmguard run`: one event, and all that can be seen of it: what is sent, what is answered, what comes of it."""

from __future__ import annotations

import difflib
import json
import os
import sys
from time import time_ns
from typing import TYPE_CHECKING, Any

from wasmguard.agents import claude
from wasmguard.decision import Effect
from wasmguard.errors import EventError, GuestFault, UsageError
from wasmguard.event import Event
from wasmguard.guest.grants import Grants, answered
from wasmguard.limits import HARD_MAX
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.cases import CWD
from wasmguard.workshop.columns import beside, latency
from wasmguard.workshop.trial import tried

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wasmguard.guest.codec import Answer
    from wasmguard.workshop.trial import Said, Trial

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded")
LONGEST = 400  # characters of a value
AGAIN = 5  # times that it is asked once more: the first time says how long a process takes to start
MOST_LINES = 40  # of the difference between two texts


class Trace(Value):
    """What came of one event."""

    name: str
    event: Event
    sent: tuple[str, ...]
    """The fields that the policy was sent."""
    bytes: int
    """Of the whole request."""
    said: Said
    settings: Mapping[str, Any]
    state: int
    """Bytes that it remembered before."""
    fuel: int
    """The limit."""
    asked: bool
    """Whether its manifest says that it is asked about such an event."""
    granted: str
    """What a host makes of the answer that gives all that the manifest asks for."""
    bare: str
    """The same of a host that gives no grant."""


def recorded() -> list[str]:
    """The names of the recorded events."""
    return sorted(name.removesuffix(".json") for name in os.listdir(RECORDED) if name.endswith(".json"))


def read_event(named: str) -> Event:
    """The event that *named* names: a file, `-` for standard input, or a recorded one.

    Raises:
        UsageError: if there is none of that name.
        EventError: if it is none that an agent could send.
    """
    if named == "-":
        raw = sys.stdin.buffer.read(HARD_MAX.event + 1)
    else:
        known = {name: name for name in recorded()} | {name.partition(".")[2]: name for name in recorded()}
        path = os.path.join(RECORDED, f"{known[named]}.json") if named in known else named
        if not os.path.isfile(path):
            words = ", ".join(f"`{name}`" for name in recorded())
            named = one_line(named, 200)
            raise UsageError(f"`--event {named}`: no such file: name one, `-`, or a recorded event: {words}")
        with open(path, "rb") as file:
            raw = file.read(HARD_MAX.event + 1)
    if len(raw) > HARD_MAX.event:
        raise EventError(f"the event has more than {HARD_MAX.event:_} bytes: no limit allows that")
    return claude.parse(raw, time=time_ns() // 1_000_000)


def made_event(tool: str, given: Mapping[str, Any]) -> Event:
    """A PreToolUse of *tool* with the input *given*."""
    fields = {"hook_event_name": "PreToolUse", "cwd": CWD, "tool_name": tool, "tool_input": dict(given)}
    return claude.from_mapping(fields, time=time_ns() // 1_000_000)


def object_in(text: str, option: str) -> dict[str, Any]:
    """The JSON object that *text*, the value of *option*, is.

    Raises:
        UsageError: if it is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        example = '{"file_path": "/etc/x"}'
        raise UsageError(f"`{option} {one_line(text, 80)}` is no JSON object: write one like `{example}`")
    return found


def state_in(text: str) -> bytes:
    """What *text*, the value of `--state`, says in hexadecimal.

    Raises:
        UsageError: if it is none.
    """
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"`--state {one_line(text, 80)}` is not hexadecimal: write what `run` printed") from None


def traced(reference: str, event: Event, settings: Mapping[str, Any], state: bytes | None, profile: str = "") -> Trace:
    """The policy *reference*, asked about *event*.

    Raises:
        ConfigError: if it has no such settings.
        BundleError: if it would not load.
    """
    with tried(reference, profile) as trial:
        manifest = trial.manifest
        sent_settings = manifest.settled(settings, "`--settings`") if manifest else dict(settings)
        fields = {**event.fields, "time": event.time}
        request = trial.request(fields, sent_settings, state)
        said = trial.ask(request)
        warm = min(trial.ask(request).microseconds for _ in range(AGAIN))
        reads = set(fields) | {"agent"} if manifest is None or manifest.reads is None else {*manifest.reads}
        return Trace(
            name=trial.name,
            event=event,
            sent=tuple(name for name in (*fields, "agent") if name in reads or name == "hook_event_name"),
            bytes=len(request),
            said=said.replaced(microseconds=warm),
            settings=sent_settings,
            state=len(state or b""),
            fuel=trial.limits.fuel,
            asked=_is_asked(trial, event),
            granted=_outcome(trial, said, event, trial.grants),
            bare=_outcome(trial, said, event, Grants()),
        )


def told(trace: Trace) -> Iterator[tuple[str, str]]:
    """The trace in words: (style, text)."""
    event, said = trace.event, trace.said
    yield "title", f"{trace.name}: {one_line(event.name, 80)}{f' of {one_line(event.tool, 80)}' if event.tool else ''}"
    if not trace.asked:
        yield "note", beside("note", "its manifest does not name such an event: a host would not ask it")
    sent = ", ".join(one_line(name, 80) for name in trace.sent[:MOST_LINES])
    more = f" and {len(trace.sent) - MOST_LINES} more" if len(trace.sent) > MOST_LINES else ""
    yield "plain", beside("sent", f"{sent}{more} ({trace.bytes:_} bytes)")
    if trace.settings:
        yield "plain", beside("settings", one_line(json.dumps(trace.settings, ensure_ascii=False), LONGEST))
    if said.answer is None:
        yield "deny", beside("fault", said.fault)
    else:
        yield from _answer(said.answer, event)
        yield from _remembered(trace, said.answer)
    yield "plain", beside("used", _used(trace))
    yield "plain", beside("granted all", trace.granted)
    yield "plain", beside("granted none", trace.bare)


def as_data(trace: Trace) -> dict[str, Any]:
    """The same for programs."""
    said = trace.said
    answer = None
    if said.answer is not None:
        answer = said.answer.as_dict() | {
            "effect": said.answer.effect.name.lower(),
            "state": None if said.answer.state is None else said.answer.state.hex(),
            "permissions": list(said.answer.permissions),
            "notes": list(said.answer.notes),
        }
    return {
        "name": trace.name,
        "event": trace.event.name,
        "tool": trace.event.tool,
        "sent": list(trace.sent),
        "settings": dict(trace.settings),
        "answer": answer,
        "fault": said.fault or None,
        "fuel": said.fuel,
        "limit": trace.fuel,
        "microseconds": round(said.microseconds),
        "asked": trace.asked,
        "granted": trace.granted,
        "bare": trace.bare,
    }


def _is_asked(trial: Trial, event: Event) -> bool:
    manifest = trial.manifest
    if manifest is None:
        return event.name == "PreToolUse"
    tool = event.tool
    tools = manifest.tools if tool is not None else None
    named = tools is None or any(tool == t or (t.endswith("*") and str(tool).startswith(t[:-1])) for t in tools)
    return event.name in manifest.events and named


def _outcome(trial: Trial, said: Said, event: Event, grants: Grants) -> str:
    """What a host that gives *grants* makes of the answer."""
    if said.answer is None:
        return "denied: a policy that fails denies"
    try:
        verdict = answered(trial.name, said.answer, event, grants)
    except GuestFault as fault:
        return f"denied: {fault}"
    words = {
        Effect.PASS: "passed: the agent's own permission rules go on",
        Effect.ALLOW: "allowed: nobody is asked",
        Effect.ASK: "asked: a human decides",
        Effect.DENY: "denied: the tool does not run" if event.tool else "denied",
    }
    changed = "rewritten, " * (verdict.rewrite is not None) + "its output rewritten, " * (verdict.output is not None)
    return changed + words[verdict.effect] + "".join(f"; {note}" for note in verdict.notes[len(said.answer.notes) :])


def _answer(answer: Answer, event: Event) -> Iterator[tuple[str, str]]:
    style = {Effect.DENY: "deny", Effect.ASK: "rewrite"}.get(answer.effect, "rewrite" if answer.rewrite else "pass")
    yield style, beside("effect", answer.effect.name.lower() + (", with a rewrite" if answer.rewrite else ""))
    if answer.reason:
        yield "plain", beside("reason", answer.reason)
    for field, value in (answer.rewrite or {}).items():
        yield "plain", beside("rewrite", one_line(field, 80))
        yield from _changed(event.input.get(field), value)
    if answer.rewrite_output is not None:
        yield "plain", beside("output", "rewritten")
        yield from _changed(event.output, answer.rewrite_output)
    if answer.context:
        yield "plain", beside("context", one_line(answer.context, LONGEST))
    if answer.interrupt:
        yield "plain", beside("interrupt", "the run stops, where the agent can")
    for update in answer.permissions:
        yield "plain", beside("permission", one_line(json.dumps(update, ensure_ascii=False), LONGEST))
    for note in answer.notes:
        yield "note", beside("note", note)


def _changed(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """What becomes of a value, line by line."""
    old, new = _lines(before), _lines(after)
    if len(old) == len(new) == 1:
        yield "old", f"    - {old[0]}"
        yield "new", f"    + {new[0]}"
        return
    found = list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]
    for line in found[:MOST_LINES]:
        yield {"-": "old", "+": "new"}.get(line[:1], "plain"), f"    {line}"
    if len(found) > MOST_LINES:
        yield "plain", f"    … and {len(found) - MOST_LINES} lines more"


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    return [one_line(line, LONGEST) for line in text.split("\n")]


def _remembered(trace: Trace, answer: Answer) -> Iterator[tuple[str, str]]:
    if answer.state is None:
        if trace.state:
            yield "plain", beside("state", f"stays: {trace.state:_} bytes")
        return
    after = f"{len(answer.state):_} bytes: {one_line(answer.state.hex(), LONGEST)}" if answer.state else "nothing"
    yield "plain", beside("state", f"{trace.state:_} bytes, then {after}")


def _used(trace: Trace) -> str:
    said = trace.said
    time = latency(said.microseconds)
    if said.fuel is None:
        return f"{time}; its fuel could not be measured"
    return f"{said.fuel:_} fuel, {100 * said.fuel / trace.fuel:.2g} % of the limit ({trace.fuel:_}); {time}"
