"""Times of two runs: what is slower, and what is noise."""

import pytest

from tests.workshop.bench.timed import row, rows
from wasmguard.workshop.bench.slowdown import TIME, times


def looked(now, before=None, again=None):
    """What became of the only row that is judged."""
    (one,) = times(now, before or rows(), again, [])
    return one


def test_time_counts_relative_to_the_floor_of_the_same_run():
    told = looked(rows(time=200, floor=100))
    assert told["verdict"] == "same"
    assert told["before"] == told["after"], "what it would have taken then"


def test_what_is_slower_each_time_it_is_measured_is_slower():
    asked = []

    def again():
        asked.append(1)
        return rows(time=160)

    told = looked(rows(time=170), again=again)
    assert told["verdict"] == "slower"
    assert told["ratio"] == pytest.approx(1.6, abs=0.01), "the smallest ratio counts"
    assert len(asked) == 2


def test_what_was_slower_only_once_is_noise():
    asked = []

    def again():
        asked.append(1)
        return rows(time=100)

    told = looked(rows(time=170), again=again)
    assert told["verdict"] == "noise"
    assert len(asked) == 1, "and it is not measured a third time"


def test_nothing_is_measured_again_if_nothing_looks_slower():
    looked(rows(time=80), again=lambda: pytest.fail("asked for nothing"))


def test_less_than_the_tolerance_is_the_same():
    assert looked(rows(time=100 * (1 + TIME) - 1))["verdict"] == "same"


def test_slower_by_more_than_the_tolerance_but_within_noise_is_noise():
    wild = [0.7, 1.9, 1.4, 2.6, 0.8, 1.1, 2.2, 1.5] * 3
    told = looked(rows(time=150, spread=wild), rows(spread=wild))
    assert told["verdict"] in ("noise", "same")


def test_more_is_allowed_where_the_floor_had_no_rest():
    uneasy = [1.0, 1.8, 1.7, 2.0, 1.9, 1.8, 1.7, 2.1] * 3
    now = [row("null policy", "floor", 50.0, spread=uneasy), rows(time=140, spread=uneasy)[1]]
    told = looked(now, rows(time=100))
    assert told["verdict"] == "noise"
    assert "not at rest" in told["why"]
    assert looked(rows(time=140), rows(time=100))["verdict"] == "slower"


def test_what_is_faster_is_faster():
    assert looked(rows(time=60))["verdict"] == "faster"


def test_a_row_without_enough_rounds_or_without_a_floor_is_not_judged():
    short = [1.0] * 5
    assert looked(rows(time=500, spread=short))["verdict"] == "noise"
    assert looked(rows(time=500)[1:])["verdict"] == "noise"


def test_a_row_about_other_events_is_not_judged():
    now = rows(time=500)
    now[1]["by_event"] = now[1]["by_event"][:1]
    assert looked(now)["verdict"] == "noise"


def test_floors_and_peers_are_not_judged():
    now = [*rows(), row("extism", "peer", 900.0)]
    before = [*rows(), row("extism", "peer", 100.0)]
    assert looked(now, before)["id"] == "cell/gate"
