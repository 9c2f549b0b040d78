"""The hooks that a program brings: whom of them ours asks, how their answers are read, and what is left of them."""

import asyncio
from itertools import product
from types import SimpleNamespace

import pytest

from tests.serve.sdk_fakes import ALLOW, ASK, DENY, INPUT, MOVED, PASS, event, said
from wasmguard.agents import claude
from wasmguard.agents.claude_old import Understood
from wasmguard.errors import ConfigError
from wasmguard.serve.sdk_theirs import UNSAID, Theirs, beside, joined

CONTEXT = {"signal": None}


def matcher(*answers, matcher=None, timeout=None, asked=None):
    """A matcher whose hooks answer so."""

    def hook(answer):
        async def one(*given):
            if asked is not None:
                asked.append(given)
            await asyncio.sleep(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer(given[0]) if callable(answer) else answer

        return one

    return SimpleNamespace(matcher=matcher, hooks=[hook(answer) for answer in answers], timeout=timeout)


def ask(*matchers, name="PreToolUse", **more):
    """What they say to one event."""
    theirs = Theirs(name, matchers)
    return asyncio.run(theirs.say(claude.from_mapping(event(name, **more)), "t1", CONTEXT))


def specific(name="PreToolUse", **words):
    return {"hookSpecificOutput": {"hookEventName": name, **words}}


def decides(effect, **words):
    return specific(permissionDecision=effect, **words)


@pytest.mark.parametrize(
    ("given", "tool", "matches"),
    [
        (None, "Write", True),
        ("", "Write", True),
        ("*", "Write", True),
        ("Write", "Write", True),
        ("Write", "Writer", False),
        ("write", "Write", False),
        ("Write|Edit", "Edit", True),
        ("Write, Edit", "Edit", True),
        ("mcp__.*", "mcp__x__y", True),
        ("rit.$", "Write", True),
        ("^rit", "Write", False),
    ],
)
def test_a_matcher_means_what_it_means_to_the_client(given, tool, matches):
    assert (ask(matcher(decides("deny"), matcher=given), tool=tool).effect is DENY) is matches


@pytest.mark.parametrize(
    ("given", "tool", "tool_input", "matches"),
    [
        ("Task", "Agent", {}, True),
        ("^Task$", "Agent", {}, True),
        ("KillShell", "TaskStop", {}, True),
        ("Write|KillBash", "TaskStop", {}, True),
        ("Agent", "Agent", {}, True),
        ("Task", "TaskCreate", {}, False),
        ("Artifact", "ArtifactData", {}, True),
        ("ArtifactData", "Artifact", {"action": "read_db"}, True),
        ("ArtifactData", "Artifact", {"action": "reply"}, False),
        ("ArtifactData", "Artifact", {"action": ["read_db"]}, False),
        ("Bash", "Monitor", {"command": "ls"}, True),
        ("^Bash$", "Monitor", {"command": "ls"}, True),
        ("Bash", "Monitor", {"command": ""}, False),
        ("Bash", "Monitor", {"command": 1}, False),
        ("Bash", "PowerShell", {"command": "ls"}, False),
        ("^(?!Write)", "Monitor", {"command": "ls"}, True),
        ("^(?!Monitor)", "Monitor", {"command": "ls"}, False),
        ("^(?!Monitor|Bash)", "Monitor", {"command": "ls"}, False),
    ],
)
def test_a_matcher_means_a_tool_by_its_other_names_too(given, tool, tool_input, matches):
    said = ask(matcher(decides("deny"), matcher=given), tool=tool, tool_input=tool_input)
    assert (said.effect is DENY) is matches


def monitored(answer, name="PreToolUse", shown="Bash"):
    """What a hook that is asked about Bash makes of a Monitor, and what it was shown."""
    asked = []
    given = {"command": "ls", "description": "d", "timeout_ms": 1}
    found = ask(matcher(answer, matcher=shown, asked=asked), name=name, tool="Monitor", tool_input=given)
    return found, asked


@pytest.mark.parametrize("name", ["PreToolUse", "PermissionRequest"])
def test_who_is_asked_about_bash_is_shown_a_monitor_as_one(name):
    _, [(told, _, _)] = monitored({}, name)
    assert (told["tool_name"], told["tool_input"]) == ("Bash", {"command": "ls", "description": "d"})
    _, [(told, _, _)] = monitored({}, name, "Monitor|Bash")
    assert (told["tool_name"], told["tool_input"]["timeout_ms"]) == ("Monitor", 1)


def test_after_the_call_a_monitor_is_no_bash():
    assert monitored({}, "PostToolUse")[1] == []


def test_what_it_rewrites_goes_back_into_the_monitor():
    found, _ = monitored(specific(updatedInput={"command": "true", "description": "d"}))
    assert found.rewrite == {"command": "true", "description": "d", "timeout_ms": 1}
    for rewritten in ({"description": "d"}, {"command": 1}, {}):
        found, _ = monitored(specific(updatedInput=rewritten))
        assert (found.effect, found.rewrite) == (DENY, None)


def test_a_matcher_that_nobody_can_read_is_refused_at_once():
    with pytest.raises(ConfigError, match="a hook of yours on PreToolUse would never be asked: `Wr\\[`"):
        Theirs("PreToolUse", [matcher({}, matcher="Wr[")])


def test_all_that_match_are_asked_in_order_about_the_original():
    asked = []
    moves = specific(updatedInput=MOVED)
    found = ask(
        matcher(moves, decides("deny"), asked=asked),
        matcher({}, matcher="Bash", asked=asked),
        matcher({}, matcher="Write", asked=asked),
    )
    assert [(given["tool_input"], call, context) for given, call, context in asked] == [(INPUT, "t1", CONTEXT)] * 3
    assert found.effect is DENY


def test_what_one_does_to_its_copy_of_the_event_is_not_seen_by_the_next():
    seen = []

    def spoils(given):
        given["tool_input"].clear()
        return {}

    ask(matcher(spoils, lambda given: seen.append(given["tool_input"]) or {}))
    assert seen == [INPUT]


EFFECTS = {PASS: {}, ALLOW: decides("allow"), ASK: decides("ask"), DENY: decides("deny")}


@pytest.mark.parametrize(("one", "other"), list(product(EFFECTS, EFFECTS)))
def test_the_strictest_of_theirs_counts(one, other):
    assert ask(matcher(EFFECTS[one], EFFECTS[other])).effect is max(one, other)


def test_of_several_rewrites_and_outputs_the_last_in_order_counts():
    inputs = [specific(updatedInput={"n": number}) for number in (1, 2)]
    assert ask(matcher(inputs[0]), matcher({}, inputs[1], {})).rewrite == {"n": 2}
    outputs = [specific("PostToolUse", updatedToolOutput=number) for number in ("a", "b")]
    assert ask(matcher(*outputs), name="PostToolUse", tool_response="x").output == "b"


def test_with_a_deny_nothing_of_theirs_is_rewritten():
    assert ask(matcher(specific(updatedInput=MOVED), decides("deny"))).rewrite is None


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        "deny",
        [],
        {"decision": "deny"},
        decides("Deny"),
        specific(updatedInput="x"),
        {1: 2},
        {"hookSpecificOutput": {"permissionDecision": "allow"}},
        {"systemMessage": float("nan")},
        {"x": object()},
    ],
    ids=str,
)
def test_what_nobody_understands_is_a_deny(answer):
    found = ask(matcher(answer))
    assert (found.effect, found.rewrite) == (DENY, None)
    assert "a hook of this program" in found.reason


@pytest.mark.parametrize("error", [ValueError("broken"), KeyError(), RecursionError(), TimeoutError()])
def test_one_that_raises_has_denied(error):
    found = ask(matcher(error), matcher(decides("allow")))
    assert found.effect is DENY
    assert "a hook of this program raised" in found.reason or "said nothing" in found.reason


def test_one_that_takes_too_long_has_denied():
    slow = SimpleNamespace(matcher=None, hooks=[lambda *_: asyncio.sleep(60)], timeout=0.01)
    found = ask(slow, matcher(decides("allow")))
    assert (found.effect, found.reason) == (DENY, "wasmguard: a hook of this program said nothing for 0.01 s")


def test_one_that_is_no_coroutine_function_has_denied():
    plain = SimpleNamespace(matcher=None, hooks=[lambda *_: {}], timeout=None)
    assert ask(plain).effect is DENY


def test_being_cancelled_goes_through():
    async def run():
        theirs = Theirs("PreToolUse", [SimpleNamespace(matcher=None, hooks=[lambda *_: asyncio.sleep(60)], timeout=9)])
        asking = asyncio.ensure_future(theirs.say(claude.from_mapping(event()), "t", CONTEXT))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(run())


def test_the_time_of_all_of_them_is_added_up():
    assert Theirs("PreToolUse", [matcher({}, {}, timeout=5), matcher({}), matcher({}, timeout=0.5)]).seconds == (
        10.5 + UNSAID
    )
    assert not Theirs("PreToolUse", [matcher()])
    assert Theirs("PreToolUse", [matcher({})])


def test_the_words_of_older_sdks_are_understood():
    assert ask(matcher({"decision": "block", "reason": "old"})).reason == "old"
    assert ask(matcher({"decision": "approve"})).effect is ALLOW
    assert ask(matcher(specific(modifiedInput=MOVED))).rewrite == MOVED
    assert ask(matcher({"continue_": False, "stopReason": "enough"})).interrupt


# What the policies add


@pytest.mark.parametrize(("theirs", "ours"), list(product(EFFECTS, EFFECTS)))
def test_the_strictest_of_theirs_and_the_policies_counts_and_both_say_why(theirs, ours):
    decision = joined(Understood(effect=theirs, reason="mine"), said(ours, "p", reason="ours"))
    assert decision.effect is max(theirs, ours)
    lines = decision.reason.splitlines()
    assert ("mine" in lines) is (theirs is decision.effect is not PASS)
    assert any("ours" in line for line in lines) is (ours is decision.effect is not PASS)


@pytest.mark.parametrize("ours", [PASS, ASK])
def test_an_allow_of_theirs_vouches_only_for_what_they_saw(ours):
    assert joined(Understood(effect=ALLOW), said(ours, rewrite=MOVED)).effect is ours
    assert joined(Understood(effect=ALLOW, rewrite=MOVED), said(PASS)).effect is ALLOW


@pytest.mark.parametrize("ours", EFFECTS)
def test_the_rewrite_is_the_last_one_and_none_with_a_deny(ours):
    theirs = Understood(effect=PASS, rewrite={"n": 1})
    assert joined(theirs, said(ours, rewrite={"n": 2})).rewrite == (None if ours is DENY else {"n": 2})
    assert joined(theirs, said(ours)).rewrite == (None if ours is DENY else {"n": 1})
    assert joined(Understood(effect=DENY), said(ours, rewrite={"n": 2})).rewrite is None


def test_an_output_that_the_policies_replaced_stays_replaced():
    theirs = Understood(output="theirs")
    assert joined(theirs, said(PASS).replaced(output="ours")).output == "ours"
    assert joined(Understood(effect=DENY), said(PASS).replaced(output="ours")).output == "ours"
    assert joined(theirs, said(PASS)).output == "theirs"


def test_an_interrupt_counts_with_the_deny_that_said_it():
    assert joined(Understood(effect=DENY, interrupt=True), said(PASS)).interrupt
    assert joined(Understood(effect=PASS), said(DENY, interrupt=True)).interrupt
    assert not joined(Understood(effect=DENY), said(PASS)).interrupt


def test_what_they_say_beside_their_effect_is_kept():
    told = Understood(context="theirs", beside={"systemMessage": "m", "hookSpecificOutput": {"x": 1}})
    answer = specific(permissionDecision="ask", additionalContext="ours")
    assert beside(answer, told, "PreToolUse") == {
        "systemMessage": "m",
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "x": 1,
            "permissionDecision": "ask",
            "additionalContext": "theirs\nours",
        },
    }
    assert beside({}, told, "PreToolUse")["hookSpecificOutput"]["additionalContext"] == "theirs"
    assert beside({}, Understood(), "PreToolUse") == {}
    assert beside(answer, Understood(), "PreToolUse") == answer


def test_what_they_say_beside_cannot_replace_what_we_say():
    told = Understood(beside={"continue": True, "hookSpecificOutput": {"permissionDecision": "allow", "y": 1}})
    kept = beside({"continue": False, **decides("ask")}, told, "PreToolUse")
    assert kept["continue"] is False
    assert kept["hookSpecificOutput"]["permissionDecision"] == "ask"
