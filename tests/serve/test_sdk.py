"""The options, hooks and callback that the Claude Agent SDK is given."""

import asyncio
import dataclasses
import json
import sys
from types import SimpleNamespace

import pytest

from tests.recorded import recorded
from tests.serve.sdk_fakes import ALLOW, INPUT, MOVED, FakeGuard, event, said
from wasmguard import Guard
from wasmguard.agents.claude import KNOWN
from wasmguard.errors import ConfigError, HostError
from wasmguard.event import GATING
from wasmguard.serve import sdk as adapter
from wasmguard.serve.sdk_events import DEADLINE, TIMEOUT

sdk = pytest.importorskip("claude_agent_sdk", reason="needs the extra `sdk`")

pytestmark = pytest.mark.e2e  # where the SDK is missing it is skipped, and CI skips nothing


def judging(*names):
    """A guard with one policy that judges these events."""
    guard = FakeGuard()
    guard.policies = (SimpleNamespace(judges=lambda name, tool: name in names and tool is None),)
    return guard


async def nothing(*_):
    return {}


def matcher(**more):
    return sdk.HookMatcher(hooks=[nothing], **more)


def test_every_event_has_one_matcher_that_fails_closed_and_outlasts_us():
    for name, matchers in adapter.hooks(FakeGuard()).items():
        [one] = matchers
        assert (one.matcher, one.on_failure, len(one.hooks)) == (None, "block", 1), name
        assert one.timeout == TIMEOUT > DEADLINE


def test_hooked_is_what_can_stop_something_and_what_the_guides_promise():
    promised = (
        "PreToolUse PostToolUse PostToolUseFailure UserPromptSubmit Stop SubagentStart SubagentStop PreCompact "
        "Notification SessionStart SessionEnd PermissionRequest ConfigChange"
    )
    hooked = adapter.hooks(FakeGuard()).keys()
    assert hooked >= {*promised.split(), *GATING} - {"WorktreeCreate"}
    assert hooked <= KNOWN.keys()


def test_hooked_is_whatever_else_a_policy_judges_but_never_the_making_of_a_worktree():
    hooked = adapter.hooks(judging(*KNOWN)).keys()
    assert set(hooked) == set(KNOWN) - {"WorktreeCreate"}
    assert "MessageDisplay" not in adapter.hooks(FakeGuard())
    assert "MessageDisplay" in adapter.hooks(judging("MessageDisplay"))


def test_the_options_are_a_copy_with_all_else_kept():
    base = sdk.ClaudeAgentOptions(allowed_tools=["Read"], model="m", max_turns=3, hooks={"Stop": [matcher()]})
    before = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    options = adapter.options(FakeGuard(), base)
    for name, value in before.items():
        assert getattr(base, name) is value
        assert (getattr(options, name) is value) is (name not in ("hooks", "can_use_tool", "settings")), name
    assert len(base.hooks["Stop"]) == 1


def test_options_need_no_base():
    options = adapter.options(FakeGuard())
    assert callable(options.can_use_tool)
    assert options.hooks


def test_hooks_that_could_undo_ours_are_folded_and_the_others_stand_beside():
    mine = {name: [matcher(matcher="Write", timeout=7, on_failure="continue")] for name in KNOWN}
    hooks = adapter.hooks(FakeGuard(), also=mine)
    for name, matchers in hooks.items():
        if name in ("PreToolUse", "PostToolUse", "PermissionRequest"):
            assert [(one.matcher, one.timeout, one.on_failure) for one in matchers] == [(None, TIMEOUT + 7, "block")]
        elif name in adapter.hooks(FakeGuard()):
            assert matchers[1:] == mine[name]
            assert (matchers[0].on_failure, matchers[0].timeout) == ("block", TIMEOUT)
        else:
            assert matchers == mine[name]
    assert hooks["WorktreeCreate"] == mine["WorktreeCreate"]
    assert all(len(matchers) == 1 for matchers in mine.values())


def test_a_matcher_of_theirs_that_nobody_can_read_is_refused():
    with pytest.raises(ConfigError, match="would never be asked"):
        adapter.options(FakeGuard(), sdk.ClaudeAgentOptions(hooks={"PreToolUse": [matcher(matcher="Wr[")]}))


def test_a_prompt_tool_of_the_options_would_answer_in_our_place_and_is_refused():
    with pytest.raises(ConfigError, match="`permission_prompt_tool_name`"):
        adapter.options(FakeGuard(), sdk.ClaudeAgentOptions(permission_prompt_tool_name="mcp__x__y"))


def test_a_client_without_hooks_is_refused():
    with pytest.raises(ConfigError, match="`bare`"):
        adapter.options(FakeGuard(), sdk.ClaudeAgentOptions(extra_args={"bare": None}))
    settings = adapter.options(FakeGuard(), sdk.ClaudeAgentOptions(settings='{"a": 1}')).settings
    assert json.loads(settings) == {"a": 1, "env": {"CLAUDE_CODE_SIMPLE": ""}}


def test_the_callback_of_the_options_is_the_human_if_no_other_is_given():
    asked = []

    def human(name):
        async def one(*_):
            asked.append(name)
            return True

        return one

    base = sdk.ClaudeAgentOptions(can_use_tool=human("base"))
    context = sdk.ToolPermissionContext(tool_use_id="t")
    asyncio.run(adapter.options(FakeGuard(), base).can_use_tool("Write", INPUT, context))
    asyncio.run(adapter.options(FakeGuard(), base, human=human("other")).can_use_tool("Write", INPUT, context))
    assert asked == ["base", "other"]


def test_the_pieces_of_one_guard_know_of_each_others_calls():
    guard = FakeGuard(PermissionRequest=said(ALLOW))
    hooks, callback = adapter.hooks(guard), adapter.can_use_tool(guard)
    asyncio.run(hooks["PreToolUse"][0].hooks[0](event(), "t1", None))
    result = asyncio.run(callback("Write", INPUT, sdk.ToolPermissionContext(tool_use_id="t1")))
    assert result.behavior == "allow"
    assert guard.names == ["PreToolUse", "PermissionRequest"]


def test_options_may_be_guarded_twice():
    first, second = FakeGuard(said(rewrite=MOVED)), FakeGuard()
    options = adapter.options(second, adapter.options(first, sdk.ClaudeAgentOptions()))
    answer = asyncio.run(options.hooks["PreToolUse"][0].hooks[0](event(), "t1", None))
    assert answer["hookSpecificOutput"]["updatedInput"] == MOVED
    assert second.asked[0].input == MOVED


@pytest.mark.parametrize("call", [adapter.options, adapter.hooks, adapter.can_use_tool])
def test_an_sdk_that_cannot_fail_closed_is_refused(monkeypatch, call):
    @dataclasses.dataclass
    class HookMatcher:
        matcher: str | None = None
        timeout: float | None = None

    monkeypatch.setitem(sys.modules, "claude_agent_sdk", SimpleNamespace(HookMatcher=HookMatcher, __version__="0.1.0"))
    with pytest.raises(HostError, match=r"claude-agent-sdk `0\.1\.0` lets a tool run .* install 0\.2\.177 or later"):
        call(FakeGuard())
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", None)
    with pytest.raises(HostError, match=r"install `wasmguard\[sdk\]`"):
        call(FakeGuard())


# --- records --------------------------------------------------------------------------------------------------------
LARGE = {**INPUT, "content": "x" * 200_000}


@pytest.fixture
def guard(configured):
    """A real one, whose policies deny `Refused`, and pass everything else."""
    with Guard.load(configured("pass", "deny", deny={"tools": '["Refused"]'})) as made:
        yield made


def kept():
    """What is on record: event, tool and effect."""
    return [(body["event"], body.get("tool"), body["effect"]) for body in recorded("decision")]


@pytest.mark.parametrize("given", [INPUT, LARGE], ids=["at once", "by a thread"])
def test_what_a_hook_says_is_recorded_once(guard, given):
    async def asked():
        hooks = guard.hooks()
        for number, tool in enumerate(("Write", "Refused")):
            payload = event(tool=tool, tool_input=given, tool_use_id=str(number))
            await hooks["PreToolUse"][0].hooks[0](payload, str(number), {"signal": None})

    asyncio.run(asked())
    assert kept() == [("PreToolUse", "Write", "pass"), ("PreToolUse", "Refused", "deny")]


@pytest.mark.parametrize("given", [INPUT, LARGE], ids=["at once", "by a thread"])
def test_what_the_callback_says_is_recorded_once(guard, given):
    context = sdk.ToolPermissionContext(signal=None, suggestions=[], tool_use_id="t")
    asyncio.run(guard.can_use_tool("Refused", given, context))
    assert [(tool, effect) for _, tool, effect in kept()] == [("Refused", "deny")]


def test_many_at_the_same_time_are_each_recorded_once(guard):
    async def asked():
        events = [event(tool_use_id=str(number), tool_input=(INPUT, LARGE)[number % 9 == 0]) for number in range(40)]
        await asyncio.gather(*map(guard.adecide, events))

    asyncio.run(asked())
    assert sorted(int(body["call"]) for body in recorded("decision")) == list(range(40))
