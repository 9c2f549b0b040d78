"""Records of decisions: what is kept of an event and what was said about it, before anything is written."""

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recorded import waiting
from wasmguard import Guard, plan, spool
from wasmguard import recorder as module
from wasmguard.decision import Decision, Effect, Verdict, settle
from wasmguard.errors import HostError
from wasmguard.event import Event
from wasmguard.guest.codec import packed
from wasmguard.lock import lock

pytestmark = pytest.mark.usefixtures("own_home")

INPUT = {"file_path": "/etc/x", "content": "hello"}
FIELDS = {
    "hook_event_name": "PreToolUse",
    "session_id": "s1",
    "cwd": "/w",
    "tool_name": "Write",
    "tool_use_id": "toolu_1",
    "tool_input": INPUT,
}
GITHUB = "ghp_" + "a1B2" * 9


@pytest.fixture
def recorder(configured):
    """Makes a recorder of a plan with these words of its `[record]`."""

    def make(**given):
        made = lock(str(configured("pass")), repin=False).plan
        return module.Recorder(made.replaced(record={**made.record, **given}))

    return make


def event(**changed):
    return Event(name="PreToolUse", agent="claude", fields={**FIELDS, **changed}, time=1_700_000_000_000)


def kept(recorder, decision, about=None):
    recorder.keep(about or event(), decision, 12.5)
    return waiting()[-1]


def test_a_decision_is_kept_with_all_that_was_said(recorder):
    verdicts = [
        Verdict(policy="a", rewrite={**INPUT, "file_path": "/sandbox/x"}, fuel=7, microseconds=1.5, answer=b"\1" * 16),
        Verdict(policy="b", effect=Effect.ASK, reason="why", notes=("n",), given=b"", state=b"s", shadow=True),
    ]
    record = kept(recorder(), settle(verdicts))
    assert record["kind"] == "decision"
    assert (record["event"], record["tool"], record["session"], record["call"], record["cwd"]) == (
        *("PreToolUse", "Write", "s1", "toolu_1"),
        "/w",
    )
    assert record["fields"] == FIELDS
    assert (record["inputs"], record["effect"], record["us"], record["way"]) == ("full", "pass", 12.5, "library")
    assert record["rewrote"] is True
    assert record["rewrite"] == {**INPUT, "file_path": "/sandbox/x"}
    assert record["digest"] == module.digest(packed(INPUT)) == module.input_digest(event())
    first, second = record["verdicts"]
    assert first == {
        "policy": "a",
        "effect": "pass",
        "rewrite": record["rewrite"],
        "fuel": 7,
        "us": 1.5,
        "answer": b"\1" * 16,
    }
    assert second == {
        "policy": "b",
        "effect": "ask",
        "reason": "why",
        "notes": ["n"],
        "given": b"",
        "state": b"s",
        "shadow": True,
        "us": 0.0,
    }


def test_a_record_names_plan_engine_and_version(recorder, configured):
    record = kept(recorder(), settle([]))
    made = plan.read(record["config"])
    assert record["plan"] == plan.identity(made)
    assert record["engine"].startswith("wasmtime ")
    assert record["version"]


def test_what_a_tool_came_to_is_kept(recorder):
    fields = {**FIELDS, "hook_event_name": "PostToolUse", "tool_response": {"is_error": True}, "duration_ms": 31}
    after = Event(name="PostToolUse", agent="claude", fields=fields, time=1)
    record = kept(recorder(), settle([]), after)
    assert (record["error"], record["duration"]) == (True, 31)
    failed = Event(name="PostToolUseFailure", agent="claude", fields=FIELDS, time=1)
    assert kept(recorder(), settle([]), failed)["error"] is True
    assert "error" not in kept(recorder(), settle([]))


def test_secrets_are_replaced_before_anything_is_written(recorder):
    about = event(tool_input={**INPUT, "content": f"token {GITHUB}"})
    decision = settle([Verdict(policy="a", rewrite={**INPUT, "content": f"again {GITHUB}"}, notes=(GITHUB,))])
    record = kept(recorder(), decision, about)
    with open(os.path.join(spool.folder(), spool.NAME), "rb") as file:
        assert GITHUB.encode() not in file.read()
    assert record["inputs"] == "redacted"
    assert record["digest"] == module.input_digest(about)
    assert record["fields"]["tool_input"]["file_path"] == "/etc/x"


def test_an_owner_may_have_secrets_of_their_own(recorder):
    about = event(tool_input={"command": "echo corp-12345"})
    record = kept(recorder(redact=["corp-[0-9]+"]), settle([]), about)
    assert "12345" not in json.dumps(record["fields"])
    assert record["inputs"] == "redacted"


def test_an_owner_may_want_everything(recorder):
    about = event(tool_input={"command": f"use {GITHUB}"})
    record = kept(recorder(inputs="full"), settle([]), about)
    assert record["fields"] == about.fields
    assert record["inputs"] == "full"


def test_an_owner_may_want_no_inputs_at_all(recorder):
    verdict = Verdict(policy="a", rewrite={**INPUT, "content": "new"}, state=b"seen hello", given=b"hello", reason="r")
    record = kept(recorder(inputs="digest"), settle([verdict]))
    assert record["inputs"] == "digest"
    assert record["rewrote"] is True
    assert record["digest"] == module.input_digest(event())
    assert not {"fields", "rewrite"} & record.keys()
    assert record["verdicts"] == [{"policy": "a", "effect": "pass", "us": 0.0, "reason": "r"}]
    with open(os.path.join(spool.folder(), spool.NAME), "rb") as file:
        assert b"hello" not in file.read()


def test_a_large_event_is_cut_and_says_so(recorder):
    about = event(tool_input={"file_path": "/x", "content": "y" * 100_000, "list": list(range(10_000))})
    record = kept(recorder(largest=2_000), settle([]), about)
    assert record["inputs"] == "cut"
    assert record["fields"]["tool_input"]["file_path"] == "/x"
    assert record["fields"]["tool_input"]["content"].endswith("(100_000 characters)")
    assert spool.waiting() < 4_000


@pytest.mark.parametrize("before", [0, 200, 230, 250, 256])
def test_half_a_secret_is_not_left_where_a_text_is_cut(recorder, before):
    about = event(
        tool_input={"command": "x " * (before // 2) + GITHUB + " y" * 5_000, "short": "z" * 300 + "… (9 characters)"}
    )
    record = kept(recorder(largest=2_000), settle([]), about)
    assert GITHUB[:12] not in json.dumps(record["fields"])
    assert record["fields"]["tool_input"]["command"].endswith(f"({len(about.input['command']):_} characters)")
    assert record["fields"]["tool_input"]["short"].endswith("… (316 characters)")
    assert len(record["fields"]["tool_input"]["command"]) < 300


@pytest.mark.parametrize("inputs", ["redacted", "digest"])
def test_what_a_policy_repeats_of_a_secret_is_not_kept(recorder, inputs):
    rules = ({"type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": f"echo {GITHUB}"}]},)
    said = {"reason": f"`{GITHUB}`", "notes": (GITHUB,), "context": GITHUB, "permissions": rules}
    remembered = {"state": b"\x00" + GITHUB.encode(), "given": GITHUB.encode()}
    kept(recorder(inputs=inputs), settle([Verdict(policy="a", effect=Effect.ALLOW, **said, **remembered)]))
    with open(os.path.join(spool.folder(), spool.NAME), "rb") as file:
        assert GITHUB.encode() not in file.read()


def test_why_an_event_was_refused_quotes_no_secret(configured):
    with Guard.load(configured("deny"), isolation="thread") as guard:
        guard.decide({**FIELDS, "permission_mode": None, (GITHUB,): 1})
    assert "[redacted: GitHub token]" in waiting()[-1]["why"]


@pytest.mark.parametrize("odd", [2**70, -(2**70), float("inf")])
def test_what_msgpack_or_json_cannot_say_is_kept_in_other_words(recorder, odd):
    record = kept(recorder(), settle([]), event(tool_input={"number": odd}))
    assert record["fields"]["tool_input"].keys() == {"number"}


def test_what_cannot_be_written_is_an_error_and_counted_when_it_can_be_again(recorder, monkeypatch):
    kind = recorder()
    with monkeypatch.context() as patched:
        patched.setattr(spool.os, "write", lambda *_: 3)
        for told in (False, True):
            with pytest.raises(HostError, match="cannot be recorded"):
                kind.keep(event(), settle([]), 1.0)
            assert kind.told is told
    kind.keep(event(), settle([]), 1.0)
    lost, record = waiting()[-2:]
    assert (lost["kind"], lost["count"]) == ("lost", 2)
    assert "took 3 of" in lost["why"]
    assert record["kind"] == "decision"


words = st.text(max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(words, below, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tool_input=st.dictionaries(words, plain, max_size=4))
def test_whatever_an_agent_sends_is_kept_as_it_was(recorder, tool_input):
    if not hasattr(test_whatever_an_agent_sends_is_kept_as_it_was, "kind"):
        test_whatever_an_agent_sends_is_kept_as_it_was.kind = recorder(inputs="full")
    kind = test_whatever_an_agent_sends_is_kept_as_it_was.kind
    about = event(tool_input=tool_input, z=1, permission_mode="plan", a=2)
    body = kind._body(about, settle([]), 1.0, None)
    assert list(module.opened(body)["fields"].items()) == list(about.fields.items())


def test_what_is_no_record_is_refused():
    for body in (b"", b"\x01", packed([1, 2, 3]), packed("text"), packed([9] * 2)):
        with pytest.raises(ValueError):  # noqa: PT011  # whatever is wrong with it
            module.opened(body)


def test_a_decision_means_the_same_in_the_parts_that_are_written_and_as_a_map(recorder):
    decision = settle([Verdict(policy="a", effect=Effect.DENY, reason="no", interrupt=True, fuel=0)])
    kind = recorder(inputs="full")
    once = module.opened(kind._body(event(), decision, 2.0, {"exception": "ab"}))
    assert module.opened(packed(once)) == once
    assert once["exception"] == "ab"
    assert isinstance(decision, Decision)


def test_a_guard_records_each_of_its_decisions(configured):
    with Guard.load(configured("deny"), isolation="thread") as guard:
        guard.decide(FIELDS)
        guard.decide({**FIELDS, "hook_event_name": "Stop"})
        guard.decide({"no": "event"})
    first, second, third = waiting()
    assert (first["event"], first["effect"]) == ("PreToolUse", "deny")
    assert (second["event"], second["effect"], second["verdicts"]) == ("Stop", "pass", [])
    assert third["kind"] == "refused"


def test_of_a_rewrite_only_what_it_changes_is_written(recorder):
    content = "x" * 10_000
    about = event(tool_input={"file_path": "/etc/x", "content": content})
    moved = {"file_path": "/sandbox/x", "content": content}
    kind = recorder(inputs="full")
    decision = settle([Verdict(policy="a", rewrite=moved), Verdict(policy="b", shadow=True, rewrite={"other": 1})])
    body = kind._body(about, decision, 1.0, None)
    assert body.count(content.encode()) == 1
    record = module.opened(body)
    assert record["rewrite"] == moved
    assert [verdict["rewrite"] for verdict in record["verdicts"]] == [moved, {"other": 1}]
    assert list(record["rewrite"]) == list(moved)
