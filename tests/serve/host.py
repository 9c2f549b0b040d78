"""The hook as a process, for tests: a folder with configurations, and the way from an event to an answer."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from wasmguard.event import STOPPING
from wasmguard.lock import lock

ROOT = Path(__file__).parents[2]
SECRET = "sk-ant-api03-a-secret-of-the-host"
HERE = f"import os, sys; sys.path.insert(0, {str(ROOT)!r})"
SERVE = f"{HERE}; from wasmguard.__main__ import main; main()"
HOOK = f"{HERE}; from wasmguard.serve import hook"

BASE = {"session_id": "s", "transcript_path": "/tmp/t.jsonl", "cwd": "/tmp"}
INPUT = {"file_path": "/etc/x", "content": "x"}


def event(name="PreToolUse", **fields):
    """A recorded event, cut down to what matters here."""
    about = {"hook_event_name": name}
    if name in ("PreToolUse", "PermissionRequest"):
        about |= {"permission_mode": "default", "tool_name": "Passed", "tool_input": INPUT}
    if name in STOPPING:
        about |= {"permission_mode": "default", "stop_hook_active": False}
    if name == "UserPromptSubmit":
        about |= {"prompt": "hello"}
    return {**BASE, **about, **fields}


def wire(*given, **fields):
    """The bytes of an event: one line, compact, as the client sends them."""
    return json.dumps(event(*given, **fields), separators=(",", ":")).encode() + b"\n"


class Answer:
    """What came out of a hook process."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        assert SECRET.encode() not in out + err

    def __repr__(self):
        return f"exit {self.code}, out {self.out[:500]!r}, err {self.err[:500]!r}"


class Host:
    """A folder with a home, and with configurations beside their modules."""

    def __init__(self, folder, text, **modules):
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir()
        self.config = self.locked(self.configured("usual", text, **modules))

    def configured(self, name, text, **modules):
        """The configuration file *text* in a new folder *name*; `<module>.wasm` holds the bytes of each module."""
        folder = self.folder / name
        folder.mkdir()
        for module, code in modules.items():
            (folder / f"{module}.wasm").write_bytes(code)
        (folder / "wasmguard.toml").write_text(text, encoding="utf-8")
        return folder / "wasmguard.toml"

    def locked(self, config):
        """*config*, after what `wasmguard lock` does."""
        with pytest.MonkeyPatch.context() as patch:
            for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
                patch.delenv(variable, raising=False)
            patch.setenv("HOME", str(self.home))
            lock(str(config), repin=False)
        return config

    def start(self, config=None, *, before=":", redirected="", program=SERVE, home=None):
        """The hook's process; *before* and *redirected* are shell: limits, and what becomes of its descriptors."""
        command = ["sh", "-c", f'{before}; exec "$@" {redirected}', "sh", sys.executable, "-I", "-c", program, "serve"]
        return subprocess.Popen(
            [*command, "--config", str(config or self.config)],
            env={"HOME": str(home or self.home), "PATH": os.environ["PATH"], "ANTHROPIC_API_KEY": SECRET},
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def hook(self, raw, config=None, **options):
        """The answer to *raw*; the options are those of `start`."""
        process = self.start(config, **options)
        send(process, raw)
        return ended(process)


def send(process, raw):
    """The whole standard input of *process*: bytes, or pieces of them that are sent as long as they are read."""
    with suppress(BrokenPipeError):
        for piece in [raw] if isinstance(raw, bytes) else raw:
            process.stdin.write(piece)
    process.stdin.close()
    process.stdin = None  # `communicate` would flush it


def ended(process):
    """What *process* answered."""
    out, err = process.communicate(timeout=30)
    return Answer(process.returncode, out, err)
