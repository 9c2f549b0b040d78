"""What others say: the answers of other hooks, in today's words and in older ones, and old names of fields in events.

All of it is read, and none of it is ever written. An answer is what a hook printed or a callback returned
(`understood`):

1. The strictest effect in it wins, wherever it stands: `permissionDecision`, the `decision` of a PermissionRequest,
   `decision: "block"` (DENY) or `"approve"` (ALLOW) at the top level, the `action` of an Elicitation. Where DENY means
   "go on working", a context is one too: the client takes it so.
2. `continue: false` is DENY with an interrupt (alone, the client would let the tool run first). Where DENY means "go on
   working" it is an interrupt only. `continue_` and `async_` are Python's spelling.
3. `updatedInput` is a rewrite, whole; so was `modifiedInput`. `updatedToolOutput` and `updatedMCPToolOutput` are an
   output. On PreCompact `systemMessage` is the context.
4. Malformed is DENY, and a fault: anything but an object; a word of a wrong type or value; a `hookSpecificOutput`
   without its event's name; a word that decides, where the client does not look for it (`permissionDecision` at the top
   level); two words for one thing that disagree; `async: true` beside any of these; `defer`, which we cannot carry.
5. `async: true` alone is no opinion, as the client takes it. So are keys that nobody knows.

Events of older SDKs get today's names beside their own (`renewed`):

6. UserPromptSubmit: `content` is `prompt`. Two that differ are refused: nobody knows which one will be used.
7. PostToolUse with `success`: `result` is `tool_response`, where that is missing. A call that failed had this event
   too. It stays one (the name counts, and so do its answers), but has an `error`, as PostToolUseFailure has.
8. What has no new name stays as it is (`num_turns`, `message_count`, …).
"""

from __future__ import annotations

from wasmguard.decision import Effect
from wasmguard.errors import EventError
from wasmguard.event import STOPPING
from wasmguard.value import Value, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Understood(Value):
    """What an answer of somebody else's hook says. All its texts are untrusted, and not cleaned."""

    effect: Effect = Effect.PASS

    reason: str = ""
    """Why, in its own words."""

    rewrite: Mapping[str, Any] | None = None
    """The whole new tool input. None if it stays, and on DENY."""

    output: Any = None
    """The whole new output of the tool. None if it stays."""

    context: str = ""
    """Text for the model."""

    interrupt: bool = False
    """Whether the run ends: with DENY, and on the stopping events with any effect."""

    permissions: tuple[Mapping[str, Any], ...] = ()
    """Permission updates to go with an ALLOW."""

    beside: Mapping[str, Any] = {}
    """What it says to the client that decides nothing, as it was said: `systemMessage`, `suppressOutput`, …"""

    fault: str = ""
    """What is malformed about it: then the effect is DENY, but nobody meant it."""


def understood(event_name: str, answer: object) -> Understood:
    """What the *answer* of a hook to an event of this name says, by rules 1 to 5. Never raises."""
    try:
        top, said = _checked(event_name, answer)
        return _at_last(top, _read(event_name, top, said))
    except _Malformed as error:
        return Understood(effect=Effect.DENY, fault=str(error))


class _Malformed(Exception):
    """Nobody knows what an answer means."""


_TEXT, _FLAG, _OBJECT, _ANYTHING = (str,), (bool,), (dict,), (object,)
_LIST: tuple[type, ...] = (list, tuple)
_TOP = {"decision": _TEXT, "reason": _TEXT, "continue": _FLAG, "stopReason": _TEXT, "systemMessage": _TEXT}
_TOP |= {"suppressOutput": _FLAG, "terminalSequence": _TEXT, "async": _FLAG, "hookSpecificOutput": _OBJECT}
_PYTHON = {"continue_": "continue", "async_": "async"}
_INPUTS = ("updatedInput", "modifiedInput")
_OUTPUTS = ("updatedToolOutput", "updatedMCPToolOutput")
_PERMISSION: dict[str, tuple[type, ...]] = {"permissionDecision": _TEXT, "permissionDecisionReason": _TEXT}
_REQUEST = {"behavior": _TEXT, "message": _TEXT, "interrupt": _FLAG, "updatedPermissions": _LIST}
_REQUEST |= dict.fromkeys(_INPUTS, _OBJECT)
_DECIDING: dict[str, dict[str, tuple[type, ...]]] = {
    "PreToolUse": {**_PERMISSION, **dict.fromkeys(_INPUTS, _OBJECT)},
    "PermissionRequest": {"decision": _OBJECT},
    "PreModelSwitch": _PERMISSION,
    "PostToolUse": dict.fromkeys(_OUTPUTS, _ANYTHING),
    "Elicitation": {"action": _TEXT},
    "ElicitationResult": {"action": _TEXT},
}
"""What decides in `hookSpecificOutput`, and of which type it is."""
_UNMISTAKABLE = (*_PERMISSION, *_INPUTS, *_OUTPUTS)
"""Words that can only be meant to decide, wherever they stand."""
_SAYS = {
    "decision": {"approve": Effect.ALLOW, "block": Effect.DENY},
    "permissionDecision": {"allow": Effect.ALLOW, "ask": Effect.ASK, "deny": Effect.DENY},
    "behavior": {"allow": Effect.ALLOW, "deny": Effect.DENY},
    "action": {"accept": Effect.PASS, "decline": Effect.DENY, "cancel": Effect.DENY},
}


def _checked(event_name: str, answer: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """The top level of *answer*, and what it says under the event's name; all words of the right types and places."""
    if not isinstance(answer, dict):
        raise _Malformed(f"it is a `{type(answer).__name__}`, and no object")
    top: dict[str, Any] = {_PYTHON.get(str(key), str(key)): value for key, value in answer.items()}
    if len(top) < len(answer):
        raise _Malformed("it says one thing twice, in JSON's spelling and in Python's")
    _typed(top, _TOP)
    said = top.get("hookSpecificOutput", {})
    if "hookSpecificOutput" in top and said.get("hookEventName") != event_name:
        raise _Malformed(f"its `hookEventName` is not `{event_name}`")
    deciding = _DECIDING.get(event_name, {})
    _typed(said, {**deciding, "additionalContext": _TEXT})
    for word in _UNMISTAKABLE:
        if word in top or (word in said and word not in deciding):
            raise _Malformed(f"`{word}` stands where the client does not look for it")
    return top, said


def _read(event_name: str, top: Mapping[str, Any], said: Mapping[str, Any]) -> Understood:
    request = _request(said) if event_name == "PermissionRequest" and "decision" in said else {}
    stays, context = top.get("continue", True), said.get("additionalContext", "")
    effects = _effects(top, said, request)
    if event_name in STOPPING:
        effects += [(Effect.DENY, context)] if context else []
    elif not stays:
        effects.append((Effect.DENY, top.get("stopReason", "")))
    effect = max((effect for effect, _ in effects), default=Effect.PASS)
    message = top.get("systemMessage", "")
    reasons = [why for given, why in effects if given is effect and why.strip()]
    rewrite = _one(request if event_name == "PermissionRequest" else said, _INPUTS)
    if event_name == "PreCompact" and effect is not Effect.DENY:
        context = message
    return Understood(
        effect=effect,
        reason=reasons[0] if reasons else message if effect is Effect.DENY else "",
        rewrite=None if effect is Effect.DENY else rewrite,
        output=_one(said, _OUTPUTS),
        context="" if event_name in STOPPING else context,
        interrupt=not stays or (effect is Effect.DENY and request.get("interrupt", False)),
        permissions=tuple(request.get("updatedPermissions", ())) if effect is Effect.ALLOW else (),
        beside=_beside(event_name, top, said),
    )


def _at_last(top: Mapping[str, Any], found: Understood) -> Understood:
    """What is left of *found* when the answer takes itself back (rule 5)."""
    if not top.get("async"):
        return found
    if found != Understood(beside=found.beside):
        raise _Malformed("`async` takes back what it decides")
    return Understood()


def _request(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `decision` of a PermissionRequest."""
    request: dict[str, Any] = said["decision"]
    _typed(request, _REQUEST)
    if "behavior" not in request:
        raise _Malformed("its `decision` has no `behavior`")
    if any(not isinstance(update, dict) for update in request.get("updatedPermissions", ())):
        raise _Malformed("its `updatedPermissions` are no objects")
    return request


def _effects(top: Mapping[str, Any], said: Mapping[str, Any], request: Mapping[str, Any]) -> list[tuple[Effect, str]]:
    """Every effect that is said, with its reason."""
    places = (
        (top, "decision", "reason"),
        (said, "permissionDecision", "permissionDecisionReason"),
        (request, "behavior", "message"),
        (said, "action", "reason"),
    )
    found = []
    for words, word, why in places:
        if word in words:
            if words[word] not in _SAYS[word]:
                raise _Malformed(f"its `{word}` is none of {', '.join(_SAYS[word])}")
            found.append((_SAYS[word][words[word]], words.get(why, "")))
    return found


def _one(words: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value that one of *names* has, or all of them alike."""
    values = [words[name] for name in names if name in words]
    if any(not same(value, values[0]) for value in values):
        raise _Malformed(f"{' and '.join(f'`{name}`' for name in names)} disagree")
    return values[0] if values else None


def _beside(event_name: str, top: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    told = ("suppressOutput", "terminalSequence", *(() if event_name == "PreCompact" else ("systemMessage",)))
    deciding = {*_DECIDING.get(event_name, ()), "additionalContext"} - {"action"}
    own = {key: value for key, value in said.items() if key not in deciding}
    left = {key: top[key] for key in told if key in top}
    return {**left, **({"hookSpecificOutput": own} if own.keys() - {"hookEventName"} else {})}


def _typed(words: Mapping[str, Any], types: Mapping[str, tuple[type, ...]]) -> None:
    for word in words.keys() & types.keys():
        if not isinstance(words[word], types[word]):
            raise _Malformed(f"its `{word}` is a `{type(words[word]).__name__}`")


def renewed(fields: dict[str, Any]) -> dict[str, Any]:
    """The *fields* of an event that has old names, under those of today as well (rules 6 to 8).

    Raises:
        EventError: if old and new disagree about what a gate is about.
    """
    if fields.get("hook_event_name") == "UserPromptSubmit":
        old, new = fields["content"], fields.get("prompt", fields["content"])
        if type(old) is str and old != new:
            raise EventError("UserPromptSubmit has a `prompt` and a `content` that differ: send `prompt`")
        return {**fields, "prompt": new}
    made = dict(fields)
    if "result" in made:
        made.setdefault("tool_response", made["result"])
    if made["success"] is False and not made.get("error"):
        made["error"] = "the tool failed"
    return made
