"""What is counted is what was recorded, whether from the roll-ups or line by line."""

import pytest

from wasmguard.decision import Effect
from wasmguard.workshop.stats import counting

HOUR = 3_600_000


@pytest.fixture
def recorded(kept_records):
    """Two hundred calls: tools, effects, results."""
    bodies = []
    for place in range(200):
        tool = ("Bash", "Read", "Write", "mcp__a__b")[place % 4]
        effect = "deny" if place % 10 == 0 else "ask" if place % 25 == 3 else "pass"
        verdict = {"policy": "guard", "fuel": 100, "us": 5.0, "answer": b"\x00" * 16}
        if effect != "pass":
            verdict |= {"effect": effect, "reason": f'not "{place}" here'}
        more = {"rewrote": True, "rewrite": {"command": "true"}} if place % 50 == 1 else {}
        call = f"t{place}"
        bodies.append(
            kept_records.decision(tool, effect, [verdict], call=call, session=f"s{place % 3}", us=100.0, **more)
        )
        if effect == "pass":
            bodies.append(kept_records.result(tool, call=call, session=f"s{place % 3}", error=place % 5 == 2))
    kept_records.keep(bodies)
    return kept_records


def test_the_roll_ups_and_the_lines_count_the_same(recorded):
    whole = counting.counted()
    parts = [counting.counted(session=f"s{number}") for number in range(3)]
    assert sum(whole["effects"].values()) == sum(sum(part["effects"].values()) for part in parts) == whole["records"]
    for key in ("decisions", "denied"):
        assert sum(day[key] for part in parts for day in part["days"]) == sum(day[key] for day in whole["days"])
    for key in ("calls", "denied", "errors", "results"):
        for row in whole["tools"]:
            found = [other[key] for part in parts for other in part["tools"] if other["tool"] == row["tool"]]
            assert sum(found) == row[key], (key, row)


def test_a_tool_has_its_calls_denials_and_the_rate_of_its_errors(recorded):
    (row,) = counting.counted(tool="Read")["tools"]
    assert (row["tool"], row["calls"], row["denied"]) == ("Read", 50, 0)
    assert row["rewritten"] == 2
    assert row["error_rate"] == row["errors"] / row["results"] > 0


def test_a_policy_is_counted_by_what_it_carried_when_it_is_asked_for(recorded):
    found = counting.counted(policy="guard")
    assert found["effects"] == {"pass": 0, "allow": 0, "ask": 8, "deny": 20}
    (row,) = found["policies"]
    assert (row["policy"], row["denied"], row["asks"], row["fuel"]) == ("guard", 20, 8, None)
    assert {reason["policy"] for reason in found["reasons"]} == {"guard"}


def test_reasons_that_differ_in_what_they_quote_are_one(recorded):
    (reason,) = counting.counted()["reasons"]
    assert (reason["policy"], reason["n"]) == ("guard", 28)


def test_fuel_is_the_mean_of_those_who_were_asked(recorded):
    (row,) = counting.counted()["policies"]
    assert (row["asked"], row["fuel"], row["faults"]) == (200, 100, 0)


def test_days_sum_to_what_was_decided(recorded):
    found = counting.counted()
    assert sum(day["decisions"] for day in found["days"]) == sum(found["effects"].values())
    assert len(found["days"]) <= counting.DAYS


def test_days_without_a_decision_are_days_too(kept_records):
    bodies = [kept_records.decision("Bash") for _ in range(3)]
    bodies[0]["time"] -= 5 * 24 * HOUR
    kept_records.keep(bodies)
    found = [day["decisions"] for day in counting.counted()["days"]]
    assert (found[0], found[-1], sum(found)) == (1, 2, 3)
    assert 5 <= len(found) <= 7


def test_the_days_of_a_time_within_an_hour_are_what_was_counted_since(kept_records):
    bodies = [kept_records.decision("Bash", "deny" if place % 2 else "pass") for place in range(6)]
    begin = kept_records.now - 50 * HOUR
    begin -= begin % HOUR
    for place, body in enumerate(bodies[:4]):
        body["time"] = begin + place * HOUR // 2
    kept_records.keep(bodies)
    for since in (begin, begin + 1, begin + HOUR // 2 + 1, begin + HOUR, begin + 2 * HOUR - 1, begin + 3 * HOUR):
        found = counting.counted(since)
        assert sum(day["decisions"] for day in found["days"]) == sum(found["effects"].values()), since
        assert sum(day["denied"] for day in found["days"]) == found["effects"]["deny"], since


def test_reasons_are_the_same_with_and_without_conditions(recorded):
    assert counting.counted(policy="guard")["reasons"] == counting.counted()["reasons"]


def test_since_counts_from_then_on(recorded):
    assert sum(counting.counted(recorded.now + HOUR)["effects"].values()) == 0
    assert sum(counting.counted(recorded.now - HOUR)["effects"].values()) > 0


def test_without_records_everything_is_empty(own_home):
    found = counting.counted()
    assert (found["records"], found["since"], found["tools"]) == (0, None, [])
    assert not any(day["decisions"] for day in found["days"])
    assert found["latency"]["p50_us"] is None


def test_a_quantile_is_where_its_share_of_the_decisions_ends():
    buckets = {"0": 50, "160": 40, "320": 10}
    assert counting.quantile(buckets, 0.5) == pytest.approx(1, rel=0.03)
    assert counting.quantile(buckets, 0.9) == pytest.approx(1_000, rel=0.05)
    assert counting.quantile(buckets, 0.99) == pytest.approx(2**20, rel=0.03)
    assert counting.quantile({}, 0.5) is None


def test_every_effect_has_its_place():
    assert [effect.name.lower() for effect in Effect] == list(counting.EFFECTS)
