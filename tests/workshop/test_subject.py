"""What a person names, and when it has to be built."""

import os
import time

import pytest

from wasmguard.errors import UsageError
from wasmguard.workshop.subject import is_stale, located, written_files


@pytest.fixture
def project(tmp_path):
    """A project that was just built."""
    folder = tmp_path / "pol"
    for name in ("src/policy.c", "cases/a.toml", "manifest.toml", "README.md", "build/policy.wasm"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
        os.utime(folder / name, (1_000, 1_000))
    os.utime(folder / "build/policy.wasm", (2_000, 2_000))
    return folder


def test_a_project_is_its_build_with_the_cases_beside_it(project):
    subject = located(str(project))
    assert (subject.reference, subject.project) == (f"{project}/build", str(project))
    assert subject.cases == f"{project}/cases"


def test_a_bundle_and_a_module_have_their_cases_beside_them_or_beside_build(project):
    for path in (project / "build", project / "build/policy.wasm"):
        subject = located(str(path))
        assert (subject.reference, subject.project, subject.cases) == (str(path), "", f"{project}/cases")


def test_cases_may_be_elsewhere(project, tmp_path):
    assert located(str(project), str(tmp_path)).cases == str(tmp_path)
    assert located("builtin:x", str(tmp_path)).reference == "builtin:x"
    with pytest.raises(UsageError, match="no such folder"):
        located(str(project), str(tmp_path / "none"))


def test_what_is_not_there_or_nothing_of_ours_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        located(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="neither a project nor a bundle"):
        located(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "stale"),
    [
        *[("src/policy.c", True), ("manifest.toml", True), ("kit/new.h", True)],
        *[("cases/a.toml", False), ("README.md", False), ("build/sha256", False), ("target/x", False)],
    ],
)
def test_a_project_is_stale_when_what_its_module_is_made_of_is_newer(project, name, stale):
    assert not is_stale(located(str(project)))
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("y")
    assert is_stale(located(str(project))) is stale


def test_what_was_never_built_is_stale(project):
    (project / "build/policy.wasm").unlink()
    assert is_stale(located(str(project)))


def test_a_kit_that_is_a_link_belongs_to_the_project_and_a_circle_ends(project, tmp_path):
    kit = tmp_path / "kit"
    (kit / "src").mkdir(parents=True)
    (kit / "src/lib.rs").write_text("x")
    (kit / "round").symlink_to(kit)
    (project / "kit").symlink_to(kit)
    (project / "dead").symlink_to(tmp_path / "none")
    begun = time.monotonic()
    assert f"{project}/kit/src/lib.rs" in written_files(str(project))
    assert time.monotonic() - begun < 10
    assert is_stale(located(str(project)))
