"""Tests for events: what an event can do is a property of its name, what it says is kept whole."""

import pytest

from wasmguard.event import AFTER, GATING, OUTPUTS, REWRITABLE, STOPPING, TOOL_GATES, Event

FIELDS = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "/a"}, "new in 2030": [1]}


def event(**fields):
    return Event(name="PreToolUse", agent="claude", fields=fields)


def test_what_can_be_rewritten_can_be_stopped_and_has_a_tool():
    assert REWRITABLE <= TOOL_GATES <= GATING


def test_only_an_event_that_gates_can_mean_go_on():
    assert STOPPING <= GATING
    assert not STOPPING & TOOL_GATES


def test_what_can_only_be_told_cannot_be_stopped_and_only_there_an_output_is_replaced():
    assert not AFTER & GATING
    assert OUTPUTS <= AFTER


def test_fields_that_we_do_not_know_are_kept():
    assert event(**FIELDS).fields == FIELDS


def test_an_event_names_its_tool_and_input():
    assert (event(**FIELDS).tool, event(**FIELDS).input) == ("Write", {"file_path": "/a"})


@pytest.mark.parametrize("odd", [None, 1, True, ["Write"], {"a": 1}])
def test_a_tool_name_that_is_no_text_is_none(odd):
    assert event(tool_name=odd).tool is None
    assert event().tool is None


@pytest.mark.parametrize("odd", [None, 1, "text", ["a"], [["a", 1]]])
def test_a_tool_input_that_is_no_map_is_empty(odd):
    assert event(tool_input=odd).input == {}
    assert event().input == {}


def test_another_input_makes_another_event_and_leaves_the_first_alone():
    first = Event(name="PreToolUse", agent="claude", fields=FIELDS, time=7)
    second = first.with_input({"file_path": "/b"})
    assert second.fields == {**FIELDS, "tool_input": {"file_path": "/b"}}
    assert list(second.fields) == list(FIELDS)
    assert (second.name, second.agent, second.time) == (first.name, first.agent, 7)
    assert first.input == {"file_path": "/a"}


def test_another_output_makes_another_event_and_leaves_the_first_alone():
    first = Event(name="PostToolUse", agent="claude", fields={**FIELDS, "tool_response": {"stdout": "x"}}, time=7)
    second = first.with_output([1])
    assert (first.output, second.output, second.input) == ({"stdout": "x"}, [1], first.input)
    assert event().output is None
