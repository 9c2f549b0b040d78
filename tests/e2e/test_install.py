"""`wasmguard install` and `uninstall` with the real Claude Code: what a new user does. The disk is the witness."""

import json
import os
import shlex
import shutil
import subprocess
import tempfile

import pytest

from tests.e2e import drive_claude
from tests.e2e.conftest import PYTHON, answers
from tests.e2e.drive_claude import client, run

pytestmark = pytest.mark.e2e

END = [{"text": "end"}]
SCRIPT = [
    [{"tool": "Write", "input": {"file_path": "$DATA/x", "content": "hello"}}],
    [{"tool": "Bash", "input": {"command": "touch $DATA/created", "description": "d"}}],
    END,
]
ALLOWED = ("--allowedTools", "Write", "Bash")
CONFIG = """
[[policy]]
name = "no-touch"
module = "builtin:tool-gate"
events = ["PreToolUse"]
settings = { deny_commands = ["touch"] }

[[policy]]
name = "sandbox-writes"
module = "builtin:path-redirect"
settings = { root = "$SANDBOX" }
grants.rewrite."Write.file_path" = { within = "$SANDBOX" }
"""
BEFORE = b'{\r\n    "env" : {"A":"b"},\r\n  "permissions": {"allow": []}\r\n}'
PLACES = {**drive_claude.PLACES, "managed": "etc/claude-code/managed-settings.json"}

OWN_ETC = """#!/bin/sh
[ "$(id -u)" = 0 ] || root=-r
exec unshare -m $root sh -c 'mount --make-rprivate / && mount --bind "$0" /etc && exec "$@"' {etc} "$@"
"""


class User:
    """Who has just written a configuration, in a home of their own."""

    def __init__(self, owner):
        self.root = owner.root
        self.within = []  # a program that runs the rest of the command line
        self.runtime = tempfile.mkdtemp(prefix="wg-")  # for the socket, whose path has to be short
        self.environment = {"HOME": f"{self.root}/home", "PATH": f"{client().parent}:/usr/bin:/bin"}
        self.environment["XDG_RUNTIME_DIR"] = self.runtime
        config = self.root / "home" / ".config" / "wasmguard" / "wasmguard.toml"
        config.parent.mkdir(parents=True)
        config.write_text(CONFIG.replace("$SANDBOX", f"{self.root}/sandbox"))

    def does(self, *words, code=0):
        """What `wasmguard` *words* prints."""
        return self.calls([*PYTHON, *words], code)

    def calls(self, command, code=0):
        done = subprocess.run(
            [*self.within, *command],
            env=self.environment,
            cwd=self.root / "project",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def writes(self, scope, data):
        """The settings file of *scope*, which now holds *data*."""
        path = self.root / PLACES[scope]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def enters_an_etc_of_their_own(self):
        """From now on everything runs where `/etc` is a copy of it."""
        (self.root / "etc").mkdir()
        for name in ("passwd", "group", "hosts", "ssl", "ld.so.cache", "localtime"):
            if os.path.exists(f"/etc/{name}"):
                subprocess.run(["cp", "-a", f"/etc/{name}", str(self.root / "etc")], check=True)
        script = self.root / "within"
        script.write_text(OWN_ETC.format(etc=shlex.quote(str(self.root / "etc"))))
        script.chmod(0o755)
        self.within = [str(script)]
        if subprocess.run([*self.within, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this system gives nobody a mount namespace")


@pytest.fixture
def user(owner):
    user = User(owner)
    yield user
    subprocess.run([*PYTHON, "stop"], env=user.environment, capture_output=True, check=False, timeout=60)
    shutil.rmtree(user.runtime)


def session(user, *arguments):
    return run(SCRIPT, root=user.root, arguments=[*arguments, *ALLOWED])


def touched(outcome):
    return {name for name in outcome.files() if not name.startswith("project/.claude/")}


def guarded(outcome):
    """Whether the write landed in the sandbox, and the command was denied."""
    errors = [call.is_error for call in outcome.calls]
    return touched(outcome) == {f"sandbox{outcome.root}/data/x"} and errors == [False, True]


def unguarded(outcome):
    return touched(outcome) == {"data/x", "data/created"}


def cleared(user):
    for path in [*(user.root / "sandbox").rglob("*"), *(user.root / "data").rglob("*")]:
        if path.is_file():
            path.unlink()


@pytest.mark.parametrize("scope", ["user", "project", "local"])
def test_installed_in_any_scope_it_guards_and_uninstalled_it_is_as_if_nothing_had_been(user, scope):
    path = user.writes(scope, BEFORE)
    user.does("install", "claude-code", "--scope", scope)
    outcome = session(user)
    assert guarded(outcome)
    assert "no-touch" in outcome.calls[1].result
    assert {"SessionStart", "UserPromptSubmit", "PreToolUse"} <= {hook["hook_event"] for hook in outcome.hooks}
    assert all(hook["outcome"] == "success" for hook in outcome.hooks if hook["hook_event"] != "PreToolUse")
    assert "nothing to do" in " ".join(user.does("install", "claude-code", "--scope", scope).split())
    user.does("uninstall", "claude-code")
    assert path.read_bytes() == BEFORE
    cleared(user)
    assert unguarded(session(user))


def test_where_there_were_no_settings_there_are_none_afterwards(user):
    user.does("install", "claude-code", "--scope", "local")
    assert guarded(session(user))
    user.does("uninstall", "claude-code")
    assert not (user.root / "project" / ".claude").exists()


def test_installed_by_the_administrator_it_guards_even_if_the_project_switches_hooks_off(user, monkeypatch):
    user.enters_an_etc_of_their_own()
    user.does("install", "claude-code", "--scope", "managed")
    user.writes("project", b'{"disableAllHooks": true}')
    monkeypatch.setattr(drive_claude, "client", lambda: user.root / "claude")
    (user.root / "claude").write_text(f'#!/bin/sh\nexec {shlex.quote(user.within[0])} {client()} "$@"\n')
    (user.root / "claude").chmod(0o755)
    assert guarded(session(user))
    user.does("uninstall", "claude-code")
    assert not (user.root / "etc" / "claude-code").exists()
    cleared(user)
    assert unguarded(session(user))


def test_in_two_scopes_it_is_asked_once(user):
    user.does("install", "claude-code")
    user.does("install", "claude-code", "--scope", "local")
    outcome = session(user)
    assert guarded(outcome)
    assert len(answers(outcome)) == 2  # one for each call
    user.does("uninstall", "claude-code")


def test_over_http_it_guards_as_well(user):
    user.does("install", "claude-code", "--transport", "http")
    outcome = session(user)
    assert guarded(outcome)
    (entry,) = json.loads((user.root / "home/.local/state/wasmguard/installed.json").read_text())["entries"]
    assert entry["transport"] == "http"
    user.does("uninstall", "claude-code")
    assert not (user.root / "home" / ".claude" / "settings.json").exists()


def test_as_a_plugin_it_passes_the_clients_own_check_and_guards(user):
    folder = str(user.root / "plugin")
    user.does("install", "claude-code", "--as-plugin", folder)
    for checked in (folder, f"{folder}/plugins/wasmguard"):
        assert "Validation passed" in user.calls([str(client()), "plugin", "validate", checked])
    user.calls([str(client()), "plugin", "marketplace", "add", folder])
    user.calls([str(client()), "plugin", "install", "wasmguard@wasmguard"])
    assert guarded(session(user))
    said = user.does("doctor", "--real")
    for line in ("hooks           the command in the plugin", "real client     the command in the plugin"):
        assert f"ok    {line}" in said
    assert "`claude plugin uninstall wasmguard@wasmguard`" in " ".join(user.does("uninstall", "claude-code").split())


def test_a_plugin_guards_the_one_session_that_it_is_named_for(user):
    folder = str(user.root / "plugin")
    user.does("install", "claude-code", "--as-plugin", folder)
    assert guarded(session(user, "--plugin-dir", f"{folder}/plugins/wasmguard"))
    cleared(user)
    assert unguarded(session(user))


def test_a_broken_installation_blocks_and_says_how_to_get_out_and_uninstall_works(user):
    path = user.writes("user", BEFORE)
    user.does("install", "claude-code")
    config = user.root / "home" / ".config" / "wasmguard" / "wasmguard.toml"
    config.write_text("nonsense [")
    outcome = session(user)
    assert touched(outcome) == set()
    user.does("uninstall", "claude-code")
    assert path.read_bytes() == BEFORE
    assert unguarded(session(user))


@pytest.mark.parametrize("text", [b'{\n  // mine\n  "env": {}\n}\n', b'{"env": {},}', b'{"model": 5}'])
def test_settings_that_the_client_ignores_are_told_at_once(user, text):
    """The witness that `install` warns for a reason: nothing is guarded then."""
    path = user.writes("user", text)
    said = " ".join(user.does("install", "claude-code", code=1).split())
    assert "ignores" in said
    assert unguarded(session(user))
    user.does("uninstall", "claude-code")
    assert path.read_bytes() == text
