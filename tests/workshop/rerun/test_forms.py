"""What is said to a process that decides again, and what is believed of its words."""

import pytest

from tests.workshop.rerun.conftest import asked, write
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.guest.codec import packed, unpacked
from wasmguard.workshop.rerun import forms
from wasmguard.workshop.rerun.asked import Expected, Quiet, Spent

LOUD = Verdict(
    policy="a",
    effect=Effect.ASK,
    reason="why",
    rewrite={"file_path": "/y", "content": "\ud800"},
    fault="f",
    context="c",
    interrupt=True,
    permissions=({"type": "setMode"},),
    notes=("n",),
    state=b"",
    shadow=False,
    of="b",
    fuel=0,
    microseconds=1.5,
    given=b"",
    answer=b"x",
)
QUIET = Verdict(policy="b", effect=Effect.PASS, reason="", fuel=7)


def claimed(*verdicts):
    number, said = unpacked(packed(forms.outcome(5, settle(verdicts))))
    assert number == 5
    return forms.decision(write(), said)


@pytest.mark.parametrize(
    "verdicts",
    [
        (),
        (QUIET,),
        (LOUD,),
        (QUIET, LOUD),
        (QUIET.replaced(shadow=True), QUIET),
        (LOUD.replaced(shadow=True),),
        (LOUD.replaced(effect=Effect.DENY), QUIET),
        (QUIET.replaced(output={}),),
        (QUIET.replaced(context="c"),),
    ],
)
def test_a_decision_comes_back_as_it_was_made(verdicts):
    assert claimed(*verdicts) == settle(verdicts)


def test_there_and_back_again_is_no_rewrite():
    there, back = (QUIET.replaced(rewrite=dict(rewrite)) for rewrite in ({"file_path": "/y"}, write().input))
    assert claimed(there, back).rewrite is None
    assert claimed(there).rewrite == {"file_path": "/y"}


@pytest.mark.parametrize(
    "verdict",
    [
        {},
        {"effect": 0},
        {"policy": ""},
        {"policy": 1},
        {"policy": "a", "effect": 9},
        {"policy": "a", "effect": True},
        {"policy": "a", "rewrite": "text"},
        {"policy": "a", "permissions": ["text"]},
        {"policy": "a", "notes": "text"},
        {"policy": "a", "state": "text"},
        {"policy": "a", "answer": None},
        {"policy": "a", "of": None},
        {"policy": "a", "fuel": 1.5},
        {"policy": "a", "another": 1},
    ],
)
def test_what_is_no_verdict_is_refused(verdict):
    with pytest.raises((ValueError, KeyError, TypeError)):
        forms.decision(write(), [verdict])


def test_every_field_of_a_verdict_has_its_types():
    assert set(forms._KINDS) == set(Verdict._fields)


@pytest.mark.parametrize("fields", [{"number": 2**80}, {"text": "\ud800"}, {"deep": {"list": [1.5, None, True]}}])
def test_an_event_arrives_as_it_was(fields):
    event = write(**fields)
    said = unpacked(forms.batch([forms.question(3, 1, asked(9, event, states={"a": b"s"}, aside=frozenset({"b"})))]))[0]
    assert forms.asked_about(said) == event
    assert (said[0], said[1], said[7], said[8]) == (3, 1, {"a": b"s"}, ["b"])


def test_what_is_expected_arrives_as_it_was():
    wanted = Expected(verdicts=[{"policy": "a", "fuel": 7}], effect="deny", rewrite={"x": 1}, fuel=True)
    said = unpacked(forms.batch([forms.question(3, 1, asked(9, expected=wanted))]))[0]
    assert forms.expected(said) == wanted
    assert forms.expected(unpacked(forms.question(3, 1, asked(9)))) is None


def test_what_is_expected_and_cannot_be_said_is_not_expected():
    wanted = Expected(verdicts=[{"policy": "a", "fuel": 2**80}], effect="deny", fuel=True)
    said = unpacked(forms.question(3, 1, asked(9, expected=wanted)))
    assert forms.expected(said) is None
    assert forms.asked_about(said) == write()


def quiet(*decisions, places=({"a": 0, "b": 1},) * 2):
    return forms.quietly(write(), decisions, places)


def test_of_the_same_decision_by_all_no_more_is_told_than_what_is_counted():
    said = QUIET.replaced(microseconds=1.5)
    told = quiet(settle([said]), settle([said, LOUD.replaced(rewrite=None, effect=Effect.PASS)]))
    spent = ((Spent(1, False, 7, 1500),), (Spent(1, False, 7, 1500), Spent(0, True, 0, 1500)))
    assert forms.quiet(unpacked(packed(told)), [2, 2]) == Quiet("PreToolUse", "Write", 1, 0, spent)


DENIED = QUIET.replaced(effect=Effect.DENY)


@pytest.mark.parametrize(
    "other",
    [
        DENIED,
        QUIET.replaced(rewrite={"file_path": "/y"}),
        QUIET.replaced(output="text"),
        QUIET.replaced(policy="another"),
    ],
)
def test_what_differs_or_rewrites_is_told_whole(other):
    assert quiet(settle([QUIET]), settle([QUIET])) is not None
    assert quiet(settle([QUIET]), settle([other])) is None
    assert quiet(settle([other]), settle([QUIET])) is None


def test_other_words_for_the_same_are_told_whole():
    assert quiet(settle([DENIED]), settle([DENIED])) is not None
    assert quiet(settle([DENIED]), places=({"b": 1},)) is None  # nobody else would have denied it
    assert quiet(settle([DENIED]), settle([DENIED.replaced(reason="because")])) is None


@pytest.mark.parametrize(
    "said",
    [
        [7, None, 0, 0, [[]]],
        ["Stop", 7, 0, 0, [[]]],
        ["Stop", None, -1, 0, [[]]],
        ["Stop", None, True, 0, [[]]],
        ["Stop", None, 0, 9, [[]]],
        ["Stop", None, 0, [], [[]]],
        ["Stop", None, 0, 0, []],
        ["Stop", None, 0, 0, [[], []]],
        ["Stop", None, 0, 0, [[[2, False, 0, 0]]]],
        ["Stop", None, 0, 0, [[[-1, False, 0, 0]]]],
        ["Stop", None, 0, 0, [[[0, 1, 0, 0]]]],
        ["Stop", None, 0, 0, [[[0, False, 1.5, 0]]]],
        ["Stop", None, 0, 0, [[[0, False, -1, 0]]]],
        ["Stop", None, 0, 0, [[[0, False, 0, -1]]]],
        ["Stop", None, 0, 0, [[[0, False, 0]]]],
        ["Stop", None, 0, 0],
        7,
    ],
)
def test_what_counts_nothing_is_refused(said):
    with pytest.raises((ValueError, KeyError, TypeError)):
        forms.quiet(said, [2])
