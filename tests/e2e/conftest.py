"""What the end-to-end tests share: a folder for one run of the client, with wasmguard as the owner would set it up."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.e2e.drive_claude import FOLDERS, run
from wasmguard import alarm

PYTHON = [sys.executable, "-I", "-m", "wasmguard"]
END = [{"text": "end"}]
WRITE = [[{"tool": "Write", "input": {"file_path": "$DATA/x", "content": "hello"}}], END]
WRITES = ("--allowedTools", "Write")
REDIRECT = """
[[policy]]
name = "sandbox-writes"
module = "builtin:path-redirect"
settings = { root = "$SANDBOX" }
grants.rewrite."Write.file_path" = { within = "$SANDBOX" }
"""


class Owner:
    """Who runs the client in the folder *root*, guarded by the configuration `guard/wasmguard.toml` there."""

    def __init__(self, root, assembled):
        self.root, self._assembled = root, assembled
        for name in (*FOLDERS, "guard"):
            (root / name).mkdir()
        self.config = root / "guard" / "wasmguard.toml"

    def guest(self, name):
        """The path of the module of `tests/guests/<name>.wat`."""
        path = self.root / "guard" / f"{name}.wasm"
        path.write_bytes(self._assembled(name))
        return str(path)

    def locks(self, text):
        """Write the configuration and lock it, as the client's own user does."""
        self.config.write_text(text.replace("$SANDBOX", f"{self.root}/sandbox"), encoding="utf-8")
        environment = {"HOME": f"{self.root}/home", "PATH": os.environ["PATH"]}
        done = subprocess.run(
            [*PYTHON, "lock", "--config", str(self.config)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def hook(self, *command):
        """A hook entry; *command* is what is run instead of wasmguard, and may go on with it."""
        command = [*command, *(() if command else PYTHON), "serve", "--config", str(self.config)]
        command += ["--home", f"{self.root}/home"]
        return {"type": "command", "command": command[0], "args": command[1:], "onFailure": "block", "timeout": 30}

    def runs(self, script, *arguments, events=("PreToolUse",), hook=None, **options):
        """What happens when the model says *script* and wasmguard is asked about *events*."""
        entry = [{"matcher": "*", "hooks": [hook or self.hook()]}]
        settings = {"hooks": dict.fromkeys(events, entry)}
        return run(script, root=self.root, settings=settings, arguments=arguments, **options)


@pytest.fixture(scope="session")
def _client():
    if not find_spec("claude_agent_sdk"):
        pytest.skip("the real client comes with the extra `sdk`: pip install -e '.[sdk]'")


@pytest.fixture
def owner(_client, tmp_path, assembled):
    return Owner(tmp_path.resolve(), assembled)


def alarms_below(root):
    """The marks of alarms of whoever has a home below the folder *root*."""
    return [path for path in root.rglob(f"plans/{alarm.FOLDER}/*") if path.is_file()]


@pytest.fixture
def raises_an_alarm():
    """What a test says in which a call runs that was not granted."""


@pytest.fixture(autouse=True)
def _no_alarm(request, tmp_path):
    """Nothing that the client does by itself, and nothing that we do, looks like a call that was not granted."""
    yield
    if "raises_an_alarm" not in request.fixturenames:
        assert [path.read_bytes()[-500:] for path in alarms_below(tmp_path)] == []


def answers(outcome, event="PreToolUse"):
    """What the hooks of *event* printed: exactly one JSON document each."""
    return [json.loads(hook["stdout"]) for hook in outcome.hooks if hook["hook_event"] == event]
