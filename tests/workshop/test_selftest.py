"""The selftest: a part of the hostile suite as a table, on the user's machine."""

import os
from time import perf_counter

import pytest

from wasmguard.hostile.case import Answered, Faulted
from wasmguard.hostile.suite import GROUPS
from wasmguard.workshop import selftest as it
from wasmguard.workshop.selftest import WIDTH, chosen, selftest


@pytest.fixture(scope="module")
def shown():
    """The lines of one run, and how long it took."""
    begun = perf_counter()
    lines = list(selftest())
    return lines, perf_counter() - begun


def test_every_group_has_its_row_and_all_of_it_holds(shown):
    lines = [text for _, text in shown[0]]
    assert [line.split()[0] for line in lines[1 : len(GROUPS) + 1]] == list(GROUPS)
    for line in lines[1 : len(GROUPS) + 1]:
        assert line.split()[1] == line.split()[2], line
    assert lines[-1].startswith(f"all {sum(len(chosen(group)) for group in GROUPS)} hostile cases ended as they must")
    assert "deny" not in {style for style, _ in shown[0]}


def test_it_takes_less_than_half_a_minute(shown):
    assert shown[1] < 30


def test_lines_fit_eighty_columns(shown):
    assert [text for _, text in shown[0] if len(text) > WIDTH] == []


def test_a_part_is_chosen_of_every_group_and_one_compile_bomb():
    parts = [chosen(group) for group in GROUPS]
    assert all(len(part) >= it.EACH for part in parts)
    assert 80 <= sum(map(len, parts)) <= 120
    assert [case.name for part in parts for case in part if case.bomb] == [it.BOMB]


def test_it_leaves_nothing_behind(own_home, monkeypatch, tmp_path):
    monkeypatch.setattr(it, "GROUPS", {"pointers": GROUPS["pointers"]})
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = dict(os.environ)
    assert list(selftest())[-1][0] == "pass"
    assert dict(os.environ) == before
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("wrong", [Faulted(says=("another word",)), Answered(reason="another")])
def test_a_case_that_does_not_hold_has_its_line_and_counts(monkeypatch, wrong):
    broken = GROUPS["pointers"][0].replaced(must=wrong)
    monkeypatch.setattr(it, "GROUPS", {"pointers": (broken, *GROUPS["pointers"][1:3])})
    lines = list(selftest())
    assert lines[1][0] == "deny"
    assert lines[1][1].split()[:3] == ["pointers", "3", "2"]
    assert lines[2][1].startswith("  pointers-answer-zero (answers 0): ")
    assert lines[-1][0] == "deny"
    assert lines[-1][1].startswith("1 of 3 hostile cases did not end as they must")


def test_a_group_that_cannot_be_locked_is_told(monkeypatch):
    refused = next(case for case in GROUPS["proposals"] if not case.evaluated)
    monkeypatch.setattr(it, "GROUPS", {"proposals": (refused.replaced(must=Answered()),)})
    lines = list(selftest())
    assert lines[1][0] == "deny"
    assert "policy `proposals-gc-struct`" in lines[2][1]
