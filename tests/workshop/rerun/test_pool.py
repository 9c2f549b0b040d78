"""Pools: every event has an outcome, whatever becomes of the processes that decide."""

import os
import sys
from pathlib import Path

import pytest

from tests.workshop.rerun.conftest import STATE, asked, write
from wasmguard.decision import Effect
from wasmguard.errors import HostError
from wasmguard.workshop.rerun import pool as pools

LINUX = sys.platform == "linux" and os.uname().machine == "x86_64"


def outcomes(pool, questions):
    return {outcome.key: outcome for outcome in pool.outcomes(questions)}


def counted(outcome):
    return [int.from_bytes(v.state, "little") for v in outcome.decision.verdicts if v.state is not None]


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_event_has_one_outcome_whoever_decides_it(pool, jobs):
    made = list(pool("deny", jobs=jobs).outcomes(asked(key) for key in range(500)))
    assert sorted(outcome.key for outcome in made) == list(range(500))
    assert {outcome.decision.effect for outcome in made} == {Effect.DENY}
    assert {outcome.fault for outcome in made} == {""}


def test_a_decision_is_the_one_that_a_guard_makes(pool, configured):
    from wasmguard.guard import Guard

    names = ("rewrite_constant", "allow", "unreachable")
    grants = {"rewrite_constant": {'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}}
    more = {"unreachable": {"shadow": "true"}, "allow": {"grants.effects": '["allow"]'}}
    again = outcomes(pool(*names, **grants, **more), [asked(1)])[1].decision
    with Guard.load(configured(*names, **grants, **more)) as guard:
        decision = guard.decide(write())
    assert (again.effect, again.rewrite, again.because) == (decision.effect, decision.rewrite, again.because)
    assert [v.replaced(microseconds=0.0) for v in again.verdicts] == [
        v.replaced(microseconds=0.0) for v in decision.verdicts
    ]
    assert again.rewrite["file_path"] == "/sandbox/moved"


def test_nothing_is_asked_before_there_is_room_for_it(pool):
    taken = []

    def questions():
        for key in range(10_000):
            taken.append(key)
            yield asked(key)

    coming = pool("pass").outcomes(questions())
    next(coming)
    assert len(taken) < 1_000
    coming.close()


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_policies_remember_goes_on_from_event_to_event_of_one_session(pool, jobs):
    questions = [asked(key, write(session=f"s{key % 4}")) for key in range(80)]
    made = outcomes(pool("counts", counts=STATE, jobs=jobs), questions)
    assert [counted(made[key]) for key in range(80)] == [[key // 4 + 1] for key in range(80)]


@pytest.mark.parametrize("scope", ["project", "owner"])
def test_what_is_shared_by_sessions_is_shared_whoever_decides(pool, scope):
    grant = {"grants.state": f'{{ max = "1 KiB", scope = "{scope}" }}'}
    questions = [asked(key, write(session=f"s{key % 4}", transcript_path="/t/x.jsonl")) for key in range(40)]
    made = outcomes(pool("counts", counts=grant, jobs=3), questions)
    assert [counted(made[key]) for key in range(40)] == [[key + 1] for key in range(40)]


def test_given_states_are_what_policies_are_given_and_nothing_is_kept(pool):
    state = (41).to_bytes(8, "little")
    made = outcomes(pool("counts", counts=STATE), [asked(key, states={"counts": state}) for key in range(3)])
    assert [counted(made[key]) for key in range(3)] == [[42]] * 3
    assert {v.given for outcome in made.values() for v in outcome.decision.verdicts} == {state}


def test_who_is_set_aside_is_asked_and_not_obeyed(pool):
    decision = outcomes(pool("deny", "pass"), [asked(1, aside=frozenset({"deny"}))])[1].decision
    assert decision.effect is Effect.PASS
    assert [(v.policy, v.shadow) for v in decision.verdicts] == [("pass", False), ("deny", True)]


def test_what_no_msgpack_can_say_is_decided_all_the_same(pool):
    texts = write(path="/\ud800/x", session="a")
    numbers = write(number=2**80)
    made = outcomes(pool("deny"), [asked(1, texts), asked(2, numbers)])
    assert made[1].decision.verdicts[0].fault == ""
    assert "integer" in made[2].decision.verdicts[0].fault
    assert made[1].fault == made[2].fault == ""


def test_what_nobody_can_say_is_a_fault_of_that_event_alone(pool):
    made = outcomes(pool("pass"), [asked(1), asked(2, write(odd=object())), asked(3)])
    assert [made[key].fault[:18] for key in (1, 2, 3)] == ["", "it cannot be asked", ""]
    assert made[2].decision.effect is Effect.DENY


def test_who_ends_a_process_has_no_decision_and_all_others_have_theirs(pool, sabotaged):
    sabotaged("path == '/bad' and os._exit(3)")
    questions = [asked(key, write(path="/bad" if key in (7, 130) else "/good")) for key in range(200)]
    made = outcomes(pool("pass", jobs=2), questions)
    assert sorted(made) == list(range(200))
    assert sorted(key for key, outcome in made.items() if outcome.fault) == [7, 130]
    assert {made[key].decision.effect for key in (7, 130)} == {Effect.DENY}
    assert "ended with code 3" in made[7].fault


def test_what_was_remembered_is_still_there_when_a_process_ends(pool, sabotaged):
    sabotaged("path == '/bad' and os._exit(3)")
    questions = [asked(key, write(path="/bad" if key == 50 else "/good")) for key in range(100)]
    made = outcomes(pool("counts", counts=STATE), questions)
    assert [counted(made[key]) for key in range(100) if key != 50] == [[n + 1] for n in range(99)]


def test_who_never_comes_to_an_end_is_ended(pool, sabotaged, monkeypatch):
    monkeypatch.setattr(pools, "PATIENCE", 0.2)
    monkeypatch.setattr(pools, "GRACE", 0.2)
    sabotaged("path == '/bad' and time.sleep(60)")
    made = outcomes(pool("pass"), [asked(1, write(path="/bad")), asked(2)])
    assert "gave no answer" in made[1].fault
    assert made[2].fault == ""


def test_after_many_deaths_in_a_row_nobody_is_asked_any_more(pool, sabotaged, monkeypatch):
    monkeypatch.setattr(pools, "DEATHS", 2)
    sabotaged("os._exit(3)")
    made = outcomes(pool("pass"), [asked(key) for key in range(50)])
    assert sorted(made) == list(range(50))
    assert all(outcome.fault and outcome.decision.effect is Effect.DENY for outcome in made.values())
    assert "not asked" in made[49].fault


@pytest.mark.parametrize(
    "said",
    [
        "[[[0, [{'policy': 'pass', 'effect': 9}]]], []]",
        "[[[5, []]], []]",
        "[[[0, []], [1, []]], []]",
        "[[[0, []]], [[0, 'p', 's', 'k', 'text', 1]]]",
        "7",
    ],
)
def test_nonsense_is_no_outcome(pool, sabotaged, said):
    sabotaged(telling=f"frame(packed({said}))")
    made = outcomes(pool("pass"), [asked(1)])
    assert "protocol" in made[1].fault
    assert made[1].decision.effect is Effect.DENY


def test_a_process_says_no_more_than_it_may(pool, sabotaged):
    sabotaged(telling="(2**40).to_bytes(8, 'big')")
    assert "protocol" in outcomes(pool("pass"), [asked(1)])[1].fault


def test_a_process_that_is_never_ready_is_an_error(pool, monkeypatch):
    from wasmguard.workshop.rerun import process

    monkeypatch.setattr(process, "_SPAWNED", "import os; os._exit(9)")
    with pytest.raises(HostError, match="ended with code 9 before it was ready"):
        outcomes(pool("pass"), [asked(1)])


@pytest.mark.skipif(not LINUX, reason="the filter is written for x86-64 Linux")
def test_processes_are_jailed_and_know_nothing_of_ours(pool, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    mine = pool("pass")
    outcomes(mine, [asked(1)])
    (report,) = mine.reports()
    assert (report["isolation"], report["unloaded"]) == ("full", [])
    process = mine._workers[0].process._process
    assert b"hunter2" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    folder = f"/proc/{process.pid}/fd"
    held = {number: os.readlink(f"{folder}/{number}") for number in os.listdir(folder)}
    assert held.pop("0").startswith("socket:")
    assert {what.partition(":")[0] for what in held.values()} <= {os.devnull, "/memfd"}  # the image of a guest's memory


@pytest.mark.skipif(not LINUX, reason="the filter is written for x86-64 Linux")
@pytest.mark.parametrize(
    "attempt", ["open('/etc/passwd')", "os.stat('/etc')", "os.listdir('/')", "os.readlink('/bin')"]
)
def test_a_process_that_decides_again_opens_and_follows_nothing(pool, sabotaged, attempt):
    sabotaged(f"{attempt}")
    fault = outcomes(pool("pass"), [asked(1)])[1].fault
    assert "PermissionError" in fault


def test_paths_are_looked_at_in_there_too(pool, tmp_path):
    grant = {'grants.rewrite."Write.file_path"': f'{{ within = "{tmp_path}/sandbox" }}'}
    made = outcomes(pool("rewrite_constant", rewrite_constant=grant), [asked(1)])[1]
    assert "is not below" in made.decision.verdicts[0].fault


def test_nobody_is_left_when_a_pool_is_closed(pool):
    mine = pool("pass", jobs=2)
    outcomes(mine, [asked(key) for key in range(300)])
    pids = [worker.process._process.pid for worker in mine._workers if worker.process]
    assert pids
    mine.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
