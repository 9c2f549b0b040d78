"""What programs import: the guard, with what the SDKs of agents ask for.

from wasmguard import Guard

guard = Guard.load()
decision = guard.decide(event)                       # or `await guard.adecide(event)`
options = guard.options(ClaudeAgentOptions(...))     # the Claude Agent SDK, guarded
"""

from __future__ import annotations

from wasmguard import guard as floor
from wasmguard import guards as together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasmguard.serve.sdk import Also, Context, Hooks, Options, Result
    from wasmguard.serve.sdk_human import Human


class _Callbacks(floor.Decides):
    """What the Claude Agent SDK asks for. See `wasmguard.serve.sdk`, which says what each may raise."""

    def options(self, base: Options | None = None, *, human: Human | None = None, unasked: str = "deny") -> Options:
        """A copy of *base*, guarded. *human* answers what the policies leave open, by default `base.can_use_tool`."""
        from wasmguard.serve import sdk

        return sdk.options(self, base, human=human, unasked=unasked)

    def hooks(self, *, also: Also | None = None) -> Hooks:
        """The hooks alone; *also* are hooks of the program's own."""
        from wasmguard.serve import sdk

        return sdk.hooks(self, also=also)

    async def can_use_tool(self, tool: str, tool_input: dict[str, Any], context: Context) -> Result:
        """The callback alone, where no human can be asked. `wasmguard.serve.sdk.can_use_tool` makes one that can."""
        from wasmguard.serve import sdk

        return await sdk.can_use_tool(self)(tool, tool_input, context)


class Guard(_Callbacks, floor.Guard):
    """A locked configuration, ready to decide. One guard serves many threads, event loops and sessions."""


class Guards(_Callbacks, together.Guards):
    """Several guards that decide as one."""
