"""Several guards that decide as one."""

import asyncio

import pytest

from tests.recorded import waiting
from wasmguard import Effect, Guard, plan
from wasmguard.errors import ConfigError
from wasmguard.guards import Guards

WRITE = {
    "hook_event_name": "PreToolUse",
    "session_id": "s",
    "tool_use_id": "toolu_1",
    "tool_name": "Write",
    "tool_input": {"file_path": "/etc/x", "content": "x"},
    "cwd": "/",
}
MOVES = {'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}


def test_several_guards_decide_as_one_chain(configured):
    mover = Guard.load(configured("rewrite_constant", rewrite_constant=MOVES))
    other = Guard.load(configured("pass", "deny", deny={"tools": '["Bash"]'}))
    with Guards(other, mover) as guards:
        decision = guards.decide(WRITE)
        assert [v.policy for v in decision.verdicts] == ["pass", "rewrite-constant", "pass", "rewrite-constant"]
        assert guards.decide(WRITE | {"tool_name": "Bash"}).effect is Effect.DENY
        assert asyncio.run(guards.adecide(WRITE)).rewrite == {"file_path": "/sandbox/moved", "content": "x"}
    assert guards.decide(WRITE).effect is Effect.DENY
    assert mover.closed
    assert other.closed


def test_no_guards_at_all_deny():
    assert Guards().decide(WRITE).effect is Effect.DENY


def test_two_guards_may_not_have_a_policy_of_the_same_name(configured):
    one = Guard.load(configured("pass"))
    with pytest.raises(ConfigError, match="two guards have a policy `pass`"):
        Guards(one, one)


def test_a_decision_is_recorded_once_under_the_plans_of_all(recording):
    one, other = recording("", "pass"), recording("", "deny")
    with Guards(one, other) as guards:
        assert guards.decide(WRITE).effect is Effect.DENY
    (kept,) = waiting()
    assert [verdict["policy"] for verdict in kept["verdicts"]] == ["pass", "deny"]
    assert kept["plan"] == f"{plan.identity(one.plan)} {plan.identity(other.plan)}"


def test_one_that_records_is_enough(recording):
    silent, records = recording("on = false", "pass"), recording("", "deny")
    with Guards(silent, records) as guards:
        guards.decide(WRITE)
    (kept,) = waiting()
    assert kept["plan"] == plan.identity(records.plan)


def test_where_nobody_records_nothing_is_written(recording):
    with Guards(recording("on = false", "pass"), recording("on = false", "deny")) as guards:
        assert guards.decide(WRITE).effect is Effect.DENY
    assert waiting() == []
