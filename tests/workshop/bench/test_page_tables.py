"""Tables are tables: each cell below a heading, figures set as figures, and the keyboard reaches all of them."""

import re

import pytest

from wasmguard.workshop.bench.page_tables import at_rate, table, verdict
from wasmguard.workshop.bench.words import AT_LEAST


def test_every_cell_has_a_heading():
    made = table("what", ["name", "a", "b"], [["x", "1", "2"], ["y", "3", ""]], texts=[2])
    assert made.count('scope="col"') == 3
    assert made.count('scope="row"') == 2
    assert made.count("<td") == 4
    assert made.count('class="n"') == 3
    assert "<caption><span>what</span></caption>" in made


def test_a_wide_table_scrolls_with_the_keyboard():
    made = table('a "b"', ["name"], [["x"]])
    assert re.match(r'<div class="scroll" role="region" aria-label="a &quot;b&quot;" tabindex="0">', made)


def test_a_verdict_is_more_than_a_colour():
    assert "✓ yes" in verdict(True, "yes", "no")
    assert "✗ no" in verdict(False, "yes", "no")


def test_a_percentile_needs_a_decision_beyond_it():
    assert AT_LEAST == {"p90": 10, "p99": 100, "p999": 1_000}


@pytest.mark.parametrize(("late", "said"), [(0.0, "0 %"), (0.25, "25 %")])
def test_an_open_loop_says_what_it_did_not_reach(late, said):
    row = {"subject": "chain", "path": "cell", "rate": {"asked": 500, "reached": 431.4, "late": late}}
    made = at_rate([row])
    assert "500/s" in made
    assert "431/s" in made
    assert said in made
