"""The plan in words."""

import os
from pathlib import Path

import pytest

from wasmguard import lock, plan
from wasmguard.errors import ConfigError
from wasmguard.state.sqlite_file import path_of
from wasmguard.workshop.check import explained
from wasmguard.workshop.columns import WIDTH

STATE = {"grants.state": '"4 KiB"'}


def words(path):
    return "\n".join(explained(str(path)))


def said(path):
    """The same, without the ends of lines."""
    return " ".join(words(path).split())


def with_store(path, store):
    path.write_text(f'[state]\nstore = "{store}"\nprefix = "team-a"\nentries = 5\n{path.read_text()}')
    return path


def test_a_policy_is_told_in_sentences(configured):
    told = words(configured("pass", **{"pass": {"tools": '["Write"]', "on_fault": '"ask"'}}))
    for sentence in (
        "is asked about PreToolUse of Write",
        "sees the whole event",
        "may not allow: its `allow` counts as pass",
        "may rewrite nothing: a rewrite is a fault",
        "may use 20_000_000 fuel, 100 ms, 16 MiB of memory",
        "if it fails, the user is asked",
    ):
        assert sentence in told


def test_every_kind_of_grant_has_its_words(configured):
    grants = {
        "grants.effects": '["allow"]',
        'grants.rewrite."Write.file_path"': '{ within = "/box" }',
        'grants.rewrite."Write.content"': '{ max = "2 KiB" }',
        'grants.rewrite."Bash.command"': '{ one_of = ["ls", "pwd"], silent = true }',
        "grants.permissions": '["session"]',
    }
    told = words(configured("pass", **{"pass": grants}))
    for sentence in (
        "may allow without asking the user",
        "may rewrite Write.file_path: a path within /box",
        "may rewrite Write.content: any value of at most 2 KiB",
        "may rewrite Bash.command: one of 'ls', 'pwd', without showing it to anybody",
        "may change permissions in session",
    ):
        assert sentence in told


def test_settings_are_told_as_they_are_written_without_the_empty_ones(tmp_path):
    path = tmp_path / "wasmguard.toml"
    settings = '{ deny_commands = ["rm -rf", "dé"], read_only = true }'
    path.write_text(f'[[policy]]\nname = "gate"\nmodule = "builtin:tool-gate"\nsettings = {settings}\n')
    assert 'runs with read_only = true, deny_commands = ["rm -rf", "dé"]\n' in words(path)


def test_it_says_whether_a_hook_decides_under_it_already(configured):
    path = configured("pass")
    assert "not in force" in words(path)
    lock.lock(str(path), repin=False)
    assert "locked: this is what a hook decides under now" in words(path)


def test_a_shadow_is_called_one(configured):
    assert "shadow: asked and recorded, never obeyed" in words(configured("deny", deny={"shadow": "true"}))


def test_lines_fit_eighty_columns(configured):
    path = configured("pass")
    assert all(len(line) <= WIDTH or str(path) in line for line in words(path).splitlines())


def test_a_wrong_configuration_is_an_error(configured):
    path = configured("pass", **{"pass": {"tols": "1"}})
    with pytest.raises(ConfigError, match="did you mean `tools`"):
        words(path)


def test_where_things_are_remembered_is_told(configured):
    path = configured("pass", **{"pass": STATE})
    told = said(path)
    assert f"What policies remember is in the file {path_of(str(path))}: at most 10_000 keys" in told
    assert "What policies remember" not in said(configured("pass"))


@pytest.mark.parametrize(
    ("store", "readable"),
    [
        ("redis://10.0.0.1:6379/0", True),
        ("redis://cache.example", True),
        ("rediss://cache.example", False),
        ("redis://127.0.0.1", False),
        ("redis://[::1]:1/0", False),
        ("redis://localhost/0", False),
    ],
)
def test_a_server_is_told_and_whether_others_can_read_what_goes_there(configured, store, readable):
    told = said(with_store(configured("pass", **{"pass": STATE}), store))
    assert f"What policies remember is on `{store}`, under the prefix `team-a`: at most 5 keys" in told
    assert ("cross the network readable: use `rediss://`" in told) is readable


def test_a_store_that_is_gone_is_not_locked(configured):
    path = configured("pass", **{"pass": STATE})
    lock.lock(str(path), repin=True)
    assert "locked: this is what a hook decides under now" in said(path)
    os.unlink(path_of(str(path)))
    told = said(path)
    assert "not usable: " in told
    assert "is gone: restore it, or run `wasmguard lock`, which begins with nothing remembered" in told
    assert "locked: this is" not in told
    lock.lock(str(path), repin=True)
    assert "locked: this is what a hook decides under now" in said(path)


def test_a_store_that_is_damaged_is_not_locked(configured):
    path = configured("pass", **{"pass": STATE})
    lock.lock(str(path), repin=True)
    Path(path_of(str(path))).write_bytes(b"x" * 8192)
    told = said(path)
    assert "not usable: " in told
    assert "locked: this is" not in told


def test_a_server_that_does_not_answer_is_not_locked(configured):
    path = configured("pass", **{"pass": STATE})
    lock.lock(str(path), repin=True)
    made = plan.read(str(path))
    plan.write(made.replaced(state={**made.state, "store": "redis://127.0.0.1:1/0"}))
    assert "not usable: `redis://127.0.0.1:1/0`" in said(path) or "Redis cannot be used" in said(path)


def test_another_version_of_a_policy_is_called_one(configured):
    told = said(configured("pass", "deny", deny={"shadow_of": '"pass"'}))
    assert "2. deny (shadow of pass: asked about the same events and recorded, never obeyed)" in told


def test_a_shadow_denies_nothing(configured):
    told = said(configured("deny", deny={"shadow": "true"}))
    assert "what it answers is recorded, and changes nothing" in told
    assert "if it fails, that is recorded, and nothing else" in told
    assert "may ask and deny" not in told
    assert "the call is denied" not in told


def test_what_a_failure_does_to_outputs_is_told(configured):
    events = {"events": '["PreToolUse", "PostToolUse"]'}
    granted = {**events, "grants.rewrite_output": '{ Bash = { max = "1 KiB" }, "mcp__*" = { max = "1 KiB" } }'}
    told = said(configured("pass", **{"pass": granted}))
    assert "if it fails, the call is denied" in told
    assert "a failing answer withholds the output of Bash, mcp__*; any other tool's, if it wanted to rewrite it" in told
    assert "else that output is shown as it is, and the failure is recorded" in told
    assert "may rewrite no input: a rewrite is a fault" in told
    told = said(configured("pass", **{"pass": events}))
    assert "if it fails, a tool's output is shown as it is, and the failure is recorded" in told
    everything = {"events": '["PostToolUse"]', "grants.rewrite_output": '{ "*" = { max = "1 KiB" } }'}
    told = said(configured("pass", **{"pass": everything}))
    assert "a failing answer withholds the output of every tool" in told
    assert "any other tool" not in told
    assert "the call is denied" not in told


def test_only_events_about_tools_are_told_with_tools(configured):
    mixed = {"events": '["PreToolUse", "Stop"]', "matcher": '"Bash|Edit"'}
    assert "is asked about PreToolUse of the tools that match `Bash|Edit`; Stop sees" in said(
        configured("pass", **{"pass": mixed})
    )
    by_event = {"matchers": '{ PreToolUse = "Bash", Stop = "*" }'}
    assert "is asked about PreToolUse (tools: `Bash`), Stop sees" in said(configured("pass", **{"pass": by_event}))


def test_whole_seconds_are_told_as_seconds(configured):
    assert "20_000_000 fuel, 1 s, 16 MiB" in said(configured("pass", **{"pass": {"timeout": '"1000 ms"'}}))
