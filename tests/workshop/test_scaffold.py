"""A new project is whole, its own, and named as its author wants it."""

import os
import tomllib

import pytest

from wasmguard.errors import HostError, UsageError
from wasmguard.workshop import kits, scaffold
from wasmguard.workshop.languages import LANGUAGES
from wasmguard.workshop.scaffold import FAILING, new, told

WAT = LANGUAGES["wat"]
EVERY = pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda language: language.name)


@EVERY
def test_a_project_bears_its_name_and_no_placeholder(language, tmp_path):
    made = new("no-etc", language, tmp_path)
    assert made == tmp_path / "no-etc"
    assert tomllib.loads((made / "manifest.toml").read_text())["name"] == "no-etc"
    for path in made.rglob("*"):
        assert "NAME" not in path.name
        if path.is_file() and scaffold.KIT not in path.relative_to(made).parts:
            assert not scaffold.PLACEHOLDER.search(path.read_bytes()), path


@EVERY
def test_a_project_has_everything_that_its_author_needs(language, tmp_path):
    made = new("no-etc", language, tmp_path)
    must = {"manifest.toml", "README.md", ".gitignore", "cases/first.toml", "cases/quiet.toml", language.mark}
    assert {name for name in must if not (made / name).is_file()} == set()
    assert (made / "kit").is_dir() is bool(language.kit)
    assert not (made / "build").exists()
    assert "/build" in (made / ".gitignore").read_text()


@EVERY
def test_every_template_is_the_same_policy(language):
    """The same manifest, but for what the language needs, and the same cases, one of which fails at first."""
    here, c = kits.kits_dir() / kits.TEMPLATES / language.name, kits.kits_dir() / kits.TEMPLATES / "c"
    manifest, other = (tomllib.loads((folder / "manifest.toml").read_text()) for folder in (here, c))
    own = {key: manifest.get(key) for key in ("language", "abi", "limits")}
    assert own["language"] == language.name
    assert own["abi"] == ("opa" if language.name == "rego" else 1)
    assert own["limits"] in (None, "roomy")
    known = {**other, **{key: value for key, value in own.items() if value is not None}}
    if language is WAT:  # its folder is a constant
        del known["settings"]
        known["summary"] = "Denies writes below /etc"
    assert manifest == known
    first, quiet = (tomllib.loads((here / "cases" / f"{name}.toml").read_text())["case"] for name in ("first", "quiet"))
    wanted = tomllib.loads((c / "cases/first.toml").read_text())["case"]
    assert first == [case for case in wanted if language is not WAT or "settings" not in case]
    assert first[-1]["name"] == FAILING
    assert quiet == tomllib.loads((c / "cases/quiet.toml").read_text())["case"]


@EVERY
def test_every_readme_says_the_same_in_the_same_order(language):
    text = (kits.kits_dir() / kits.TEMPLATES / language.name / "README.md").read_text()
    parts = ("# NAME\n\nDenies `Write` and `Edit` below ", "```sh\n", "\nwasmguard test ", "| `manifest.toml` | ")
    places = [text.find(part) for part in (*parts, "In `wasmguard.toml`:")]
    assert -1 not in places
    assert places == sorted(places)
    assert f"| `{language.mark}` | " in text
    policy = tomllib.loads(text.rpartition("```toml\n")[2].removesuffix("```\n"))["policy"][0]
    assert policy["name"] == "NAME"
    manifest = tomllib.loads((kits.kits_dir() / kits.TEMPLATES / language.name / "manifest.toml").read_text())
    assert policy.get("limits", {}).get("profile") == manifest.get("limits"), "an owner is told what it needs"


def test_the_person_is_told_what_is_next_and_which_case_fails(tmp_path):
    lines = [text for _, text in told(new("no-etc", WAT, tmp_path), WAT)]
    said = "\n".join(lines)
    assert f"  cd {tmp_path}/no-etc" in lines
    assert FAILING in said
    assert WAT.mark in said
    cases = tomllib.loads((tmp_path / "no-etc/cases/first.toml").read_text())["case"]
    assert FAILING in {case["name"] for case in cases}


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "x\n", "-x", "a" * 65, 'x"\nname = "y', ".", ".."])
def test_what_is_no_name_of_a_policy_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="is not a name: write lower-case letters"):
        new(name, WAT, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link to nowhere"])
def test_what_is_there_is_left_alone(kind, tmp_path):
    there = tmp_path / "x"
    if kind == "folder":
        (there / "mine").mkdir(parents=True)
    elif kind == "file":
        there.write_text("mine")
    else:
        there.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(HostError, match="is there already: choose another name"):
        new("x", WAT, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(UsageError, match="is no folder"):
        new("x", WAT, tmp_path / "none")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["copy_template", "copy_kit"])
def test_half_a_project_never_stays(step, tmp_path, monkeypatch):
    copied = getattr(kits, step)

    def fails(*given):
        copied(*given)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kits, step, fails)
    language = next(language for language in LANGUAGES.values() if language.kit)
    with pytest.raises(HostError, match="cannot be written: no space left on device"):
        new("x", language, tmp_path)
    assert os.listdir(tmp_path) == []


def test_only_a_word_of_its_own_is_the_placeholder(tmp_path, monkeypatch):
    place = tmp_path / "kits/templates/x"
    (place / "NAME").mkdir(parents=True)
    (place / "NAME/NAME.txt").write_bytes(b"NAME-1 RENAME NAMES TOOL_NAME \xff NAME.")
    monkeypatch.setattr(kits, "kits_dir", lambda: tmp_path / "kits")
    language = type(WAT)(name="x", title="X", mark="x", compile=WAT.compile)
    made = new("p", language, tmp_path)
    assert (made / "p/p.txt").read_bytes() == b"p-1 RENAME NAMES TOOL_NAME \xff p."
