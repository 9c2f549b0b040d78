"""The Elixir client: its own tests, its callbacks in front of a running daemon, and the real Claude Code behind both.

The numbers are those of the cases that SDK guides promise their users: the same events in, the same decisions out.
"""

import json
import os
import shutil
import subprocess
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import msgpack
import pytest
import wasmtime

from tests.clients.session import Session

pytestmark = pytest.mark.e2e

PROJECT = Path(__file__).parents[2] / "clients" / "elixir"
DRIVER = Path(__file__).parent / "driver.exs"
PATIENCE = 180  # seconds: all of it is compiled
END = [{"text": "end"}]

POLICIES = """
[[policy]]
name = "commands"
module = "builtin:tool-gate"
events = ["PreToolUse", "UserPromptSubmit"]
settings = { deny_commands = ["rm -rf", "sudo"], prompt_words = ["hunter2"] }

[[policy]]
name = "sandbox"
module = "builtin:path-redirect"
tools = ["Write"]
settings = { root = "/sandbox", exempt = ["/sandbox/**"] }
grants.rewrite."Write.file_path" = { within = "/sandbox" }

[[policy]]
name = "permits"
module = "permits.wasm"
tools = ["WebFetch"]
events = ["PermissionRequest"]
grants.effects = ["allow", "deny"]
grants.permissions = true

[[policy]]
name = "permits-ungranted"
module = "permits.wasm"
tools = ["WebSearch"]
events = ["PermissionRequest"]
grants.effects = ["allow", "deny"]

[[policy]]
name = "ends"
module = "ends.wasm"
tools = ["KillShell"]
events = ["PreToolUse"]

[[policy]]
name = "redacts"
module = "redacts.wasm"
tools = ["Grep"]
events = ["PostToolUse"]
grants.rewrite_output."Grep" = { max = "64 KiB" }

[[policy]]
name = "asks"
module = "asks.wasm"
tools = ["NotebookEdit"]

[[policy]]
name = "slow"
module = "loops.wasm"
tools = ["Slow"]

[[policy]]
name = "instructs"
module = "instructs.wasm"
events = ["PreCompact"]

[[policy]]
name = "goes-on"
module = "builtin:budget"
events = ["PreToolUse", "Stop"]
settings = { calls = 1000, turns = 1 }
grants.state = "4 KiB"
"""
READ_ONLY = """
[[policy]]
name = "read-only"
module = "builtin:tool-gate"
settings = { read_only = true }
"""
REDACTS = """
[[policy]]
name = "redacts"
module = "redacts.wasm"
events = ["PostToolUse"]
grants.rewrite_output."Bash" = { max = "64 KiB" }
"""


def guest(answer):
    """A guest that answers *answer*, whatever it is asked."""
    said = msgpack.packb(answer)
    data = "".join(f"\\{byte:02x}" for byte in said)
    return bytes(
        wasmtime.wat2wasm(f"""(module (memory (export "memory") 2) (data (i32.const 16) "{data}")
        (func (export "wasmguard_abi_1")) (func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 65536))
        (func (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const {16 << 32 | len(said)})))""")
    )


def mix(folder, *arguments):
    """What mix does in the client's project, offline, building in *folder*."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "MIX_ENV": "test"}
    environment |= {"MIX_BUILD_PATH": str(folder / "build"), "HEX_OFFLINE": "1", "TMPDIR": str(folder)}
    return subprocess.run(
        ["mix", *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder in which the client was compiled, without a warning."""
    if not shutil.which("mix"):
        pytest.skip("needs Elixir: apt-get install elixir")
    folder = tmp_path_factory.mktemp("elixir")
    done = mix(folder, "compile", "--warnings-as-errors")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Program:
    """An Elixir program that uses the client."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            ["elixir", "-pa", str(folder / "build/lib/wasmguard/ebin"), str(DRIVER)],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def asks(self, use, options, given=None, call=None):
        """What a callback returned, as Elixir writes it, and what the SDK says to the client then."""
        question = {"use": use, "options": options, "input": given or {}, "id": call}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the program ended"
        return json.loads(line)

    def close(self):
        """End it."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        finally:
            self._process.kill()
            self._process.stdout.close()
            self._process.wait(timeout=30)


@pytest.fixture(scope="session")
def program(built):
    program = Program(built)
    yield program
    program.close()


@pytest.fixture(scope="session")
def guests(assembled):
    """The modules that `POLICIES` names."""
    return {
        "permits": assembled("sdk_permits"),
        "ends": assembled("sdk_interrupt"),
        "redacts": assembled("redacts"),
        "asks": assembled("ask"),
        "loops": assembled("loop_evaluate"),
        "instructs": guest({"context": "keep the plan"}),
    }


@pytest.fixture(scope="session")
def policies(daemons, guests):
    """A daemon with `POLICIES`."""
    return daemons(POLICIES, modules=guests)


CALLS = count(1)


@pytest.fixture
def ask(program, policies):
    """Asks the client about an event or a call, as `claude_code` would: `ask("PreToolUse", tool_name="Bash", …)`. Each
    call has an id of its own: one that was denied and then ran would be an alarm."""

    def asked(event, call=None, *, daemon=policies, use=None, sdk="guide", options=(), **fields):
        where = {"url": daemon.url, "token_file": str(daemon.token_file), "sdk": sdk, **dict(options)}
        if event == "can_use_tool":
            given = {"tool_name": call[0], "input": call[1], "permission_suggestions": None, **fields}
        else:
            given = {"hook_event_name": event, "session_id": "s", "cwd": "/w", "transcript_path": "/t.jsonl", **fields}
            given |= {} if call is None else {"tool_name": call[0], "tool_input": call[1]}
        use, call = use or ("can_use_tool" if event == "can_use_tool" else "hook"), f"toolu_{next(CALLS)}"
        return program.asks(use, where, given, call)["said"]

    return asked


def bash(command):
    return "Bash", {"command": command}


def write(path):
    return "Write", {"file_path": path, "content": "x"}


def until(condition, seconds=30):
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


# The client's own tests


def test_its_own_tests_pass(built):
    done = mix(built, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failures" in done.stdout


def test_it_is_formatted(built):
    done = mix(
        built, "format", "--check-formatted", *map(str, [*PROJECT.rglob("*.ex"), *PROJECT.rglob("*.exs"), DRIVER])
    )
    assert done.returncode == 0, done.stderr


def test_it_needs_nothing_but_otp_and_leaves_nothing_behind(built):
    assert "deps: []" in (PROJECT / "mix.exs").read_text(encoding="utf-8")
    assert not (PROJECT / "_build").exists() or "_build" in (PROJECT / ".gitignore").read_text(encoding="utf-8")
    assert not (PROJECT / "mix.lock").exists()


# The callbacks, in front of a running daemon


@pytest.mark.parametrize("use", ["hook", "module"])
def test_4_commands_are_denied_with_a_reason_or_pass(ask, use):
    for command, word in [("rm -rf /tmp/x", "rm -rf"), ("sudo ls", "sudo")]:
        said = ask("PreToolUse", bash(command), use=use)
        assert said.startswith('{:deny, "')
        assert word in said
    assert ask("PreToolUse", bash("ls"), use=use) == ":ok"


@pytest.mark.parametrize("use", ["can_use_tool", "module"])
def test_4_can_use_tool_denies_or_lets_run_what_nobody_objects_to(ask, use):
    assert ask("can_use_tool", bash("sudo ls"), use=use).startswith('{:deny, "')
    assert ask("can_use_tool", bash("ls"), use=use, options={"unasked": "pass"}) == ":allow"
    assert ask("can_use_tool", bash("sudo ls"), use=use, options={"unasked": "pass"}).startswith('{:deny, "')


def test_4_nobody_to_ask_is_a_deny(ask):
    assert "nobody is there to ask" in ask("can_use_tool", bash("ls"))
    assert ask("can_use_tool", ("NotebookEdit", {"notebook_path": "/w/x"}), options={"unasked": "pass"}).startswith(
        "{:deny"
    )
    assert ask("can_use_tool", bash("ls"), options={"human": "allow"}) == ":allow"
    assert ask("can_use_tool", ("NotebookEdit", {"notebook_path": "/w/x"}), options={"human": "allow"}) == ":allow"
    assert ask("can_use_tool", bash("ls"), options={"human": "deny"}) == '{:deny, "the human said no"}'
    assert ask("can_use_tool", bash("ls"), options={"human": {"command": "sudo ls"}}).startswith("{:deny, ")


def test_5_read_only(ask, daemons):
    daemon = daemons(READ_ONLY)
    calls = [
        (write("/w/x"), False),
        (("Read", {"file_path": "/w/x"}), True),
        (("Glob", {"pattern": "*"}), True),
        (("Grep", {"pattern": "x"}), True),
        (bash("ls"), False),
    ]
    for call, passes in calls:
        hook = ask("PreToolUse", call, daemon=daemon)
        asked = ask("can_use_tool", call, daemon=daemon, options={"unasked": "pass"})
        assert (hook, asked) == (":ok", ":allow") if passes else hook.startswith(asked[:6]) and "read" in asked


def test_6_writes_are_moved_into_the_sandbox(ask):
    def moved(path):
        return ask("can_use_tool", write(path), cwd="/w", options={"unasked": "pass"})

    assert moved("/etc/x") == '{:allow, %{"content" => "x", "file_path" => "/sandbox/etc/x"}}'
    assert moved("/sandbox/x") == ":allow"
    assert moved("x") == '{:allow, %{"content" => "x", "file_path" => "/sandbox/w/x"}}'


def test_6_a_hook_moves_without_allowing_or_does_not_let_run(ask):
    said = ask("PreToolUse", write("/etc/x"))
    assert said.startswith("{:deny, ")
    assert "can_use_tool" in said
    moved = '%{"content" => "x", "file_path" => "/sandbox/etc/x"}'
    assert ask("PreToolUse", write("/etc/x"), options={"rewrite_allows": True}) == f"{{:allow, {moved}}}"
    assert ask("PreToolUse", write("/etc/x"), sdk="keywords") == f"{{:ok, [updated_input: {moved}]}}"
    assert ask("PreToolUse", write("/sandbox/x")) == ":ok"


def test_7_permission_updates_reach_the_client_if_they_are_granted(ask):
    said = ask("can_use_tool", ("WebFetch", {"url": "x"}))
    assert said.startswith('{:allow, %{"url" => "x"}, [permissions: [%{"behavior" => "allow"')
    assert '"rules" => [%{"toolName" => "Write"}], "type" => "addRules"' in said
    said = ask("can_use_tool", ("WebSearch", {"query": "x"}))
    assert said.startswith("{:deny, ")
    assert "permits-ungranted" in said


def test_8_a_deny_may_end_the_run(ask):
    said = ask("can_use_tool", ("KillShell", {"shell_id": "1"}))
    assert said.startswith('{:deny, "')
    assert said.endswith(", [interrupt: true]}")
    assert ask("PreToolUse", ("KillShell", {"shell_id": "1"})).startswith('{:deny, "')


def test_9_an_agent_goes_on_while_there_is_budget_and_not_for_ever(ask):
    assert ask("PreToolUse", bash("ls"), session_id="nine") == ":ok"
    assert ask("Stop", stop_hook_active=False, session_id="nine").startswith('{:continue, "')
    assert ask("Stop", stop_hook_active=True, session_id="nine") == ":ok"


def test_10_a_compaction_is_told_what_to_keep(ask):
    said = ask("PreCompact", trigger="manual", custom_instructions=None)
    assert said.startswith('{:instructions, "')
    assert "keep the plan" in said


def test_11_a_prompt_with_a_secret_is_rejected(ask):
    assert ask("UserPromptSubmit", prompt="my password is Hunter2").startswith('{:reject, "')
    assert ask("UserPromptSubmit", prompt="hello") == ":ok"


def test_12_a_slow_policy_is_denied_in_time(ask):
    assert "slow" in ask("PreToolUse", ("Slow", {}))


def test_12_a_matcher_goes_to_the_client_as_it_is(program, policies):
    where = {"url": policies.url, "token_file": str(policies.token_file), "sdk": "guide", "timeout": 1_000}
    wire = program.asks("hooks", {**where, "matcher": "Write|Edit", "seconds": 30})["wire"]
    assert wire["PreToolUse"] == [{"matcher": "Write|Edit", "timeout": 30, "hookCallbackIds": ["PreToolUse"]}]
    assert wire["Stop"] == [{"timeout": 30, "hookCallbackIds": ["Stop"]}]


def test_1_2_3_what_ran_is_told_and_changes_nothing(program, policies):
    where = {"url": policies.url, "token_file": str(policies.token_file), "sdk": "guide"}
    before = policies.status()["events"]
    for number in range(15):
        name = "Bash" if number < 5 else "Read"
        given = {"name": name, "tool_use_id": f"t{number}", "input": {"file_path": "/etc/hosts"}, "result": "x"}
        given |= {"is_error": number in (0, 7), "timestamp": "2026-01-02T03:04:05Z"}
        assert program.asks("tool_callback", where, given)["said"] == ":ok"
    until(lambda: policies.status()["events"] == before + 15)
    assert policies.status()["last"]["event"].startswith("PostToolUse")


def test_an_output_is_redacted_or_the_run_ends(ask):
    output = {"stdout": "secret", "stderr": ""}
    call = ("Grep", {"pattern": "x"})
    assert ask("PostToolUse", call, tool_response=output).startswith("{:continue, ")
    said = ask("PostToolUse", call, tool_response=output, sdk="keywords")
    assert '"stdout" => "[redacted]"' in said
    assert "secret" not in said


def test_an_event_that_nobody_judges_is_ok(ask):
    for event in ("PostToolUse", "PostToolUseFailure", "Notification", "SubagentStart", "SubagentStop"):
        assert ask(event, bash("ls") if "Tool" in event else None, message="x") == ":ok"


def test_strange_inputs_are_judged_as_they_are(ask):
    for text in ("é日本😀", "\x00\x1f\x7f", '"\\\n', "\ufeff", "x" * 300_000):
        assert ask("PreToolUse", ("Other", {"text": text})) == ":ok"
        assert ask("UserPromptSubmit", prompt=text) == ":ok"
        assert ask("UserPromptSubmit", prompt=f"{text}hunter2{text}").startswith("{:reject, ")
    assert ask("PreToolUse", ("Other", {"n": [1, 2**60, 1.5, -0.0, None, True, {"": {}}]})) == ":ok"


def test_a_daemon_that_was_killed_denies_and_one_that_is_back_answers(ask, daemon):
    mine = daemon(READ_ONLY)
    assert ask("PreToolUse", ("Read", {"file_path": "/w/x"}), daemon=mine) == ":ok"
    mine.kill()
    said = ask("PreToolUse", ("Read", {"file_path": "/w/x"}), daemon=mine)
    assert said.startswith("{:deny, ")
    assert "wasmguard serve --daemon" in said
    assert ask("can_use_tool", ("Read", {"file_path": "/w/x"}), daemon=mine).startswith("{:deny, ")
    assert ask("Stop", stop_hook_active=False, daemon=mine) == ":ok"
    mine.restart()
    assert ask("PreToolUse", ("Read", {"file_path": "/w/x"}), daemon=mine) == ":ok"


def test_without_the_daemons_token_nothing_runs(ask, tmp_path):
    file = tmp_path / "token"
    file.write_text("x" * 43)
    file.chmod(0o600)
    assert "(401)" in ask("PreToolUse", ("Read", {}), options={"token_file": str(file)})
    file.chmod(0o644)
    assert "open to others" in ask("PreToolUse", ("Read", {}), options={"token_file": str(file)})
    assert "no token" in ask("can_use_tool", ("Read", {}), options={"token_file": str(tmp_path / "other")})


# The real client behind the words of each SDK


@pytest.fixture
def session(program, policies, tmp_path):
    """A session of the real client, guarded by the Elixir client as an SDK of those words would."""
    if not find_spec("claude_agent_sdk"):
        pytest.skip("the real client comes with the extra `sdk`: pip install -e '.[sdk]'")

    def run(script, *, sdk="keywords", daemon=policies, events=None, options=(), **more):
        where = {"url": daemon.url, "token_file": str(daemon.token_file), "sdk": sdk, **dict(options)}
        told = {"events": events} if events is not None else {}
        hooks = program.asks("hooks", {**where, **told})["wire"] if events != [] else None
        return Session(
            tmp_path,
            script,
            hooks=hooks,
            hook=lambda given, call: program.asks("hook", where, given, call)["wire"],
            can_use_tool=lambda given: program.asks("can_use_tool", where, given, given.get("tool_use_id"))["wire"],
            **more,
        )

    return run


TOUCHES = [[{"tool": "Bash", "input": {"command": "touch $DATA/x", "description": "d"}}], END]
WORDS = pytest.mark.parametrize("sdk", ["tuples", "keywords"])


@WORDS
def test_the_client_obeys_a_deny(session, sdk):
    script = [[{"tool": "Bash", "input": {"command": "sudo touch $DATA/x", "description": "d"}}], END]
    seen = session(script, sdk=sdk, arguments=["--allowedTools", "Bash"])
    assert seen.files() == {}
    assert [result["is_error"] for result in seen.results] == [True]
    assert "sudo" in str(seen.results[0]["content"])


@WORDS
def test_the_client_runs_what_passes(session, sdk):
    seen = session(TOUCHES, sdk=sdk, arguments=["--allowedTools", "Bash"])
    assert seen.files() == {"data/x": ""}


@WORDS
def test_a_pass_does_not_skip_the_clients_own_prompt(session, sdk):
    """There can_use_tool is asked, and nobody is there."""
    seen = session(TOUCHES, sdk=sdk)
    assert seen.files() == {}
    assert "can_use_tool" in [request["subtype"] for request, _ in seen.asked]


def sandboxed(root, daemons):
    return daemons(f"""
[[policy]]
name = "sandbox"
module = "builtin:path-redirect"
settings = {{ root = "{root}/sandbox" }}
grants.rewrite."Write.file_path" = {{ within = "{root}/sandbox" }}
""")


WRITES = [[{"tool": "Write", "input": {"file_path": "$DATA/x", "content": "hello"}}], END]


def test_a_hook_moves_a_write(session, daemons, tmp_path):
    seen = session(WRITES, daemon=sandboxed(tmp_path, daemons), arguments=["--allowedTools", "Write"])
    assert list(seen.files().values()) == ["hello"]
    assert all(name.startswith("sandbox/") for name in seen.files())


@WORDS
def test_can_use_tool_moves_a_write(session, daemons, tmp_path, sdk):
    seen = session(WRITES, sdk=sdk, daemon=sandboxed(tmp_path, daemons), events=[], options={"unasked": "pass"})
    assert list(seen.files().values()) == ["hello"]
    assert all(name.startswith("sandbox/") for name in seen.files())


def test_a_hook_that_cannot_move_without_allowing_lets_nothing_run(session, daemons, tmp_path):
    daemon = sandboxed(tmp_path, daemons)
    seen = session(WRITES, sdk="tuples", daemon=daemon, arguments=["--allowedTools", "Write"])
    assert seen.files() == {}


@WORDS
def test_the_client_goes_on_when_it_shall(session, sdk):
    seen = session([[{"text": "one"}], [{"text": "two"}], [{"text": "three"}]], sdk=sdk)
    assert seen.ended[0]["result"] == "two"


@WORDS
def test_the_client_drops_a_prompt_that_is_rejected(session, sdk):
    seen = session([END], sdk=sdk, prompts=["my password is hunter2"])
    assert not any("hunter2" in json.dumps(request) for request in seen.requests)


def test_the_client_compacts_as_it_was_told(session):
    seen = session([[{"text": "one"}], [{"text": "<summary>all</summary>"}]], prompts=["go on", "/compact"])
    assert any("keep the plan" in json.dumps(request) for request in seen.requests)


def test_the_run_ends_with_a_deny_that_interrupts(session, daemons, guests):
    daemon = daemons('[[policy]]\nname = "ends"\nmodule = "ends.wasm"\nevents = ["PreToolUse"]\n', modules=guests)
    seen = session(WRITES, daemon=daemon, events=[])
    assert seen.files() == {}
    assert seen.ended[0]["subtype"] == "error_during_execution"
    assert seen.ended[0]["terminal_reason"] == "aborted_tools"


SECRET = [[{"tool": "Bash", "input": {"command": "echo top-$((1+1))-secret", "description": "d"}}], END]


def test_the_model_reads_the_redacted_output(session, daemons, guests):
    daemon = daemons(REDACTS, modules=guests)
    seen = session(SECRET, daemon=daemon, arguments=["--allowedTools", "Bash"])
    assert "[redacted]" in str(seen.results)
    assert not any("top-2-secret" in json.dumps(request) for request in seen.requests)


def test_the_model_never_reads_an_output_that_cannot_be_redacted(session, daemons, guests):
    daemon = daemons(REDACTS, modules=guests)
    seen = session(SECRET, sdk="tuples", daemon=daemon, arguments=["--allowedTools", "Bash"])
    assert seen.ended[0]["terminal_reason"] == "hook_stopped"
    assert not any("top-2-secret" in json.dumps(request) for request in seen.requests)


@WORDS
def test_without_a_daemon_the_client_runs_nothing(session, daemon, guests, sdk):
    mine = daemon(POLICIES, modules=guests)
    mine.kill()
    seen = session(TOUCHES, sdk=sdk, daemon=mine, arguments=["--allowedTools", "Bash"])
    assert seen.files() == {}
