"""Drive the real Claude Code client, offline, against `mock_api`, and say what happened.

The client is the one that ships inside the claude-agent-sdk package. Every run has a folder of its own

    $ROOT/home (HOME)   $ROOT/project (cwd)   $ROOT/data   $ROOT/sandbox   $ROOT/tmp (TMPDIR)

its own mock on a free loopback port, an environment built from nothing (`clean_environment`; a dummy key, no
telemetry) and no standard input. $ROOT, $HOME, $PROJECT, $DATA and $SANDBOX are replaced in the script, the settings
and the arguments. When the run ends, everything it started is ended too: its processes carry a mark in their
environment.

    outcome = run([[{"tool": "Write", "input": {"file_path": "$DATA/a.txt", "content": "x"}}], [{"text": "end"}]],
                  root=tmp_path, settings={"hooks": {...}}, arguments=["--allowedTools", "Write"])
    outcome.calls[0].is_error, outcome.files(), outcome.hooks, outcome.denials

Believe the disk first: `files()` is what really happened. What the client does not tell by itself:

* Hook events appear only with `--output-format stream-json --verbose --include-hook-events`.
* Without `--allowedTools` (or a mode) a Write is refused in `-p`: a test that wants to see a pass says which
  permission it expects. `--allowedTools` swallows what follows: put it last.
* A wrong settings entry is dropped in silence: when a hook does not run, look for `[ERROR]` in $ROOT/debug.log.

On its own: `python -m tests.e2e.drive_claude script.json --settings settings.json -- --allowedTools Write`.
"""

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from tests.e2e.mock_api import MockAPI

MARK = "DRIVE_CLAUDE_RUN"
FOLDERS = ("home", "project", "data", "sandbox", "tmp")
PLACES = {
    "flag": "settings.json",
    "user": "home/.claude/settings.json",
    "project": "project/.claude/settings.json",
    "local": "project/.claude/settings.local.json",
}


def client():
    """The client inside the installed claude-agent-sdk."""
    import claude_agent_sdk

    path = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"
    if not path.exists():
        raise FileNotFoundError(f"this claude-agent-sdk ships no client: {path}")
    return path


@dataclasses.dataclass
class Call:
    """One tool call as the model asked for it (the original input), and what came back to the model."""

    id: str
    name: str
    input: dict
    is_error: bool | None = None  # None: no result was seen
    result: str = ""


@dataclasses.dataclass
class Outcome:
    """What happened in one run."""

    root: Path
    returncode: int | None = None  # None: it ran past the limit and was ended
    calls: list = dataclasses.field(default_factory=list)
    hooks: list = dataclasses.field(default_factory=list)  # hook_response messages: hook_event, exit_code, stdout ...
    denials: list = dataclasses.field(default_factory=list)  # permission_denials of the result (original inputs)
    result: dict = dataclasses.field(default_factory=dict)  # the last message: subtype, result, terminal_reason ...
    stderr: str = ""
    requests: list = dataclasses.field(default_factory=list)  # what the mock was asked
    left_over: list = dataclasses.field(default_factory=list)  # command lines of processes that had to be ended

    def files(self):
        """{relative path: size} of the files below project, data and sandbox."""
        tops = (self.root / name for name in ("project", "data", "sandbox"))
        found = sorted(path for top in tops for path in top.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.stat().st_size for path in found}

    def summary(self):
        """All of it, short enough to read."""
        return {
            "returncode": self.returncode,
            "files": self.files(),
            "calls": [{"tool": c.name, "is_error": c.is_error, "result": c.result[:300]} for c in self.calls],
            "hooks": [
                {key: str(hook.get(key))[:300] for key in ("hook_event", "outcome", "exit_code", "stdout", "stderr")}
                for hook in self.hooks
            ],
            "denials": self.denials,
            "result": {key: self.result.get(key) for key in ("subtype", "result", "terminal_reason", "is_error")},
            "stderr": self.stderr[-500:],
            "left_over": self.left_over,
        }


def run(script, *, root, settings=None, scope="flag", arguments=(), scripts=None, timeout=60, prompt="go on"):
    """One `claude -p` run in the folder *root*.

    *script* holds the turns of the model (see `mock_api`), *scripts* further ones for sub-agents. *scope* says where
    *settings* are put: `flag` (--settings), `user`, `project` or `local`.
    """
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    outcome = Outcome(root)
    with MockAPI(_filled({"main": script, **(scripts or {})}, root)) as api:
        command = [str(client()), "-p", f"{prompt} [[script:main]]", "--output-format", "stream-json", "--verbose"]
        command += ["--include-hook-events", "--debug-file", f"{root}/debug.log"]
        if settings is not None:
            place = root / PLACES[scope]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(_filled(settings, root)), encoding="utf-8")
            command += ["--settings", str(place)] if scope == "flag" else []
        said = _executed(command + _filled(list(arguments), root), api.url, timeout, outcome)
        outcome.requests = api.requests
    (root / "out.jsonl").write_bytes(said)
    _read(said, outcome)
    return outcome


def clean_environment(root, url):
    """The client's environment: nothing is inherited."""
    environment = {
        "HOME": f"{root}/home",
        "TMPDIR": f"{root}/tmp",
        "CLAUDE_CODE_TMPDIR": f"{root}/tmp",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-dummy",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    if os.geteuid() == 0:
        environment["IS_SANDBOX"] = "1"  # without it the client refuses bypassPermissions as root
    return environment


def _filled(value, root):
    if isinstance(value, str):
        for name in FOLDERS:
            value = value.replace(f"${name.upper()}", str(root / name))
        return value.replace("$ROOT", str(root))
    if isinstance(value, dict):
        return {_filled(key, root): _filled(item, root) for key, item in value.items()}
    return [_filled(item, root) for item in value] if isinstance(value, list) else value


def _executed(command, url, timeout, outcome):
    """What the client printed; how it ended goes into *outcome*."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        command,
        cwd=outcome.root / "project",
        env={**clean_environment(outcome.root, url), MARK: mark},
        stdin=subprocess.DEVNULL,  # `-p` waits for an open one
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, complained = process.communicate(timeout=timeout)
        outcome.returncode = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, complained = process.communicate()
    finally:
        time.sleep(0.05)
        outcome.left_over = _swept(mark)
    outcome.stderr = complained.decode("utf-8", "replace")
    return said


def _swept(mark):
    """End every process whose environment carries our mark; their command lines."""
    ended = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                ended.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip())
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # it has ended by itself
            continue
    return ended


def _read(said, outcome):
    """Sort the lines that the client printed into *outcome*."""
    calls = {}
    for line in said.splitlines():
        message = json.loads(line)
        kind = message.get("type"), message.get("subtype")
        if kind[0] in ("assistant", "user"):
            _read_turn(message["message"]["content"], calls)
        elif kind == ("system", "hook_response"):
            outcome.hooks.append(message)
        elif kind[0] == "result":
            outcome.result, outcome.denials = message, message.get("permission_denials") or []
    outcome.calls = list(calls.values())


def _read_turn(content, calls):
    for part in content if isinstance(content, list) else ():
        if part.get("type") == "tool_use":
            calls[part["id"]] = Call(part["id"], part["name"], part["input"])
        elif part.get("type") == "tool_result" and part["tool_use_id"] in calls:
            call, text = calls[part["tool_use_id"]], part.get("content")
            call.is_error = bool(part.get("is_error"))
            call.result = text if isinstance(text, str) else json.dumps(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", help="JSON file: a list of turns (see mock_api)")
    parser.add_argument("--settings", help="JSON file with the settings of the run")
    parser.add_argument("--scope", default="flag", choices=PLACES)
    parser.add_argument("--root", help="run in this folder [default: a new one, which is left there]")
    parser.add_argument("arguments", nargs="*", help="after --: further arguments of the client")
    options = parser.parse_args()
    script = json.loads(Path(options.script).read_text(encoding="utf-8"))
    settings = json.loads(Path(options.settings).read_text(encoding="utf-8")) if options.settings else None
    root = Path(options.root or tempfile.mkdtemp(prefix="drive-claude-")).resolve()
    outcome = run(script, root=root, settings=settings, scope=options.scope, arguments=options.arguments)
    print(json.dumps(outcome.summary(), indent=1))
    return outcome.returncode


if __name__ == "__main__":
    sys.exit(main())
