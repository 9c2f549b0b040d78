"""A decision is measured where it is made, about what concerns it, and only if it is one."""

import json
import os

import pytest

from tests.workshop.bench.processes import knows_children
from tests.workshop.trying import asks
from wasmguard import guard as guards
from wasmguard.errors import HostError
from wasmguard.guard import Guard
from wasmguard.workshop.bench.inside import faults, variants
from wasmguard.workshop.bench.mixes import MIX, events
from wasmguard.workshop.bench.subjects import opened
from wasmguard.workshop.bench.variant import CELL, CHAIN, FLOOR, LIBRARY, POLICY, Given

BOTH = [LIBRARY, pytest.param(CELL, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no jailed processes"))]
TOOLS = 'tools = ["Write", "Stat*"]'


def given(*calls):
    fields = [{"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": {"a": 1}} for tool in calls]
    fields.append({"hook_event_name": "Stop"})
    return [Given(name=f"{place}", fields=one, raw=json.dumps(one).encode()) for place, one in enumerate(fields)]


@pytest.mark.parametrize("path", BOTH)
def test_each_policy_is_measured_alone_all_as_a_chain_and_the_host_beside_them(bundled, path):
    some = given("Write", "Read", "Status")
    both = (str(bundled("ask", more=TOOLS, name="first")), str(bundled("pass", name="second")))
    with opened(both, None, "") as bench, variants(bench, some, path) as found:
        rows = [(one.id, one.kind, one.events, one.floor) for one in found]
        null = f"{path}/null policy"
        assert rows == [
            (null, FLOOR, (0, 1, 2), ""),
            (f"{path}/first", POLICY, (0, 2), null),
            (f"{path}/second", POLICY, (0, 1, 2), null),
            (f"{path}/chain", CHAIN, (0, 1, 2), null),
        ]
        said = [[one.ask(place).effect.name for place in one.events] for one in found]
        assert said == [["PASS"] * 3, ["ASK"] * 2, ["PASS"] * 3, ["ASK", "PASS", "ASK"]]
        assert all(len(one.ask(0).verdicts) == count for one, count in zip(found, (1, 1, 1, 2), strict=True))


def test_one_policy_is_no_chain_and_one_that_judges_nothing_is_not_measured(bundled):
    idle = str(bundled("pass", more=TOOLS))
    with opened((idle,), None, "") as bench:
        with variants(bench, given("Write"), LIBRARY) as found:
            assert [one.subject for one in found] == ["null policy", "tried"]
        with variants(bench, given("Read"), LIBRARY) as found:
            assert [(one.subject, one.events) for one in found] == [("null policy", (0, 1))]


@pytest.mark.parametrize("path", BOTH)
def test_policies_run_where_the_path_says_and_nothing_runs_afterwards(bundled, monkeypatch, path):
    made = []
    close = Guard.close

    def closed(guard):
        made.append((guard.cells.isolation, guard.cells.pids()))
        close(guard)
        assert guard.cells.pids() == []

    monkeypatch.setattr(Guard, "close", closed)
    with opened((str(bundled("pass")),), None, "") as bench, variants(bench, given("Write"), path) as found:
        for one in found:
            one.ask(0)
    assert [where for where, _ in made] == [{LIBRARY: "thread", CELL: "process"}[path]] * 2
    pids = [pid for _, some in made for pid in some]
    assert bool(pids) == (path == CELL)
    assert not [pid for pid in pids if is_running(pid)]


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@knows_children
def test_nothing_runs_after_something_went_wrong(bundled):
    with opened((str(bundled("pass")),), None, "") as bench:
        before = children()
        with pytest.raises(KeyboardInterrupt):
            interrupted(bench, before)
        assert children() == before


def interrupted(bench, before):
    with variants(bench, given("Write"), CELL) as found:
        for one in found:
            one.ask(0)
        assert children() > before
        raise KeyboardInterrupt


def children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return {int(pid) for pid in file.read().split()}


def test_what_nobody_can_judge_is_an_error_and_no_deny(bundled, monkeypatch):
    some = given("Write")
    with opened((str(bundled("pass")),), None, "") as bench, variants(bench, some, LIBRARY) as found:
        some[0].fields["tool_input"] = None
        with pytest.raises(HostError, match="event `0`: nobody could judge it: PreToolUse needs `tool_input`"):
            found[1].ask(0)
        some[0].fields["tool_input"] = {}
        monkeypatch.setattr(guards, "decided", lambda *_: 1 / 0)
        with pytest.raises(HostError, match="event `0`: nobody could judge it: internal error: ZeroDivisionError"):
            found[1].ask(0)


def test_what_the_guard_itself_denies_is_a_decision(bundled):
    with opened((str(bundled("pass")),), None, "") as bench:
        some = given("Write")
        some[0].fields["tool_input"] = {"file_path": f"{bench.home}/.claude/settings.json"}
        with variants(bench, some, LIBRARY) as found:
            assert found[1].ask(0).effect.name == "DENY"


def test_what_a_policy_remembers_is_its_own_until_the_next_round(bundled):
    counts = str(bundled("counts", more=asks(state='{ max = 8, scope = "session" }')))
    with opened((counts, counts), None, "") as bench, variants(bench, given("Write"), LIBRARY) as found:
        null, one, other, chain = found
        assert null.reset is None
        assert [remembered(one), remembered(one), remembered(other), remembered(chain)] == [1, 2, 1, 1]
        one.reset()
        chain.reset()
        assert [remembered(one), remembered(other), remembered(chain)] == [1, 2, 1]


def remembered(variant):
    return int.from_bytes(variant.ask(0).verdicts[0].state, "little")


def test_builtin_policies_judge_the_mix_without_a_fault():
    some, named = events(MIX)[1], ("builtin:path-redirect", "builtin:budget")
    with opened(named, None, "") as bench, variants(bench, some, LIBRARY) as found:
        decisions = [one.ask(place) for one in found for place in one.events]
    assert not [decision.verdicts for decision in decisions if decision.faulted]
    assert any(decision.rewrite for decision in decisions)


def test_a_fault_is_remembered_with_its_event_for_whoever_reads_the_times(bundled):
    both = (str(bundled("unreachable", name="fails")), str(bundled("pass", name="answers")))
    with opened(both, None, "") as bench, variants(bench, given("Write"), LIBRARY) as found:
        assert [faults(one) for one in found] == [{}] * 4
        for one in found:
            one.ask(0)
        null, fails, answers, chain = (faults(one) for one in found)
    assert null == answers == {}
    assert list(fails) == list(chain) == [0]
    assert "trapped in wasmguard_evaluate" in fails[0]
