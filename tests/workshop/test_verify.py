"""Whether records are what was written, and whether what they say comes out again."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from wasmguard import kept, spool
from wasmguard.decision import Effect
from wasmguard.errors import UsageError
from wasmguard.guard import Guard
from wasmguard.guest.codec import packed
from wasmguard.records import query
from wasmguard.workshop import verify as looking
from wasmguard.workshop.rerun import compared, process
from wasmguard.workshop.verify import head, verified

WRITE = {
    "hook_event_name": "PreToolUse",
    "session_id": "s",
    "cwd": "/task",
    "tool_name": "Write",
    "tool_use_id": "t1",
    "tool_input": {"file_path": "/task/x", "content": "\ud800é"},
}
FULL = '[record]\ninputs = "full"\n'
STATE = {"grants.state": '"1 KiB"'}
MOVES = {'grants.rewrite."Write.file_path"': '{ within = "/sandbox" }'}


@pytest.fixture
def decided(configured):
    """Records that a guard with these policies made of events, by default of one."""

    def decide(*names, events=(WRITE,), top=FULL, **extra):
        path = configured(*names, **extra)
        path.write_text(top + path.read_text())
        with Guard.load(path, isolation="thread") as guard:
            return [guard.decide(event) for event in events]

    return decide


@pytest.fixture
def forged(decided):
    """Puts a record into the spool that differs from what a guard decided, or several; the chain is whole then."""

    def forge(*names, change, **extra):
        decided(*names, **extra)
        looking.drain.drained()
        for number, each in enumerate(change if isinstance(change, list) else [change]):
            body = next(query.records(kind="decision")).body
            given = {"id": b"%010d" % number, "digest": b""}
            given |= {key: body[key] for key in body if key not in ("id", "digest")}
            for verdict in given["verdicts"]:
                if "answer" in verdict:
                    verdict["answer"] = bytes.fromhex(verdict["answer"])
            each(given)
            spool.append(packed(given))

    return forge


def test_without_records_nothing_is_wrong(own_home):
    report = verified()
    assert (report.good, report.decisions, report.head) == (True, 0, "0:" + "0" * 64)


def test_every_decision_comes_out_again_to_the_byte(decided):
    events = [WRITE | {"session_id": f"s{n % 3}", "tool_name": ("Write", "Bash")[n % 2]} for n in range(30)]
    decided(
        *("rewrite_constant", "counts", "ask", "unreachable", "deny"),
        events=[*events, {"hook_event_name": "Stop", "session_id": "s"}],
        rewrite_constant=MOVES | {"tools": '["Write"]'},
        counts=STATE,
        deny={"shadow": "true"},
        unreachable={"tools": '["Bash"]'},
    )
    for jobs in (1, 2):
        report = verified(jobs=jobs)
        assert (report.decisions, report.again, report.wrong) == (31, 31, ())
        assert report.good


def test_a_plan_that_is_not_in_force_any_more_still_decides_what_it_decided(decided):
    decided("deny")
    decided("allow", allow={"grants.effects": '["allow"]'})
    decided("deny", "pass")
    report = verified()
    assert (report.decisions, report.again, report.wrong) == (3, 3, ())


def test_many_plans_are_loaded_a_few_at_a_time(decided, monkeypatch):
    monkeypatch.setattr(looking, "TOGETHER", 2)
    for names in (("deny",), ("pass",), ("ask",), ("deny",)):
        decided(*names)
    assert verified().again == 4


def test_code_that_the_cache_has_lost_is_made_again_from_what_is_kept(decided, tmp_path, own_home):
    import shutil

    from wasmguard import plan

    decided("deny", "wasi_random")
    shutil.rmtree(plan.vault().folder)
    for module in tmp_path.glob("*.wasm"):
        module.unlink()
    report = verified()
    assert (report.again, report.wrong) == (1, ())


FORGERIES = {
    "`reason`": lambda body: body["verdicts"][0].update(reason="because"),
    "`answer`": lambda body: body["verdicts"][0].update(answer=b"0" * 16),
    "`fuel`": lambda body: body["verdicts"][0].update(fuel=1),
    "`effect`": lambda body: body["verdicts"][0].update(effect="pass"),
    "`verdict`": lambda body: body["verdicts"].clear(),
    "settle into `deny`": lambda body: body.update(effect="pass"),
    "another rewrite": lambda body: body.update(rewrite={"a": 1}),
    "cannot be understood: 'agent'": lambda body: body.pop("agent"),
    "cannot be understood: fields": lambda body: body.update(fields=7),
    "cannot be understood: KeyError": lambda body: body["verdicts"][0].pop("policy"),
}
CAME_OUT = ("settle into", "another rewrite")
"""What is wrong with a decision that came out again all the same."""


def test_a_decision_that_comes_out_otherwise_is_wrong(forged):
    forged("deny", change=list(FORGERIES.values()))
    report = verified()
    assert (report.broken, report.good, report.decisions) == ((), False, 1 + len(FORGERIES))
    assert report.again == 1 + len(CAME_OUT)
    said = {bytes.fromhex(wrong.id).decode(): [] for wrong in report.wrong}
    for wrong in report.wrong:
        said[bytes.fromhex(wrong.id).decode()].append(wrong.what)
    for number, what in enumerate(FORGERIES):
        assert any(what in each for each in said.get(f"{number:010}", [])), (what, said)


def test_another_tool_of_which_the_policy_says_the_same_comes_out(forged):
    forged("deny", change=lambda body: body["fields"].update(tool_name=7))
    assert verified().again == 2


def test_one_bit_in_a_record_is_found(decided):
    decided("deny", events=[WRITE] * 3)
    looking.drain.drained()
    segment = Path(spool.folder()) / "000001.db"
    first, second, rest = segment.read_bytes().split(b"/task/x", 2)
    segment.write_bytes(first + b"/task/x" + second + b"/task/y" + rest)
    report = verified()
    assert not report.good
    assert report.broken[0].segment == "000001.db"


@pytest.mark.parametrize("inputs", ["redacted", "digest"])
def test_what_was_not_recorded_as_it_was_judged_is_counted_with_its_reason(decided, inputs):
    secret = WRITE | {"tool_input": {"file_path": "/x", "content": "AKIAIOSFODNN7EXAMPLE"}}
    decided("deny", events=[secret], top=f'[record]\ninputs = "{inputs}"\n')
    report = verified()
    assert report.not_again == {f"inputs were recorded as `{inputs}`": 1}
    assert (report.good, report.again) == (True, 0)


def test_a_plan_that_is_not_kept_any_more_is_counted_with_its_reason(decided):
    import shutil

    decided("deny")
    shutil.rmtree(kept.folder())
    report = verified()
    assert [why.endswith("is not kept any more") for why in report.not_again] == [True]
    assert report.good


def test_what_the_guard_itself_denied_is_counted_apart(decided, tmp_path):
    own = WRITE | {"tool_input": {"file_path": str(tmp_path / "wasmguard.toml"), "content": ""}}
    assert decided("pass", events=[own])[0].effect is Effect.DENY
    report = verified()
    assert (report.own, report.again, report.good) == (1, 0, True)


def test_what_another_version_decided_otherwise_is_told_apart(forged):
    def older(body):
        body["version"] = "0.0.1"
        body["verdicts"][0]["reason"] = "because"

    forged("deny", change=older)
    report = verified()
    assert [why.startswith("wasmguard 0.0.1 decided it") for why in report.differing] == [True]
    assert report.good


def test_a_limit_of_time_is_not_wrong(forged):
    def late(body):
        body["verdicts"] = [{"policy": "deny", "effect": "deny", "fault": "took too long"}]

    forged("deny", change=late)
    report = verified()
    assert (list(report.differing.values()), report.good) == ([1], True)


def test_the_chain_alone_asks_nobody(decided, monkeypatch):
    decided("deny")
    monkeypatch.setattr(looking, "Pool", None)
    report = verified(chain_only=True)
    assert (report.good, report.decisions) == (True, 0)


def test_a_head_that_was_kept_is_in_the_chain_for_ever(decided):
    decided("deny", events=[WRITE] * 2)
    early = head()
    decided("deny", events=[WRITE] * 2)
    assert verified(chain_only=True, expect=early).good
    assert verified(chain_only=True, expect=head()).good
    number, _, digest = early.partition(":")
    other = sha256(b"").hexdigest()
    assert "another hash" in verified(chain_only=True, expect=f"{number}:{other}").expected
    assert "is not there" in verified(chain_only=True, expect=f"99:{digest}").expected


@pytest.mark.parametrize("expect", ["7", "x:" + "0" * 64, "7:" + "g" * 64, "7:abc", "7:" + "A" * 64])
def test_what_is_no_head_is_refused(own_home, expect):
    with pytest.raises(UsageError, match="is no head"):
        verified(expect=expect)


def test_who_looks_is_told_how_far_it_is(decided, monkeypatch):
    monkeypatch.setattr(looking, "STEP", 1)
    decided("deny", events=[WRITE] * 3)
    seen = []
    verified(told=lambda *said: seen.append(said))
    assert ("decisions", 3, 3) in seen


def test_only_what_came_since_is_decided_again(decided):
    decided("deny")
    assert verified(since=2**60).decisions == 0


@pytest.fixture
def unsaid(monkeypatch):
    """Processes that never say that a decision came out the same."""
    first, last = process._SPAWNED.split("from ", 1)
    before = "from wasmguard.workshop.rerun import worker\nworker.came_out = lambda *_: False\n"
    monkeypatch.setattr(process, "_SPAWNED", f"{first}\n{before}\nfrom {last}")


def test_what_a_process_does_not_call_the_same_is_compared_here(decided, unsaid):
    decided("deny", "counts", counts=STATE)
    assert verified().again == 1


def test_nothing_is_compared_with_what_a_broken_comparison_says(decided, unsaid, monkeypatch):
    """Break the comparison, and everything is wrong: it is not passed by."""
    decided("deny")
    monkeypatch.setattr(compared, "_obviously_same", lambda *_, **__: False)
    monkeypatch.setattr(compared, "_differs", lambda *_, **__: "effect")
    assert verified().wrongs == 1


def test_a_report_is_plain_data(decided):
    from wasmguard.workshop.verify_told import as_data

    decided("deny")
    assert json.loads(json.dumps(as_data(verified())))["again"] == 1


def test_what_was_changed_while_it_waited_is_wrong(decided):
    decided("pass", events=[WRITE, WRITE])
    path = Path(spool.folder()) / spool.NAME
    frame = bytearray(path.read_bytes())
    frame[60] ^= 1
    path.write_bytes(frame)
    for report in (verified(), verified(chain_only=True)):
        assert report.damaged > 0
        assert not report.good
        assert report.broken == ()


def test_what_could_not_be_recorded_is_told_and_is_not_wrong(decided, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(spool.os, "write", lambda *_: 3)
        decided("pass")
    report = verified()
    assert (report.lost, report.good) == (0, True)  # nobody could write that down either
    spool.append(
        packed({"v": 1, "id": b"0123456789", "time": 1_795_000_000_000, "kind": "lost", "count": 3, "why": "disk"})
    )
    report = verified()
    assert (report.lost, report.good) == (3, True)
