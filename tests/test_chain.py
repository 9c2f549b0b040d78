"""Tests for the loop that asks: whom, in which order, and whom again.

Policies here are tables from file path to answer, so every round can be read.
"""

from itertools import product

import pytest

from wasmguard import chain
from wasmguard.chain import decided
from wasmguard.decision import Effect, Verdict
from wasmguard.errors import NotAtOnce
from wasmguard.event import Event
from wasmguard.guest.outputs import NOTICE
from wasmguard.limits import ROUNDS


class Said:
    """A policy that looks up its answer by `file_path`: an effect, or a new path; it remembers what it was asked."""

    def __init__(self, name, answers=None, *, default=Effect.PASS, shadow=False, of=""):
        self.name, self.answers, self.default, self.asked = name, answers or {}, default, []
        self.shadow, self.shadow_of = shadow or bool(of), of

    def ask(self, event):
        path = event.input["file_path"]
        self.asked.append(path)
        answer = self.answers.get(path, self.default)
        if isinstance(answer, Effect):
            return Verdict(policy=self.name, effect=answer)
        return Verdict(policy=self.name, rewrite={**event.input, "file_path": answer})


def write(path):
    return Event(name="PreToolUse", agent="claude", fields={"tool_name": "Write", "tool_input": {"file_path": path}})


def test_nobody_to_ask_is_a_pass():
    assert decided([], write("/a")).effect is Effect.PASS


def test_policies_are_asked_in_the_owners_order_about_what_the_earlier_ones_left():
    first, second = Said("first", {"/a": "/b"}), Said("second")
    decision = decided([first, second], write("/a"))
    assert (first.asked, second.asked) == (["/a", "/b"], ["/b"])
    assert decision.rewrite == {"file_path": "/b"}


def test_a_guard_before_a_redirect_judges_both_inputs():
    guard, redirect = Said("guard"), Said("redirect", {"/a": "/b"})
    decided([guard, redirect], write("/a"))
    assert guard.asked == ["/a", "/b"]


@pytest.mark.parametrize("guard_first", [True, False])
def test_a_rewrite_cannot_slip_past_a_guard_in_either_order(guard_first):
    guard, redirect = Said("guard", {"/b": Effect.DENY}), Said("redirect", {"/a": "/b"})
    order = [guard, redirect] if guard_first else [redirect, guard]
    assert decided(order, write("/a")).effect is Effect.DENY


def test_a_deny_ends_the_asking():
    after = Said("after")
    decision = decided([Said("no", {"/a": Effect.DENY}), after], write("/a"))
    assert (decision.effect, after.asked) == (Effect.DENY, [])


def test_an_allow_before_a_rewrite_vouches_for_nothing():
    assert decided([Said("yes", {"/a": Effect.ALLOW}), Said("moves", {"/a": "/b"})], write("/a")).effect is Effect.PASS


def test_an_allow_of_the_final_input_counts():
    assert decided([Said("moves", {"/a": "/b"}), Said("yes", {"/b": Effect.ALLOW})], write("/a")).effect is Effect.ALLOW


def test_a_rewrite_that_changes_nothing_is_no_rewrite():
    decision = decided([Said("yes", {"/a": Effect.ALLOW}), Said("idle", {"/a": "/a"})], write("/a"))
    assert (decision.effect, decision.rewrite) == (Effect.ALLOW, None)


def test_there_and_back_again_is_no_rewrite_of_the_call():
    there = Said("there", {"/a": "/b"})
    back = Said("back", {"/b": "/a"})
    once = iter(["/b"])
    there.ask = lambda event: (
        Verdict(policy="there", rewrite={"file_path": p}) if (p := next(once, None)) else Verdict(policy="there")
    )
    assert decided([there, back], write("/a")).rewrite is None


def test_policies_that_never_rest_are_denied_by_wasmguard():
    decision = decided([Said("ping", {"/a": "/b"}), Said("pong", {"/b": "/a"})], write("/a"))
    assert decision.effect is Effect.DENY
    assert [v.policy for v in decision.because] == ["wasmguard"]
    assert f"no rest after {ROUNDS} rounds" in decision.reason


def test_a_chain_of_rewrites_comes_to_rest_within_the_rounds():
    decision = decided([Said("steps", {"/a": "/b", "/b": "/c"}), Said("sees")], write("/a"))
    assert decision.rewrite == {"file_path": "/c"}


def test_a_shadowed_policy_is_asked_about_the_original_and_never_obeyed():
    shadow = Said("shadow", default=Effect.DENY, shadow=True)
    decision = decided([shadow, Said("moves", {"/a": "/b"})], write("/a"))
    assert (decision.effect, shadow.asked) == (Effect.PASS, ["/a"])
    assert [v.policy for v in decision.verdicts if v.shadow] == ["shadow"]


def test_another_version_of_a_policy_is_asked_about_what_that_policy_was_asked_about_first():
    gate, version = Said("gate", {"/b": "/c"}), Said("next", of="gate", default=Effect.DENY)
    decision = decided([version, Said("moves", {"/a": "/b"}), gate], write("/a"))
    assert (decision.effect, decision.rewrite) == (Effect.PASS, {"file_path": "/c"})
    assert (gate.asked, version.asked) == (["/b", "/c"], ["/b"])
    assert [(v.policy, v.shadow, v.of) for v in decision.verdicts][-1] == ("next", True, "gate")
    assert not any(v.of for v in decision.verdicts[:-1])


def test_another_version_of_a_policy_that_was_not_asked_is_asked_about_what_was_left():
    gate, version = Said("gate"), Said("next", of="gate")
    decided([Said("moves", {"/a": "/b"}), Said("no", default=Effect.DENY), gate, version], write("/a"))
    assert (gate.asked, version.asked) == ([], ["/b"])


@pytest.mark.parametrize("of", ["", "gate"])
def test_a_shadow_that_breaks_is_a_fault_of_its_own(of):
    broken = Said("broken", shadow=True, of=of)
    broken.ask = None
    decision = decided([broken, Said("gate", {"/a": Effect.ALLOW})], write("/a"))
    assert (decision.effect, decision.verdicts[-1].fault, decision.verdicts[-1].of) == (
        Effect.ALLOW,
        "internal error: TypeError: please report it",
        of,
    )


def test_a_shadow_that_cannot_be_asked_at_once_says_so():
    late = Said("late", shadow=True)

    def ask(_event):
        raise NotAtOnce

    late.ask = ask
    with pytest.raises(NotAtOnce):
        decided([late], write("/a"))


def test_shadows_take_no_decisions_time(monkeypatch):
    monkeypatch.setattr(chain, "PATIENCE", -1.0)
    shadow = Said("shadow", shadow=True)
    decision = decided([shadow, Said("gate")], write("/a"))
    assert (decision.effect, shadow.asked) == (Effect.PASS, [])
    assert decision.verdicts[-1].fault == "not asked: 0 s went into this event before: ask fewer"


def test_a_shadows_rewrite_that_changes_nothing_is_none():
    decision = decided([Said("shadow", {"/a": "/a"}, shadow=True)], write("/a"))
    assert [(v.policy, v.rewrite) for v in decision.verdicts] == [("shadow", None)]


def test_every_verdict_is_kept_in_the_order_it_was_given():
    decision = decided([Said("guard"), Said("moves", {"/a": "/b"})], write("/a"))
    assert [v.policy for v in decision.verdicts] == ["guard", "moves", "guard", "moves"]


def test_whoever_rewrites_whatever_every_policy_has_judged_the_call_that_runs():
    """All chains of two policies over three paths, each answering each path in each way: 5^6 = 15 625."""
    answers = ["/a", "/b", "/c", Effect.PASS, Effect.DENY]
    for said in product(answers, repeat=6):
        policies = [
            Said("p", dict(zip(("/a", "/b", "/c"), said[:3], strict=True))),
            Said("q", dict(zip(("/a", "/b", "/c"), said[3:], strict=True))),
        ]
        decision = decided(policies, write("/a"))
        final = decision.rewrite["file_path"] if decision.rewrite else "/a"
        if decision.effect is not Effect.DENY:
            assert all(p.asked[-1] == final for p in policies)
            assert all(p.answers[final] in (final, Effect.PASS) for p in policies)


def test_what_python_calls_equal_is_not_the_same_input():
    """`1 == True` and `0 == False`: a guard that saw a number has not judged a boolean."""
    start = Event(name="PreToolUse", agent="claude", fields={"tool_name": "T", "tool_input": {"opts": [1]}})

    class Once:
        shadow = False

        def __init__(self, name, value):
            self.name, self.value, self.asked = name, value, []

        def ask(self, event):
            self.asked.append(event.input["opts"])
            value, self.value = self.value, None
            return Verdict(policy=self.name, rewrite={"opts": value} if value is not None else None)

    guard, rewriter = Once("guard", None), Once("rewriter", [True])
    assert decided([guard, rewriter], start).rewrite == {"opts": [True]}
    assert [type(seen[0]) for seen in guard.asked] == [int, bool]


# Outputs


def output(text="secret", name="PostToolUse"):
    fields = {"tool_name": "Bash", "tool_input": {}, "tool_response": {"stdout": text}}
    return Event(name=name, agent="claude", fields=fields)


class Redacts(Said):
    """Answers an output with another one."""

    def ask(self, event):
        text = event.output["stdout"]
        self.asked.append(text)
        answer = self.answers.get(text, self.default)
        if isinstance(answer, str):
            return Verdict(policy=self.name, output={"stdout": answer})
        return Verdict(policy=self.name, effect=answer)


def test_each_policy_sees_the_output_as_those_before_it_left_it_and_the_final_one():
    before, after = Redacts("before"), Redacts("after")
    decision = decided([before, Redacts("redacts", {"secret": "gone"}), after], output())
    assert (decision.output, decision.effect) == ({"stdout": "gone"}, Effect.PASS)
    assert (before.asked, after.asked) == (["secret", "gone"], ["gone"])


def test_a_deny_of_an_output_silences_nobody_and_brings_nothing_back():
    decision = decided([Redacts("no", default=Effect.DENY), Redacts("redacts", {"secret": "gone"})], output())
    assert (decision.effect, decision.output) == (Effect.DENY, {"stdout": "gone"})


def test_outputs_that_never_rest_are_withheld():
    decision = decided([Redacts("ping", {"a": "b"}), Redacts("pong", {"b": "a"})], output("a"))
    assert (decision.effect, decision.output) == (Effect.DENY, {"stdout": NOTICE})


def test_an_output_that_stays_what_it_was_is_no_rewrite():
    assert decided([Redacts("idle", {"secret": "secret"})], output()).output is None


@pytest.mark.parametrize("name", ["Stop", "SubagentStop", "SessionEnd", "PostToolUse", "Unheard"])
def test_where_a_deny_stops_nothing_everybody_is_asked(name):
    after = Redacts("after")
    decided([Redacts("no", default=Effect.DENY), after], output(name=name))
    assert after.asked == ["secret"]
