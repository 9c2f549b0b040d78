"""A decision from its record is the decision that was recorded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.spooled import decision as body_of
from tests.records.spooled import kept
from wasmguard import plan
from wasmguard.decision import OURSELVES, Effect, Verdict, settle
from wasmguard.errors import HostError
from wasmguard.event import Event
from wasmguard.guard import Guard
from wasmguard.guest.outputs import NOTICE
from wasmguard.lock import lock
from wasmguard.recorder import Recorder
from wasmguard.records import query, said
from wasmguard.records.drain import drained

PRE = {
    "hook_event_name": "PreToolUse",
    "session_id": "s",
    "cwd": "/",
    "tool_name": "Write",
    "tool_use_id": "t",
    "tool_input": {"file_path": "/etc/x", "content": "y"},
}
POST = {**PRE, "hook_event_name": "PostToolUse", "tool_use_id": "u", "tool_response": {"stdout": "a secret", "n": 1}}
STOP = {"hook_event_name": "Stop", "session_id": "s"}


@pytest.fixture(autouse=True)
def _home(own_home):
    return own_home


@pytest.fixture
def recorder(configured):
    """Makes a recorder with these words of `[record]`."""
    made = lock(str(configured("pass")), repin=False).plan

    def make(**words):
        return Recorder(made.replaced(record={**made.record, **words}))

    return make


def last():
    """The last record of a decision, out of the database."""
    drained()
    return query.record("last").body


CHAINS = [
    *(["pass"], ["deny"], ["allow"], ["redacts", "deny"], ["unreachable", "ask"], ["counts"]),
    *(["allow", "rewrite_constant", "ask"], ["escape_reason", "rewrite_constant"]),
]
GRANTS = {
    "rewrite_constant": {"grants.rewrite": '{ "Write.file_path" = { within = "/sandbox" } }'},
    "redacts": {"grants.rewrite_output": '{ "Write" = { max = "1 KiB" } }', "events": '["PostToolUse"]'},
    "counts": {"grants.state": '"1 KiB"'},
    "allow": {"grants.effects": '["allow", "deny", "ask"]'},
}


@pytest.mark.parametrize("guests", CHAINS, ids="-".join)
def test_what_a_guard_decided_is_what_the_record_says(configured, guests):
    with Guard.load(configured(*guests, **GRANTS), isolation="thread") as guard:
        for fields in (PRE, PRE, POST, STOP):  # a second time there is something to remember
            decision = guard.decide(fields)
            assert said.decision(last(), query.blob) == decision


def test_an_output_that_nobody_could_judge_is_withheld_in_the_record_too(configured, monkeypatch):
    monkeypatch.setattr("wasmguard.guard.decided", lambda *_: 1 / 0)
    with Guard.load(configured("redacts", **GRANTS), isolation="thread") as guard:
        decision = guard.decide(POST)
    assert decision.output == {"stdout": NOTICE, "n": 1}
    assert said.decision(last(), query.blob) == decision


texts = st.text(max_size=8)
numbers = st.integers(-5, 2**40) | st.floats(allow_nan=False, allow_infinity=False)
tool_inputs = st.dictionaries(texts, st.none() | st.booleans() | numbers | texts, max_size=3)
verdicts = st.builds(
    Verdict,
    policy=st.sampled_from(["a", "b", "c"]),
    effect=st.sampled_from(Effect),
    reason=texts,
    rewrite=st.none() | tool_inputs,
    output=st.none() | texts | st.lists(texts, max_size=2) | tool_inputs,
    context=texts,
    interrupt=st.booleans(),
    permissions=st.lists(tool_inputs, max_size=2).map(tuple),
    notes=st.lists(texts, max_size=2).map(tuple),
    state=st.none() | st.binary(max_size=4),
    shadow=st.booleans(),
    of=st.sampled_from(["", "a"]),
    fuel=st.none() | st.integers(0, 10**9),
    microseconds=st.floats(0, 1e9),
    given=st.none() | st.binary(max_size=4),
    answer=st.just(b"") | st.binary(min_size=16, max_size=16),
)
faults = st.builds(
    Verdict.failed,
    policy=st.sampled_from(["a", "b"]),
    fault=texts.filter(bool),
    effect=st.sampled_from([Effect.ASK, Effect.DENY]),
)


def test_whatever_was_said_is_what_the_record_says(recorder):
    recording = recorder(inputs="full")
    seen = []

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(verdicts | faults, max_size=5))
    def keep(made):
        decision = settle(made)
        recording.keep(Event(name="PreToolUse", agent="claude", fields=PRE, time=5), decision, 1.0)
        seen.append(decision)

    keep()
    drained()
    assert [said.decision(record.body, query.blob) for record in query.records()] == seen


def test_a_rewrite_there_and_back_again_is_none(recorder):
    made = settle([Verdict(policy="a", rewrite={"x": 1}), Verdict(policy="b", rewrite=PRE["tool_input"])])
    decision = made.replaced(rewrite=None)  # as `wasmguard.chain` does
    recorder().keep(Event(name="PreToolUse", agent="claude", fields=PRE), decision, 1.0)
    assert said.decision(last()) == decision


def test_without_inputs_the_effect_is_the_recorded_one(recorder):
    allowed = Verdict(policy="a", effect=Effect.ALLOW)
    decision = settle([allowed, Verdict(policy="b", rewrite={"x": 1}), Verdict(policy="a")])
    assert decision.effect is Effect.PASS
    recorder(inputs="digest").keep(Event(name="PreToolUse", agent="claude", fields=PRE), decision, 1.0)
    again = said.decision(last())
    assert again.effect is Effect.PASS
    assert again.because == ()
    assert again.rewrite is None


@pytest.mark.parametrize("effect", Effect)
def test_without_inputs_whoever_carried_the_effect_still_did(recorder, effect):
    decision = settle([Verdict(policy="a", effect=effect, reason="so"), Verdict(policy="s", effect=3, shadow=True)])
    recorder(inputs="digest").keep(Event(name="PreToolUse", agent="claude", fields=PRE), decision, 1.0)
    again = said.decision(last())
    assert (again.effect, again.because) == (decision.effect, decision.because)


def test_what_policies_remember_is_left_out_without_a_place_to_find_it(recorder):
    decision = settle([Verdict(policy="a", given=b"before", state=b"after")])
    recorder(inputs="full").keep(Event(name="PreToolUse", agent="claude", fields=PRE), decision, 1.0)
    (verdict,) = said.verdicts(last())
    assert (verdict.given, verdict.state) == (None, None)
    (verdict,) = said.verdicts(last(), query.blob)
    assert (verdict.given, verdict.state) == (b"before", b"after")


def test_a_memory_that_is_gone_is_an_error_not_an_empty_one(recorder):
    decision = settle([Verdict(policy="a", given=b"before")])
    recorder(inputs="full").keep(Event(name="PreToolUse", agent="claude", fields=PRE), decision, 1.0)
    with pytest.raises(HostError, match="not kept any more"):
        said.verdicts(last(), lambda digest: None)


def test_an_output_that_is_not_known_any_more_is_the_notice():
    kept(body_of(output=True, inputs="redacted"))
    assert said.decision(last()).output == NOTICE


ODD = [
    *({"policy": "a", "effect": "maybe"}, "a", {"effect": "deny"}),
    *({"policy": "a", "answer": "x"}, {"policy": "a", "given": 7}),
]


@pytest.mark.parametrize("verdicts", [7, *([odd] for odd in ODD)])
def test_what_is_no_verdict_is_an_error_that_names_the_record(verdicts):
    with pytest.raises(HostError, match=r"record `ab12` is no decision.*wasmguard verify"):
        said.decision({"id": "ab12", "kind": "decision", "effect": "deny", "verdicts": verdicts}, query.blob)


def test_a_digest_without_an_effect_is_an_error():
    with pytest.raises(HostError, match="no effect"):
        said.decision({"id": "ab12", "inputs": "digest", "verdicts": []})


def test_the_guard_speaks_for_itself(configured):
    config = configured("pass")
    with Guard.load(config, isolation="thread") as guard:
        decision = guard.decide({**PRE, "tool_input": {"file_path": str(config), "content": "y"}})
        assert [verdict.policy for verdict in decision.because] == [OURSELVES]
        assert said.decision(last()) == decision
    assert plan.last(str(config)) is not None
