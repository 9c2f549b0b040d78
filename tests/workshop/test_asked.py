"""What doctor asks, and what it expects."""

import json

import pytest

from tests.workshop.guarded import GATE, REDIRECT, Owner
from wasmguard.agents import claude
from wasmguard.guard import Guard
from wasmguard.workshop import asked, taken


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    def choose(text):
        owner = Owner(tmp_path, monkeypatch)
        owner.locks(text)
        with Guard.load(str(owner.config)) as guard:
            return asked.chosen(guard, str(owner.project), {})

    return choose


def test_one_of_each_is_chosen_and_expected_as_the_client_will_read_it(chosen):
    found, faults = chosen(GATE + REDIRECT)
    assert [one.about for one in found] == ["a deny", "a rewrite", "a pass"]
    assert [one.expected.does for one in found] == [taken.DENIED, taken.NOTHING, taken.NOTHING]
    assert found[0].subject == "Bash rm -rf /srv/data"
    assert found[1].expected.input["file_path"].endswith("/sandbox/etc/wasmguard-doctor.conf")
    assert faults == []


def test_what_no_event_comes_to_is_left_out(chosen):
    found, _ = chosen(GATE)
    assert [one.about for one in found] == ["a deny", "a pass"]


def test_a_policy_that_fails_is_told(chosen):
    _, faults = chosen(REDIRECT.replace('tools = ["Write"]', "").replace('grants.rewrite."Write', "#"))
    assert any("not granted" in fault for fault in faults)


def test_every_event_is_one_that_the_agent_could_send():
    for fields in asked.calls("/a project"):
        event = claude.parse(asked.raw(fields))
        assert (event.name, event.fields["cwd"]) == ("PreToolUse", "/a project")
        assert "$PROJECT" not in json.dumps(fields)
    assert asked.raw({"a": "\n"}).count(b"\n") == 1


def test_its_own_files_and_the_kill_switch_are_always_denied():
    for one in (asked.write_to("/p", "/c.toml"), asked.kill_switch("/p", "/s.json")):
        assert (one.expected.does, one.exact) == (taken.DENIED, False)
        assert claude.parse(asked.raw(one.fields)).name == one.event


def test_half_an_event_is_half_an_event():
    with pytest.raises(json.JSONDecodeError):
        json.loads(asked.HALF)
    assert asked.HALF.startswith(b"{")
