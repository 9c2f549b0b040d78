"""The question of an SDK's callback as the daemon answers it, and the schemas that it gives out."""

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from wasmguard.agents import claude
from wasmguard.decision import OURSELVES, Effect, Verdict, refused, settle
from wasmguard.errors import EventError
from wasmguard.serve import callback
from wasmguard.serve.callback import OFF, answered, schemas

PASS, ALLOW, ASK, DENY = Effect
MOST = 10_000
MOVED = {"file_path": "/sandbox/etc/x"}
UPDATE = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}
FORMS = schemas()


def raw(**said):
    return json.dumps({"toolName": "Write", "input": {"file_path": "/etc/x"}, **said}).encode()


def said(effect, **more):
    return settle([Verdict(policy="p", effect=effect, reason="because", **more)])


class Guard:
    """Decides each event as it was told to."""

    def __init__(self, pre=PASS, request=PASS):
        self.decisions = {"PreToolUse": pre, "PermissionRequest": request}
        self.asked = []

    def __call__(self, event):
        self.asked.append(event)
        decision = self.decisions[event["hook_event_name"]]
        return said(decision) if isinstance(decision, Effect) else decision


def asks(pre=PASS, request=PASS, **question):
    """The answer, which fits its schema, and what is told."""
    answer, told = answered(raw(**question), MOST, Guard(pre, request))
    Draft202012Validator(FORMS["can-use-tool"]["answer"]).validate(answer)
    assert told["event"] == "can-use-tool"
    return answer, told


@pytest.mark.parametrize(
    ("pre", "request_", "human", "unasked"), [*product(Effect, Effect, [True, False], ["deny", "pass"])]
)
def test_the_strictest_counts_and_what_nobody_can_be_asked_is_denied(pre, request_, human, unasked):
    answer, told = asks(pre, request_, asks=human, unasked=unasked)
    strictest = max(pre, request_)
    expected = {ALLOW: "allow", DENY: "deny"}.get(strictest, "ask" if human else "deny")
    if strictest is PASS and not human and unasked == "pass":
        expected = "allow"
    assert answer["behavior"] == told["effect"] == expected


@pytest.mark.parametrize(
    ("judged", "expected"),
    [("pass", "allow"), ("allow", "allow"), ("ask", "deny"), (True, "deny"), (False, "deny")],
)
def test_a_call_that_the_hook_judged_is_not_judged_twice_but_what_it_said_counts(judged, expected):
    guard = Guard(pre=DENY)
    answer, _ = answered(raw(judged=judged, unasked="pass"), MOST, guard)
    assert answer["behavior"] == expected
    names = [event["hook_event_name"] for event in guard.asked]
    assert names == (["PermissionRequest"] if judged else ["PreToolUse"])


def test_an_allow_of_the_hook_does_not_answer_what_the_owners_own_rules_ask():
    for human, expected in ((True, "ask"), (False, "deny")):
        assert asks(judged="allow", asks=human)[0]["behavior"] == expected
        assert asks(request=ASK, judged="allow", asks=human)[0]["behavior"] == expected
    assert asks(request=ALLOW, judged="allow")[0]["behavior"] == "allow"
    assert asks(pre=ALLOW)[0]["behavior"] == "allow"


def test_the_policies_see_what_a_hook_would_be_told():
    guard = Guard()
    answered(raw(sessionId="s", cwd="/w", agentID="a", toolUseID="t", suggestions=[UPDATE]), MOST, guard)
    pre, request = guard.asked
    call = {"tool_name": "Write", "tool_input": {"file_path": "/etc/x"}}
    common = {"session_id": "s", "cwd": "/w", "agent_id": "a", **call}
    assert pre == {**common, "tool_use_id": "t", "hook_event_name": "PreToolUse"}
    assert request == {**common, "permission_suggestions": [UPDATE], "hook_event_name": "PermissionRequest"}


def test_a_rewrite_an_update_and_an_interrupt_arrive():
    allowed = said(ALLOW, rewrite=MOVED, permissions=(UPDATE,))
    answer, told = asks(allowed, ALLOW)
    assert answer == {"version": 1, "behavior": "allow", "updatedInput": MOVED, "updatedPermissions": [UPDATE]}
    assert told["rewrote"]
    answer, _ = asks(said(DENY, interrupt=True))
    assert answer["interrupt"] is True
    answer, _ = asks(said(ASK, rewrite=MOVED), asks=True)
    assert (answer["behavior"], answer["updatedInput"]) == ("ask", MOVED)


def test_it_is_told_who_carried_it():
    _, told = asks(DENY)
    assert (told["tool"], told["policy"], told["faulted"], told["rewrote"]) == ("Write", "p", False, False)
    assert "because" in told["reason"]
    _, told = asks(PASS, settle([Verdict.failed("broken", "out of fuel")]))
    assert (told["policy"], told["faulted"]) == ("broken", True)
    _, told = asks(refused("protected"))
    assert (told["policy"], told["faulted"]) == (OURSELVES, False)
    _, told = asks()
    assert (told["effect"], told.get("policy", "")) == ("deny", "")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, "deny"),
        ({"asks": True}, "ask"),
        ({"unasked": "pass"}, "allow"),
        ({"unasked": "pass", "judged": "pass"}, "allow"),
        ({"judged": "allow"}, "deny"),
        ({"judged": "allow", "asks": True}, "ask"),
        ({"unasked": "pass", "judged": "ask"}, "deny"),
        ({"unasked": "pass", "judged": True}, "deny"),
        ({"unasked": "pass", "asks": True}, "ask"),
    ],
)
def test_while_the_guard_is_off_nobody_has_an_opinion(question, expected):
    answer, told = answered(raw(**question), MOST, None)
    assert answer["behavior"] == told["effect"] == expected
    assert expected == "allow" or OFF in answer["message"]


@pytest.mark.parametrize(
    "bad", [b"", b" \n", b"{", b"null", b'{"toolName":"Write"}', raw(x=1), raw(content="x" * MOST)]
)
def test_what_is_no_question_is_asked_of_nobody(bad):
    guard = Guard(ALLOW, ALLOW)
    with pytest.raises(EventError):
        answered(bad, MOST, guard)
    assert guard.asked == []


# The schemas


def test_every_schema_is_one_and_says_what_it_is():
    assert FORMS["version"] == 1
    found = {}
    for form, sides in callback.SCHEMAS.items():
        assert FORMS[form].keys() == set(sides)
        for schema in FORMS[form].values():
            Draft202012Validator.check_schema(schema)
            assert schema["$schema"].endswith("/draft/2020-12/schema")
            found[schema["$id"]] = schema["title"]
    assert len(found) == 3


verdicts = st.builds(
    Verdict,
    policy=st.sampled_from(["a", "b"]),
    effect=st.sampled_from(Effect),
    reason=st.sampled_from(["", " ", "why"]),
    rewrite=st.none() | st.just(MOVED),
    output=st.none() | st.just({"stdout": "x"}) | st.just("text") | st.just(["text"]),
    context=st.sampled_from(["", "text"]),
    interrupt=st.booleans(),
    permissions=st.lists(st.just(UPDATE), max_size=2).map(tuple),
)
faults = st.builds(Verdict.failed, st.just("c"), st.just("out of fuel"), st.sampled_from([ASK, DENY]))


@settings(max_examples=400, deadline=None, database=None)
@given(st.sampled_from([*claude.KNOWN, "SomethingNew"]), st.lists(verdicts | faults, max_size=3))
def test_whatever_a_hook_is_answered_fits_its_schema(name, heard):
    fields = {"hook_event_name": name, "tool_name": "Write", "tool_input": {}, "prompt": "p", "tool_response": {}}
    answer = claude.render(claude.from_mapping(fields), settle(heard))
    Draft202012Validator(FORMS["hook"]["answer"]).validate(json.loads(claude.encode(answer)))


@pytest.mark.parametrize("name", [*claude.KNOWN, "SomethingNew", None])
@pytest.mark.parametrize("why", ["", "why"])
def test_whatever_a_hook_is_refused_fits_its_schema(name, why):
    Draft202012Validator(FORMS["hook"]["answer"]).validate(claude.refusal(name, why))


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"ok": True},
        {"decision": "approve"},
        {"decision": "block"},
        {"continue": True, "stopReason": "x"},
        {"hookSpecificOutput": {"hookEventName": "PreToolUse"}},
        {"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "x"}},
        {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny"}},
        {"hookSpecificOutput": {"hookEventName": "PreToolUse", "updatedInput": "x"}},
        {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": {"behavior": "deny"}}},
        {"hookSpecificOutput": {"hookEventName": "Stop", "permissionDecision": "deny"}},
    ],
)
def test_the_schema_of_a_hooks_answer_allows_nothing_else(answer):
    assert not Draft202012Validator(FORMS["hook"]["answer"]).is_valid(answer)
