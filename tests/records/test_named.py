"""Which record somebody means who names one."""

import pytest

from tests.records.spooled import act, decision, kept, many
from wasmguard.errors import UsageError
from wasmguard.records import query
from wasmguard.records.named import named, other


@pytest.fixture(autouse=True)
def _home(own_home):
    return own_home


def identified(*hexadecimal, **more):
    return [decision(**{**more, "id": bytes.fromhex(digits)}) for digits in hexadecimal]


def test_a_number_is_a_sequence_number():
    many(120)
    assert [named(str(seq)).seq for seq in (1, 60, 120)] == [1, 60, 120]
    assert named("121") is None
    assert named("0") is None
    assert named("9" * 30) is None


def test_last_is_the_last_decision():
    kept(decision(), decision(), act("off"))
    assert named("last").seq == 2


def test_an_id_may_be_cut_to_six_digits():
    kept(*identified("01a2b3c4d5e6f7081910", "01a2b4c4d5e6f7081910"))
    assert [named(which).seq for which in ("01a2b3c4d5e6f7081910", "01a2b3", "01a2b3c", "01A2B4C4")] == [1, 1, 1, 2]
    assert named("01a2b") is None
    assert named("01a2b3c4d5e6f7081911") is None
    assert named("01a2b3c4d5e6f708191000") is None


def test_several_ids_that_begin_so_are_an_error_that_names_two():
    kept(*identified("01a2b3c4d5e6f7081910", "01a2b3c4d5e6f7081911"))
    with pytest.raises(UsageError, match="01a2b3c4d5e6f7081911` and `01a2b3c4d5e6f7081910"):
        named("01a2b3")


def test_ids_of_several_segments_are_told_apart():
    made = many(120)
    every = [body["id"].hex() for body in made]
    assert [named(id_).id for id_ in every[::30]] == every[::30]
    with pytest.raises(UsageError):
        named(every[0][:12])


def test_a_call_is_its_decision_not_its_result():
    kept(*(decision(call="toolu_1", event=event) for event in ("PermissionRequest", "PreToolUse", "PostToolUse")))
    assert named("toolu_1").seq == 2


def test_a_call_without_a_decision_is_what_there_is_of_it():
    kept(decision(call="toolu_1", event="PostToolUse"), decision(call="toolu_2", event="PermissionRequest"))
    assert (named("toolu_1").seq, named("toolu_2").seq) == (1, 2)


def test_no_call_stands_for_another_record():
    """The agent chooses what a call is named."""
    kept(decision(), *identified("01a2b3c4d5e6f7081910"))
    kept(*(decision(call=call) for call in ("last", "2", "01a2b3", "01a2b3c4d5e6f7081910")))
    assert named("last").seq == 6
    assert [named(which).seq for which in ("2", "01a2b3", "01a2b3c4d5e6f7081910")] == [2, 2, 2]


def test_a_call_that_looks_like_a_number_or_an_id_is_found_if_nothing_else_is_meant():
    kept(decision(call="77"), decision(call="abcdef0123"))
    assert (named("77").seq, named("abcdef0123").seq) == (1, 2)


@pytest.mark.parametrize("which", ["", "-1", "?", "%", "last ", "٣", "\ud800", "x" * 10_000, "' OR 1=1 --"])
def test_what_names_nothing_is_none(which):
    kept(decision())
    assert named(which) is None


def test_an_act_has_no_other_side():
    kept(act("alarm", call="c", session="s"), decision(call="c", event="PostToolUse"))
    assert other(query.lines(newest=2)[0]) is None
    assert other(query.lines(newest=2)[1]) is None
