"""What is a right answer: what the policies decide here, and nothing that a guard says which failed."""

import pytest

from tests.workshop.bench.redirected import EVENTS, PASSED, REWRITTEN, TOO_LONG, given, redirecting
from wasmguard import plan
from wasmguard.errors import HostError
from wasmguard.guard import Guard
from wasmguard.workshop.bench.answers import Answers


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with redirecting(str(tmp_path_factory.mktemp("h"))) as made:
        yield made


@pytest.fixture
def answers(bench):
    return Answers(plan.read(bench.config), EVENTS, {"HOME": bench.home}, stateful=False)


def test_the_first_answer_is_what_the_policies_decide_here(answers):
    answers.check(PASSED, 0, b"{}\n", b"")
    for place, answer in ((REWRITTEN, b"{}\n"), (PASSED, b'{"a":1}\n'), (PASSED, b"{}")):
        with pytest.raises(HostError, match="another answer than the policies give"):
            answers.check(place, 0, answer, b"")


@pytest.mark.parametrize("code", [2, -15, 401])
def test_another_code_than_nought_is_no_answer(answers, code):
    with pytest.raises(HostError, match=f"exit code or status {code}"):
        answers.check(PASSED, code, b"{}\n", b"")


def test_a_decision_comes_without_a_complaint(answers):
    with pytest.raises(HostError, match=r"another answer.*wasmguard: no memory"):
        answers.check(PASSED, 0, b"{}\n", b"wasmguard: no memory\n")


def test_an_event_over_the_limit_is_refused_and_always_in_the_same_words(answers):
    refusal = b'{"hookSpecificOutput":{"permissionDecision":"deny"}}\n'
    answers.check(TOO_LONG, 0, refusal, b"wasmguard: the event has too many bytes\n")
    answers.check(TOO_LONG, 0, refusal, b"")  # over HTTP there is no place for a complaint
    with pytest.raises(HostError, match="another answer"):
        answers.check(TOO_LONG, 0, b"{}\n", b"")


def test_policies_that_remember_may_answer_in_turn_but_must_decide(bench):
    answers = Answers(plan.read(bench.config), EVENTS, {}, stateful=True)
    for answer in (b"{}\n", b'{"a":1}\n', b"{}\n"):
        answers.check(PASSED, 0, answer, b"")
    for answer, why in (
        (b"[]\n", "not one JSON object"),
        (b"{}", "not one JSON object"),
        (b"{}\n{}\n", "not one JSON object"),
        (b'{"reason":"wasmguard: internal error: KeyError"}\n', "nobody could decide"),
        (b'{"reason":"wasmguard could not decide: reinstall"}\n', "nobody could decide"),
    ):
        with pytest.raises(HostError, match=why):
            answers.check(PASSED, 0, answer, b"")
    with pytest.raises(HostError, match="a complaint"):
        answers.check(PASSED, 0, b'{"b":1}\n', b"wasmguard: no process\n")


def test_what_policies_decide_here_is_asked_of_them_in_a_jailed_process(bench, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Guard, "close", lambda guard, close=Guard.close: seen.append(guard.cells.isolation) or close(guard)
    )
    Answers(plan.read(bench.config), EVENTS, {"HOME": bench.home}, stateful=False)
    assert seen == ["process"]


def test_an_event_that_nobody_can_judge_is_not_measured(bench):
    unreadable = given("odd", tool_name="Write", tool_input=[])
    with pytest.raises(HostError, match="event `odd`: nobody could judge it: PreToolUse needs"):
        Answers(plan.read(bench.config), [unreadable], {}, stateful=False)


def test_a_bug_of_ours_is_not_taken_for_what_policies_decide(bench, monkeypatch):
    monkeypatch.setattr(Guard, "_concerned", lambda *_: 1 / 0)
    with pytest.raises(HostError, match=r"nobody could judge it: internal error: ZeroDivisionError"):
        Answers(plan.read(bench.config), EVENTS, {}, stateful=False)
