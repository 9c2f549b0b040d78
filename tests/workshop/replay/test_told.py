import unicodedata

from tests.workshop.replay.happened import event, said
from wasmguard.workshop.replay.document import document
from wasmguard.workshop.replay.past import CUT, DIGEST, NO_LINE, REDACTED, Past
from wasmguard.workshop.replay.sources import Source
from wasmguard.workshop.replay.tally import Tally
from wasmguard.workshop.replay.told import told

RUN = {"complete": True, "resumed_at": None, "stateful": False}


FILE = Source(path="/f", shown="f.jsonl")


def text(tally, before="", sources=(FILE,), **run):
    made = document(tally, sources, {"before": before, "after": "/c/new.toml"}, RUN | run)
    return "\n".join(line for _, lines in told(made) for line in lines.split("\n"))


def changed(tally, path="/etc/x", *, policy="guard", where="f.jsonl:1", altered="", asked=("guard",), **more):
    past = Past(where, event(path, **more), None, "", altered)
    rewrite = {"file_path": "/s/x", "content": "c"}
    tally.done(
        past, past.event, said("pass", policy, rewrite=rewrite, fuel=90), said("deny", policy, reason="no"), asked
    )


def test_coverage_comes_first():
    tally = Tally()
    changed(tally)
    for _ in range(24):
        changed(tally, asked=())
    told = text(tally)
    assert "4 % of 25 calls are seen by `guard`" in told
    assert told.index("coverage") < told.index("changes") < told.index("costs")


def test_nothing_seen_is_said():
    tally = Tally()
    changed(tally, asked=())
    assert "none of 1 call is seen by any of these policies" in text(tally)


def test_a_group_shows_examples_with_reasons_and_the_difference():
    tally = Tally()
    changed(tally, altered=REDACTED)
    told = text(tally)
    assert "1 decision change" in told
    assert "1 x Write: pass -> deny, by `guard` (1 of them redacted or cut)" in told
    for line in ("f.jsonl:1 (redacted)", '- file_path: "/etc/x"', '+ file_path: "/s/x"', '(untrusted text): "no"'):
        assert line in told


def test_what_could_not_be_compared_is_named():
    tally = Tally()
    tally.undone(Past("ab" * 10, why=DIGEST))
    tally.undone(Past("f.jsonl:7", why=NO_LINE))
    told = text(tally)
    assert DIGEST in told
    assert "ab" * 10 in told
    assert "f.jsonl:7" in told


def test_no_change_is_said_and_that_the_guard_itself_is_no_part_of_it():
    tally = Tally()
    tally.done(Past("f:1", event("/x"), None, "", ""), event("/x"), said("pass"), said("pass"), ("guard",))
    told = text(tally)
    assert "nothing would be decided otherwise" in told
    assert "self-protection" in told


def test_where_nothing_was_compared_nothing_is_promised():
    told = text(Tally())
    assert "nothing was compared" in told
    assert "would be decided otherwise" not in told


def test_an_interrupted_run_says_so_and_one_that_went_on_too():
    assert "interrupted" in text(Tally(), complete=False)
    assert "went on" in text(Tally(), resumed_at=2000)
    assert "began with nothing" in text(Tally(), stateful=True)


def test_all_lines_fit_whatever_is_in_them():
    tally = Tally()
    name = "n" * 200
    where, asked = "f" * 300 + ".jsonl:123456789", (name, "\x1b[2Jg")
    changed(tally, "/etc/" + "x" * 500, policy=name, where=where, altered=CUT, asked=asked, tool="mcp__" + name)
    changed(tally, "/etc/\n\x07\u202e" + "y" * 50)
    tally.undone(Past("w" * 300, why=DIGEST))
    told = text(tally, before="/c/" + "d" * 100, sources=[Source(), Source(path="/f", shown="f" * 200)])
    assert [line for line in told.split("\n") if len(line) > 80 and " " in line.strip()] == []
    assert not [c for c in told if unicodedata.category(c)[0] == "C" and c != "\n"]
