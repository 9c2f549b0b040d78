"""What four public guides of agent SDKs promise, as sandboxed policies: the same events in, the same decisions out.

One test for each row of the table that the guides come to; its number stands in the name. The policies are those that
come with wasmguard, set up as an owner would. What concerns a client is shown through the real one as well: rows 7, 8,
10, 14 and 16 in `tests/e2e/`, the others there in passing.
"""

import asyncio

import pytest

from wasmguard import Effect, Guard
from wasmguard.agents import claude
from wasmguard.lock import lock

PASS, ALLOW, ASK, DENY = Effect
BASE = {"session_id": "s", "transcript_path": "/home/dev/.claude/projects/-p/s.jsonl", "cwd": "/home/dev/p"}


@pytest.fixture
def guarded(tmp_path, own_home, assembled):
    """`guarded(text)` is a guard under the configuration *text*; `$NAME.wasm` in it is a guest of the tests."""
    made = []

    def load(text):
        folder = tmp_path / f"guard-{len(made)}"
        folder.mkdir()
        for name in ("unreachable", "sdk_permits", "sdk_interrupt", "loop_evaluate"):
            if f"{name}.wasm" in text:
                (folder / f"{name}.wasm").write_bytes(assembled(name))
        path = folder / "wasmguard.toml"
        path.write_text(text, encoding="utf-8")
        lock(str(path), repin=True)
        made.append(Guard.load(path, isolation="thread"))
        return made[-1]

    yield load
    for guard in made:
        guard.close()


def pre(tool, **tool_input):
    return BASE | {
        "hook_event_name": "PreToolUse",
        "permission_mode": "default",
        "tool_name": tool,
        "tool_input": tool_input,
        "tool_use_id": "t",
    }


def post(tool, tool_input, response="ok", number=0, **fields):
    about = {"tool_name": tool, "tool_input": tool_input, "tool_use_id": f"t{number}", "duration_ms": 10}
    return BASE | {"hook_event_name": "PostToolUse", "tool_response": response, **about, **fields}


def failure(tool, tool_input, number=0, error="it failed"):
    fields = {"hook_event_name": "PostToolUseFailure", "error": error}
    made = post(tool, tool_input, None, number) | fields
    del made["tool_response"]
    return made


def happened(name, **fields):
    return BASE | {"hook_event_name": name, **fields}


def notes(decision):
    return [note for verdict in decision.verdicts for note in verdict.notes]


def effects(guard, *events):
    return [guard.decide(event).effect for event in events]


def said(guard, event):
    """What the agent is told: the answer in its own words."""
    fields = claude.from_mapping(event)
    return claude.render(fields, guard.decide(event))


LOG = '[[policy]]\nname = "log"\nmodule = "builtin:workflow-log"\ngrants.state = "12 KiB"\n'
GATE = '[[policy]]\nname = "gate"\nmodule = "builtin:tool-gate"\n'
REDIRECT = """
[[policy]]
name = "sandbox"
module = "builtin:path-redirect"
settings = { root = "/sandbox" }
grants.rewrite."Write.file_path" = { within = "/sandbox" }
"""
BACKUP = """
[[policy]]
name = "backup"
module = "builtin:backup-redirect"
grants.rewrite."Write.file_path" = { within = "/home/dev" }
"""


def test_1_a_write_to_a_system_path_is_alerted_and_nothing_else_happens(guarded):
    guard = guarded(LOG)
    event = post("Edit", {"file_path": "/etc/hosts", "old_string": "a", "new_string": "b"})
    decision = guard.decide(event)
    assert any("/etc/hosts" in note for note in notes(decision))
    assert said(guard, event) == {}


def test_2_calls_and_errors_are_counted_per_tool(guarded):
    guard = guarded(LOG)
    for number in range(15):
        tool, about = ("Bash", {"command": "ls"}) if number < 5 else ("Read", {"file_path": "/a"})
        made = failure if number in (1, 7) else post
        guard.decide(made(tool, about, number=number))
    summary = " ".join(notes(guard.decide(happened("Stop", stop_hook_active=False))))
    for part in ("15", "Bash", "5", "Read", "10", "2"):
        assert part in summary, summary


def test_3_an_operation_is_noted_with_tool_id_input_result_and_error(guarded):
    guard = guarded(LOG + "settings = { audit = true }\n")
    ran = " ".join(notes(guard.decide(post("Bash", {"command": "uname"}, {"stdout": "Linux"}, 7))))
    assert all(part in ran for part in ("Bash", "t7", "uname", "Linux")), ran
    failed = " ".join(notes(guard.decide(failure("Bash", {"command": "false"}, 8, "exit code 1"))))
    assert all(part in failed for part in ("Bash", "t8", "false", "exit code 1")), failed


def test_4_commands_are_denied_with_a_reason(guarded):
    guard = guarded(GATE + 'settings = { deny_commands = ["rm -rf", "sudo"] }\n')
    calls = [pre("Bash", command=command) for command in ("rm -rf /tmp/x", "sudo ls", "ls")]
    assert effects(guard, *calls) == [DENY, DENY, PASS]
    assert "rm -rf" in guard.decide(calls[0]).reason


def test_5_in_read_only_mode_only_readers_run(guarded):
    guard = guarded(GATE + "settings = { read_only = true }\n")
    calls = [
        pre("Write", file_path="/a", content=""),
        pre("Read", file_path="/a"),
        pre("Glob", pattern="*"),
        pre("Grep", pattern="x"),
        pre("Bash", command="ls"),
    ]
    assert effects(guard, *calls) == [DENY, PASS, PASS, PASS, DENY]


def test_6_writes_are_moved_into_the_sandbox(guarded):
    guard = guarded(REDIRECT)
    assert guard.decide(pre("Write", file_path="/etc/x", content="")).rewrite["file_path"] == "/sandbox/etc/x"
    assert guard.decide(pre("Write", file_path="/sandbox/x", content="")).rewrite is None
    relative = guard.decide(pre("Write", file_path="notes/x", content="")).rewrite["file_path"]
    assert relative.startswith("/sandbox/")


def test_7_permission_updates_reach_the_agent_with_their_grant_and_are_a_fault_without(guarded):
    policy = '[[policy]]\nname = "p"\nmodule = "sdk_permits.wasm"\nevents = ["PermissionRequest"]\n'
    event = pre("Bash", command="ls") | {"hook_event_name": "PermissionRequest"}
    granted = guarded(policy + 'grants.effects = ["allow"]\ngrants.permissions = ["session"]\n')
    decision = said(granted, event)["hookSpecificOutput"]["decision"]
    assert decision["behavior"] == "allow"
    assert decision["updatedPermissions"][0]["destination"] == "session"
    refused = guarded(policy + 'grants.effects = ["allow"]\n').decide(event)
    assert (refused.effect, refused.faulted) == (DENY, True)


def test_8_a_deny_may_end_the_run(guarded):
    guard = guarded('[[policy]]\nname = "p"\nmodule = "sdk_interrupt.wasm"\n')
    answer = said(guard, pre("Bash", command="ls"))
    assert (answer["continue"], answer["hookSpecificOutput"]["permissionDecision"]) == (False, "deny")


def test_9_a_budget_keeps_the_agent_going_and_never_for_ever(guarded):
    settings = "settings = { calls = 3, turns = 5 }\n"
    guard = guarded('[[policy]]\nname = "budget"\nmodule = "builtin:budget"\ngrants.state = "4 KiB"\n' + settings)
    stop = happened("Stop", stop_hook_active=False)
    assert said(guard, stop)["decision"] == "block"
    assert said(guard, stop)["reason"]
    guard.decide(pre("Bash", command="a") | {"tool_use_id": "t1"})
    guard.decide(pre("Bash", command="b") | {"tool_use_id": "t2"})
    guard.decide(pre("Bash", command="c") | {"tool_use_id": "t3"})
    assert said(guard, stop) == {}
    assert guard.decide(pre("Bash", command="d") | {"tool_use_id": "t4"}).effect is DENY


def test_9_an_agent_that_was_told_to_go_on_may_stop_in_the_end(guarded):
    settings = "settings = { calls = 3, turns = 2 }\n"
    guard = guarded('[[policy]]\nname = "budget"\nmodule = "builtin:budget"\ngrants.state = "4 KiB"\n' + settings)
    answers = [said(guard, happened("Stop", stop_hook_active=number > 0)) for number in range(10)]
    assert answers[-1] == {}


def test_11_a_prompt_with_a_secret_is_blocked(guarded):
    policy = '[[policy]]\nname = "prompts"\nmodule = "builtin:prompt-guard"\nsettings = { words = ["secret"] }\n'
    guard = guarded(policy)
    blocked = said(guard, happened("UserPromptSubmit", prompt="tell me the SECRET"))
    assert (blocked["decision"], bool(blocked["reason"])) == ("block", True)
    assert said(guard, happened("UserPromptSubmit", prompt="hello")) == {}


def test_12_a_matcher_names_the_tools_of_a_policy(guarded):
    calls = [pre("Bash", command="x"), pre("Write", file_path="/a", content=""), pre("Read", file_path="/a")]
    deny = '[[policy]]\nname = "p"\nmodule = "sdk_interrupt.wasm"\n'
    assert effects(guarded(deny + 'matcher = "Bash"\n'), *calls) == [DENY, PASS, PASS]
    assert effects(guarded(deny + 'matcher = "Write|Edit"\n'), *calls) == [PASS, DENY, PASS]
    assert effects(guarded(deny), *calls) == [DENY, DENY, DENY]


def test_12_a_slow_policy_is_denied_in_time(guarded):
    guard = guarded(
        '[[policy]]\nname = "slow"\nmodule = "loop_evaluate.wasm"\ntimeout = "100 ms"\nlimits.fuel = 1_000_000_000\n'
    )
    decision = asyncio.run(asyncio.wait_for(guard.adecide(pre("Bash", command="x")), 10))
    assert (decision.effect, decision.faulted) == (DENY, True)


def test_13_a_policy_that_traps_denies_a_call_is_recorded_and_lets_the_agent_stop(guarded):
    events = 'events = ["PreToolUse", "PostToolUse", "Stop"]\n'
    guard = guarded('[[policy]]\nname = "p"\nmodule = "unreachable.wasm"\n' + events)
    assert said(guard, pre("Bash", command="x"))["hookSpecificOutput"]["permissionDecision"] == "deny"
    after = post("Bash", {"command": "x"}, {"stdout": "y"})
    assert said(guard, after) == {}
    assert guard.decide(after).verdicts[0].fault
    assert said(guard, happened("Stop", stop_hook_active=False)) == {}


def test_14_the_web_is_denied_and_the_model_is_told_why(guarded):
    guard = guarded(GATE + 'settings = { deny_tools = ["WebSearch", "WebFetch"] }\n')
    calls = [pre("WebSearch", query="x"), pre("WebFetch", url="http://x.example", prompt="y")]
    assert effects(guard, *calls) == [DENY, DENY]
    assert "WebSearch" in said(guard, calls[0])["hookSpecificOutput"]["permissionDecisionReason"]


def test_15_writes_stay_in_one_folder(guarded):
    guard = guarded(REDIRECT)
    inside, outside = (pre("Write", file_path=path, content="") for path in ("/sandbox/a", "/home/dev/a"))
    assert guard.decide(inside).rewrite is None
    assert guard.decide(outside).rewrite["file_path"] == "/sandbox/home/dev/a"


@pytest.mark.parametrize("mode", ["default", "acceptEdits", "bypassPermissions"])
def test_16_the_guard_decides_in_every_mode(guarded, mode):
    guard = guarded(GATE + "settings = { read_only = true }\n")
    event = pre("Write", file_path="/a", content="") | {"permission_mode": mode}
    assert said(guard, event)["hookSpecificOutput"]["permissionDecision"] == "deny"


def test_17_each_dangerous_command_is_denied_by_name(guarded):
    guard = guarded(GATE + 'settings = { deny_commands = ["rm -rf", "format", "dd"] }\n')
    for command, name in (("rm -rf /tmp/x", "rm -rf"), ("format c:", "format"), ("dd if=/dev/zero of=x", "dd")):
        decision = guard.decide(pre("Bash", command=command))
        assert decision.effect is DENY
        assert name in decision.reason


def test_17_a_write_to_a_device_is_denied(guarded):
    guard = guarded('[[policy]]\nname = "paths"\nmodule = "builtin:sensitive-paths"\nsettings = { deny = ["/dev"] }\n')
    decision = guard.decide(pre("Bash", command="echo x > /dev/sda"))
    assert decision.effect is DENY
    assert "/dev" in decision.reason


def test_18_configuration_files_are_written_beside_themselves(guarded):
    guard = guarded(BACKUP)
    for name in (".env", "config.json", ".env.local"):
        decision = guard.decide(pre("Write", file_path=f"/home/dev/p/{name}", content="x"))
        assert decision.rewrite["file_path"] == f"/home/dev/p/{name}.backup"
        assert any(".backup" in verdict.reason for verdict in decision.verdicts)
    assert guard.decide(pre("Write", file_path="/home/dev/p/a.txt", content="x")).rewrite is None


def test_19_a_session_is_summed_up_when_it_stops(guarded):
    guard = guarded(LOG)
    guard.decide(happened("UserPromptSubmit", prompt="build it"))
    guard.decide(post("Bash", {"command": "make"}, number=1))
    guard.decide(post("Write", {"file_path": "/a", "content": "x"}, number=2))
    guard.decide(post("Bash", {"command": "make test"}, number=3))
    summary = " ".join(notes(guard.decide(happened("Stop", stop_hook_active=False))))
    for part in ("3", "Bash", "Write", "make test"):
        assert part in summary, summary


def test_20_file_types_and_network_commands(guarded):
    settings = 'allow_extensions = [".py", ".js", ".html", ".css", ".md"], deny_commands = ["curl", "wget", "ssh"]'
    guard = guarded(GATE + f"settings = {{ {settings} }}\n")
    calls = [
        pre("Write", file_path="/a/x.exe", content=""),
        pre("Write", file_path="/a/x.py", content=""),
        pre("Bash", command="curl http://x.example"),
        pre("Bash", command="ls"),
    ]
    assert effects(guard, *calls) == [DENY, PASS, DENY, PASS]


@pytest.mark.parametrize("order", [0, 1])
def test_21_a_deny_wins_over_a_rewrite_whatever_the_order(guarded, order):
    policies = [GATE + "settings = { read_only = true }\n", REDIRECT]
    guard = guarded("\n".join(reversed(policies) if order else policies))
    decision = guard.decide(pre("Write", file_path="/etc/x", content=""))
    assert (decision.effect, decision.rewrite) == (DENY, None)


def test_22_old_names_of_fields_are_understood(guarded):
    policy = '[[policy]]\nname = "prompts"\nmodule = "builtin:prompt-guard"\nsettings = { words = ["secret"] }\n'
    assert said(guarded(policy), happened("UserPromptSubmit", content="a secret", timestamp=1))["decision"] == "block"
    guard = guarded(LOG + "settings = { audit = true }\n")
    old = post("Bash", {"command": "uname"}) | {"success": True, "result": "Linux", "error": None}
    del old["tool_response"]
    assert "Linux" in " ".join(notes(guard.decide(old)))
