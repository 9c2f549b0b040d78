"""The plan in words."""

import pytest

from wasmguard import lock
from wasmguard.errors import ConfigError
from wasmguard.workshop.check import WIDTH, explained


def words(path):
    return "\n".join(explained(str(path)))


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
