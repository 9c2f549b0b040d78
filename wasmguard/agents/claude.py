"""Claude Code and the Claude Agent SDK: what their hooks send, and how a decision is said in their words.

Every rule was measured with Claude Code 2.1.330, or is read in its code where it says so. `KNOWN` holds the events as
data; which of them gate, and which stop, is `wasmguard.event`'s business.

1. A PASS without a rewrite, an output or a context is `{}`, in every event: the client goes on as if nobody had been
   asked. (On PreCompact it takes what a command prints for instructions: there the model reads the two braces.)
2. PreToolUse says the effect as `permissionDecision` with its reason, and the rewrite as `updatedInput`, whole, because
   the client replaces the input by it. A rewrite on PASS stands alone, and the client's own permission rules judge it.
   A DENY carries no rewrite. A DENY that interrupts adds `continue: false`, which without the deny lets the tool run.
   PreModelSwitch says its effect the same way; nobody to be asked there is a no of the client's own.
3. ASK on PreToolUse is DENY where nobody is asked: `dontAsk` refuses, and `auto` runs the tool (claude-code#89561). The
   modes that ask are listed; one that we have never met counts as one that does not.
4. PermissionRequest says ALLOW, with its permission updates, and DENY as a `decision`. ASK is `{}` there like PASS: the
   client is about to ask its user, and that is the asking.
5. The other gates know no asking: ASK and DENY are `decision: "block"`. It drops the prompt or the command, leaves the
   context or the settings as they are, deletes the new task, tells an MCP server `decline`; on PostToolBatch it ends
   the run before the model reads the results.
6. So are they on Stop, SubagentStop, TeammateIdle (code) and TaskCompleted, where it means "go on working, because".
   What only faults carry is settled there without them: a policy that is broken cannot keep an agent running for ever,
   nor silence one that is not. A context is not said there: it makes the agent go on just as a block does, and a PASS
   must not. A DENY that interrupts is `continue: false` alone: the run ends, whatever another hook says. The client
   gives in to the ninth block in a row (`CLAUDE_CODE_STOP_HOOK_BLOCK_CAP`); policies look at `stop_hook_active`.
7. After a call (PostToolUse, PostToolUseFailure) nothing can be stopped. DENY, and ASK, as nobody can be asked now, are
   a message to the model: `decision: "block"`. What only faults carry is not said. A DENY that interrupts PostToolUse
   adds `continue: false`: the run ends before the model reads anything. A new output is `updatedToolOutput`, whole,
   whatever was decided, for tools of MCP servers too (`REPLACEABLE`). What a call that failed had to say cannot be
   replaced.
8. Every other event is observed. No effect changes anything there; an event that nobody knows is answered `{}`.
9. A context is `additionalContext` where `KNOWN` says so, and not beside a block of rule 5. On PreCompact it is
   `systemMessage`, the text of which the client takes for instructions if an SDK callback says it; of a command or a
   URL it takes the whole answer. A block says its reason there too, the only one that it repeats for a callback.
   Elsewhere nobody would read a context, but for rule 6.
10. A rewrite that comes with any other gating event is DENY there, and the reason says so: it is never dropped in
    silence. (On the events of rule 6 no input is about to run, so there it changes nothing.)
11. A refusal without a decision (broken configuration, unreadable event, a bug) is a DENY in the event's own form, `{}`
    for the events of rules 6 to 8, and PreToolUse's form for an event of unknown name: then the hook exits 2 as well.
    Where a policy might have taken something out of a tool's output, it is withheld: of the event, `unread` as the
    client reads it, `render` says a new output. Of what nobody can read nothing must be shown: `ended`.
12. Nothing but these keys is ever said; never `systemMessage` elsewhere (it would speak to the user in the client's
    voice), never `defer` (it ends the run), `retry` (it undoes a denial) or `async` (it is no opinion, even with
    `onFailure: "block"`).

An empty reason is filled in: a deny without one has let a write pass (claude-code#91870).

The names that older SDKs had for fields are read as well: `claude_old`, which only an event with such names imports.
"""

from __future__ import annotations

from wasmguard.agents.interface import BOM, copied, decoded, top_level
from wasmguard.decision import Effect, settle
from wasmguard.errors import EventError
from wasmguard.event import AFTER, GATING, OUTPUTS, REWRITABLE, STOPPING, TOOL_GATES, Event
from wasmguard.limits import REASON
from wasmguard.text import lines, one_line
from wasmguard.value import Value
from wasmguard.wire import reader, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wasmguard.decision import Decision

name = "claude"

PERMISSION = "permissionDecision"  # rule 2
DECISION = "decision"  # rule 4
BLOCK = "block"  # rules 5 and 6
MESSAGE = "message"  # rule 7
ADDITIONAL, SYSTEM = "additionalContext", "systemMessage"  # rule 9


class Form(Value):
    """How the client takes an answer to one of its events."""

    effect: str = ""
    """How an effect is said: `PERMISSION`, `DECISION`, `BLOCK`, `MESSAGE`, or not at all."""

    context: str = ""
    """Under which key it reads a context, and does nothing else with it: `ADDITIONAL`, `SYSTEM`, or not at all."""

    ends: bool = False
    """Whether `continue: false` ends the run."""


OBSERVED = Form()
TOLD = Form(context=ADDITIONAL)
BLOCKED = Form(effect=BLOCK)
GOES_ON = Form(effect=BLOCK, ends=True)

KNOWN = {
    "PreToolUse": Form(effect=PERMISSION, context=ADDITIONAL, ends=True),
    "PermissionRequest": Form(effect=DECISION),
    "UserPromptSubmit": Form(effect=BLOCK, context=ADDITIONAL),
    "UserPromptExpansion": Form(effect=BLOCK, context=ADDITIONAL),
    "PreCompact": Form(effect=BLOCK, context=SYSTEM),
    "PreModelSwitch": Form(effect=PERMISSION),
    "ConfigChange": BLOCKED,
    "TaskCreated": BLOCKED,
    "Elicitation": BLOCKED,
    "ElicitationResult": BLOCKED,
    "PostToolBatch": Form(effect=BLOCK, context=ADDITIONAL),
    "Stop": GOES_ON,
    "SubagentStop": GOES_ON,
    "TeammateIdle": GOES_ON,
    "TaskCompleted": BLOCKED,
    "PostToolUse": Form(effect=MESSAGE, context=ADDITIONAL, ends=True),
    "PostToolUseFailure": Form(effect=MESSAGE, context=ADDITIONAL),
    "SessionStart": TOLD,
    "SubagentStart": TOLD,
    "PostModelSwitch": TOLD,
    "Notification": TOLD,
    "Setup": TOLD,
    "PermissionDenied": OBSERVED,
    "StopFailure": OBSERVED,
    "SessionEnd": OBSERVED,
    "PostCompact": OBSERVED,
    "WorktreeCreate": OBSERVED,  # not to be hooked: the client expects the hook to make the worktree and name its path
    "WorktreeRemove": OBSERVED,
    "CwdChanged": OBSERVED,
    "FileChanged": OBSERVED,
    "DirectoryAdded": OBSERVED,
    "InstructionsLoaded": OBSERVED,
    "MessageDisplay": OBSERVED,
}
"""The 33 events of Claude Code 2.1.330. The order is that of the hooks in a settings file."""

REPLACEABLE = frozenset(
    {"Bash", "Read", "Edit", "Write", "Grep", "Glob", "NotebookEdit", "WebSearch", "Skill", "Agent", "mcp__*"}
    | {"TaskCreate", "TaskUpdate", "TaskList", "TaskGet", "CronCreate", "CronList"}
)
"""Tools whose output the client was seen to replace by one of the same shape with other texts, `OUTPUT_WORDS` kept. For
those of MCP servers it takes anything; of all others it drops, without a word to the hook, what is no output of theirs,
and shows the original."""

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
    if event.name in STOPPING | AFTER and decision.faulted:
        meant = settle(v for v in decision.verdicts if not v.fault)
        decision = meant.replaced(output=decision.output)  # what was withheld for a fault stays withheld
    effect, reason = _possible(event, decision)
    return _say(event.name, effect, reason, decision)


def refusal(event_name: str | None, why: str) -> dict[str, Any]:
    """The answer when there is no decision, because of *why*: stop what can be stopped (rule 11)."""
    if event_name in STOPPING | AFTER:
        return {}
    return _say(event_name or "PreToolUse", Effect.DENY, lines(why, REASON).strip() or UNSAID, _NOTHING)


def ended(why: str) -> dict[str, Any]:
    """The answer to a PostToolUse whose output must not be shown, and cannot be replaced: the run ends before the model
    reads anything (measured)."""
    why = lines(why, REASON).strip() or UNSAID
    return {"continue": False, "stopReason": why, "decision": "block", "reason": why}


def unread(payload: bytes | Mapping[str, Any], event_name: str | None) -> Event:
    """The event *event_name* about a tool's output in a *payload* that `parse` refuses: tool and output alone, as the
    client's own `JSON.parse` reads them. Of a key that comes twice the last one counts, a number may be too large, and
    nothing is nested too deep unless Python says so. For refusals: no policy is asked about it.

    Raises:
        EventError: if nothing can be read.
    """
    try:
        fields: Any = payload
        if isinstance(payload, bytes):
            fields = _leniently(payload.removeprefix(BOM).decode(errors="replace"))
        output = fields["tool_response"] if "tool_response" in fields else fields.get("result")  # as older SDKs had it
        kept = {"tool_name": fields.get("tool_name"), "tool_response": output}
    except (ValueError, AttributeError, TypeError, RecursionError, MemoryError):
        raise EventError("the event cannot be read") from None
    return Event(name=event_name if type(event_name) is str else "", agent=name, fields=kept)


def encode(answer: Mapping[str, Any]) -> bytes:
    """One line of ASCII: no reader takes it for two, and lone surrogates stay the escapes that they were.

    Raises:
        ValueError, TypeError: if the answer holds what JSON cannot say. That is a bug of ours: print a refusal instead.
    """
    return written(dict(answer)).encode() + b"\n"


def _finite(literal: str) -> float:
    number = float(literal)
    return number if number - number == 0 else 0.0


_NOTHING = settle(())
_leniently = reader(number=_finite)
_OLD = {"UserPromptSubmit": "content", "PostToolUse": "success"}  # in which events older SDKs had which field


def _event(fields: dict[str, Any], time: int) -> Event:
    """The event of these fields. Extra fields are kept, and none is required but what a gate is about."""
    said = _string(fields, "hook_event_name", "the event")
    if _OLD.get(said, said) in fields:
        from wasmguard.agents.claude_old import renewed

        fields = renewed(fields)
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
    if decision.rewrite is not None and event.name in GATING - REWRITABLE - STOPPING:
        return Effect.DENY, f"{reason}\nwasmguard: {event.name} cannot carry out a rewrite of the tool input".strip()
    if decision.effect is Effect.ASK and event.name == "PreToolUse" and mode not in ASKING_MODES:
        mode = one_line(str(mode), 60)
        return Effect.DENY, f"{reason}\nwasmguard: denied, as nobody is asked in permission mode `{mode}`".strip()
    return decision.effect, reason if reason.strip() or decision.effect < Effect.ASK else UNSAID


def _say(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    """The JSON object for *effect*; of *decision*, only what rides along with it."""
    form = KNOWN.get(event_name, OBSERVED)
    ends = form.ends and effect is Effect.DENY and decision.interrupt
    stop = {"continue": False, "stopReason": reason} if ends else {}
    if ends and event_name in STOPPING:
        return stop
    return {**stop, **_FORMS[form.effect](event_name, effect, reason, decision)}


def _permission(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if effect is not Effect.PASS:
        said = {"permissionDecision": effect.name.lower(), "permissionDecisionReason": reason}
    if decision.rewrite is not None and effect is not Effect.DENY:
        said["updatedInput"] = dict(decision.rewrite)  # anything but an object and the client runs the original
    return _with_context(event_name, decision, said)


def _decision(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if effect is Effect.ALLOW:
        updates = [dict(update) for update in decision.permissions]
        said = {"behavior": "allow", **({"updatedPermissions": updates} if updates else {})}
    if effect is Effect.DENY:
        said = {"behavior": "deny", "message": reason, **({"interrupt": True} if decision.interrupt else {})}
    return _specific(event_name, {"decision": said} if said else {})


def _block(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    if effect < Effect.ASK:
        return _with_context(event_name, decision, {})
    told = {SYSTEM: reason} if KNOWN[event_name].context == SYSTEM else {}
    return {"decision": "block", "reason": reason, **told}


def _message(event_name: str, effect: Effect, reason: str, decision: Decision) -> dict[str, Any]:
    replaced = event_name in OUTPUTS and decision.output is not None
    said = {"updatedToolOutput": decision.output} if replaced else {}
    told = {"decision": "block", "reason": reason} if effect >= Effect.ASK else {}
    return {**told, **_with_context(event_name, decision, said)}


def _observed(event_name: str, _effect: Effect, _reason: str, decision: Decision) -> dict[str, Any]:
    return _with_context(event_name, decision, {})


_FORMS = {PERMISSION: _permission, DECISION: _decision, BLOCK: _block, MESSAGE: _message, "": _observed}


def _with_context(event_name: str, decision: Decision, said: Mapping[str, Any]) -> dict[str, Any]:
    """The context, and what else is *said* under the event's own name."""
    key, context = KNOWN.get(event_name, OBSERVED).context, decision.context
    if not (key and context):
        return _specific(event_name, said)
    return {SYSTEM: context} if key == SYSTEM else _specific(event_name, {**said, key: context})


def _specific(event_name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is said under the event's own name, without which the client drops it (and lets the call run)."""
    return {"hookSpecificOutput": {"hookEventName": event_name, **said}} if said else {}
