"""Claude Code 2.1.330 as a reader of answers: what it does with the bytes that a hook printed before it exited with 0.

Written from the client's schema and from what was measured, not from our code, and stricter than the client: whatever
it would ignore, drop or call a failure is `Unfit` here, because behind each of these the tool runs as if nobody had
been asked. (A failure blocks under `onFailure: "block"`, which an older client ignores.)
"""

import json
from dataclasses import dataclass
from typing import Any

OBJECT, TEXT, FLAG, LIST = dict, str, bool, list
TOP_LEVEL = {"continue": FLAG, "stopReason": TEXT, "decision": TEXT, "reason": TEXT, "hookSpecificOutput": OBJECT}
"""The keys that decide something. `systemMessage`, `suppressOutput` and `terminalSequence` are known to the client, but
they speak in its voice; `async` takes the answer back. Other keys (a top-level `updatedInput`) do nothing."""

INSTRUCTED = {"PreCompact": {"systemMessage": TEXT}}
"""Where `systemMessage` is read by the model: an SDK callback's becomes an instruction, and of a command all its output
does. With a block, it is the only reason that a callback's client repeats."""

CONTEXT = {"additionalContext": TEXT}
PERMISSION = {"permissionDecision": TEXT, "permissionDecisionReason": TEXT}
SPECIFIC: dict[str, dict[str, type]] = {
    "PreToolUse": {**PERMISSION, **CONTEXT, "updatedInput": OBJECT},
    "PermissionRequest": {"decision": OBJECT},
    "PermissionDenied": {"retry": FLAG},
    "PostToolUse": {**CONTEXT, "classifierContext": TEXT, "updatedToolOutput": object, "updatedMCPToolOutput": object},
    "PostToolUseFailure": CONTEXT,
    "PostToolBatch": CONTEXT,
    "UserPromptSubmit": {**CONTEXT, "sessionTitle": TEXT, "suppressOriginalPrompt": FLAG},
    "UserPromptExpansion": {**CONTEXT, "suppressOriginalPrompt": FLAG},
    "Stop": CONTEXT,
    "SubagentStop": CONTEXT,
    "StopFailure": {},
    "SessionStart": {
        **CONTEXT,
        "initialUserMessage": TEXT,
        "sessionTitle": TEXT,
        "watchPaths": LIST,
        "reloadSkills": FLAG,
    },
    "SessionEnd": {},
    "SubagentStart": CONTEXT,
    "PreCompact": {},
    "PostCompact": {},
    "PreModelSwitch": PERMISSION,
    "PostModelSwitch": CONTEXT,
    "Notification": CONTEXT,
    "TaskCreated": {},
    "TaskCompleted": {},
    "TeammateIdle": {},
    "Elicitation": {"action": TEXT, "content": OBJECT},
    "ElicitationResult": {"action": TEXT, "content": OBJECT},
    "ConfigChange": {},
    "WorktreeCreate": {"worktreePath": TEXT},
    "WorktreeRemove": {},
    "CwdChanged": {"watchPaths": LIST},
    "FileChanged": {"watchPaths": LIST},
    "DirectoryAdded": {},
    "InstructionsLoaded": {},
    "MessageDisplay": {"displayContent": TEXT},
    "Setup": CONTEXT,
}
"""What each event reads in `hookSpecificOutput`, besides `hookEventName`."""

BLOCKED = {
    "PreToolUse": "blocked",
    "UserPromptSubmit": "blocked",
    "UserPromptExpansion": "blocked",
    "PreCompact": "blocked",
    "ConfigChange": "blocked",
    "TaskCreated": "blocked",
    "Elicitation": "blocked",
    "ElicitationResult": "blocked",
    "PostToolBatch": "blocked",
    "Stop": "goes on working",
    "SubagentStop": "goes on working",
    "TeammateIdle": "goes on working",
    "TaskCompleted": "goes on working",
    "PostToolUse": "told",
    "PostToolUseFailure": "told",
}
"""What the top-level `decision: "block"` does, where it does anything. On a Stop a context does the same."""

ENDS = {"PreToolUse", "PostToolUse", "Stop", "SubagentStop", "TeammateIdle"}
"""Where `continue: false` ends the run. After a call that failed, and on tasks, the client does not look at it."""

BEHAVIORS = {
    "allow": ({"behavior"}, {"updatedInput": OBJECT, "updatedPermissions": LIST}),
    "deny": ({"behavior", "message"}, {"interrupt": FLAG}),
}
"""What a PermissionRequest's decision must and may hold. The client can do without a message, its user cannot."""


class Unfit(AssertionError):
    """The client would not do what this answer seems to say."""


@dataclass(frozen=True)
class Outcome:
    """What the client does."""

    does: str
    """`no opinion`, `runs`, `asks`, `blocked`, `goes on working`, `ends` or `told` (the model); rewritten if `input` is
    there."""

    reason: str = ""
    input: dict[str, Any] | None = None
    context: str = ""
    output: Any = None
    permissions: tuple[dict[str, Any], ...] = ()
    ends: bool = False
    """Whether the whole run ends with it."""


def validate(event_name: str, stdout: bytes, original: dict[str, Any] | None = None) -> Outcome:
    """What the client does with *stdout*; *original* is the tool input that a rewrite would replace.

    Raises:
        Unfit: if it would ignore any of it.
    """
    answer = _one_object(stdout)
    _only(answer, {**TOP_LEVEL, **INSTRUCTED.get(event_name, {})}, "top level")
    said = answer.get("hookSpecificOutput", {})
    if "hookSpecificOutput" in answer:
        _must(said.get("hookEventName") == event_name, f"`hookEventName` is not `{event_name}`")
        _only(said, {"hookEventName": TEXT, **SPECIFIC.get(event_name, {})}, event_name)
    _must("continue" not in answer or event_name in ENDS, f"`continue` does nothing on {event_name}, or too much")
    _must(answer.get("continue") in (None, False), "`continue: true` says nothing")
    _must(("continue" in answer) == ("stopReason" in answer), "a run that ends says why")
    _must("decision" in answer or "reason" not in answer, "a top-level `reason` without a `decision` is read by nobody")
    if "decision" in answer:
        return _top_level_decision(event_name, answer, said)
    if event_name in ("PreToolUse", "PreModelSwitch"):
        return _permission(answer, said, original)
    if event_name == "PermissionRequest":
        return _permission_request(said)
    if "continue" in answer:
        _must(event_name != "PostToolUse", "whoever ends the run tells the model, too")
        _must(answer.keys() == {"continue", "stopReason"}, "a run that ends needs nothing else")
        return Outcome("ends", reason=_reason(answer["stopReason"]), ends=True)
    output = _output(event_name, said)
    _must(not said.keys() - {"hookEventName", "additionalContext", *OUTPUTS}, "more than a context was said")
    context = answer.get("systemMessage", said.get("additionalContext", ""))
    goes_on = context and BLOCKED.get(event_name) == "goes on working"
    return Outcome(BLOCKED[event_name] if goes_on else "no opinion", context=context, output=output)


def _one_object(stdout: bytes) -> dict[str, Any]:
    _must(stdout.startswith(b"{"), "whatever does not start with `{` is plain text: no opinion")
    _must(stdout.endswith(b"}\n") and stdout.count(b"\n") == 1, "one line, so that nothing stands after the object")
    try:
        text = stdout.decode("ascii")
        answer = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except ValueError as error:
        raise Unfit(f"does not parse: {error}") from error
    return answer


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _must(len(dict(pairs)) == len(pairs), "a key twice")
    return dict(pairs)


def _constant(literal: str) -> Any:
    raise Unfit(f"`{literal}` is no JSON")


def _only(given: dict[str, Any], allowed: dict[str, type], where: str) -> None:
    for key, value in given.items():
        _must(key in allowed, f"{where}: the client ignores `{key}`")
        _must(isinstance(value, allowed[key]), f"{where}: `{key}` is a `{type(value).__name__}`: a schema error")


OUTPUTS = ("updatedToolOutput", "updatedMCPToolOutput")


def _output(event_name: str, said: dict[str, Any]) -> Any:
    _must("updatedMCPToolOutput" not in said, "the older word, for the tools of MCP servers only")
    return said.get("updatedToolOutput") if event_name == "PostToolUse" else None


def _top_level_decision(event_name: str, answer: dict[str, Any], said: dict[str, Any]) -> Outcome:
    _must(answer["decision"] in ("approve", "block"), f"`decision: {answer['decision']}` is a schema error")
    _must(answer["decision"] == "block" and event_name in BLOCKED, f"`decision` decides nothing on {event_name}")
    reason, does = _reason(answer["reason"]), BLOCKED[event_name]
    if does == "told":
        _must(answer.get("stopReason", reason) == reason, "two reasons for one thing")
        context, output = said.get("additionalContext", ""), _output(event_name, said)
        return Outcome(does, reason=reason, context=context, output=output, ends="continue" in answer)
    _must(answer.keys() - {"systemMessage"} == {"decision", "reason"}, "a block says why, and nothing else")
    _must(answer.get("systemMessage", reason) == reason, "two reasons for one thing")
    return Outcome(does, reason=reason)


def _permission(answer: dict[str, Any], said: dict[str, Any], original: dict[str, Any] | None) -> Outcome:
    decision = said.get("permissionDecision")
    _must(decision in (None, "allow", "ask", "deny"), f"`{decision}` is a schema error, or ends the run")
    _must(decision is not None or "permissionDecisionReason" not in said, "a reason for no decision")
    ends = "continue" in answer
    _must(not ends or decision == "deny", "`continue` alone: the tool still runs")
    rewritten = said.get("updatedInput")
    _must(rewritten is None or decision != "deny", "a deny rewrites nothing")
    if rewritten is not None and original is not None:
        _must(rewritten.keys() == original.keys(), "the input is replaced, not merged: other keys, another call")
    reason = said.get("permissionDecisionReason", "")
    return Outcome(
        {None: "no opinion", "allow": "runs", "ask": "asks", "deny": "blocked"}[decision],
        reason=_reason(reason) if decision in ("ask", "deny") else reason,
        input=rewritten,
        context=said.get("additionalContext", ""),
        ends=ends,
    )


def _permission_request(said: dict[str, Any]) -> Outcome:
    if "decision" not in said:
        return Outcome("asks")  # the client is about to ask its user, and nobody objects
    decision = said["decision"]
    _must(decision.get("behavior") in BEHAVIORS, f"`behavior: {decision.get('behavior')}` is a schema error")
    needed, optional = BEHAVIORS[decision["behavior"]]
    _must(needed <= decision.keys(), f"{decision['behavior']} needs {sorted(needed)}")
    _only(decision, {**dict.fromkeys(needed, TEXT), **optional}, "decision")
    if decision["behavior"] == "deny":
        return Outcome("blocked", reason=_reason(decision["message"]), ends=decision.get("interrupt", False))
    updates = tuple(decision.get("updatedPermissions", ()))
    _must(all(isinstance(update, dict) and "type" in update for update in updates), "not a PermissionUpdate")
    return Outcome("runs", input=decision.get("updatedInput"), permissions=updates)


def _reason(reason: str) -> str:
    _must(bool(reason.strip()), "an empty reason: a deny without one has let a write pass (claude-code#91870)")
    return reason


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Unfit(otherwise)
