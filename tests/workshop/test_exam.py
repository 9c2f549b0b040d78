"""`wasmguard test`: everything that fails is told, what holds is not, and what no case touches is a note."""

import os
from types import SimpleNamespace

import pytest

from tests.workshop.trying import asks
from wasmguard.errors import BundleError, UsageError
from wasmguard.guest.manifest import Manifest
from wasmguard.workshop import exam
from wasmguard.workshop.cases import parsed
from wasmguard.workshop.exam import as_data, brought_up_to_date, examined, told, uncovered
from wasmguard.workshop.subject import located

CASES = """\
[[case]]
name = "first"
tool = "Write"
effect = "deny"

[[case]]
name = "second"
tool = "Write"
effect = "pass"

[[case]]
name = "third"
tool = "Write"
effect = "deny"
reason = "of course"
"""


def said(report, **given):
    return "\n".join(text for _, text in told(report, **given))


def test_one_failing_case_hides_none_of_the_others(bundled, monkeypatch):
    folder = bundled("deny", CASES)
    monkeypatch.chdir(folder.parent)
    report = examined(located("tried"))
    text = said(report)
    assert not report.ok()
    assert (
        "FAILED tried/cases/all.toml:6: second\n  effect        expected  pass\n                got       deny" in text
    )
    assert "FAILED tried/cases/all.toml:11: third" in text
    assert "first" not in text
    assert "2 of 3 cases failed, " in text
    assert "FAILED property: a malformed request is never answered" in text


def test_what_holds_is_quiet_with_its_fuel(own_home):
    report = examined(located("builtin:budget"))
    assert report.ok()
    assert "FAILED" not in said(report)
    assert said(report).splitlines()[-1].startswith("budget: 0 cases ok, 10 properties ok, in ")


def test_it_fits_eighty_columns(bundled, monkeypatch):
    long = CASES.replace("of course", "of course " * 30).replace("third", "the third " * 20)
    monkeypatch.chdir(bundled("deny", long).parent)
    assert max(map(len, said(examined(located("tried"))).splitlines())) <= 80


def test_words_choose_cases_and_then_properties_are_not_tried(bundled):
    folder = located(str(bundled("deny", CASES)))
    report = examined(folder, "FIRST all.toml")
    assert report.ok(strict=True)
    assert [one.case.name for one in report.cases] == ["first"]
    assert (report.properties, report.uncovered) == ((), ())
    with pytest.raises(UsageError, match="no case has that"):
        examined(folder, "fourth")


def test_notes_fail_only_where_somebody_wants_that(bundled, monkeypatch):
    monkeypatch.setattr(exam, "properties", lambda *_: iter(()))
    one = '[[case]]\nname = "x"\ntool = "Write"\neffect = "deny"\n'
    report = examined(located(str(bundled("deny", one, more='tools = ["Read"]'))))
    assert (report.ok(), report.ok(strict=True)) == (True, False)
    assert "note: no case touches tool `Read`" in said(report)
    assert ("wrong", "note: no case touches tool `Read`") in list(told(report, strict=True))
    report = examined(located(str(bundled("deny", one + "settings = { a = 1 }"))))
    assert "no such setting" in said(report)
    assert not report.ok(strict=True)


def test_what_no_case_touches_is_told():
    text = 'abi = 1\nname = "p"\nversion = "1"\nsummary = "s"\nevents = ["PreToolUse", "Stop"]\n'
    text += 'tools = ["Write", "mcp__a*"]\n'
    text += asks(effects='["deny", "ask"]', rewrite='["Write.file_path"]', state="{ max = 1 }", rewrite_output='["B"]')
    manifest = Manifest.parse(text, "m")
    assert list(uncovered(manifest, [])) == [
        "event `PreToolUse`", "event `Stop`", "tool `Write`", "tool `mcp__a*`", "effect `deny`", "effect `ask`",
        "rewrite of `Write.file_path`", "rewrite of an output", "state",
    ]  # fmt: skip
    stop = 'event = { hook_event_name = "Stop" }'
    cases = f"""
[[case]]
name = "a"
tool = "Write"
effect = "pass"
rewrite = {{ file_path = "/x" }}
remembers = true
[[case]]
name = "b"
tool = "mcp__a__b"
effect = "deny"
output = "x"
[[case]]
name = "c"
{stop}
effect = "trap"
"""
    assert list(uncovered(manifest, parsed(cases, "c"))) == ["event `Stop`", "effect `ask`"]
    assert list(uncovered(manifest, parsed(cases.replace('"trap"', '"ask"'), "c"))) == []


def test_programs_are_told_the_same(bundled):
    data = as_data(examined(located(str(bundled("deny", CASES)))))
    assert (data["ok"], data["name"]) == (False, "tried")
    assert [one["ok"] for one in data["cases"]] == [True, False, False]
    assert data["cases"][1]["differences"] == [{"key": "effect", "expected": "pass", "got": "deny"}]
    assert (data["cases"][1]["line"], data["fuel"]["min"]) == (6, data["cases"][0]["fuel"])


def test_cases_that_cannot_be_read_are_told_before_anything_is_tried(bundled):
    with pytest.raises(BundleError, match="unknown key"):
        examined(located(str(bundled("deny", CASES + "x = 1\n"))))


def test_many_notes_are_counted(bundled):
    one = '[[case]]\nname = "x"\ntool = "Write"\neffect = "deny"\nsettings = { a = 1 }\n'
    report = examined(located(str(bundled("deny", one * 9))))
    assert said(report).count("no such setting") == 6
    assert "note: 3 more like these" in said(report)
    assert len(as_data(report)["notes"]) == 9


def test_no_cases_are_a_note(bundled):
    report = examined(located(str(bundled("deny"))))
    assert "note: it has no cases" in said(report)


def test_a_project_is_built_only_when_something_changed(tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(exam, "project_at", lambda path: SimpleNamespace(path=path))
    monkeypatch.setattr(exam, "build", lambda project: built.append(str(project.path)))
    monkeypatch.setattr(exam, "write", lambda _, into: (into / "policy.wasm").write_text("x"))
    (tmp_path / "manifest.toml").write_text("x")
    subject = located(str(tmp_path))
    with pytest.raises(UsageError, match="was never built"):
        brought_up_to_date(subject, may_build=False)
    (tmp_path / "build").mkdir()
    assert brought_up_to_date(subject, may_build=True) == ()
    assert brought_up_to_date(subject, may_build=True) == ()
    assert built == [str(tmp_path)]
    os.utime(tmp_path / "build/policy.wasm", (1_000, 1_000))
    assert brought_up_to_date(subject, may_build=False)[0].startswith("the sources are newer")
    brought_up_to_date(subject, may_build=True)
    assert len(built) == 2
    assert brought_up_to_date(located("builtin:x"), may_build=True) == ()
