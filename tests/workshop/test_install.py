"""The agent's settings ask wasmguard from now on, and nothing else in them changes."""

import json
import os
import socket
import tempfile
from types import SimpleNamespace

import pytest

from tests.recorded import waiting
from wasmguard import bearer, installed, plan
from wasmguard.agents import claude_settings
from wasmguard.errors import BundleError, ConfigError, HostError, UsageError
from wasmguard.workshop import hook_command, settings_file
from wasmguard.workshop import install as workshop
from wasmguard.workshop.install import install, path_of

ALWAYS = set(claude_settings.ALWAYS)
BEFORE = '{\r\n\t"model": "opus",\r\n\t"env": {"A": "1.0e5"}\r\n}\r\n'


@pytest.fixture
def here(tmp_path, configured, monkeypatch):
    """A home with a client, a project, a configuration, and administrators' settings of its own."""
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setattr(hook_command, "native_client", lambda: "")
    monkeypatch.setitem(claude_settings.ADMINISTRATORS, "linux", str(tmp_path / "etc"))
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '2.1.330 (Claude Code)'\n")
    program.chmod(0o755)
    environ = {"PATH": str(program.parent)}
    config = configured("pass")

    def run(**given):
        return install("claude-code", **{"config": str(config), "environ": environ, **given})

    return SimpleNamespace(
        run=run,
        root=tmp_path,
        config=config,
        program=program,
        environ=environ,
        file=lambda scope="user": tmp_path / path_of(scope, environ),
    )


def hooks(path):
    return json.loads(path.read_text(encoding="utf-8-sig"))["hooks"]


def everything(root):
    """All files below *root*, with their bytes."""
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def texts(outcome, style=None):
    return " ".join(" ".join(text for mark, text in outcome.lines if style in (None, mark)).split())


# What is written.


@pytest.mark.parametrize("scope", claude_settings.SCOPES)
def test_each_scope_gets_one_hook_for_each_event_in_its_own_file(here, scope):
    outcome = here.run(scope=scope)
    assert outcome.changed
    assert outcome.works
    written = hooks(here.file(scope))
    assert written.keys() == ALWAYS
    assert written["PreToolUse"] == [
        {"matcher": "*", "hooks": [claude_settings.command_handler(hook_command.command(str(here.config)))]}
    ]
    (entry,) = installed.entries()
    assert (entry.scope, entry.path, set(entry.events)) == (scope, str(here.file(scope)), ALWAYS)
    assert installed.missing(entry.path) == ()


def test_events_that_a_policy_judges_are_hooked_as_well(here, configured):
    config = configured("pass", **{"pass": {"events": '["Stop", "PostToolUse", "WorktreeCreate"]'}})
    outcome = here.run(config=str(config))
    assert hooks(here.file()).keys() == ALWAYS | {"Stop", "PostToolUse"}
    assert "does not ask about WorktreeCreate" in texts(outcome, "note")


def test_nobody_else_may_write_what_is_made_whatever_the_umask_is(here):
    before = os.umask(0)
    try:
        here.run()
    finally:
        os.umask(before)
    assert here.file().stat().st_mode & 0o022 == 0
    assert here.file().parent.stat().st_mode & 0o022 == 0


def test_nothing_else_in_the_file_changes(here):
    here.file().parent.mkdir()
    here.file().write_bytes(BEFORE.encode())
    here.file().chmod(0o640)
    here.run()
    after = here.file().read_bytes().decode()
    assert after.startswith(BEFORE[: BEFORE.rindex("\r\n}")] + ',\r\n\t"hooks": {\r\n')
    assert after.endswith("\r\n}\r\n")
    assert here.file().stat().st_mode & 0o777 == 0o640


def test_a_copy_is_kept_and_it_is_on_the_record(here):
    here.file().parent.mkdir()
    here.file().write_bytes(BEFORE.encode())
    outcome = here.run()
    (entry,) = installed.entries()
    with open(entry.backup, "rb") as copy:
        assert copy.read() == BEFORE.encode()
    assert entry.backup in texts(outcome)
    assert [record["kind"] for record in waiting()] == ["installed"]


def test_to_repeat_it_changes_nothing(here):
    here.file().parent.mkdir()
    here.file().write_text(BEFORE)
    here.run()
    before = everything(here.root)
    outcome = here.run()
    assert not outcome.changed
    assert "nothing to do" in texts(outcome)
    assert everything(here.root) == before


def test_a_newer_version_replaces_its_entries_where_they_are(here, monkeypatch):
    here.file().parent.mkdir()
    here.file().write_text(BEFORE)
    here.run()
    first = installed.entries()[0]
    monkeypatch.setattr(claude_settings, "TIMEOUT", 31)
    here.run()
    (entry,) = installed.entries()
    assert {group["hooks"][0]["timeout"] for (group,) in hooks(here.file()).values()} == {31}
    assert (entry.backup, entry.made) == (first.backup, first.made)
    assert entry.wrote != first.wrote


def test_what_nobody_wrote_down_is_written_down_again(here):
    here.run()
    os.unlink(installed.path())
    assert not here.run().changed
    (entry,) = installed.entries()
    assert entry.made == (installed.UNKNOWN,)


def test_an_event_that_nobody_judges_any_more_is_not_hooked_any_more(here, configured):
    here.run(config=str(configured("pass", **{"pass": {"events": '["Stop"]'}})))
    here.run(config=str(configured("pass")))
    assert hooks(here.file()).keys() == ALWAYS


def test_the_users_folder_may_be_elsewhere(here):
    here.environ["CLAUDE_CONFIG_DIR"] = str(here.root / "x")
    here.run()
    assert hooks(here.root / "x" / "settings.json")


def test_a_link_stays_a_link(here):
    here.file().parent.mkdir()
    (here.root / "mine.json").write_text(BEFORE)
    here.file().symlink_to(here.root / "mine.json")
    here.run()
    assert here.file().is_symlink()
    assert hooks(here.root / "mine.json")


# What is shown, and only shown.


def test_a_dry_run_shows_the_change_and_writes_nothing_anywhere(here):
    here.file().parent.mkdir()
    here.file().write_text(BEFORE)
    before = everything(here.root)
    for transport in workshop.TRANSPORTS:
        outcome = here.run(dry_run=True, transport=transport)
        assert outcome.changed
        assert '"hooks": {' in texts(outcome, "new")
        assert "nothing was written" in texts(outcome)
        assert everything(here.root) == before


def test_the_lines_fit_but_for_what_is_quoted(here):
    for style, text in here.run().lines:
        if style in ("ok", "note", "wrong"):
            assert all(len(line) <= 80 for line in text.splitlines() if "/" not in line)


# What is refused, before anything is touched.


@pytest.mark.parametrize(
    ("given", "error", "why"),
    [
        ({"scope": "other"}, UsageError, "no scope"),
        ({"transport": "smoke"}, UsageError, "no way to ask"),
        ({"scope": "managed", "transport": "http"}, UsageError, "the token is yours alone"),
        ({"config": "/none/wasmguard.toml"}, ConfigError, "run `wasmguard init`"),
    ],
)
def test_what_cannot_be_meant_is_refused(here, given, error, why):
    before = everything(here.root)
    with pytest.raises(error, match=why):
        here.run(**given)
    assert everything(here.root) == before


def test_another_agent_is_refused():
    with pytest.raises(UsageError, match="no agent that can be set up here"):
        install("other")


def test_a_client_that_lets_calls_go_on_is_refused(here):
    here.program.write_text("#!/bin/sh\necho '2.1.294 (Claude Code)'\n")
    with pytest.raises(HostError, match=r"2\.1\.295 or newer"):
        here.run()
    assert not here.file().exists()


def test_without_a_client_it_goes_on_and_says_so(here):
    here.program.unlink()
    assert "no `claude` was found" in texts(here.run(), "note")
    assert hooks(here.file())


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no users here")
def test_it_is_not_called_through_sudo(here, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    here.environ["SUDO_UID"] = "1000"
    with pytest.raises(UsageError, match="belong to root"):
        here.run()


def test_what_cannot_decide_is_not_installed(here, configured):
    config = configured("pass", **{"pass": {"sha256": '"' + "0" * 64 + '"'}})
    with pytest.raises(BundleError):
        here.run(config=str(config))
    assert not here.file().exists()


def test_it_is_locked_afterwards(here):
    here.run()
    assert plan.read(str(here.config)).policies


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1,\n  "b" 2}', ":2:7: a colon is missing: mend it"),
        ('{"a": 1, "a": 2}', "1:10: `a` is there twice"),
        ('{"hooks": []}', "`hooks` must be an object"),
        ("[]", "must be an object"),
    ],
)
def test_a_broken_file_is_not_touched(here, text, why):
    here.file().parent.mkdir()
    here.file().write_text(text)
    with pytest.raises(HostError, match=why):
        here.run()
    assert here.file().read_text() == text
    assert installed.entries() == ()


def test_what_could_not_be_written_is_not_installed(here, monkeypatch):
    def fail(*_, **__):
        raise HostError("disk full")

    monkeypatch.setattr(settings_file, "write", fail)
    with pytest.raises(HostError, match="disk full"):
        here.run()
    assert installed.entries() == ()


def test_a_file_that_does_not_hold_what_was_written_is_told(here, monkeypatch):
    monkeypatch.setattr(settings_file, "write", lambda file, *_, **__: here.file().write_text("{}") and [])
    here.file().parent.mkdir()
    with pytest.raises(HostError, match="does not hold what was written"):
        here.run()


# What the owner should know.


def test_a_file_that_the_client_will_not_read_is_told(here):
    here.file().parent.mkdir()
    here.file().write_text('{\n  // mine\n  "model": "opus",\n}\n')
    outcome = here.run()
    assert not outcome.works
    assert "Claude Code reads no comments" in texts(outcome, "wrong")
    assert "Claude Code asks wasmguard" not in texts(outcome, "ok")
    assert "does not ask yet" in texts(outcome, "wrong")
    assert "does not ask yet" in texts(here.run(), "wrong")  # to repeat it helps nothing
    assert "// mine" in here.file().read_text()


@pytest.mark.parametrize(
    ("text", "style", "why"),
    [
        ('{"disableAllHooks": true}', "wrong", "`disableAllHooks` is true"),
        ('{"model": 5}', "wrong", "the client ignores the whole file"),
        ('{"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "x"}]}]}}', "note", "also runs `x`"),
    ],
)
def test_what_keeps_the_client_from_asking_is_told(here, text, style, why):
    here.file().parent.mkdir()
    here.file().write_text(text)
    outcome = here.run()
    assert why in texts(outcome, style)
    assert outcome.works == (style == "note")


def test_a_shared_file_is_noted(here):
    assert "`--scope local` is yours alone" in texts(here.run(scope="project"), "note")


# For root.


def test_what_only_root_may_write_is_left_to_root(here, monkeypatch):
    real = settings_file._replace

    def refuse(file, *rest):
        if file.path.endswith("managed-settings.json"):
            raise PermissionError(13, "Permission denied")
        real(file, *rest)

    monkeypatch.setattr(settings_file, "_replace", refuse)
    outcome = here.run(scope="managed")
    (command,) = [text for style, text in outcome.lines if "sudo install" in text]
    source, target = command.split()[-2:]
    assert target == str(here.file("managed"))
    with open(source) as file:
        assert json.load(file)["hooks"].keys() == ALWAYS
    assert not here.file("managed").exists()
    assert "Nothing is in force" in texts(outcome, "wrong")
    assert not outcome.works


# Over HTTP.


def handlers(path, event):
    return [handler for group in hooks(path)[event] for handler in group["hooks"]]


def test_over_http_the_tool_calls_go_to_a_url_with_the_token(here):
    outcome = here.run(transport="http")
    (handler,) = handlers(here.file(), "PreToolUse")
    (entry,) = installed.entries()
    assert handler["url"] == entry.url == f"http://{entry.http}/v1/hook/claude-code"
    assert handler["headers"]["Authorization"] == f"Bearer {bearer.token()}"
    assert here.file().stat().st_mode & 0o777 == 0o600
    assert bearer.token() not in texts(outcome)
    for event in ("SessionStart", "UserPromptSubmit", "ConfigChange"):
        (handler,) = handlers(here.file(), event)
        assert handler["args"][-2:] == ["--http", entry.http]
    assert installed.missing(str(here.file())) == ()


def test_the_port_is_kept_and_shared_by_all_scopes_of_a_configuration(here):
    here.run(transport="http")
    port = installed.entries()[0].http
    before = everything(here.root)
    assert not here.run(transport="http").changed
    assert everything(here.root) == before
    here.run(transport="http", scope="local")
    here.run(scope="project")
    assert {entry.http for entry in installed.entries()} == {port}
    assert handlers(here.file("project"), "SessionStart")[0]["args"][-1] == port


def test_a_port_that_is_taken_is_not_chosen(here, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        busy = taken.getsockname()[1]
        monkeypatch.setattr(workshop, "PORTS", range(busy, busy + 1))
        with pytest.raises(HostError, match="is free"):
            here.run(transport="http")


def test_a_hook_that_would_start_a_daemon_without_http_is_noted(here):
    here.run(scope="local")
    outcome = here.run(transport="http")
    assert "starts a daemon without HTTP: install there again" in texts(outcome, "note")


def test_shared_settings_never_hold_the_token(here):
    outcome = here.run(scope="project", transport="http")
    (handler,) = handlers(here.file("project"), "PreToolUse")
    assert handler["headers"]["Authorization"] == "Bearer $WASMGUARD_TOKEN"
    assert "WASMGUARD_TOKEN" in handler["allowedEnvVars"]
    assert bearer.token(create=True) not in here.file("project").read_text()
    assert "export WASMGUARD_TOKEN=" in texts(outcome)


def test_a_token_in_a_file_that_others_may_read_is_noted(here):
    here.file().parent.mkdir()
    here.file().write_text("{}")
    here.file().chmod(0o644)
    assert "`chmod 600` it" in texts(here.run(transport="http"), "note")


def test_a_change_of_transport_leaves_one_entry(here):
    here.run(transport="http")
    here.run()
    assert [handler["type"] for handler in handlers(here.file(), "PreToolUse")] == ["command"]
    assert len(installed.entries()) == 1
