import pytest

from tests.workshop.replay.happened import event, said
from wasmguard.event import Event
from wasmguard.workshop.replay.example import INPUT, example, short
from wasmguard.workshop.replay.past import Past


def test_an_example_shows_what_was_asked_for_and_both_answers():
    happened = event("/etc/x")
    moved = said(rewrite={"file_path": "/s/x", "content": "c"})
    told = example(Past("f:1", happened), happened, moved, said("deny", reason="no"))
    assert told == {
        "where": "f:1",
        "event": "PreToolUse",
        "tool": "Write",
        "input": 'content: "c", file_path: "/etc/x"',
        "altered": "",
        "before": {"effect": "pass", "reason": "", "rewrite": [["file_path", '"/etc/x"', '"/s/x"']]},
        "after": {"effect": "deny", "reason": 'policy "guard" says (untrusted text): "no"'},
    }


def test_an_event_without_a_tool_is_told_by_what_it_is_about():
    fields = {"hook_event_name": "UserPromptSubmit", "prompt": "hi", "session_id": "s"}
    assert short(Event(name="UserPromptSubmit", agent="claude", fields=fields)) == 'prompt: "hi"'


@pytest.mark.parametrize("path", ["x" * 10**6, "\x1b[2J", "\ud800", "a\nb", {"deep": [1] * 10**5}])
def test_strange_inputs_are_one_short_line_that_steers_nothing(path):
    told = short(event(path))
    assert len(told) <= INPUT
    assert told.isprintable()
