"""Tests for untrusted text: the law is tried on every character there is."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmguard import text
from wasmguard.text import BAD, MARKS_IN_A_ROW, is_plain, lines, one_line, quoted

EVERY_CHARACTER = "".join(map(chr, range(sys.maxunicode + 1)))
FORBIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
VARIATION_SELECTORS = {*map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0xE0100, 0xE01F0))}
FILLERS = set("\u115f\u1160\u3164\uffa0" + "\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f")  # they show nothing at all
few = settings(max_examples=300, deadline=None, database=None)
HOSTILE = st.text(st.characters() | st.sampled_from('\n\r\t\x1b\x07\u202e\u0301\u200b\ud800\\"'))


def steers(text):
    """The characters in *text* that do something to a terminal, a log or a reader, or hide from them."""
    return {c for c in set(text) if unicodedata.category(c) in FORBIDDEN or c in VARIATION_SELECTORS | FILLERS}


def longest_run_of_marks(text):
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.category(character)[0] == "M" else 0
        longest = max(longest, run)
    return longest


def test_of_all_characters_none_that_steers_is_left():
    assert steers(one_line(EVERY_CHARACTER, len(EVERY_CHARACTER))) == set()
    assert steers(lines(EVERY_CHARACTER, len(EVERY_CHARACTER))) == {"\n", "\t"}


def test_of_all_characters_those_that_do_not_steer_are_left():
    left = set(one_line(" ".join(EVERY_CHARACTER), 3 * len(EVERY_CHARACTER)))
    assert set(EVERY_CHARACTER) - left == steers(EVERY_CHARACTER)


def test_a_character_is_plain_if_it_does_not_steer():
    steering = steers(EVERY_CHARACTER)
    assert all(is_plain(c) is (c not in steering) for c in EVERY_CHARACTER[:0x3000])


SEQUENCES = ["\x1b[2J", "\x1b]52;c;eA==\x07", "\x9b31m", "\x08\x08", "\u202eabc"]
STEERING = "\u2066\u200b\U000e0041\ufe0f\u2028\u2029\x85\x00\x7f\ud800\ue000\u0378\ufeff\xad"


@pytest.mark.parametrize("text", [*SEQUENCES, *STEERING])
def test_what_steers_becomes_one_replacement_character_each(text):
    cleaned = one_line(text, 99)
    assert len(cleaned) == len(text)
    assert BAD in cleaned
    assert lines(text, 99) == cleaned


@pytest.mark.parametrize("text", ["", "a", "a b", "~!@", "é", "日本", "e\u0301", "😀", "שלום", "\u00a0x", BAD])
def test_ordinary_text_stays_as_it_is(text):
    assert one_line(text, 99) == lines(text, 99) == text


def test_marks_pile_up_no_higher_than_three():
    for mark in "\u0301\u0903\u20dd":  # one that combines, one that takes space, one that encloses
        assert one_line("a" + mark * 9, 99) == "a" + mark * MARKS_IN_A_ROW + BAD * 6
    assert one_line(("a" + "\u0301" * 3) * 9, 99) == ("a" + "\u0301" * 3) * 9


def test_one_line_has_blanks_for_line_breaks_and_tabs():
    assert one_line("a\nb\r\nc\td", 99) == "a b c d"
    assert one_line("a\rb", 99) == f"a{BAD}b"  # alone it overwrites the line


def test_lines_keep_line_breaks_and_tabs():
    assert lines("a\nb\n\n\tc\x1b", 99) == f"a\nb\n\n\tc{BAD}"
    assert lines("a\r\nb", 99) == f"a{BAD}\nb"


@pytest.mark.parametrize("cut", [one_line, lines])
def test_a_text_over_its_cap_ends_in_an_ellipsis(cut):
    assert cut("x" * 5, 5) == "xxxxx"
    assert cut("x" * 6, 5) == "xxxx…"
    assert cut("x", 1) == "x"
    assert cut("xx", 1) == "…"


@pytest.mark.parametrize("clean", [one_line, lines])
@pytest.mark.parametrize("part", ["a", "\x00", "\n", "\r\n", "\t", "\u0301", "é", "\u202e"])
def test_a_long_text_comes_out_as_the_beginning_of_all_of_it(clean, part):
    for length in (*range(12), 500):
        whole = clean(part * length, 10_000)
        assert clean(part * length, 4) == (whole if len(whole) <= 4 else whole[:3] + "…")


@pytest.mark.parametrize("clean", [one_line, lines])
@pytest.mark.parametrize("part", ["\x00", "\r\n", "\u0301", "é", "aé\n"])
def test_no_more_of_a_text_is_looked_at_than_can_be_shown(clean, part, monkeypatch):
    looked_at = []
    cleaned = text._cleaned
    monkeypatch.setattr(text, "_cleaned", lambda given, **kept: looked_at.append(len(given)) or cleaned(given, **kept))
    clean(part * 1_000_000, 100)
    assert max(looked_at) <= 202


@few
@given(HOSTILE, st.integers(1, 40))
def test_any_text_is_clean_short_and_cleaned_only_once(given_text, cap):
    line, several = one_line(given_text, cap), lines(given_text, cap)
    assert not steers(line)
    assert steers(several) <= {"\n", "\t"}
    for cleaned, clean in ((line, one_line), (several, lines)):
        assert len(cleaned) <= cap
        assert longest_run_of_marks(cleaned) <= MARKS_IN_A_ROW
        assert clean(cleaned, cap) == cleaned


@pytest.mark.parametrize(
    ("text", "inside"), [('"', '\\"'), ("\\", "\\\\"), ('\\"', '\\\\\\"'), ("", ""), ("a'b", "a'b")]
)
def test_quotes_and_backslashes_are_escaped(text, inside):
    assert quoted(text) == f'"{inside}"'


@few
@given(HOSTILE)
def test_quotes_are_closed_by_nobody_but_us(text):
    inside = quoted(text)[1:-1]
    assert quoted(text) == f'"{inside}"'
    assert '"' not in inside.replace("\\\\", "").replace('\\"', "")
    assert inside.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\") == text or "\0" in text
