import json

from tests.workshop.replay.happened import event, said
from wasmguard.workshop.replay import tally as tallies
from wasmguard.workshop.replay.past import DIGEST, NO_LINE, OURS, REDACTED, Past
from wasmguard.workshop.replay.tally import Steps, Tally


def done(tally, path="/etc/x", *, before="pass", after="deny", where="f:1", asked=("guard",), **more):
    past = Past(where, event(path, **more))
    tally.done(past, past.event, said(before, fuel=10), said(after, fuel=20, microseconds=3.0), asked)


VALUES = [3, 5, 63, 64, 10_625, 11_264, 5_000_000]


def stepped(*values):
    steps = Steps()
    for value in values:
        steps.add(value)
    return steps


def test_the_median_is_exact_while_there_are_not_too_many_different_values():
    assert (stepped(*VALUES).median, stepped(*VALUES).exact) == (64, True)
    assert [stepped(value).median for value in VALUES] == VALUES
    assert Steps().median is None


def test_the_median_of_many_different_values_is_about_right_and_the_sum_exact(monkeypatch):
    monkeypatch.setattr(tallies, "DIFFERENT", 2)
    for value in VALUES:
        steps = stepped(*range(value - 5, value + 6))
        assert not steps.exact
        assert abs(steps.median - value) <= value / 60
        assert steps.total == 11 * value
        assert Steps.of(json.loads(json.dumps(steps.data()))).data() == steps.data()


def test_what_came_early_counts_as_much_as_what_came_when_there_were_too_many(monkeypatch):
    monkeypatch.setattr(tallies, "DIFFERENT", 3)
    assert stepped(*[1000] * 50, *range(2000, 2400, 100)).median == 1000 + 4


def test_a_group_keeps_a_few_examples_that_differ():
    tally = Tally()
    for number in range(10):
        done(tally, f"/etc/{number // 3}", where=f"f:{number}")
    ((key, group),) = tally.groups.items()
    assert key == ("guard", "pass -> deny", "Write")
    assert group["count"] == 10
    assert [shown["where"] for shown in group["examples"]] == ["f:0", "f:3", "f:6"]


def test_a_million_alike_are_looked_at_a_few_times_only(monkeypatch):
    asked = []
    monkeypatch.setattr(tallies, "example", lambda *_: asked.append(1) or {"input": "same"})
    tally = Tally()
    for _ in range(tallies.TRIES + 50):
        done(tally)
    assert len(asked) == tallies.TRIES


def test_groups_are_of_a_bounded_number(monkeypatch):
    monkeypatch.setattr(tallies, "GROUPS", 4)
    tally = Tally()
    for number in range(20):
        done(tally, tool=f"t{number}")
    assert len(tally.groups) == 5
    assert tally.groups[tallies.REST, "pass -> deny", tallies.REST]["count"] == 16


def test_coverage_is_counted_by_policy_and_for_any_of_them():
    tally = Tally()
    done(tally, asked=("a", "b"))
    done(tally, asked=("a",))
    done(tally, name="PostToolUse", asked=("a",))
    done(tally, asked=())
    assert tally.counts["calls"] == 3
    assert {name: dict(seen) for name, seen in tally.seen.items()} == {
        "a": {"events": 3, "calls": 2},
        "b": {"events": 1, "calls": 1},
        "": {"events": 3, "calls": 2},
    }


def test_what_cannot_be_decided_is_no_pass():
    tally = Tally()
    for number in range(9):
        tally.undone(Past(f"f:{number}", why=DIGEST))
    tally.undone(Past("f:9", why=NO_LINE))
    assert tally.counts["events"] == 9
    assert tally.counts["malformed"] == 1
    assert tally.undecided == {DIGEST: 9}
    assert tally.where == {DIGEST: ["f:0", "f:1", "f:2", "f:3", "f:4"], NO_LINE: ["f:9"]}


def test_what_is_not_compared_is_counted_and_costs():
    tally = Tally()
    past = Past("f:1", event(), said("deny"), OURS)
    tally.done(past, past.event, said("deny"), said(fuel=7), ("guard",))
    assert tally.counts["decided"] == 1
    assert tally.counts["compared"] == 0
    assert tally.undecided == {OURS: 1}
    assert tally.spent["after"]["guard"].fuel.total == 7


def test_what_was_recorded_otherwise_is_named():
    tally = Tally()
    past = Past("f:1", event(), None, "", REDACTED)
    tally.done(past, past.event, said(), said("deny"), ("guard",))
    ((_, group),) = tally.groups.items()
    assert tally.altered == {REDACTED: 1}
    assert group["altered"] == 1
    assert group["examples"][0]["altered"] == REDACTED


def test_a_tally_that_was_written_down_goes_on_as_if_it_had_not_been():
    def all_of(tally, start, end):
        for number in range(start, end):
            done(tally, f"/etc/{number}", where=f"f:{number}", time=1, after="deny" if number % 3 else "ask")
            tally.undone(Past(f"f:{number}", why=DIGEST))
        return tally

    whole = all_of(Tally(), 0, 40)
    half = Tally.of(json.loads(json.dumps(all_of(Tally(), 0, 17).data())))
    assert all_of(half, 17, 40).data() == whole.data()
