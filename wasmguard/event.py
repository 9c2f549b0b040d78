"""Events: what an agent tells us, under one set of names whoever the agent is.

The names are Claude Code's, which policy authors already know. Other agents' payloads are brought to them by their
dialect. An event is kept whole: fields that we do not know go to the policies as they came.

What an event can do is a property of its name (`GATING`): an answer to one of these stops something. Every other event,
known or not, is only observed.
"""

from __future__ import annotations

from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

GATING = frozenset(
    {"PreToolUse", "PermissionRequest", "UserPromptSubmit", "UserPromptExpansion", "PreCompact", "ConfigChange"}
    | {"PreModelSwitch", "PostToolBatch", "TaskCreated", "Elicitation", "ElicitationResult"}
    | {"Stop", "SubagentStop", "TaskCompleted", "TeammateIdle"}
)
"""Events whose answer can stop something: when in doubt, stop it."""

STOPPING = frozenset({"Stop", "SubagentStop", "TaskCompleted", "TeammateIdle"})
"""Gating events where a deny means "go on working". A guard that always fails must not keep an agent running for ever,
so here a fault is answered like no opinion: the one documented exception to failing closed."""

AFTER = frozenset({"PostToolUse", "PostToolUseFailure"})
"""Events about a call that has been made: nothing can be stopped any more, and a deny is a message to the model."""

REWRITABLE = frozenset({"PreToolUse"})
"""Events whose tool input may be replaced."""

OUTPUTS = frozenset({"PostToolUse"})
"""Events whose tool output may be replaced."""

OUTPUT_WORDS = frozenset(
    {"type", "mode", "cell_type", "status", "outcome", "op", "operation", "action", "method", "level", "state"}
    | {"store_kind", "media_type", "mediaType"}
)
"""Fields of tools' outputs, at any level, that hold one of a few words each (Claude Code 2.1.330): with any other text
in them the client drops the whole replacement, and shows the original."""

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "Agent": ("Task",),
    "TaskStop": ("KillShell", "KillBash"),
    "ListAgents": ("ListPeers",),
    "SendUserMessage": ("Brief",),
    "ListMcpResourcesTool": ("ListMcpResources",),
    "ReadMcpResourceTool": ("ReadMcpResource",),
    "ReadMcpResourceDirTool": ("ReadMcpResourceDir",),
    "SetGoal": ("ProposeGoal",),
    "REPL": ("Eval",),
    "Monitor": ("Bash",),
    "Artifact": ("ArtifactComments", "ArtifactData", "ArtifactCheck"),
    "ArtifactComments": ("Artifact",),
    "ArtifactData": ("Artifact",),
    "ArtifactCheck": ("Artifact",),
    # The other way round, for clients that still call them so.
    "Task": ("Agent",),
    "KillShell": ("TaskStop", "KillBash"),
    "KillBash": ("TaskStop", "KillShell"),
}
"""The other names under which a tool is meant: those it had before, and `Bash` for a Monitor, which runs a command as
well. The client's own matchers know the same ones (Claude Code 2.1.330)."""

TOOL_GATES = frozenset({"PreToolUse", "PermissionRequest"})
"""Gating events that carry `tool_name` and `tool_input`."""


class Event(Value):
    """One thing that happened, or is about to, in an agent."""

    name: str
    """`hook_event_name`: PreToolUse, Stop, …"""

    agent: str
    """Which agent sent it, by its dialect's name: `claude`."""

    fields: Mapping[str, Any]
    """The whole payload under Claude Code's field names, unknown ones included."""

    time: int = 0
    """When we got it, Unix milliseconds. Recorded, so that a replay is exact."""

    checked: bool = False
    """Whether a dialect read the fields: then they hold nothing that JSON cannot say, and need not be looked at
    again."""

    @property
    def tool(self) -> str | None:
        """`tool_name`, or None for an event that is not about a tool."""
        name = self.fields.get("tool_name")
        return name if isinstance(name, str) else None

    @property
    def input(self) -> Mapping[str, Any]:
        """`tool_input`, empty for an event that has none."""
        given = self.fields.get("tool_input")
        return given if isinstance(given, dict) else {}

    @property
    def output(self) -> Any:
        """`tool_response`, what the tool gave back; None for an event that has none."""
        return self.fields.get("tool_response")

    def with_input(self, tool_input: Mapping[str, Any]) -> Event:
        """The same event about another tool input."""
        return self.replaced(fields={**self.fields, "tool_input": tool_input})

    def with_output(self, output: Any) -> Event:
        """The same event about another output of the tool."""
        return self.replaced(fields={**self.fields, "tool_response": output})
