"""The callback form of SDKs, held against its JSON schemas: they take what is taken, and allow what is said."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from wasmguard.agents import sdk
from wasmguard.decision import Effect
from wasmguard.errors import EventError
from wasmguard.limits import REASON

SCHEMAS = Path(sdk.__file__).parents[1] / "serve" / "schemas"
PASS, ALLOW, ASK, DENY = Effect
LEAST = {"toolName": "Write", "input": {"file_path": "/etc/x"}}
WHOLE = {
    **LEAST,
    "version": 1,
    "sessionId": "s",
    "transcriptPath": "/t/s.jsonl",
    "cwd": "/w",
    "permissionMode": "default",
    "toolUseID": "toolu_1",
    "agentID": "a",
    "agentType": "general-purpose",
    "mcpServer": {"name": "files", "source": "sdk", "more": 1},
    "suggestions": [{"type": "setMode"}],
    "judged": "pass",
    "asks": True,
    "unasked": "pass",
}
many = settings(max_examples=400, deadline=None, database=None)


def schema(side):
    read = json.loads((SCHEMAS / f"can-use-tool.{side}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(read)
    return Draft202012Validator(read)


REQUEST, ANSWER = schema("request"), schema("answer")


def parsed(**said):
    return sdk.parse(json.dumps({**LEAST, **said}).encode())


# Questions


def test_a_question_says_what_an_event_would():
    call = sdk.parse(json.dumps(WHOLE).encode())
    assert (call.tool, call.input) == ("Write", {"file_path": "/etc/x"})
    assert call.fields == {
        "session_id": "s",
        "transcript_path": "/t/s.jsonl",
        "cwd": "/w",
        "permission_mode": "default",
        "tool_use_id": "toolu_1",
        "agent_id": "a",
        "agent_type": "general-purpose",
        "mcp_server": {"name": "files", "source": "sdk", "more": 1},
        "permission_suggestions": [{"type": "setMode"}],
    }
    assert (call.judged, call.least, call.asks, call.unasked) == (True, PASS, True, "pass")


def test_what_is_not_said_is_the_strictest():
    call = parsed()
    assert (call.fields, call.judged, call.least, call.asks, call.unasked) == ({}, False, ASK, False, "deny")


@pytest.mark.parametrize(
    ("said", "judged", "least"),
    [(False, False, ASK), (True, True, ASK), ("ask", True, ASK), ("allow", True, ALLOW), ("pass", True, PASS)],
)
def test_what_the_hook_said_about_a_call_still_counts(said, judged, least):
    call = parsed(judged=said)
    assert (call.judged, call.least) == (judged, least)


@pytest.mark.parametrize("key", ["sessionID", "session_id", "tool_name", "Judged", "", "__proto__", "hook_event_name"])
def test_a_key_that_nobody_knows_is_refused_and_named(key):
    with pytest.raises(EventError, match="leave it out"):
        parsed(**{key: "x"})


@pytest.mark.parametrize("key", WHOLE)
@pytest.mark.parametrize("value", [None, 0, 7, 1.5, "", "x", [], [1], {}, {"name": "x"}, True])
def test_the_schema_takes_what_is_taken_key_by_key(key, value):
    agrees({**WHOLE, key: value})
    if type(value) is not type(WHOLE[key]) and (key, value) not in [("version", True), ("judged", True)]:
        with pytest.raises(EventError):
            sdk.parse(json.dumps({**WHOLE, key: value}).encode())


def agrees(question):
    """Whether *question* is taken; the schema says the same."""
    try:
        sdk.parse(json.dumps(question).encode())
        taken = True
    except EventError:
        taken = False
    assert taken is REQUEST.is_valid(question), question
    return taken


scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, 1.5, "", "x", "pass", "deny", "ask"])
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner))
changes = st.dictionaries(st.sampled_from([*WHOLE, "sessionID", "x"]), values, max_size=3)


@many
@given(changes, st.sets(st.sampled_from([*WHOLE])))
@example({"version": 1.0}, set())
@example({"version": True}, set())
def test_the_schema_takes_what_is_taken(changed, left_out):
    agrees({key: value for key, value in {**WHOLE, **changed}.items() if key not in left_out})


def test_questions_as_they_should_be_are_taken():
    assert agrees(LEAST)
    assert agrees(WHOLE)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b" ", b"null", b"[]", b'"x"', b"{", b"\xff", b"{}{}", b"[" * 100_000),
        b'{"toolName":"Read","input":{},"toolName":"Write"}',
        b'{"toolName":"Write","input":{"a":1,"a":2}}',
        b'{"toolName":"Write","input":{"a":NaN}}',
        b'{"toolName":"Write","input":{"a":1e999}}',
        b'{"toolName":"Write","input":' + b'{"a":' * 70 + b"1" + b"}" * 71,
    ],
)
def test_what_readers_could_read_in_two_ways_is_refused(raw):
    with pytest.raises(EventError):
        sdk.parse(raw)


@many
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_nothing_but_an_event_error_is_raised(raw):
    with pytest.raises(EventError):
        sdk.parse(raw)


# Answers


texts = st.text(max_size=20)
objects = st.dictionaries(texts, st.none() | texts | st.integers(), max_size=2)
rendered = st.fixed_dictionaries(
    {
        "effect": st.sampled_from(Effect),
        "asks": st.booleans(),
        "message": texts,
        "new_input": st.none() | objects,
        "updates": st.lists(objects, max_size=2),
        "interrupt": st.booleans(),
    }
)


@many
@given(rendered)
def test_whatever_is_said_fits_the_schema_and_is_never_looser(said):
    answer = json.loads(sdk.encode(sdk.render(**said)))
    ANSWER.validate(answer)
    behavior = answer["behavior"]
    assert behavior != "ask" or said["asks"]
    assert (behavior == "allow") is (said["effect"] is ALLOW)
    assert behavior == "deny" or "interrupt" not in answer
    assert (behavior == "deny") is (said["effect"] is DENY or (said["effect"] is not ALLOW and not said["asks"]))


def test_an_allow_carries_the_new_input_and_the_updates():
    moved, update = {"file_path": "/sandbox/x"}, {"type": "setMode"}
    answer = sdk.render(ALLOW, asks=False, message="m", new_input=moved, updates=[update], interrupt=True)
    assert answer == {"version": 1, "behavior": "allow", "updatedInput": moved, "updatedPermissions": [update]}
    assert sdk.render(ALLOW, asks=True) == {"version": 1, "behavior": "allow"}


def test_a_deny_says_why_and_nothing_of_a_new_input():
    answer = sdk.render(DENY, asks=True, message="why", new_input={}, updates=[{}], interrupt=True)
    assert answer == {"version": 1, "behavior": "deny", "message": "why", "interrupt": True}
    assert sdk.render(DENY, asks=True, message=" ")["message"]


@pytest.mark.parametrize("effect", [PASS, ASK])
def test_a_human_sees_why_he_is_asked_and_what_about(effect):
    answer = sdk.render(effect, asks=True, message="why", new_input={"a": 1}, updates=[{}], interrupt=True)
    assert answer == {"version": 1, "behavior": "ask", "message": "why", "updatedInput": {"a": 1}}
    assert sdk.render(effect, asks=False, message="why")["behavior"] == "deny"


@pytest.mark.parametrize("why", ["", " ", "\n", "x" * 10_000, "\x1b[2J", "\ud800"])
def test_a_refusal_is_a_deny_that_can_be_shown(why):
    answer = json.loads(sdk.encode(sdk.refusal(why)))
    ANSWER.validate(answer)
    assert answer["behavior"] == "deny"
    assert 0 < len(answer["message"]) <= REASON
    assert "\x1b" not in answer["message"]


@pytest.mark.parametrize(
    "answer",
    [
        {"behavior": "allow"},
        {"version": 2, "behavior": "allow"},
        {"version": 1},
        {"version": 1, "behavior": "pass"},
        {"version": 1, "behavior": "deny"},
        {"version": 1, "behavior": "deny", "message": "m", "updatedInput": {}},
        {"version": 1, "behavior": "allow", "message": "m"},
        {"version": 1, "behavior": "allow", "updatedInput": []},
        {"version": 1, "behavior": "ask", "updatedPermissions": [{}]},
        {"version": 1, "behavior": "allow", "x": 1},
    ],
)
def test_the_schema_allows_nothing_else(answer):
    assert not ANSWER.is_valid(answer)
