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
from wasmguard.workshop.rerun import compared
from wasmguard.workshop.verify import head, verified

WRITE = {
    "hook_event_name": "PreToolUse",
    "session_id": "s",
    "cwd": "/work",
    "tool_name": "Write",
    "tool_use_id": "t1",
    "tool_input": {"file_path": "/work/x", "content": "\ud800é"},
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
    """Puts a record into the spool that differs from what a guard decided; the chain itself is whole then."""

    def forge(*names, change, **extra):
        decided(*names, **extra)
        looking.drain.drained()
        body = next(query.records(kind="decision")).body
        given = {"id": b"0123456789", "digest": b"", **{key: body[key] for key in body if key not in ("id", "digest")}}
        for verdict in given["verdicts"]:
            if "answer" in verdict:
                verdict["answer"] = bytes.fromhex(verdict["answer"])
        change(given)
        spool.append(packed(given))

    return forge


def test_without_records_nothing_is_wrong(own_home):
    report = verified()
    assert (report.good, report.decisions, report.head) == (True, 0, "0:" + "0" * 64)


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_decision_comes_out_again_to_the_byte(decided, jobs):
    events = [WRITE | {"session_id": f"s{n % 3}", "tool_name": ("Write", "Bash")[n % 2]} for n in range(30)]
    decided(
        *("rewrite_constant", "counts", "ask", "unreachable", "deny"),
        events=[*events, {"hook_event_name": "Stop", "session_id": "s"}],
        rewrite_constant=MOVES | {"tools": '["Write"]'},
        counts=STATE,
        deny={"shadow": "true"},
        unreachable={"tools": '["Bash"]'},
    )
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


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda body: body["verdicts"][0].update(reason="because"), "`reason`"),
        (lambda body: body["verdicts"][0].update(answer=b"0" * 16), "`answer`"),
        (lambda body: body["verdicts"][0].update(fuel=1), "`fuel`"),
        (lambda body: body["verdicts"][0].update(effect="pass"), "`effect`"),
        (lambda body: body["verdicts"].clear(), "`verdict`"),
        (lambda body: body["fields"].update(tool_name=7), ""),
        (lambda body: body.update(effect="pass"), "settle into `deny`"),
        (lambda body: body.update(rewrite={"a": 1}), "another rewrite"),
        (lambda body: body.pop("agent"), "cannot be understood"),
        (lambda body: body.update(fields=7), "cannot be understood"),
    ],
)
def test_a_decision_that_comes_out_otherwise_is_wrong(forged, change, what):
    forged("deny", change=change)
    report = verified()
    assert report.broken == ()
    if what:
        assert not report.good
        assert report.wrongs >= 1
        assert any(what in wrong.what for wrong in report.wrong), report.wrong
    assert (report.decisions, report.again) == (
        2,
        1 if what not in ("settle into `deny`", "another rewrite", "") else 2,
    )


def test_one_bit_in_a_record_is_found(decided):
    decided("deny", events=[WRITE] * 3)
    looking.drain.drained()
    segment = Path(spool.folder()) / "000001.db"
    first, second, rest = segment.read_bytes().split(b"/work/x", 2)
    segment.write_bytes(first + b"/work/x" + second + b"/work/y" + rest)
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


def test_nothing_is_compared_with_what_a_broken_comparison_says(decided, monkeypatch):
    """Break the comparison, and everything is wrong: it is not passed by."""
    decided("deny")
    monkeypatch.setattr(compared, "_obviously_same", lambda *_, **__: False)
    monkeypatch.setattr(compared, "_differs", lambda *_, **__: "effect")
    assert verified().wrongs == 1


def test_a_report_is_plain_data(decided):
    from wasmguard.workshop.verify_told import as_data

    decided("deny")
    assert json.loads(json.dumps(as_data(verified())))["again"] == 1
