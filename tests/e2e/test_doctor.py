"""`wasmguard doctor` as a new user meets it: installed by `wasmguard install`, proven with the real client."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import alarms_below
from wasmguard import link
from wasmguard.errors import HostError

pytestmark = pytest.mark.e2e

CONFIG = """
[[policy]]
name = "gate"
module = "builtin:tool-gate"
events = ["PreToolUse"]
settings = { deny_commands = ["rm -rf"] }

[[policy]]
name = "sandbox-writes"
module = "builtin:path-redirect"
tools = ["Write"]
settings = { root = "$SANDBOX" }
grants.rewrite."Write.file_path" = { within = "$SANDBOX" }
"""


class User:
    """Has a home, a project and a configuration that is locked."""

    def __init__(self, root):
        self.home, self.project, self.sandbox = root / "home", root / "project", root / "sandbox"
        for folder in (self.home, self.project, self.sandbox):
            folder.mkdir()
        self.config = self.home / ".config" / "wasmguard" / "wasmguard.toml"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(CONFIG.replace("$SANDBOX", str(self.sandbox)))
        self.settings = self.home / ".claude" / "settings.json"

    def runs(self, *words):
        """One command of ours, with next to no environment."""
        environ = {"HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        command = [sys.executable, "-I", "-m", "wasmguard", *words]
        return subprocess.run(command, cwd=self.project, env=environ, capture_output=True, timeout=120, check=False)

    def findings(self, *words):
        """What doctor finds: {about: [(mark, sentence), ...]}."""
        done = self.runs("doctor", "--json", *words)
        said = json.loads(done.stdout)
        assert done.returncode == (0 if said["ok"] else 1), done.stderr
        found = {}
        for one in said["findings"]:
            found.setdefault(one["about"], []).append((one["mark"], one["sentence"]))
        return found

    def stops(self):
        """End the daemon that hooks have started, if there is one."""
        for path in (self.home / ".local" / "state" / "wasmguard" / "run").glob("*.sock"):
            try:
                master = json.loads(link.ask(str(path), link.STATUS, seconds=5)[1])["master"]
                link.ask(str(path), link.STOP, seconds=5)
            except HostError:
                continue
            end = time.monotonic() + 10
            while Path(f"/proc/{master}").exists() and time.monotonic() < end:
                time.sleep(0.05)
            if Path(f"/proc/{master}").exists():
                os.kill(master, signal.SIGKILL)


def wrongs(found):
    return {about: said for about, all_of_it in found.items() for mark, said in all_of_it if mark == "wrong"}


@pytest.fixture
def user():
    pytest.importorskip("claude_agent_sdk", reason="the real client comes with the extra `sdk`")
    with tempfile.TemporaryDirectory(prefix="wasmguard-") as folder:  # pytest's names are too long for a socket
        user = User(Path(folder).resolve())
        assert user.runs("lock").returncode == 0
        yield user
        user.stops()
        assert alarms_below(user.home) == []  # what doctor tries, and what the client then does, are no such calls


def installs(user, transport):
    done = user.runs("install", "claude-code", "--transport", transport)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("transport", ["command", "http"])
def test_a_fresh_install_is_green_and_the_real_client_obeys_it(user, transport):
    installs(user, transport)
    found = user.findings("--real")
    assert wrongs(found) == {}
    assert [mark for mark, _ in found["real client"]] == ["ok"]
    ((mark, said),) = found["- a write"]
    assert (mark, f"`{user.sandbox}/" in said) == ("ok", True)
    assert found["- a command"] == [("ok", "is denied, and did not run")]
    ((_, said),) = found["- time"]
    assert said.endswith("answered by HTTP" if transport == "http" else "answered by the daemon")


def test_what_the_real_client_does_leaves_nothing_behind(user):
    installs(user, "command")
    user.findings()
    before = {path for path in user.home.rglob("*") if "/.local/state/" not in str(path)}
    user.findings("--real")
    assert {path for path in user.home.rglob("*") if "/.local/state/" not in str(path)} == before
    assert list(user.project.rglob("*")) == []
    assert list(user.sandbox.rglob("*")) == []


def disabled(user):
    (user.project / ".claude").mkdir()
    (user.project / ".claude" / "settings.json").write_text('{"disableAllHooks": true}')


def ignored(user):
    settings = json.loads(user.settings.read_text())
    settings["model"] = 5
    user.settings.write_text(json.dumps(settings))


def taken_out(user):
    user.settings.write_text("{}")


def replaced(user):
    script = user.home / "wasmguard-client"
    script.write_text("#!/bin/sh\ncat > /dev/null\necho '{}'\n")
    script.chmod(0o755)
    settings = json.loads(user.settings.read_text())
    for groups in settings["hooks"].values():
        handler = groups[0]["hooks"][0]
        handler["args"], handler["command"] = [handler["args"][3], handler["command"], *handler["args"]], str(script)
    user.settings.write_text(json.dumps(settings))


def narrowed(user):
    settings = json.loads(user.settings.read_text())
    settings["hooks"]["PreToolUse"][0]["matcher"] = "Read"
    user.settings.write_text(json.dumps(settings))


@pytest.mark.parametrize("breaks", [disabled, ignored, taken_out, replaced, narrowed])
def test_whatever_lets_the_real_client_go_unguarded_is_wrong(user, breaks):
    """Doctor says so without the client too; where it is driven, it shows that this is not only a theory."""
    installs(user, "command")
    breaks(user)
    found = user.findings("--real")
    assert wrongs(found)
    if breaks not in (ignored, taken_out):  # there it sees no hook that it could drive the client under
        assert "- a command" in wrongs(found)
