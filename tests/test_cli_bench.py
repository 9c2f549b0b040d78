"""`wasmguard bench`: what it takes, what it prints and how it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from wasmguard.cli import main
from wasmguard.workshop.bench import session

ROOT = Path(__file__).parents[1]
SAMPLE = json.loads((ROOT / "tests/workshop/bench/sample.json").read_text())
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from wasmguard.__main__ import main; main()"


@pytest.fixture
def run(own_home):
    def invoke(*arguments, **given):
        return CliRunner().invoke(main, ["bench", *map(str, arguments)], **given)

    return invoke


@pytest.fixture
def measures(monkeypatch):
    """Puts a document in the place of a run, and returns what was wanted of it."""
    wanted = []

    def put(**changes):
        monkeypatch.setattr(session, "run", lambda *given: wanted.append(given[0]) or {**SAMPLE, **changes})
        return wanted

    return put


def wrong(done):
    """The one line about a command line that is wrong."""
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.output
    return done.stderr


def test_all_paths_are_all_and_the_usual_one_is_the_cell(run, measures):
    wanted = measures(check=None, adversarial=None)
    for words in ((), ("--path", "all"), ("--path", "http", "--path", "library", "--path", "http")):
        assert run(*words).exit_code == 0
    usual, every, two = (one.paths for one in wanted)
    assert usual == ("cell",)
    assert every == ("library", "cell", "serve", "daemon", "http", "native-client")
    assert two == ("library", "http")


def test_what_is_asked_for_is_handed_on(run, measures):
    wanted = measures(check=None, adversarial=None)
    run("builtin:budget", "--events", "x.json", "--seconds", "7", "--limits", "tight", "--config", "c.toml", "--peers")
    assert wanted[0].replaced(command="") == session.Wanted(
        subjects=("builtin:budget",),
        events="x.json",
        seconds=7.0,
        profile="tight",
        config="c.toml",
        with_peers=True,
        command="",
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--json", "--csv"], "write one of them"),
        (["--check"], "--baseline FILE"),
        (["--compare", "one.wasm"], "needs two"),
        (["--rate", "5", "--compare", "a", "b"], "leave it out"),
        (["--rate", "0"], "from 1 to"),
        (["--seconds", "0"], "from 1 to"),
        (["--path", "cells"], "did you mean `cell`"),
        (["--html", "/no/such/folder/x.html"], "make it first"),
        (["--save", "/"], "is a folder"),
        (["--events", "nothing.json", "builtin:budget"], "`--events nothing.json`"),
        (["--baseline", "nothing.json", "builtin:budget"], "nothing.json"),
        (["nobody"], "`nobody`"),
        (["a.toml", "b.toml"], "a.toml"),
    ],
)
def test_a_wrong_command_line_is_2_before_anything_is_measured(run, words, says):
    assert says in wrong(run(*words))


def test_json_is_one_document_and_csv_one_table(run, measures):
    measures(check=None, adversarial=None)
    assert json.loads(run("--json").stdout)["wasmguard_bench"] == 1
    head, *rows = run("--csv").stdout.splitlines()
    assert head.startswith("id,")
    assert len(rows) == len(SAMPLE["rows"])


def test_worse_than_the_baseline_is_1_only_for_who_checks(run, measures):
    measures(check={**SAMPLE["check"], "ok": False}, adversarial=None)
    assert run("--baseline", "figures.json").exit_code == 0
    assert run("--baseline", "figures.json", "--check").exit_code == 1
    measures(check={**SAMPLE["check"], "ok": True}, adversarial=None)
    assert run("--baseline", "figures.json", "--check").exit_code == 0


def test_an_input_that_a_policy_did_not_stand_is_1(run, measures):
    entry = SAMPLE["adversarial"][0]
    measures(check=None, adversarial=[{**entry, "ok": True}])
    assert run("--adversarial").exit_code == 0
    measures(check=None, adversarial=[{**entry, "ok": True}, {**entry, "ok": False}])
    assert run("--adversarial").exit_code == 1


def test_figures_are_kept_whole_and_those_of_half_a_run_are_not(run, measures, tmp_path):
    measures(check=None, adversarial=None)
    assert run("--save", tmp_path / "a.json", "--html", tmp_path / "a.html").exit_code == 0
    assert json.loads((tmp_path / "a.json").read_text())["rows"]
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    measures(check=None, adversarial=None, complete=False)
    done = run("--save", tmp_path / "b.json")
    assert (done.exit_code, sorted(os.listdir(tmp_path))) == (130, ["a.html", "a.json"])
    assert "not kept" in done.stderr


def test_a_run_that_asked_no_policy_is_1_whatever_was_timed_beside(run, measures):
    floors = [row for row in SAMPLE["rows"] if row["kind"] in {"floor", "peer"}]
    measures(check=None, compare=None, adversarial=None, rows=floors)
    assert run().exit_code == 1


def test_a_disk_that_is_full_takes_no_figures_from_who_reads_them(run, measures, tmp_path, monkeypatch):
    def full(*_given):
        raise OSError(28, "No space left on device")

    measures(check=None, compare=None, adversarial=None)
    monkeypatch.setattr("wasmguard.workshop.bench.report.replace_files", full)
    for option, starts in ((), "a call costs "), (("--json",), "{"), (("--csv",), "id,path"):
        done = run("--html", tmp_path / "a.html", *option)
        assert (done.exit_code, done.stdout[: len(starts)]) == (1, starts)
        assert "no space left on device" in done.stderr.lower()


def test_nothing_but_the_table_is_printed_where_nobody_watches(run, measures):
    measures(check=None, adversarial=None)
    done = run()
    assert (done.exit_code, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


def test_a_short_run_measures_and_checks_itself(run, tmp_path):
    figures = tmp_path / "figures.json"
    words = ("builtin:budget", "--seconds", "1", "--path", "library", "--save", figures)
    first = run(*words, "--json")
    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    assert document["complete"]
    assert {row["id"] for row in document["rows"]} == {"library/null policy", "library/budget"}
    assert document["policies"][0]["fuel"]["median"] > 0
    again = run("builtin:budget", "--seconds", "1", "--path", "library", "--baseline", figures, "--json")
    assert json.loads(again.stdout)["check"]["fuel"] == []


def test_ctrl_c_prints_what_was_measured_so_far(tmp_path):
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "LANG": "C.UTF-8"}
    command = [sys.executable, "-I", "-c", CODE, "bench", "builtin:budget", "--seconds", "300", "--events"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    event = shutil.copy(ROOT / "wasmguard/workshop/recorded/PreToolUse.Read.json", tmp_path)
    process = subprocess.Popen([*command, event, "--json"], env=environment, start_new_session=True, **pipes, **heard)
    time.sleep(6)
    os.killpg(process.pid, signal.SIGINT)
    said, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (130, b"")
    document = json.loads(said)
    assert not document["complete"]
    assert os.listdir(tmp_path) == ["PreToolUse.Read.json"]
