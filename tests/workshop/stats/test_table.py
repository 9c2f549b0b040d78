"""What was counted, on a terminal: no line too wide, no figure without its name, nothing that steers a reader."""

import io

import pytest
from rich.cells import cell_len

from tests.workshop.stats import sample
from wasmguard.workshop.bench.table import console_for
from wasmguard.workshop.stats import table


def written(tell, document, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    tell(document, console_for(stream))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("document", [sample.document(), sample.empty(), sample.document(conditions={"tool": "Bash"})])
def test_no_line_is_wider_than_a_terminal_or_steers_it(document, encoding):
    text = written(table.tell, document, encoding)
    assert all(cell_len(line) <= 80 and line.isprintable() for line in text.split("\n")), text


def test_everything_that_was_counted_is_told():
    text = written(table.tell, sample.document())
    for said in (
        *("1,220,403 decisions since 2026", "1,200,000 passed", "20,000 denied", "2 x off"),
        *("2026-11-01 to 2026-11-22", "p50 181 us", "max at most 2.0 s", "0.50 %", "6,012"),
        *('guard: "not … here', "wasmguard: no rest"),
    ):
        assert said in text, said


def test_what_is_not_known_is_a_dash_and_not_nothing():
    text = written(table.tell, sample.document())
    (row,) = [line for line in text.split("\n") if "[2J" in line and line.rstrip().endswith("-")][:1]
    assert row.split()[-1] == "-"


def test_no_records_are_said_to_be_none():
    assert "there are no records yet" in written(table.tell, sample.empty())


def test_conditions_are_said_before_the_figures():
    text = written(table.tell, sample.document(conditions={"session": "s1", "tool": "Bash"}))
    assert text.split("\n")[1] == "  only session s1, tool Bash"


def test_a_shadow_is_told_with_records_to_look_at():
    text = written(table.tell_shadows, sample.shadows())
    assert "99.0 %" in text
    assert "new-guard (beside guard): looser: records 3, 17" in text
    assert "wasmguard explain" in text


def test_shadows_of_some_records_only_are_said_to_be_of_those():
    text = written(table.tell_shadows, sample.shadows() | {"of_newest": 5_000, "conditions": {"tool": "Bash"}})
    assert "of the newest 5,000 of these decisions" in text


def test_no_shadow_says_how_to_have_one():
    assert "`shadow = true`" in written(table.tell_shadows, {"since": None, "conditions": {}, "shadows": []})


def test_a_share_that_is_almost_all_or_nothing_is_not_rounded_to_it():
    text = written(table.tell_shadows, sample.shadows(agreement=0.9999))
    assert "99.99 %" in text


def test_a_sparkline_is_as_high_as_its_numbers_and_shows_the_smallest():
    assert table.sparkline([0, 1, 500, 1_000]) == " ▁▄█"
    assert table.sparkline([0, 1, 1_000], simple=True).isascii()
    assert table.sparkline([]) == ""
    assert table.sparkline([0, 0]) == "  "
