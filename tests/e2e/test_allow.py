"""`wasmguard allow --once` and the real Claude Code: the very same call passes, once, and nothing else does."""

import pytest

from tests.e2e.conftest import END
from tests.e2e.test_enforcement import FREE, alarms, executed, home_of
from tests.recorded import recorded
from wasmguard.workshop import allow
from wasmguard.workshop import owner as person

pytestmark = pytest.mark.e2e

GATE = '[[policy]]\nname = "gate"\nmodule = "builtin:tool-gate"\nsettings = { deny_commands = ["touch"] }\n'
EVENTS = ("PreToolUse", "PostToolUse", "PostToolUseFailure")


def touches(name):
    return [{"tool": "Bash", "input": {"command": f"touch $DATA/{name}", "description": "d"}}]


def test_the_same_call_passes_once_and_no_other(owner, monkeypatch):
    owner.locks(GATE)
    first = owner.runs([touches("x"), END], *FREE, events=EVENTS)
    assert first.files() == {}
    with home_of(owner):
        monkeypatch.setattr(person.os, "isatty", lambda _descriptor: True)
        (denied,) = recorded("decision")
        allow.allow(denied["id"], ask=lambda _question: "allow", environ={}, proc="/nowhere")
    second = owner.runs([touches("y"), touches("x"), touches("x"), END], *FREE, events=EVENTS)
    assert [call.is_error for call in second.calls] == [True, False, True]
    assert list(second.files()) == ["data/x"]
    assert executed(owner) == [("Bash", "as granted")]
    assert alarms(owner) == []
    with home_of(owner):
        assert allow.listed() == ["no exception stands"]
        (used,) = [body for body in recorded("decision") if body.get("exception")]
        assert used["exception"] == denied["id"]


def test_the_agent_cannot_make_one(owner):
    owner.locks(GATE)
    script = [[{"tool": "Bash", "input": {"command": "wasmguard allow last --once", "description": "d"}}], END]
    (call,) = owner.runs(script, *FREE).calls
    assert call.is_error
    assert "the agent may not run `wasmguard allow`" in call.result
