"""The CSV has a line for each row, numbers that a spreadsheet reads, and no formula of somebody else's."""

import copy
import csv
import io
import json
from pathlib import Path

import pytest

from wasmguard.workshop.bench.sheet import COLUMNS, sheet

SAMPLE = json.loads((Path(__file__).parent / "sample.json").read_text(encoding="utf-8"))


@pytest.fixture
def document():
    return copy.deepcopy(SAMPLE)


def lines_of(document):
    return list(csv.DictReader(io.StringIO(sheet(document), newline="")))


def test_there_is_a_header_and_a_line_for_each_row(document):
    lines = lines_of(document)
    assert tuple(lines[0]) == COLUMNS
    assert [line["id"] for line in lines] == [row["id"] for row in document["rows"]]
    assert sheet(document).count("\r\n") == len(lines) + 1


def test_numbers_are_plain(document):
    row = next(row for row in document["rows"] if row["id"] == "serve/chain")
    line = next(line for line in lines_of(document) if line["id"] == "serve/chain")
    for key in ("n", "rounds", "min", "median", "low", "high", "mean", "p90", "p99", "p999", "max", "per_second"):
        assert float(line[key]) == row[key]
    floor = next(row for row in document["rows"] if row["id"] == line["floor"])
    assert float(line["floor_median"]) == floor["median"]


def test_a_policy_brings_its_exact_figures_and_nobody_else_does(document):
    lines = {line["id"]: line for line in lines_of(document)}
    policy = document["policies"][0]
    assert int(lines["cell/path-redirect"]["fuel_max"]) == policy["fuel"]["max"]
    assert int(lines["cell/path-redirect"]["module"]) == policy["bytes"]
    assert float(lines["cell/path-redirect"]["compile"]) == pytest.approx(policy["compile"] * 1e6)
    document["rows"][-1]["subject"] = "path-redirect"  # a peer that is called like a policy is none
    assert lines_of(document)[-1]["fuel_max"] == ""
    assert lines["cell/chain"]["fuel_max"] == lines["peer/extism 1.1.1"]["memory"] == ""


def test_what_is_not_known_is_empty(document):
    document["rows"][0] |= {"low": None, "high": None, "floor": ""}
    line = lines_of(document)[0]
    assert line["low"] == line["high"] == line["floor_median"] == line["rate_asked"] == ""


def test_an_open_loop_says_its_rate(document):
    document["rows"][0]["rate"] = {"asked": 500.0, "reached": 480.5, "late": 0.01}
    line = lines_of(document)[0]
    assert (line["rate_asked"], line["rate_reached"], line["rate_late"]) == ("500.0", "480.5", "0.01")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_name_is_no_formula(document, name):
    document["rows"][0]["subject"] = name
    assert lines_of(document)[0]["subject"] == f"'{name}"


def test_a_name_stays_in_its_cell(document):
    document["rows"][0]["subject"] = 'a,"b"\r\n=c\x1b'
    line = lines_of(document)[0]
    assert line["subject"] == 'a,"b" =c\ufffd'
    assert len(lines_of(document)) == len(document["rows"])
