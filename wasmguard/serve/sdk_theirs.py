"""The hooks that a program had before it was guarded, asked inside of ours.

The client asks all hooks of an event at the same time, each about the original input, and of several rewrites the one
that is last finished counts. So a rewrite of a hook beside ours would slip past the policies. On the events where that
can happen (`FOLDED`) the program's hooks are not given to the client: ours asks them, then the policies.

1. A matcher means what it means to the client (`wasmguard.matcher`); one that nobody can read is refused at once. It
   also means a tool by another of its names (`event.OTHER_NAMES`): `Task` asks about an Agent. Who is asked about a
   Monitor as `Bash` is shown a Bash with its command; what it rewrites of that goes back into the Monitor.
2. All that match are asked in their order, each about the original, as they are used to; each has the timeout of its
   matcher.
3. Their answers are read in the words of today and of older SDKs (`wasmguard.agents.claude_old`). One that raises,
   takes too long or says what nobody understands has denied, whatever its `on_failure` is: ours says `block`. (On
   PostToolUse nothing can be denied any more, so that changes nothing there.)
4. The strictest counts; of several rewrites and outputs the last in order. What they leave is what the policies judge.
5. An allow of theirs counts: they are the program, not a guest. Like any ALLOW it vouches for the input that they left.
6. What they say to the user and to the client beside that (`systemMessage`, `suppressOutput`, …) is passed on, but not
   with a deny.
"""

from __future__ import annotations

import asyncio
from inspect import isawaitable
from typing import TYPE_CHECKING

from wasmguard import matcher as matchers
from wasmguard.agents.claude_old import Understood, understood
from wasmguard.agents.interface import copied
from wasmguard.decision import Effect
from wasmguard.errors import ConfigError
from wasmguard.event import OTHER_NAMES, TOOL_GATES
from wasmguard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from claude_agent_sdk import HookMatcher

    from wasmguard.decision import Decision
    from wasmguard.event import Event

    Callback = Callable[[Any, Any, Any], Awaitable[Any]]

FOLDED = frozenset({"PreToolUse", "PermissionRequest", "PostToolUse"})
"""Events where an answer replaces something, so that the last one would win over ours."""

_ACTIONS = {
    **dict.fromkeys(
        ("comments", "reply", "resolve", "watch", "unwatch", "status", "resume_replies"), "ArtifactComments"
    ),
    **dict.fromkeys(("read_db", "write_db"), "ArtifactData"),
    **dict.fromkeys(("verify", "preview"), "ArtifactCheck"),
}
"""What an Artifact is to the client's matchers, by its `action` (Claude Code 2.1.330)."""

_NEGATED = ("(?!", "(?<!", "[^")
"""An expression with one of these means a Monitor as `Bash` only where it says `Bash`."""

UNSAID = 60.0
"""Seconds that the client gives to hooks whose matcher names no timeout."""


class Theirs:
    """The program's own hooks on one event."""

    def __init__(self, event_name: str, given: Sequence[HookMatcher]) -> None:
        """Raises:
        ConfigError: if a matcher cannot be read.
        """
        self._event_name = event_name
        self._hooks = [(m.matcher or "", hook, _seconds(m)) for m in given for hook in m.hooks]
        for matcher, _, _ in self._hooks:
            try:
                matchers.check(matcher)
            except ValueError as error:
                raise ConfigError(f"a hook of yours on {event_name} would never be asked: {error}") from None

    def __bool__(self) -> bool:
        return bool(self._hooks)

    @property
    def seconds(self) -> float:
        """How long all of them may take together."""
        return sum(seconds for _, _, seconds in self._hooks)

    async def say(self, event: Event, call: str | None, context: Any) -> Understood:
        """What they answer to *event*, as one."""
        shown = [(hook, seconds, _shown(matcher, event)) for matcher, hook, seconds in self._hooks]
        asked = [(hook, seconds, told) for hook, seconds, told in shown if told is not None]
        return _together([await self._answer(*one, event, call, context) for one in asked])

    async def _answer(  # noqa: PLR0913, PLR0917  # a hook, what it is shown, and what it is about
        self, hook: Callback, seconds: float, shown: dict[str, Any], event: Event, call: str | None, context: Any
    ) -> Understood:
        try:
            async with asyncio.timeout(seconds):
                said = hook(copied(shown), call, context)
                answer = await said if isawaitable(said) else _Nothing
            found = understood(self._event_name, copied(answer) if isinstance(answer, dict) else answer)
            return found if shown.get("tool_name") == event.tool else _carried_back(found, event)
        except TimeoutError:
            return _failed(f"said nothing for {seconds:g} s")
        except Exception as error:  # noqa: BLE001  # whatever a program raises: it has not agreed
            return _failed(f"raised {type(error).__name__}: {one_line(str(error), 200)}")


def _shown(matcher: str, event: Event) -> dict[str, Any] | None:
    """What a hook with *matcher* is shown of *event*, as the client does; None if it is not asked."""
    if any(matchers.matches(matcher, name) for name in (event.tool or "", *_former(event))):
        return dict(event.fields)
    command = event.input.get("command")
    if event.tool != "Monitor" or event.name not in TOOL_GATES or type(command) is not str or not command:
        return None
    negated = any(mark in matcher for mark in _NEGATED) and "Bash" not in matcher
    if negated or not matchers.matches(matcher, "Bash"):
        return None
    described = {key: event.input[key] for key in ("command", "description") if type(event.input.get(key)) is str}
    return {**event.fields, "tool_name": "Bash", "tool_input": described}


def _former(event: Event) -> tuple[str, ...]:
    """The other names of its tool, under which it is shown as it is."""
    if event.tool == "Artifact":
        action = event.input.get("action")
        return (_ACTIONS[action],) if type(action) is str and action in _ACTIONS else ()
    return () if event.tool == "Monitor" else OTHER_NAMES.get(event.tool or "", ())


def _carried_back(said: Understood, event: Event) -> Understood:
    """What was *said* about a Monitor by who was shown a Bash."""
    if said.rewrite is None:
        return said
    if type(said.rewrite.get("command")) is not str:
        return _failed("rewrote a command away")
    return said.replaced(rewrite={**event.input, **said.rewrite})


class _Nothing:
    """What a hook says that is no coroutine function."""


def _failed(how: str) -> Understood:
    return Understood(effect=Effect.DENY, fault=how)


def _seconds(given: HookMatcher) -> float:
    return UNSAID if given.timeout is None else float(given.timeout)


def _together(said: Sequence[Understood]) -> Understood:
    """Several answers as one (rule 4)."""
    effect = max((one.effect for one in said), default=Effect.PASS)
    carrying = [one for one in said if one.effect is effect]
    rewrites = [one.rewrite for one in said if one.rewrite is not None]
    outputs = [one.output for one in said if one.output is not None]
    beside: dict[str, Any] = {}
    for one in said:
        specific = {**beside.get("hookSpecificOutput", {}), **one.beside.get("hookSpecificOutput", {})}
        beside |= {**one.beside, **({"hookSpecificOutput": specific} if specific else {})}
    return Understood(
        effect=effect,
        reason="\n".join(filter(None, map(_sentence, carrying))),
        rewrite=rewrites[-1] if rewrites and effect is not Effect.DENY else None,
        output=outputs[-1] if outputs else None,
        context="\n".join(one.context for one in said if one.context),
        interrupt=any(one.interrupt for one in carrying),
        permissions=tuple(update for one in carrying for update in one.permissions),
        beside=beside,
        fault="; ".join(one.fault for one in said if one.fault),
    )


def _sentence(one: Understood) -> str:
    return f"wasmguard: a hook of this program {one.fault}" if one.fault else one.reason


class _Voice:
    """What the program's hooks say, in the place of a verdict: in their own words, since no guest's are mixed in."""

    policy, shadow = "", False  # a policy's name is never empty, so none is hidden by this one

    def __init__(self, said: Understood) -> None:
        self.effect, self.sentence, self.fault = said.effect, said.reason, said.fault
        self.interrupt, self.permissions = said.interrupt, said.permissions


def joined(said: Understood, decision: Decision) -> Decision:
    """What the program's hooks *said*, followed by the *decision* about what they left (rules 4 and 5)."""
    voided = said.effect is Effect.ALLOW and decision.rewrite is not None
    theirs = Effect.PASS if voided else said.effect
    effect = max(theirs, decision.effect)
    head: Any = _Voice(said)
    because = (head,) if effect is theirs is not Effect.PASS else ()
    rewrite = said.rewrite if decision.rewrite is None else decision.rewrite
    return decision.replaced(
        effect=effect,
        because=because + (decision.because if effect is decision.effect else ()),
        rewrite=None if effect is Effect.DENY else rewrite,
        output=said.output if decision.output is None else decision.output,
    )


def beside(answer: dict[str, Any], said: Understood, event_name: str) -> dict[str, Any]:
    """The *answer*, with what the program's hooks say beside their effect (rule 6)."""
    ours = answer.get("hookSpecificOutput", {})
    specific = {**said.beside.get("hookSpecificOutput", {}), **ours}
    contexts = [text for text in (said.context, ours.get("additionalContext")) if text]
    if contexts:
        specific["additionalContext"] = "\n".join(contexts)
    whole = {**said.beside, **answer}
    return {**whole, **({"hookSpecificOutput": {**specific, "hookEventName": event_name}} if specific else {})}
