"""A first policy in every language, as its author makes it: new, build, test, and the one case that fails made green.

The commands are those of the guide, typed in a folder outside of the source. A language whose compiler is missing is
skipped, with what installs it; CI has them all.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wasmguard.guest.sections import MANIFEST_SECTION, custom
from wasmguard.limits import HARD_MAX
from wasmguard.sandbox.scan import scan
from wasmguard.workshop.build import build, project_at, write
from wasmguard.workshop.languages import LANGUAGES
from wasmguard.workshop.languages.language import ToolMissing
from wasmguard.workshop.scaffold import FAILING, new

pytestmark = [
    pytest.mark.rebuild,
    pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda language: language.name),
]

SOURCE = Path(__file__).parents[2]
PATIENCE = 400  # seconds; Rust takes 60 where its standard library is built, too
NAME = "2nd.policy_in-a-row"  # what a name may have: no crate, package or identifier may be called so


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """A project for each language, made and built when a test first asks for it; every test of a language whose tools
    are missing is skipped."""
    made = {}

    def project(language):
        if language.name not in made:
            folder = tmp_path_factory.mktemp(language.name)
            typed(folder, "new", NAME, "--lang", language.name)
            made[language.name] = folder / NAME, _missing(folder / NAME)
        folder, missing = made[language.name]
        if missing:
            pytest.skip(missing)
        return folder

    return project


def _missing(project):
    """Build the project as `wasmguard build` does; what is missing for it, which is known here by its class."""
    try:
        write(build(project_at(project)), project / "build")
    except ToolMissing as error:
        return str(error)
    return ""


def typed(folder, *words):
    """A command, as a person starts it."""
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from wasmguard.__main__ import main; main()"
    command = [sys.executable, "-I", "-c", code, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_one_case_fails_and_no_other(projects, language):
    done = typed(projects(language), "test")
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert FAILING in said
    cases = [case for path in (projects(language) / "cases").glob("*.toml") for case in _cases(path)]
    assert typed(projects(language), "test", "-k", FAILING).returncode == 1
    for name in cases:
        if name != FAILING:
            assert not re.search(rf"FAIL\w*:? .*{re.escape(name)}", said), said


def _cases(path):
    return [case["name"] for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]]


def test_the_module_is_closed_carries_its_manifest_and_names_no_machine(projects, language):
    project = projects(language)
    module = (project / "build/policy.wasm").read_bytes()
    shape = scan(module, HARD_MAX)
    assert shape.wasi == ()
    assert shape.imports == () or language.name == "rego"
    assert custom(module, MANIFEST_SECTION) == (project / "manifest.toml").read_bytes()
    places = [b"/opt/wasmguard", bytes(project.parent), b"wasmguard-build-"]
    if shape.kind == "core":  # in a component there are the folders of those who made its interpreter
        places += [b"/home/", b"/root/"]
    assert [place for place in places if place in module] == []


def test_the_same_bytes_come_of_a_second_build(projects, language):
    """Where the tools can."""
    done = typed(projects(language), "build", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("the same: " in done.stdout) is language.reproducible


def test_a_mistake_is_shown_by_the_compiler_with_the_file_that_it_is_in(projects, language, tmp_path):
    projects(language)  # which skips where there is no compiler
    project = new("first", language, tmp_path)
    source = project / language.mark
    source.write_text(source.read_text(encoding="utf-8") + "\n)}(] this is no program\n", encoding="utf-8")
    done = typed(project, "build")
    assert (done.returncode, done.stdout) == (1, "")
    *words, last = done.stderr.splitlines()
    assert last.startswith("wasmguard: ")
    assert Path(language.mark).name in "\n".join(words)
    assert language.name == "python" or "Traceback" not in done.stderr  # Python's own words have one
    assert not (project / "build").exists()


def test_one_changed_line_makes_the_case_green(projects, language, tmp_path):
    """The comment in the source says which: the test does what it says."""
    projects(language)
    project = new("green", language, tmp_path)
    source = project / language.mark
    source.write_text(green(language, source.read_text(encoding="utf-8")), encoding="utf-8")
    done = typed(project, "test")
    assert done.returncode == 0, done.stdout + done.stderr


def green(language, text):
    """The source after what the comment says: the line below it counts from now on."""
    if language.name in OTHERWISE:
        before, after = OTHERWISE[language.name]
        assert text.count(before) == 1, "the source has changed: say here what its comment asks for"
        return text.replace(before, after)
    assert len(COMMENTED.findall(text)) == 1, "one line must wait in a comment, and it calls `normal`"
    return COMMENTED.sub(r"\1\2", text)


COMMENTED = re.compile(r"^([ \t]*)(?://|#|;;) ?([^\n]*\b[Nn]ormal(?:ized)?\b\(?[^\n]*[;)])$", re.MULTILINE)
OTHERWISE = {
    "cpp": (
        "  // std::string path = normal(*given);\n  std::string path(*given);",
        "  std::string path = normal(*given);",
    ),
    "assemblyscript": (
        "  // const file = path.normal(given);\n  const file = given;",
        "  const file = path.normal(given);",
    ),
    "rego": ("# target := path.normal(file)\ntarget := file\n", "target := path.normal(file)\n"),
    "zig": (
        "    // const path = try wasmguard.path.normal(given);\n    const path = given;\n",
        "    const path = try wasmguard.path.normal(given);\n",
    ),
}
