import pytest

from tests.workshop.replay.happened import payload
from wasmguard.workshop.replay.past import DIGEST, EXCEPTED, NO_EVENT, ODD, OURS, REDACTED, UNASKED
from wasmguard.workshop.replay.stored import past_of


def body(**more):
    verdict = {"policy": "guard", "effect": "deny", "reason": "no", "fuel": 9, "us": 3.5}
    about = {"v": 1, "id": "ab" * 10, "time": 5, "kind": "decision", "way": "hook", "agent": "claude"}
    about |= {"event": "PreToolUse", "tool": "Write", "inputs": "full", "fields": payload("/etc/x"), "effect": "deny"}
    return about | {"verdicts": [verdict], **more}


def test_a_record_is_its_event_and_its_decision():
    past = past_of(body(), 7)
    assert (past.where, past.place, past.why, past.altered) == ("ab" * 10, 7, "", "")
    assert past.event.fields == payload("/etc/x")
    assert past.event.time == 5
    assert past.before.effect.name == "DENY"
    (verdict,) = past.before.verdicts
    assert (verdict.policy, verdict.fuel, verdict.microseconds) == ("guard", 9, 3.5)


def test_a_digest_cannot_be_decided():
    past = past_of({key: value for key, value in body(inputs="digest").items() if key != "fields"})
    assert past.event is None
    assert past.why == DIGEST


def test_what_was_redacted_is_decided_and_marked():
    past = past_of(body(inputs="redacted"))
    assert past.event is not None
    assert past.altered == REDACTED


def test_what_nobody_could_be_asked_about_cannot_be_compared():
    assert past_of({"id": "ab" * 10, "kind": "refused", "time": 5}).why == UNASKED


def test_acts_of_the_owner_are_no_events():
    assert past_of({"id": "ab" * 10, "kind": "off", "time": 5}) is None


def test_what_the_guard_itself_decided_is_not_compared():
    past = past_of(body(verdicts=[{"policy": "wasmguard", "effect": "deny", "fault": "no"}]))
    assert past.event is not None
    assert past.why == OURS


def test_what_its_owner_had_allowed_is_not_compared():
    assert past_of(body(exception="cd" * 10)).why == EXCEPTED


@pytest.mark.parametrize("damage", [{"verdicts": 5}, {"verdicts": [{"policy": "a", "effect": "maybe"}]}])
def test_a_decision_that_nobody_understands_is_not_taken_for_a_pass(damage):
    past = past_of(body(**damage))
    assert past.event is None
    assert past.why == ODD


def test_fields_that_are_no_event_are_none():
    assert past_of(body(fields={"a": 1}), strict=True).why == NO_EVENT
    assert past_of(body(fields={"a": 1})).why == ODD
