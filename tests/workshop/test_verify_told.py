"""How what was verified is told: coverage first, then what is wrong."""

import pytest

from wasmguard.records.chain import Broken
from wasmguard.workshop.verify import Report, Wrong
from wasmguard.workshop.verify_told import SHOWN, as_data, told

HEAD = "7:" + "ab" * 32
WRONG = Wrong(
    seq=5, id="0193a4c2", time=10**12, event="PreToolUse", tool="Write", what="policy `a`: `reason`: " + "x" * 99
)


def lines(**fields):
    return list(told(Report(head=HEAD, **fields)))


def test_it_begins_with_the_chain_and_with_how_many_decisions_came_out_again():
    styled = lines(decisions=1000, again=999, not_again={"inputs were recorded as `redacted`": 1})
    assert styled[0] == ("ok", "  chain         whole up to record 7")
    assert styled[1] == ("ok", "  decisions     999 of 1,000 came out again to the byte (99.9 %)")
    assert styled[2][0] == "note"
    assert styled[-1][0] == "pass"


def test_what_did_not_come_out_never_rounds_to_all():
    shown = lines(decisions=100_000, again=99_999, not_again={"x": 1})[1][1]
    assert "99.9 %" in shown
    assert "100" not in shown.partition("(")[2]


@pytest.mark.parametrize(
    "fields",
    [
        {"wrong": (WRONG,), "wrongs": 1},
        {"broken": (Broken(seq=3, segment="000001.db", what="its hash is another"),)},
        {"expected": "record 7 has another hash"},
    ],
)
def test_what_is_wrong_is_told_and_ends_it(fields):
    styled = lines(decisions=9, again=8, **fields)
    assert styled[-1][0] == "wrong"
    assert sum(style == "wrong" for style, _ in styled) > 1


def test_a_mistake_is_told_with_its_id_and_what_differs_on_lines_that_fit():
    texts = [text for _, text in lines(decisions=9, wrong=(WRONG,), wrongs=1)]
    assert any("0193a4c2" in text and "#5" in text and "PreToolUse Write" in text for text in texts)
    assert any("policy `a`" in text for text in texts)
    assert (
        max(len(line) for text in texts for line in text.splitlines() if "xxx" not in line and "abab" not in line) <= 80
    )


def test_records_that_cannot_be_read_at_all_are_told_as_broken():
    styled = list(told(Report(head="", broken=(Broken(seq=0, segment="000001.db", what="is no database"),))))
    assert ("wrong", "                000001.db: is no database") in styled
    assert styled[-1][0] == "wrong"


def test_of_many_mistakes_the_first_are_told():
    texts = [text for _, text in lines(decisions=99, wrong=(WRONG,) * 99, wrongs=99)]
    assert sum("0193a4c2" in text for text in texts) == SHOWN
    assert any("and 79 more" in text for text in texts)


def test_the_chain_alone_says_nothing_about_decisions():
    assert not any("decisions" in text for _, text in lines(chain_only=True))


def test_programs_get_everything():
    data = as_data(Report(head=HEAD, wrong=(WRONG,), wrongs=1))
    assert (data["good"], data["wrong"][0]["id"], data["head"]) == (False, "0193a4c2", HEAD)
