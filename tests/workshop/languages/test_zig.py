"""The kit for Zig, asked through modules that are built here; and what is said where there is no compiler."""

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
from wasmguard.workshop.languages import zig
from wasmguard.workshop.languages.language import ToolMissing, run

# Each tool is a question to the kit; the reason says what it found.
POLICY = """
const std = @import("std");
const wasmguard = @import("wasmguard");
const Answer = wasmguard.Answer;
const eql = wasmguard.eql;

const Limits = struct { most: u8 = 3, ratio: f64 = 0.5, pair: ?struct { i64, bool } = null };

pub fn policy(request: wasmguard.Request) !Answer {
    const tool = request.tool_name;
    if (eql(tool, "texts")) {
        const a, const b = try request.inputTexts(.{ "a", "b" });
        const c = try request.inputText("c");
        return .ask(try wasmguard.print("{?s} {?s} {?s} {s} {s}", .{ a, b, c, request.event_name, request.cwd }));
    }
    if (eql(tool, "settings")) {
        const text = try request.settingText("text") orelse "none";
        const on = try request.settingBool("on") orelse false;
        const number = try request.settingInteger("number") orelse 7;
        const texts = try request.settingTexts("texts") orelse &.{};
        return .ask(try wasmguard.print("{s} {} {d} {d}", .{ text, on, number, texts.len }));
    }
    if (eql(tool, "value")) {
        const limits = try request.tool_input.?.as(Limits, wasmguard.gpa);
        return .ask(try wasmguard.print("{d} {d} {?}", .{ limits.most, limits.ratio, limits.pair }));
    }
    if (eql(tool, "paths")) {
        const given = try request.inputText("path") orelse return .pass;
        const isInside, const climbs = .{ wasmguard.path.isInside(given, "/etc/"), wasmguard.path.climbs(given) };
        return .ask(try wasmguard.print("{s} {} {}", .{ try wasmguard.path.normal(given), isInside, climbs }));
    }
    if (eql(tool, "allow")) return .allow("yes");
    if (eql(tool, "deny")) return .{ .effect = .deny, .reason = "no", .interrupt = true, .context = "c" };
    if (eql(tool, "rewrite")) {
        var answer: Answer = .{ .reason = "moved" };
        try answer.rewrite("a", "x");
        try answer.rewrite("b", -70_000);
        try answer.rewriteOutput(.{ .stdout = "", .ok = true });
        try answer.note("one");
        try answer.note("two");
        answer.remember(request.state orelse "fresh");
        return answer;
    }
    if (eql(tool, "past the end")) return .deny(tool[tool.len + request.cwd.len ..]);
    if (eql(tool, "error")) return error.Nothing;
    return .pass;
}
"""

rebuild = pytest.mark.rebuild


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return project_of(zig.LANGUAGE, tmp_path_factory.mktemp("zig") / "project")


@pytest.fixture(scope="module")
def guest(project, tmp_path_factory):
    return guest_of(zig.LANGUAGE, project, POLICY, tmp_path_factory.mktemp("asked"))


@rebuild
def test_a_policy_reads_texts_of_the_input_and_no_others(guest):
    assert said(guest, "texts", {"a": "é", "b": 5}, cwd="/w").reason == "é null null PreToolUse /w"
    assert (
        said(guest, "texts", {"c": "🦀", "b": None, "d": [{"c": "x"}]}, cwd="/").reason == "null null 🦀 PreToolUse /"
    )
    assert decode_answer(guest.evaluate(request(packb({}), packb({})))[0]).effect is Effect.PASS


@rebuild
def test_settings_are_read_by_their_types_and_another_type_is_no_answer(guest):
    given = {"text": "x", "on": True, "number": -(2**40), "texts": ["a", "b"]}
    assert said(guest, "settings", settings=given).reason == "x true -1099511627776 2"
    assert said(guest, "settings").reason == "none false 7 0"
    for name in given:
        with pytest.raises(GuestFault):
            said(guest, "settings", settings={name: {}})


@rebuild
def test_a_value_is_read_into_any_type(guest):
    assert said(guest, "value", {"most": 255, "ratio": 2, "pair": [-1, True], "z": {}}).reason == "255 2 .{ -1, true }"
    assert said(guest, "value").reason == "3 0.5 null"
    for wrong in ({"most": 256}, {"most": -1}, {"ratio": "2"}, {"pair": [1]}, {"pair": {}}):
        with pytest.raises(GuestFault):
            said(guest, "value", wrong)


@rebuild
def test_paths_are_resolved_as_text(guest):
    assert said(guest, "paths", {"path": "/tmp/..//etc/./x/"}).reason == "/etc/x false true"
    assert said(guest, "paths", {"path": "/etc"}).reason == "/etc true false"
    assert said(guest, "paths", {"path": "a/../b"}).reason == "a/../b false true"


@rebuild
def test_every_kind_of_answer_is_one_that_the_host_takes(guest):
    assert guest.evaluate(data("none"))[0] == b"\x80"
    assert said(guest, "allow").effect is Effect.ALLOW
    denied = said(guest, "deny")
    assert (denied.effect, denied.reason, denied.interrupt, denied.context) == (Effect.DENY, "no", True, "c")
    answer = said(guest, "rewrite", state=b"\x00\xff")
    assert (answer.effect, answer.reason) == (Effect.PASS, "moved")
    assert answer.rewrite == {"a": "x", "b": -70_000}
    assert answer.rewrite_output == {"stdout": "", "ok": True}
    assert (answer.notes, answer.state) == (("one", "two"), b"\x00\xff")
    assert said(guest, "rewrite").state == b"fresh"


@rebuild
def test_a_policys_own_mistake_is_no_answer(guest):
    for tool in ("past the end", "error"):
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
    flawed += [whole.replace(b"none", b"non\xff"), data("texts", {"a": "xxxx"}).replace(b"xxxx", b"\xed\xa0\x80x")]
    for request_ in flawed:
        with pytest.raises(GuestFault):
            guest.evaluate(request_)


@rebuild
def test_the_template_becomes_green_by_the_line_that_it_names_and_the_same_bytes_anywhere(project, tmp_path):
    module = built(zig.LANGUAGE, project, tmp_path / "one")
    assert built(zig.LANGUAGE, project, tmp_path / "another-folder") == module
    assert b"/kit/" not in module
    source = project / "src/policy.zig"
    text = source.read_text()
    line = "    // const path = try wasmguard.path.normal(given);\n"
    assert text.count(line) == 1
    green = tmp_path / "green"
    shutil.copytree(project, green)
    (green / "src/policy.zig").write_text(
        text.replace(line + "    const path = given;", line.replace("// ", "").rstrip())
    )
    engine = Engine(Library(find()), Setup(), 2)
    for built_, wanted in ((module, Effect.PASS), (built(zig.LANGUAGE, green, tmp_path / "two"), Effect.DENY)):
        guest = CoreGuest(engine, compiled(built_, engine.setup, DEFAULT), DEFAULT, DEFAULT.answer)
        assert said(guest, "Write", {"file_path": "/etc/x"}).reason == "NAME: /etc/x is in /etc"
        assert said(guest, "Write", {"file_path": "/etcetera/x"}).effect is Effect.PASS
        assert said(guest, "Write", {"file_path": "/tmp/../etc/x"}).effect is wanted


@rebuild
def test_what_the_compiler_says_about_a_mistake_is_kept(project, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(project, broken)
    (broken / "src/policy.zig").write_text("pub fn policy() void { return 5; }")
    with pytest.raises(BuildError, match="failed") as refused:
        built(zig.LANGUAGE, broken, tmp_path / "work")
    assert "src/policy.zig:1" in refused.value.said


@rebuild
def test_the_kits_own_tests_pass(tmp_path):
    kit = tmp_path / "kit"
    shutil.copytree(SOURCES / "sdk/zig", kit)
    parts = ["answer", "glob", "msgpack", "path"]
    (kit / "all.zig").write_text("test {" + "".join(f' _ = @import("{part}.zig");' for part in parts) + " }")
    try:
        compiler = zig.compiler(tmp_path)
    except ToolMissing as error:
        pytest.skip(str(error))
    caches = {f"ZIG_{which}_CACHE_DIR": str(tmp_path / "cache") for which in ("GLOBAL", "LOCAL")}
    run([*compiler, "test", "kit/all.zig"], tmp_path, caches)


def test_without_the_compiler_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(zig, "_candidates", lambda: [["/nowhere/zig"]])
    with pytest.raises(ToolMissing, match=r"`zig` is missing: no compiler was found: .*pip install ziglang=="):
        zig.compile(tmp_path, tmp_path)


def test_another_version_of_the_compiler_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zig, "_candidates", lambda: [["/nowhere/zig"], ["echo", "0.16.0"]])
    with pytest.raises(ToolMissing, match=r"there is 0\.16\.0 version, and policies are written for 0\.17"):
        zig.compile(tmp_path, tmp_path)


def test_the_version_is_the_one_of_the_toolchains():
    assert f"ziglang=={zig.VERSION}" in (SOURCES / "toolchains/requirements.txt").read_text().split()
    for place in ("sdk/zig", "templates/zig"):
        assert f"Zig {zig.VERSION}" in (SOURCES / place / "README.md").read_text()
