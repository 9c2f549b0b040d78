"""What `wasmguard doctor` tells, in whatever state the machine is."""

import json
import os
import shutil

import pytest

from tests.recorded import recorded
from tests.workshop.guarded import GATE, Owner, told
from wasmguard import alarm
from wasmguard.errors import HostError
from wasmguard.lock import lock
from wasmguard.workshop import doctor, enforcement, real
from wasmguard.workshop.asked import SESSION
from wasmguard.workshop.finding import WIDTH


def found(option):
    return list(doctor.findings(str(option)))


@pytest.fixture
def owner(tmp_path, monkeypatch):
    """An owner whose machine is looked at quickly: no cell of its own, no waiting for a daemon, no client."""
    monkeypatch.setattr(doctor.machine, "isolation", lambda: iter(()))
    monkeypatch.setattr(enforcement, "COMING_UP", 0.0)
    monkeypatch.setattr(real, "client", lambda: "")
    return Owner(tmp_path, monkeypatch)


@pytest.fixture
def usual(owner, monkeypatch):
    """What is found where nobody names a configuration."""
    monkeypatch.setenv("WASMGUARD_CONFIG", str(owner.config))
    return lambda: list(doctor.findings(None))


def test_the_isolation_is_that_of_a_cell_that_really_ran(configured):
    findings = found(configured("pass"))
    (isolation,) = [finding for finding in findings if finding.about == "isolation"]
    assert isolation.mark in ("ok", "note")
    assert isolation.sentence.startswith(("full", "partial"))
    assert isolation.data["isolation"] in ("full", "partial")


def test_a_machine_on_which_no_policy_can_run_is_wrong(configured, monkeypatch):
    monkeypatch.setattr("wasmguard.sandbox.process._SPAWNED", "raise SystemExit(3)")
    assert "no policy can run here" in told(found(configured("pass")), "isolation", "wrong")[0]


def test_a_layer_that_is_missing_is_told_with_its_reason(monkeypatch, configured):
    report = {"landlock": 0, "seccomp": 0, "limits": [], "isolation": "partial", "why": "no Landlock in this kernel"}
    monkeypatch.setattr("wasmguard.sandbox.isolation.Cells.start", lambda _: {"core": report})
    told_so = told(found(configured("pass")), "isolation", "note")
    assert told_so == ["partial (no Landlock in this kernel): policies run in a process of their own"]


def test_a_configuration_is_missing_stale_or_locked(owner, usual):
    assert told(usual(), "configuration", "note")
    assert told(found(owner.config), "configuration", "wrong")  # somebody named it
    owner.config.write_text(GATE)
    assert told(found(owner.config), "configuration", "wrong")
    lock(str(owner.config), repin=True)
    assert told(found(owner.config), "configuration", "ok")


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ('isolation = "thread"', "isolation"),
        ("self_protection = false", "self-"),
        ("[record]\non = false\n", "records"),
    ],
)
def test_what_the_owner_loosened_is_noted(owner, line, about):
    owner.locks(f"{line}\n{GATE}")
    assert told(found(owner.config), about, "note")


def test_a_new_machine_gets_friendly_notes_and_nothing_is_wrong(usual):
    findings = usual()
    assert told(findings, mark="wrong") == []
    assert {finding.todo for finding in findings if finding.mark == "note"} == {
        "run `wasmguard init`",
        "run `wasmguard install claude-code`",
    }


def test_a_machine_that_enforces_has_nothing_wrong(owner):
    owner.locks()
    owner.installs()
    findings = found(owner.config)
    assert told(findings, mark="wrong") == []
    assert {"hooks", "enforcement", "- a deny", "- a rewrite", "daemon"} <= {finding.about for finding in findings}


def test_what_is_tried_is_on_record_as_the_hooks_saw_it_and_raises_no_alarm(owner):
    owner.locks()
    owner.installs()
    found(owner.config)
    records = recorded("decision")
    assert {(body["way"], body["session"]) for body in records} == {("hook", SESSION)}
    assert {body["effect"] for body in records} >= {"pass", "deny"}
    assert alarm.standing() == []


def test_the_kill_switch_is_wrong_although_every_hook_answers(owner):
    owner.locks()
    owner.installs()
    owner.sets("local", {"disableAllHooks": True})
    wrong = told(found(owner.config), mark="wrong")
    assert len(wrong) == 1
    assert "disableAllHooks" in wrong[0]


def empty_home(owner):
    shutil.rmtree(owner.home)


def home_is_a_file(owner):
    shutil.rmtree(owner.home)
    owner.home.write_text("")


def no_home(owner):
    os.environ["HOME"] = "/nowhere/at/all"


def project_is_gone(owner):
    shutil.rmtree(owner.project)


def settings_are_a_folder(owner):
    os.unlink(owner.settings("user"))
    os.mkdir(owner.settings("user"))


def settings_circle(owner):
    os.unlink(owner.settings("user"))
    os.symlink("settings.json", owner.settings("user"))


def configuration_is_a_folder(owner):
    owner.config.unlink()
    owner.config.mkdir()


def configuration_is_no_toml(owner):
    owner.config.write_text("[[policy]\n")


def plan_is_damaged(owner):
    for path in (owner.home / ".local/state/wasmguard/plans").iterdir():
        path.write_bytes(b"x")


def key_is_damaged(owner):
    (owner.home / ".local/state/wasmguard/key").write_bytes(b"x")


def cache_is_gone(owner):
    shutil.rmtree(owner.home / ".cache")


def state_is_a_file(owner):
    shutil.rmtree(owner.home / ".local/state/wasmguard")
    (owner.home / ".local/state/wasmguard").write_text("")


def installed_is_damaged(owner):
    path = owner.home / ".local/state/wasmguard/installed.json"
    path.write_text('{"format": 1, "entries": [5]}')
    path.chmod(0o600)


def interpreter_is_gone(owner):
    owner.installs(["/nowhere/python3", *owner.serve[1:]])


def handler_is_strange(owner):
    owner.installs(["a\0b", "wasmguard", "serve", "--config"])


def folders_are_closed(owner):
    for folder in (owner.home / ".claude", owner.home / ".local/state/wasmguard", owner.home / ".cache"):
        folder.chmod(0)


BROKEN = [
    folders_are_closed,
    *(empty_home, home_is_a_file, no_home, project_is_gone, settings_are_a_folder, settings_circle),
    *(configuration_is_a_folder, configuration_is_no_toml, plan_is_damaged, key_is_damaged, cache_is_gone),
    *(state_is_a_file, installed_is_damaged, interpreter_is_gone, handler_is_strange),
]


@pytest.mark.parametrize("breaks", BROKEN)
def test_nothing_that_is_broken_breaks_the_doctor(owner, breaks):
    owner.locks()
    owner.installs()
    breaks(owner)
    findings = list(doctor.findings(str(owner.config), real=True))
    for folder in (owner.home / ".claude", owner.home / ".local/state/wasmguard", owner.home / ".cache"):
        if folder.is_dir():
            folder.chmod(0o700)  # so that it can be removed
    assert json.loads(doctor.as_json(findings))["findings"]
    assert all(finding.todo for finding in findings if finding.mark == "wrong")
    assert not any("could not be looked at" in finding.sentence for finding in findings)


def test_a_part_that_fails_is_a_finding_and_the_others_go_on(usual, monkeypatch):
    for error in (HostError("it is broken: mend it"), RuntimeError("a bug")):
        monkeypatch.setattr(doctor.machine, "private_files", lambda error=error: (_ for _ in ()).throw(error))
        findings = usual()
        (failed,) = [finding for finding in findings if finding.mark == "wrong"]
        assert failed.about == "private files"
        assert told(findings, "hooks", "note")


def test_a_usual_report_fits_the_terminal(owner):
    owner.locks()
    owner.installs(onFailure=None, timeout=5)
    shown = [line for finding in found(owner.config) for _, line in doctor.lines(finding)]
    assert [line for line in shown if len(line) > WIDTH and max(map(len, line.split())) < WIDTH // 2] == []
    assert sum("->" in line for line in shown) >= 2


def test_hooks_in_a_plugin_are_found_and_asked(owner):
    owner.locks()
    owner.plugs_in()
    findings = found(owner.config)
    assert told(findings, mark="wrong") == []
    assert "the command in the plugin" in told(findings, "hooks", "ok")[0]
    assert told(findings, "- a deny", "ok")
