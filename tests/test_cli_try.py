"""The commands that try a policy: what they take, what they print and how they end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from wasmguard.cli import main

ROOT = Path(__file__).parents[1]
BUDGET = ROOT / "policies-src/budget/cases"
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from wasmguard.__main__ import main; main()"


@pytest.fixture
def run(own_home):
    def invoke(*arguments, **given):
        return CliRunner().invoke(main, [str(word) for word in arguments], **given)

    return invoke


@pytest.fixture
def bundle(tmp_path):
    """A copy of a shipped policy with one case, which the test may change."""
    folder = tmp_path / "p"
    shutil.copytree(ROOT / "build/budget", folder)
    (folder / "cases").mkdir()
    (folder / "cases/a.toml").write_text('[[case]]\nname = "a stop"\nquiet = true\nevent.hook_event_name = "Stop"\n')
    return folder


def test_a_test_that_holds_is_0_and_one_that_fails_is_1(run, bundle):
    done = run("test", bundle)
    assert (done.exit_code, "budget: 1 case ok, " in done.stdout) == (0, True), done.output
    assert run("test", bundle, "--strict").exit_code == 1
    (bundle / "cases/a.toml").write_text('[[case]]\nname = "a"\ntool = "Read"\neffect = "deny"\n')
    done = run("test", bundle, "--cases", bundle / "cases")
    assert (done.exit_code, "FAILED" in done.stdout) == (1, True)


def test_the_current_folder_is_tested_by_itself(run, bundle, monkeypatch):
    monkeypatch.chdir(bundle)
    assert run("test").exit_code == 0


def test_the_cases_of_a_shipped_policy_hold(run):
    done = run("test", "builtin:budget", "--cases", BUDGET, "--json")
    data = json.loads(done.stdout)
    assert (done.exit_code, data["ok"], data["uncovered"]) == (0, True, [])


def test_junit_is_written_beside_what_is_printed(run, bundle, tmp_path):
    done = run("test", bundle, "--junit", tmp_path / "r.xml", "-k", "stop")
    (suite,) = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert (done.exit_code, suite.get("tests")) == (0, "1")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("test none", 2, "`none`: no such file or folder"),
        ("test builtin:none", 1, "no such policy comes with wasmguard"),
        ("test builtin:budget --cases none", 2, "no such folder"),
        ("test builtin:budget -k x", 2, "no case has that"),
        ("inspect none", 2, "`none`: no such file or folder"),
        ("inspect builtin:budget --limits huge", 2, "`--limits huge` is not known: write one of `tight`"),
        ("run builtin:budget", 2, "is about one event"),
        ("run builtin:budget --event Bash --tool Read", 2, "is about one event"),
        ("run builtin:budget --event Bash --input {}", 2, "is about one event"),
        ("run builtin:budget --tool Read --input x", 2, "is no JSON object"),
        ("run builtin:budget --event none", 2, "no such file"),
        ("run builtin:budget --event Bash --state x", 2, "not hexadecimal"),
        ("run builtin:budget --event Bash --settings []", 2, "`--settings []` is no JSON object"),
        ('run builtin:budget --event Bash --settings {"x":1}', 1, "the policy has no such setting"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, line, code, said):
    done = run(*line.split())
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_compiler_s_own_words_come_before_the_error(run, bundle, monkeypatch):
    from wasmguard.errors import BuildError

    def fails(*_, **__):
        raise BuildError("`cc` failed with 1: what it said is above", said="policy.c:1: no\n")

    monkeypatch.setattr("wasmguard.workshop.exam.brought_up_to_date", fails)
    done = run("test", bundle)
    assert (done.exit_code, done.stderr) == (
        1,
        "policy.c:1: no\nwasmguard: `cc` failed with 1: what it said is above\n",
    )


def test_run_shows_one_event(run):
    done = run("run", "builtin:path-redirect", "--event", "PreToolUse.Write")
    assert done.exit_code == 0, done.output
    assert "    - /etc/cron.d/backup\n    + /sandbox/etc/cron.d/backup\n" in done.stdout
    line = ["run", "builtin:path-redirect", "--tool", "Write", "--input", '{"file_path": "/a"}', "--json"]
    data = json.loads(run(*line, "--settings", '{"root": "/r"}').stdout)
    assert data["answer"]["rewrite"] == {"file_path": "/r/a"}
    given = run(*line[:2], "--event", "-", input=json.dumps({"hook_event_name": "Stop", "session_id": "s"}))
    assert given.exit_code in (0, 1)
    assert "Stop" in given.output


def test_run_says_no_when_it_is_not_answered(run, bundle):
    done = run("run", bundle, "--event", "Bash", "--state", "ff", "--settings", '{"calls": 3}')
    assert done.exit_code == 1, done.output
    assert "fault" in done.stdout


def test_inspect_says_whether_it_would_load(run, tmp_path):
    done = run("inspect", "builtin:budget")
    assert (done.exit_code, "loads here    yes" in done.stdout) == (0, True)
    (tmp_path / "x.wasm").write_bytes(b"junk\x1b[2J")
    done = run("inspect", tmp_path / "x.wasm")
    assert (done.exit_code, "\x1b" in done.stdout, "loads here    no" in done.stdout) == (1, False, True)
    assert json.loads(run("inspect", tmp_path / "x.wasm", "--json").stdout)["loads"] is False


def test_watching_tests_again_after_a_change_and_ends_with_ctrl_c(bundle, own_home):
    def until(what):
        end, said = time.monotonic() + 60, b""
        while what not in said and time.monotonic() < end:
            said += os.read(watching.stdout.fileno(), 4096)
        return said

    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a job in the background ignores it
    watching = subprocess.Popen(
        [sys.executable, "-I", "-c", CODE, "test", str(bundle), "--watch", "-k", "stop"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "HOME": str(own_home)},
        **heard,
    )  # fmt: skip
    try:
        assert b"1 case ok" in until(b"waiting")
        (bundle / "cases/a.toml").write_text("[[case]]\n")
        assert b"ok" not in until(b"waiting")
        (bundle / "cases/a.toml").write_text('[[case]]\nname = "stop"\ntool = "Read"\neffect = "deny"\n')
        assert b"1 of 1 case failed" in until(b"waiting")
        os.killpg(watching.pid, signal.SIGINT)
        _, said = watching.communicate(timeout=60)
        assert watching.returncode == 130, said
        assert b"has no name" in said
    finally:
        watching.kill()
        watching.wait(30)
