"""The main job in the real Claude Code: what the client does with what wasmguard says. The disk is the witness.

Each test takes half a second to two: the client is real, only the model is scripted (`mock_api`).
"""

import json
import site
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from tests.e2e.conftest import END, PYTHON, REDIRECT, WRITE, WRITES, answers

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
BASH = [[{"tool": "Bash", "input": {"command": "touch $DATA/created", "description": "d"}}], END]

NO_SCRIPTS = """
[[policy]]
name = "no-scripts"
module = "builtin:tool-gate"
events = ["PreToolUse"]
settings = { deny_extensions = [".sh"] }
"""


def policy(module, name="only", **fields):
    """The configuration of one policy; the fields are TOML."""
    lines = [f"{key} = {value}" for key, value in fields.items()]
    return "\n".join(["[[policy]]", f'name = "{name}"', f'module = "{module}"', *lines, ""])


def in_sandbox(outcome, name):
    """Where a write to `data/<name>` lands."""
    return f"sandbox{outcome.root}/data/{name}"


def refused_by_the_client(outcome):
    """The client asked its user, and nobody sat there."""
    (call,) = outcome.calls
    return call.is_error and "permission" in call.result and not outcome.files()


# Rewrite, deny, pass.


def test_a_write_lands_in_the_sandbox_and_nowhere_else(owner):
    owner.locks(REDIRECT)
    outcome = owner.runs(WRITE, *WRITES)
    assert outcome.files() == {in_sandbox(outcome, "x"): 5}
    assert [call.is_error for call in outcome.calls] == [False]
    assert outcome.left_over == []


def test_a_write_of_300_kilobytes_lands_there_whole(owner):
    owner.locks(REDIRECT)
    script = [[{"tool": "Write", "input": {"file_path": "$DATA/big", "content": "@@REP:é:150000"}}], END]
    outcome = owner.runs(script, *WRITES)
    assert outcome.files() == {in_sandbox(outcome, "big"): 300_000}


def test_a_denied_command_does_not_run_and_the_model_reads_why(owner):
    owner.locks(policy("builtin:tool-gate", settings='{ deny_commands = ["touch"] }'))
    outcome = owner.runs(BASH, "--allowedTools", "Bash")
    assert outcome.files() == {}
    (call,) = outcome.calls
    assert call.is_error
    assert 'policy "only" says' in call.result
    assert "touch" in call.result
    assert [denial["tool_name"] for denial in outcome.denials] == ["Bash"]


def test_a_passed_call_meets_the_permissions_of_the_client(owner):
    owner.locks(policy("builtin:tool-gate", settings='{ deny_commands = ["touch"] }'))
    outcome = owner.runs(WRITE)
    assert answers(outcome) == [{}]
    assert refused_by_the_client(outcome)


def test_a_passed_call_runs_where_the_client_permits_it(owner):
    owner.locks(policy("builtin:tool-gate", settings='{ deny_commands = ["touch"] }'))
    outcome = owner.runs(WRITE, *WRITES)
    assert answers(outcome) == [{}]
    assert outcome.files() == {"data/x": 5}


def test_a_rewrite_on_pass_meets_the_permissions_of_the_client(owner):
    owner.locks(REDIRECT)
    assert refused_by_the_client(owner.runs(WRITE))


def test_an_allow_without_a_grant_does_not_skip_the_prompt(owner):
    owner.locks(policy(owner.guest("allow")))
    assert refused_by_the_client(owner.runs(WRITE))


def test_an_allow_with_a_grant_skips_the_prompt(owner):
    owner.locks(policy(owner.guest("allow"), **{"grants.effects": '["deny", "ask", "allow"]'}))
    assert owner.runs(WRITE).files() == {"data/x": 5}


def test_an_allow_does_not_beat_a_deny_rule_of_the_client(owner):
    owner.locks(policy(owner.guest("allow"), **{"grants.effects": '["deny", "ask", "allow"]'}))
    assert owner.runs(WRITE, "--disallowedTools", "Write").files() == {}


def test_an_ask_is_refused_where_nobody_can_be_asked(owner):
    owner.locks(policy(owner.guest("ask")))
    outcome = owner.runs(WRITE, *WRITES)
    assert outcome.files() == {}
    assert outcome.calls[0].is_error


@pytest.mark.parametrize("mode", ["bypassPermissions", "acceptEdits", "dontAsk"])
def test_a_deny_holds_in_every_permission_mode(owner, mode):
    owner.locks(policy(owner.guest("deny")))
    outcome = owner.runs(WRITE, "--permission-mode", mode)
    assert outcome.files() == {}
    assert 'policy "only" says' in outcome.calls[0].result


def test_a_call_of_a_sub_agent_is_guarded_too(owner):
    owner.locks(REDIRECT)
    sub = {"description": "d", "prompt": "go on [[script:sub]]", "subagent_type": "general-purpose"}
    script = [[{"tool": "Agent", "input": sub}], [{"sleep": 1.5}, *END]]  # it runs in the background
    outcome = owner.runs(script, "--allowedTools", "Agent", "Write", scripts={"sub": WRITE})
    assert outcome.files() == {in_sandbox(outcome, "x"): 5}


# Several policies.


@pytest.mark.parametrize(
    "config", [REDIRECT + NO_SCRIPTS, NO_SCRIPTS + REDIRECT], ids=["redirect first", "guard first"]
)
def test_a_guard_and_a_redirect_agree_in_both_orders(owner, config):
    owner.locks(config)
    script = [
        [{"tool": "Write", "input": {"file_path": "$DATA/x.sh", "content": "hello"}}],
        [{"tool": "Write", "input": {"file_path": "$DATA/x.txt", "content": "hello"}}],
        END,
    ]
    outcome = owner.runs(script, *WRITES)
    assert outcome.files() == {in_sandbox(outcome, "x.txt"): 5}
    assert 'policy "no-scripts" says' in outcome.calls[0].result


@pytest.mark.parametrize("first", ["constant", "sandbox"])
def test_two_redirects_that_never_agree_are_denied_in_both_orders(owner, first):
    granted = {'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}
    constant = policy(owner.guest("rewrite_constant"), **granted)
    owner.locks(constant + REDIRECT if first == "constant" else REDIRECT + constant)
    outcome = owner.runs(WRITE, *WRITES)
    assert outcome.files() == {}
    assert "no rest after" in outcome.calls[0].result


# Other events.


def test_a_denied_prompt_never_reaches_the_model(owner):
    owner.locks(policy("builtin:tool-gate", settings='{ prompt_words = ["sk-live-"] }'))
    options = {"events": ("UserPromptSubmit",), "prompt": "use the key sk-live-123 for this"}
    outcome = owner.runs(WRITE, *WRITES, **options)
    assert [answer["decision"] for answer in answers(outcome, "UserPromptSubmit")] == ["block"]
    assert "sk-live-123" not in json.dumps(outcome.requests)
    assert [request for request in outcome.requests if request["script"]] == []
    assert outcome.files() == {}


def test_a_stop_hook_that_cannot_decide_lets_the_agent_stop(owner):
    owner.config.write_text("[[policy]\n", encoding="utf-8")
    outcome = owner.runs([END], events=("Stop", "SessionStart", "SessionEnd"))
    assert answers(outcome, "Stop") == [{}]
    assert answers(outcome, "SessionStart") == [{}]
    assert sum(request["script"] == "main" for request in outcome.requests) == 1
    assert outcome.returncode == 0


KILL_SWITCH = """mkdir -p .claude; echo '{"disableAllHooks": true}' > .claude/settings.local.json"""
HIDDEN = f"echo {b64encode(KILL_SWITCH.encode()).decode()} | base64 -d | sh"  # no reader of commands can see that
TRUSTING = "self_protection = false\n"
PROTECTED = ""


@pytest.mark.parametrize(
    ("top", "command", "events", "thrown"),
    [
        pytest.param(TRUSTING, KILL_SWITCH, ("PreToolUse",), True, id="unprotected"),
        pytest.param(PROTECTED, KILL_SWITCH, ("PreToolUse",), False, id="the command is denied"),
        pytest.param(PROTECTED, HIDDEN, ("PreToolUse",), True, id="hidden"),
        pytest.param(PROTECTED, HIDDEN, ("PreToolUse", "ConfigChange"), False, id="hidden, the change is denied"),
    ],
)
def test_the_kill_switch_of_the_client_cannot_be_thrown_in_mid_session(owner, top, command, events, thrown):
    """Where nobody stops it, it can: those cases show that the others test something."""
    owner.locks(top + REDIRECT)
    script = [
        [{"tool": "Bash", "input": {"command": command, "description": "d"}}],
        [{"sleep": 2}, *WRITE[0]],
        END,
    ]
    outcome = owner.runs(script, "--permission-mode", "bypassPermissions", events=events)
    written = {name for name in outcome.files() if not name.startswith("project")}
    assert written == {"data/x" if thrown else in_sandbox(outcome, "x")}


# Whatever happens to the guard.

SLOW = {"limits": '{ fuel = 1_000_000_000, clock = "2 s" }', "on_fault": '"ask"'}  # so that all of them are asked
KILLER = """#!/bin/sh
exec 3<&0
"$@" <&3 &
hook=$!
until [ -n "$(cat /proc/$hook/task/$hook/children)" ]; do sleep 0.01; done
sleep 0.1
kill -KILL VICTIMS
wait $hook
"""
CHILD = "$(cat /proc/$hook/task/$hook/children)"


@pytest.fixture
def killed(owner):
    """What happens when processes of the hook are killed while it decides."""

    def runs(victims):
        slow = owner.guest("loop_evaluate")
        owner.locks("".join(policy(slow, f"slow-{number}", **SLOW) for number in range(3)))
        script = owner.root / "guard" / "killer.sh"
        script.write_text(KILLER.replace("VICTIMS", victims), encoding="utf-8")
        return owner.runs(WRITE, *WRITES, hook=owner.hook("/bin/sh", str(script), *PYTHON))

    return runs


def test_killing_the_whole_guard_in_mid_decision_denies(killed):
    outcome = killed(f"$hook {CHILD}")
    assert [hook["exit_code"] for hook in outcome.hooks] == [137]
    assert outcome.files() == {}
    assert outcome.calls[0].is_error


def test_killing_the_process_that_decides_denies_and_says_so(killed):
    outcome = killed(CHILD)
    assert outcome.files() == {}
    assert "the deciding process ended by signal 9" in outcome.calls[0].result


def missing(owner):
    return ("wasmguard.toml", "write it, or pass --config PATH")


def no_toml(owner):
    owner.config.write_text("[[policy]\n", encoding="utf-8")
    return ("wasmguard.toml:1", "not TOML")


def changed(owner):
    module = owner.guest("deny")
    owner.locks(policy(module))
    Path(module).write_bytes(Path(owner.guest("pass")).read_bytes())
    return ("deny.wasm", "changed since it was locked", "run `wasmguard lock`")


@pytest.mark.parametrize("breaks", [missing, no_toml, changed])
def test_what_cannot_be_used_denies_and_says_where_and_what_to_do(owner, breaks):
    words = breaks(owner)
    outcome = owner.runs(WRITE, *WRITES)
    assert outcome.files() == {}
    assert [word for word in words if word not in outcome.calls[0].result] == []


def test_an_installation_that_prints_at_the_end_still_answers_with_one_document(owner):
    """Any output beside the answer, and the client would take the call for unguarded."""
    owner.locks(policy(owner.guest("deny")))
    venv = owner.root / "guard" / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    noisy = "import atexit, sys; sys.stdout.write('hello'); atexit.register(print, 'goodbye', flush=True)"
    lines = [*site.getsitepackages(), str(ROOT), noisy]
    (folder,) = venv.glob("lib/python*/site-packages")
    (folder / "noisy.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = owner.runs(WRITE, *WRITES, hook=owner.hook(str(venv / "bin" / "python"), *PYTHON[1:]))
    assert [answer["hookSpecificOutput"]["permissionDecision"] for answer in answers(outcome)] == ["deny"]
    assert outcome.files() == {}
