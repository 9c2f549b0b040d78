"""What was measured of a variant becomes a row in microseconds."""

import pytest

from wasmguard.workshop.bench.series import Series
from wasmguard.workshop.bench.variant import POLICY, Variant


def variant(events=(0,), **more):
    return Variant(path="x", subject="a", kind=POLICY, events=events, ask=lambda _event: None, **more)


def test_a_row_tells_all_of_it_in_microseconds():
    series = Series(variant(events=(4, 7), floor="x/null", about="a thing"))
    for extra in range(6):
        series.add([10_000 + extra, 40_000, 12_000, 50_000, 11_000, 60_000])
    row = series.row()
    assert {key: row[key] for key in ("id", "path", "subject", "kind", "floor", "about", "rate")} == {
        "id": "x/a", "path": "x", "subject": "a", "kind": "policy", "floor": "x/null", "about": "a thing", "rate": None,
    }  # fmt: skip
    assert (row["n"], row["rounds"], row["min"], row["max"]) == (36, 6, 10.0, 60.0)
    assert row["mean"] == pytest.approx(30.5, rel=0.001)
    assert row["per_second"] == pytest.approx(1e6 / 30.5, rel=0.001)
    assert row["of_rounds"] == [26.0] * 6
    assert row["quiet_of_rounds"] == [round((10 + extra / 1000 + 40) / 2, 3) for extra in range(6)]
    assert row["pass_of_rounds"] == [30.5] * 6
    assert row["by_event"] == [
        {"event": 4, "n": 18, "min": 10.0, "median": pytest.approx(11, rel=0.01)},
        {"event": 7, "n": 18, "min": 40.0, "median": pytest.approx(50, rel=0.01)},
    ]
    assert row["low"] <= row["median"] <= row["high"]
    assert sum(count for _, count in row["histogram"]) == 36
    assert [row[key] for key in ("p90", "p99", "p999")] == sorted(row[key] for key in ("p90", "p99", "p999"))


def test_with_fewer_than_six_rounds_there_is_no_interval():
    series = Series(variant())
    for _ in range(5):
        series.add([1, 2, 3])
    assert (series.row()["low"], series.row()["high"]) == (None, None)
    series.add([1, 2, 3])
    assert (series.row()["low"], series.row()["high"]) == (0.002, 0.002)


def test_what_is_joined_is_as_if_it_had_been_measured_here():
    whole, first, last = Series(variant(events=(0, 1))), Series(variant(events=(0, 1))), Series(variant(events=(1,)))
    first.add([10_000, 20_000])
    last.add([30_000, 31_000])
    whole.join(first)
    whole.join(last)
    row = whole.row()
    assert (row["n"], row["rounds"], row["min"], row["max"]) == (4, 2, 10.0, 31.0)
    assert [one["n"] for one in row["by_event"]] == [1, 3]
    assert (row["of_rounds"], row["quiet_of_rounds"], row["pass_of_rounds"]) == (
        [15.0, 30.5],
        [15.0, 30.0],
        [15.0, 30.5],
    )
