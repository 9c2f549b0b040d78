"""What can be done about a decision is a command that is ready to be copied."""

import pytest

from wasmguard import Guard, alarm
from wasmguard.errors import HostError
from wasmguard.records import drain
from wasmguard.workshop import explain

CALL = {
    "hook_event_name": "PreToolUse",
    "session_id": "s1",
    "cwd": "/",
    "tool_name": "Bash",
    "tool_use_id": "toolu_1",
    "tool_input": {"command": "ls"},
}
RESULT = {**CALL, "hook_event_name": "PostToolUse", "tool_input": {"command": "ls; id"}, "tool_response": 1}
COMMAND = "wasmguard verify --acknowledge toolu_1"


@pytest.fixture
def alarmed(configured):
    """A call ran with another input than was granted; then its session asks again, and another one does."""
    with Guard.load(configured("pass"), isolation="thread") as guard:
        for event in (CALL, RESULT, {**CALL, "tool_use_id": "toolu_2"}, {**CALL, "session_id": "s2"}):
            guard.decide(event)
    drain.drained()


def text_of(which):
    return " ".join(" ".join(text for _, text in explain.told(explain.story(which))).split())


@pytest.mark.parametrize("which", ["1", "2", "3"])
def test_an_alarm_ends_by_the_command_that_is_told(alarmed, which):
    assert f"What you can do {COMMAND} an alarm stands" in text_of(which)
    assert explain.as_data(explain.story(which))["acknowledge"] == COMMAND


def test_other_sessions_have_nothing_to_acknowledge(alarmed):
    assert "--acknowledge" not in text_of("4")


def test_an_alarm_that_was_acknowledged_is_not_told_any_more(alarmed):
    for one in alarm.standing():
        alarm.end(one)
    assert explain.as_data(explain.story("2"))["acknowledge"] is None


def test_where_nobody_can_tell_which_alarms_stand_nothing_is_told(alarmed, monkeypatch):
    def standing():
        raise HostError("no")

    monkeypatch.setattr(alarm, "standing", standing)
    assert "NOT AS GRANTED" in text_of("2")
    assert explain.as_data(explain.story("2"))["acknowledge"] is None
