"""The kit for AssemblyScript, asked through modules that are built here; and what is said without a compiler."""

import json
import shutil

import pytest
from msgpack import ExtType, packb

from tests.workshop.languages.core_kits import SOURCES, built, data, guest_of, project_of, said
from wasmguard.decision import Effect
from wasmguard.errors import BuildError, GuestFault
from wasmguard.guest.codec import decode_answer, request
from wasmguard.limits import DEFAULT
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.workshop.languages import assemblyscript
from wasmguard.workshop.languages.language import ToolMissing

# Each tool is a question to the kit; the reason says what it found.
POLICY = """
import { allow, Answer, ask, deny, Kind, pass, path, Request, rewrite, textOf } from "../kit";

function shown(text: string | null): string {
  return text === null ? "null" : text;
}

export function policy(request: Request): Answer {
  const tool = request.toolName;
  if (tool == "texts") {
    const two = request.inputTexts(["a", "b"]);
    const c = request.inputText("c");
    return ask(`${shown(two[0])} ${shown(two[1])} ${shown(c)} ${request.eventName} ${request.cwd}`);
  }
  if (tool == "settings") {
    const texts = request.settingTexts("texts");
    const on = request.settingBool("on");
    const number = request.settingInteger("number", 7);
    return ask(`${request.settingText("text", "none")} ${on} ${number} ${texts.length} ${request.hasSetting("text")}`);
  }
  if (tool == "value") {
    const found = request.toolInput!.fields(["list", "ratio", "prompt"]);
    const list = found[0]!;
    let sum: i64 = 0;
    for (const items = list.items(); items.left > 0; ) sum += items.next().integer();
    const isList = list.kind == Kind.List;
    return ask(`${sum} ${list.list().length} ${found[1]!.float()} ${isList} ${shown(textOf(found[2]))}`);
  }
  if (tool == "paths") {
    const given = request.inputText("path");
    if (given === null) return pass();
    return ask(`${path.normal(given)} ${path.isInside(given, "/etc/")} ${path.climbs(given)}`);
  }
  if (tool == "allow") return allow("yes");
  if (tool == "deny") return deny("no").interrupt().context("c");
  if (tool == "rewrite") {
    const state = request.state;
    const answer = rewrite("a", "x🦀").rewrite<i32>("b", -70000).rewrite<bool>("c", true).because("moved");
    answer.note("one").note("two").rewriteOutputField("stdout", "").rewriteOutputField<u64>("code", 300);
    return answer.remember(state ? state : String.UTF8.encode("fresh"));
  }
  if (tool == "output") return pass().rewriteOutput("o");
  if (tool == "past the end") return deny(String.fromCharCode([1, 2][request.cwd.length]));
  if (tool == "exception") throw new Error("no");
  if (tool == "half a character") return deny("🦀".substring(0, 1));
  return pass();
}
"""

rebuild = pytest.mark.rebuild


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return project_of(assemblyscript.LANGUAGE, tmp_path_factory.mktemp("assemblyscript") / "project")


@pytest.fixture(scope="module")
def guest(project, tmp_path_factory):
    return guest_of(assemblyscript.LANGUAGE, project, POLICY, tmp_path_factory.mktemp("asked"))


@rebuild
def test_a_policy_reads_texts_of_the_input_and_no_others(guest):
    assert said(guest, "texts", {"a": "é", "b": 5}, cwd="/w").reason == "é null null PreToolUse /w"
    assert (
        said(guest, "texts", {"c": "🦀", "b": None, "d": [{"c": "x"}]}, cwd="/").reason == "null null 🦀 PreToolUse /"
    )
    assert decode_answer(guest.evaluate(request(packb({}), packb({})))[0]).effect is Effect.PASS


@rebuild
@pytest.mark.parametrize(
    "text", ["", "a", "abcd", "abcdé", "é", "\x7f\x80\u07ff\u0800", "\ud7ff\ue000\uffff", "🦀\U0010ffff|"]
)
def test_every_character_comes_back_as_it_came(guest, text):
    rest = " null null PreToolUse /"
    assert (
        said(guest, "texts", {"a": "<" + text + ">"}, cwd="/").reason
        == decode_answer(packb({"reason": "<" + text + ">" + rest})).reason
    )


@rebuild
def test_settings_are_read_by_their_types_and_another_type_is_no_answer(guest):
    given = {"text": "x", "on": True, "number": -(2**40), "texts": ["a", "b"]}
    assert said(guest, "settings", settings=given).reason == "x true -1099511627776 2 true"
    assert said(guest, "settings").reason == "none false 7 0 false"
    for name in given:
        with pytest.raises(GuestFault):
            said(guest, "settings", settings={name: {}})


@rebuild
def test_a_value_is_read_where_it_lies(guest):
    numbers = [0, 127, 128, 255, 2**16, -1, -32, -33, -(2**31), 2**40]
    given = {"z": {}, "list": numbers, "ratio": 2.5, "prompt": "p"}
    assert said(guest, "value", given).reason == f"{sum(numbers)} 10 2.5 true p"
    assert said(guest, "value", {"list": [], "ratio": 1, "prompt": None}).reason == "0 0 1.0 true null"
    for wrong in ({"list": {}}, {"list": ["1"]}, {"ratio": "2"}, {"prompt": 1}, {"list": None}, {"list": [2**63]}):
        with pytest.raises(GuestFault):
            said(guest, "value", {**given, **wrong})


@rebuild
def test_paths_are_resolved_as_text(guest):
    assert said(guest, "paths", {"path": "/tmp/..//etc/./x/"}).reason == "/etc/x false true"
    assert said(guest, "paths", {"path": "/etc"}).reason == "/etc true false"
    assert said(guest, "paths", {"path": "/etcetera"}).reason == "/etcetera false false"
    assert said(guest, "paths", {"path": "/a/.../..b/"}).reason == "/a/.../..b false false"
    assert said(guest, "paths", {"path": "/.."}).reason == "/ false true"
    assert said(guest, "paths", {"path": "a/../b"}).reason == "a/../b false true"


@rebuild
def test_every_kind_of_answer_is_one_that_the_host_takes(guest):
    assert guest.evaluate(data("none"))[0] == packb({"effect": "pass"})
    assert said(guest, "allow").effect is Effect.ALLOW
    denied = said(guest, "deny")
    assert (denied.effect, denied.reason, denied.interrupt, denied.context) == (Effect.DENY, "no", True, "c")
    answer = said(guest, "rewrite", state=b"\x00\xff")
    assert (answer.effect, answer.reason) == (Effect.PASS, "moved")
    assert answer.rewrite == {"a": "x🦀", "b": -70_000, "c": True}
    assert answer.rewrite_output == {"stdout": "", "code": 300}
    assert (answer.notes, answer.state) == (("one", "two"), b"\x00\xff")
    assert said(guest, "rewrite").state == b"fresh"
    assert said(guest, "output").rewrite_output == "o"


@rebuild
def test_a_policys_own_mistake_is_no_answer(guest):
    for tool in ("past the end", "exception", "half a character"):
        with pytest.raises(GuestFault):
            said(guest, tool, cwd="/w")


@rebuild
def test_a_request_that_cannot_be_read_is_no_answer(guest):
    whole = data("none")
    flawed = [whole[:size] for size in range(len(whole))] + [whole + b"\xc0", b"\x81" * 5000]
    flawed += [packb({"abi": 1, "event": event, "settings": {}, "state": None}) for event in ([], None, "x", {1: 2})]
    flawed += [packb({"abi": 1, "event": {}, "settings": settings, "state": None}) for settings in ([], None, {1: 2})]
    flawed += [
        packb({"abi": 1, "event": {}, "settings": {}, "state": state}) for state in ("x", 1, {}, ExtType(1, b""))
    ]
    flawed += [data("none", cwd=5), data("none", cwd=ExtType(1, b"")), data("none", x=[ExtType(1, b"")])]
    flawed += [whole.replace(b"none", b"non\xff")]
    for request_ in flawed:
        with pytest.raises(GuestFault):
            guest.evaluate(request_)


@rebuild
@pytest.mark.parametrize(
    "flaw",
    [
        "80",
        "c080",
        "c1bf",
        "c3",
        "c328",
        "e08080",
        "eda080",
        "edbfbf",
        "e282",
        "f0808080",
        "f4908080",
        "f09f92",
        "f5808080",
    ],
)
def test_a_text_that_is_no_utf8_is_no_answer(guest, flaw):
    flawed = bytes.fromhex(flaw)
    for size in (0, 3, 5):
        text = "x" * (size + len(flawed))
        whole = data("texts", {"a": text})
        assert guest.evaluate(whole)
        with pytest.raises(GuestFault):
            guest.evaluate(whole.replace(text.encode(), b"x" * size + flawed))


@rebuild
def test_the_template_becomes_green_by_the_line_that_it_names_and_the_same_bytes_anywhere(project, tmp_path):
    module = built(assemblyscript.LANGUAGE, project, tmp_path / "one")
    assert built(assemblyscript.LANGUAGE, project, tmp_path / "another-folder") == module
    assert b"/kit/" not in module
    source = project / "assembly/policy.ts"
    text = source.read_text()
    line = "  // const file = path.normal(given);\n"
    assert text.count(line) == 1
    green = tmp_path / "green"
    shutil.copytree(project, green)
    (green / "assembly/policy.ts").write_text(
        text.replace(line + "  const file = given;", line.replace("// ", "").rstrip())
    )
    engine = Engine(Library(find()), Setup(), 2)
    for built_, wanted in (
        (module, Effect.PASS),
        (built(assemblyscript.LANGUAGE, green, tmp_path / "two"), Effect.DENY),
    ):
        guest = CoreGuest(engine, compiled(built_, engine.setup, DEFAULT), DEFAULT, DEFAULT.answer)
        assert said(guest, "Write", {"file_path": "/etc/x"}).reason == "NAME: /etc/x is in /etc"
        assert said(guest, "Write", {"file_path": "/etcetera/x"}).effect is Effect.PASS
        assert said(guest, "Write", {"file_path": "/tmp/../etc/x"}).effect is wanted


@rebuild
def test_what_the_compiler_says_about_a_mistake_is_kept(project, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(project, broken)
    source = broken / "assembly/policy.ts"
    source.write_text(source.read_text().replace("return pass();", "return 5;"))
    with pytest.raises(BuildError, match="failed") as refused:
        built(assemblyscript.LANGUAGE, broken, tmp_path / "work")
    assert "in assembly/policy.ts(8," in refused.value.said


def compiler(folder, version):
    """Something that calls itself the compiler, in the place where a project has it."""
    place = folder / "node_modules/.bin"
    place.mkdir(parents=True)
    (place / "asc").write_text(f"console.log('Version {version}')")
    (place / "asc").chmod(0o755)
    (place / "node").write_text('#!/bin/sh\nsed "s/.*(.\\(.*\\).)/\\1/" "$1"\n')
    (place / "node").chmod(0o755)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A project on a machine with nothing but a `node` that can say versions."""
    project = tmp_path / "project"
    compiler(project, "0.28.19")
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path / "nowhere"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "nowhere/python"))
    monkeypatch.setenv("PATH", f"{project}/node_modules/.bin:/usr/bin:/bin")
    return project


def test_without_the_compiler_the_command_that_installs_it_is_named(alone, tmp_path):
    (alone / "node_modules/.bin/asc").unlink()
    with pytest.raises(ToolMissing, match=r"`asc` is missing: run `npm install` in the project's folder"):
        assemblyscript.compile(alone, tmp_path)


def test_another_version_than_the_project_pins_is_refused(alone, tmp_path):
    shutil.copy(SOURCES / "templates/assemblyscript/package.json", alone)
    with pytest.raises(
        ToolMissing, match=r"`assemblyscript` 0\.28\.20 is missing: there is 0\.28\.19: run `npm install`"
    ):
        assemblyscript.compile(alone, tmp_path)


@pytest.mark.parametrize("package", ["", "[]", "{}", '{"devDependencies": []}'])
def test_a_project_that_does_not_say_its_compiler_is_refused(alone, tmp_path, package):
    (alone / "package.json").write_text(package)
    with pytest.raises(BuildError, match=r"`package\.json` does not name `assemblyscript`"):
        assemblyscript.compile(alone, tmp_path)


def test_template_and_toolchains_have_the_same_version():
    wanted = json.loads((SOURCES / "toolchains/package.json").read_text())["dependencies"]["assemblyscript"]
    for place in ("templates", "languages"):
        package = json.loads((SOURCES / place / "assemblyscript/package.json").read_text())
        assert package["devDependencies"] == {"assemblyscript": wanted}
