"""`can_use_tool` of the Claude Agent SDK: the policies answer, and whom they leave it to is asked.

1. `serve.permission` says what the policies make of the call, once for each call (`sdk_calls`). DENY and ALLOW are
   answers. PASS and ASK are not: then the human is asked, and where there is none, `unasked` decides.
2. The human is shown the input as the policies left it, and why somebody is asked (`decision_reason`).
3. A yes is for what was shown. What the human changes is another call, judged by all policies again; if one of them
   rewrites it, the human is shown the result. After `limits.ROUNDS` rounds without rest the answer is no.
4. Whoever raises, answers with anything but a bool or a permission result, or is no coroutine function has not agreed.
   There is no deadline: people may take their time.
5. Permission updates of policies reach the client word for word. Where the SDK cannot send one, the answer is no: it
   would drop all of them in silence, and one of them may be the restriction that the others were meant to come with.
6. It never raises; only a cancellation goes through.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from inspect import isawaitable
from typing import TYPE_CHECKING

from claude_agent_sdk import PermissionResultAllow, PermissionResultDeny, PermissionUpdate

from wasmguard.agents.interface import copied
from wasmguard.decision import Effect
from wasmguard.errors import EventError, HostError
from wasmguard.limits import ROUNDS
from wasmguard.serve.permission import UNSAID, Asked, Permission, unattended
from wasmguard.serve.sdk_events import bug, cancelled
from wasmguard.text import one_line
from wasmguard.value import same

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from typing import Any

    from claude_agent_sdk import PermissionResult, ToolPermissionContext

    from wasmguard.serve.sdk_events import Policies

    Human = Callable[[str, dict[str, Any], ToolPermissionContext], Awaitable[PermissionResult | bool]]


class CanUseTool:
    """The callback."""

    def __init__(self, policies: Policies, human: Human | None = None, unasked: str = "deny") -> None:
        """Raises:
        ValueError: if *unasked* is neither `deny` nor `pass`.
        TypeError: if *human* cannot be called.
        """
        unattended(Permission(effect=Effect.ALLOW), unasked)  # refuses other words
        if human is not None and not callable(human):
            raise TypeError(f"`human` is a `{type(human).__name__}`: pass a coroutine function (tool, input, context)")
        self._policies, self._human, self._unasked = policies, human, unasked

    async def __call__(
        self, tool: str, tool_input: dict[str, Any], context: ToolPermissionContext
    ) -> PermissionResultAllow | PermissionResultDeny:
        """The answer to one question of the client (rule 6)."""
        try:
            return await self._answer(tool, tool_input, context)
        except (EventError, HostError) as error:
            return _no(f"wasmguard: {error}")
        except asyncio.CancelledError:
            if cancelled():
                raise
            return _no("wasmguard: the asking was cancelled, and not by this session")
        except Exception as error:  # noqa: BLE001  # a bug of ours must not let a tool run
            return _no(f"wasmguard: {bug(error)}")

    async def _answer(
        self, tool: str, tool_input: dict[str, Any], context: ToolPermissionContext
    ) -> PermissionResultAllow | PermissionResultDeny:
        asked = Asked(tool=tool, input=copied(tool_input), fields=self._fields(context))
        permission = await self._policies.permission(asked)
        if permission.effect in (Effect.PASS, Effect.ASK) and self._human is not None:
            return await self._by_human(self._human, asked, permission, context)
        permission = unattended(permission, self._unasked)
        if permission.effect is not Effect.ALLOW:
            return _no(permission.message, interrupt=permission.interrupt)
        return _yes(permission.input, granted(permission.updates))

    def _fields(self, context: ToolPermissionContext) -> dict[str, Any]:
        """What the events about this call carry: what its PreToolUse did, and what the client says now."""
        call = context.tool_use_id
        said = {"tool_use_id": call, "agent_id": context.agent_id, "permission_suggestions": _told(context.suggestions)}
        return {**self._policies.calls.fields(call), **{key: value for key, value in said.items() if value}}

    async def _by_human(
        self, human: Human, asked: Asked, permission: Permission, context: ToolPermissionContext
    ) -> PermissionResultAllow | PermissionResultDeny:
        """What the human says (rules 2 to 4)."""
        original = asked.input
        for _ in range(ROUNDS):
            shown = asked.input if permission.input is None else permission.input
            said, wanted = await _said(human, asked.tool, shown, _because(context, permission.message))
            if isinstance(said, PermissionResultDeny):
                return said
            updates = _sendable(said.updated_permissions)
            if not same(wanted, shown):
                asked = asked.replaced(input=wanted)
                permission = await self._policies.asked(asked)
                if permission.effect is Effect.DENY:
                    return _no(permission.message, interrupt=permission.interrupt)
                if permission.input is not None:  # not what the human wrote: it has to be seen
                    continue
            return _yes(None if same(wanted, original) else wanted, updates)
        return _no(f"wasmguard: no rest after {ROUNDS} rounds: a human and the policies keep rewriting each other")


async def _said(
    human: Human, tool: str, shown: Mapping[str, Any], context: ToolPermissionContext
) -> tuple[PermissionResultAllow | PermissionResultDeny, dict[str, Any]]:
    """What the human answers, and the input to run with. A copy is shown: what is changed in it counts, too."""
    given = copied(shown)
    try:
        said: Any = human(tool, given, context)
        said = await said if isawaitable(said) else None
    except Exception as error:  # noqa: BLE001  # whatever it raises: nobody has agreed
        said = _no(f"wasmguard: nobody could be asked: {type(error).__name__}: {one_line(str(error), 200)}")
    if said is True:
        said = PermissionResultAllow()
    if isinstance(said, PermissionResultAllow):
        return said, copied(given if said.updated_input is None else said.updated_input)
    if not isinstance(said, PermissionResultDeny):
        why = "refused by the user" if said is False else "wasmguard: nobody could be asked: no answer that we know"
        return _no(why), {}
    return _no(said.message if type(said.message) is str else "", interrupt=said.interrupt is True), {}


def granted(updates: Iterable[Mapping[str, Any]]) -> list[PermissionUpdate] | None:
    """The policies' permission updates as the SDK takes them; None if there are none.

    Raises:
        HostError: if it cannot take one.
    """
    return [_granted(update) for update in updates] or None


class _Granted(PermissionUpdate):
    """An update that is sent as it was granted: some SDKs (0.2.177) add a `ruleContent` of null, which the
    client refuses, and all updates with it."""

    exact: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.exact


def _granted(update: Mapping[str, Any]) -> PermissionUpdate:
    try:
        found = _Granted.from_dict(dict(update))
    except (LookupError, TypeError, ValueError) as error:
        kind = one_line(str(update.get("type")), 40)
        raise HostError(f"this claude-agent-sdk cannot send the permission update `{kind}`: {error!r}") from None
    if not isinstance(found, _Granted):
        raise HostError("this claude-agent-sdk makes other permission updates than we know: install an older one")
    found.exact = dict(update)
    return found


def _sendable(updates: Any) -> list[PermissionUpdate] | None:
    """The human's own permission updates.

    Raises:
        HostError: if the SDK could not send them: it would allow the call, and drop them.
    """
    if updates is None:
        return None
    try:
        for update in updates:
            update.to_dict()
    except Exception as error:  # noqa: BLE001  # they are the program's own objects
        raise HostError(f"its permission updates cannot be sent: {one_line(str(error), 200)}") from None
    return list(updates)


def _told(suggestions: Iterable[PermissionUpdate]) -> list[dict[str, Any]]:
    """What the client suggests, for the policies; without what this SDK cannot write."""
    found = []
    for suggestion in suggestions:
        try:
            found.append(suggestion.to_dict())
        except ValueError:
            continue
    return found


def _because(context: ToolPermissionContext, message: str) -> ToolPermissionContext:
    """The *context*, with why the policies want somebody to be asked."""
    known = context.decision_reason or ""
    told = "\n".join(text for text in (message if message not in known else "", known) if text)
    return replace(context, decision_reason=told) if told else context


def _yes(changed: Mapping[str, Any] | None, updates: list[PermissionUpdate] | None) -> PermissionResultAllow:
    return PermissionResultAllow(updated_input=None if changed is None else dict(changed), updated_permissions=updates)


def _no(message: str, *, interrupt: bool = False) -> PermissionResultDeny:
    return PermissionResultDeny(message=message if message.strip() else UNSAID, interrupt=interrupt)
