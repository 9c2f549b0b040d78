"""`wasmguard doctor --real`: the real Claude Code client under the settings that are installed, with a scripted model.

1. It runs in folders that are made for it and removed afterwards: its own configuration folder (`CLAUDE_CONFIG_DIR`)
   with a copy of the user's settings, a project with copies of the project's. Of the settings only what concerns hooks
   is copied: the user's keys, servers and permissions stay where they are.
2. It never leaves this machine: the model is a mock on the loopback, the key is none, everything that is not needed is
   switched off, and settings that would send it elsewhere are not copied. Where an administrator's settings would, it
   is not started.
3. The model calls Write and then Bash. The disk is the witness: the write has to be where the guard says and nowhere
   else, and the command, which would do no harm, must not have run.
4. It ends, at the latest after `LONGEST` seconds, with everything that it started.
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from wasmguard.errors import WasmguardError
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop import asked as events
from wasmguard.workshop import calling, claude_client, copies, taken
from wasmguard.workshop.finding import Finding, note, ok, split, wrong
from wasmguard.workshop.hooks import PLUGIN
from wasmguard.workshop.mock_api import MARK, MockModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from wasmguard.workshop.calling import Said
    from wasmguard.workshop.hooks import Hook
    from wasmguard.workshop.taken import Taken

LONGEST = 60.0  # seconds of one run; it takes about one


class Run(Value):
    """One run of the client, and what came of it."""

    write: Taken
    """What the guard says to the write."""
    path: str
    """Where the model wanted to write."""
    command: Taken | None
    """What it says to the command; None if there is none that it denies."""
    said: Said
    results: Mapping[str, str]
    """What the model got back from each tool."""
    landed: tuple[str, ...]
    """Where the write is."""
    ran: bool
    """Whether the command ran."""


def client() -> str:
    """The real client: the user's, else the one that the Agent SDK brings; empty if there is none."""
    if program := claude_client.found(os.environ):
        return program
    spec = find_spec("claude_agent_sdk")
    bundled = [
        os.path.join(folder, "_bundled", "claude") for folder in (spec and spec.submodule_search_locations) or ()
    ]
    return next((path for path in bundled if os.access(path, os.X_OK)), "")


def driven(hook: Hook, files: Mapping[str, str]) -> Iterator[Finding]:
    """What the real client does under *hook*; *files* are the settings files of each scope."""
    program = client()
    if not program:
        todo = "install Claude Code, or `pip install 'wasmguard[sdk]'`, which brings it"
        yield note("real client", "there is none: not driven", todo)
        return
    if why := copies.leads_away(files.get("managed", "")):
        yield note("real client", f"not driven: {why}", "try it by hand")
        return
    with tempfile.TemporaryDirectory(prefix="wasmguard-real-", ignore_cleanup_errors=True) as made:
        folder = os.path.realpath(made)
        try:
            run = _run(program, hook, files, folder)
        except (WasmguardError, OSError) as error:
            yield split("real client", error)
            return
    yield from judged(run, hook)


def judged(run: Run, hook: Hook) -> Iterator[Finding]:
    """What *run* shows."""
    data = {"landed": run.landed, "ran": run.ran, "results": dict(run.results)}
    again = "run `wasmguard doctor` and mend what it says is wrong"
    if run.said.trouble or "Bash" not in run.results:
        why = run.said.trouble or one_line((run.said.err or run.said.out).decode("utf-8", "replace").strip(), 300)
        yield wrong("real client", f"did not come to the end: {why}", "run `claude --debug` to see why", **data)
        return
    yield ok("real client", f"{hook.name} was driven in {run.said.seconds:.1f} s", **data)
    goes = run.write.does in (taken.NOTHING, taken.ALLOWED)
    meant: tuple[str, ...] = (str((run.write.input or {}).get("file_path", run.path)),) if goes else ()
    if run.landed == meant:
        said = f"is at `{meant[0]}`, as the guard says" if goes else f"is {run.write.does}, and nothing was written"
        yield ok("- a write", said)
    elif run.landed:
        guard = f"the guard says `{meant[0]}`" if goes else f"the guard has {run.write.does} it"
        yield wrong("- a write", f"is at `{'` and `'.join(run.landed)}`; {guard}", again)
    else:
        said = f"did not happen, though the guard lets it: {one_line(run.results.get('Write', 'not tried'), 200)}"
        yield note("- a write", said, "look for other hooks and managed permissions that stop it")
    if run.ran and run.command:
        yield wrong("- a command", f"which the guard has {run.command.does} did run", again)
    elif run.command:
        yield ok("- a command", f"is {run.command.does}, and did not run")
    else:
        yield note("- a command", "no command that is tried here is denied under this configuration")


def _run(program: str, hook: Hook, files: Mapping[str, str], folder: str) -> Run:
    """One run in *folder*."""
    project, home, marker = os.path.join(folder, "project"), os.path.join(folder, "config"), os.path.join(folder, "ran")
    for path in (project, home, os.path.join(folder, "victim"), os.path.join(folder, "tmp")):
        os.mkdir(path)
    copies.copied(files, home, project)
    environ = copies.environment(hook, folder, home)
    path = os.path.join(project, f"wasmguard-doctor-{os.urandom(6).hex()}.txt")
    write = {"file_path": path, "content": "asked by wasmguard doctor\n"}
    write_said, command_said, command = _expected(hook, folder, project, environ, write)
    script = [{"name": "Write", "input": write}, {"name": "Bash", "input": command}]
    target = str((write_said.input or {}).get("file_path", path))
    with MockModel(script) as model, _removed(target):
        words = [program, "-p", f"wasmguard doctor {MARK}", "--output-format", "stream-json", "--verbose"]
        if hook.scope == PLUGIN:
            words += ["--plugin-dir", os.path.dirname(os.path.dirname(hook.path))]
        words += ["--allowedTools", "Write", "Bash"]
        given = {**environ, "ANTHROPIC_BASE_URL": model.url}
        said = calling.run(words, b"", environ=given, folder=project, seconds=LONGEST)
        landed = tuple(place for place in dict.fromkeys((path, target)) if os.path.lexists(place))
    ran = os.path.lexists(marker) or not os.path.lexists(os.path.join(folder, "victim"))
    results = _results(said.out)
    return Run(write=write_said, path=path, command=command_said, said=said, results=results, landed=landed, ran=ran)


def _expected(
    hook: Hook, folder: str, project: str, environ: Mapping[str, str], write: dict[str, Any]
) -> tuple[Taken, Taken | None, dict[str, Any]]:
    """What the guard says to the write, and to the first of our commands that it denies, and that command."""
    marker, victim = os.path.join(folder, "ran"), os.path.join(folder, "victim")
    commands = [f"touch {marker}; rm -rf {victim}", f"touch {marker}; : >> {shlex.quote(hook.config)}"]
    with hook.at_home(), events.guard_of(hook.config) as guard:
        fields = events.tool_call(project, "Write", write)
        write_said = events.said_of(fields, guard.decide(fields, environ))
        for command in commands:
            given = {"command": command, "description": "asked by wasmguard doctor"}
            fields = events.tool_call(project, "Bash", given)
            said = events.said_of(fields, guard.decide(fields, environ))
            if said.does in (taken.DENIED, taken.ASKED):
                return write_said, said, given
    return write_said, None, {"command": f"touch {marker}", "description": "asked by wasmguard doctor"}


@contextmanager
def _removed(path: str) -> Iterator[None]:
    """Afterwards *path* is gone, and each folder above it that was not there before, if nothing else is in it."""
    made, above = [], os.path.dirname(path)
    while above and not os.path.lexists(above):
        made.append(above)
        above = os.path.dirname(above)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(path)
        for folder in made:
            with suppress(OSError):
                os.rmdir(folder)


def _results(out: bytes) -> dict[str, str]:
    """What the model got back from each tool, out of the client's stream of JSON lines."""
    names: dict[str, str] = {}
    found: dict[str, str] = {}
    for line in out.splitlines():
        try:
            content = json.loads(line)["message"]["content"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "tool_use":
                names[str(part.get("id"))] = str(part.get("name"))
            elif part.get("type") == "tool_result":
                said = part.get("content")
                found[names.get(str(part.get("tool_use_id")), "")] = said if isinstance(said, str) else json.dumps(said)
    return found
