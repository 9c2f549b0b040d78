"""A change is seen, once, whatever an editor does to the files."""

import os

import pytest

from wasmguard.workshop import watch
from wasmguard.workshop.subject import located
from wasmguard.workshop.watch import changes, state_of


@pytest.fixture
def project(tmp_path):
    for name in ("src/policy.c", "cases/a.toml", "manifest.toml", "build/policy.wasm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.mark.parametrize("name", ["src/policy.c", "cases/a.toml", "manifest.toml", "cases/new.toml"])
def test_each_change_is_seen_once(project, name, monkeypatch):
    def sleep(_):
        naps.append(1)
        if len(naps) == 3:
            (project / name).write_text("y")
            os.utime(project / name, (5_000, 5_000))
        if len(naps) == 6:
            raise KeyboardInterrupt

    def watched():
        for _ in changes(located(str(project))):
            seen.append(1)
            assert len(seen) < 9

    naps, seen = [], []
    monkeypatch.setattr(watch.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        watched()
    assert len(seen) == 2


def test_what_a_build_writes_is_no_change(project):
    subject = located(str(project))
    before = state_of(subject)
    (project / "build/policy.wasm").write_text("other")
    os.utime(project / "build/policy.wasm", (5_000, 5_000))
    assert state_of(subject) == before


def test_of_a_bundle_the_module_is_looked_at(project):
    for path in (project / "build/policy.wasm", project / "build"):
        subject = located(str(path))
        (project / "build/policy.wasm").write_text("x")
        before = state_of(subject)
        os.utime(project / "build/policy.wasm", (5_000, 5_000))
        assert state_of(subject) != before
        (project / "build/policy.wasm").unlink()
        assert state_of(subject).keys() == {f"{project}/cases/a.toml"}
        (project / "build/policy.wasm").write_text("x")
