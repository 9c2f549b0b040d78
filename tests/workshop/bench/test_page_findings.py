"""What failed stands first, with why; what did not change is said too."""

from tests.workshop.bench import made
from wasmguard.workshop.bench import page_findings as findings


def test_there_is_no_section_without_a_finding():
    assert findings.check(None) == findings.compare(None) == ""


def test_what_is_slower_comes_first():
    found = findings.check(made.sample()["check"])
    assert found.index("cell/sensitive-paths") < found.index("cell/tool-gate") < found.index("cell/path-redirect")
    assert "▲ slower" in found
    assert "also when measured again" in found


def test_a_check_that_held_says_so():
    found = {"baseline": "b.json", "ok": True, "fuel": [], "time": [], "answers": [], "notes": []}
    assert "✓ Held" in findings.check(found)
    assert "against b.json." in findings.check(found)


def test_figures_that_are_missing_are_dashes():
    found = made.sample()["check"]
    found["time"][0] |= {"ratio": None, "low": None, "high": None, "before": None, "verdict": "gone"}
    found["fuel"][0] |= {"after": None, "change": None}
    assert findings.check(found).count("–") >= 4


def test_two_versions_that_decide_alike_are_said_to():
    found = made.sample()["compare"]
    alike = [{**one, "after": one["before"]} for one in found["fuel"]]
    said = findings.compare({**found, "fuel": alike, "answers": [], "time": []})
    assert "Fuel: the same on every event." in said
    assert "Answers: the same on every event." in said


def test_long_lists_end_and_say_how_long_they_were():
    found = made.sample()["check"]
    found["answers"] = [{"policy": "p", "event": f"event {i}"} for i in range(100)]
    said = findings.check(found)
    assert "the first 40 of 100" in said
    assert "event 41" not in said
