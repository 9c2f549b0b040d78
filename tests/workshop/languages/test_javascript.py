"""The kit for JavaScript and TypeScript, and how a project becomes a component."""

import shutil

import pytest
from msgpack import packb

from tests.workshop.languages.component_kits import LONG, MALFORMED, NO_UTF8, SOURCES, Kit, as_map, deep, request, whole
from wasmguard.decision import Effect
from wasmguard.errors import BuildError, GuestFault
from wasmguard.guest.codec import decode_answer
from wasmguard.workshop.languages import javascript
from wasmguard.workshop.languages.javascript import JAVASCRIPT, TYPESCRIPT
from wasmguard.workshop.languages.language import ToolMissing, toolchains

# Each tool is a question to the kit. What it reads is said back as a reason.
POLICY = """
import { allow, ask, deny, normal, pass, policy, rewrite, within } from "../kit/wasmguard.js";

const said = (value) => ask(JSON.stringify(value) ?? "undefined");

const QUESTIONS = {
  event: (r) => said([r.eventName, r.cwd, r.event.prompt, r.event.nothing]),
  input: (r) => said(r.toolInput),
  settings: (r) =>
    said([r.settingText("t"), r.settingBoolean("b"), r.settingInteger("i"), r.settingTexts("l"), r.settings]),
  wrong: (r) => said(r.settingText("b")),
  state: (r) => said(r.state && [...r.state]),
  absent: (r) => said([r.inputText("nothing"), r.inputText("number"), r.settingText("t"), r.inputText("constructor")]),
  size: (r) => said(r.inputText("content").length),
  longer: (r) => rewrite("it", r.inputText("it") + "x"),
  both: (r) => {
    const [a, b, c] = [r.inputText("content"), r.inputText("it"), r.inputText("content")];
    return said([a.slice(-2), b, c.length, b.slice(0, 2), a.slice(0, 2)]);
  },
  allow: () => allow("yes"),
  rewrite: () => rewrite("a", "x".repeat(60) + "é😀", "why").rewrite("b", [1, null]),
  all: (r) => deny("no").context("c").note("n").note("m").remember(new Uint8Array([1, 2])).interrupt(),
  output: () => pass().because("less").rewriteOutput({ text: "none" }),
  paths: () =>
    said([
      ...["/a/../../b/./c//", "/", "a/../b"].map(normal),
      within("/etc", "/etc"), within("/etcetera", "/etc"), within("/x", "/"),
    ]),
  nothing: () => undefined,
  throws: () => { throw new Error("for a reason"); },
  surrogate: () => deny("\\ud800"),
};

policy((r) => {
  r.inputText("it");
  return (QUESTIONS[r.toolName] ?? pass)(r);
});
"""

BIG = {
    "ASCII": "x" * 300_000,
    "three bytes each": "語" * 100_000,
    "emoji": "🦀" * 75_000,
    "the ends of ASCII": "\0\x7f" * 150_000,
    "mixed": LONG,
}

needs_tools = pytest.mark.skipif(
    shutil.which("componentize-qjs", path=toolchains() / "node_modules/.bin") is None,
    reason="componentize-qjs is missing",
)


def project(folder, name, source):
    (folder / "src").mkdir(parents=True)
    (folder / "src" / name).write_text(source, encoding="utf-8")
    shutil.copytree(SOURCES / "sdk/javascript", folder / "kit")
    return folder


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    here = tmp_path_factory.mktemp("javascript")
    (work := here / "work").mkdir()
    return Kit(JAVASCRIPT.compile(project(here / "project", "policy.js", POLICY), work))


def test_the_two_dialects_share_a_kit_and_promise_no_bytes():
    assert {language.kit for language in (JAVASCRIPT, TYPESCRIPT)} == {"javascript"}
    assert not JAVASCRIPT.reproducible
    assert (JAVASCRIPT.mark, TYPESCRIPT.mark) == ("src/policy.js", "src/policy.ts")


def test_a_missing_library_is_named_with_the_command_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path))
    monkeypatch.setattr(javascript, "tool", lambda name, *_: f"/nowhere/{name}")
    with pytest.raises(ToolMissing, match="`@msgpack/msgpack` is missing: run `npm install`"):
        JAVASCRIPT.compile(tmp_path, tmp_path)


def test_types_are_checked_first_where_the_project_has_a_compiler_for_them(tmp_path, monkeypatch):
    (folder := tmp_path / "node_modules/.bin").mkdir(parents=True)
    (folder / "tsc").write_text("#!/bin/sh\necho 'policy.ts(1,1): error TS1: no'\nexit 2\n")
    (folder / "tsc").chmod(0o755)
    (tmp_path / "tsconfig.json").write_text("{}")
    monkeypatch.setattr(javascript, "tool", lambda name, *_: f"/nowhere/{name}")
    with pytest.raises(BuildError, match="`tsc` failed") as raised:
        TYPESCRIPT.compile(tmp_path, tmp_path)
    assert "error TS1" in raised.value.said


@pytest.mark.rebuild
@needs_tools
def test_a_project_without_a_policy_is_not_built(tmp_path):
    (work := tmp_path / "work").mkdir()
    with pytest.raises(BuildError) as raised:
        TYPESCRIPT.compile(
            project(tmp_path / "project", "policy.ts", "const answer: number = 42;\nexport { answer };\n"), work
        )
    assert "there is no policy" in raised.value.said


@pytest.mark.rebuild
@needs_tools
class TestKit:
    def test_no_folder_of_the_machine_is_in_it(self, kit):
        assert b"node_modules" not in kit.module
        assert str(toolchains()).encode() not in kit.module

    def test_an_event_is_read_as_it_was_sent(self, kit):
        assert kit.asked("event", prompt="é€😀").reason == '["PreToolUse","/w","é€😀",null]'

    def test_an_input_is_read_whole(self, kit):
        given = {"a": [1, -2, 1.5, None, True, {"ü": "😀" * 90}]}
        assert kit.asked("input", given).reason == '{"a":[1,-2,1.5,null,true,{"ü":"' + "😀" * 90 + '"}]}'

    def test_settings_are_read_by_their_type(self, kit):
        settings = {"t": "x", "b": False, "i": -7, "l": ["a", "b"]}
        wanted = '["x",false,-7,["a","b"],{"t":"x","b":false,"i":-7,"l":["a","b"]}]'
        assert kit.asked("settings", settings=settings).reason == wanted
        with pytest.raises(GuestFault, match="the setting b is of another type"):
            kit.asked("wrong", settings=settings)

    def test_what_is_not_there_is_undefined(self, kit):
        assert kit.asked("absent", {"number": 1}).reason == "[null,null,null,null]"

    def test_what_was_remembered_comes_back(self, kit):
        assert kit.asked("state").reason == "null"
        assert kit.asked("state", state=b"\x00\xff").reason == "[0,255]"

    def test_an_answer_says_what_was_set_and_nothing_else(self, kit):
        said = kit.asked("all")
        assert (said.effect, said.reason, said.context) == (Effect.DENY, "no", "c")
        assert (said.notes, said.state, said.interrupt, said.rewrite) == (("n", "m"), b"\x01\x02", True, None)
        assert kit.asked("rewrite").rewrite == {"a": "x" * 60 + "é😀", "b": [1, None]}
        assert kit.asked("output").rewrite_output == {"text": "none"}
        assert kit.asked("allow").effect is Effect.ALLOW
        assert kit.evaluate(request("other"))[0] == b"\x81\xa6effect\xa4pass"

    def test_paths_are_resolved_as_text(self, kit):
        assert kit.asked("paths").reason == '["/b/c","/","a/../b",true,false,true]'

    def test_what_is_thrown_is_a_fault_with_its_message(self, kit):
        with pytest.raises(GuestFault, match="for a reason"):
            kit.asked("throws")
        with pytest.raises(GuestFault, match="returned no Answer"):
            kit.asked("nothing")
        with pytest.raises(GuestFault):
            kit.asked("surrogate")

    @pytest.mark.parametrize("text", BIG.values(), ids=BIG)
    def test_a_long_text_is_read_and_written_well_within_the_limits(self, kit, text):
        size = len(text.encode("utf-16-le")) // 2
        answer, fuel = kit.evaluate(request("size", {"content": text}))
        assert decode_answer(answer).reason == str(size)
        assert fuel < 160 * len(text.encode())
        answer, fuel = kit.evaluate(request("longer", {"it": text[:10_000]}))
        assert decode_answer(answer).rewrite == {"it": text[:10_000] + "x"}
        assert fuel < 2_000_000 + 600 * len(text[:10_000].encode())

    @pytest.mark.parametrize("wrong", NO_UTF8, ids=repr)
    @pytest.mark.parametrize("before", ["", "a" * 40, "é" * 500])
    def test_a_text_that_is_no_utf8_is_never_read(self, kit, wrong, before):
        given = as_map(("it", packb(before + "????")[:-4] + wrong[:4].ljust(4, b"x")))
        with pytest.raises(GuestFault):
            kit.evaluate(whole(as_map(("tool_input", given))))

    def test_what_two_texts_are_is_not_mixed(self, kit):
        given = {"it": "first", "content": "é" * 99_000}
        assert kit.asked("both", given).reason == '["éé","first",99000,"fi","éé"]'

    def test_a_long_text_costs_nothing_until_it_is_read(self, kit):
        small, long = (kit.evaluate(request("other", {"content": text, "deep": deep(60)}))[1] for text in ("", LONG))
        assert long - small < 100_000

    def test_nothing_that_is_no_request_is_answered(self, kit):
        for wrong in MALFORMED:
            with pytest.raises(GuestFault):
                print(wrong[:60], kit.evaluate(wrong))
