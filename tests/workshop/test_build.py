"""A build makes a whole bundle that would load here, or says why not and changes nothing."""

import hashlib
import os
import tomllib
from pathlib import Path

import pytest
import wasmtime

from wasmguard.errors import BuildError, BundleError, HostError, ModuleRefused, UsageError
from wasmguard.guest.bundle import open_bundle
from wasmguard.guest.sections import MANIFEST_SECTION, custom
from wasmguard.limits import HARD_MAX
from wasmguard.sandbox.scan import scan
from wasmguard.workshop import build as work
from wasmguard.workshop.build import as_data, build, differs, project_at, told, write
from wasmguard.workshop.languages import LANGUAGES
from wasmguard.workshop.languages.language import Language
from wasmguard.workshop.scaffold import new

FILES = ["manifest.toml", "policy.wasm", "sha256"]


@pytest.fixture
def project(tmp_path):
    """The template in WebAssembly text: it needs no compiler."""
    return new("no-etc", LANGUAGES["wat"], tmp_path)


@pytest.fixture
def made(project, monkeypatch):
    """Puts a language in the place of the project's, whose compiler makes what the returned function is told."""
    told = {}

    def compiler(folder, work):
        told["folder"], told["work"] = folder, work
        if isinstance(told["makes"], Exception):
            raise told["makes"]
        (work / "x.wasm").write_bytes(told["makes"])
        return work / "x.wasm"

    def say(makes, **more):
        told["makes"] = bytes(wasmtime.wat2wasm(makes)) if isinstance(makes, str) else makes
        language = Language(name="x", title="X", mark="src/policy.wat", compile=compiler, **more)
        monkeypatch.setattr(work, "LANGUAGES", {"x": language})
        return told

    return say


def seen(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# what is built


def test_a_bundle_is_module_manifest_and_digest(project):
    built = build(project_at(project))
    write(built, project / "build")
    assert sorted(os.listdir(project / "build")) == FILES
    module = (project / "build/policy.wasm").read_bytes()
    assert (project / "build/sha256").read_text() == hashlib.sha256(module).hexdigest() + "\n"
    assert (project / "build/manifest.toml").read_bytes() == (project / "manifest.toml").read_bytes()
    assert custom(module, MANIFEST_SECTION) == (project / "manifest.toml").read_bytes()


def test_what_was_built_is_a_policy_that_can_be_named(project):
    write(build(project_at(project)), project / "build")
    assert open_bundle(str(project / "build"), "/", HARD_MAX.module).manifest.name == "no-etc"
    assert {os.stat(project / "build" / name).st_mode & 0o777 for name in FILES} == {0o644}


def test_names_are_stripped_and_producers_stay(project, made):
    text = (project / "src/policy.wat").read_text()
    text = text.replace("(module", '(module (@producers (language "Rust" "1.96")) (@custom "other" "x")', 1)
    made(text)
    module = build(project_at(project)).module
    assert {name for name, _ in scan(module).custom} == {"producers", MANIFEST_SECTION}
    assert scan(module).producers == (("language", "Rust", "1.96"),)
    assert b"check_utf8" not in module


def test_the_same_source_gives_the_same_bytes_in_any_folder(project, tmp_path):
    (tmp_path / "other").mkdir()
    again = build(project_at(new("no-etc", LANGUAGES["wat"], tmp_path / "other")))
    assert again.module == build(project_at(project)).module


def test_a_build_leaves_nothing_but_the_bundle(project, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    before = sorted(project.rglob("*"))
    write(build(project_at(project)), tmp_path / "out")
    assert (sorted(project.rglob("*")), os.listdir(tmp_path / "t")) == (before, [])


# what is refused


def test_a_folder_that_is_no_project_is_told_so(tmp_path):
    with pytest.raises(UsageError, match=r"is no folder: name the one that holds the policy's `manifest.toml`"):
        project_at(tmp_path / "none")
    with pytest.raises(UsageError, match=r"holds no `manifest.toml`: name a policy's folder, or make one"):
        project_at(tmp_path)


def test_an_event_that_is_never_sent_is_a_slip(project):
    manifest = project / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("PreToolUse", "PreToolUze"))
    with pytest.raises(BundleError, match=r"`events`: unknown event `PreToolUze`: did you mean `PreToolUse`"):
        project_at(project)


def test_a_project_without_source_is_told_what_to_write(project):
    (project / "src/policy.wat").unlink()
    with pytest.raises(
        BundleError, match=r"holds no policy's source: write one of `src/policy.rs`, .*`src/policy.wat`"
    ):
        project_at(project)


def test_a_project_in_two_languages_is_refused(project):
    (project / "src/policy.rs").touch()
    with pytest.raises(BundleError, match=r"holds `src/policy.rs` and `src/policy.wat`: a policy is in one language"):
        project_at(project)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"abi = 2", "`abi`: ABI `2` is not known"),
        (b"\xff", "not UTF-8: save the file as UTF-8"),
        (b"x" * 70_000, "more than 65_536 bytes"),
        (b"[", "not TOML"),
    ],
)
def test_the_manifest_is_checked_before_anything_is_compiled(project, made, text, said):
    told = made(b"")
    (project / "manifest.toml").write_bytes(text)
    with pytest.raises(BundleError, match=said):
        build(project_at(project))
    assert "work" not in told


def test_what_the_compiler_says_is_kept_and_does_not_steer_the_terminal(project, made):
    told = made(BuildError("`cc` failed with 1: what it said is above"))
    told["makes"].said = "\x1b[31merror\x1b[0m: \x1b]0;title\x07 bad\n\tline"
    with pytest.raises(BuildError, match="failed with 1") as caught:
        build(project_at(project))
    assert caught.value.said == "error: \N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER} bad\n\tline"


def test_a_compiler_names_files_as_their_author_does(project, made, monkeypatch):
    made(b"")

    def compiler(folder, work):
        raise BuildError("failed", said=f"{work}/src/policy.x:3: bad\nin {work}")

    monkeypatch.setattr(
        work, "LANGUAGES", {"x": Language(name="x", title="X", mark="src/policy.wat", compile=compiler)}
    )
    with pytest.raises(BuildError) as caught:
        build(project_at(project))
    assert caught.value.said == "src/policy.x:3: bad\nin ."


@pytest.mark.parametrize(
    ("makes", "said"),
    [
        (b"", "is empty"),
        (b"\x7fELF and so on", "is a native program"),
        (b"\0asm\x01\0\0\0\x01\xff", "is damaged at byte"),
        ("(module)", "does not export `memory`"),
        ('(module (import "env" "now" (func)))', "imports `env.now`: a policy may import nothing but WASI"),
        ('(module (memory (export "memory") 1000))', "does not export"),
    ],
)
def test_what_would_not_load_is_not_built(project, made, makes, said):
    write(build(project_at(project)), project / "build")
    before = seen(project / "build")
    made(makes)
    with pytest.raises(ModuleRefused, match=f"^`no-etc`: the module that X made {said}"):
        build(project_at(project))
    assert seen(project / "build") == before


def test_the_limits_of_the_manifest_count(project):
    source = project / "src/policy.wat"
    source.write_text(source.read_text().replace('(memory (export "memory") 1)', '(memory (export "memory") 300)'))
    with pytest.raises(ModuleRefused, match=r"starts with 19,660,800 bytes of memory \(limit 16,777,216\)"):
        build(project_at(project))
    manifest = project / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("[asks]", 'limits = "roomy"\n\n[asks]'))
    assert build(project_at(project)).shape.memory.minimum == 300


def test_what_only_the_compiler_refuses_is_not_built_either(project):
    """The scan reads the structure, not the code."""
    source = project / "src/policy.wat"
    source.write_text(
        source.read_text().replace("(func $must (param $true i32)", "(func $must (param $true i32) f64.neg")
    )
    with pytest.raises(ModuleRefused, match=r"^`no-etc`: the module that WebAssembly text made "):
        build(project_at(project))


# what is written


def test_other_files_in_the_folder_stay(project):
    (project / "build").mkdir()
    (project / "build/mine").write_text("x")
    write(build(project_at(project)), project / "build")
    assert sorted(os.listdir(project / "build")) == sorted([*FILES, "mine"])


@pytest.mark.parametrize("at", range(4))
def test_what_was_built_stays_when_the_disk_is_full(project, monkeypatch, at):
    write(build(project_at(project)), project / "build")
    before = seen(project / "build")
    (project / "manifest.toml").write_text((project / "manifest.toml").read_text().replace("0.1.0", "0.2.0"))
    built, calls = build(project_at(project)), []

    def full(*_):
        calls.append(1)
        if len(calls) > at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    if at == 3:  # nothing fails
        write(built, project / "build")
        assert seen(project / "build") != before
        return
    with pytest.raises(HostError, match="cannot be written: no space left on device: name another folder"):
        write(built, project / "build")
    assert seen(project / "build") == before


def test_a_folder_in_the_place_of_a_file_changes_nothing(project):
    (project / "build/sha256").mkdir(parents=True)
    with pytest.raises(HostError, match="cannot be written: is a directory"):
        write(build(project_at(project)), project / "build")
    assert os.listdir(project / "build") == ["sha256"]


# what is said


def test_a_second_build_and_what_was_built_are_compared(project):
    built = build(project_at(project))
    assert differs(built, project / "build") == ""
    write(built, project / "build")
    assert differs(built, project / "build") == ""
    (project / "build/policy.wasm").write_bytes(b"x")
    (project / "build/sha256").unlink()
    said = differs(built, project / "build")
    assert said == f"`{project}/build/policy.wasm` and `{project}/build/sha256` is not what the source gives"


def test_two_builds_that_differ_are_told(project, made, monkeypatch):
    text = (project / "src/policy.wat").read_text()
    told = made(text)
    built = build(project_at(project))
    told["makes"] = bytes(wasmtime.wat2wasm(text.replace("/etc", "/usr")))
    assert "two builds gave " in differs(built, None)


@pytest.mark.parametrize("reproducible", [True, False])
def test_a_person_is_told_what_it_is_on_lines_that_fit(project, made, monkeypatch, reproducible):
    monkeypatch.chdir(project)
    made((project / "src/policy.wat").read_text(), reproducible=reproducible)
    built = build(project_at(project))
    said = "\n".join(text for _, text in told(built, project / "build"))
    assert all(len(line) <= 80 for line in said.splitlines() if str(project) not in line)
    assert built.sha256 in said
    assert "imports       none" in said
    assert f"reproducible  {'yes' if reproducible else 'no: the tools for X give other bytes each time'}" in " ".join(
        said.split("\n")
    )
    data = as_data(built, project / "build")
    assert (data["bytes"], data["imports"], data["reproducible"]) == (len(built.module), [], reproducible)


def test_what_is_next_is_told_for_the_folder_that_the_person_is_in(project, monkeypatch):
    built = build(project_at(project))
    monkeypatch.chdir(project)
    said = [text for _, text in told(built, Path("out"))]
    assert "  wasmguard test       asks it about its cases" in said
    assert f'  module = "{project}/out"' in said  # a configuration is elsewhere
    monkeypatch.chdir(project.parent)
    assert f"  wasmguard test {project.name}" in "\n".join(text for _, text in told(built, Path("out")))


def test_a_folders_name_does_not_steer_the_terminal(project):
    into = Path("\x1b[31m\u202eout\n")
    said = "".join(text for _, text in told(build(project_at(project)), into))
    assert not {"\x1b", "\u202e", "\n"} & {*said}


def test_what_a_module_still_imports_is_told(project, made):
    text = (project / "src/policy.wat").read_text()
    wasi = '(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))'
    made(text.replace("(module", f"(module {wasi}", 1))
    said = "\n".join(text for _, text in told(build(project_at(project)), project))
    assert "1 of WASI, which lead nowhere: sched_yield" in said


def test_every_language_is_found_by_its_own_mark(tmp_path):
    marks = [language.mark for language in LANGUAGES.values()]
    assert len(set(marks)) == len(marks)
    for language in LANGUAGES.values():
        project = new(f"in-{language.name}", language, tmp_path)
        assert project_at(project).language is language
        assert tomllib.loads((project / "manifest.toml").read_text())["language"] == language.name
