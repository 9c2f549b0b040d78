"""What the policies with a memory keep to, whatever happens in a session."""

import pytest

from tests.policies.asking import Guests, answered, most_remembered
from wasmguard.limits import NOTES, PROFILES


@pytest.fixture(scope="module")
def guests():
    return Guests()


def session(guest, policy, settings, events):
    """Asks about the events in their order; gives each answer with its fuel, and what was remembered before it."""
    state = None
    for event in events:
        answer, fuel = answered(guest, policy, {"settings": settings}, event, state)
        yield answer, fuel, state
        state = state if answer.state is None else answer.state


def hostile_operations():
    """Tools that somebody else named, with inputs that take as many bytes as they can."""
    for number in range(100):
        yield {
            "hook_event_name": "PostToolUse",
            "tool_name": f"mcp__{number}__" + "\U0001f600" * 200,
            "tool_input": {"\U0001f600" * 1000: "\x01\U0001f600" * 1000, "nested": [[[[[{}]]]]]},
            "tool_response": {"text": "\U0001f600" * 1000},
            "duration_ms": 1e300,
            "time": 2**53,
        }


def test_the_statistics_of_any_session_stay_small(guests):
    events = [*hostile_operations(), {"hook_event_name": "Stop", "time": 2**53}]
    answers = list(session(guests["workflow-log"], "workflow-log", {"audit": True, "operations": 16}, events))
    sizes = [len(answer.state or b"") for answer, _, _ in answers]
    assert 8_000 < max(sizes) <= most_remembered("workflow-log")
    assert max(fuel for _, fuel, _ in answers) < PROFILES["tight"].fuel
    assert sizes[-2] <= max(sizes[:40]), "it grows no more when it is full"


def test_the_summary_of_any_session_is_noted_whole(guests):
    events = [*hostile_operations(), {"hook_event_name": "Stop", "time": 2**53}]
    *_, (answer, _, _) = session(guests["workflow-log"], "workflow-log", {"operations": 16}, events)
    assert len(answer.notes) == NOTES
    assert "100 operations with 32 tools and more, 0 errors" in answer.notes[0]
    assert answer.notes[15].startswith("all other tools: 86 operations, 0 errors")
    assert answer.notes[-1].startswith("operation 100: mcp__99__")


def test_the_most_used_tools_are_noted(guests):
    called = ["Rare"] + [f"T{number}" for number in range(20)] + ["Often"] * 5
    events = [{"hook_event_name": "PostToolUse", "tool_name": name} for name in called] + [{"hook_event_name": "Stop"}]
    *_, (answer, _, _) = session(guests["workflow-log"], "workflow-log", {"operations": 0}, events)
    assert answer.notes[1] == "Often: 5 operations, 0 errors"
    assert answer.notes[-1] == "all other tools: 8 operations, 0 errors"


def test_a_path_is_alerted_once_and_a_command_full_of_paths_a_few_times(guests):
    def alerts(command):
        event = {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_input": {"command": command}}
        settings = {"alert_tools": ["Bash"], "alert_paths": ["/etc"]}
        [(answer, _, _)] = session(guests["workflow-log"], "workflow-log", settings, [event])
        return list(answer.notes)

    assert alerts("cat /etc/a /etc/a /etc/./a") == ["alert: Bash at /etc/a"]
    assert len(alerts(" ".join(f"/etc/{number}" for number in range(100)))) == 8


def test_a_session_that_stops_goes_on_where_it_was(guests):
    events = [{"hook_event_name": "UserPromptSubmit", "time": 5}, {"hook_event_name": "Stop", "time": 5}] * 2
    first, second = [answer.notes for answer, _, _ in session(guests["workflow-log"], "workflow-log", {}, events)][1::2]
    assert "1 prompt," in first[0]
    assert "2 prompts," in second[0]


def test_the_ledger_of_any_budget_stays_small(guests):
    settings = {"tools": [f"{number:02}{'x' * 125}*=999999999" for number in range(24)], "calls": 999_999_999}
    events = [
        {
            "hook_event_name": "PreToolUse",
            "session_id": "s",
            "tool_name": f"{number % 24:02}" + "x" * 125,
            "tool_use_id": f"toolu_{number:016}",
            "time": 2**53,
        }
        for number in range(100)
    ]
    answers = list(session(guests["budget"], "budget", settings | {"window": "day"}, events))
    sizes = [len(answer.state) for answer, _, _ in answers]
    assert 3_000 < max(sizes) <= most_remembered("budget")
    assert sizes[-1] == sizes[40], "it grows no more when it is full"
    assert max(fuel for _, fuel, _ in answers) < PROFILES["tight"].fuel


def test_every_one_of_many_calls_is_counted(guests):
    event = {"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "Bash"}
    events = [event | {"tool_use_id": f"toolu_{number:016}"} for number in range(305)]
    effects = [answer.effect.name for answer, _, _ in session(guests["budget"], "budget", {"calls": 300}, events)]
    assert effects == ["PASS"] * 300 + ["DENY"] * 5
