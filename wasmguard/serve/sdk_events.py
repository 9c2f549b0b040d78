"""One callback for each event of the Claude Agent SDK: the event in, the client's answer out, whatever happens.

1. A callback never raises, never returns None nor anything that the client would drop: what goes wrong is a refusal in
   the event's own form (`agents.claude.refusal`, `serve.hidden`). `on_failure="block"` and the client's timeout
   lie below as a net.
2. Being cancelled is not a failure: the session or the call is gone, and nobody waits for an answer. It goes through.
3. On `sdk_theirs.FOLDED` the program's own hooks come first, then the policies, about what those left. A deny of theirs
   on a tool's gate ends the asking: what does not happen is not counted.
4. PermissionRequest is one question with `can_use_tool`, which the client asks at the same time (`sdk_calls`). What the
   policies on PreToolUse said about this call still counts: the client would let an allow here undo an ask there.
5. A rewrite that comes up only there, because somebody else changed the input after PreToolUse, is carried out with an
   ALLOW, and left to `can_use_tool` otherwise; where nobody says that this is ours, it is a DENY.
"""

from __future__ import annotations

import asyncio
from time import time_ns
from typing import TYPE_CHECKING

from wasmguard.agents import claude
from wasmguard.agents.claude_old import Understood
from wasmguard.decision import Effect, refused, settle
from wasmguard.errors import EventError
from wasmguard.event import OUTPUTS, TOOL_GATES, Event
from wasmguard.serve import hidden
from wasmguard.serve.permission import Asked, Permission, steps
from wasmguard.serve.sdk_theirs import beside, joined
from wasmguard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    from wasmguard.decision import Decision
    from wasmguard.serve.sdk_calls import Calls
    from wasmguard.serve.sdk_theirs import Theirs

    class Decides(Protocol):
        """A guard, several, or whatever else decides."""

        async def adecide(self, event: Event | Mapping[str, Any]) -> Decision: ...


DEADLINE = 25
"""Seconds until a decision is "no", as for a hook process (`serve.hook`). Policies x rounds x clock limit bound it too,
but who configures ten policies of 2 s each has no guard: a tool call that waits for a minute is one that failed."""

TIMEOUT = 30
"""Seconds that the client gives our hooks, as installed ones have: it must never be the first to give up."""


class Policies:
    """The guard, as the callbacks ask it."""

    def __init__(self, guard: Decides, calls: Calls) -> None:
        self.guard, self.calls = guard, calls

    async def breathe(self) -> None:
        """Let the event loop go on, if it has made many decisions in this round."""
        breathe: Any = getattr(self.guard, "breathe", None)
        if breathe is not None:
            await breathe()

    async def read(self, payload: Any) -> Event:
        """The event in *payload*; a large one is read while the event loop goes on.

        Raises:
            EventError: if there is none.
        """
        read: Any = getattr(self.guard, "read", None)
        if read is None:
            return claude.from_mapping(payload, time=time_ns() // 1_000_000)
        event: Event = await read(payload)
        return event

    async def decided(self, event: Event) -> Decision:
        """What may happen next. Raises nothing but `CancelledError`."""
        try:
            async with asyncio.timeout(DEADLINE):
                return await self.guard.adecide(event)
        except TimeoutError:
            why = f"no decision after {DEADLINE} s"
        except asyncio.CancelledError:
            if cancelled():
                raise
            why = "the deciding was cancelled, and not by this session"
        except Exception as error:  # noqa: BLE001  # a bug of ours must not let a tool run
            why = bug(error)
        unjudged: Any = getattr(self.guard, "unjudged", None)  # it withholds an output that nobody has looked at
        return refused(why) if unjudged is None else unjudged(event, why)

    async def permission(self, asked: Asked) -> Permission:
        """What may happen with a call, worked out once for each."""
        call, tool = asked.fields.get("tool_use_id"), asked.tool
        async with self.calls.turn(call):
            permission = self.calls.permission(call, tool, asked.input)
            if permission is None:
                permission = await self.asked(asked)
                self.calls.permitted(call, tool, asked.input, permission)
        return permission

    async def asked(self, asked: Asked) -> Permission:
        """What may happen with a call, by `serve.permission`."""
        call = asked.fields.get("tool_use_id")
        said = self.calls.effect(call, asked.tool, asked.input)
        # An ALLOW that did not spare the question has not answered it: the owner's own rules want somebody asked.
        least = Effect.PASS if said is None or said is Effect.ALLOW else said
        asking = steps(asked, judged=said is not None, least=least, hooked=self.calls.knows(call))
        decision: Any = None  # what starts a generator
        while True:
            try:
                said_event = asking.send(decision)
            except StopIteration as end:
                permission: Permission = end.value
                return permission
            decision = await self.decided(await self.read(said_event))


class OnEvent:
    """The callback on one event."""

    def __init__(self, event_name: str, policies: Policies, theirs: Theirs, *, answers_elsewhere: bool) -> None:
        """With *answers_elsewhere* `can_use_tool` is ours, too."""
        self._name, self._policies, self._theirs = event_name, policies, theirs
        self._answers_elsewhere = answers_elsewhere

    async def __call__(self, given: Any, call: str | None, context: Any) -> Any:
        """The answer to one event, in the client's words (rules 1 and 2)."""
        try:
            await self._policies.breathe()
            event = await self._policies.read(given)
            if event.name != self._name:
                return self._refusal(given, f"asked about {one_line(event.name, 60)} on {self._name}")
            return await self._answer(event, call, context)
        except EventError as error:
            return self._refusal(given, f"wasmguard: {error}")
        except asyncio.CancelledError:
            if cancelled():
                raise
            return self._refusal(given, "wasmguard: the deciding was cancelled, and not by this session")
        except Exception as error:  # noqa: BLE001  # a bug of ours must not let a tool run
            return self._refusal(given, f"wasmguard: {bug(error)}")

    def _refusal(self, given: Any, why: str) -> dict[str, Any]:
        """The answer when there is no decision about what was *given*."""
        if self._name not in OUTPUTS:
            return claude.refusal(self._name, why)
        return hidden.answer(
            self._name, given, why, getattr(self._policies.guard, "may_rewrite_output", hidden.nobody_knows)
        )

    async def _answer(self, event: Event, call: str | None, context: Any) -> dict[str, Any]:
        if not self._theirs:
            return (await self._judged(event, call, None))[1]
        said = await self._theirs.say(event, call, context)
        left = event if said.rewrite is None else event.with_input(said.rewrite)
        left = left if said.output is None else left.with_output(said.output)
        effect, answer = await self._judged(left, call, said)
        return answer if effect is Effect.DENY else beside(answer, said, event.name)

    async def _judged(self, event: Event, call: str | None, said: Understood | None) -> tuple[Effect, dict[str, Any]]:
        """The effect and the answer about what the program's hooks, if it has any, *said* and left."""
        if event.name == "PermissionRequest":
            return await self._permission(event, call, said or Understood())
        if said is None:
            decision = await self._policies.decided(event)
        elif said.effect is Effect.DENY and event.name in TOOL_GATES:
            decision = joined(said, settle(()))
        else:
            decision = joined(said, await self._policies.decided(event))
        answer = claude.render(event, decision)
        self._remember(event, call, decision)
        return decision.effect, answer

    def _remember(self, event: Event, call: str | None, decision: Decision) -> None:
        if event.name == "PreToolUse" and decision.effect is not Effect.DENY:
            left = event.input if decision.rewrite is None else decision.rewrite
            self._policies.calls.judged(call, event, left, decision.effect)
        elif event.name in ("PostToolUse", "PostToolUseFailure"):
            self._policies.calls.forget(call)

    async def _permission(self, event: Event, call: str | None, said: Understood) -> tuple[Effect, dict[str, Any]]:
        """What to answer a PermissionRequest (rules 4 and 5)."""
        fields = {**event.fields, **({"tool_use_id": call} if call else {})}
        asked = Asked(tool=event.tool or "", input=event.input, fields=fields)
        permission = Permission(effect=Effect.PASS)
        if said.effect is not Effect.DENY:
            permission = await self._policies.permission(asked)
        changed = permission.input if permission.input is not None else said.rewrite
        effect = max(permission.effect, said.effect)
        if said.effect is Effect.ALLOW and permission.input is not None:  # they have not seen that
            effect = permission.effect
        message = "\n".join(one for one in (said.reason, permission.message) if one)
        if changed is not None and effect < Effect.DENY and effect is not Effect.ALLOW:
            if self._answers_elsewhere and said.rewrite is None:
                return Effect.PASS, {}
            effect, message = Effect.DENY, f"{message}\nwasmguard: PermissionRequest cannot carry out a rewrite".strip()
        if effect is Effect.DENY:
            return effect, _denied(message, interrupt=said.interrupt or permission.interrupt)
        return effect, _allowed(changed, (*said.permissions, *permission.updates)) if effect is Effect.ALLOW else {}


def cancelled() -> bool:
    """Whether it is this very task that somebody wants to end."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def bug(error: BaseException) -> str:
    """What to say about an exception that nobody expected."""
    return f"internal error: {type(error).__name__}: {one_line(str(error), 200)}: please report it"


def _denied(message: str, *, interrupt: bool) -> dict[str, Any]:
    said = {"behavior": "deny", "message": message.strip() or claude.UNSAID}
    return _decision({**said, **({"interrupt": True} if interrupt else {})})


def _allowed(changed: Mapping[str, Any] | None, updates: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    said: dict[str, Any] = {"behavior": "allow"}
    if changed is not None:
        said["updatedInput"] = dict(changed)
    return _decision({**said, **({"updatedPermissions": [dict(update) for update in updates]} if updates else {})})


def _decision(said: dict[str, Any]) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": said}}
