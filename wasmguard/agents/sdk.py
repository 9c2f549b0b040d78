"""The callback form: what an agent's SDK asks of `canUseTool`, as JSON. No I/O; the HTTP port speaks it.

A question is one JSON object, read as strictly as an event (`wasmguard.agents.interface`), and

1. it has only keys that are known (`_KEYS`): a key that says how to judge must not be dropped by who never heard of it;
2. each has its type; null is no type. `toolName` and `input` are always there, and no `version` but ours;
3. `judged` says that a PreToolUse hook of ours was asked about this very call, and what it said; `true` says only that
   it was asked, and counts as ASK. An `allow` has not answered the question, or it would not be put: it counts as PASS;
4. `asks` says that a human can be asked, `unasked` what a PASS is worth where none can.

An answer is one JSON object as well. It always has `version` and `behavior`, and says no more than its behavior takes:

5. `allow` with the whole new input if it changed, and with permission updates; `deny` with why, and whether the run has
   to end; `ask` only where a human can be asked: with why, and the new input if it changed.
6. Whatever went wrong is a deny that says so (`refusal`).

`wasmguard/serve/schemas/` says the same in JSON Schema; `tests/agents/test_sdk.py` holds them together.
"""

from __future__ import annotations

from wasmguard.agents.interface import decoded
from wasmguard.decision import Effect
from wasmguard.errors import EventError
from wasmguard.limits import REASON
from wasmguard.text import lines, one_line
from wasmguard.value import Value
from wasmguard.wire import written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

VERSION = 1
UNSAID = "refused by wasmguard"

_FIELDS = {
    "sessionId": "session_id",
    "transcriptPath": "transcript_path",
    "cwd": "cwd",
    "permissionMode": "permission_mode",
    "toolUseID": "tool_use_id",
    "agentID": "agent_id",
    "agentType": "agent_type",
    "mcpServer": "mcp_server",
    "suggestions": "permission_suggestions",
}
"""Keys that say what an event would, and the fields of the event."""
_KEYS = {
    **dict.fromkeys(_FIELDS, str),
    "toolName": str,
    "input": dict,
    "mcpServer": dict,
    "suggestions": list,
    "version": object,
    "judged": object,
    "asks": bool,
    "unasked": str,
}
_KINDS = {str: "a string", dict: "an object", list: "a list", bool: "true or false"}
_LEAST = {"pass": Effect.PASS, "allow": Effect.ALLOW, "ask": Effect.ASK, True: Effect.ASK}
"""What `judged` may say but false: a call that a hook denied is not asked about."""


class Call(Value):
    """One question: may this tool run with this input?"""

    tool: str
    input: Mapping[str, Any]
    fields: Mapping[str, Any] = {}
    """What else the events about it carry, under their names there."""
    judged: bool = False
    """Whether PreToolUse was asked about it already."""
    least: Effect = Effect.ASK
    """What PreToolUse said, if it was."""
    asks: bool = False
    """Whether a human can be asked."""
    unasked: str = "deny"
    """What a PASS is where none can: `deny` or `pass`."""


def parse(raw: bytes) -> Call:
    """The question in the body of a request.

    Raises:
        EventError: if it breaks a rule above.
    """
    said = decoded(raw)
    for key, value in said.items():
        _check(key, value)
    if not said.get("toolName") or "input" not in said:
        raise EventError("the question needs `toolName`, a string that is not empty, and `input`, an object")
    version = said.get("version", VERSION)
    if version is True or version != VERSION:
        raise EventError(f"the question has another version than {VERSION}, which is spoken here")
    judged, unasked = said.get("judged", False), said.get("unasked", "deny")
    if judged is not False and (type(judged) not in (bool, str) or judged not in _LEAST):
        raise EventError("`judged` of the question is `pass`, `allow`, `ask`, true or false")
    if unasked not in ("deny", "pass"):
        raise EventError("`unasked` of the question is `deny` or `pass`")
    return Call(
        tool=said["toolName"],
        input=said["input"],
        fields={field: said[key] for key, field in _FIELDS.items() if key in said},
        judged=judged is not False,
        least=_LEAST.get(judged, Effect.ASK),
        asks=said.get("asks", False),
        unasked=unasked,
    )


def render(  # noqa: PLR0913  # what an answer may say
    effect: Effect,
    *,
    asks: bool,
    message: str = "",
    new_input: Mapping[str, Any] | None = None,
    updates: Iterable[Mapping[str, Any]] = (),
    interrupt: bool = False,
) -> dict[str, Any]:
    """The answer. PASS and ASK mean that somebody has to be asked: `ask` if somebody can be (*asks*), else `deny`."""
    said: dict[str, Any] = {"version": VERSION, "behavior": "allow"}
    if effect is Effect.DENY or (effect is not Effect.ALLOW and not asks):
        ended = {"interrupt": True} if interrupt else {}
        return {**said, "behavior": "deny", "message": message if message.strip() else UNSAID, **ended}
    if new_input is not None:
        said["updatedInput"] = dict(new_input)
    if effect is not Effect.ALLOW:
        return {**said, "behavior": "ask", **({"message": message} if message.strip() else {})}
    granted = [dict(update) for update in updates]
    return {**said, **({"updatedPermissions": granted} if granted else {})}


def refusal(why: str) -> dict[str, Any]:
    """The answer when there is no decision, because of *why*."""
    return render(Effect.DENY, asks=False, message=lines(why, REASON))


def encode(answer: Mapping[str, Any]) -> bytes:
    """One line of ASCII.

    Raises:
        ValueError, TypeError: if the answer holds what JSON cannot say. That is a bug of ours: say a refusal instead.
    """
    return written(dict(answer)).encode() + b"\n"


def _check(key: str, value: Any) -> None:
    """Refuse what breaks rules 1 and 2."""
    kind = _KEYS.get(key)
    if kind is None:
        raise EventError(f"the question has the key `{one_line(key, 60)}`, which nobody knows here: leave it out")
    if kind is not object and type(value) is not kind:
        raise EventError(f"`{key}` of the question is not {_KINDS[kind]}")
    if kind is list and any(type(item) is not dict for item in value):
        raise EventError(f"`{key}` of the question holds something else than objects")
    if key == "mcpServer" and any(type(value.get(name)) is not str for name in ("name", "source")):
        raise EventError(f"`{key}` of the question needs `name` and `source`, both strings")
