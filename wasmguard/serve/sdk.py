"""The Claude Agent SDK: its hooks and its `can_use_tool`, answered by sandboxed policies.

    from wasmguard import Guard

    async with ClaudeSDKClient(options=Guard.load().options(ClaudeAgentOptions(cwd="..."))) as client: ...

1. The hooks are the guard: they are asked about every call, in every permission mode, and the program's settings cannot
   switch them off. `can_use_tool` is not called for what is allowed anyway (`allowed_tools`, `bypassPermissions`, an
   allow of the hook), so it only answers what the client asks; the SDK warns of that (`CanUseToolShadowedWarning`).
2. One matcher for each event, for all tools, with `on_failure="block"` and more time than we take ourselves. Hooked are
   the events that can stop something, those of `ALWAYS`, and whatever else a policy of the guard judges; never
   WorktreeCreate, whose hook has to make the worktree.
3. Hooks that the program brings itself are folded into ours where they could undo it (`sdk_theirs`). Command hooks from
   settings files are asked by the client, beside ours, and a rewrite of theirs may win: `setting_sources=[]` keeps them
   out.
4. `options` also sees to it that the client calls its hooks at all (`sdk_settings`). With the pieces alone that is up
   to the program.
5. One guard serves many clients, tasks and event loops (asyncio's; on another one every answer is a refusal).
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from wasmguard.agents.claude import KNOWN
from wasmguard.errors import ConfigError, HostError
from wasmguard.event import GATING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from claude_agent_sdk import ClaudeAgentOptions, HookMatcher, PermissionResult, ToolPermissionContext

    from wasmguard.serve.sdk_events import Decides
    from wasmguard.serve.sdk_human import CanUseTool, Human

    Hooks = dict[Any, list[HookMatcher]]  # the SDK's own type names ten of the events
    Also = Mapping[Any, Sequence[HookMatcher]]
    Options = ClaudeAgentOptions  # these names are for `wasmguard.embedding`
    Result = PermissionResult
    Context = ToolPermissionContext

ALWAYS = GATING | {
    "PostToolUse",
    "PostToolUseFailure",
    "SubagentStart",
    "Notification",
    "SessionStart",
    "SessionEnd",
}
NEVER = frozenset({"WorktreeCreate"})
"""Not to be hooked."""

OLDEST = "0.2.177"  # the first with `on_failure`


def options(
    guard: Decides,
    base: ClaudeAgentOptions | None = None,
    *,
    human: Human | None = None,
    unasked: str = "deny",
) -> ClaudeAgentOptions:
    """A copy of *base* whose hooks and `can_use_tool` ask *guard*; the other options stay as they are.

    *human* is asked what the policies leave open, by default `base.can_use_tool`; see `can_use_tool`.

    Raises:
        HostError: if there is no SDK, or one that cannot fail closed.
        ConfigError: if *base* cannot be guarded.
        ValueError, TypeError: as `can_use_tool`.
    """
    sdk = _sdk()
    from wasmguard.serve.sdk_settings import hooked

    base = sdk.ClaudeAgentOptions() if base is None else base
    if base.permission_prompt_tool_name:
        raise ConfigError("the options have a `permission_prompt_tool_name`, so nobody would ask us: leave it out")
    asks = can_use_tool(guard, base.can_use_tool if human is None else human, unasked)
    ours = _hooks(guard, base.hooks, answers_elsewhere=True)
    return replace(base, hooks=ours, can_use_tool=asks, settings=hooked(base))


def hooks(guard: Decides, *, also: Also | None = None) -> Hooks:
    """The hooks alone, for `ClaudeAgentOptions.hooks`. *also* are hooks of the program's own.

    Raises:
        HostError: as `options`.
        ConfigError: if a matcher in *also* cannot be read.
    """
    return _hooks(guard, also, answers_elsewhere=False)


def can_use_tool(guard: Decides, human: Human | None = None, unasked: str = "deny") -> CanUseTool:
    """The callback alone, for `ClaudeAgentOptions.can_use_tool`.

    *human* is `async (tool, input, context) -> PermissionResult | bool`, asked when the policies have no opinion or
    want somebody asked. Without one both are a deny; `unasked="pass"` makes no opinion an allow.

    Raises:
        HostError: as `options`.
        ValueError: if *unasked* is neither `deny` nor `pass`.
        TypeError: if *human* cannot be called.
    """
    _sdk()
    from wasmguard.serve.sdk_calls import calls_of
    from wasmguard.serve.sdk_events import Policies
    from wasmguard.serve.sdk_human import CanUseTool

    return CanUseTool(Policies(guard, calls_of(guard)), human, unasked)


def _hooks(guard: Decides, also: Also | None, *, answers_elsewhere: bool) -> Hooks:
    sdk = _sdk()
    from wasmguard.serve.sdk_calls import calls_of
    from wasmguard.serve.sdk_events import TIMEOUT, OnEvent, Policies
    from wasmguard.serve.sdk_theirs import FOLDED, Theirs

    policies, found = Policies(guard, calls_of(guard)), {name: list(theirs) for name, theirs in (also or {}).items()}
    for name in _events(guard):
        beside = found.pop(name, [])
        theirs = Theirs(name, beside if name in FOLDED else [])
        ours = OnEvent(name, policies, theirs, answers_elsewhere=answers_elsewhere)
        matcher = sdk.HookMatcher(hooks=[ours], timeout=TIMEOUT + theirs.seconds, on_failure="block")
        found[name] = [matcher, *([] if name in FOLDED else beside)]
    return found


def _events(guard: Decides) -> Iterable[str]:
    """The events that are hooked, in the order in which the client's are known."""
    policies = getattr(guard, "policies", ())
    return [
        name
        for name in KNOWN
        if name not in NEVER and (name in ALWAYS or any(policy.judges(name, None) for policy in policies))
    ]


def _sdk() -> Any:
    """The SDK's package, if it can fail closed.

    Raises:
        HostError: if there is none, or one without `on_failure`: a hook that fails would let the tool run.
    """
    try:
        import claude_agent_sdk
    except ImportError as error:
        raise HostError(f"no claude-agent-sdk: {error}: install `wasmguard[sdk]`") from None
    if "on_failure" not in {field.name for field in fields(claude_agent_sdk.HookMatcher)}:
        version = getattr(claude_agent_sdk, "__version__", "unknown")
        raise HostError(f"claude-agent-sdk `{version}` lets a tool run when its hook fails: install {OLDEST} or later")
    return claude_agent_sdk
