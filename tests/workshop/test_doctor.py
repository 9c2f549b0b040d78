"""What this machine gives, as `wasmguard doctor` tells it."""

import pytest

from wasmguard import lock
from wasmguard.workshop import doctor


def told(option, about):
    return [(mark, sentence) for mark, what, sentence in doctor.findings(str(option)) if about in what]


def test_the_isolation_is_that_of_a_cell_that_really_ran(configured):
    (mark, sentence), *_ = told(configured("pass"), "isolation")
    assert mark in ("ok", "note")
    assert sentence.startswith(("full", "partial"))


def test_a_machine_on_which_no_policy_can_run_is_wrong(configured, monkeypatch):
    monkeypatch.setattr("wasmguard.sandbox.process._SPAWNED", "raise SystemExit(3)")
    ((mark, sentence),) = told(configured("pass"), "isolation")
    assert mark == "wrong"
    assert "no policy can run here" in sentence


def test_a_layer_that_is_missing_is_told_with_its_reason(monkeypatch, configured):
    report = {"landlock": 0, "seccomp": 0, "limits": [], "isolation": "partial", "why": "no Landlock in this kernel"}
    monkeypatch.setattr("wasmguard.sandbox.isolation.Cells.start", lambda _: {"core": report})
    told_so = told(configured("pass"), "isolation")
    assert told_so == [
        ("note", "partial (no Landlock in this kernel): policies run in a process of their own"),
    ]


def test_a_configuration_is_missing_stale_or_locked(configured, tmp_path):
    assert told(tmp_path / "none.toml", "configuration")[0][0] == "note"
    path = configured("pass")
    assert told(path, "configuration")[0][0] == "wrong"
    lock.lock(str(path), repin=True)
    assert told(path, "configuration")[0][0] == "ok"


def test_what_steers_the_hook_is_noted(configured, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp")
    assert told(configured("pass"), "environment") == [
        ("note", "`LD_LIBRARY_PATH` is set: it decides what programs load, hooks too")
    ]


@pytest.mark.parametrize(
    ("line", "about"), [('isolation = "thread"', "isolation"), ("self_protection = false", "self-")]
)
def test_what_the_owner_loosened_is_noted(configured, line, about):
    path = configured("pass")
    path.write_text(f"{line}\n{path.read_text()}")
    lock.lock(str(path), repin=True)
    assert told(path, about)[-1][0] == "note"
