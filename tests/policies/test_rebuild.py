"""`policies-src/build` tells what is the same, what differs and what could not be built; so does its exit code."""

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wasmguard.errors import BuildError
from wasmguard.workshop import build as workshop
from wasmguard.workshop.languages import LANGUAGES
from wasmguard.workshop.languages.language import Language, ToolMissing

SOURCES = Path(__file__).parents[2] / "policies-src"
SCRIPT = SOURCES / "build"
FILES = ["manifest.toml", "policy.wasm", "sha256"]
MANIFEST = 'abi = 1\nname = "{0}"\nversion = "1"\nsummary = "x"\nevents = ["PreToolUse"]\n'
SHIPPED = '#!/bin/sh\nmkdir -p "$1"; echo said; [ ! -e {0}/broken ] || exit 3; cp {0}/made "$1/policy.wasm"\n'


@pytest.fixture
def tree(tmp_path, monkeypatch, capsys):
    """A folder of sources with two shipped policies and a language; returns what builds it."""
    spec = importlib.util.spec_from_file_location("rebuild", SOURCES / "rebuild.py")
    rebuild = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rebuild)
    monkeypatch.setattr(rebuild, "HERE", tmp_path / "sources")
    monkeypatch.setattr(rebuild, "BUILT", tmp_path / "build")
    for name in ("one", "two"):
        folder = tmp_path / "sources" / name
        folder.mkdir(parents=True)
        (folder / "manifest.toml").write_text(MANIFEST.format(name))
        (folder / "build.sh").write_text(SHIPPED.format(folder))
        (folder / "build.sh").chmod(0o755)
        (folder / "made").write_text(name)
    project = tmp_path / "sources/languages/text"
    (project / "src").mkdir(parents=True)
    (project / "manifest.toml").write_text(MANIFEST.format("one"))
    text = (SOURCES / "templates/wat/src/policy.wat").read_text()
    (project / "src/policy.wat").write_text(text)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["build", *words])
        code = 0
        try:
            rebuild.main()
        except SystemExit as ended:
            code = int(ended.code)
        said = capsys.readouterr()
        rows = dict(line.split(maxsplit=1) for line in said.out.partition("\n\n")[0].splitlines())
        return code, {name: rest.split()[-1] for name, rest in rows.items()}, said

    return run


@pytest.fixture
def language(monkeypatch):
    """Puts another compiler in the place of the one for text."""

    def put(error=None, **more):
        def compiler(project, work):
            if error:
                raise error
            return LANGUAGES["wat"].compile(project, work)

        made = Language(name="wat", title="Text", mark="src/policy.wat", compile=compiler, **more)
        monkeypatch.setattr(workshop, "LANGUAGES", {"wat": made})

    return put


def every(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_built_and_told(tree, tmp_path):
    assert tree()[:2] == (0, {"one": "new", "two": "new", "languages/text": "new"})
    assert tree()[:2] == (0, {"one": "same", "two": "same", "languages/text": "same"})
    for name in ("one", "two", "languages/text"):
        assert sorted(os.listdir(tmp_path / "build" / name)) == FILES
    manifest = tmp_path / "build/languages/text/manifest.toml"
    assert tomllib.loads(manifest.read_text())["name"] == "one"


def test_check_writes_nothing_and_fails_on_other_bytes(tree, tmp_path):
    assert tree("--check")[0] == 3
    assert not (tmp_path / "build").exists()
    tree()
    before = every(tmp_path / "build")
    assert tree("--check")[0] == 0
    (tmp_path / "sources/two/made").write_text("other")
    assert tree("--check")[:2] == (3, {"one": "same", "two": "different", "languages/text": "same"})
    assert every(tmp_path / "build") == before
    assert tree()[:2] == (0, {"one": "same", "two": "different", "languages/text": "same"})


def test_check_compares_with_what_was_built_wherever_it_builds(tree, tmp_path):
    tree()
    code, rows, _ = tree("--check", "--into", str(tmp_path / "other"))
    assert (code, set(rows.values())) == (0, {"same"})
    assert every(tmp_path / "other") == every(tmp_path / "build")


def test_a_manifest_or_digest_that_differs_is_different(tree, tmp_path):
    tree()
    (tmp_path / "build/one/manifest.toml").write_text("x")
    (tmp_path / "build/two/sha256").unlink()
    assert tree("--check")[1] == {"one": "different", "two": "different", "languages/text": "same"}


def test_what_cannot_be_built_fails_says_why_and_keeps_what_was_there(tree, tmp_path, language):
    tree()
    before = every(tmp_path / "build")
    (tmp_path / "sources/one/broken").touch()
    language(BuildError("`cc` failed with 1: what it said is above", said="bad line"))
    code, rows, said = tree()
    assert (code, rows["one"], rows["languages/text"], rows["two"]) == (1, "failed", "failed", "same")
    assert "said\n" in said.err
    assert "bad line\n" in said.err
    assert "one: `one/build.sh` failed with 3: what it said is above\n" in said.out
    assert "languages/text: `cc` failed with 1: what it said is above\n" in said.out
    assert every(tmp_path / "build") == before


def test_a_language_without_its_tools_is_skipped_aloud_and_with_all_it_fails(tree, language, tmp_path):
    language(ToolMissing("`cc` is missing: apt-get install cc"))
    for words, code in (((), 0), (("--check",), 3), (("--all",), 1), (("--all", "--check"), 1)):
        found, rows, said = tree(*words)
        assert (found, rows["languages/text"]) == (code, "skipped")
        assert "languages/text: `cc` is missing: apt-get install cc\n" in said.out
        if code == 0:
            assert not (tmp_path / "build/languages").exists()
        (tmp_path / "build/one/sha256").unlink(missing_ok=True)


def test_a_language_whose_bytes_differ_each_time_is_built_and_not_compared(tree, tmp_path, language):
    tree()
    (tmp_path / "build/languages/text/policy.wasm").write_text("other")
    language(reproducible=False)
    code, rows, said = tree("--check")
    assert (code, rows["languages/text"]) == (0, "comparable")
    assert "languages/text: its tools give other bytes each time: tests/languages says " in said.out
    tree()
    assert (tmp_path / "build/languages/text/policy.wasm").read_bytes() != b"other"


@pytest.mark.parametrize("name", ["text", "languages/text", "two"])
def test_one_is_built_by_its_name(tree, tmp_path, name):
    _, rows, _ = tree(name)
    assert len(rows) == 1
    assert (tmp_path / "build" / next(iter(rows)) / "policy.wasm").exists()


def test_a_name_that_there_is_not_is_wrong_usage(tree):
    assert tree("none")[0] == 2


def test_the_script_says_what_to_do_without_a_python_that_has_wasmguard(tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    told = {"PATH": os.environ["PATH"], "PYTHON": str(tmp_path / "python")}
    done = subprocess.run([SCRIPT], env=told, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("build: no Python with wasmguard: python3 -m venv .venv && ")


def test_the_script_finds_what_is_here(tmp_path):
    told = {"PATH": os.environ["PATH"], "PYTHON": sys.executable}
    done = subprocess.run([SCRIPT, "none"], env=told, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "`none` is no policy here: write one of backup-redirect, budget, " in done.stderr
