"""Numbers are short on axes, whole where they are exact, and stay with their units."""

import pytest

from wasmguard.workshop.bench import page_figures as figures

THIN, KEPT = figures.THIN, "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.05, "50 ns"), (0.5, "500 ns"), (20, "20 us"), (1000, "1 ms"), (2e6, "2 s"), (1e12, "1e+06 s")],
)
def test_times_on_an_axis(value, said):
    assert figures.tick_of_time(value) == said


@pytest.mark.parametrize(("value", "said"), [(500, "500 B"), (1000, "1 kB"), (2e6, "2 MB")])
def test_sizes_on_an_axis(value, said):
    assert figures.tick_of_size(value) == said


def test_exact_numbers_are_whole():
    assert figures.whole(20_000_000) == f"20{THIN}000{THIN}000"
    assert figures.brief(20_000_000) == "20 M"
    assert figures.brief(500) == "500"


def test_an_event_is_told_in_tens_and_memory_in_twos():
    assert figures.payload(5_100_000) == "5.1 MB"
    assert figures.size(65_536) == "64 KiB"


def test_what_is_not_known_is_a_dash():
    said = [figures.time, figures.payload, figures.size, figures.whole, figures.share, figures.change]
    assert {say(None) for say in said} == {"–"}
    assert figures.between(None, 3) == "–"


def test_less_and_more_have_a_sign():
    assert figures.change(1.142) == "+14.2 %"
    assert figures.change(0.969) == "−3.1 %"
    assert figures.signed(-0.002) == "−0.2 %"
    assert figures.signed(0.002) == "0.2 %"


def test_no_number_is_parted_from_its_unit():
    assert figures.kept("95 %: 1.2 to 3 ms, 4 cores") == f"95{KEPT}%: 1.2 to 3{KEPT}ms, 4 cores"


def test_one_is_one():
    assert figures.many(1, "policy", "policies") == "1 policy"
    assert figures.many(12, "event") == "12 events"
