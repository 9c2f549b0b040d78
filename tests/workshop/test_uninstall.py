"""The settings as they were before, whatever else is broken."""

import json
import os
import subprocess
import sys
import threading

import pytest

from tests.recorded import waiting
from tests.serve.host import ROOT
from tests.workshop.test_install import BEFORE, everything, here, hooks, texts
from wasmguard import installed, link, places
from wasmguard.agents import claude_settings
from wasmguard.errors import HostError, UsageError
from wasmguard.workshop import settings_file
from wasmguard.workshop import uninstall as workshop

__all__ = ["here"]


@pytest.fixture
def gone(here):
    """Uninstalls, in the same place."""
    return lambda **given: workshop.uninstall("claude-code", environ=here.environ, **given)


def settle(here, text=BEFORE, scope="user"):
    here.file(scope).parent.mkdir(exist_ok=True)
    here.file(scope).write_bytes(text.encode())


@pytest.mark.parametrize(
    ("scope", "transport"),
    [*((scope, "command") for scope in claude_settings.SCOPES), ("user", "http"), ("project", "http")],
)
def test_a_file_that_nobody_changed_is_what_it_was(here, gone, scope, transport):
    settle(here, scope=scope)
    here.run(scope=scope, transport=transport)
    outcome = gone()
    assert here.file(scope).read_bytes() == BEFORE.encode()
    assert outcome.changed
    assert installed.entries() == ()
    assert waiting()[-1]["kind"] == "uninstalled"


@pytest.mark.parametrize(
    "text", ["", " \n", "{}", '{"hooks": {}}', "{\n}", '{"hooks": {"PreToolUse": [ ]}}', "\ufeff{ }"]
)
def test_even_what_nobody_could_see_any_more_is_what_it_was(here, gone, text):
    settle(here, text)
    here.run()
    assert hooks(here.file())
    gone()
    assert here.file().read_bytes() == text.encode()


def test_a_file_and_a_folder_that_were_made_are_gone(here, gone):
    for scope in claude_settings.SCOPES:
        here.run(scope=scope)
    gone()
    for scope in claude_settings.SCOPES:
        assert not here.file(scope).parent.exists()


def test_after_an_upgrade_it_is_still_what_it_was(here, gone, monkeypatch):
    settle(here)
    here.run()
    monkeypatch.setattr(claude_settings, "TIMEOUT", 31)
    here.run()
    gone()
    assert here.file().read_bytes() == BEFORE.encode()


def test_what_the_owner_changed_since_stays(here, gone):
    settle(here)
    here.run()
    here.file().write_bytes(here.file().read_bytes().replace(b'"opus"', b'"other"'))
    gone()
    assert here.file().read_bytes() == BEFORE.replace('"opus"', '"other"').encode()


def test_what_the_owner_wrote_into_a_file_that_was_made_stays(here, gone):
    here.run()
    here.file().write_text(here.file().read_text().replace("{\n", '{\n  "model": "opus",\n', 1))
    gone()
    assert json.loads(here.file().read_text()) == {"model": "opus"}


def test_what_was_changed_before_an_upgrade_stays_as_well(here, gone, monkeypatch):
    settle(here)
    here.run()
    here.file().write_bytes(here.file().read_bytes().replace(b'"opus"', b'"other"'))
    monkeypatch.setattr(claude_settings, "TIMEOUT", 31)
    here.run()
    gone()
    assert here.file().read_bytes() == BEFORE.replace('"opus"', '"other"').encode()


def test_a_copy_that_holds_entries_of_ours_is_not_put_back(here, gone):
    here.run()
    whole = here.file().read_bytes()
    (entry,) = installed.entries()
    copy = here.root / "copy.json"
    copy.write_bytes(whole)
    installed.keep([entry.replaced(backup=str(copy), made=())])
    gone()
    assert "wasmguard" not in here.file().read_text()


def test_only_the_scope_that_was_named(here, gone):
    here.run()
    here.run(scope="local")
    gone(scope="local")
    assert not here.file("local").exists()
    assert hooks(here.file())
    assert [entry.scope for entry in installed.entries()] == ["user"]


def test_a_dry_run_writes_nothing(here, gone):
    settle(here)
    here.run()
    before = everything(here.root)
    outcome = gone(dry_run=True)
    assert outcome.changed
    assert "nothing was written" in texts(outcome)
    assert everything(here.root) == before


def test_where_nothing_is_installed_there_is_nothing_to_do(here, gone):
    settle(here)
    before = everything(here.root)
    assert not gone().changed
    assert "nothing to do" in texts(gone())
    assert everything(here.root) == before


def test_a_note_about_what_is_not_there_goes(here, gone):
    here.run()
    here.file().unlink()
    assert not gone().changed
    assert installed.entries() == ()


def test_other_projects_are_found_by_the_note(here, gone, monkeypatch):
    here.run(scope="local")
    path = here.file("local")
    monkeypatch.chdir(here.root)
    gone()
    assert not path.exists()


@pytest.mark.parametrize(("given", "why"), [(("other", None), "no agent"), (("claude-code", "other"), "no scope")])
def test_what_cannot_be_meant_is_refused(given, why):
    with pytest.raises(UsageError, match=why):
        workshop.uninstall(given[0], scope=given[1])


def test_the_note_goes_before_the_entries_so_that_a_session_lets_them_go(here, gone, monkeypatch):
    here.run()
    seen = []
    real = settings_file.remove
    monkeypatch.setattr(settings_file, "remove", lambda *a, **k: (seen.append(installed.entries()), real(*a, **k)))
    gone()
    assert seen == [()]


def test_a_file_that_cannot_be_written_is_told_the_others_are_done_and_the_note_stays(here, gone, monkeypatch):
    settle(here)
    settle(here, scope="local")
    here.run()
    here.run(scope="local")
    real = settings_file._replace

    def refuse(file, *rest):
        if file.path == str(here.file()):
            raise OSError(28, "No space left on device")
        real(file, *rest)

    monkeypatch.setattr(settings_file, "_replace", refuse)
    with pytest.raises(HostError, match="no space left"):
        gone()
    assert here.file("local").read_bytes() == BEFORE.encode()
    assert [entry.scope for entry in installed.entries()] == ["user"]


def test_what_only_root_may_write_is_left_to_root(here, gone, monkeypatch):
    here.run(scope="managed")

    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(settings_file.os, "unlink", refuse)
    outcome = gone(scope="managed")
    assert f"sudo rm {here.file('managed')}" in texts(outcome)
    assert "stays in force" in texts(outcome, "wrong")


# When nothing else works.


def test_without_a_note_our_entries_are_known_by_what_they_run(here, gone):
    settle(here)
    settle(here, '{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]}}', "local")
    here.run(transport="http")
    here.run(scope="local")
    os.unlink(installed.path())
    gone()
    assert here.file().read_bytes() == BEFORE.encode()
    assert hooks(here.file("local")) == {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]}


@pytest.mark.parametrize(
    "broken", ["state is a file", "state is open to others", "note is garbage", "note is a folder"]
)
def test_a_broken_state_folder_does_not_matter(here, gone, broken):
    settle(here)
    here.run()
    state = places.state_dir()
    if broken == "state is a file":
        os.rename(state, f"{state}-")
        open(state, "w").close()
    elif broken == "state is open to others":
        os.chmod(state, 0o777)
    elif broken == "note is garbage":
        with open(installed.path(), "w") as file:
            file.write("garbage")
    else:
        os.unlink(installed.path())
        os.mkdir(installed.path())
    gone()
    assert here.file().read_bytes() == BEFORE.encode()


def test_a_broken_file_is_told_with_its_place_if_it_may_hold_something_of_ours(here, gone):
    settle(here, '{"a" 1}')
    assert not gone().changed
    settle(here, '{"hooks": {"Stop": [{"command": "/x/wasmguard/serve/client.py"]}')
    with pytest.raises(HostError, match=r"settings.json`:1:\d+: .*take out by hand"):
        gone()


ALONE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pydantic", "pydantic_core", "wasmtime", "msgpack", "click", "claude_agent_sdk"):
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
sys.path.insert(0, {root!r})
from wasmguard.workshop.uninstall import uninstall
for _, text in uninstall("claude-code").lines:
    print(text)
"""


def test_it_needs_no_package_of_others_no_configuration_and_no_plan(here):
    settle(here)
    here.run()
    here.config.unlink()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE.format(root=str(ROOT))],
        env={name: os.environ[name] for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "does not ask wasmguard any more" in " ".join(done.stdout.split())
    assert here.file().read_bytes() == BEFORE.encode()


# The daemon.


@pytest.fixture
def daemon(here):
    """Somebody who listens where the daemon would. Returns what it was asked."""
    import socket

    here.run()
    (entry,) = installed.entries()
    os.makedirs(os.path.dirname(entry.socket), mode=0o700, exist_ok=True)
    asked = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(entry.socket)
        listener.listen(1)
        listener.settimeout(20)

        def answer():
            channel, _ = listener.accept()
            with channel:
                asked.append(channel.recv(1000)[3])
                channel.sendall(link.answered(0, b"{}\n"))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield asked
        thread.join(0.5)


def test_a_daemon_that_nobody_asks_any_more_is_ended(gone, daemon):
    gone()
    assert daemon == [link.STOP]


def test_a_daemon_that_others_still_ask_goes_on(here, gone, daemon):
    here.run(scope="local")
    gone(scope="local")
    assert daemon == []
    gone()
    assert daemon == [link.STOP]


@pytest.mark.parametrize("before", [None, "{}", BEFORE])
def test_a_file_that_somebody_put_in_the_place_of_ours_is_theirs(here, gone, before):
    """Also where `install` had made the first one, with its folder."""
    if before is not None:
        settle(here, before)
    here.run()
    settle(here, '{"model": "opus"}')
    here.run()
    assert hooks(here.file())
    gone()
    assert here.file().read_text() == '{"model": "opus"}'


# What is not ours to take out.


def test_a_file_that_is_no_text_and_not_ours_is_no_trouble(here, gone):
    here.file().parent.mkdir()
    here.file().write_bytes(b'{"model": "\xe9"}')
    assert not gone().changed
    here.file().write_bytes(b'{"model": "\xe9", "hooks": "wasmguard"}')
    with pytest.raises(HostError, match="is not in UTF-8"):
        gone()


def test_a_plugin_stays_and_it_is_told_how_to_take_it_out(here, gone, monkeypatch):
    monkeypatch.setattr(workshop.plugins, "ours", lambda _: {"wasmguard@wasmguard": None})
    told = texts(gone(), "note")
    assert "`claude plugin uninstall wasmguard@wasmguard`" in told.replace("\n", " ")
    here.run()
    assert "plugin" in texts(gone(dry_run=True), "note")
    assert "plugin" in texts(gone(), "note")
    here.run()
    assert texts(gone(scope="user"), "note") == ""


def test_odd_plugins_keep_nobody_from_uninstalling(here, gone, monkeypatch):
    here.run()
    monkeypatch.setattr(workshop.plugins, "ours", lambda _: (_ for _ in ()).throw(OSError()))
    assert gone().changed
