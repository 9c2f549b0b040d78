"""Claude Code's transcripts, as the events that their hooks would have got.

1. A `tool_use` of an assistant's message is a PreToolUse: the transcript keeps the input that the model wrote, whatever
   a hook made of it. A `tool_result` of a user's message is a PostToolUse, or a PostToolUseFailure if it says so; one
   of a call that was refused is neither: no such hook ran.
2. A session that was resumed or forked begins with a copy of the old one: a call counts once, wherever it stands.
3. What a hook gets and a transcript does not hold is left out.

Formats: transcripts of Claude Code 2.1.330.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.agents import claude
from wasmguard.errors import EventError
from wasmguard.workshop.replay.past import NO_EVENT, Past
from wasmguard.workshop.rerun.payload import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_IDS = 1_000_000  # calls that are known again; 100 MB at the worst
MOST_OPEN = 10_000  # calls of one file whose result has not come yet


class Met:
    """The calls that were met, the latest of them."""

    def __init__(self, most: int = MOST_IDS) -> None:
        self._most = most
        self._known: dict[int, None] = {}

    def again(self, kind: str, call: object) -> bool:
        """Whether this was met before; from now on it was."""
        key = hash((kind, call))
        if key in self._known:
            return True
        self._known[key] = None
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return False


class Transcript:
    """What one file has told so far."""

    def __init__(self, met: Met) -> None:
        self._met = met
        self._open: dict[str, dict[str, Any]] = {}
        self._mode = ""

    def pasts(self, line: Mapping[str, Any], where: str) -> Iterator[Past]:
        """What one line tells: mostly nothing."""
        kind = line.get("type")
        if isinstance(mode := line.get("permissionMode"), str):
            self._mode = mode
        message = line.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        if kind not in ("assistant", "user") or not isinstance(content, list):
            return
        for part in content:
            if not isinstance(part, dict):
                continue
            fields: dict[str, Any] | None
            if kind == "assistant" and part.get("type") == "tool_use":
                fields = self._called(line, part)
            elif kind == "user" and part.get("type") == "tool_result":
                fields = self._done(line, part)
            else:
                continue
            if fields is not None and not self._met.again(fields["hook_event_name"], fields["tool_use_id"]):
                yield _past(fields, where, line.get("timestamp"))

    def _called(self, line: Mapping[str, Any], part: dict[str, Any]) -> dict[str, Any]:
        call = part.get("id")
        about = {"tool_name": part.get("name"), "tool_input": part.get("input"), "tool_use_id": call}
        if isinstance(call, str):
            self._open[call] = about
            if len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
        return self._fields(line, "PreToolUse", about)

    def _done(self, line: Mapping[str, Any], part: dict[str, Any]) -> dict[str, Any] | None:
        call = part.get("tool_use_id")
        about = self._open.pop(call, None) if isinstance(call, str) else None
        if about is None or "toolDenialKind" in line:
            return None
        if part.get("is_error") is True:
            return self._fields(line, "PostToolUseFailure", about) | {"error": _text(part.get("content"))}
        result = line.get("toolUseResult", part.get("content"))
        return self._fields(line, "PostToolUse", about) | {"tool_response": result}

    def _fields(self, line: Mapping[str, Any], name: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of a hook."""
        base = {"session_id": line.get("sessionId"), "cwd": line.get("cwd")}
        if self._mode:
            base["permission_mode"] = self._mode
        if isinstance(agent := line.get("agentId"), str):
            base["agent_id"] = agent
        known = {field: value for field, value in base.items() if isinstance(value, str)}
        return {**known, "hook_event_name": name, **about}


def _past(fields: dict[str, Any], where: str, time: object) -> Past:
    try:
        return Past(where, claude.from_mapping(fields, time=moment(time)))
    except EventError:
        return Past(where, why=NO_EVENT)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
