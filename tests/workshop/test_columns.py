"""Two columns fit a terminal; times are said as people say them."""

from time import tzset

import pytest

from wasmguard.workshop.columns import WIDTH, beside, clock, counted, day, latency, length_of, percent, wrapped


def test_lines_fit_and_nothing_is_lost():
    text = "a sentence of some words " * 12
    lines = beside("head", text).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(" ".join(lines).split()) == f"head {text.strip()}"
    assert {line[:16] for line in lines[1:]} == {" " * 16}


def test_paths_stay_whole():
    path = "/a-folder/" * 12
    assert path in beside("socket", f"see {path}")


def test_a_head_that_is_too_wide_stands_alone():
    assert beside("a-policy-with-a-long-name", "loaded") == "  a-policy-with-a-long-name\n                loaded"
    assert beside("configuration", "x") == "  configuration x"


def test_nothing_beside_a_head_is_fine():
    assert beside("head", "").strip() == "head"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h 5 s"),
        (7265, "2 h 1 min"),
        (86_400, "1 day"),
        (200_000, "2 days 7 h"),
    ],
)
def test_times_are_said_in_two_units(seconds, said):
    assert length_of(seconds) == said


@pytest.mark.parametrize(("us", "said"), [(0.4, "0 us"), (181.2, "181 us"), (1_200, "1.2 ms"), (3_100_000, "3.1 s")])
def test_short_times_are_said_in_the_unit_that_suits(us, said):
    assert latency(us) == said


def test_a_sentence_is_wrapped_behind_its_indent_and_a_path_stays_whole():
    path = "/a" * 60
    assert wrapped(f"see {path} first", "  ") == ["  see", f"    {path}", "    first"]


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (1, "100 %"), (0.12, "12 %"), (0.123, "12.3 %"), (1e-6, "<0.1 %"), (0.99999, "99.9 %")],
)
def test_shares_never_hide_that_there_is_something(share, said):
    assert percent(share) == said


@pytest.mark.parametrize(("count", "said"), [(0, "0 events"), (1, "1 event"), (12_000, "12,000 events")])
def test_what_is_counted_agrees_with_its_number(count, said):
    assert counted(count, "event") == said


def test_moments_are_said_in_local_time(monkeypatch):
    monkeypatch.setenv("TZ", "UTC-2")
    tzset()
    try:
        assert (day(1_700_000_000_999), clock(1_700_000_000_999)) == ("2023-11-15", "00:13:20")
    finally:
        monkeypatch.undo()
        tzset()
