"""What is said of noisy times, with noise made by a random generator that always makes the same."""

import random
from itertools import combinations_with_replacement, product
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.workshop.bench import noise
from wasmguard.workshop.bench.noise import interval, ratio


def times_of_two(rng, rounds, effect=1.0):
    """Two variants in turns, of which one takes *effect* times the other's time, on a machine that drifts (AR(1)),
    has phases of twice the time, and tails that have no variance."""
    spread, drift, slow = rng.uniform(0.005, 0.05), 0.0, False
    stays, tail = rng.uniform(0.5, 0.99), rng.uniform(0.01, 0.05)
    found = ([], [])
    for _ in range(rounds):
        for who in rng.sample((0, 1), 2):
            drift = stays * drift + rng.gauss(0, spread * (1 - stays * stays) ** 0.5)
            slow ^= rng.random() < 0.1
            held_up = 1 + tail * min(rng.paretovariate(1.3) - 1, 50)
            found[who].append(50 * (1 + drift) * (1 + slow) * held_up * (effect if who == 0 else 1))
    return found


@pytest.mark.parametrize("rounds", [8, 12, 60])
def test_two_that_are_the_same_differ_in_less_than_one_of_a_hundred_comparisons(rounds):
    rng = random.Random(rounds)
    assert sum(ratio(*times_of_two(rng, rounds))["differs"] for _ in range(1000)) < 10


def test_ten_per_cent_are_found():
    rng = random.Random(1)
    found = [ratio(*times_of_two(rng, 200, 1.1)) for _ in range(50)]
    assert sum(one["differs"] for one in found) > 45
    assert median(one["ratio"] for one in found) == pytest.approx(1.1, rel=0.01)
    assert sum(one["low"] <= 1.1 <= one["high"] for one in found) >= 47
    assert all(ratio(*reversed(times_of_two(rng, 200, 1.5)))["differs"] for _ in range(20))


def test_what_slows_both_down_cancels_out():
    theirs = [50.0, 100.0, 55.0, 2000.0, 50.0, 75.0, 50.0, 51.0]
    found = ratio([1.1 * value for value in theirs], theirs)
    assert found == {
        "ratio": pytest.approx(1.1), "low": pytest.approx(1.1), "high": pytest.approx(1.1), "differs": True,
    }  # fmt: skip


@pytest.mark.parametrize("share", [1.0, 1.019, 1 / 1.019])
def test_two_per_cent_are_no_difference_however_sure_they_are(share):
    assert ratio([50.0 * share] * 100, [50.0] * 100)["differs"] is False


@pytest.mark.parametrize(
    ("rounds", "known", "differs"), [(0, False, False), (5, False, False), (6, True, False), (8, True, True)]
)
def test_with_less_than_six_rounds_there_is_no_interval_and_with_less_than_eight_no_difference(rounds, known, differs):
    found = ratio([100.0] * rounds, [50.0] * rounds)
    assert (found["low"] is not None, found["high"] is not None, found["differs"]) == (known, known, differs)
    assert found["ratio"] == (2.0 if rounds else None)


def test_rounds_that_are_alike_to_their_neighbours_are_not_taken_for_many():
    rng, false = random.Random(3), 0
    for _ in range(200):
        drift, own = 0.0, []
        for _ in range(400):
            drift = 0.95 * drift + rng.gauss(0, 0.03)
            own.append(1 + drift)
        false += ratio(own, [1.0] * 400)["differs"]
    assert false <= 10  # of which each has about ten independent values
    assert ratio([1.0] * 200 + [1.5] * 200, [1.0] * 400)["differs"] is False


def test_a_difference_within_what_the_rounds_vary_by_is_none():
    rng, theirs = random.Random(6), [50.0] * 400
    restless = [50.0 * 1.1 * rng.uniform(0.75, 1.25) for _ in theirs]
    found = ratio(restless, theirs)
    assert found["low"] > 1.05
    assert found["differs"] is False
    assert ratio([2 * value for value in restless], theirs)["differs"] is True


def test_what_drifts_is_joined_to_fewer_groups_and_what_does_not_is_not():
    rng = random.Random(4)
    assert len(noise.independent([rng.random() for _ in range(400)])) == 40
    assert len(noise.independent([place + 20 * rng.random() for place in range(400)])) == 10
    assert noise.independent([3.0, 1.0, 2.0]) == [3.0, 1.0, 2.0]


def test_where_even_large_groups_drift_the_interval_is_all_of_them():
    drifting = [1.0 + place / 100 for place in range(12)]
    assert ratio(drifting, [1.0] * 12) == {"ratio": pytest.approx(1.055), "low": 1.0, "high": 1.11, "differs": False}
    assert ratio([2 * value for value in drifting], [1.0] * 12)["differs"] is True


def test_rounds_of_unlike_number_are_refused():
    with pytest.raises(ValueError, match="3 rounds"):
        ratio([1.0] * 3, [1.0] * 4)


@pytest.mark.parametrize("n", [6, 9, 11])
def test_an_interval_has_the_confidence_that_it_says_for_all_coins(n):
    """The median of what is drawn is 0: each value is above or below it like a coin, so all results can be counted."""
    inside = 0
    for tosses in product((-1, 1), repeat=n):
        low, high = interval([toss * (1 + place / 100) for place, toss in enumerate(tosses)])
        inside += low <= 0 <= high
    assert 0.95 <= inside / 2**n < 0.99


@given(st.lists(st.floats(0, 1e9), min_size=6, max_size=300))
def test_an_interval_holds_the_median_and_grows_with_the_confidence(values):
    low, high = interval(values)
    assert low <= median(values) <= high
    sure = interval(values, 0.99)
    assert (sure is None) == (len(values) < 8)
    if sure:
        assert sure[0] <= low <= high <= sure[1]


def test_fewer_than_six_values_have_no_interval():
    assert [interval([1.0] * count) for count in (0, 1, 5)] == [None] * 3
    assert interval([1.0] * 6) == (1.0, 1.0)


def test_large_numbers_are_counted_as_small_ones_are(monkeypatch):
    exact = {n: noise._outside(n, share) for n, share in ((400, 0.95), (999, 0.99))}
    monkeypatch.setattr(noise, "EXACT", 10)
    noise._outside.cache_clear()
    assert {n: noise._outside(n, share) for n, share in ((400, 0.95), (999, 0.99))} == pytest.approx(exact, abs=1)
    noise._outside.cache_clear()


def test_neighbours_are_alike_in_drifts_and_not_in_coins():
    assert noise.alike([1, 2, 3, 4, 5, 6, 7, 8])
    assert not noise.alike([1, 5, 2, 6, 3, 7, 4, 8])
    assert not any(noise.alike(values) for values in combinations_with_replacement([7.0], 9))
    rng = random.Random(5)
    assert sum(noise.alike([rng.random() for _ in range(40)]) for _ in range(1000)) < 80
