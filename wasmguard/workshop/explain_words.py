"""Records in words, shared by what tells of many (`log`) and of one (`explain`): times, calls, who carried, results.

A record holds what agents and guests said, and every word here goes to a terminal: whatever a record holds passes
`one_line` on its way out, and is cut by the columns that it takes, not by its characters.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

from wasmguard.decision import OURSELVES
from wasmguard.event import AFTER, STOPPING
from wasmguard.text import one_line, quoted
from wasmguard.value import same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from wasmguard.decision import Verdict

    Body = Mapping[str, Any]

TELLING = (
    *("command", "file_path", "notebook_path", "url", "pattern", "query", "prompt", "path", "skill"),
    *("description", "message", "reason", "source", "agent_type", "trigger"),
    *("task_subject", "new_cwd", "error", "delta", "last_assistant_message"),
)
"""Fields that say what a call, or an event without one, is about, the most telling first."""
LONGEST = 1_000  # characters of any text before it is cut to its place
DECIDED = ("decision", "refused")
"""Kinds of records about an event; all others are acts."""
ALARMING = {"alarm", "lost", "damaged", "off", "off failed"}
WRONG = {
    "another": "NOT AS GRANTED: it ran with another input",
    "denied": "NOT AS GRANTED: it ran although it had been denied",
}
"""What `executed` says of a call that got around the guard."""


def columns(text: str) -> int:
    """How many columns of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def fitted(text: str, room: int, *, middle: bool = False) -> str:
    """*text* in at most *room* columns, its end left out, or its *middle*: paths differ at their ends."""
    if columns(text) <= room:
        return text
    if room < 2:
        return "…"[:room]
    back = ""
    if middle and room > 8:
        back = _first(text[::-1], room // 2)[::-1]
    return f"{_first(text, room - 1 - columns(back))}…{back}"


def pieces(text: str, room: int) -> Iterator[str]:
    """*text* in pieces of at most *room* columns: nothing of it is left out."""
    while columns(text) > room and (piece := _first(text, room)):
        yield piece
        text = text[len(piece) :]
    yield text


def _first(text: str, room: int) -> str:
    used, length = 0, 0
    for character in text:
        used += columns(character)
        if used > room:
            break
        length += 1
    return text[:length]


def said(value: object) -> str:
    """Any value of a record on one line: text as it is, other things as JSON."""
    if isinstance(value, str):
        return one_line(value, LONGEST)
    return one_line(json.dumps(value, ensure_ascii=False), LONGEST)


def is_path(text: str) -> bool:
    """Whether *text* is best cut in its middle."""
    return text.startswith(("/", "~/", "./", "http://", "https://")) and " " not in text


def tool_input(body: Body) -> Mapping[str, Any]:
    """What the tool was to be called with, as far as it was recorded."""
    given = (body.get("fields") or {}).get("tool_input")
    return given if isinstance(given, dict) else {}


def telling_field(given: Mapping[str, Any]) -> str:
    """The field of *given* that says most; empty if none says anything."""
    named = [name for name in TELLING if isinstance(given.get(name), str) and given[name]]
    texts = [name for name, value in given.items() if isinstance(value, str) and value]
    return next(iter(named or texts), "")


def about(body: Body) -> str:
    """The telling part of an event: a command, a path, an address, a prompt."""
    fields = body.get("fields")
    if not fields:
        digest = body.get("digest")
        return f"input {said(digest)[:12]}… (not recorded)" if digest else ""
    given = tool_input(body)
    if not body.get("tool"):
        given = {name: value for name, value in fields.items() if name in TELLING}
    field = telling_field(given)
    if not field:
        return said(given) if given else _of_several(fields)
    text = said(given[field])
    return text if field in TELLING else f"{said(field)}: {text}"


def _of_several(fields: Mapping[str, Any]) -> str:
    """The tools of an event about several calls."""
    calls = fields.get("tool_calls")
    names = [call.get("tool_name") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return ", ".join(said(name) for name in names if name)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The fields that a rewrite changed, each with its old and its new value."""
    for field in [*before, *(name for name in after if name not in before)]:
        if not same(before.get(field), after.get(field)):
            yield field, before.get(field), after.get(field)


def because(verdict: Verdict) -> str:
    """Who carried a decision and why, shortly; a guest's words stand in quotes."""
    if verdict.policy == OURSELVES:
        return f"{OURSELVES}: {said(verdict.fault or verdict.reason)}"
    name = said(verdict.policy)
    if verdict.fault:
        return f"{name} failed: {said(verdict.fault)}"
    return f"{name}: {quoted(said(verdict.reason))}" if verdict.reason else f"{name} gave no reason"


def result(body: Body, *, briefly: bool = False) -> str:
    """How a call ended, of a record about one that has been made: `13 ms, as granted`; empty for other events.
    *briefly* leaves out what is as ever, and begins with what is wrong."""
    if body.get("event") not in AFTER:
        return ""
    words = ["failed"] if body.get("error") else []
    if body.get("duration") is not None:
        words.append(f"{said(body['duration'])} ms")
    ran = body.get("executed")
    if ran in WRONG and briefly:
        words.insert(0, WRONG[ran].partition(":")[0])
    elif ran in WRONG:
        words.append(WRONG[ran])
    elif ran is not None and not briefly:
        words.append(said(ran) if ran == "as granted" else f"whether as granted: {said(ran)}")
    if body.get("unchecked"):
        words.append(f"not checked: {said(body['unchecked'])}")
    return ", ".join(words)


def effect(body: Body) -> str:
    """What a record about an event came to. An event that nobody could judge is denied, but for those at which that
    stops nothing."""
    if body["kind"] == "refused":
        return "pass" if body.get("event") in STOPPING | AFTER else "deny"
    return said(body.get("effect") or "deny")
