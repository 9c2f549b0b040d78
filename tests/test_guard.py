"""The guard end to end, on guests small enough to read: one event in, one decision out, whatever happens."""

import asyncio
import os
import shutil
from time import time

import pytest

from tests.recorded import waiting
from wasmguard import Effect, Event, Guard, alarm, exceptions, spool
from wasmguard.errors import ConfigError, HostError, ModuleChanged, PlanStale, Ungranted
from wasmguard.event import GATING, STOPPING
from wasmguard.guest.outputs import NOTICE
from wasmguard.lock import lock
from wasmguard.policy import _named
from wasmguard.sandbox import call

WRITE = {
    "hook_event_name": "PreToolUse",
    "tool_name": "Write",
    "tool_input": {"file_path": "/etc/x", "content": "x"},
    "cwd": "/",
}


def test_a_pass_a_deny_an_ask(configured):
    for name, effect in (("pass", Effect.PASS), ("deny", Effect.DENY), ("ask", Effect.ASK), ("empty_map", Effect.PASS)):
        with Guard.load(configured(name)) as guard:
            assert guard.decide(WRITE).effect is effect


def test_an_allow_counts_only_with_its_grant(configured):
    assert Guard.load(configured("allow")).decide(WRITE).effect is Effect.PASS
    granted = configured("allow", allow={"grants.effects": '["deny", "ask", "allow"]'})
    assert Guard.load(granted).decide(WRITE).effect is Effect.ALLOW


def test_a_rewrite_without_a_grant_denies(configured):
    decision = Guard.load(configured("rewrite_constant")).decide(WRITE)
    assert (decision.effect, decision.rewrite, decision.faulted) == (Effect.DENY, None, True)


def test_a_granted_rewrite_changes_one_field_of_the_original(configured):
    path = configured(
        "rewrite_constant", rewrite_constant={'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}
    )
    decision = Guard.load(path).decide(WRITE)
    assert decision.rewrite == {"file_path": "/sandbox/moved", "content": "x"}
    assert decision.effect is Effect.PASS


def test_a_rewrite_is_judged_again_by_the_policies_before_it(configured):
    path = configured(
        "pass", "rewrite_constant", rewrite_constant={'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}
    )
    said = Guard.load(path).decide(WRITE).verdicts
    assert [v.policy for v in said] == ["pass", "rewrite-constant", "pass", "rewrite-constant"]


@pytest.mark.parametrize(
    "name", ["unreachable", "loop_evaluate", "truncated_answer", "bad_effect", "alloc_zero", "recursion"]
)
def test_a_policy_that_fails_denies_and_is_named(configured, name):
    decision = Guard.load(configured(name)).decide(WRITE)
    assert (decision.effect, decision.faulted) == (Effect.DENY, True)
    assert decision.reason.startswith(f"policy `{name.replace('_', '-')}`: ")


def test_the_owner_may_let_a_failing_policy_ask_but_not_less(configured):
    decision = Guard.load(configured("unreachable", unreachable={"on_fault": '"ask"'})).decide(WRITE)
    assert decision.effect is Effect.ASK
    with pytest.raises(ConfigError, match="on_fault"):
        Guard.load(configured("unreachable", unreachable={"on_fault": '"allow"'}))


def test_a_verdict_says_what_it_cost(configured):
    (verdict,) = Guard.load(configured("pass")).decide(WRITE).verdicts
    assert verdict.fuel > 0 < verdict.microseconds


def test_a_shadowed_policy_is_recorded_but_not_obeyed(configured):
    decision = Guard.load(configured("deny", deny={"shadow": "true"})).decide(WRITE)
    assert (decision.effect, [v.shadow for v in decision.verdicts]) == (Effect.PASS, [True])


def test_policies_are_asked_only_about_their_events_and_tools(configured):
    path = configured("deny", deny={"events": '["PreToolUse"]', "tools": '["Write", "mcp__*"]'})
    guard = Guard.load(path)
    assert guard.decide(WRITE).effect is Effect.DENY
    assert guard.decide(WRITE | {"tool_name": "mcp__files__put"}).effect is Effect.DENY
    assert guard.decide(WRITE | {"tool_name": "Read"}).effect is Effect.PASS
    assert guard.decide({"hook_event_name": "UserPromptSubmit", "prompt": "x"}).effect is Effect.PASS


@pytest.mark.parametrize(
    "event",
    [{}, {"hook_event_name": 7}, WRITE | {"tool_name": None}, WRITE | {"tool_input": []}, WRITE | {1: 2}, "text", None],
)
def test_an_event_that_cannot_be_understood_is_denied(configured, event):
    assert Guard.load(configured("pass")).decide(event).effect is Effect.DENY


def test_a_number_that_no_policy_could_read_is_denied(configured):
    decision = Guard.load(configured("pass")).decide(WRITE | {"tool_input": {"n": 2**70}})
    assert (decision.effect, decision.faulted) == (Effect.DENY, True)


def test_a_lone_surrogate_is_decided(configured):
    decision = Guard.load(configured("pass")).decide(WRITE | {"tool_input": {"content": "\ud800"}})
    assert decision.effect is Effect.PASS


def test_a_bug_of_ours_denies(configured, monkeypatch):
    guard = Guard.load(configured("pass"))
    monkeypatch.setattr("wasmguard.guard.decided", lambda *_: 1 / 0)
    decision = guard.decide(WRITE)
    assert decision.effect is Effect.DENY
    assert "internal error: ZeroDivisionError" in decision.reason


def test_a_bug_while_a_policy_is_asked_denies(configured, monkeypatch):
    guard = Guard.load(configured("pass"))
    monkeypatch.setattr("wasmguard.policy.answered", lambda *_: 1 / 0)
    assert guard.decide(WRITE).effect is Effect.DENY


def test_a_closed_guard_denies(configured):
    guard = Guard.load(configured("pass"))
    guard.close()
    assert guard.decide(WRITE).effect is Effect.DENY


def test_a_coroutine_gets_the_same_decision(configured):
    guard = Guard.load(configured("deny"))
    assert asyncio.run(guard.adecide(WRITE)).effect is guard.decide(WRITE).effect


def test_the_portable_implementation_decides_the_same(configured, monkeypatch):
    path = configured("deny", "pass")
    direct = Guard.load(path).decide(WRITE)
    monkeypatch.setenv("WASMGUARD_PORTABLE", "1")
    portable = Guard.load(path).decide(WRITE)
    assert (direct.effect, direct.reason) == (portable.effect, portable.reason)
    assert [v.fuel for v in direct.verdicts] == [v.fuel for v in portable.verdicts]


def test_core_modules_and_components_stand_in_one_chain(configured):
    path = configured("component_pass", "deny", component_pass={"limits.profile": '"roomy"'})
    decision = Guard.load(path).decide(WRITE)
    assert [v.policy for v in decision.verdicts] == ["component-pass", "deny"]
    assert [v.fault for v in decision.verdicts] == ["", ""]


def test_module_bytes_that_changed_since_the_lock_deny(configured, tmp_path, assembled):
    guard = Guard.load(configured("deny"))
    (tmp_path / "deny.wasm").write_bytes(assembled("pass"))
    decision = guard.decide(WRITE)
    assert (decision.effect, decision.faulted) == (Effect.DENY, True)
    assert "changed since it was locked" in decision.reason
    assert "run `wasmguard lock`" in decision.reason


def test_touching_the_configuration_does_not_get_changed_bytes_accepted(configured, tmp_path, assembled):
    path = configured("deny")
    Guard.load(path)
    (tmp_path / "deny.wasm").write_bytes(assembled("pass"))
    path.write_text(path.read_text() + "\n# touched\n")
    with pytest.raises(ModuleChanged, match="not the one that was locked"):
        Guard.load(path)


def test_a_module_that_is_only_written_anew_still_runs(configured, tmp_path, assembled):
    guard = Guard.load(configured("pass"))
    (tmp_path / "pass.wasm").write_bytes(assembled("pass"))
    os.utime(tmp_path / "pass.wasm", ns=(1, 1))
    assert guard.decide(WRITE).effect is Effect.PASS


def test_a_deleted_module_denies(configured, tmp_path):
    guard = Guard.load(configured("pass"))
    (tmp_path / "pass.wasm").unlink()
    assert guard.decide(WRITE).effect is Effect.DENY


def test_compiled_code_that_was_tampered_with_denies(configured, tmp_path):
    guard = Guard.load(configured("pass"))
    (code,) = (tmp_path / "home").rglob("*.code")
    code.write_bytes(code.read_bytes()[:-1] + b"!")
    decision = guard.decide(WRITE)
    assert (decision.effect, decision.faulted) == (Effect.DENY, True)
    assert "not what was written there" in decision.reason


def test_a_tool_pattern_ends_in_a_star_or_is_a_name():
    assert _named("mcp__a__b", "mcp__*")
    assert _named("Write", "*")
    assert not _named("Writer", "Write")


def test_an_event_of_the_callers_is_read_anew_every_time(configured):
    guard = Guard.load(configured("pass"))
    seen = []
    guard.policies[0]._encoded = lambda event, reads, was=guard.policies[0]._encoded: (
        seen.append(was(event, reads)) or seen[-1]
    )
    event = Event(name="PreToolUse", agent="claude", fields={"tool_name": "Write", "tool_input": {"file_path": "/a"}})
    guard.decide(event)
    event.fields["tool_input"]["file_path"] = "/b"
    guard.decide(event)
    assert (b"/a" in seen[0], b"/b" in seen[1]) == (True, True)


def test_guards_of_one_setup_share_one_engine(configured):
    path = configured("pass")
    engines = set()
    for _ in range(3):
        with Guard.load(path, isolation="thread") as guard:
            guard.decide(WRITE)
            engines.add(id(guard.policies[0]._guest._engine))
    assert len(engines) == 1


def test_a_decision_inside_a_decision_is_right(configured, monkeypatch):
    """As a signal handler or a finalizer may do it, at the worst moment: while a request is being written."""
    guard = Guard.load(configured("deny"), isolation="thread")
    guard.decide(WRITE)
    inner = []
    write = call.memmove

    def interrupted(*arguments):
        monkeypatch.setattr(call, "memmove", write)
        inner.append(guard.decide(WRITE).reason)
        return write(*arguments)

    monkeypatch.setattr(call, "memmove", interrupted)
    assert [guard.decide(WRITE).reason] == inner


def test_an_emptied_cache_is_filled_again_with_the_same_bytes_only(configured, own_home, tmp_path, assembled):
    path = configured("deny")
    Guard.load(path)
    shutil.rmtree(own_home / "wasmguard" / "vault")
    assert Guard.load(path).decide(WRITE).effect is Effect.DENY
    shutil.rmtree(own_home / "wasmguard" / "vault")
    (tmp_path / "deny.wasm").write_bytes(assembled("pass"))
    with pytest.raises(ModuleChanged):
        Guard.load(path)


def test_a_guard_that_may_not_lock_refuses_what_was_never_locked(configured):
    path = configured("pass")
    with pytest.raises(PlanStale):
        Guard.load(path, may_lock=False)
    Guard.load(path)
    assert Guard.load(path, may_lock=False).decide(WRITE).effect is Effect.PASS


def test_no_tool_may_write_what_the_guard_rests_on(configured, own_home):
    path = configured("pass")
    with Guard.load(path) as guard:
        for target in (path, own_home / "wasmguard" / "key", path.parent / ".claude" / "settings.json"):
            decision = guard.decide(WRITE | {"tool_input": {"file_path": str(target), "content": "x"}})
            assert decision.effect is Effect.DENY
            assert decision.reason.startswith("wasmguard: the agent may not write")


def test_a_rewrite_may_not_lead_there_either(configured, monkeypatch):
    """The root of a grant may hold a file of the guard whose name is on no list."""
    grant = {'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}
    path = configured("rewrite_constant", rewrite_constant=grant)
    monkeypatch.setattr("wasmguard.places.config_dir", lambda *_: "/sandbox/moved")
    with Guard.load(path) as guard:
        decision = guard.decide(WRITE)
    assert (decision.effect, decision.rewrite) == (Effect.DENY, None)
    assert "wasmguard: the agent may not write `/sandbox/moved`" in decision.reason


def test_an_owner_may_do_without_self_protection(configured):
    path = configured("pass")
    path.write_text("self_protection = false\n" + path.read_text())
    with Guard.load(path) as guard:
        assert guard.decide(WRITE | {"tool_input": {"file_path": str(path), "content": "x"}}).effect is Effect.PASS


def test_a_deny_that_breaks_its_grants_is_no_less_than_a_deny(configured, monkeypatch):
    path = configured("deny", deny={"on_fault": '"ask"'})

    def ungranted(*_):
        raise Ungranted("it remembers a `state`")

    monkeypatch.setattr("wasmguard.policy.answered", ungranted)
    assert Guard.load(path).decide(WRITE).effect is Effect.DENY


# Outputs

RAN = {
    "hook_event_name": "PostToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "env"},
    "tool_response": {"stdout": "key=s3cret", "stderr": "", "interrupted": False, "isImage": False},
}
OUTPUT = {"grants.rewrite_output": '{ Bash = { max = "1 KiB" } }', "events": '["PostToolUse", "PreToolUse"]'}
HELD = {**RAN["tool_response"], "stdout": NOTICE, "stderr": NOTICE}


def test_a_granted_rewrite_of_an_output_keeps_its_shape(configured):
    decision = Guard.load(configured("redacts", redacts=OUTPUT)).decide(RAN)
    assert decision.output == {**RAN["tool_response"], "stdout": "[redacted]"}
    assert decision.effect is Effect.PASS


def test_a_rewrite_of_an_output_without_a_grant_is_a_fault_and_changes_nothing(configured):
    decision = Guard.load(configured("redacts", redacts={"events": '["PostToolUse"]'})).decide(RAN)
    assert (decision.output, decision.faulted) == (None, True)


@pytest.mark.parametrize("guest", ["unreachable", "loop_evaluate", "bad_effect"])
def test_what_a_failing_policy_might_have_rewritten_is_withheld(configured, guest):
    decision = Guard.load(configured(guest, **{guest: OUTPUT})).decide(RAN)
    assert (decision.output, decision.faulted) == (HELD, True)
    assert Guard.load(configured(guest, **{guest: {"events": '["PostToolUse"]'}})).decide(RAN).output is None


@pytest.mark.parametrize(
    "strange",
    [{"cwd": 7}, {"x": float("inf")}, {"tool_name": None}, {"tool_name": ""}, {"x": b"bytes"}, {7: 7}],
    ids=str,
)
def test_an_output_in_an_event_that_cannot_be_read_is_withheld_where_it_might_be_rewritten(configured, strange):
    decision = Guard.load(configured("redacts", redacts=OUTPUT)).decide({**RAN, **strange})
    assert (decision.effect, decision.output) == (Effect.DENY, HELD)
    without = Guard.load(configured("redacts", redacts={"events": '["PostToolUse"]'})).decide({**RAN, **strange})
    assert (without.faulted, without.output) == (True, None)


class Raises(dict):
    def items(self):
        raise OSError

    get = items


def test_whatever_an_unjudged_mapping_is_it_gets_a_deny(configured):
    guard = Guard.load(configured("redacts", redacts=OUTPUT))
    deep = RAN["tool_response"]
    for _ in range(5_000):
        deep = [deep]
    assert guard.unjudged(RAN, "why").output == HELD
    assert guard.unjudged({**RAN, "tool_name": "Read"}, "why").output is None
    for odd in (Raises(RAN), {**RAN, "tool_response": deep}, None, 7):
        decision = guard.unjudged(odd, "why")
        assert (decision.effect, decision.output) == (Effect.DENY, NOTICE)
    assert guard.unjudged({**RAN, "hook_event_name": "PreToolUse"}, "why").output is None


def test_of_what_the_tool_of_an_mcp_server_said_nothing_is_left(configured):
    keys = {"grants.rewrite_output": '{ "mcp__*" = { max = "1 KiB" } }', "events": '["PostToolUse"]'}
    said = {**RAN, "tool_name": "mcp__vault__get", "tool_response": [{"type": "hunter", "s3cret": 1}]}
    decision = Guard.load(configured("unreachable", unreachable=keys)).decide(said)
    assert decision.output == [{"type": "text", "text": NOTICE}]


def test_nothing_is_withheld_for_a_shadowed_policy_or_another_tool(configured):
    shadowed = Guard.load(configured("unreachable", unreachable=OUTPUT | {"shadow": "true"}))
    assert shadowed.decide(RAN).output is None
    elsewhere = Guard.load(configured("unreachable", unreachable=OUTPUT | {"tools": '["Bash", "Read"]'}))
    assert elsewhere.decide(RAN | {"tool_name": "Read"}).output is None


def test_what_a_redactor_may_not_rewrite_of_another_tool_is_withheld(configured):
    """It has found something that its owner wants hidden; only the grant for this tool is missing."""
    redacts = OUTPUT | {"grants.rewrite_output": '{ Read = { max = "1 KiB" } }'}
    decision = Guard.load(configured("redacts", redacts=redacts)).decide(RAN)
    assert (decision.output, decision.faulted) == (HELD, True)


def test_no_other_word_is_an_isolation(configured):
    with pytest.raises(ConfigError, match="isolation `threads` is not known"):
        Guard.load(configured("pass"), isolation="threads")


def test_two_failing_policies_withhold_once_and_come_to_rest(configured):
    decision = Guard.load(configured("unreachable", "bad_effect", unreachable=OUTPUT, bad_effect=OUTPUT)).decide(RAN)
    assert decision.output == HELD
    assert "no rest" not in decision.reason


def test_what_nobody_could_judge_is_withheld_if_it_might_have_been_rewritten(configured, monkeypatch):
    guard = Guard.load(configured("redacts", redacts=OUTPUT))
    monkeypatch.setattr("wasmguard.guard.decided", None)
    assert guard.decide(RAN).output == HELD
    guard.close()
    assert guard.decide(RAN).output == HELD
    plain = Guard.load(configured("pass"))
    assert plain.decide(RAN).output is None


# State


def counted(guard):
    return sum(int.from_bytes(v.state, "little") for v in guard.decide(WRITE).verdicts if v.state)


STATE = {"grants.state": '"1 KiB"'}


def test_a_policy_with_a_grant_remembers_and_one_without_is_at_fault(configured):
    with Guard.load(configured("counts", counts=STATE)) as guard:
        assert [counted(guard) for _ in range(3)] == [1, 2, 3]
    with Guard.load(configured("counts", counts=STATE)) as again:
        assert counted(again) == 4
    assert Guard.load(configured("counts")).decide(WRITE).faulted


def test_an_event_that_takes_two_rounds_counts_once(configured):
    moves = {'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}
    with Guard.load(configured("counts", "rewrite_constant", counts=STATE, rewrite_constant=moves)) as guard:
        assert len(guard.decide(WRITE).verdicts) == 4
        assert counted(guard) == 2 + 2  # asked twice, each time about what it remembered before


def test_sessions_do_not_share_what_is_remembered_unless_the_owner_says_so(configured):
    with Guard.load(configured("counts", counts=STATE)) as guard:
        guard.decide(WRITE | {"session_id": "a"})
        (verdict,) = guard.decide(WRITE | {"session_id": "b"}).verdicts
        assert verdict.state[0] == 1
    shared = {"grants.state": '{ max = "1 KiB", scope = "owner" }'}
    with Guard.load(configured("counts", counts=shared)) as guard:
        guard.decide(WRITE | {"session_id": "a"})
        (verdict,) = guard.decide(WRITE | {"session_id": "b"}).verdicts
        assert verdict.state[0] == 2


def test_a_store_that_is_gone_is_a_fault_until_its_owner_locks_again(configured, own_home):
    path = configured("counts", counts=STATE)
    with Guard.load(path) as guard:
        counted(guard)
        for file in own_home.rglob("state/*.db*"):
            file.unlink()
        assert guard.decide(WRITE).faulted
    with Guard.load(path) as guard:
        assert guard.decide(WRITE).faulted
    path.write_text(path.read_text() + "\n")  # a hook would lock this by itself
    with Guard.load(path) as guard:
        assert guard.decide(WRITE).faulted
    lock(str(path), repin=True)
    with Guard.load(path) as guard:
        assert counted(guard) == 1


# On an event loop, and several guards


def test_a_small_decision_is_made_at_once_and_a_large_one_is_not(configured):
    guard = Guard.load(configured("deny"), isolation="thread")
    guard.decide(WRITE)
    assert guard.decide_at_once(WRITE).effect is Effect.DENY
    large = {**WRITE, "tool_input": {"file_path": "/etc/x", "content": "x" * 2_000_000}}
    assert guard.decide_at_once(large) is None
    assert asyncio.run(guard.adecide(large)).effect is Effect.DENY


def test_what_takes_long_or_remembers_is_not_decided_at_once(configured):
    with Guard.load(configured("loop_evaluate"), isolation="thread") as guard:
        guard.decide(WRITE)
        assert guard.decide_at_once(WRITE) is None
        assert asyncio.run(guard.adecide(WRITE)).faulted
    with Guard.load(configured("counts", counts=STATE), isolation="thread") as guard:
        assert guard.decide_at_once(WRITE) is None


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        ({"matcher": '"Write|Edit"'}, ["Write"]),
        ({"matcher": '"^mcp__.*__put$"'}, ["mcp__a__put"]),
        ({"matchers": '{ PreToolUse = "Read" }'}, ["Read"]),
        ({"matchers": '{ PostToolUse = "*", PreToolUse = "" }'}, ["Write", "Read", "mcp__a__put"]),
        ({"matchers": '{ PostToolUse = "*" }'}, []),
    ],
)
def test_a_matcher_says_which_tools_a_policy_is_asked_about(configured, keys, asked):
    guard = Guard.load(configured("deny", deny=keys))
    tools = ("Write", "Read", "mcp__a__put")
    assert [tool for tool in tools if guard.decide(WRITE | {"tool_name": tool}).effect is Effect.DENY] == asked


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        ({"tools": '["Bash"]'}, ["Bash", "Monitor"]),
        ({"matcher": '"Bash"'}, ["Bash", "Monitor"]),
        ({"matcher": '"^Bash$"'}, ["Bash", "Monitor"]),
        ({"matchers": '{ PreToolUse = "Bash" }'}, ["Bash", "Monitor"]),
        ({"matcher": '"Monitor"'}, ["Monitor"]),
        ({"tools": '["Task"]'}, ["Agent", "Task"]),
        ({"matcher": '"^Task$"'}, ["Agent", "Task"]),
        ({"tools": '["Agent"]'}, ["Agent", "Task"]),
        ({"tools": '["Kill*"]'}, ["TaskStop"]),
    ],
)
def test_a_tool_is_meant_by_its_other_names_too(configured, keys, asked):
    guard = Guard.load(configured("deny", deny={"events": '["PreToolUse"]', **keys}))
    tools = ("Bash", "Monitor", "PowerShell", "Agent", "Task", "TaskStop", "TaskCreate")
    assert [tool for tool in tools if guard.decide(WRITE | {"tool_name": tool}).effect is Effect.DENY] == asked


CALL = {**WRITE, "session_id": "s", "tool_use_id": "toolu_1"}


@pytest.fixture
def full(monkeypatch):
    """There is no room for another record."""

    def append(*_):
        raise HostError("no space left on device: make room there")

    monkeypatch.setattr(spool.Spool, "append", append)


@pytest.mark.parametrize("name", sorted(GATING - STOPPING))
def test_while_an_alarm_stands_its_session_may_do_nothing(recording, name):
    event = {**CALL, "hook_event_name": name, "prompt": "go on"}
    with recording("", "pass") as guard:
        assert guard.decide(event).effect is Effect.PASS
        alarm.raise_("claude", "s", "toolu_0", "the agent ran another input than the one that was granted")
        decision = guard.decide(event)
        assert guard.decide({**event, "session_id": "another"}).effect is Effect.PASS
    assert decision.effect is Effect.DENY
    assert "the agent ran another input" in decision.reason


@pytest.mark.parametrize("name", sorted(STOPPING))
def test_while_an_alarm_stands_an_agent_can_end(recording, name):
    alarm.raise_("claude", "s", "toolu_0", "the agent ran another input than the one that was granted")
    with recording("", "pass") as guard:
        assert guard.decide({**CALL, "hook_event_name": name}).effect is Effect.PASS


@pytest.mark.parametrize("session", [None, 7, ["s"]])
def test_an_event_of_no_session_may_be_of_the_one_with_the_alarm(recording, session):
    event = {**CALL, "session_id": session}
    with recording("", "pass") as guard:
        assert guard.decide(event).effect is Effect.PASS
        standing = alarm.raise_("claude", "s", "toolu_0", "the agent ran a call that was denied")
        assert guard.decide(event).effect is Effect.DENY
        assert guard.decide({**event, "hook_event_name": "Stop"}).effect is Effect.PASS
        alarm.end(standing)
        assert guard.decide(event).effect is Effect.PASS


def test_another_tool_with_the_same_input_is_another_call(recording):
    with recording("", "pass") as guard:
        guard.decide({**CALL, "tool_name": "mcp__db__get"})
        guard.decide({**CALL, "tool_name": "mcp__db__drop", "hook_event_name": "PostToolUse"})
        assert guard.decide({**CALL, "tool_use_id": "toolu_2"}).effect is Effect.DENY


def test_a_call_that_ran_in_another_way_than_it_was_granted_raises_it(recording):
    with recording("", "pass") as guard:
        guard.decide(CALL)
        ran = {**CALL, "hook_event_name": "PostToolUse", "tool_input": {"file_path": "/etc/y", "content": "x"}}
        guard.decide(ran)
        assert guard.decide({**CALL, "tool_use_id": "toolu_2"}).effect is Effect.DENY
    assert waiting()[1]["executed"] == "another"


def test_where_records_are_required_what_cannot_be_recorded_is_denied(recording, full):
    with recording("required = true", "pass") as guard:
        decision = guard.decide(CALL)
    assert decision.effect is Effect.DENY
    assert "cannot be recorded: no space left on device" in decision.reason


def test_where_records_are_required_a_granted_call_that_is_denied_for_that_is_no_longer_granted(recording, full):
    with recording("required = true", "pass") as guard:
        guard.decide(CALL)
        guard.decide({**CALL, "hook_event_name": "PostToolUse"})
        assert alarm.raised("claude", "s").why == "the agent ran a call that was denied"


@pytest.mark.parametrize("required", ["true", "false"])
def test_a_deny_that_cannot_be_recorded_stays_the_policys_deny(recording, full, required):
    with recording(f"required = {required}", "deny") as guard:
        decision = guard.decide(CALL)
    assert [verdict.policy for verdict in decision.because] == ["deny"]


def test_where_records_are_not_required_one_that_is_missing_is_told_and_stops_nothing(recording, full, capfd):
    with recording("", "pass") as guard:
        assert guard.decide(CALL).effect is Effect.PASS
        assert guard.decide(CALL).effect is Effect.PASS
    assert capfd.readouterr().err.count("the decision cannot be recorded") == 1


def test_an_owner_may_want_no_records(recording):
    with recording("on = false", "deny") as guard:
        assert guard.decide(CALL).effect is Effect.DENY
        guard.decide({"no": "event"})
    assert waiting() == []


@pytest.fixture
def excepted():
    """Makes an exception for `CALL`."""

    def except_(guard, *policies):
        now = int(time())
        bound = {"config": guard.plan.config, "agent": "claude", "event": "PreToolUse", "tool": "Write", "cwd": "/"}
        exact = exceptions.exact(CALL["tool_input"])
        named = {"policies": policies or ("deny",), "record": "0199aabb", "input": exact}
        exceptions.add(exceptions.Exception_(**bound, **named, start=now, end=now + 600))

    return except_


def test_an_exception_of_the_owners_lets_exactly_one_call_pass(recording, excepted):
    other = {**CALL, "tool_input": {**CALL["tool_input"], "content": "y"}}
    with recording("", "deny") as guard:
        excepted(guard)
        assert [guard.decide(call).effect for call in (other, CALL, CALL)] == [Effect.DENY, Effect.ALLOW, Effect.DENY]
    assert [kept.get("exception") for kept in waiting()] == [None, "0199aabb", None]


def test_a_policy_that_was_set_aside_is_asked_and_recorded_all_the_same(recording, excepted):
    with recording("", "deny") as guard:
        excepted(guard)
        guard.decide(CALL)
    ((owner, policy),) = (kept["verdicts"] for kept in waiting())
    assert (owner["policy"], owner["effect"]) == ("wasmguard", "allow")
    assert (policy["policy"], policy["effect"], policy["shadow"]) == ("deny", "deny", True)


def test_an_event_with_an_exception_counts_once_for_all_who_remember(recording, excepted):
    with recording("", "counts", "deny", counts=STATE) as guard:
        excepted(guard, "deny")
        assert [counted(guard) for _ in range(3)] == [1, 2, 3]


def test_who_remembers_and_is_set_aside_counts_once_too(recording, excepted):
    with recording("", "counts", "deny", counts=STATE) as guard:
        excepted(guard, "counts", "deny")
        assert [counted(guard) for _ in range(3)] == [1, 2, 3]
    assert [kept.get("exception") for kept in waiting()] == ["0199aabb", None, None]


def test_an_exception_is_not_lost_where_others_deny_as_well(recording, excepted):
    with recording("", "deny", "unreachable") as guard:
        excepted(guard, "deny")
        decision = guard.decide(CALL)
        assert (decision.effect, [verdict.policy for verdict in decision.because]) == (Effect.DENY, ["unreachable"])
        excepted(guard, "unreachable")
        assert [guard.decide(CALL).effect for _ in range(2)] == [Effect.ALLOW, Effect.DENY]
    assert [(kept.get("exception"), kept.get("stands")) for kept in waiting()] == [
        ("0199aabb", True),
        ("0199aabb", None),
        (None, None),
    ]


def test_an_exception_is_not_lost_where_others_ask_as_well(recording, excepted):
    with recording("", "ask", "unreachable", unreachable={"on_fault": '"ask"'}) as guard:
        excepted(guard, "ask")
        assert guard.decide(CALL).effect is Effect.ASK
        excepted(guard, "unreachable")
        assert [guard.decide(CALL).effect for _ in range(2)] == [Effect.ALLOW, Effect.ASK]


def test_an_exception_that_makes_a_decision_less_strict_is_used_up(recording, excepted):
    with recording("", "ask", "deny") as guard:
        excepted(guard)
        assert [guard.decide(CALL).effect for _ in range(2)] == [Effect.ASK, Effect.DENY]


def test_an_exception_that_somebody_else_used_meanwhile_is_none(recording, excepted, monkeypatch):
    with recording("", "counts", "deny", counts=STATE) as guard:
        excepted(guard)
        monkeypatch.setattr(exceptions, "use", lambda _: False)
        assert guard.decide(WRITE).effect is Effect.DENY
        assert counted(guard) == 2


def test_no_exception_sets_the_guard_itself_aside(recording, excepted, own_home):
    with recording("", "deny") as guard:
        excepted(guard)
        alarm.raise_("claude", "s", "toolu_0", "the agent ran a call that was denied")
        assert guard.decide(CALL).because[0].policy == "wasmguard"
        assert exceptions.any_()


def test_a_decision_with_an_exception_is_not_made_at_once(recording, excepted):
    with recording("", "deny") as guard:
        other = {**CALL, "tool_input": {"other": 1}}
        guard.decide(other)
        excepted(guard)
        assert guard.decide_at_once(other).effect is Effect.DENY
        assert guard.decide_at_once(CALL) is None
        assert guard.decide(CALL).effect is Effect.ALLOW


def test_who_sends_the_answer_first_records_after_it_and_what_was_denied_before(recording):
    with recording("", "deny") as guard:
        guard.record_later()
        other = {**CALL, "hook_event_name": "Stop"}
        assert guard.decide(other).effect is Effect.PASS
        assert waiting() == []
        assert guard.decide(CALL).effect is Effect.DENY
        assert [record["event"] for record in waiting()] == ["Stop", "PreToolUse"]
        guard.decide(other)
        guard.decide(other)
        assert len(waiting()) == 3
        guard.flush()
        assert len(waiting()) == 4
        guard.decide(other)
    assert len(waiting()) == 5


def test_where_there_must_be_a_record_it_comes_before_the_answer(recording):
    with recording("required = true", "pass") as guard:
        guard.record_later()
        guard.decide(CALL)
        assert len(waiting()) == 1
