"""The report for a CI is XML that every reader takes, and is there whole or not at all."""

import os
from xml.etree import ElementTree

import pytest

from wasmguard.errors import HostError
from wasmguard.workshop.cases import parsed
from wasmguard.workshop.exam import Report
from wasmguard.workshop.judged import Judged
from wasmguard.workshop.junit import as_xml, written
from wasmguard.workshop.properties import Property
from wasmguard.workshop.trial import Said

NAME = 'a <b> & \\"c\\" \\u001b \\ufffe \\u202e é'


@pytest.fixture
def report():
    one, two = parsed(f'[[case]]\nname = "{NAME}"\ntool = "W"\neffect = "deny"\n' * 2, "cases/a.toml")
    bad = (("effect", "deny", "pass \x00 <x> \ud800"), ("reason", "a", "b"))
    said = (Said(microseconds=1500.0),)
    return Report(
        name="p",
        sha256="",
        limits={"fuel": 1},
        cases=(Judged(case=one, said=said), Judged(case=two, said=said, differences=bad)),
        properties=(Property(name="holds", tried=1), Property(name="not", tried=1, flaws=("why",))),
        uncovered=(),
        notes=(),
        whole=True,
        seconds=0.5,
    )


def test_every_case_and_property_is_a_test_case(report):
    (suite,) = ElementTree.fromstring(as_xml(report))
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped", "time")} == {
        "name": "p", "tests": "4", "failures": "2", "errors": "0", "skipped": "0", "time": "0.500"
    }  # fmt: skip
    assert [case.get("classname") for case in suite] == ["p.a", "p.a", "p.properties", "p.properties"]
    assert [(case.get("file"), case.get("line")) for case in suite][1] == ("cases/a.toml", "5")
    assert [len(case) for case in suite] == [0, 1, 0, 1]
    assert suite[0].get("time") == "0.001500"


def test_what_differs_is_its_text_and_nothing_in_it_breaks_the_document(report):
    (suite,) = ElementTree.fromstring(as_xml(report))
    (failure,) = suite[1]
    assert failure.text == "effect: expected deny, got pass \ufffd <x> \ufffd\nreason: expected a, got b"
    assert suite[1].get("name") == 'a <b> & "c" \ufffd \ufffd \ufffd é'


def test_the_file_is_replaced_whole_and_nothing_is_left_beside_it(report, tmp_path):
    path = tmp_path / "r.xml"
    path.write_text("old")
    written(report, str(path))
    assert path.read_bytes() == as_xml(report)
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.xml"]


def test_what_cannot_be_written_is_told_and_leaves_nothing(report, tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none/r.xml", tmp_path / "folder"):
        with pytest.raises(HostError, match="cannot be written"):
            written(report, str(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_what_is_no_regular_file_is_not_replaced_by_one(report, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="cannot be written: not a regular file: name another file"):
        written(report, str(tmp_path / "pipe"))
    assert (tmp_path / "pipe").is_fifo()
    assert len(list(tmp_path.iterdir())) == 1
