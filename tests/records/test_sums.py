"""How much of everything there is."""

import pytest

from tests.records.spooled import HOUR, SMALL, START, act, changed, decision, kept
from wasmguard.errors import HostError
from wasmguard.records import found, query, sums
from wasmguard.records.counting import OTHERS, REASONS, Counts


@pytest.fixture(autouse=True)
def _home(own_home):
    return own_home


@pytest.fixture
def three_hours():
    """Records of three hours, in several segments, not in order of time."""
    made = []
    for place in range(150):
        time = START + (place * 7919 % (3 * 3600)) * 1000
        effect = ("pass", "deny", "ask")[place % 3]
        verdict = {
            "policy": f"p{place % 2}",
            "effect": effect,
            "reason": f"no {place % 4}x {'abc'[place % 3]}",
            "fuel": 5,
        }
        made.append(decision(time=time, effect=effect, tool=f"T{place % 5}", verdicts=[verdict]))
    made.append(act("off", time=START + 5))
    for at in range(0, len(made), 40):
        kept(*made[at : at + 40], record=SMALL)
    return made


def one_by_one(since, until):
    """The same, as one would write it first."""
    counts = Counts()
    for record in query.records():
        if since <= record.body["time"] < until:
            counts.add(record.body)
    found = {}
    for (_, what, name), n in counts.rows(lambda _: set()).items():
        found.setdefault(what, {}).setdefault(name, 0)
        found[what][name] += n
    return found


def test_everything_is_what_the_records_count_one_by_one(three_hours):
    assert len(found.segments()) > 1
    assert sums.counts() == one_by_one(0, 2**62)
    assert sum(sums.counts()["kind"].values()) == len(three_hours)


def test_every_part_of_an_hour_is_exact(three_hours):
    for since in (0, 1, 600_000, HOUR - 1, HOUR, HOUR + 1, 2 * HOUR + 3_000_000, 4 * HOUR):
        for length in (0, 1, 500_000, 3_000_000, HOUR, HOUR + 1_800_000, 3 * HOUR):
            begin = START + since
            assert sums.counts(begin, begin + length) == one_by_one(begin, begin + length), (since, length)


def test_an_end_that_is_left_open_is_open(three_hours):
    assert sums.counts(START + 1_000_000) == one_by_one(START + 1_000_000, 2**62)
    assert sums.counts(None, START + 1_000_000) == one_by_one(0, START + 1_000_000)
    assert sums.counts(-5, 2**70) == sums.counts()
    assert sums.counts(START + HOUR, START) == {}


def test_the_rare_reasons_of_a_busy_hour_are_one_in_every_part_of_it():
    letters = [chr(0x4E00 + place) for place in range(REASONS + 30)]
    made = [
        decision(
            time=START + place * 1000, effect="deny", verdicts=[{"policy": "p", "effect": "deny", "reason": letter}]
        )
        for place, letter in enumerate(letters)
    ]
    kept(*made)
    for since in (0, 1000, REASONS * 1000 - 1000, (REASONS + 20) * 1000):
        reasons = sums.counts(START + since, START + HOUR // 2)["reason"]
        assert sum(reasons.values()) == REASONS + 30 - since // 1000
        assert reasons[OTHERS] == min(30, REASONS + 30 - since // 1000)


def test_hours_are_told_one_by_one(three_hours):
    hour = START // HOUR
    told = sums.hours("effect")
    assert [*told] == [hour, hour + 1, hour + 2]
    assert sum(n for names in told.values() for n in names.values()) == len(three_hours) - 1
    assert sums.hours("effect", START + HOUR, START + 2 * HOUR) == {hour + 1: told[hour + 1]}
    assert sums.hours("effect", START + 1, START + HOUR + 1) == {hour + 1: told[hour + 1]}
    assert sums.hours("nothing") == {}


@pytest.mark.parametrize("statement", ["UPDATE counts SET n = 'many'", "UPDATE counts SET name = x'ff'"])
def test_counts_that_are_none_are_damage(statement):
    kept(decision())
    changed(statement)
    with pytest.raises(HostError, match="is damaged"):
        sums.counts()


def test_a_record_that_is_none_is_damage_where_it_is_counted():
    kept(decision(), decision(time=START + 1_000))
    changed("UPDATE records SET body = '{'")
    with pytest.raises(HostError, match="is damaged"):
        sums.counts(START + 500, START + 2_000)
