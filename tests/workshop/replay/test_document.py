import re

from tests.workshop.replay.happened import event, said
from wasmguard.workshop.replay import document as module
from wasmguard.workshop.replay.document import document
from wasmguard.workshop.replay.past import Past
from wasmguard.workshop.replay.sources import Source
from wasmguard.workshop.replay.tally import Tally

RUN = {"complete": True, "resumed_at": None, "stateful": False}


RECORDS = Source()


def made(tally, sources=(RECORDS,), before=""):
    return document(tally, sources, {"before": before, "after": "/new.toml"}, RUN)


def test_every_key_is_described():
    described = set(re.findall(r"`([a-z_]+)`", module.__doc__))
    keys = {key for key in made(Tally()) if key != "files"}
    assert keys <= described


def test_what_before_was_is_said():
    file = Source(path="/f", shown="f")
    assert made(Tally())["before"] == "recorded"
    assert made(Tally(), [file])["before"] == ""
    assert made(Tally(), [RECORDS, file], "/old.toml")["before"] == "recorded and /old.toml"


def test_costs_are_of_both_sides():
    tally, happened = Tally(), event()
    tally.done(
        Past("f", happened),
        happened,
        said(fuel=10, microseconds=2.0),
        said("deny", "new", fuel=20, fault="x"),
        ("new",),
    )
    costs = {row["policy"]: row for row in made(tally)["costs"]}
    assert costs["guard"]["before"] == {
        "asked": 1,
        "faults": 0,
        "fuel": 10,
        "fuel_exact": True,
        "fuel_total": 10,
        "microseconds": 2.0,
    }
    assert costs["guard"]["after"] is None
    assert costs["new"]["after"]["faults"] == 1


def test_the_most_frequent_change_is_first_and_other_words_are_last():
    tally, happened = Tally(), event()
    for _ in range(5):
        tally.done(Past("f", happened), happened, said("deny", reason="a"), said("deny", reason="b"), ())
    for effect, count in (("ask", 1), ("deny", 3)):
        for _ in range(count):
            tally.done(Past("f", happened), happened, said(), said(effect), ())
    assert [group["what"] for group in made(tally)["groups"]] == ["pass -> deny", "pass -> ask", "other words"]
    assert made(tally)["changes"] == {"total": 4, "decisions": 4, "rewrites": 0, "outputs": 0, "words": 5}
