"""Two versions of a policy on the same events: what is exact differs if it does, what is noisy only beyond noise."""

import pytest

from wasmguard.workshop.bench.versus import compared

FAST = [100.0 + place % 3 for place in range(24)]
SLOW = [120.0 + place % 3 for place in range(24)]


def entry(name, fuel, decisions, **more):
    answers = [answer and f"answer {answer}" for answer in decisions]
    figures = {"bytes": 100, "memory": 65536, "fuel": {"events": fuel}}
    return {"name": name, **figures, "decisions": decisions, "answers": answers, **more}


def row(path, subject, rounds, events=(0, 1)):
    by_event = [{"event": event} for event in events]
    return {"id": f"{path}/{subject}", "pass_of_rounds": rounds, "by_event": by_event}


def document(old, new, rows=()):
    events = [{"name": name} for name in ("Bash", "Write", "Stop")]
    return {"events": {"list": events}, "policies": [old, new], "rows": list(rows)}


OLD = entry("old", [10, 20, None], ["a", "b", None])


def verdicts(*rows):
    new = entry("new", [10, 20, None], ["a", "b", None])
    return {one["path"]: one["verdict"] for one in compared(document(OLD, new, rows), "old", "new")["time"]}


def test_fuel_is_told_for_each_event_that_one_of_them_is_asked_about():
    new = entry("new", [11, None, None], ["a", None, None])
    assert compared(document(OLD, new), "old", "new")["fuel"] == [
        {"event": "Bash", "before": 10, "after": 11},
        {"event": "Write", "before": 20, "after": None},
    ]


def test_answers_are_told_in_words_where_they_differ():
    old = OLD | {"answers": ["pass", "rewrite /a to /b", None]}
    new = entry("new", [10, 20, 30], ["a", "x", "y"], answers=["pass", "deny: no", "pass"])
    assert compared(document(old, new), "old", "new")["answers"] == [
        {"event": "Write", "before": "rewrite /a to /b", "after": "deny: no"},
        {"event": "Stop", "before": "not asked", "after": "pass"},
    ]


def test_sizes_and_memory_stand_beside_each_other():
    new = entry("new", [10, 20, None], ["a", "b", None]) | {"bytes": 90, "memory": None}
    told = compared(document(OLD, new), "old", "new")
    assert (told["bytes"], told["memory"]) == ([100, 90], [65536, None])


@pytest.mark.parametrize(
    ("old", "new", "verdict"), [(FAST, SLOW, "slower"), (SLOW, FAST, "faster"), (FAST, FAST, "no difference")]
)
def test_a_time_differs_if_noise_does_not_explain_it(old, new, verdict):
    assert verdicts(row("cell", "old", old), row("cell", "new", new)) == {"cell": verdict}


def test_one_loud_round_makes_no_difference():
    loud = [*FAST[:-4], 900.0, 900.0, 900.0, 900.0]
    assert verdicts(row("cell", "old", FAST), row("cell", "new", loud)) == {"cell": "no difference"}


def test_few_rounds_say_nothing():
    told = verdicts(row("library", "old", FAST[:4]), row("library", "new", SLOW[:4]))
    assert told == {"library": "no difference"}


@pytest.mark.parametrize(("old", "new"), [(FAST, SLOW[:-1]), (FAST[:-1], SLOW)])
def test_a_round_that_only_one_of_them_had_is_left_out(old, new):
    assert verdicts(row("cell", "old", old), row("cell", "new", new)) == {"cell": "slower"}


def test_times_for_other_events_are_not_compared():
    assert verdicts(row("cell", "old", FAST), row("cell", "new", SLOW, events=(0,))) == {}


def test_paths_on_which_only_one_was_measured_are_left_out():
    rows = [row("library", "old", FAST), row("library", "new", SLOW), row("cell", "old", FAST)]
    assert list(verdicts(*rows)) == ["library"]
