"""Whether the call that ran is the call that was granted, and what follows if it is not."""

import pytest

from wasmguard import alarm, granted
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.enforcement import Enforcement
from wasmguard.errors import HostError
from wasmguard.event import STOPPING, Event

pytestmark = pytest.mark.usefixtures("own_home")

LS, RM = {"command": "ls"}, {"command": "rm -r /"}
PASS, DENY = settle([]), settle([Verdict(policy="gate", effect=Effect.DENY, reason="no")])
MOVED = settle([Verdict(policy="gate", rewrite=RM)])


@pytest.fixture
def enforcement():
    made = Enforcement("/home/me/wasmguard.toml")
    yield made
    made.close()


def event(name, tool_input=LS, agent="claude", **changed):
    said = {"session_id": "s", "tool_use_id": "toolu_1", "tool_name": "Bash", "tool_input": tool_input, **changed}
    return Event(name=name, agent=agent, fields={"hook_event_name": name, **said})


def before(**changed):
    return event("PreToolUse", **changed)


def after(tool_input=LS, **changed):
    return event("PostToolUse", tool_input, **changed)


def test_a_call_that_ran_as_it_was_granted_is_no_alarm(enforcement):
    assert enforcement.noted(before(), PASS) is None
    assert enforcement.noted(after(), PASS) == {"executed": "as granted"}
    assert not enforcement.refusal(before())


def test_another_input_is_an_alarm_and_its_session_may_go_no_further(enforcement):
    enforcement.noted(before(), PASS)
    assert enforcement.noted(after(RM), PASS) == {"executed": "another"}
    assert "another input than the one that was granted" in enforcement.refusal(before())
    assert not enforcement.refusal(before(session_id="of another task"))


def test_a_call_that_was_denied_and_ran_is_an_alarm(enforcement):
    enforcement.noted(before(), DENY)
    assert enforcement.noted(after(), PASS) == {"executed": "denied"}
    assert "a call that was denied" in enforcement.refusal(before())


def test_what_a_policy_rewrote_is_what_was_granted(enforcement):
    enforcement.noted(before(), MOVED)
    assert enforcement.noted(after(RM), PASS) == {"executed": "as granted"}


def test_a_call_that_failed_is_looked_at_too(enforcement):
    enforcement.noted(before(), PASS)
    assert enforcement.noted(event("PostToolUseFailure", RM), PASS) == {"executed": "another"}


def test_a_grant_that_is_taken_back_was_a_denial(enforcement):
    enforcement.noted(before(), PASS)
    enforcement.refused(before())
    assert enforcement.noted(after(), PASS) == {"executed": "denied"}


def test_a_call_that_nobody_was_asked_about_is_unknown_and_no_alarm(enforcement):
    assert enforcement.noted(after(), PASS) == {"executed": "unknown"}
    assert not enforcement.refusal(before())


@pytest.mark.parametrize("missing", ["session_id", "tool_use_id", "tool_input"])
def test_a_call_that_cannot_be_known_again_is_left_alone(enforcement, missing):
    assert enforcement.noted(before(**{missing: None}), PASS) is None
    assert enforcement.noted(event("PostToolUse", **{missing: None}), PASS) is None


def test_each_guard_of_an_agent_has_to_be_obeyed(enforcement):
    other = Enforcement("/home/me/project/wasmguard.toml")
    enforcement.noted(before(), PASS)
    other.noted(before(), DENY)
    assert other.noted(after(), PASS) == {"executed": "denied"}
    assert enforcement.noted(after(), PASS) == {"executed": "as granted"}
    other.close()


@pytest.mark.parametrize("name", sorted(STOPPING))
def test_an_agent_whose_call_was_another_can_still_end(enforcement, name):
    alarm.raise_("claude", "s", "toolu_1", "it ran")
    assert enforcement.refusal(before())
    assert not enforcement.refusal(event(name))


def test_an_owner_who_looked_lets_it_go_on(enforcement):
    alarm.end(alarm.raise_("claude", "s", "toolu_1", "it ran"))
    assert not enforcement.refusal(before())


def test_an_alarm_that_cannot_be_written_down_holds_in_this_process_and_is_told(enforcement, monkeypatch):
    def full(*_):
        raise HostError("no space left on device")

    monkeypatch.setattr(alarm, "raise_", full)
    enforcement.noted(before(), PASS)
    assert enforcement.noted(after(RM), PASS) == {"executed": "another", "unchecked": "no space left on device"}
    assert "that cannot be written down" in enforcement.refusal(before())


def test_a_table_that_cannot_be_used_is_told_and_stops_nothing(enforcement, monkeypatch):
    def broken(*_):
        raise HostError("the table is broken")

    monkeypatch.setattr(granted.Table, "_write", broken)
    assert enforcement.noted(before(), PASS) == {"unchecked": "the table is broken"}
    enforcement.refused(before())
    assert not enforcement.refusal(before())
