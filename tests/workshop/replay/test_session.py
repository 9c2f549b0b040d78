import json
import os
import signal

import pytest

from tests.workshop.replay.happened import Pool, payload, result, used, written
from wasmguard.errors import UsageError
from wasmguard.workshop.replay import kept as keeping
from wasmguard.workshop.replay import session
from wasmguard.workshop.replay.progress import Progress
from wasmguard.workshop.replay.session import Wanted, run


@pytest.fixture
def pool(monkeypatch):
    made = type("MyPool", (Pool,), {})
    monkeypatch.setattr(session, "Pool", made)
    monkeypatch.setattr(session, "SHARD", 10)
    monkeypatch.setattr(keeping, "OFTEN", 0)
    return made


@pytest.fixture
def events(tmp_path):
    def write(count=40, name="events.jsonl"):
        paths = [f"/etc/{n}" if n % 4 == 0 else f"/home/{n}" for n in range(count)]
        return written(tmp_path / name, [payload(path, session=f"s{n % 3}") for n, path in enumerate(paths)])

    return write


def replayed(file, config, **more):
    return run(Wanted(sources=(str(file),), config=str(config), **more), Progress())


def lasting(document):
    return {key: value for key, value in document.items() if key not in ("resumed_at", "costs")}


def test_outcomes_come_in_any_order_and_are_counted_in_theirs(pool, events, configured):
    document = replayed(events(), configured("deny"))
    assert document["events"]["total"] == document["events"]["compared"] == 40
    assert document["changes"]["decisions"] == 10
    (group,) = document["groups"]
    assert [shown["where"].rpartition(":")[2] for shown in group["examples"]] == ["1", "5", "9"]
    assert pool.last.closed


def test_without_another_configuration_nobody_decided_before(pool, events, configured):
    document = replayed(events(), configured("deny"))
    assert document["before"] == ""
    assert list(pool.last.plans) == ["after"]


def test_with_another_configuration_the_owners_decides_too(pool, events, configured, tmp_path):
    config = configured("deny")
    (tmp_path / "new.toml").write_text(config.read_text())
    document = replayed(events(), config, tried=str(tmp_path / "new.toml"))
    assert document["before"] == str(config)
    assert document["after"] == str(tmp_path / "new.toml")
    assert len(pool.last.keys) == 40  # each line is asked of both
    assert sorted(pool.last.plans) == ["after", "before"]


def test_with_another_configuration_the_owners_decides_too_what_was_read_here(pool, events, configured, tmp_path):
    config = configured("deny")
    (tmp_path / "new.toml").write_text(config.read_text())
    replayed(events(), config, tried=str(tmp_path / "new.toml"), moment=1)
    assert len(pool.last.keys) == 80


def test_a_recorded_decision_is_not_made_again(pool, configured, tmp_path):
    body = {"id": "ab" * 10, "time": 5, "kind": "decision", "agent": "claude", "event": "PreToolUse", "inputs": "full"}
    verdict = {"policy": "guard", "effect": "deny", "reason": "no", "fuel": 9}
    body |= {"fields": payload("/home/x"), "effect": "deny", "verdicts": [verdict]}
    config = configured("deny")
    (tmp_path / "new.toml").write_text(config.read_text())
    document = replayed(written(tmp_path / "r.jsonl", [body]), config, tried=str(tmp_path / "new.toml"))
    assert len(pool.last.keys) == 1
    assert document["effects"] == {"deny -> pass": 1}
    assert document["groups"][0]["policy"] == "guard"


def test_nobody_is_asked_about_what_no_policy_sees(pool, events, configured):
    document = replayed(events(), configured("deny", deny={"tools": '["Bash"]'}), moment=1)
    assert pool.last.keys == []
    assert document["coverage"] == []
    assert document["changes"]["total"] == 0


def test_events_that_wait_for_those_before_them_are_of_a_bounded_number(pool, tmp_path, configured, monkeypatch):
    monkeypatch.setattr(session, "AHEAD", 20)
    seen = []
    count = session._Replay._count
    monkeypatch.setattr(session._Replay, "_count", lambda self: seen.append(len(self._waiting)) or count(self))
    values = [payload("/etc/x", tool="Edit"), *(payload(f"/etc/{n}") for n in range(500))]
    document = replayed(written(tmp_path / "e.jsonl", values), configured("deny", deny={"tools": '["Edit"]'}), moment=1)
    assert document["events"]["compared"] == 501
    assert max(seen) <= 20 + pool.window + 1


def interrupted(file, config, pool, monkeypatch, at=25, **more):
    """Run up to a signal."""
    decide = pool.decision

    def stopping(self, one):
        if one.key == at * 2 + 1:
            os.kill(os.getpid(), signal.SIGINT)
        return decide(self, one)

    with monkeypatch.context() as patched:
        patched.setattr(pool, "decision", stopping)
        return replayed(file, config, **more)


def test_ctrl_c_ends_it_with_what_was_done_and_the_next_run_goes_on(pool, events, configured, monkeypatch):
    file, config = events(), configured("deny")
    whole = replayed(file, config)
    part = interrupted(file, config, pool, monkeypatch)
    assert not part["complete"]
    assert 0 < part["events"]["compared"] < 40
    rest = replayed(file, config)
    assert rest["resumed_at"] == part["events"]["compared"]
    assert len(pool.last.keys) == 40 - rest["resumed_at"]
    assert lasting(rest) == lasting(whole)
    assert rest["costs"] == whole["costs"]
    assert replayed(file, config)["resumed_at"] is None


def test_again_forgets_what_was_done(pool, events, configured, monkeypatch):
    file, config = events(), configured("deny")
    interrupted(file, config, pool, monkeypatch)
    assert replayed(file, config, again=True)["resumed_at"] is None


def test_a_run_that_was_killed_goes_on_from_its_last_writing(pool, events, configured, monkeypatch):
    file, config = events(), configured("deny")
    whole = replayed(file, config)

    def killed(self, one):
        if one.key > 60:
            raise SystemExit
        return Pool.decision(self, one)

    with monkeypatch.context() as patched:
        patched.setattr(pool, "decision", killed)
        with pytest.raises(SystemExit):
            replayed(file, config)
    rest = replayed(file, config)
    assert rest["resumed_at"] == 20  # as often as `SHARD` says
    assert lasting(rest) == lasting(whole)


def test_policies_that_remember_are_told_again_what_was_counted(pool, events, configured, monkeypatch):
    file, config = events(), configured("deny", deny={"grants.state": '"1 KiB"'})
    whole = replayed(file, config)
    assert whole["stateful"]
    interrupted(file, config, pool, monkeypatch)
    rest = replayed(file, config)
    assert len(pool.last.keys) == 40
    assert lasting(rest) == lasting(whole)


def test_an_event_that_a_process_died_at_is_not_compared(pool, events, configured, monkeypatch):
    monkeypatch.setattr(pool, "fault", lambda _self, one: "it died" if one.key == 1 else "")
    document = replayed(events(), configured("deny"))
    assert document["events"]["compared"] == 39
    assert document["undecided"][0]["count"] == 1
    assert document["undecided"][0]["where"][0].endswith(":1")


def test_malformed_lines_are_counted_and_named(pool, events, configured):
    file = events(3)
    with open(file, "a", encoding="utf-8") as more:
        more.write("{broken\n" * 8)
    document = replayed(file, configured("deny"))
    assert document["events"]["malformed"] == 8
    assert [where.rpartition(":")[2] for where in document["malformed"]] == ["4", "5", "6", "7", "8"]


def test_a_source_that_breaks_keeps_what_was_done(pool, events, configured, tmp_path, monkeypatch):
    first, config = events(), configured("deny")
    second = written(tmp_path / "later.jsonl", [payload()])
    real = session.Reading._of

    def broken(self, source):
        if source.path.endswith("later.jsonl"):
            raise OSError(5, "Input/output error")
        return real(self, source)

    wanted = Wanted(sources=(str(first), str(second)), config=str(config))
    with monkeypatch.context() as patched:
        patched.setattr(session.Reading, "_of", broken)
        with pytest.raises(UsageError, match="input/output error"):
            run(wanted, Progress())
    assert run(wanted, Progress())["resumed_at"] > 0


KINDS = [
    payload("/etc/x"),
    payload("/home/x", tool="Edit"),
    payload("/home/x", name="PostToolUse", tool_response={"type": "text"}),
    {"hook_event_name": "Stop", "session_id": "s", "timestamp": "2026-11-21T21:30:18Z"},
    {"hook_event_name": "PreToolUse"},
    {"session_id": "s"},
    7,
    used("/etc/y", call="t2"),
    result("t2"),
    {"kind": "decision", "id": "ab" * 10, "fields": payload("/z"), "verdicts": [], "effect": "pass", "inputs": "full"},
    {"kind": "refused", "id": "ab" * 10},
]


def test_lines_that_are_read_elsewhere_are_counted_as_if_they_were_read_here(configured, tmp_path):
    """Real processes; `moment` makes the difference, and leaves nothing out."""
    file = written(tmp_path / "all.jsonl", KINDS * 7)
    with open(file, "ab") as more:
        more.write(b"\n \n{broken\n\xff\n" + json.dumps(payload("/last")).encode())
    config = configured("pass", "deny", deny={"tools": '["Edit"]'})
    (tmp_path / "new.toml").write_text(config.read_text().replace('"Edit"', '"Write"'))
    for tried in (None, str(tmp_path / "new.toml")):
        here, there = (replayed(file, config, tried=tried, moment=moment, jobs=2) for moment in (1, None))
        assert lasting(here) == lasting(there)
        assert there["changes"]["total"] > 0
        assert [_exact(row) for row in here["costs"]] == [_exact(row) for row in there["costs"]]


def _exact(row):
    sides = (row["before"] or {}, row["after"] or {})
    return [{key: value for key, value in side.items() if key != "microseconds"} for side in sides]


def test_the_document_is_json(pool, events, configured):
    json.dumps(replayed(events(), configured("deny")))


def test_real_policies_decide(events, configured, tmp_path):
    config = configured("pass", "deny", deny={"tools": '["Edit"]'})
    (tmp_path / "new.toml").write_text(config.read_text().replace('"Edit"', '"Write"'))
    document = replayed(events(20), config, tried=str(tmp_path / "new.toml"))
    assert document["effects"] == {"pass -> deny": 20}
    assert {row["policy"]: row["after"]["asked"] for row in document["costs"]} == {"pass": 20, "deny": 20}
    assert document["groups"][0]["policy"] == "deny"
