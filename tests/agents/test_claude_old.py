"""Answers of other hooks, today's and older ones, and old names of fields: read where they occur, never written."""

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmguard.agents import claude
from wasmguard.agents.claude_old import Understood, understood
from wasmguard.decision import Decision, Effect, Verdict, settle
from wasmguard.errors import EventError
from wasmguard.event import GATING, OUTPUTS, STOPPING

PASS, ALLOW, ASK, DENY = Effect
EVENTS = [*claude.KNOWN, "SomethingNew"]
NEW = {"file_path": "/b"}
UPDATE = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}


def specific(name, **said):
    return {"hookSpecificOutput": {"hookEventName": name, **said}}


def tool(**said):
    return specific("PreToolUse", **said)


def asked(**decision):
    return specific("PermissionRequest", decision=decision)


# What an answer says


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("PreToolUse", {}, {}),
        ("PreToolUse", {"continue": True, "suppressOutput": True}, {"beside": {"suppressOutput": True}}),
        ("PreToolUse", {"systemMessage": "hello"}, {"beside": {"systemMessage": "hello"}}),
        ("PreToolUse", {"from_the_future": {"a": 1}}, {}),
        ("PreToolUse", {"async": True, "asyncTimeout": 5}, {}),
        ("PreToolUse", {"async_": True}, {}),
        ("PreToolUse", {"async": False, "decision": "block", "reason": "r"}, {"effect": DENY, "reason": "r"}),
        ("PreToolUse", tool(permissionDecision="allow"), {"effect": ALLOW}),
        ("PreToolUse", tool(permissionDecision="ask", permissionDecisionReason="r"), {"effect": ASK, "reason": "r"}),
        ("PreToolUse", tool(permissionDecision="deny", permissionDecisionReason="r"), {"effect": DENY, "reason": "r"}),
        ("PreToolUse", tool(updatedInput=NEW), {"rewrite": NEW}),
        ("PreToolUse", tool(updatedInput={}), {"rewrite": {}}),
        ("PreToolUse", tool(modifiedInput=NEW), {"rewrite": NEW}),
        ("PreToolUse", tool(updatedInput=NEW, modifiedInput=NEW), {"rewrite": NEW}),
        ("PreToolUse", tool(permissionDecision="allow", modifiedInput=NEW), {"effect": ALLOW, "rewrite": NEW}),
        ("PreToolUse", tool(permissionDecision="deny", updatedInput=NEW), {"effect": DENY}),
        ("PreToolUse", tool(additionalContext="c"), {"context": "c"}),
        ("PreToolUse", {"decision": "approve", "reason": "r"}, {"effect": ALLOW, "reason": "r"}),
        ("PreToolUse", {"decision": "block"}, {"effect": DENY}),
        (
            "PreToolUse",
            {"decision": "block", "systemMessage": "r"},
            {"effect": DENY, "reason": "r", "beside": {"systemMessage": "r"}},
        ),
        ("PreToolUse", {"decision": "approve", **tool(permissionDecision="deny")}, {"effect": DENY}),
        ("PreToolUse", {"decision": "block", **tool(permissionDecision="allow")}, {"effect": DENY}),
        (
            "PreToolUse",
            {"continue": False, "stopReason": "s", **tool(permissionDecision="allow", updatedInput=NEW)},
            {"effect": DENY, "reason": "s", "interrupt": True},
        ),
        ("PreToolUse", {"continue_": False}, {"effect": DENY, "interrupt": True}),
        ("PermissionRequest", asked(behavior="allow"), {"effect": ALLOW}),
        (
            "PermissionRequest",
            asked(behavior="allow", updatedInput=NEW, updatedPermissions=[UPDATE]),
            {"effect": ALLOW, "rewrite": NEW, "permissions": (UPDATE,)},
        ),
        ("PermissionRequest", asked(behavior="deny", message="m"), {"effect": DENY, "reason": "m"}),
        ("PermissionRequest", asked(behavior="deny", interrupt=True), {"effect": DENY, "interrupt": True}),
        ("PermissionRequest", asked(behavior="allow", interrupt=True), {"effect": ALLOW}),
        (
            "PermissionRequest",
            {"decision": "block", "reason": "r", **asked(behavior="allow", updatedPermissions=[UPDATE])},
            {"effect": DENY, "reason": "r"},
        ),
        ("PreModelSwitch", specific("PreModelSwitch", permissionDecision="ask"), {"effect": ASK}),
        ("UserPromptSubmit", {"decision": "block", "reason": "r"}, {"effect": DENY, "reason": "r"}),
        (
            "UserPromptSubmit",
            specific("UserPromptSubmit", additionalContext="c", sessionTitle="t"),
            {"context": "c", "beside": specific("UserPromptSubmit", sessionTitle="t")},
        ),
        ("PostToolUse", specific("PostToolUse", updatedToolOutput="o"), {"output": "o"}),
        ("PostToolUse", specific("PostToolUse", updatedMCPToolOutput=[]), {"output": []}),
        (
            "PostToolUse",
            {"decision": "block", "reason": "r", **specific("PostToolUse", updatedToolOutput={"a": 1})},
            {"effect": DENY, "reason": "r", "output": {"a": 1}},
        ),
        ("Stop", {"decision": "block", "reason": "r"}, {"effect": DENY, "reason": "r"}),
        ("Stop", specific("Stop", additionalContext="c"), {"effect": DENY, "reason": "c"}),
        ("Stop", {"continue": False, "stopReason": "s"}, {"interrupt": True}),
        (
            "SubagentStop",
            {"continue": False, "decision": "block", "reason": "r"},
            {"effect": DENY, "reason": "r", "interrupt": True},
        ),
        ("PreCompact", {"systemMessage": "keep this"}, {"context": "keep this"}),
        (
            "PreCompact",
            {"decision": "block", "systemMessage": "no"},
            {"effect": DENY, "reason": "no"},
        ),
        ("Elicitation", specific("Elicitation", action="decline"), {"effect": DENY}),
        ("ElicitationResult", specific("ElicitationResult", action="cancel"), {"effect": DENY}),
        ("SomethingNew", {"decision": "block", "reason": "r"}, {"effect": DENY, "reason": "r"}),
    ],
)
def test_an_answer_says_what_the_client_or_an_older_one_does(name, answer, says):
    found = understood(name, answer)
    if "action" not in str(answer):
        assert found == Understood(**says)
    assert (found.effect, found.fault) == (says.get("effect", PASS), "")


def test_an_accepted_question_is_no_opinion_of_ours_and_goes_on_beside():
    accepted = specific("Elicitation", action="accept", content={"key": "K"})
    assert understood("Elicitation", accepted) == Understood(beside=accepted)


WRONG_TYPES = (None, 5, True, "x", [], {}, ["deny"], {"a": 1})
TOP = {"decision": str, "reason": str, "continue": bool, "stopReason": str, "systemMessage": str, "async": bool}
TOP |= {"hookSpecificOutput": dict, "suppressOutput": bool, "continue_": bool, "async_": bool}


def misfits(word, right, answer):
    return [answer(word, value) for value in WRONG_TYPES if not isinstance(value, right)]


MALFORMED = [
    *[("PreToolUse", answer) for answer in (None, "deny", b"{}", 5, True, [], [{}], ("decision", "block"))],
    *[("PreToolUse", each) for word, right in TOP.items() for each in misfits(word, right, lambda w, v: {w: v})],
    *[
        ("PreToolUse", each)
        for word in ("permissionDecision", "permissionDecisionReason", "additionalContext")
        for each in misfits(word, str, lambda w, v: tool(**{w: v}))
    ],
    *[
        ("PreToolUse", each)
        for word in ("updatedInput", "modifiedInput")
        for each in misfits(word, dict, lambda w, v: tool(**{w: v}))
    ],
    *[("PermissionRequest", each) for each in misfits("decision", dict, lambda w, v: specific(EVENTS[1], **{w: v}))],
    ("PermissionRequest", asked()),
    ("PermissionRequest", asked(message="no")),
    ("PermissionRequest", asked(behavior="ask")),
    ("PermissionRequest", asked(behavior="allow", updatedInput="x")),
    ("PermissionRequest", asked(behavior="allow", updatedPermissions={})),
    ("PermissionRequest", asked(behavior="allow", updatedPermissions=["x"])),
    ("PermissionRequest", asked(behavior="deny", message=5)),
    ("PermissionRequest", asked(behavior="deny", interrupt="yes")),
    ("PermissionRequest", asked(behavior="allow", updatedInput={"a": 1}, modifiedInput={"a": True})),
    *[("PreToolUse", {"decision": word}) for word in ("deny", "allow", "ask", "Block", "")],
    *[("PreToolUse", tool(permissionDecision=word)) for word in ("defer", "block", "approve", "Deny", "")],
    ("PreToolUse", {"hookSpecificOutput": {"permissionDecision": "deny"}}),
    ("PreToolUse", specific("PostToolUse", permissionDecision="deny")),
    ("PreToolUse", specific("pretooluse")),
    *[
        ("PreToolUse", {word: value})
        for word, value in {"permissionDecision": "allow", "updatedInput": NEW, "modifiedInput": NEW}.items()
    ],
    ("UserPromptSubmit", specific("UserPromptSubmit", permissionDecision="deny")),
    ("Stop", specific("Stop", updatedToolOutput="x")),
    ("PreToolUse", tool(updatedToolOutput="x")),
    ("PostToolUse", specific("PostToolUse", updatedInput=NEW)),
    ("PostToolUse", specific("PostToolUse", updatedToolOutput="a", updatedMCPToolOutput="b")),
    ("PreToolUse", tool(updatedInput={"a": 1}, modifiedInput={"a": 2})),
    ("PreToolUse", tool(updatedInput={"a": 1}, modifiedInput={"a": 1.0})),
    ("PreToolUse", {"continue": False, "continue_": True}),
    ("PreToolUse", {"async": True, "decision": "block"}),
    ("PreToolUse", {"async": True, "decision": "approve"}),
    ("PreToolUse", {"async": True, **tool(updatedInput=NEW)}),
    ("PreToolUse", {"async_": True, "continue_": False}),
    ("Elicitation", specific("Elicitation", action="maybe")),
]


@pytest.mark.parametrize(("name", "answer"), MALFORMED)
def test_a_malformed_answer_is_a_deny_and_says_what_is_wrong(name, answer):
    found = understood(name, answer)
    assert (found.effect, found.rewrite, found.output, found.permissions) == (DENY, None, None, ())
    assert found.fault
    assert "\n" not in found.fault


def test_what_is_malformed_is_a_fault_so_that_it_keeps_no_agent_running():
    found = understood("Stop", {"decision": "deny"})
    verdict = Verdict.failed("their hook", found.fault)
    assert claude.render(claude.from_mapping({"hook_event_name": "Stop"}), settle([verdict])) == {}


# Every answer of ours is understood as what was decided.


@pytest.mark.parametrize("name", EVENTS)
def test_what_we_say_is_understood_as_it_was_meant(name):
    rides = product((None, NEW), (False, True), ("", "note"), ((), (UPDATE,)), (None, "gone"))
    for effect, (rewrite, interrupt, context, permissions, output) in product(Effect, [*rides]):
        said = {"rewrite": rewrite, "context": context, "permissions": permissions, "output": output}
        decision = settle([Verdict(policy="p", effect=effect, reason="r", interrupt=interrupt, **said)])
        about = {"tool_name": "Write", "tool_input": {"file_path": "/a"}, "prompt": "p"}
        answer = claude.render(claude.from_mapping({"hook_event_name": name, **about}), decision)
        found = understood(name, json.loads(json.dumps(answer)))
        assert found.fault == ""
        assert found.output == (decision.output if name in OUTPUTS else None)
        held(name, decision, found)


def held(name: str, decision: Decision, found: Understood) -> None:
    """No looser than what was decided, where the event can hold anything."""
    if name in STOPPING:
        assert found.interrupt or (found.effect is DENY) == (decision.effect >= ASK)
    elif name == "PermissionRequest":
        assert found.effect in (decision.effect, DENY) or decision.effect is ASK
    elif name in ("PreToolUse", "PreModelSwitch"):
        assert found.effect >= decision.effect
        assert found.interrupt == (decision.interrupt and name == "PreToolUse")
    elif name in GATING:
        assert (found.effect is DENY) == (decision.effect >= ASK or decision.rewrite is not None)
    assert found.rewrite in (None, decision.rewrite)


WORDS = st.sampled_from([*TOP, "permissionDecision", "updatedInput", "modifiedInput", "hookEventName", "behavior"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["block", "deny", "allow"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(EVENTS), st.dictionaries(WORDS, JSON, max_size=4) | JSON)
def test_whatever_is_said_nothing_is_raised_and_no_deny_is_lost(name, answer):
    found = understood(name, answer)
    assert type(found) is Understood
    if isinstance(answer, dict) and answer.get("decision") == "block" and not answer.get("async"):
        assert found.effect is DENY


# Old names of fields


def prompt(**fields):
    return {"hook_event_name": "UserPromptSubmit", "session_id": "s", **fields}


def after(**fields):
    return {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}, **fields}


def both_ways(payload):
    parsed = claude.from_mapping(payload)
    assert claude.parse(json.dumps(payload).encode()) == parsed
    return parsed


def test_the_content_of_a_prompt_is_the_prompt():
    event = both_ways(prompt(content="hello", timestamp="2025-01-01"))
    assert event.fields == prompt(content="hello", timestamp="2025-01-01", prompt="hello")
    assert both_ways(prompt(content="hello", prompt="hello")).fields["prompt"] == "hello"


@pytest.mark.parametrize("other", ["", "hello ", "HELLO", None, 5, ["hello"]])
def test_a_prompt_that_is_two_is_refused(other):
    with pytest.raises(EventError, match="prompt"):
        claude.from_mapping(prompt(content="hello", prompt=other))


def test_another_kind_of_content_is_left_alone():
    assert both_ways(prompt(content=["blocks"], prompt="hello")).fields == prompt(content=["blocks"], prompt="hello")
    with pytest.raises(EventError, match="prompt"):
        claude.from_mapping(prompt(content=["blocks"]))


def test_the_result_of_a_tool_is_its_response():
    payload = after(success=True, result="one\ntwo", error=None)
    event = both_ways(payload)
    assert (event.name, event.output) == ("PostToolUse", "one\ntwo")
    assert event.fields == {**payload, "tool_response": "one\ntwo"}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"success": False}, "the tool failed"),
        ({"success": False, "error": None}, "the tool failed"),
        ({"success": False, "error": ""}, "the tool failed"),
        ({"success": False, "error": "exit code 3"}, "exit code 3"),
        ({"success": True, "error": None}, None),
    ],
)
def test_a_call_that_failed_has_an_error(fields, error):
    event = both_ways(after(result=None, **fields))
    assert event.name == "PostToolUse"
    assert event.fields["error"] == error
    assert event.fields["success"] == fields["success"]


def test_the_new_name_counts():
    event = both_ways(after(success=True, result="old", tool_response={"stdout": "new"}))
    assert (event.output, event.fields["result"]) == ({"stdout": "new"}, "old")


def test_what_has_no_new_name_stays_as_it_is():
    for payload in (
        {"hook_event_name": "Stop", "reason": "completed", "duration_ms": 5, "num_turns": 3},
        {"hook_event_name": "PreCompact", "message_count": 9, "total_tokens": 1, "compact_threshold": 0.5},
        {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {}, "content": "x", "success": False},
        after(tool_response={"success": False, "result": 1}, result="of somebody else"),
    ):
        assert both_ways(payload).fields == payload
