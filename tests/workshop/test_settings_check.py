"""What in the agent's settings keeps our hooks from being asked or obeyed."""

import json
import os
from pathlib import Path

import pytest

from tests.workshop.guarded import GATE, Owner, hooked, told
from wasmguard import installed
from wasmguard.agents import claude_settings
from wasmguard.event import AFTER
from wasmguard.workshop import hooks, settings_check
from wasmguard.workshop.settings_check import checked


@pytest.fixture
def owner(tmp_path, monkeypatch):
    return Owner(tmp_path, monkeypatch)


def found(owner):
    files = hooks.all_settings(str(owner.project))
    return list(checked(files, hooks.hooks(str(owner.project), files)))


def wrongs(owner):
    return [finding.sentence for finding in found(owner) if finding.mark == "wrong"]


def test_what_install_writes_is_fine(owner):
    owner.installs()
    findings = found(owner)
    assert told(findings, mark="wrong") == []
    assert told(findings, mark="note") == []
    assert "PreToolUse" in told(findings, "hooks", "ok")[0]


def test_where_nothing_is_installed_the_only_word_is_what_to_do(owner):
    (finding,) = found(owner)
    assert (finding.mark, finding.todo) == ("note", "run `wasmguard install claude-code`")


@pytest.mark.parametrize("scope", ["user", "project", "local"])
def test_the_kill_switch_is_wrong_in_every_scope(owner, scope):
    owner.installs()
    path = owner.settings(scope)
    settings = json.loads(Path(path).read_text()) if os.path.exists(path) else {}
    owner.sets(scope, {**settings, "disableAllHooks": True})
    assert any("disableAllHooks" in sentence and path in sentence for sentence in wrongs(owner))


def test_the_kill_switch_without_hooks_of_ours_is_a_note(owner):
    owner.sets("project", {"disableAllHooks": True})
    assert wrongs(owner) == []
    assert any("disableAllHooks" in sentence for sentence in told(found(owner), mark="note"))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"onFailure": None}, "onFailure"),
        ({"onFailure": "continue"}, "onFailure"),
        ({"async": True}, "async"),
        ({"if": "Write"}, "`if`"),
        ({"timeout": 5}, "is 5 seconds"),
        ({"timeout": 29}, "is 29 seconds"),
    ],
)
def test_an_entry_that_is_asked_or_obeyed_less_is_wrong(owner, changed, why):
    owner.installs(**changed)
    findings = [finding for finding in found(owner) if finding.mark == "wrong"]
    assert any(why in finding.sentence for finding in findings)
    assert all("wasmguard install claude-code --scope user" in finding.todo for finding in findings)


def test_a_timeout_that_looks_like_milliseconds_is_noted(owner):
    owner.installs(timeout=30_000)
    assert any("milliseconds" in sentence for sentence in told(found(owner), mark="note"))
    assert wrongs(owner) == []


def test_a_matcher_that_leaves_tools_out_is_wrong(owner):
    settings = hooked(claude_settings.ALWAYS, claude_settings.command_handler(owner.serve))
    settings["hooks"]["PreToolUse"][0]["matcher"] = "Write"
    owner.sets("user", settings)
    assert any("`Write` matches" in sentence for sentence in wrongs(owner))


def test_another_hook_on_the_same_calls_is_noted_and_named(owner):
    owner.installs()
    other = {"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", "command": "/opt/other"}]}]}}
    owner.sets("project", other)
    assert wrongs(owner) == []
    assert any("/opt/other" in sentence for sentence in told(found(owner), mark="note"))


def test_an_entry_that_the_client_drops_is_wrong_if_it_is_ours(owner):
    settings = hooked(claude_settings.ALWAYS, claude_settings.command_handler(owner.serve))
    settings["hooks"]["SessionStart"][0]["hooks"][0]["timeout"] = "30"
    owner.sets("user", settings)
    assert any("hooks.SessionStart[0]" in sentence for sentence in wrongs(owner))
    settings["hooks"]["SessionStart"] = [{"hooks": [{"type": "bogus"}]}]
    owner.sets("user", settings)
    assert any("hooks.SessionStart[0]" in sentence for sentence in told(found(owner), mark="note"))


def test_a_file_that_the_client_ignores_is_wrong_if_ours_is_in_it(owner):
    path = owner.installs()
    with open(path, encoding="utf-8") as file:
        text = file.read()
    owner.sets("user", text[:-1] + ', "model": 5}')
    assert any("ignores the whole file" in sentence for sentence in wrongs(owner))
    owner.sets("user", {"model": 5})
    assert wrongs(owner) == []


def remember(owner, path):
    handler = claude_settings.command_handler(owner.serve)
    about = {"agent": "claude-code", "scope": "user", "path": path, "transport": "command", "time": 0}
    command = (handler["command"], *handler["args"])
    events = claude_settings.ALWAYS
    where = {"config": str(owner.config), "socket": "/s.sock"}
    installed.keep([installed.Entry(**about, **where, events=events, command=command)])


def test_what_was_installed_and_is_gone_is_wrong(owner):
    path = owner.installs()
    remember(owner, path)
    assert wrongs(owner) == []
    owner.installs(events=[event for event in claude_settings.ALWAYS if event != "PreToolUse"])
    assert any("installed for PreToolUse is gone" in sentence for sentence in wrongs(owner))
    owner.sets("user", {})
    assert any("is gone" in sentence for sentence in wrongs(owner))
    os.unlink(path)
    assert any("is gone" in sentence for sentence in wrongs(owner))
    owner.sets("user", "{ // mine\n}")
    assert any("ignores the whole file" in sentence for sentence in wrongs(owner))


def test_what_was_installed_in_a_project_that_is_gone_is_a_note(owner):
    remember(owner, str(owner.root / "gone" / ".claude" / "settings.json"))
    assert wrongs(owner) == []
    assert any("is gone" in sentence for sentence in told(found(owner), mark="note"))


@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_PRELOAD", "HOME", "xdg_state_home", "WASMGUARD_CONFIG"])
def test_a_project_that_steers_hooks_is_wrong_and_its_owner_may(owner, name):
    owner.sets("project", {"env": {name: "/x", "PLAIN": "1"}})
    assert any(name in sentence for sentence in wrongs(owner))
    owner.sets("project", {})
    owner.sets("user", {"env": {name: "/x"}})
    assert wrongs(owner) == []
    assert any(name in sentence for sentence in told(found(owner), mark="note"))


def test_a_missing_command_is_wrong(owner):
    owner.installs(["/nowhere/wasmguard-client", "/s.sock", "/nowhere/python3", "/nowhere/wasmguard/serve/client.py"])
    missing = [sentence for sentence in wrongs(owner) if "is not there" in sentence]
    assert len(missing) == 3


def test_a_command_that_may_not_be_executed_is_wrong(owner):
    words = owner.script("true")
    os.chmod(words[0], 0o644)
    owner.installs(words)
    assert any("cannot be executed" in sentence for sentence in wrongs(owner))


def test_settings_that_everybody_may_write_are_wrong(owner):
    os.chmod(owner.installs(), 0o666)
    assert any("open to everybody" in sentence for sentence in wrongs(owner))


def test_an_event_that_a_policy_judges_and_no_hook_sends_is_wrong(owner):
    owner.locks(GATE.replace('["PreToolUse"]', '["PreToolUse", "PreCompact"]'))
    owner.installs()
    assert any("no hook is asked about PreCompact" in sentence for sentence in wrongs(owner))
    owner.installs(events=[*claude_settings.ALWAYS, "PreCompact"])
    assert wrongs(owner) == []


def test_no_hook_for_tool_calls_is_wrong_and_none_for_settings_is_a_note(owner):
    owner.installs(events=["SessionStart"])
    assert any("PreToolUse" in sentence for sentence in wrongs(owner))
    assert any("ConfigChange" in sentence for sentence in told(found(owner), mark="note"))


def test_hooks_of_an_older_version_do_not_show_what_ran_and_that_is_a_note(owner):
    owner.installs(events=[event for event in claude_settings.ALWAYS if event not in AFTER])
    noted = [finding for finding in found(owner) if finding.mark == "note"]
    assert [finding.data["event"] for finding in noted] == ["PostToolUse", "PostToolUseFailure"]
    for finding in noted:
        assert "the call that ran is the one that was granted" in finding.sentence
        assert finding.todo == "run `wasmguard install claude-code` again"


def test_a_port_that_a_stranger_holds_is_wrong(owner, monkeypatch):
    handler = claude_settings.url_handler(f"http://127.0.0.1:7{claude_settings.PATH}", None)
    owner.sets("user", hooked(["PreToolUse"], handler))
    monkeypatch.setattr(settings_check, "owners_of", lambda _: {os.geteuid(), 4711})
    assert any("user 4711" in sentence for sentence in wrongs(owner))
    monkeypatch.setattr(settings_check, "owners_of", lambda _: {os.geteuid()})
    assert not any("listens" in sentence for sentence in wrongs(owner))


@pytest.mark.parametrize(
    ("said", "mark"),
    [("2.1.295 (Claude Code)", "ok"), ("2.1.294 (Claude Code)", "wrong"), ("hello", "note"), ("", "note")],
)
def test_a_client_that_cannot_fail_closed_is_wrong(owner, said, mark):
    path = owner.root / "claude"
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    (finding,) = settings_check.client(str(path))
    assert finding.mark == mark


def test_a_client_that_hangs_or_is_gone_is_a_note(owner, monkeypatch):
    monkeypatch.setattr(settings_check, "VERSION_WITHIN", 0.2)
    path = owner.root / "claude"
    path.write_text("#!/bin/sh\nsleep 60\n")
    path.chmod(0o755)
    for program in (str(path), "/nowhere"):
        (finding,) = settings_check.client(program)
        assert finding.mark == "note"


BROKEN = ["", "{", "[]", '{"hooks": 5}', '{"env": 5}', '{"hooks": {"PreToolUse": [5]}}', "[" * 100_000, "\x00"]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_no_broken_settings_raise_and_each_is_told(owner, text):
    owner.installs()
    owner.sets("local", text)
    assert any("settings.local.json" in finding.sentence for finding in found(owner))
