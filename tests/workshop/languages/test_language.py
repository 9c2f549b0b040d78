"""Tools are found where people keep them, and what they say reaches the author."""

import os
import sys

import pytest

from wasmguard.errors import BuildError
from wasmguard.workshop.languages import LANGUAGES, NAMES, language
from wasmguard.workshop.languages.language import (
    ToolMissing,
    copied,
    pythons,
    run,
    text_of,
    tool,
    with_node,
    with_pip,
)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders that may hold a tool, in the order in which they count."""
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path / "chains"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python/bin/python"))
    names = ("project/node_modules/.bin", "chains/bin", "chains/node_modules/.bin", "python/bin", "path")
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cc").touch(0o755)
    return [tmp_path / name for name in names]


def test_the_nearest_tool_is_taken(places, tmp_path):
    for place in places:
        assert tool("cc", "install it", tmp_path / "project") == str(place / "cc")
        (place / "cc").unlink()
    with pytest.raises(ToolMissing, match=r"^`cc` is missing: apt-get install cc$"):
        tool("cc", "apt-get install cc", tmp_path / "project")


def test_a_script_for_node_finds_the_one_of_the_toolchains(places, tmp_path):
    with pytest.raises(ToolMissing, match=r"^`node` is missing: install Node.js"):
        with_node()
    (tmp_path / "chains/bin/node").touch(0o755)
    assert with_node() == {"PATH": f"{tmp_path}/chains/bin{os.pathsep}{tmp_path}/path"}


def test_a_compiler_may_be_a_package_of_the_toolchains_or_of_ours(places, tmp_path):
    assert pythons() == [sys.executable]
    (tmp_path / "chains/bin/python").touch(0o755)
    assert pythons() == [f"{tmp_path}/chains/bin/python", sys.executable]


def test_a_project_is_copied_without_what_is_left_out_and_whole_behind_links(tmp_path):
    (tmp_path / "its/kit").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/kit").symlink_to("../its/kit")
    for name in ("a.x", "b.y"):
        (tmp_path / "its/kit" / name).write_text(name)
    copied(tmp_path / "project", tmp_path / "work", "kit", without=["*.y"])
    assert not (tmp_path / "work/kit").is_symlink()
    assert [path.name for path in (tmp_path / "work/kit").iterdir()] == ["a.x"]
    with pytest.raises(BuildError, match=r"^`src/` is missing: take it from a project that `wasmguard new` makes$"):
        copied(tmp_path / "project", tmp_path / "more", "kit", "src")


def test_a_source_that_is_not_utf_8_is_told(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/policy.x").write_bytes(b"ab\xff")
    with pytest.raises(BuildError, match=r"^`src/policy.x` is not UTF-8 at byte 2: save it as UTF-8$"):
        text_of(tmp_path, "src/policy.x")


def test_a_file_that_cannot_be_run_is_no_tool(places):
    for place in places:
        (place / "cc").chmod(0o644)
    with pytest.raises(ToolMissing):
        tool("cc", "install it")


def test_a_tool_is_run_where_its_language_wants_with_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FROM_US", "1")
    code = "import os; print(os.getcwd(), os.environ['FROM_US'], os.environ['MORE'])"
    assert run([sys.executable, "-c", code], tmp_path, {"MORE": "2"}) == f"{tmp_path} 1 2\n"


def test_the_words_of_a_tool_that_fails_are_kept(tmp_path):
    code = "import sys; print('out'); print('err\\n\\tmore', file=sys.stderr); sys.exit(3)"
    with pytest.raises(BuildError, match="failed with 3: what it said is above") as caught:
        run([sys.executable, "-c", code], tmp_path)
    assert caught.value.said == "out\nerr\n\tmore\n"


@pytest.mark.parametrize(
    ("command", "name"),
    [(["/a/node", "/b/asc", "x.ts"], "asc"), (["/a/python3", "-m", "ziglang", "cc"], "ziglang"), (["/a/cc"], "cc")],
)
def test_a_compiler_is_called_by_its_name_and_not_by_what_runs_it(tmp_path, command, name):
    (program := tmp_path / command[0][3:]).write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(BuildError, match=f"^`{name}` failed with 1"):
        run([program, *command[1:]], tmp_path)


def test_what_pip_installs_it_installs_where_it_is_looked_for(places):
    assert with_pip("cc==1") == f"run `{sys.executable} -m pip install cc==1`"


def test_a_tool_that_cannot_be_started_is_told(tmp_path):
    (tmp_path / "cc").write_text("no program")
    with pytest.raises(BuildError, match=r"^`cc` cannot be started: permission denied$"):
        run([tmp_path / "cc"], tmp_path)


def test_a_tool_that_never_ends_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "PATIENCE", 0.3)
    with pytest.raises(BuildError, match=r"was not done in 0\.3 s and was ended"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)


def test_a_tool_reads_nothing_from_the_terminal(tmp_path):
    ours, (reading, writing) = os.dup(0), os.pipe()
    os.write(writing, b"typed")
    os.close(writing)
    os.dup2(reading, 0)
    try:
        assert run([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"], tmp_path) == "''\n"
    finally:
        os.dup2(ours, 0)
        os.close(ours)
        os.close(reading)


@pytest.mark.parametrize("name", NAMES)
def test_a_language_says_all_that_is_needed(name):
    found = LANGUAGES[name]
    assert (found.name, found.mark.count("/")) == (name, 1)
    assert found.title
    assert "policy" in found.mark


def test_a_language_that_there_is_not_is_a_key_error():
    with pytest.raises(KeyError):
        LANGUAGES["cobol"]
    assert "cobol" not in LANGUAGES
    assert tuple(LANGUAGES) == NAMES
