"""The histogram against a sorted list: the same, within one per cent."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.workshop.bench.histogram import Histogram

HOURS = 10 * 3600 * 10**9
times = st.lists(st.one_of(st.integers(0, 400), st.integers(0, 10**7), st.integers(0, HOURS)), min_size=1)
shares = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999, 1.0]), st.floats(0, 1))


@given(times, shares)
def test_a_quantile_is_within_one_per_cent_of_the_one_of_the_sorted_list(values, share):
    exact = sorted(values)[max(ceil(share * len(values)), 1) - 1]
    assert Histogram(values).quantile(share) == pytest.approx(exact, rel=0.01, abs=0)


@given(st.lists(st.integers(0, 255), min_size=1), shares)
def test_a_quantile_of_what_takes_less_than_256_nanoseconds_is_exact(values, share):
    assert Histogram(values).quantile(share) == sorted(values)[max(ceil(share * len(values)), 1) - 1]


@given(times)
def test_count_sum_mean_least_and_most_are_exact(values):
    histogram = Histogram(values)
    assert (histogram.n, histogram.total, histogram.least, histogram.most) == (
        len(values),
        sum(values),
        min(values),
        max(values),
    )
    assert histogram.mean == sum(values) / len(values)


@given(st.lists(times))
def test_recording_in_parts_or_merging_parts_is_recording_all(parts):
    together = Histogram([value for part in parts for value in part])
    recorded, merged = Histogram(), Histogram()
    for part in parts:
        recorded.record(part)
        merged.merge(Histogram(part))
    assert vars(recorded) == vars(together)
    assert vars(merged) == vars(together)


@given(times)
def test_the_buckets_hold_every_value_once_below_an_edge_that_is_within_one_per_cent(values):
    found = Histogram(values).buckets()
    assert sum(count for _, count in found) == len(values)
    assert [edge for edge, _ in found] == sorted({edge for edge, _ in found})
    edges = [edge for edge, count in found for _ in range(count)]
    for edge, value in zip(edges, sorted(values), strict=True):
        assert value <= edge <= value * 1.01


@pytest.mark.parametrize("border", [2**bits for bits in range(1, 45)])
def test_the_values_around_each_power_of_two_are_told_apart_as_far_as_two_digits_go(border):
    histogram = Histogram([border - 1, border])
    assert len(histogram.buckets()) == 2
    assert sum(count for _, count in histogram.buckets()) == 2


def test_reports_get_the_edges_in_microseconds():
    assert Histogram([5, 5, 200_000]).edges() == [[0.005, 2], [200.703, 1]]


def test_an_empty_histogram_says_zero_and_has_no_buckets():
    empty = Histogram()
    empty.merge(Histogram())
    empty.record([])
    assert (empty.quantile(0.5), empty.mean, empty.least, empty.most, empty.buckets()) == (0.0, 0.0, 0, 0, [])


def test_a_negative_time_is_refused_and_nothing_of_its_list_is_counted():
    histogram = Histogram([7])
    with pytest.raises(ValueError, match="-1"):
        histogram.record([3, -1])
    assert histogram.buckets() == [(7, 1)]
