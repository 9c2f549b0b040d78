"""What Claude Code makes of an answer: every case that was measured with the real client (claude-code.md, 3.2 to 6)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.workshop.taken import (
    ALLOWED,
    ASKED,
    DEFERRED,
    DENIED,
    FAILED,
    NOTHING,
    Taken,
    of_command,
    of_http,
)


def specific(**said):
    return json.dumps({"hookSpecificOutput": {"hookEventName": "PreToolUse", **said}}, separators=(",", ":"))


DENY = specific(permissionDecision="deny", permissionDecisionReason="no")


def does(out, code=0, event="PreToolUse"):
    return of_command(event, code, out.encode("utf-8", "surrogatepass"), b"why").does


@pytest.mark.parametrize(
    "out",
    [
        *("", "{}", "plain", "null", "[]", "true", '"text"', "\0", "log line\n" + DENY, DENY + "\nlog", DENY + "\0"),
        *(DENY[:-2], DENY[:40], '{"unknown": 1}', '{"async": true}', '{"async": true}\n' + DENY),
        *('{"permissionDecision":"deny"}', '{"updatedInput":{}}', '{"continue":false}'),
    ],
)
def test_what_the_client_takes_for_no_opinion(out):
    assert does(out) == NOTHING


@pytest.mark.parametrize(
    "out",
    [
        *(DENY[:-1], DENY + DENY, DENY + "\n" + DENY, "{}\n" + DENY, "{not json}", DENY.replace("deny", "Deny")),
        *(DENY.replace("PreToolUse", "Stop"), DENY.replace('"hookEventName":"PreToolUse",', "")),
        *(specific(updatedInput="text"), '{"decision":"deny"}', '{"decision":5}', '{"hookSpecificOutput":[]}'),
        *('{"reason": NaN}', '{"hookSpecificOutput":null}', specific(permissionDecisionReason=5)),
    ],
)
def test_what_the_client_takes_for_a_failure(out):
    taken = of_command("PreToolUse", 0, out.encode(), b"")
    assert (taken.does, bool(taken.why)) == (FAILED, True)
    assert taken.blocks(on_failure=True)
    assert not taken.blocks(on_failure=False)


@pytest.mark.parametrize("out", [DENY, "\ufeff" + DENY, f"  {DENY}\n\n", json.dumps(json.loads(DENY), indent=2)])
def test_a_deny_is_one_with_blanks_and_a_byte_order_mark_too(out):
    taken = of_command("PreToolUse", 0, out.encode(), b"")
    assert taken == Taken(does=DENIED, why="no")


def test_exit_code_2_blocks_whatever_was_printed():
    allow = specific(permissionDecision="allow").encode()
    assert of_command("PreToolUse", 2, allow, b" because \n") == Taken(does=DENIED, why="because")
    assert of_command("PreToolUse", 2, b"", b"").why == "No stderr output"


@pytest.mark.parametrize("code", [1, 3, 127, -9, -11])
def test_another_exit_code_is_a_failure_but_for_a_whole_deny(code):
    assert does("{}", code) == FAILED
    assert does(specific(permissionDecision="allow"), code) == FAILED
    assert does(DENY, code) == DENIED


def test_a_hook_that_was_ended_has_failed_even_if_it_had_denied():
    assert does(DENY, None) == FAILED


@pytest.mark.parametrize(
    ("said", "effect"), [("allow", ALLOWED), ("ask", ASKED), ("deny", DENIED), ("defer", DEFERRED), (None, NOTHING)]
)
def test_an_effect_and_a_rewrite(said, effect):
    given = {"permissionDecision": said} if said else {}
    taken = of_command("PreToolUse", 0, specific(updatedInput={"a": 1}, **given).encode(), b"")
    assert taken.does == effect
    assert taken.input == (None if effect == DENIED else {"a": 1})


def test_other_events_are_blocked_by_a_decision():
    assert does('{"decision":"block","reason":"no"}', event="ConfigChange") == DENIED
    assert does('{"decision":"block"}') == DENIED
    assert does('{"decision":"approve"}') == ALLOWED
    behaving = {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": {"behavior": "deny"}}}
    assert does(json.dumps(behaving), event="PermissionRequest") == DENIED
    assert does(json.dumps(behaving).replace("deny", "Deny"), event="PermissionRequest") == FAILED


@pytest.mark.parametrize("status", [200, 201, 299])
def test_over_http_a_deny_is_any_2xx_with_an_object(status):
    assert of_http("PreToolUse", status, DENY.encode()).does == DENIED


@pytest.mark.parametrize("status", [None, 100, 301, 400, 401, 403, 500])
def test_over_http_another_status_is_a_failure_even_with_a_deny(status):
    assert of_http("PreToolUse", status, DENY.encode()).does == FAILED


@pytest.mark.parametrize(("body", "effect"), [("", NOTHING), (" \n", NOTHING), ("{}", NOTHING)])
def test_over_http_an_empty_body_is_no_opinion(body, effect):
    assert of_http("PreToolUse", 200, body.encode()).does == effect


@pytest.mark.parametrize("body", ["text", "null", "[]", DENY[:-1], DENY.replace("deny", "Deny")])
def test_over_http_whatever_is_no_object_is_a_failure(body):
    assert of_http("PreToolUse", 200, body.encode()).does == FAILED


@given(st.binary(max_size=200), st.sampled_from([None, 0, 1, 2, 200, 500]))
def test_no_bytes_raise(out, code):
    for event in ("PreToolUse", "PermissionRequest", "ConfigChange"):
        assert of_command(event, code, out, out).does
        assert of_http(event, code, out).does


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["deny", "block", "PreToolUse"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["hookSpecificOutput", "hookEventName", "decision", "permissionDecision", "behavior", "async"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_answer_raises(answer):
    for event in ("PreToolUse", "PermissionRequest", "ConfigChange"):
        assert of_command(event, 0, json.dumps(answer).encode(), b"").does
