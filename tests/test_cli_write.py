"""`wasmguard new` and `wasmguard build`, as they are typed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from wasmguard.cli import main
from wasmguard.cli_manual import parted
from wasmguard.errors import BuildError
from wasmguard.workshop import build as work
from wasmguard.workshop.languages import LANGUAGES
from wasmguard.workshop.languages.language import Language

SOURCE = Path(__file__).parents[1]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A command, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def broken(monkeypatch):
    """The policy's compiler refuses it."""

    def compiler(_folder, _work):
        raise BuildError("`cc` failed with 1: what it said is above", said="policy.c:1: \x1b[1mbad\n")

    language = Language(name="x", title="X", mark="src/policy.wat", compile=compiler)
    monkeypatch.setattr(work, "LANGUAGES", {"x": language})


def test_a_policy_is_made_and_built_with_two_commands(run, tmp_path, monkeypatch):
    done = run("new", "no-etc", "--lang", "wat")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "  cd no-etc\n" in done.stdout
    monkeypatch.chdir(tmp_path / "no-etc")
    done = run("build")
    assert (done.exit_code, done.stderr) == (0, "")
    assert sorted(os.listdir("build")) == ["manifest.toml", "policy.wasm", "sha256"]
    assert Path("build/sha256").read_text().strip() in done.stdout


def test_folders_are_taken_as_they_are_named(run, tmp_path):
    (tmp_path / "a").mkdir()
    assert run("new", "x", "--lang", "wat", "--into", "a").exit_code == 0
    assert run("build", "a/x", "--into", "b/c").exit_code == 0
    assert (tmp_path / "b/c/policy.wasm").is_file()
    assert not (tmp_path / "a/x/build").exists()


def test_programs_are_told_the_same(run, tmp_path):
    run("new", "x", "--lang", "wat")
    said = json.loads(run("build", "x", "--json").stdout)
    module = (tmp_path / "x/build/policy.wasm").read_bytes()
    assert said["module"] == str(tmp_path / "x/build/policy.wasm")
    assert (said["name"], said["language"], said["kind"], said["bytes"]) == ("x", "wat", "core", len(module))
    assert json.loads(run("build", "x", "--check", "--json").stdout)["same"] is True


def test_check_writes_nothing_and_says_no_to_other_bytes(run, tmp_path):
    run("new", "x", "--lang", "wat")
    done = run("build", "x", "--check")
    assert (done.exit_code, (tmp_path / "x/build").exists()) == (0, False)
    run("build", "x")
    before = (tmp_path / "x/build/policy.wasm").stat().st_mtime_ns
    source = tmp_path / "x/src/policy.wat"
    source.write_text(source.read_text().replace("/etc", "/usr"))
    done = run("build", "x", "--check")
    assert (done.exit_code, "x: other bytes: " in done.stdout) == (1, True)
    assert json.loads(run("build", "x", "--check", "--json").stdout)["same"] is False
    assert (tmp_path / "x/build/policy.wasm").stat().st_mtime_ns == before


def test_a_language_that_cannot_be_compared_says_so(run, monkeypatch):
    run("new", "x", "--lang", "wat")
    wat = LANGUAGES["wat"]
    other = Language(name="wat", title="W", mark=wat.mark, compile=wat.compile, reproducible=False)
    monkeypatch.setattr(work, "LANGUAGES", {"wat": other})
    done = run("build", "x", "--check")
    assert (done.exit_code, "not to be compared" in done.stdout) == (0, True)
    assert json.loads(run("build", "x", "--check", "--json").stdout)["same"] is None


def test_the_compiler_speaks_first_then_we_say_one_line(run, broken, tmp_path):
    run("new", "x", "--lang", "wat")
    for more in ([], ["--check"], ["--json"]):
        done = run("build", "x", *more)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == "policy.c:1: bad\nwasmguard: `cc` failed with 1: what it said is above\n"
    assert not (tmp_path / "x/build").exists()


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("new", 2, "`wasmguard new` needs `NAME`: see `wasmguard new --help`"),
        ("new x", 2, "`wasmguard new` needs `--lang LANGUAGE`: write one of `rust`, `c`, "),
        ("new x --lang rsut", 2, "`--lang rsut` is not known: did you mean `rust`?"),
        ("new x --lang cobol", 2, "`--lang cobol` is not known: write one of `rust`, `c`, "),
        ("new X --lang wat", 2, "`X` is not a name: write lower-case letters, digits, "),
        ("new x --lang wat --into none", 2, "`none` is no folder: name one that is there"),
        ("new there --lang wat", 1, "`there` is there already: choose another name, or take it away"),
        ("build", 2, "`.` holds no `manifest.toml`: name a policy's folder, or make one with `wasmguard new`"),
        ("build none", 2, "`none` is no folder: name the one that holds the policy's `manifest.toml`"),
        ("build there", 2, "`there` holds no `manifest.toml`: "),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, line, code, said):
    (tmp_path / "there").mkdir()
    done = run(*line.split())
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"wasmguard: {said}")
    assert len(done.stderr.splitlines()) == 1


def test_the_page_of_new_lists_every_language_with_its_title():
    listed = dict(parted(main.commands["new"].help)[1])["Languages:"]
    said = dict(re.findall(r"^  (\w+) +(.+)$", listed, re.MULTILINE))
    assert list(said) == list(LANGUAGES)
    assert all(text.startswith(LANGUAGES[name].title) for name, text in said.items())


def test_the_command_line_imports_no_language_before_it_is_asked_for():
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import wasmguard.cli; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-Ic", code], text=True).split())
    assert "wasmguard.cli_write" in loaded
    assert not {f"wasmguard.workshop.languages.{name}" for name in LANGUAGES} & loaded
