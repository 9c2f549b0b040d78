"""Hills are as high where the decisions are, lines grow as times do, and letters do not touch."""

import math
import re
from itertools import pairwise

import pytest

from tests.workshop.bench import made
from wasmguard.workshop.bench.plots import APART, LETTERS, by_size, density, spread
from wasmguard.workshop.bench.svg import Scale


def row(name, times, kind="policy"):
    """A row whose events 0, 1, … have these medians."""
    return {
        "subject": name,
        "kind": kind,
        "by_event": [{"event": i, "n": 9, "min": time, "median": time} for i, time in enumerate(times)],
    }


def events(*sizes):
    return [{"name": str(size), "bytes": size} for size in sizes]


def test_the_hill_is_highest_where_most_decisions_are():
    scale = Scale(low=10, high=1000, log=True)
    heights = density([[20, 5], [100, 500], [101, 480], [800, 1]], scale)
    assert max(heights) == 1
    assert heights.index(1) == pytest.approx(len(heights) / 2, abs=1)
    assert all(0 <= height <= 1 for height in heights)


def test_no_decision_is_lost_from_a_hill():
    scale = Scale(low=10, high=1000, log=True)
    assert sum(density([[1, 3], [5000, 3]], scale)) > 1


def test_the_outline_of_a_hill_follows_every_gap():
    """Two hills far apart are two hills, and no slope joins them."""
    document = made.one()
    one = next(row for row in document["rows"] if row["kind"] == "policy")
    drawn = spread([{**one, "histogram": [[100, 50], [9000, 50]], "min": 90, "max": 9000}])
    steps = [float(x) for x in re.findall(r"L([\d.]+) ", re.search(r' d="([^"]*)"', drawn)[1])]
    widths = {round(b - a, 1) for a, b in pairwise(steps[:-1])}
    assert max(widths) - min(widths) <= 0.2


def test_rows_without_a_histogram_are_left_out():
    assert spread([]) == ""
    assert spread([{**made.one()["rows"][0], "histogram": []}]) == ""


@pytest.mark.parametrize("sizes", [(500, 500, 50_000), (500, 600, 700), (500, 500, 500_000)])
def test_growth_needs_three_sizes_that_differ(sizes):
    assert by_size([row("p", [1.0] * 3)], events(*sizes)) == ("", [])


def test_events_of_one_size_are_one_point():
    _, lines = by_size([row("p", [1.0, 3.0, 5.0, 9.0])], events(500, 500, 5_000, 50_000))
    assert lines[0].points == ((500, 2.0), (5_000, 5.0), (50_000, 9.0))


def test_the_chain_is_named_first_then_the_slowest():
    rows = [row("fast", [1, 2, 3]), row("slow", [1, 2, 9]), row("chain", [1, 2, 5], "chain")]
    _, lines = by_size(rows, events(500, 5_000, 50_000))
    assert [line.name for line in lines] == ["chain", "slow", "fast"]
    assert [LETTERS[line.line] for line in lines] == ["A", "B", "C"]


def test_more_lines_than_letters_are_drawn_without():
    rows = [row(f"p{i}", [1, 2, 3 + i]) for i in range(30)]
    drawn, lines = by_size(rows, events(500, 5_000, 50_000))
    assert len(lines) == len(LETTERS)
    assert drawn.count('class="faint"') == 2 * (30 - len(LETTERS))


@pytest.mark.parametrize("last", [1.0, 1e6])
def test_letters_at_one_height_are_moved_apart_within_the_plot(last):
    rows = [row(f"p{i}", [1, 2, last + i * 1e-6]) for i in range(6)]
    rows.append(row("q", [1, 1e6, 2]))
    drawn, _ = by_size(rows, events(500, 5_000, 50_000))
    at = sorted(float(y) for y in re.findall(r'y="([-\d.]+)" class="letter"', drawn))
    assert len(at) == 6
    assert all(b - a >= APART - 0.11 for a, b in pairwise(at))
    assert at[0] >= -1
    assert at[-1] <= 264


def test_lines_go_up_where_times_do():
    drawn, _ = by_size([row("p", [10, 100, 1000])], events(500, 5_000, 50_000))
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', drawn)]
    assert heights == sorted(heights, reverse=True)
    steps = [a - b for a, b in pairwise(heights)]
    assert math.isclose(*steps, abs_tol=0.2)
