"""The TypeScript client: its own tests, then the Claude Agent SDK from npm with the real client and a running daemon.

The model is scripted (`tests/e2e/mock_api.py`), all else is real. Believe the disk first.
"""

import json
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.drive_claude import FOLDERS, MARK, _filled, _swept, clean_environment, client
from tests.e2e.mock_api import MockAPI
from wasmguard.agents import claude
from wasmguard.agents.claude_settings import NEVER
from wasmguard.guest import outputs
from wasmguard.version import __version__

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "clients" / "typescript"
ABOUT = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
LONGEST = 90  # seconds of one session
END = [{"text": "end"}]
WRITE = [[{"tool": "Write", "input": {"file_path": "$DATA/x", "content": "hello"}}], END]
TWICE = [[{"tool": "Write", "input": {"file_path": f"$DATA/{name}", "content": "hello"}}] for name in "xy"]
REDIRECT = {"settings": '{ root = "$SANDBOX" }', 'grants.rewrite."Write.file_path"': '{ within = "$SANDBOX" }'}
EFFECTS = {"grants.effects": '["deny", "ask", "allow"]'}
REQUEST = {"events": '["PermissionRequest"]'}
EDITABLE = {"additionalDirectories": ["$SANDBOX"]}  # `acceptEdits` accepts edits only in folders of the session
MODES = ["default", "acceptEdits", "bypassPermissions"]


@pytest.fixture(scope="session")
def node():
    """Node, new enough for the package."""
    path = shutil.which("node")
    if not path:
        pytest.skip("there is no `node`: install Node.js 20")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    if tuple(map(int, said.strip().lstrip("v").split(".")[:2])) < (20, 3):
        pytest.skip(f"`node` is {said.strip()}: the package needs 20.3")
    return path


@pytest.fixture(scope="session")
def modules(node, tmp_path_factory):
    """A folder with what the package is tested with, exactly the versions that it names, and the package itself."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("there is no `npm`: install it beside Node.js")
    folder = tmp_path_factory.mktemp("npm")
    wanted = {"private": True, "type": "module", "dependencies": ABOUT["devDependencies"]}
    (folder / "package.json").write_text(json.dumps(wanted), encoding="utf-8")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--omit=optional"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (folder / "node_modules" / ABOUT["name"]).symlink_to(PACKAGE)
    return folder / "node_modules"


@dataclass
class Outcome:
    """What happened in one session."""

    root: Path
    asked: list  # what the human was asked
    calls: list  # what `canUseTool` answered
    results: list  # what the model was told about its calls
    result: dict | None  # the last message
    error: str | None  # what the SDK threw
    requests: list  # what the model was sent

    def files(self):
        """The files below project, data and sandbox."""
        tops = (self.root / name for name in ("project", "data", "sandbox"))
        found = sorted(
            path for top in tops for path in top.rglob("*") if path.is_file() and ".claude" not in path.parts
        )
        return [str(path.relative_to(self.root)) for path in found]

    @property
    def told(self):
        """What the model was told about its calls, in order."""
        return [result["text"] for result in self.results]


class Guarded:
    """A daemon with its policies, and sessions of the SDK that it guards."""

    def __init__(self, root, node, modules, daemon, assembled):
        self.root, self._node, self._modules, self._daemon, self._assembled = root, node, modules, daemon, assembled
        self.daemon = None
        for name in FOLDERS:
            (root / name).mkdir()

    def by(self, **policies):
        """Start a daemon; each name is a guest of tests/guests or a built-in policy, its value the lines about it."""
        blocks, guests = [], {}
        for name, lines in policies.items():
            builtin = name in ("path_redirect", "tool_gate")
            if not builtin:
                guests[name] = self._assembled(name)
            module = f"builtin:{name.replace('_', '-')}" if builtin else f"{name}.wasm"
            more = "\n".join(f"{key} = {value}" for key, value in lines.items())
            blocks.append(f'[[policy]]\nname = "{name.replace("_", "-")}"\nmodule = "{module}"\n{more}\n')
        text = "\n".join(blocks).replace("$SANDBOX", f"{self.root}/sandbox")
        self.daemon = self._daemon(text, modules=guests)
        return self

    def runs(self, script=WRITE, *, guard="options", **scenario):
        """The outcome of one session in which the model says *script*."""
        options = scenario.pop("options", {})
        mark = uuid.uuid4().hex
        with MockAPI(_filled({"main": script}, self.root)) as api:
            environment = {**clean_environment(self.root, api.url), MARK: mark}
            said = {
                "guard": guard,
                "sdk": str(self._modules / "@anthropic-ai/claude-agent-sdk/sdk.mjs"),
                "connect": {"url": self.daemon.url, "tokenFile": str(self.daemon.token_file)},
                "prompt": "go on [[script:main]]",
                "options": {
                    "pathToClaudeCodeExecutable": str(client()),
                    "cwd": f"{self.root}/project",
                    "env": environment,
                    "settingSources": [],
                    "permissionMode": "default",
                    **_filled(options, self.root),
                },
                **_filled(scenario, self.root),
            }
            path = self.root / "scenario.json"
            path.write_text(json.dumps(said), encoding="utf-8")
            try:
                done = subprocess.run(
                    [self._node, str(HERE / "session.mjs"), str(path)],
                    cwd=self.root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=LONGEST,
                    check=False,
                )
            finally:
                left_over = _swept(mark)
            assert done.returncode == 0, done.stderr
            assert not left_over
            return Outcome(root=self.root, requests=api.requests, **json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def guarded(tmp_path, node, modules, daemon, assembled):
    if not find_spec("claude_agent_sdk"):
        pytest.skip("the real client comes with the extra `sdk`: pip install -e '.[sdk]'")
    return Guarded(tmp_path.resolve(), node, modules, daemon, assembled)


def in_sandbox(outcome, *names):
    return [f"sandbox{outcome.root}/data/{name}" for name in names]


# The package


def test_its_own_tests_pass(node):
    files = sorted(map(str, (PACKAGE / "test").glob("*.test.js")))
    assert files
    done = subprocess.run(
        [node, "--test", *files], cwd=PACKAGE, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "# skipped 0" in done.stdout or "ℹ skipped 0" in done.stdout


def test_it_depends_on_nothing_and_pins_what_it_is_tested_with():
    assert not ABOUT.keys() & {"dependencies", "peerDependencies", "optionalDependencies", "bundleDependencies"}
    assert all(version[0].isdecimal() for version in ABOUT["devDependencies"].values())
    assert ABOUT["version"] == __version__
    assert not [*PACKAGE.glob("*lock*")]  # it would name where packages come from


def test_what_it_publishes_is_its_source_its_types_and_its_readme(node, tmp_path):
    npm = shutil.which("npm")
    command = [npm, "pack", "--json", "--pack-destination", str(tmp_path)]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=60, check=True)
    packed = json.loads(done.stdout)
    (packed,) = packed if isinstance(packed, list) else packed.values()
    files = {file["path"] for file in packed["files"]}
    source = {f"src/{path.name}" for path in (PACKAGE / "src").iterdir()}
    assert files == source | {"README.md", "index.d.ts", "package.json"}


def test_its_types_fit_the_sdks(node, modules):
    folder = modules.parent
    (folder / "use.ts").write_text((PACKAGE / "test" / "types.ts").read_text(encoding="utf-8"), encoding="utf-8")
    flags = ["--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--types", "node", "--skipLibCheck"]
    command = [node, str(modules / "typescript/bin/tsc"), *flags, "use.ts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_it_refuses_each_event_as_the_hook_does(node):
    """But for a tool's output, which is withheld: what could not be looked at may hold what a policy takes out."""
    program = (
        'import { EVENTS, refusal } from "./src/answers.js";'
        "const said = EVENTS.map((name) => [name, refusal({ hook_event_name: name }, 'why')]);"
        "console.log(JSON.stringify(Object.fromEntries(said)));"
    )
    command = [node, "--input-type=module", "-e", program]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=60, check=True)
    said = json.loads(done.stdout)
    assert said.keys() == claude.KNOWN.keys() - NEVER
    said.pop("PostToolUse")
    assert said == {name: claude.refusal(name, "why") for name in said}


WITHHELD = [
    {"stdout": "s", "stderr": "", "interrupted": False, "isImage": False, "n": 1, "gone": None},
    {"type": "text", "file": {"filePath": "/s", "content": "s", "numLines": 1}},
    {"type": "image", "file": {"base64": "c2VjcmV0", "type": "image/jpeg", "originalSize": 7}},
    {"mode": "files_with_matches", "status": "", "state": "x" * 25, "level": "s3", "op": "a-b_C", "action": "é"},
    [
        {"type": "text", "text": "s"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/x", "data": "s"}},
    ],
    [["s", {"type": {"type": "pdf"}}], "type", {"type": "pdf\n"}],
    {"a secret": "s", "stdout": {"-x": 1, "k" * 65: 2, "k" * 64: 3, "a\n": 4, "é": 5, "a.b-c_d": 6, "": 7}},
    *("text", "", None, 7, {}, []),
]


def test_it_withholds_an_output_as_the_guard_does(node):
    program = (
        'import { readFileSync } from "node:fs"; import { withhold } from "./src/answers.js";'
        "const given = JSON.parse(readFileSync(0, 'utf8'));"
        "const tools = [undefined, null, 'Bash', 'mcp__a__b'];"
        "console.log(JSON.stringify(tools.map((tool) => given.map((output) => withhold(output, tool)))));"
    )
    command = [node, "--input-type=module", "-e", program]
    given = json.dumps(WITHHELD)
    done = subprocess.run(command, cwd=PACKAGE, input=given, capture_output=True, text=True, timeout=60, check=True)
    said = done.stdout.replace("[withheld by wasmguard: nobody could judge this output]", outputs.NOTICE)
    tools = (None, None, "Bash", "mcp__a__b")
    assert json.loads(said) == [[outputs.withheld(output, tool) for output in WITHHELD] for tool in tools]


# What the policies say, as the SDK carries it out


@pytest.mark.parametrize("guard", ["options", "callback", "hooks"])
def test_a_denied_call_does_not_run_and_the_model_reads_why(guarded, guard):
    outcome = guarded.by(deny={}).runs(guard=guard)
    assert outcome.files() == []
    assert 'policy "deny" says' in outcome.told[0]
    assert outcome.results[0]["error"]
    assert outcome.result["subtype"] == "success"
    sent = [part for request in outcome.requests for part in request["tool_results"]]
    assert outcome.told[0] in [part["content"] for part in sent]


@pytest.mark.parametrize("mode", MODES)
def test_row_16_the_guard_decides_in_every_permission_mode(guarded, mode):
    options = {"permissionMode": mode, "allowDangerouslySkipPermissions": mode == "bypassPermissions"}
    outcome = guarded.by(deny={}).runs(options=options)
    assert outcome.files() == []
    assert "says (untrusted text)" in outcome.told[0]


@pytest.mark.parametrize("mode", MODES)
def test_a_write_lands_in_the_sandbox_in_every_permission_mode(guarded, mode):
    options = {"permissionMode": mode, "allowDangerouslySkipPermissions": mode == "bypassPermissions", **EDITABLE}
    human = {"behavior": "allow"} if mode == "default" else None
    outcome = guarded.by(path_redirect=REDIRECT).runs(options=options, human=human)
    assert outcome.files() == in_sandbox(outcome, "x")


@pytest.mark.parametrize("unasked", ["deny", "pass"])
def test_the_callback_alone_rewrites(guarded, unasked):
    outcome = guarded.by(path_redirect=REDIRECT).runs(guard="callback", about={"unasked": unasked})
    assert outcome.files() == (in_sandbox(outcome, "x") if unasked == "pass" else [])


def test_a_deny_that_interrupts_ends_the_run(guarded):
    outcome = guarded.by(sdk_interrupt=REQUEST).runs(TWICE)
    assert outcome.files() == []
    assert len(outcome.results) == 1
    assert outcome.calls[0]["answer"]["interrupt"] is True
    assert outcome.result["subtype"] != "success" or outcome.result["terminal_reason"] == "aborted_tools"


def test_where_nobody_can_be_asked_what_should_be_is_denied(guarded):
    outcome = guarded.by(ask={}).runs(options={"allowedTools": ["Write"]})
    assert outcome.files() == []
    assert "nobody is there to ask" in outcome.told[0]


def test_a_human_is_asked_with_the_reason_and_his_yes_counts(guarded):
    outcome = guarded.by(ask={}).runs(human={"behavior": "allow"})
    assert outcome.files() == ["data/x"]
    (asked,) = outcome.asked
    assert asked["toolName"] == "Write"
    assert asked["input"]["file_path"] == f"{outcome.root}/data/x"


def test_a_humans_no_is_read_by_the_model(guarded):
    outcome = guarded.by(ask={}).runs(human={"behavior": "deny", "message": "not today"})
    assert outcome.files() == []
    assert "not today" in outcome.told[0]


def test_a_human_sees_the_rewritten_input_and_what_he_changes_is_judged_again(guarded):
    human = {"changes": {"file_path": "$DATA/other"}}
    outcome = guarded.by(path_redirect=REDIRECT, ask={}).runs(human=human)
    assert [asked["input"]["file_path"] for asked in outcome.asked] == [f"{outcome.root}/sandbox{outcome.root}/data/x"]
    assert outcome.files() == in_sandbox(outcome, "other")


def test_what_a_human_may_not_change_the_input_to_is_denied(guarded):
    gate = {"settings": '{ deny_extensions = [".sh"] }', "events": '["PreToolUse"]'}
    outcome = guarded.by(tool_gate=gate).runs(human={"changes": {"file_path": "$DATA/x.sh"}})
    assert len(outcome.asked) == 1
    assert outcome.files() == []
    assert ".sh" in outcome.told[0]


def test_a_human_who_gives_no_answer_denies(guarded):
    outcome = guarded.by(ask={}).runs(human={"behavior": "perhaps"})
    assert outcome.files() == []
    assert "the human callback gave no answer" in outcome.told[0]


def test_a_permission_update_that_is_granted_is_in_force(guarded):
    granted = {**REQUEST, **EFFECTS, "grants.permissions": '["session"]'}
    outcome = guarded.by(sdk_permits=granted).runs([*TWICE, END])
    assert outcome.files() == ["data/x", "data/y"]
    assert len(outcome.calls) == 1  # then the rule is there, and nobody is asked
    assert outcome.calls[0]["answer"]["updatedPermissions"][0]["type"] == "addRules"


def test_a_permission_update_that_is_not_granted_is_a_fault(guarded):
    outcome = guarded.by(sdk_permits={**REQUEST, **EFFECTS}).runs()
    assert outcome.files() == []
    assert outcome.calls[0]["answer"]["behavior"] == "deny"


# What fails


@pytest.mark.parametrize("events", [["PreToolUse"], ["PreToolUse", "PostToolBatch"]])
def test_a_daemon_that_is_killed_in_mid_session_lets_nothing_more_through(guarded, events):
    """The next call is denied; where the results of a call are judged, the run ends before the model reads them."""
    guarded.by(path_redirect=REDIRECT)
    options = {"permissionMode": "acceptEdits", **EDITABLE}
    script = [TWICE[0], [{"sleep": 1}, *TWICE[1]], END]
    outcome = guarded.runs(script, options=options, kill=guarded.daemon.process.pid, hooks={"events": events})
    guarded.daemon.process.wait(timeout=30)
    assert outcome.files() == in_sandbox(outcome, "x")
    if "PostToolBatch" in events:
        assert outcome.result["terminal_reason"] == "hook_stopped"
    else:
        assert [result["error"] for result in outcome.results] == [False, True]
        assert "wasmguard: the daemon at 127.0.0.1" in outcome.told[1]


@pytest.mark.parametrize(
    "script",
    [
        [[{"tool": "Bash", "input": {"command": "echo a-$((6*7))-secret", "description": "d"}}], END],
        [[{"tool": "Read", "input": {"file_path": "$DATA/secret"}}], END],
        [[{"tool": "Grep", "input": {"pattern": "42", "path": "$DATA", "output_mode": "content"}}], END],
        [[{"tool": "Grep", "input": {"pattern": "42", "path": "$DATA"}}], END],
        [[{"tool": "Glob", "input": {"pattern": "*", "path": "$DATA"}}], END],
        [[{"tool": "Write", "input": {"file_path": "$DATA/a-42-secret-too", "content": "x"}}], END],
    ],
    ids=["Bash", "Read", "Grep, lines", "Grep, files", "Glob", "Write"],
)
def test_an_output_that_nobody_could_look_at_does_not_reach_the_model(guarded, script):
    guarded.by(path_redirect=REDIRECT).daemon.kill()
    (guarded.root / "data/secret").write_text("a-42-secret")
    (guarded.root / "data/a-42-secret").write_text("")
    tools = ["Bash", "Read", "Grep", "Glob", "Write"]
    options = {"tools": tools, "allowedTools": tools, "additionalDirectories": ["$DATA"]}
    outcome = guarded.runs(script, guard="hooks", hooks={"events": ["PostToolUse"]}, options=options)
    assert not outcome.results[0]["error"]
    assert "withheld" in outcome.told[0]
    sent = json.dumps(outcome.requests)
    assert "a-42-secret" not in sent
    assert "wasmguard: the daemon at 127.0.0.1" in sent


@pytest.mark.parametrize("guard", ["options", "callback", "hooks"])
@pytest.mark.parametrize("wrong", ["token", "port"])
def test_without_an_answer_nothing_runs(guarded, guard, wrong):
    guarded.by(path_redirect=REDIRECT)
    connect = {"url": guarded.daemon.url, "token": "x" * 43 if wrong == "token" else guarded.daemon.token}
    if wrong == "port":
        guarded.daemon.kill()
    outcome = guarded.runs(guard=guard, connect=connect, about={"unasked": "pass"})
    assert outcome.files() == []
    assert "wasmguard" in json.dumps([outcome.told, outcome.result])


# The examples of the guides


@pytest.mark.parametrize("guard", ["options", "callback"])
@pytest.mark.parametrize(
    ("tool", "given"),
    [("WebSearch", {"query": "wasm"}), ("WebFetch", {"url": "http://127.0.0.1:9/", "prompt": "what is it"})],
)
def test_row_14_the_web_is_denied_and_the_model_is_told_to_do_without(guarded, guard, tool, given):
    gate = {"settings": '{ deny_tools = ["WebSearch", "WebFetch"] }', "events": '["PreToolUse"]'}
    outcome = guarded.by(tool_gate=gate).runs([[{"tool": tool, "input": given}], END], guard=guard)
    assert outcome.results[0]["error"]
    assert tool in outcome.told[0]
    assert "denied" in outcome.told[0]


@pytest.mark.parametrize("guard", ["options", "callback"])
def test_row_15_searches_only_about_the_client_and_writes_only_into_his_folder(guarded, guard):
    acme = {"tools": '["WebSearch", "Write"]', "events": '["PreToolUse"]'}
    script = [
        [{"tool": "WebSearch", "input": {"query": "their competitors"}}],
        [{"tool": "WebSearch", "input": {"query": "Acme and others"}}],
        [{"tool": "Write", "input": {"file_path": "$DATA/other/x", "content": "hello"}}],
        [{"tool": "Write", "input": {"file_path": "$DATA/Acme/x", "content": "hello"}}],
        END,
    ]
    outcome = guarded.by(names_acme=acme).runs(script, guard=guard, human={"behavior": "allow"})
    assert ["only searches about Acme" in told for told in outcome.told] == [True, False, True, False]
    assert outcome.files() == ["data/Acme/x"]
    assert [asked["toolName"] for asked in outcome.asked] == ["WebSearch", "Write"]


@pytest.mark.parametrize("guard", ["options", "callback"])
def test_a_redirect_moves_what_is_outside_and_leaves_what_is_inside(guarded, guard):
    script = [
        [{"tool": "Write", "input": {"file_path": "$SANDBOX/in", "content": "hello"}}],
        [{"tool": "Write", "input": {"file_path": "$DATA/out", "content": "hello"}}],
        END,
    ]
    outcome = guarded.by(path_redirect=REDIRECT).runs(script, guard=guard, human={"behavior": "allow"})
    assert outcome.files() == sorted(["sandbox/in", *in_sandbox(outcome, "out")])
