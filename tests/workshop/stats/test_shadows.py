"""How far shadows agree: the roll-ups and the records themselves say the same, and examples are where they differ."""

import pytest

from wasmguard.workshop.stats import shadows


@pytest.fixture
def watched(kept_records):
    """Forty calls that a guard decided, watched by a shadow that is stricter every fourth time, and fails once."""
    bodies = []
    for place in range(40):
        guard = {"policy": "guard", "us": 1.0, "answer": b""}
        shadow = {"policy": "new", "of": "guard", "shadow": True, "us": 1.0, "answer": b""}
        if place % 4 == 0:
            shadow |= {"effect": "deny", "reason": "no"}
        if place == 39:
            shadow |= {"effect": "deny", "fault": "out of fuel"}
        bodies.append(kept_records.decision("Bash", "pass", [guard, shadow], session=f"s{place % 2}"))
    kept_records.keep(bodies)


def test_agreement_is_counted_and_examples_are_the_newest(watched):
    (row,) = shadows.shadowed()["shadows"]
    assert (row["policy"], row["of"], row["asked"], row["same"]) == ("new", "guard", 40, 29)
    assert (row["stricter"], row["looser"], row["rewrite differs"], row["fault"]) == (10, 0, 0, 1)
    assert row["agreement"] == 29 / 40
    assert row["examples"] == {"stricter": [37, 33, 29], "fault": [40]}


def test_with_conditions_the_records_are_compared_one_by_one(watched):
    (one,), (other,) = (shadows.shadowed(session=name)["shadows"] for name in ("s0", "s1"))
    assert (one["asked"], one["stricter"], one["fault"]) == (20, 10, 0)
    assert (other["asked"], other["stricter"], other["fault"]) == (20, 0, 1)


def test_only_the_shadow_that_was_asked_for_is_told(watched):
    assert shadows.shadowed(policy="nobody")["shadows"] == []
    assert [row["policy"] for row in shadows.shadowed(policy="new")["shadows"]] == ["new"]


def test_without_shadows_there_is_nothing_to_tell(own_home):
    assert shadows.shadowed()["shadows"] == []
