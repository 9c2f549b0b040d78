"""Bars are as long as what they stand for, and say by more than a colour whose they are."""

import re

import pytest

from tests.workshop.bench import made
from wasmguard.workshop.bench import page_bars as bars


def widths(drawn, klass):
    """How long the bars of a class are, in percent."""
    return [float(found) for found in re.findall(rf'width="([\d.]+)%"[^>]*class="{klass}"', drawn)]


def row(subject, median, kind="chain", floor=""):
    return {"id": f"cell/{subject}", "path": "cell", "subject": subject, "kind": kind, "floor": floor,
            "median": median, "low": None, "high": None}  # fmt: skip


def test_a_bar_of_fuel_ends_before_its_limit():
    policies = made.sample()["policies"]
    drawn = bars.fuel(policies)
    ends = [float(found) for found in re.findall(r'x1="([\d.]+)%"[^>]*class="limit"', drawn)]
    assert len(ends) == len(policies)
    assert all(width < end for width, end in zip(widths(drawn, "mark"), ends, strict=True))
    assert "0.6 %" in drawn


def test_policies_that_were_asked_nothing_have_no_bar():
    policy = made.sample()["policies"][0]
    policy["fuel"] = {"min": None, "median": None, "max": None, "events": [None]}
    assert bars.fuel([policy]) == ""
    assert bars.split([{"name": "p", "split": None}]) == ""


def test_the_parts_of_a_decision_make_the_whole():
    drawn = bars.split([{"name": "p", "split": {"encode": 1, "instantiate": 2, "evaluate": 3, "decode": 1, "gate": 1,
                                                "carry": 2}}])  # fmt: skip
    parts = widths(drawn, r"part-\d edge")
    assert sum(parts) == pytest.approx(99, abs=0.1)
    assert parts[2] == pytest.approx(99 * 0.3, abs=0.1)
    assert ">c 30 %</text>" in drawn
    assert ">a</text>" in drawn


def test_a_part_that_was_not_measured_is_left_out():
    drawn = bars.split([{"name": "p", "split": {"encode": 1, "instantiate": 1, "evaluate": 2, "decode": 1, "gate": 1,
                                                "carry": None}}])  # fmt: skip
    assert len(widths(drawn, r"part-\d edge")) == 5


def test_a_floor_is_hatched_and_never_longer_than_its_bar():
    floors = {"low": row("low", 10.0, "floor"), "high": row("high", 900.0, "floor")}
    drawn = bars.paths([("cell", [row("a", 100.0, floor="low"), row("b", 100.0, floor="high")])], floors)
    whole, hatched = widths(drawn, "mark"), widths(drawn, "floor-bar")
    assert hatched[0] < whole[0]
    assert hatched[1] == whole[1]
    assert drawn.count("url(#paths-hatch)") == 2
    assert 'id="paths-hatch"' in drawn


def test_ours_are_named_among_others_and_the_fastest_comes_first():
    drawn = bars.peers([row("chain", 200.0), row("jq", 9000.0, "peer"), row("callback", 1.0, "peer")])
    assert re.findall(r'class="name">([^<]*)<', drawn) == ["callback", "wasmguard, cell: chain", "jq"]
    assert len(widths(drawn, "others")) == 2
    assert len(widths(drawn, "mark")) == 1


def test_our_places_among_the_others_look_like_ours():
    drawn = bars.peers([row("wasmguard, cell", 9.0, "ours"), row("wasmtime-py", 9.0, "peer")])
    assert len(widths(drawn, "mark")) == len(widths(drawn, "others")) == 1
