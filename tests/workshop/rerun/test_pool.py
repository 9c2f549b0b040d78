"""Pools: every event has an outcome, whatever becomes of the processes that decide."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.workshop.rerun.conftest import STATE, asked, write
from wasmguard.decision import Effect
from wasmguard.errors import HostError
from wasmguard.lock import prepare
from wasmguard.workshop.rerun import pool as pools
from wasmguard.workshop.rerun.asked import Expected, Line, LineOutcome
from wasmguard.workshop.rerun.pool import Pool

LINUX = sys.platform == "linux" and os.uname().machine == "x86_64"


def outcomes(pool, questions):
    return {outcome.key: outcome for outcome in pool.outcomes(questions)}


def line(number, path="/task/x"):
    return Line(number, json.dumps(dict(write(path).fields)).encode())


@pytest.fixture(scope="module")
def shared(tmp_path_factory, assembled):
    """Plans of one guest each, by its name, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    made = {}
    with pytest.MonkeyPatch.context() as patched:
        for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            patched.setenv(name, str(folder / "home"))
        for name in ("pass", "deny"):
            (folder / f"{name}.wasm").write_bytes(assembled(name))
            config = folder / f"{name}.toml"
            config.write_text(f'[[policy]]\nname = "{name}"\nmodule = "{name}.wasm"\n')
            made[name] = prepare(str(config), repin=False).plan
        pool = Pool({"pass": made["pass"], "deny": made["deny"]}, 2)  # reads its code while the home is this one
    with pool:
        yield made, pool, folder


@pytest.fixture
def both(shared):
    """A pool of two processes, in which `pass` and `deny` are plans."""
    return shared[1]


@pytest.fixture
def passing(shared, monkeypatch):
    """The plan `pass`, and the home in which its code is."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(shared[2] / "home"))
    return shared[0]["pass"]


def counted(outcome):
    return [int.from_bytes(v.state, "little") for v in outcome.decision.verdicts if v.state is not None]


def test_every_event_has_one_outcome_whoever_decides_it(both):
    made = list(both.outcomes(asked(key, plan="deny") for key in range(500)))
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


def test_what_policies_remember_goes_on_from_event_to_event_of_one_session(pool):
    questions = [asked(key, write(session=f"s{key % 4}")) for key in range(80)]
    made = outcomes(pool("counts", counts=STATE, jobs=3), questions)
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


def test_what_no_msgpack_can_say_is_decided_all_the_same(both):
    texts = write(path="/\ud800/x", session="a")
    numbers = write(number=2**80)
    made = outcomes(both, [asked(1, texts, plan="deny"), asked(2, numbers, plan="deny")])
    assert made[1].decision.verdicts[0].fault == ""
    assert "integer" in made[2].decision.verdicts[0].fault
    assert made[1].fault == made[2].fault == ""


def test_what_nobody_can_say_is_a_fault_of_that_event_alone(both):
    made = outcomes(
        both, [asked(key, write(**odd), plan="pass") for key, odd in ((1, {}), (2, {"odd": object()}), (3, {}))]
    )
    assert [made[key].fault[:18] for key in (1, 2, 3)] == ["", "it cannot be asked", ""]
    assert made[2].decision.effect is Effect.DENY


def test_a_line_is_read_and_decided_there_by_every_plan(planned):
    plans = {"p": planned("pass"), "q": planned("pass", "deny", deny={"tools": '["Edit"]'})}
    with Pool(plans, 1) as mine:
        made = outcomes(mine, [line(1), Line(2, b"{broken"), asked(3)])
    quiet = made[1].quiet
    assert (quiet.name, quiet.tool, quiet.effect) == ("PreToolUse", "Write", Effect.PASS)
    assert [[cost.policy for cost in costs] for costs in quiet.spent] == [[0], [0]]
    assert made[2] == LineOutcome(2)
    assert made[3].decision.effect is Effect.PASS


def test_a_line_that_is_decided_in_two_ways_is_told_whole(both):
    made = outcomes(both, [line(1)])[1]
    assert made.quiet is None
    assert made.event.fields == write().fields
    assert [decision.effect for decision in made.decisions] == [Effect.PASS, Effect.DENY]


def test_a_line_that_ends_a_process_is_at_fault_alone(pool, sabotaged):
    sabotaged("path == '/bad' and os._exit(3)")
    made = outcomes(pool("pass"), [line(key, "/bad" if key == 7 else "/good") for key in range(100)])
    assert [key for key, outcome in made.items() if outcome.fault] == [7]
    assert all(outcome.quiet for key, outcome in made.items() if key != 7)


def test_what_came_out_as_expected_is_told_in_a_word(both):
    first = outcomes(both, [asked(1, plan="deny")])[1].decision.verdicts[0]
    said = [{"policy": "deny", "effect": "deny", "reason": first.reason, "answer": first.answer.hex()}]
    wanted = Expected(verdicts=said, effect="deny", fuel=False)
    odd = wanted.replaced(verdicts=[{}])
    other = wanted.replaced(effect="ask")
    rewritten = wanted.replaced(rewrite={"a": 1})
    each = enumerate((wanted, odd, other, rewritten))
    made = outcomes(both, [asked(key, plan="deny", expected=one) for key, one in each])
    assert [made[key].same for key in range(4)] == [True, False, False, False]
    assert [made[key].decision.effect for key in (1, 2, 3)] == [Effect.DENY] * 3


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
    monkeypatch.setattr(pools, "PATIENCE", 0.1)
    monkeypatch.setattr(pools, "GRACE", 0.1)
    sabotaged("path == '/bad' and time.sleep(60)")
    mine = pool("pass", **{"pass": {"limits.clock": "10"}})
    made = outcomes(mine, [asked(1, write(path="/bad")), asked(2)])
    assert "gave no answer" in made[1].fault
    assert made[2].fault == ""


def test_after_many_deaths_in_a_row_nobody_is_asked_any_more(pool, sabotaged, monkeypatch):
    monkeypatch.setattr(pools, "DEATHS", 2)
    sabotaged("os._exit(3)")
    made = outcomes(pool("pass"), [asked(key) for key in range(50)])
    assert sorted(made) == list(range(50))
    assert all(outcome.fault and outcome.decision.effect is Effect.DENY for outcome in made.values())
    assert "not asked" in made[49].fault


class Babbling:
    """A process that says one thing, whatever it is asked."""

    unsent, silent, report = False, 0.0, {"isolation": "none"}

    def __init__(self, said):
        self._said = said
        self._ours, self._theirs = os.pipe()
        os.write(self._theirs, b"!")

    def fileno(self):
        return self._ours

    def wake(self):
        pass

    def send(self, data):
        pass

    def heard(self):
        yield self._said

    def end(self):
        os.close(self._ours)
        os.close(self._theirs)
        return "was killed"


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (asked(1), [[[0, [{"policy": "pass", "effect": 9}]]], []]),
        (asked(1), [[[5, []]], []]),
        (asked(1), [[[0, []], [1, []]], []]),
        (asked(1), [[[0, []]], [[0, "p", "s", "k", "text", 1]]]),
        (asked(1), [[[0]], []]),  # nothing was expected
        (asked(1), [[[]], []]),
        (asked(1), [[7], []]),
        (asked(1), 7),
        (Line(1, b"{broken"), [[[0, None, [[]]]], []]),  # decided, and no event
        (line(1), [[[0, None, [[], []]]], []]),  # by plans that there are not
        (line(1), [[[0, [], None]], []]),
        (line(1), [[[0, ["Stop", None, 0, 0, [[[1, False, 0, 0]]]], None]], []]),  # of a policy that there is not
        (line(1), [[[0, 7]], []]),
    ],
)
def test_nonsense_is_no_outcome(passing, monkeypatch, question, said):
    monkeypatch.setattr(pools, "Process", lambda _: Babbling(said))
    with Pool({"p": passing}, 1) as mine:
        made = outcomes(mine, [question])
    assert "protocol" in made[1].fault
    if not isinstance(question, Line):
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
def test_a_process_that_decides_again_opens_and_follows_nothing(pool, sabotaged):
    sabotaged("eval(path)")
    attempts = ("open('/etc/passwd')", "os.stat('/etc')", "os.listdir('/')", "os.readlink('/bin')")
    made = outcomes(pool("pass"), [asked(key, write(path)) for key, path in enumerate(attempts)])
    assert [outcome.fault.partition(": ")[2].partition(":")[0] for outcome in made.values()] == ["PermissionError"] * 4


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
