"""What `wasmguard new` copies is there, and what a build left behind is not copied with it."""

import os

import pytest

from wasmguard.errors import HostError
from wasmguard.workshop import kits
from wasmguard.workshop.languages import LANGUAGES


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of templates and kits."""
    monkeypatch.setattr(kits, "kits_dir", lambda: tmp_path / "kits")
    for folder in ("templates/x", "sdk/x/src"):
        (tmp_path / "kits" / folder).mkdir(parents=True)
    return tmp_path / "kits"


@pytest.mark.parametrize("name", LANGUAGES)
def test_there_is_a_template_and_a_kit_for_every_language(name):
    assert (kits.kits_dir() / kits.TEMPLATES / name / "manifest.toml").is_file()
    kit = LANGUAGES[name].kit
    assert not kit or (kits.kits_dir() / kits.KITS / kit).is_dir()


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_template_holds_the_source_that_tells_its_language(name):
    assert (kits.kits_dir() / kits.TEMPLATES / name / LANGUAGES[name].mark).is_file()


@pytest.mark.parametrize("name", LANGUAGES)
def test_templates_and_kits_hold_no_links(name, tmp_path):
    """They are copied, and installed by tools that know no links."""
    kits.copy_template(name, tmp_path / "template")
    if LANGUAGES[name].kit:
        kits.copy_kit(LANGUAGES[name].kit, tmp_path / "kit")
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]


def test_what_a_build_left_behind_stays_there(place, tmp_path):
    for name in ("target", "node_modules", ".zig-cache", "__pycache__"):
        (place / "sdk/x" / name).mkdir()
        (place / "sdk/x" / name / "file").touch()
    for name in ("build.sh", "policy.wasm", "src/kit.c"):
        (place / "sdk/x" / name).touch()
    kits.copy_kit("x", tmp_path / "kit")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "kit").rglob("*")) == [
        "kit/src",
        "kit/src/kit.c",
    ]


def test_a_copy_can_be_changed_though_the_installation_cannot(place, tmp_path):
    (place / "templates/x/file").touch()
    (place / "templates/x/file").chmod(0o444)
    (place / "templates/x").chmod(0o555)
    try:
        kits.copy_template("x", tmp_path / "copy")
    finally:
        (place / "templates/x").chmod(0o755)
    assert os.stat(tmp_path / "copy").st_mode & 0o700 == 0o700
    assert os.stat(tmp_path / "copy/file").st_mode & 0o200


def test_a_missing_kit_is_a_broken_installation(place, tmp_path):
    with pytest.raises(HostError, match=r"its installation is broken: .*/sdk/y` is missing: reinstall it"):
        kits.copy_kit("y", tmp_path / "kit")
    assert not (tmp_path / "kit").exists()
