"""What "may this tool run?" comes to: the question that SDKs put to `can_use_tool`, without I/O.

An SDK asks its host only what its own rules did not settle, so the answer is a yes or a no, not an opinion:

1. The policies on PreToolUse are asked first, unless a hook of ours has asked them about this very call (*judged*). A
   rewrite of theirs is the input from here on. Their ALLOW answers the question only where no hook of ours was asked
   (not even about another input, *hooked*): a hook's ALLOW did not spare it, so the owner's own rules want somebody
   asked, and it counts as PASS (`still`).
2. Then those on PermissionRequest, about that input. They cannot rewrite it: that is a DENY, never dropped in silence.
3. The strictest of both counts, and a DENY ends the asking. What the hook said is passed on as *least*; not knowing it
   counts as ASK, since a PermissionRequest's ALLOW must not undo a PreToolUse's ASK.
4. PASS and ASK are no answers: somebody has to be asked. Where nobody is (`unattended`), both are DENY; an owner may
   say that a PASS is enough (`unasked="pass"`), never an ASK.
5. Permission updates go with an ALLOW only, `interrupt` with a DENY only.
6. What a human changed in the input is another call: it goes through all of this again (`serve.sdk_human`).
"""

from __future__ import annotations

from wasmguard.decision import Effect
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Any

    from wasmguard.decision import Decision

    Steps = Generator[dict[str, Any], Decision, "Permission"]


UNSAID = "refused by wasmguard"  # a deny needs a reason
NOBODY = "nobody is there to ask, so wasmguard denied it"
UNASKED = frozenset({"deny", "pass"})  # what the option may say

_REQUEST_ONLY = "permission_suggestions"  # fields that the client sends with one of both events only
_CALL_ONLY = "tool_use_id"


class Asked(Value):
    """One question: may this tool run with this input?"""

    tool: str
    """Its name, as the agent calls it."""

    input: Mapping[str, Any]
    """All of its input."""

    fields: Mapping[str, Any] = {}
    """What else the events carry: session_id, cwd, permission_mode, tool_use_id, agent_id, permission_suggestions, …"""


class Permission(Value):
    """What the policies answer. PASS and ASK: somebody has to be asked."""

    effect: Effect

    message: str = ""
    """Why: for the model with a DENY, for the human with an ASK. Never empty with a DENY."""

    input: Mapping[str, Any] | None = None
    """The whole new input, or None if it stays what it was. Counts whatever the effect, but for a DENY."""

    updates: tuple[Mapping[str, Any], ...] = ()
    """Permission updates to go with an ALLOW, in the client's form."""

    interrupt: bool = False
    """With DENY: stop the whole run."""


def steps(asked: Asked, *, judged: bool = False, least: Effect = Effect.ASK, hooked: bool = False) -> Steps:
    """The events to decide, one after the other; the answer to each `yield` is its decision.

    With *judged* the policies on PreToolUse have been asked about exactly this input, and *least* is what they said.
    With *hooked* they have been asked about this call, whatever its input was.
    """
    pre, least = None, still(least)
    if not judged:
        least, pre = Effect.PASS, (yield _event(asked, "PreToolUse", without=_REQUEST_ONLY))
        if pre.effect is Effect.DENY:
            return _denied(pre.reason, pre.interrupt)
        if hooked and pre.effect is Effect.ALLOW:
            pre = pre.replaced(effect=Effect.PASS, because=())
    changed = pre.rewrite if pre else None
    final = asked if changed is None else asked.replaced(input=changed)
    request = yield _event(final, "PermissionRequest", without=_CALL_ONLY)
    if request.effect is Effect.DENY:
        return _denied(request.reason, request.interrupt)
    if request.rewrite is not None:
        said = f"{request.reason}\nwasmguard: PermissionRequest cannot carry out a rewrite of the tool input"
        return _denied(said.strip())
    return _together(least, [d for d in (pre, request) if d is not None], changed)


def still(said: Effect) -> Effect:
    """What a hook of ours *said* about a call, as far as it counts when the client asks all the same (rule 1)."""
    return Effect.PASS if said is Effect.ALLOW else said


def settled(
    decide: Callable[[Mapping[str, Any]], Decision],
    asked: Asked,
    *,
    judged: bool = False,
    least: Effect = Effect.ASK,
    hooked: bool = False,
) -> Permission:
    """What *asked* comes to, each event decided by *decide* (`Guard.decide`). Raises only what *decide* raises."""
    asking = steps(asked, judged=judged, least=least, hooked=hooked)
    decision: Any = None  # what starts a generator
    while True:
        try:
            event = asking.send(decision)
        except StopIteration as end:
            permission: Permission = end.value
            return permission
        decision = decide(event)


def unattended(permission: Permission, unasked: str = "deny") -> Permission:
    """What *permission* comes to where no human can be asked: ALLOW or DENY.

    Raises:
        ValueError: if *unasked* is neither `deny` nor `pass`.
    """
    if unasked not in UNASKED:
        raise ValueError(f"`unasked` is `deny` or `pass`, not {unasked!r}")
    if permission.effect is Effect.PASS and unasked == "pass":
        return permission.replaced(effect=Effect.ALLOW)
    if permission.effect in (Effect.PASS, Effect.ASK):
        return _denied(f"{permission.message}\nwasmguard: {NOBODY}".strip())
    return permission


def _together(least: Effect, decisions: list[Decision], changed: Mapping[str, Any] | None) -> Permission:
    """The strictest of what was said, with what rides along with it."""
    effect = max(least, *(decision.effect for decision in decisions))
    reasons = [decision.reason for decision in decisions if decision.effect is effect and decision.reason]
    updates = [dict(update) for decision in decisions for update in decision.permissions]
    return Permission(
        effect=effect,
        message="\n".join(reasons),
        input=None if changed is None else dict(changed),
        updates=tuple(updates) if effect is Effect.ALLOW else (),
    )


def _denied(reason: str, interrupt: bool = False) -> Permission:
    return Permission(effect=Effect.DENY, message=reason if reason.strip() else UNSAID, interrupt=interrupt)


def _event(asked: Asked, name: str, *, without: str) -> dict[str, Any]:
    """The event in the client's form, as its hook would have told it."""
    fields = {key: value for key, value in asked.fields.items() if key != without}
    return {**fields, "hook_event_name": name, "tool_name": asked.tool, "tool_input": asked.input}
