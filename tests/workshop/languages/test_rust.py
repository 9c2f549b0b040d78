"""Rust: which compiler builds a project, what is said where none can, and what a policy on the kit can rely on."""

import os
import tomllib
from pathlib import Path

import msgpack
import pytest

from wasmguard.decision import Effect
from wasmguard.errors import BuildError
from wasmguard.guest.codec import decode_answer
from wasmguard.limits import DEFAULT
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.workshop.languages import rust
from wasmguard.workshop.scaffold import new

SOURCES = Path(__file__).parents[3] / "policies-src"
KIT = tomllib.loads((SOURCES / "sdk/rust/Cargo.toml").read_text(encoding="utf-8"))
DEBIAN = rust.SYSTEM / rust.CRATES / rust.CRATE

# A cargo that makes a module of what it was asked.
CARGO = """#!/bin/sh
echo "$0" "$@" > "$CARGO_TARGET_DIR.asked"
echo "$CARGO_ENCODED_RUSTFLAGS" >> "$CARGO_TARGET_DIR.asked"
mkdir -p "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release"
: > "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/policy.wasm"
"""
RUSTC = """#!/bin/sh
case $1 in --version) echo rustc 9.9.9 ;; *) echo '{libraries}' ;; esac
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """The only folder on PATH besides that of the shell, and nothing of Debian's."""
    monkeypatch.setattr(rust, "SYSTEM", tmp_path / "nothing")
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{tmp_path / 'sh'}")
    (tmp_path / "sh").mkdir()
    (tmp_path / "sh/mkdir").symlink_to("/bin/mkdir")
    return tmp_path / "bin"


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """Debian's packages, with a crate."""
    system = tmp_path / "debian"
    program(system / "bin/cargo", CARGO)
    program(system / "bin/rustc", RUSTC)
    program(system / "bin/wasm-ld-22", "")
    for crate in (rust.CRATE, "wasmguard-0.0.1"):
        (system / rust.CRATES / crate).mkdir(parents=True)
    (system / "src/rustc-9.9.9/library/vendor/cfg-if-1.0.4").mkdir(parents=True)
    monkeypatch.setattr(rust, "SYSTEM", system)
    return system


@pytest.fixture
def installed(alone, tmp_path):
    """A compiler on PATH that has a std for wasm."""
    program(alone / "cargo", CARGO)
    program(alone / "rustc", RUSTC.format(libraries=tmp_path / "libraries"))
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries/libstd-0.rlib").touch()
    return alone


def project(tmp_path, dependencies=""):
    made = tmp_path / "project"
    (made / "src").mkdir(parents=True)
    (made / "src/policy.rs").write_text("")
    (made / "Cargo.lock").write_text("")
    (made / "Cargo.toml").write_text(f'[dependencies]\nwasmguard-guest = {{ path = "kit" }}\n{dependencies}\n')
    return made


def made(tmp_path, source):
    work = tmp_path / "work"
    work.mkdir()
    module = rust.LANGUAGE.compile(source, work)
    assert module.is_file()
    return (work / "target.asked").read_text()


def test_without_rust_it_is_said_what_to_install(alone, tmp_path):
    (tmp_path / "work").mkdir()
    with pytest.raises(BuildError, match=r"^`cargo` is missing: .*rustup target add wasm32-unknown-unknown"):
        rust.LANGUAGE.compile(project(tmp_path), tmp_path / "work")


def test_a_compiler_without_a_std_for_wasm_needs_one_command(installed, tmp_path):
    (tmp_path / "libraries/libstd-0.rlib").unlink()
    program(installed / "rustup", "")
    (tmp_path / "work").mkdir()
    with pytest.raises(BuildError, match=r"has no standard library .*: rustup target add wasm32-unknown-unknown$"):
        rust.LANGUAGE.compile(project(tmp_path), tmp_path / "work")


def test_without_debians_packages_the_compiler_on_path_builds(installed, tmp_path):
    asked = made(tmp_path, project(tmp_path))
    assert asked.startswith(f"{installed / 'cargo'} build ")
    assert "-Zbuild-std" not in asked
    assert (tmp_path / "work/policy/Cargo.lock").exists()


def test_debians_compiler_is_taken_where_it_is_as_its_bytes_are_the_same_everywhere(installed, debian, tmp_path):
    asked = made(tmp_path, project(tmp_path))
    assert asked.startswith(f"{debian / 'bin/cargo'} build ")
    assert "--offline -Zbuild-std=std,panic_abort" in asked
    assert not (tmp_path / "work/policy/Cargo.lock").exists()  # its sums are those of a registry


@pytest.mark.parametrize("crate", ['regex = "1"', 'wasm = "1"', 'mine = { version = "1", package = "regex" }'])
def test_a_crate_that_debian_has_not_needs_the_compiler_on_path(installed, debian, tmp_path, crate):
    assert made(tmp_path, project(tmp_path, crate)).startswith(f"{installed / 'cargo'} build ")


@pytest.mark.parametrize("crate", ['wasmguard = "0.0.1"', 'mine = { version = "0.0.1", package = "wasmguard" }', ""])
def test_a_crate_that_debian_has_is_built_by_its_compiler(installed, debian, tmp_path, crate):
    assert made(tmp_path, project(tmp_path, crate)).startswith(f"{debian / 'bin/cargo'} build ")


@pytest.mark.parametrize("gone", ["bin/cargo", "bin/rustc", "bin/wasm-ld-22", f"{rust.CRATES}/{rust.CRATE}"])
def test_a_package_of_debians_that_is_missing_leaves_it_to_the_compiler_on_path(installed, debian, tmp_path, gone):
    (debian / gone).rename(debian / "gone")
    assert made(tmp_path, project(tmp_path)).startswith(f"{installed / 'cargo'} build ")


def test_every_folder_of_the_build_has_another_name_in_the_module(debian, tmp_path):
    asked = made(tmp_path, project(tmp_path))
    for folder in (tmp_path / "work/policy", tmp_path / "work/vendor", debian / rust.CRATES):
        assert f"--remap-path-prefix={folder}=/" in asked


def test_nothing_is_written_into_the_project(debian, tmp_path):
    source = project(tmp_path)
    before = sorted(source.rglob("*"))
    made(tmp_path, source)
    assert sorted(source.rglob("*")) == before


def test_what_the_compiler_says_is_kept_for_the_author(debian, tmp_path):
    program(debian / "bin/cargo", "#!/bin/sh\necho 'error[E0425]: cannot find `x`' >&2\nexit 101\n")
    (tmp_path / "work").mkdir()
    with pytest.raises(BuildError, match="`cargo` failed with 101") as caught:
        rust.LANGUAGE.compile(project(tmp_path), tmp_path / "work")
    assert "error[E0425]" in caught.value.said


def test_a_project_that_makes_no_module_is_told_which_line_is_missing(debian, tmp_path):
    program(debian / "bin/cargo", "#!/bin/sh\n")
    (tmp_path / "work").mkdir()
    with pytest.raises(BuildError, match="crate-type"):
        rust.LANGUAGE.compile(project(tmp_path), tmp_path / "work")


def pins(dependencies):
    entries = {name: entry if isinstance(entry, dict) else {"version": entry} for name, entry in dependencies.items()}
    return {name: entry["version"] for name, entry in entries.items() if "path" not in entry}


PINS = pins(KIT["dependencies"]) | pins(KIT["build-dependencies"])


@pytest.mark.parametrize("where", ["sdk/rust", "templates/rust", "languages/rust"])
def test_every_crate_is_pinned_to_one_version_as_there_is_no_lock_file(where):
    named = tomllib.loads((SOURCES / where / "Cargo.toml").read_text(encoding="utf-8"))
    versions = pins(named["dependencies"]) | pins(named.get("build-dependencies", {}))
    assert versions
    assert all(version.startswith("=") and PINS[name] == version for name, version in versions.items())


# A policy that uses all of the kit, as its settings say.
EVERYTHING = """
use std::collections::BTreeMap;
use wasmguard_guest::prelude::*;

#[derive(Deserialize)]
struct Settings<'a> {
    mode: Mode,
    #[serde(borrow, default)]
    words: Vec<&'a str>,
    count: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode { All, Typed, Strict, Either, Map, Field, Remember, Normal, Quiet }

#[derive(Deserialize)]
struct Input<'a> { #[serde(borrow)] edits: Vec<Edit<'a>>, all: Option<bool> }

#[derive(Deserialize)]
struct Edit<'a> { old: &'a str, new: String }

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Strict<'a> { file_path: &'a str }

#[derive(Deserialize)]
#[serde(untagged)]
enum Either { Number { file_path: f64 }, Text { file_path: String } }

#[derive(Serialize)]
struct Moved { at: u32, word: &'static str, by: Option<f64> }

policy!(judge);

fn judge(request: &Request) -> Answer {
    let settings: Settings = request.settings();
    match settings.mode {
        Mode::All => Answer::deny("no")
            .reason("because").context("c").note("n1").note("n2").interrupt().remember([1, 2])
            .rewrite("a", "first").rewrite("b", Moved { at: 70000, word: "w", by: Some(0.5) }).rewrite("a", 7)
            .rewrite_output([1, 2]).permission(BTreeMap::from([("type", "x")])),
        Mode::Typed => {
            let input: Input = request.input().expect("an input");
            let edits: Vec<_> = input.edits.iter().map(|edit| format!("{}>{}", edit.old, edit.new)).collect();
            Answer::ask(format!("{} {:?} {:?} {:?}", edits.join(","), input.all, settings.words, settings.count))
        }
        Mode::Strict => request.input::<Strict>().map_or(Answer::pass(), |_| Answer::allow("exact")),
        Mode::Either => match request.input().expect("an input") {
            Either::Number { file_path } => Answer::ask(format!("number {file_path}")),
            Either::Text { file_path } => Answer::ask(format!("text {file_path}")),
        },
        Mode::Map => Answer::ask(format!("{:?}", request.event::<BTreeMap<String, serde::de::IgnoredAny>>().keys())),
        Mode::Field => {
            let (prompt, yes) = (request.field::<&str>("prompt"), request.setting::<bool>("yes"));
            Answer::ask(format!("{prompt:?} {yes:?}"))
        }
        Mode::Remember => Answer::pass().remember([request.state().unwrap_or_default(), b"+"].concat()),
        Mode::Normal => {
            let path = request.input_text("file_path").unwrap_or("none");
            Answer::ask(format!("{} {}", path::normal(path), path::is_in(path, "/etc/")))
        }
        Mode::Quiet => Answer::pass(),
    }
}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The folder that the policy above was built in, in the project that `wasmguard new` makes."""
    if not DEBIAN.is_dir():
        pytest.skip(f"no Rust of Debian's: apt-get install --no-install-recommends {rust.PACKAGES}")
    folder = tmp_path_factory.mktemp("rust")
    made = new("all-of-it", rust.LANGUAGE, folder)
    (made / rust.LANGUAGE.mark).write_text(EVERYTHING)
    (folder / "work").mkdir()
    rust.LANGUAGE.compile(made, folder / "work")
    return folder / "work"


@pytest.fixture(scope="module")
def module(work):
    return (work / f"target/{rust.TARGET}/release/policy.wasm").read_bytes()


@pytest.fixture(scope="module")
def guest(module):
    engine = Engine(Library(find()), Setup(), 2)
    return CoreGuest(engine, compiled(module, engine.setup, DEFAULT), DEFAULT, DEFAULT.answer)


def request(mode, event=None, state=None, **settings):
    event = {"hook_event_name": "PreToolUse", "tool_name": "Write", **(event or {})}
    return {"abi": 1, "event": event, "settings": {"mode": mode, **settings}, "state": state}


def said(guest, request):
    data = request if isinstance(request, bytes) else msgpack.packb(request)
    answer, _ = guest.evaluate(data)
    return decode_answer(answer)


def about(**fields):
    return {"tool_input": fields}


def traps(guest, request):
    with pytest.raises(Exception, match="trapped"):
        said(guest, request)


@pytest.mark.rebuild
def test_what_is_built_imports_nothing_and_names_no_folder(module):
    shape = scan(module)
    check_abi(shape)
    assert shape.imports == ()
    assert not any(part in module for part in (b"/home/", b"/root/", b"/tmp/", b"/usr/src", b"/opt/"))


@pytest.mark.rebuild
def test_the_crates_that_were_compiled_are_the_pinned_ones(work):
    lock = tomllib.loads((work / "policy/Cargo.lock").read_text(encoding="utf-8"))
    resolved = {crate["name"]: f"={crate['version']}" for crate in lock["package"] if "source" in crate}
    assert resolved == PINS


@pytest.mark.rebuild
def test_everything_that_an_answer_can_say_arrives(guest):
    answer = said(guest, request("all"))
    assert (answer.effect, answer.reason, answer.context) == (Effect.DENY, "because", "c")
    assert answer.rewrite == {"a": 7, "b": {"at": 70000, "word": "w", "by": 0.5}}  # the last word on a field counts
    assert (answer.rewrite_output, answer.permissions) == ([1, 2], ({"type": "x"},))
    assert (answer.state, answer.notes, answer.interrupt) == (b"\1\2", ("n1", "n2"), True)
    assert guest.evaluate(msgpack.packb(request("quiet")))[0] == msgpack.packb({"effect": "pass"})


@pytest.mark.rebuild
def test_inputs_and_settings_are_read_as_types(guest):
    edits = about(more=[{"x": None}], edits=[{"old": "a", "extra": [1], "new": "b"}, {"new": "d", "old": "c"}])
    answer = said(guest, request("typed", edits, words=["p", "q"], count=-(2**40)))
    assert (answer.effect, answer.reason) == (Effect.ASK, f'a>b,c>d None ["p", "q"] Some({-(2**40)})')
    assert said(guest, request("strict", about(file_path="x"))).effect is Effect.ALLOW
    assert said(guest, request("strict")).effect is Effect.PASS
    assert said(guest, request("either", about(file_path="x"))).reason == "text x"
    assert said(guest, request("either", about(file_path=3))).reason == "number 3"
    assert said(guest, request("field", {"prompt": "hi"}, yes=True)).reason == 'Some("hi") Some(true)'
    assert said(guest, request("field", {"prompt": None})).reason == "None None"
    assert said(guest, request("map", {"é": 1})).reason == '["hook_event_name", "tool_name", "é"]'


@pytest.mark.rebuild
def test_what_is_not_of_the_type_that_was_asked_for_traps(guest):
    edit = {"old": "a", "new": "b"}
    wrong = [{}, {"edits": None}, {"edits": "x"}, {"edits": [["a", "b"]]}, {"edits": [{**edit, "old": 1}]}]
    wrong += [{"edits": [edit], "all": 1}, {"edits": [{**edit, "new": b"b"}]}, {"edits": edit}]
    for fields in wrong:
        traps(guest, request("typed", about(**fields)))
    traps(guest, request("typed", {"tool_input": [[edit]]}))
    traps(guest, request("typed", about(edits=[edit]), count=1.5))
    traps(guest, request("strict", about(file_path="x", more=1)))
    traps(guest, request("either", about(file_path=None)))
    traps(guest, request("field", {"prompt": 1}))
    traps(guest, request("normal", {"tool_input": ["file_path"]}))
    traps(guest, request("nothing"))
    traps(guest, {**request("quiet"), "settings": {}})


@pytest.mark.rebuild
def test_what_it_remembers_comes_back(guest):
    assert said(guest, request("remember")).state == b"+"
    assert said(guest, request("remember", state=b"x" * 60_000)).state == b"x" * 60_000 + b"+"


@pytest.mark.rebuild
@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/etc", "/etc true"),
        ("/etc/../x//./y/", "/x/y true"),
        ("/../..", "/ false"),
        ("/etcetera", "/etcetera false"),
        ("a/../b", "a/../b false"),
        ("", " false"),
    ],
)
def test_a_path_is_resolved_as_text(guest, path, normal):
    assert said(guest, request("normal", about(file_path=path))).reason == normal


@pytest.mark.rebuild
def test_a_text_field_that_is_none_is_no_text(guest):
    for fields in ({}, {"file_path": 5}, {"file_path": None}, {"file_path": {"file_path": "/x"}}):
        assert said(guest, request("normal", about(**fields))).reason == "none false"


@pytest.mark.rebuild
def test_a_malformed_request_is_never_answered(guest):
    whole = msgpack.packb(request("normal", about(file_path="/etc/x"), state=b"s"))
    assert said(guest, whole).reason == "/etc/x true"
    data = [b"", b"\xc1", b"\x93", b"\xdf\xff\xff\xff\xff", b"\x81" * 5000, b"\x80", b"\xc0", whole + b"\xc0"]
    data += [whole[:size] for size in range(len(whole))]
    data += [
        b"\x85" + whole[1:] + again for again in (b"\xa5event\x80", b"\xa8settings\x80", b"\xa5state\xc0", b"\xa3abi\1")
    ]
    data += [whole.replace(b"/etc/x", b"/etc/\xff"), whole.replace(b"normal", b"norm\xffl")]
    data += [whole.replace(b"Write", b"Writ\xff"), whole.replace(b"PreToolUse", b"PreToolUs\xff")]
    for malformed in data:
        traps(guest, malformed)


@pytest.mark.rebuild
def test_a_part_of_another_type_or_none_at_all_is_never_answered(guest):
    good = request("quiet")
    for part in good:
        traps(guest, {key: value for key, value in good.items() if key != part})
        for value in (None, "x", 2, True, [], b"x"):
            if (part, value) not in (("state", None), ("state", b"x")):
                traps(guest, {**good, part: value})


@pytest.mark.rebuild
def test_an_ext_type_or_a_key_that_is_no_text_is_never_answered_wherever_it_is(guest):
    for odd in (msgpack.ExtType(1, b"abcd"), {1: 2}, {b"x": 1}, {None: 1}):
        for place in (odd, [odd], {"x": [{"y": odd}]}):
            traps(guest, request("quiet", {"more": place}))
            traps(guest, request("quiet", more=place))


@pytest.mark.rebuild
def test_what_nobody_reads_costs_nothing(guest):
    small = request("typed", about(edits=[{"old": "a", "new": "b"}]))
    big = request("typed", about(edits=[{"old": "a", "new": "b", "x": "é日" * 60_000}], content="𝄞" * 80_000))
    fuel = [guest.evaluate(msgpack.packb(each))[1] for each in (small, big)]
    assert fuel[1] < fuel[0] + 5_000


@pytest.mark.rebuild
def test_an_event_as_deep_as_the_host_sends_is_answered(guest):
    deep = "x"
    for _ in range(61):
        deep = {"d": deep}
    for mode in ("quiet", "normal"):
        assert said(guest, request(mode, about(file_path="/etc", deep=deep)))
    for _ in range(200):
        deep = [deep]
    traps(guest, request("quiet", about(deep=deep)))
