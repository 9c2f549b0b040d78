"""What shadows said, against what they are compared with."""

import pytest

from wasmguard import lock
from wasmguard.decision import Effect
from wasmguard.guard import Guard
from wasmguard.shadowed import OUTCOMES, compared

GATE = {"policy": "gate", "effect": "ask", "rewrite": {"a": 1}}


def said(*verdicts, **body):
    return compared({"effect": "ask", "verdicts": list(verdicts), **body})


def version(**more):
    return {"policy": "next", "of": "gate", "shadow": True, **more}


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({"effect": "ask", "rewrite": {"a": 1}}, "same"),
        ({"effect": "ask", "rewrite": {"a": True}}, "rewrite differs"),
        ({"effect": "ask"}, "rewrite differs"),
        ({"effect": "ask", "rewrite": {"a": 1}, "output": "x"}, "rewrite differs"),
        ({"effect": "deny"}, "stricter"),
        ({"effect": "allow", "rewrite": {"a": 1}}, "looser"),
        ({}, "looser"),
        ({"effect": "ask", "rewrite": {"a": 1}, "fault": "out of fuel"}, "fault"),
    ],
)
def test_another_version_is_compared_with_its_policy(more, outcome):
    assert said(GATE, version(**more)) == [("next", "gate", outcome)]
    assert outcome in OUTCOMES


def test_it_is_compared_with_its_policys_first_verdict():
    later = {"policy": "gate", "effect": "deny"}
    assert said({"policy": "moves"}, GATE, later, {**GATE, **version()}) == [("next", "gate", "same")]


def test_what_its_policy_was_not_asked_is_not_compared():
    assert said({"policy": "no", "effect": "deny"}, version(effect="deny"), effect="deny") == []


def test_it_is_compared_with_a_policy_that_was_set_aside():
    aside = {"policy": "gate", "effect": "deny", "shadow": True}
    found = said(aside, version(effect="deny"), effect="allow", exception="00")
    assert found == [("next", "gate", "same")]


@pytest.mark.parametrize(
    ("verdict", "body", "outcome"),
    [
        ({"effect": "ask"}, {}, "same"),
        ({"effect": "ask"}, {"rewrite": {"a": 1}}, "same"),
        ({"effect": "ask", "rewrite": {"a": 1}}, {"rewrite": {"a": 1}}, "same"),
        ({"effect": "ask", "rewrite": {"a": 1}}, {}, "rewrite differs"),
        ({"effect": "deny"}, {}, "stricter"),
        ({}, {}, "looser"),
        ({"fault": "x"}, {}, "fault"),
    ],
)
def test_any_other_shadow_is_compared_with_the_decision(verdict, body, outcome):
    assert said(GATE, {"policy": "trial", "shadow": True, **verdict}, **body) == [("trial", "", outcome)]


def test_who_is_obeyed_is_compared_with_nothing():
    assert said(GATE) == compared({}) == []


# -- a whole guard

WRITE = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "/a"}}


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("module", ["deny", "unreachable", "loop_evaluate", "alloc_outside", "changed", "gone"])
def test_nothing_that_another_version_does_changes_the_decision(configured, tmp_path, isolation, module):
    """It denies, traps, never ends, answers nonsense; its module is another one by now, or gone."""
    guest = module if module not in ("changed", "gone") else "ask"
    path = configured("allow", guest, allow={"grants": '{ effects = ["allow"] }'}, **{guest: {"shadow_of": '"allow"'}})
    lock.lock(str(path), repin=False)
    if module == "changed":
        (tmp_path / "ask.wasm").write_bytes(b"\0asm")
    if module == "gone":
        (tmp_path / "ask.wasm").unlink()
    with Guard.load(path, isolation=isolation) as guard:
        for _ in range(2):
            decision = guard.decide(WRITE)
            assert (decision.effect, [v.policy for v in decision.because]) == (Effect.ALLOW, ["allow"])
            last = decision.verdicts[-1]
            assert (last.shadow, last.of, bool(last.fault)) == (True, "allow", module != "deny")
            assert "`" not in decision.reason
