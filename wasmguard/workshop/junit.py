"""A test's report as JUnit XML, which every CI shows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from wasmguard.errors import HostError
from wasmguard.text import lines, one_line
from wasmguard.workshop.files import replace_files

if TYPE_CHECKING:
    from wasmguard.workshop.exam import Report

LONGEST = 4_000  # characters of a failure's text


def written(report: Report, path: str) -> None:
    """Write *report* to the file *path*, whole or not at all.

    Raises:
        HostError: if it cannot be written; what was there before is still there.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # root would put a file in the place of `/dev/stdout`
        raise HostError(f"`{path}` cannot be written: not a regular file: name another file with `--junit`")
    try:
        replace_files({Path(path): as_xml(report)})
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"`{path}` cannot be written: {why}: name another file with `--junit`") from None


def as_xml(report: Report) -> bytes:
    """*report* as a JUnit document: a test case for each case and each property."""
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", name=report.name, time=f"{report.seconds:.3f}")
    failed = 0
    for one in report.cases:
        seconds = sum(said.microseconds for said in one.said) / 1_000_000
        place = {"file": _plain(one.case.file), "line": str(one.case.line)}
        flaws = [f"{key}: expected {wanted}, got {came}" for key, wanted, came in one.differences]
        name = f"{report.name}.{os.path.basename(one.case.file).removesuffix('.toml')}"
        failed += _case(suite, name, one.case.name, flaws, {"time": f"{seconds:.6f}"} | place)
    for held in report.properties:
        failed += _case(suite, f"{report.name}.properties", held.name, list(held.flaws), {"time": "0"})
    suite.set("tests", str(len(report.cases) + len(report.properties)))
    suite.set("failures", str(failed))
    suite.set("errors", "0")
    suite.set("skipped", "0")
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _case(suite: ElementTree.Element, group: str, name: str, flaws: list[str], more: dict[str, str]) -> bool:
    """One test case; whether it failed."""
    case = ElementTree.SubElement(suite, "testcase", {"classname": _plain(group), "name": _plain(name), **more})
    if flaws:
        failure = ElementTree.SubElement(case, "failure", message=_plain(flaws[0]), type="difference")
        failure.text = lines("\n".join(flaws), LONGEST)
    return bool(flaws)


def _plain(text: str) -> str:
    """*text* with nothing that XML cannot say."""
    return one_line(text, LONGEST)
