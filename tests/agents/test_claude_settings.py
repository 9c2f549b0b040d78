"""Where Claude Code's settings are, and what an entry of ours looks like."""

import json

import pytest

from wasmguard.agents import claude, claude_settings
from wasmguard.agents.claude_settings import (
    ALWAYS,
    MINIMUM,
    SCOPES,
    UNMATCHED,
    command_handler,
    events_for,
    groups,
    is_ours,
    settings_file,
    standing,
    url_handler,
    version_of,
)
from wasmguard.link import CONTEXT
from wasmguard.serve import hook

COMMAND = ("/v/bin/python", "-I", "-S", "/v/lib/wasmguard/serve/client.py", "/run/a.sock", "--config", "/c")
URL = "http://127.0.0.1:20001/v1/hook/claude-code"


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("user", "/home/u/.claude/settings.json"),
        ("project", "/p/.claude/settings.json"),
        ("local", "/p/.claude/settings.local.json"),
        ("managed", "/etc/claude-code/managed-settings.json"),
    ],
)
def test_each_scope_has_its_file(scope, path):
    assert settings_file(scope, home="/home/u", project="/p", platform="linux") == path


def test_the_users_folder_may_be_elsewhere_and_administrators_have_one_on_each_system():
    assert settings_file("user", home="/h", project="/p", config_dir="/x") == "/x/settings.json"
    assert settings_file("project", home="/h", project="/p", config_dir="/x") == "/p/.claude/settings.json"
    managed = {settings_file("managed", home="", project="", platform=name) for name in ("linux", "darwin", "win32")}
    assert len(managed) == 3
    with pytest.raises(KeyError):
        settings_file("other", home="", project="")
    assert all(settings_file(scope, home="/h", project="/p") for scope in SCOPES)


def test_what_gates_is_always_asked_about_and_the_rest_if_a_policy_judges_it():
    assert events_for([], claude.KNOWN) == ALWAYS
    assert events_for(["Stop", "PreToolUse", "PreCompact"], claude.KNOWN) == (*ALWAYS, "PreCompact", "Stop")
    gates = {"PreToolUse", "PermissionRequest", "UserPromptSubmit", "ConfigChange", "SessionStart"}
    assert gates | {"PostToolUse", "PostToolUseFailure"} == set(ALWAYS)


def test_a_worktree_is_never_made_by_us_and_unknown_events_are_not_hooked():
    assert events_for(["WorktreeCreate", "Bogus"], claude.KNOWN) == ALWAYS


def test_every_handler_fails_closed_within_its_time():
    for handler in (command_handler(COMMAND), url_handler(URL, "t"), url_handler(URL, None)):
        assert handler["onFailure"] == "block"
        assert hook.DEADLINE < handler["timeout"] <= 60
        assert "if" not in handler


def test_a_command_goes_by_no_shell():
    handler = command_handler(COMMAND)
    assert (handler["command"], *handler["args"]) == COMMAND
    assert "shell" not in handler


def test_a_url_shows_the_token_or_where_it_is_and_only_what_is_listed_is_filled_in():
    shown = url_handler(URL, "secret")
    assert shown["headers"]["Authorization"] == "Bearer secret"
    assert "WASMGUARD_TOKEN" not in shown["allowedEnvVars"]
    hidden = url_handler(URL, None)
    assert hidden["headers"]["Authorization"] == "Bearer $WASMGUARD_TOKEN"
    assert hidden["allowedEnvVars"][0] == "WASMGUARD_TOKEN"
    filled = {value.removeprefix("$") for name, value in hidden["headers"].items() if name != "Authorization"}
    assert filled == {*hidden["allowedEnvVars"][1:]} <= set(CONTEXT)


def test_a_matcher_stands_where_the_event_takes_one():
    made = groups(claude.KNOWN, command_handler(COMMAND))
    assert {event for event, group in made.items() if "matcher" not in group} == UNMATCHED
    assert {group.get("matcher", "*") for group in made.values()} == {"*"}
    assert claude.KNOWN.keys() >= UNMATCHED


def test_over_http_what_must_not_need_a_daemon_stays_a_command():
    made = groups(("SessionStart", "UserPromptSubmit", "PreToolUse", "ConfigChange", "Stop"), command_handler(COMMAND))
    over = groups(made, command_handler(COMMAND), url_handler(URL, "t"))
    kinds = {event: group["hooks"][0]["type"] for event, group in over.items()}
    assert {event for event, kind in kinds.items() if kind == "http"} == {"PreToolUse", "Stop"}


def test_what_is_written_is_json():
    made = groups(ALWAYS, command_handler(COMMAND), url_handler(URL, "t"))
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("2.1.330 (Claude Code)\n", (2, 1, 330)),
        ("2.1.295", MINIMUM),
        ("claude 3.0.0-beta.1", (3, 0, 0)),
        ("2.1", None),
        ("", None),
        ("error: 1.x.3", None),
        ("2.1.99999999999999", None),
        ("٢.١.٣", None),
    ],
)
def test_the_clients_version_is_read_from_what_it_says(said, version):
    assert version_of(said) == version


@pytest.mark.parametrize(
    "handler",
    [
        command_handler(COMMAND),
        command_handler(("/v/wasmguard/serve/wasmguard-client", "/run/a.sock", *COMMAND)),
        {"type": "command", "command": "wasmguard serve"},
        {"type": "command", "command": "'/my home/bin/wasmguard' serve --config /c"},
        {"type": "command", "command": "/v/bin/wasmguard", "args": ["serve"]},
        {"command": "python3", "args": ["-I", "-m", "wasmguard", "serve"]},
        {"type": "command", "command": "C:\\v\\Scripts\\wasmguard.exe serve"},
        url_handler(URL, None),
        {"type": "http", "url": "http://localhost:1/v1/hook/claude-code/"},
    ],
)
def test_an_entry_is_ours_by_what_it_runs_or_calls(handler):
    assert is_ours(handler)


@pytest.mark.parametrize(
    "handler",
    [
        None,
        [],
        {},
        {"type": "command", "command": "echo wasmguard"},
        {"type": "command", "command": "/x/client.py"},
        {"type": "command", "command": "wasmguard", "args": ["doctor"]},
        {"type": "command", "command": 5, "args": [5]},
        {"type": "command", "command": "notify", "args": "wasmguard serve"},
        {"type": "http", "url": "https://example.com/v1/hook/claude-code"},
        {"type": "http", "url": "http://127.0.0.1:1/other"},
        {"type": "http", "url": 5},
    ],
)
def test_what_is_not_ours_is_left_alone(handler):
    assert not is_ours(handler)


def test_an_event_stands_if_every_call_is_judged_as_was_installed():
    handler = command_handler(COMMAND)
    settings = {"hooks": {event: [group] for event, group in groups(("PreToolUse", "Stop"), handler).items()}}
    assert standing(settings, handler) == {"PreToolUse", "Stop"}
    assert standing(settings, command_handler(("/other",))) == set()
    for broken in (None, [], {"hooks": 5}, {"hooks": {"Stop": [5, {"hooks": 5}, {"matcher": 5, "hooks": [handler]}]}}):
        assert standing(broken, handler) == set()


def test_it_names_no_path_twice():
    assert claude_settings.PATH == "/v1/hook/claude-code"
