"""Claude Code and the Claude Agent SDK: what their hooks send, and how a decision is said in their words.

Every rule was measured with Claude Code 2.1.329, or is named in its schema. `KNOWN` holds the events as data; which of
them gate, and which stop, is `wasmguard.event`'s business.

1. A PASS without a rewrite or a context is `{}`, in every event: the client goes on as if nobody had been asked.
2. PreToolUse says the effect as `permissionDecision` with its reason, and the rewrite as `updatedInput`, whole, because
   the client replaces the input by it. A rewrite on PASS stands alone, and the client's own permission rules judge it.
   A DENY carries no rewrite. A DENY that interrupts adds `continue: false`, which without the deny lets the tool run.
3. ASK on PreToolUse is DENY where nobody is asked: `dontAsk` refuses, and `auto` runs the tool (claude-code#89561). The
   modes that ask are listed; one that we have never met counts as one that does not.
4. PermissionRequest says ALLOW, with its permission updates, and DENY as a `decision`. ASK is `{}` there like PASS: the
   client is about to ask its user, and that is the asking.
5. UserPromptSubmit, PreCompact and ConfigChange know no asking: ASK and DENY are `decision: "block"`.
6. So are they on Stop and SubagentStop, where it means "go on working, because". What only faults carry is settled
   there without them: a policy that is broken cannot keep an agent running for ever, nor silence one that is not. A
   context is not said there: it makes the agent go on just as a block does, and a PASS must not.
7. Every other event is observed. No effect changes anything there; an event that nobody knows is answered `{}`.
8. A context is `additionalContext` where `KNOWN` says so, and not beside a block. Elsewhere nobody would read it, but
   for rule 6.
9. A rewrite that comes with any other gating event is DENY there, and the reason says so: it is never dropped in
   silence. (On Stop and SubagentStop no input is about to run, so there it changes nothing.)
10. A refusal without a decision (broken configuration, unreadable event, a bug) is a DENY in the event's own form, `{}`
    for the events of rules 6 and 7, and PreToolUse's form for an event of unknown name: then the hook exits 2 as well.
11. Nothing but these keys is ever said; never `systemMessage` (it would speak to the user in the client's voice), never
    `defer` (it ends the run), never `async` (it is no opinion, even with `onFailure: "block"`).

An empty reason is filled in: a deny without one has let a write pass (claude-code#91870).
"""

from __future__ import annotations

from wasmguard.agents.interface import copied, decoded, top_level
from wasmguard.decision import Effect, settle
from wasmguard.errors import EventError
from wasmguard.event import GATING, REWRITABLE, STOPPING, TOOL_GATES, Event
from wasmguard.limits import REASON
from wasmguard.text import lines, one_line
from wasmguard.value import Value
from wasmguard.wire import written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wasmguard.decision import Decision

name = "claude"

PERMISSION = "permissionDecision"  # rule 2
DECISION = "decision"  # rule 4
BLOCK = "block"  # rules 5 and 6


class Form(Value):
    """How the client takes an answer to one of its events."""

    effect: str = ""
    """How an effect is said: `PERMISSION`, `DECISION`, `BLOCK`, or not at all."""

    context: bool = False
    """Whether it reads `additionalContext`, and does nothing else with it."""


OBSERVED = Form()
TOLD = Form(context=True)

KNOWN = {
    "PreToolUse": Form(effect=PERMISSION, context=True),
    "PermissionRequest": Form(effect=DECISION),
    "UserPromptSubmit": Form(effect=BLOCK, context=True),
    "PreCompact": Form(effect=BLOCK),
    "ConfigChange": Form(effect=BLOCK),
    "Stop": Form(effect=BLOCK),
    "SubagentStop": Form(effect=BLOCK),
    "PostToolUse": TOLD,
    "PostToolUseFailure": TOLD,
    "PostToolBatch": TOLD,
    "UserPromptExpansion": TOLD,
    "SessionStart": TOLD,
    "SubagentStart": TOLD,
    "PostModelSwitch": TOLD,
    "Notification": TOLD,
    "Setup": TOLD,
    "PermissionDenied": OBSERVED,
    "StopFailure": OBSERVED,
    "SessionEnd": OBSERVED,
    "PostCompact": OBSERVED,
    "PreModelSwitch": OBSERVED,
    "TaskCreated": OBSERVED,
    "TaskCompleted": OBSERVED,
    "TeammateIdle": OBSERVED,
    "Elicitation": OBSERVED,
    "ElicitationResult": OBSERVED,
    "WorktreeCreate": OBSERVED,  # not to be hooked: the client expects the hook to make the worktree and name its path
    "WorktreeRemove": OBSERVED,
    "CwdChanged": OBSERVED,
    "FileChanged": OBSERVED,
    "DirectoryAdded": OBSERVED,
    "InstructionsLoaded": OBSERVED,
    "MessageDisplay": OBSERVED,
}
"""The 33 events of Claude Code 2.1.329."""

ASKING_MODES = frozenset({"default", "acceptEdits", "plan", "bypassPermissions"})
"""Permission modes in which `ask` brings a prompt, or a refusal where nobody sits. Measured: bypassPermissions too."""

UNSAID = "refused by wasmguard"


def parse(raw: bytes, *, time: int = 0) -> Event:
    """The event in the bytes of a hook's stdin or request body, received at *time* (Unix milliseconds).

    Raises:
        EventError: if it breaks a rule of `wasmguard.agents.interface`, or lacks what an event of its name must have.
    """
    return _event(decoded(raw), time)


def from_mapping(payload: Mapping[str, Any], *, time: int = 0) -> Event:
    """The event in a payload that somebody else decoded: the SDK, or a caller of the library.

    Raises:
        EventError: as `parse`.
    """
    return _event(copied(payload), time)


def name_of(raw: bytes) -> str | None:
    """The event's name in bytes that need not parse, or None when in doubt; None is refused in the strictest form.

    The client never writes the key twice. If somebody did, readers would disagree about which one counts, so the only
    one that can stop something wins, and two such are doubt: exit code 2 stops either. A name that is cut off is doubt
    as well: `Stop` may be the beginning of `StopFailure`.
    """
    found = set(top_level(raw, "hook_event_name"))
    if len(found) > 1:
        found &= GATING - STOPPING
    return found.pop() or None if len(found) == 1 else None


def render(event: Event, decision: Decision) -> dict[str, Any]:
    """The answer that carries *decision* out, by the rules above."""
    if event.name in STOPPING and decision.faulted:
        decision = settle(v for v in decision.verdicts if not v.fault)
    effect, reason = _possible(event, decision)
    return _say(event.name, effect, reason, decision)


def refusal(event_name: str | None, why: str) -> dict[str, Any]:
    """The answer when there is no decision, because of *why*: stop what can be stopped (rule 10)."""
    if event_name in STOPPING:
        return {}
    return _say(event_name or "PreToolUse", Effect.DENY, lines(why, REASON).strip() or UNSAID, _NOTHING)


def encode(answer: Mapping[str, Any]) -> bytes:
    """One line of ASCII: no reader takes it for two, and lone surrogates stay the escapes that they were.

    Raises:
        ValueError, TypeError: if the answer holds what JSON cannot say. That is a bug of ours: print a refusal instead.
    """
    return written(dict(answer)).encode() + b"\n"


_NOTHING = settle(())


def _event(fields: dict[str, Any], time: int) -> Event:
    """The event of these fields. Extra fields are kept, and none is required but what a gate is about."""
    said = _string(fields, "hook_event_name", "the event")
    if said in TOOL_GATES:
        _string(fields, "tool_name", said)
        if type(fields.get("tool_input")) is not dict:
            raise EventError(f"{said} needs `tool_input`, an object")
    if said == "UserPromptSubmit" and type(fields.get("prompt")) is not str:  # an empty prompt is one
        raise EventError(f"{said} needs `prompt`, a string")
    for optional in ("permission_mode", "cwd"):
        if type(fields.get(optional, "")) is not str:
            raise EventError(f"`{optional}` of {one_line(said, 60)} is not a string")
    return Event(name=said, agent=name, fields=fields, time=time, checked=True)


def _string(fields: Mapping[str, Any], field: str, what: str) -> str:
    value = fields.get(field)
    if type(value) is str and value:
        return value
    raise EventError(f"{what} needs `{field}`, a string that is not empty")


def _possible(event: Event, decision: Decision) -> tuple[Effect, str]:
    """The effect and its reason as the client can carry them out: never looser than what was decided."""
    reason, mode = decision.reason, event.fields.get("permission_mode", "default")
    if decision.rewrite is not None and event.name not in REWRITABLE | STOPPING:
        return Effect.DENY, f"{reason}\nwasmguard: {event.name} cannot carry out a rewrite of the tool input".strip()
    if decision.effect is Effect.ASK and event.name == "PreToolUse" and mode not in ASKING_MODES:
        mode = one_line(str(mode), 60)
        return Effect.DENY, f"{reason}\nwasmguard: denied, as nobody is asked in permission mode `{mode}`".strip()
    return decision.effect, reason if reason.strip() or decision.effect < Effect.ASK else UNSAID


def _say(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    """The JSON object for *effect*; of *decision*, only what rides along with it."""
    form = KNOWN.get(event_name, OBSERVED)
    return _FORMS[form.effect](event_name, effect, reason, decision)


def _permission(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if effect is not Effect.PASS:
        said = {"permissionDecision": effect.name.lower(), "permissionDecisionReason": reason}
    if decision.rewrite is not None and effect is not Effect.DENY:
        said["updatedInput"] = dict(decision.rewrite)  # anything but an object and the client runs the original
    stop = {"continue": False, "stopReason": reason} if decision.interrupt else {}
    return {**stop, **_specific(event_name, {**said, **_context(event_name, decision)})}


def _decision(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if effect is Effect.ALLOW:
        updates = [dict(update) for update in decision.permissions]
        said = {"behavior": "allow", **({"updatedPermissions": updates} if updates else {})}
    if effect is Effect.DENY:
        said = {"behavior": "deny", "message": reason, **({"interrupt": True} if decision.interrupt else {})}
    return _specific(event_name, {"decision": said} if said else {})


def _block(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    if effect >= Effect.ASK:
        return {"decision": "block", "reason": reason}
    return _observed(event_name, effect, reason, decision)


def _observed(event_name: str, _effect: Effect, _reason: str, decision: Decision) -> dict[str, Any]:
    return _specific(event_name, _context(event_name, decision))


_FORMS = {PERMISSION: _permission, DECISION: _decision, BLOCK: _block, "": _observed}


def _context(event_name: str, decision: Decision) -> dict[str, str]:
    takes = KNOWN.get(event_name, OBSERVED).context
    return {"additionalContext": decision.context} if takes and decision.context else {}


def _specific(event_name: str, said: dict[str, Any]) -> dict[str, Any]:
    """What is said under the event's own name, without which the client drops it (and lets the call run)."""
    return {"hookSpecificOutput": {"hookEventName": event_name, **said}} if said else {}
