"""Whether the call that was made is the call that was granted.

1. What the policies let pass is remembered, by configuration, agent, session and tool use id; so is that a call was
   denied.
2. When the agent reports what it did, the input that it names must be that very input, in whatever order its keys come;
   what the client is known to add by itself is left out (`wasmguard.granted`).
3. If it is another one, or the call had been denied, that is an alarm: the next gating events of that session are
   denied until its owner acknowledges it. Stop events are not: an agent must be able to end.
4. A call that nobody was asked about is no alarm, only `unknown`: there was no guard then, or its event was not hooked.
5. An alarm that cannot be written down holds at least in this process, and is told.

What this cannot do is undo a call. It shows that a guard was got around, and by what.
"""

from __future__ import annotations

from wasmguard import alarm, granted
from wasmguard.decision import Effect
from wasmguard.errors import HostError
from wasmguard.event import AFTER, GATING, STOPPING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wasmguard.decision import Decision
    from wasmguard.event import Event

BEFORE = "PreToolUse"
EXECUTED, UNCHECKED = "executed", "unchecked"
WRONG = {
    "another": "the agent ran another input than the one that was granted",
    "denied": "the agent ran a call that was denied",
}
"""What is an alarm, in the words of `granted.Table.look` and in ours."""
NAMELESS = (
    "an alarm stands, and this event does not say which session it is of: run `wasmguard log`, and acknowledge it"
)


class Enforcement:
    """Watches over the calls that were decided under one configuration."""

    def __init__(self, config: str) -> None:
        self._config, self._table = config, granted.Table()
        self._folder = alarm.folder()
        self._unmarked: dict[tuple[str, str], str] = {}  # rule 5

    def refusal(self, event: Event) -> str:
        """Why *event* is denied because of what its session did before; empty if it is not."""
        if event.name not in GATING or event.name in STOPPING:
            return ""
        session = event.fields.get("session_id")
        if not isinstance(session, str):
            return NAMELESS if self._unmarked or alarm.any_(self._folder) else ""
        if self._unmarked and (why := self._unmarked.get((event.agent, session))):
            return f"{why}, and that cannot be written down: make room on the disk, then restart what runs wasmguard"
        found = alarm.raised(event.agent, session, self._folder)
        return found.sentence if found else ""

    def noted(self, event: Event, decision: Decision) -> dict[str, Any] | None:
        """Remember what *decision* grants, or look at what was done. Returns what the record says about it."""
        if (event.name != BEFORE and event.name not in AFTER) or (call := _call(event)) is None:
            return None
        who = f"{event.agent} {self._config}"  # two guards of one agent are two that have to be obeyed
        try:
            if event.name != BEFORE:
                return self._looked(event, who, *call)
            if decision.effect is Effect.DENY:
                self._table.refuse(who, *call)
            else:
                final = event.input if decision.rewrite is None else decision.rewrite
                self._table.remember(who, *call, *_forms(event, final))
        except (HostError, ValueError) as error:
            return {UNCHECKED: str(error)}
        return None

    def refused(self, event: Event) -> None:
        """A call that was granted is denied after all."""
        if event.name == BEFORE and (call := _call(event)) is not None:
            try:
                self._table.refuse(f"{event.agent} {self._config}", *call)
            except HostError:  # what was granted is at least no more than what the policies let pass
                return

    def close(self) -> None:
        """Let go of the table."""
        self._table.close()

    def _looked(self, event: Event, who: str, session: str, call: str) -> dict[str, Any]:
        whole, left = _forms(event, event.input)
        found = self._table.look(who, session, call, whole, left if granted.edited(event.output) else b"")
        if found not in WRONG:
            return {EXECUTED: found}
        try:
            alarm.raise_(event.agent, session, call, WRONG[found])
        except HostError as error:
            self._unmarked[event.agent, session] = WRONG[found]
            return {EXECUTED: found, UNCHECKED: str(error)}
        return {EXECUTED: found}


def _forms(event: Event, given: Mapping[str, Any]) -> tuple[bytes, bytes]:
    cwd = event.fields.get("cwd")
    return granted.forms(event.tool or "", given, cwd if isinstance(cwd, str) else "/")


def _call(event: Event) -> tuple[str, str] | None:
    """Session and call that *event* is about; None if it does not say, or has no input."""
    fields = event.fields
    session, call = fields.get("session_id"), fields.get("tool_use_id")
    if isinstance(session, str) and isinstance(call, str) and call and isinstance(fields.get("tool_input"), dict):
        return session, call
    return None
