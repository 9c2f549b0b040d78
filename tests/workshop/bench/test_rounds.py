"""Measuring, by a clock that only moves when it is told to: nothing here depends on the machine's time."""

import random
import signal
from collections import Counter
from itertools import groupby
from statistics import median

import pytest

from wasmguard.workshop.bench import rounds
from wasmguard.workshop.bench.rounds import measured, open_loop, overhead
from wasmguard.workshop.bench.series import Series
from wasmguard.workshop.bench.variant import OURS, PEER, POLICY, Variant

US, MS, SECOND = 1_000, 1_000_000, 1_000_000_000


class Clock:
    """Nanoseconds that pass when somebody works or sleeps; a reading costs some too."""

    def __init__(self):
        self.now, self.reading = 10 * SECOND, 0

    def __call__(self):
        self.now += self.reading
        return self.now

    def sleep(self, seconds):
        self.now += round(seconds * SECOND)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(rounds, "perf_counter_ns", made)
    monkeypatch.setattr(rounds, "sleep", made.sleep)
    return made


@pytest.fixture
def variant(clock):
    """Makes variants whose decisions take what they are told to; `asked` notes who was asked about what."""
    asked = []

    def made(name, takes, events=(0,), kind=POLICY, **more):
        def ask(event):
            asked.append((name, event))
            clock.now += takes(event) if callable(takes) else takes

        return Variant(path="x", subject=name, kind=kind, events=events, ask=ask, **more)

    made.asked = asked
    return made


def wrong_at_once(_event):
    raise RuntimeError("no right answer")


def blocks(asked):
    """Who was asked, in turns."""
    return [name for name, _ in groupby(name for name, _ in asked)]


def test_a_round_is_one_block_of_each_and_the_order_changes(variant):
    variants = [variant(name, 50 * US) for name in "abc"]
    found = measured(variants, 1.0)
    count = found["x/a"].rounds
    assert count == found["x/b"].rounds == found["x/c"].rounds > 12
    turns = [name for name, _ in variant.asked[-3 * 100 * count :: 100]]  # 5 ms are 100 decisions
    orders = Counter(tuple(turns[begin : begin + 3]) for begin in range(0, len(turns), 3))
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len(orders) == 6


def test_the_order_is_the_same_in_each_run(variant):
    first = measured([variant(name, 50 * US) for name in "abc"], 0.5)
    once = blocks(variant.asked)
    variant.asked.clear()
    again = measured([variant(name, 50 * US) for name in "abc"], 0.5)
    assert blocks(variant.asked) == once
    assert first["x/a"].row() == again["x/a"].row()


def test_a_block_is_about_5_ms_of_whole_passes_and_one_pass_at_least(variant):
    large = 100 * MS
    found = measured(
        [
            variant("fast", 50 * US, (0, 3)),
            variant("slow", lambda event: large if event == 1 else 50 * US, (0, 1)),
            variant("spawned", 50 * MS, (0, 1, 2), spawned=True),
        ],
        10.0,
    )
    fast, slow, spawned = (found[f"x/{name}"] for name in ("fast", "slow", "spawned"))
    assert fast.rounds == slow.rounds == spawned.rounds >= 12
    assert fast.n == fast.rounds * 102  # 51 passes of 100 us
    assert slow.n == slow.rounds * 2
    assert spawned.n == spawned.rounds * 3
    assert [one["median"] for one in slow.row()["by_event"]] == [50.0, pytest.approx(100_000, rel=0.01)]


def test_a_block_of_all_that_take_about_as_long_has_as_many_passes(variant):
    """The least of four is less than the least of two: that would be a difference between things that are the same."""
    found = measured([variant(name, takes * US) for name, takes in {"a": 50, "b": 60, "c": 75, "d": 95}.items()], 1.0)
    assert len({one.n // one.rounds for one in found.values()}) == 1


def test_how_many_passes_make_a_block_does_not_depend_on_how_busy_the_machine_is(variant):
    rng = random.Random(2)
    found = measured([variant("a", lambda _event: 50 * US * int(rng.paretovariate(1)), (0, 1, 2))], 3.0)
    assert found["x/a"].n // found["x/a"].rounds == 3 * 33


def test_who_starts_processes_gets_as_many_rounds_as_the_others(variant):
    found = measured([variant("fast", 5 * US), *(variant(f"s{n}", 50 * MS, spawned=True) for n in range(5))], 10.0)
    assert {one.rounds for one in found.values()} == {found["x/fast"].rounds}
    assert found["x/s0"].rounds > 30


@pytest.mark.parametrize(("takes", "expected"), [(10 * MS, 100), (100 * MS, 12), (SECOND, 2), (60 * SECOND, 1)])
def test_it_ends_with_the_seconds_or_for_the_rounds_that_lack_within_three_times_as_many(
    clock, variant, takes, expected
):
    begun = clock.now
    found = measured([variant("a", takes)], 1.0)
    assert found["x/a"].rounds == pytest.approx(expected, rel=0.2)
    assert clock.now - begun <= 3.5 * SECOND + 2 * takes


def test_the_seconds_include_the_warm_up_of_many_variants(clock, variant):
    begun = clock.now
    measured([variant(f"v{n}", 900 * US, tuple(range(10))) for n in range(40)], 10.0)
    assert clock.now - begun <= 11 * SECOND


def test_each_is_asked_300_times_or_03_s_before_it_is_timed_and_three_passes_if_it_starts_processes(variant):
    fast, slow = variant("fast", 10 * US, (0, 1)), variant("slow", 20 * MS)
    spawned = variant("spawned", 1 * MS, (0, 1), spawned=True)
    found = measured([fast, slow, spawned], 5.0)
    warm = {name: sum(who == name for who, _ in variant.asked) - found[f"x/{name}"].n for name in ("fast", "slow")}
    assert warm == {"fast": 300, "slow": 15}
    assert sum(who == "spawned" for who, _ in variant.asked) - found["x/spawned"].n == 6


def test_state_is_forgotten_before_each_block_and_that_is_not_timed(clock, variant):
    resets = []

    def reset():
        resets.append(len(variant.asked))
        clock.now += SECOND

    found = measured([variant("a", 50 * US, reset=reset)], 20.0)
    assert found["x/a"].histogram.most == 50 * US
    assert resets[-found["x/a"].rounds :] == list(
        range(resets[-1] - 100 * (found["x/a"].rounds - 1), resets[-1] + 1, 100)
    )


def test_what_a_variant_raises_ends_the_run(variant):
    with pytest.raises(RuntimeError, match="no right answer"):
        measured([variant("a", US), variant("b", wrong_at_once)], 1.0)


@pytest.mark.parametrize("good", [0, 5000], ids=["at once", "later"])
def test_a_peer_that_raises_is_left_out_with_why_and_the_others_go_on(variant, good):
    left = [good]

    def wrong(_event):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("no right\nanswer")
        return 50 * US

    failed = {}
    found = measured([variant("it", wrong, kind=PEER), variant("a", 50 * US)], 1.0, left_out=failed)
    assert failed == {"it": "no right answer"}
    assert left == [-1], "asked again"
    assert list(found) == ["x/a"]
    assert found["x/a"].rounds > 100


def test_a_policy_that_is_called_like_a_peer_that_raises_stays(variant):
    found = measured([variant("it", wrong_at_once, kind=PEER), variant("it", US).replaced(path="y")], 0.5)
    assert list(found) == ["y/it"]


def test_where_all_are_left_out_it_ends_at_once(clock, variant):
    begun = clock.now
    assert measured([variant("it", wrong_at_once, kind=PEER)], 10.0) == {}
    assert clock.now == begun


def test_ours_among_the_peers_is_not_left_out(variant):
    with pytest.raises(RuntimeError, match="no right answer"):
        measured([variant("a", wrong_at_once, kind=OURS)], 1.0, left_out={})


def test_ctrl_c_leaves_whole_rounds_of_all(variant):
    left = [5000]

    def until_ctrl_c(_event):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return 50 * US

    found = {}
    with pytest.raises(KeyboardInterrupt):
        measured([variant("a", until_ctrl_c), variant("b", 50 * US)], 1000.0, into=found)
    assert found["x/a"].rounds == found["x/b"].rounds > 10
    assert found["x/a"].n == found["x/b"].n == 100 * found["x/a"].rounds


def test_ctrl_c_while_a_round_is_written_down_waits_until_it_is(variant, monkeypatch):
    add = Series.add

    def interrupted(series, times):
        signal.raise_signal(signal.SIGINT)
        add(series, times)

    monkeypatch.setattr(Series, "add", interrupted)
    found, before = {}, signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        measured([variant(name, 50 * US) for name in "abc"], 1.0, into=found)
    assert [one.rounds for one in found.values()] == [1, 1, 1]
    assert signal.getsignal(signal.SIGINT) is before


def test_who_has_no_events_is_left_out(variant):
    assert measured([variant("none", US, ())], 1.0) == {}
    assert list(measured([variant("none", US, ()), variant("a", US)], 0.1)) == ["x/a"]


def test_what_was_measured_before_is_added_to(variant):
    found = measured([variant("a", 50 * US)], 0.2)
    count = found["x/a"].rounds
    assert measured([variant("a", 50 * US)], 0.2, into=found) is found
    assert found["x/a"].rounds == 2 * count


@pytest.mark.parametrize("takes", [50 * US, 50 * MS, 300 * MS])
def test_the_share_that_is_done_grows_and_ends_with_all(variant, takes):
    shares = []
    measured([variant("a", takes), variant("b", takes)], 2.0, said=shares.append)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5 < len(shares)
    assert shares[-1] == 1.0
    assert shares.count(1.0) <= 2


def test_an_event_that_comes_in_time_takes_what_its_decision_takes(clock, variant):
    begun, one = clock.now, variant("a", 100 * US, (0, 1))
    clock.reading = 100  # else who waits awake would wait for ever
    series = open_loop(one, 200.0, 1.0)
    assert series.n == 200
    assert series.histogram.most < 102 * US
    assert series.rate == {"asked": 200.0, "reached": pytest.approx(200, rel=0.02), "late": 0.0}
    assert clock.now - begun < 1.3 * SECOND
    assert [row["n"] for row in series.row()["by_event"]] == [100, 100]
    assert series.rounds == 20


def test_who_is_held_up_waits_in_the_time_of_every_event_that_came_meanwhile(clock, variant):
    clock.reading, count = 100, [0]

    def takes(_event):
        count[0] += 1
        return 100 * MS if count[0] == 800 else 10 * US

    series = open_loop(variant("a", takes), 1000.0, 1.0)
    assert series.n == 1000  # nothing is skipped
    over = sum(n for edge, n in series.histogram.buckets() if edge > 5 * MS)
    assert over == pytest.approx(96, abs=2)  # those of 100 ms, but for the last of them
    assert series.rate["late"] == pytest.approx(0.1, abs=0.01)
    assert series.rate["reached"] == pytest.approx(1000, rel=0.02)


def test_overload_is_seen_and_ends(clock, variant):
    clock.reading, begun = 100, clock.now
    series = open_loop(variant("a", 10 * MS), 1000.0, 1.0)
    assert series.rate["reached"] == pytest.approx(100, rel=0.02)
    assert series.rate["asked"] == 1000.0
    assert series.rate["late"] > 0.9
    assert series.histogram.most > 1.7 * SECOND
    assert clock.now - begun < 3 * SECOND


def test_ctrl_c_leaves_what_came_at_a_rate_so_far(clock, variant):
    clock.reading, count, found = 100, [0], {}

    def takes(_event):
        count[0] += 1
        if count[0] == 500:
            raise KeyboardInterrupt
        return 10 * US

    with pytest.raises(KeyboardInterrupt):
        open_loop(variant("a", takes), 1000.0, 10.0, into=found)
    assert found["x/a"].n == 199
    assert found["x/a"].row()["rate"]["asked"] == 1000.0


def test_fewer_events_than_are_in_a_pass_are_a_round_too(clock, variant):
    clock.reading = 100
    series = open_loop(variant("a", US, tuple(range(10))), 3.0, 1.0)
    assert (series.n, series.rounds) == (3, 1)
    assert len(series.row()["by_event"]) == 3


def test_measuring_costs_what_the_clock_costs(clock, variant):
    clock.reading = 50
    found = overhead(variant("null", 10 * US), 0.5)
    assert found["share"] == pytest.approx(0.01, rel=0.02)
    assert found["low"] == pytest.approx(found["high"]) == pytest.approx(found["share"], rel=0.02)
    assert found["nanoseconds"] == pytest.approx(100, rel=0.02)


def test_what_measuring_costs_is_found_between_phases_of_twice_the_time(clock, variant):
    clock.reading = 50
    found = overhead(variant("null", lambda _event: (10 if clock.now // (80 * MS) % 2 else 20) * US), 2.0)
    assert median([found["low"], found["high"]]) == pytest.approx(0.0075, abs=0.004)


def test_what_measuring_costs_is_not_what_a_machine_that_slows_down_costs(clock, variant):
    clock.reading, count = 50, [0]

    def takes(_event):
        count[0] += 1
        return 10 * US + count[0]  # each block takes some per cent more than the last

    share = overhead(variant("null", takes), 0.5)["share"]
    assert share == pytest.approx(100 / (10 * US + count[0] / 2), rel=0.5)


def test_what_measuring_costs_has_an_interval_even_in_no_time(variant):
    assert overhead(variant("null", 40 * MS), 0.01)["low"] is not None
