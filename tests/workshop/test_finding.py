"""How a finding reads, for people and for programs."""

import json

import pytest

from wasmguard.workshop.finding import WIDTH, as_json, lines, note, ok, report, split, wrong


def test_every_line_fits_and_what_to_do_stands_below():
    found = wrong("a very long subject", "word " * 60, "do " * 60)
    shown = [text for _, text in lines(found)]
    assert all(len(text) <= WIDTH for text in shown)
    assert shown[0].startswith("wrong a very long sub")
    assert sum("-> do" in text for text in shown) == 1


def test_paths_stay_whole_so_that_they_can_be_copied():
    path = "/a" * 60
    assert any(path in text for _, text in lines(ok("x", f"`{path}` is there")))


def test_what_others_said_cannot_move_the_cursor_or_begin_a_line():
    (style, text), *_ = lines(note("x", "a\x1b[2J\nwrong forged"))
    assert (style, "\x1b" in text, text.startswith("note")) == ("note", False, True)


def test_an_error_of_ours_says_what_to_do_with_its_last_part():
    found = split("x", ValueError("`a` is bad: because: run `b`"))
    assert (found.sentence, found.todo) == ("`a` is bad: because", "run `b`")
    assert split("x", ValueError("odd")).todo


@pytest.mark.parametrize(
    ("found", "style", "verdict"),
    [
        ([], "title", "nothing wrong"),
        ([ok("a", "b"), note("c", "d"), note("e", "f")], "title", "nothing wrong, 2 worth a look"),
        ([wrong("a", "b", "c"), note("d", "e"), wrong("f", "g", "h")], "wrong", "2 wrong, 1 worth a look"),
    ],
)
def test_a_report_ends_with_what_it_amounts_to(found, style, verdict):
    *before, _, last = report(found)
    assert before == [line for one in found for line in lines(one)]
    assert last == (style, verdict)


def test_json_says_whether_anything_is_wrong_and_holds_the_figures():
    said = json.loads(as_json([ok("a", "b", figure=3), note("c", "d"), wrong("e", "f", "g", thing=object())]))
    assert (said["ok"], said["counts"]) == (False, {"ok": 1, "note": 1, "wrong": 1})
    assert said["findings"][0] == {"mark": "ok", "about": "a", "sentence": "b", "todo": "", "data": {"figure": 3}}
    assert json.loads(as_json([]))["ok"]
