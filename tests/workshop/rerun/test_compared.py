"""What is the same, what is wrong, and what may differ without being wrong."""

import pytest

from wasmguard.decision import OURSELVES, Effect, Verdict, settle
from wasmguard.value import Value
from wasmguard.workshop.rerun.compared import ANOTHER, CLOCK, FILES, difference


class Planned(Value):
    name: str
    grants: dict


class Plan(Value):
    policies: tuple


PLAN = Plan(
    policies=(
        Planned(name="a", grants={"rewrite": {"Write.file_path": {"within": "/s"}}}),
        Planned(name="b", grants={"rewrite": {"Write.content": {"max": 5}}}),
    )
)
SAID = {"policy": "a", "effect": "ask", "reason": "why", "answer": "0a", "fuel": 5, "us": 1.5, "module": "m"}
NOW = Verdict(policy="a", effect=Effect.ASK, reason="why", answer=b"\n", fuel=5, microseconds=9.0, given=b"x")


def found(recorded, verdicts, *, fuel=True):
    return difference(recorded, settle(verdicts), PLAN, fuel=fuel)


def test_the_same_is_the_same():
    assert found([SAID], [NOW]) is None
    assert found([], []) is None
    deep = {"rewrite": {"n": 1}, "notes": ["n"], "permissions": [{}], "output": [1], "state": "2e" * 32}
    del deep["state"]
    now = NOW.replaced(rewrite={"n": 1}, notes=("n",), permissions=({},), output=[1])
    assert found([SAID | deep], [now]) is None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"effect": "deny"}, "effect"),
        ({"reason": "Why"}, "reason"),
        ({"context": "c"}, "context"),
        ({"answer": "0b"}, "answer"),
        ({"of": "z"}, "of"),
        ({"notes": ["n"]}, "notes"),
        ({"permissions": [{"a": 1}]}, "permissions"),
        ({"rewrite": {}}, "rewrite"),
        ({"output": False}, "output"),
        ({"state": "00"}, "state"),
        ({"interrupt": True}, "interrupt"),
        ({"shadow": True}, "shadow"),
        ({"policy": "b"}, "policy"),
        ({"fuel": 6}, "fuel"),
    ],
)
def test_any_other_part_of_a_verdict_is_another_decision(change, what):
    difference = found([SAID | change], [NOW])
    assert (difference.what, difference.kind) == (what, ANOTHER)


def test_one_is_not_true():
    assert found([SAID | {"rewrite": {"n": 1}}], [NOW.replaced(rewrite={"n": True})]).what == "rewrite"


def test_a_state_is_compared_by_its_digest():
    from hashlib import sha256

    digest = sha256(b"s").hexdigest()
    assert found([SAID | {"state": digest}], [NOW.replaced(state=b"s")]) is None
    assert found([SAID | {"state": digest}], [NOW.replaced(state=b"t")]).what == "state"
    assert found([SAID | {"state": digest}], [NOW]).what == "state"


def test_fuel_counts_under_the_same_engine_only():
    assert found([SAID | {"fuel": 6}], [NOW], fuel=False) is None
    assert found([SAID | {"reason": "x"}], [NOW], fuel=False).what == "reason"


@pytest.mark.parametrize(("recorded", "now"), [([SAID], []), ([], [NOW]), ([SAID], [NOW, NOW])])
def test_who_is_asked_and_how_often_is_part_of_it(recorded, now):
    assert found(recorded, now).kind == ANOTHER


def test_what_the_guard_itself_said_is_taken_as_recorded_but_no_more_than_that():
    own = {"policy": OURSELVES, "effect": "deny", "fault": "no rest"}
    again = Verdict.failed(OURSELVES, "no rest")
    assert found([SAID, own], [NOW]) is None
    assert found([SAID, own], [NOW, again]) is None
    assert found([SAID], [NOW, again]).policy == OURSELVES


def test_a_limit_of_time_is_told_apart():
    late = {"policy": "a", "effect": "deny", "fault": "took too long"}
    assert found([late], [NOW]).kind == CLOCK
    assert found([SAID], [Verdict.failed("a", "took too long")]).kind == CLOCK
    assert found([late | {"fuel": 5}], [NOW]).kind == ANOTHER


def test_a_link_that_came_or_went_is_told_apart_where_a_grant_looks_at_links():
    refused = {"effect": "deny", "fault": "leads through a symlink"}
    assert found([SAID | refused], [NOW]).kind == FILES
    assert found([SAID | refused | {"answer": "0b"}], [NOW]).kind == ANOTHER
    b = NOW.replaced(policy="b")
    assert found([SAID | refused | {"policy": "b"}], [b]).kind == ANOTHER
