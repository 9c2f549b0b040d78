"""What programs import, on real policies: the guard with the callbacks of the Claude Agent SDK."""

import asyncio
import subprocess
import sys

import pytest

import wasmguard
from wasmguard import Effect, Guard, Guards
from wasmguard.guard import Guard as Floor

WRITE = {
    "hook_event_name": "PreToolUse",
    "tool_name": "Write",
    "tool_input": {"file_path": "/etc/x", "content": "x"},
    "cwd": "/",
}
REDIRECT = {'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}


@pytest.fixture
def sdk():
    return pytest.importorskip("claude_agent_sdk", reason="needs the extra `sdk`")


def asked(guard, event=WRITE, name="PreToolUse"):
    """What the hook of *guard* answers the client."""
    return asyncio.run(guard.hooks()[name][0].hooks[0](event, "t1", {"signal": None}))


def test_the_library_is_the_guard_with_callbacks(configured):
    assert issubclass(Guard, Floor)
    with Guard.load(configured("deny")) as guard:
        assert type(guard) is Guard
        assert guard.decide(WRITE).effect is Effect.DENY


def test_every_public_name_is_there():
    for name in wasmguard.__all__:
        assert getattr(wasmguard, name) is not None


def test_importing_it_needs_neither_the_sdk_nor_asyncio():
    code = "import sys, wasmguard.embedding; print({'claude_agent_sdk', 'asyncio', 'anyio'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.e2e
@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize(("name", "effect"), [("deny", "deny"), ("ask", "ask"), ("unreachable", "deny")])
def test_a_policy_answers_the_hook(sdk, configured, isolation, name, effect):
    with Guard.load(configured(name), isolation=isolation) as guard:
        assert asked(guard)["hookSpecificOutput"]["permissionDecision"] == effect


@pytest.mark.e2e
def test_a_rewrite_reaches_the_client(sdk, configured):
    with Guard.load(configured("rewrite_constant", rewrite_constant=REDIRECT)) as guard:
        moved = {"file_path": "/sandbox/moved", "content": "x"}
        assert asked(guard)["hookSpecificOutput"] == {"hookEventName": "PreToolUse", "updatedInput": moved}
        context = sdk.ToolPermissionContext(tool_use_id="t2")
        options = guard.options(unasked="pass")
        assert asyncio.run(options.can_use_tool("Write", WRITE["tool_input"], context)).updated_input == moved


@pytest.mark.e2e
def test_the_callback_alone_asks_the_policies_and_no_human(sdk, configured):
    context = sdk.ToolPermissionContext(tool_use_id="t1")
    for name, extra, behavior in (
        ("pass", {}, "deny"),
        ("allow", {"allow": {"grants.effects": '["deny", "ask", "allow"]'}}, "allow"),
        ("ask", {}, "deny"),
        ("deny", {}, "deny"),
    ):
        with Guard.load(configured(name, **extra)) as guard:
            assert asyncio.run(guard.can_use_tool("Write", WRITE["tool_input"], context)).behavior == behavior


@pytest.mark.e2e
def test_a_closed_guard_denies_what_it_is_asked(sdk, configured):
    guard = Guard.load(configured("pass"))
    hook = guard.hooks()["PreToolUse"][0].hooks[0]
    guard.close()
    answer = asyncio.run(hook(WRITE, "t1", None))
    assert answer["hookSpecificOutput"]["permissionDecision"] == "deny"
    assert "closed" in answer["hookSpecificOutput"]["permissionDecisionReason"]


@pytest.mark.e2e
def test_several_guards_answer_as_one(sdk, tmp_path, configured):
    first = Guard.load(configured("rewrite_constant", rewrite_constant=REDIRECT))
    second = Guard.load(configured("ask"))
    with Guards(first, second) as guards:
        said = asked(guards)["hookSpecificOutput"]
        assert (said["permissionDecision"], said["updatedInput"]["file_path"]) == ("ask", "/sandbox/moved")


@pytest.mark.e2e
def test_a_thousand_at_once_are_all_answered_and_a_timer_goes_on(sdk, configured):
    async def run(guard):
        hook, late = guard.hooks()["PreToolUse"][0].hooks[0], []

        async def ticks():
            loop = asyncio.get_running_loop()
            while True:
                begun = loop.time()
                await asyncio.sleep(0.005)
                late.append(loop.time() - begun)

        ticking = asyncio.ensure_future(ticks())
        answers = await asyncio.gather(*(hook(WRITE, f"t{number}", None) for number in range(1000)))
        ticking.cancel()
        assert {answer["hookSpecificOutput"]["permissionDecision"] for answer in answers} == {"deny"}
        assert max(late) < 2  # generous; benchmarks measure it

    with Guard.load(configured("deny"), isolation="thread") as guard:
        asyncio.run(run(guard))
