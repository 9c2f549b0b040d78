"""The kit for Go: what a policy reads and answers, and that nothing it could not read is answered."""

import os
import shutil
from pathlib import Path

import pytest
from msgpack import packb

from wasmguard.decision import Effect
from wasmguard.errors import BuildError
from wasmguard.guest.codec import decode_answer
from wasmguard.limits import PROFILES
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.workshop.languages import go
from wasmguard.workshop.languages.language import toolchains

SOURCES = Path(__file__).parents[3] / "policies-src"
LIMITS = PROFILES["default"].replaced(compile_cpu=60, compile_wall=90)  # a machine that tests is busy

# Each tool is a question to the kit. What it reads is said back as a reason.
POLICY = """package main

import (
	"fmt"

	"wasmguard"
)

func init() { wasmguard.Policy(judge) }

func main() {}

type nested struct {
	Folder string            `wasmguard:"folder"`
	Count  int8              `wasmguard:"count"`
	Big    uint64            `wasmguard:"big"`
	Ratio  float64           `wasmguard:"ratio"`
	On     bool              `wasmguard:"on"`
	Names  []string          `wasmguard:"names"`
	Words  map[string]string `wasmguard:"words"`
	Inner  *struct {
		Depth int `wasmguard:"depth"`
	} `wasmguard:"inner"`
	Any any `wasmguard:"any"`
	Not string
}

func said(value ...any) wasmguard.Answer { return wasmguard.Ask(fmt.Sprintf("%#v", value)) }

func judge(r *wasmguard.Request) wasmguard.Answer {
	switch r.ToolName() {
	case "event":
		prompt, found := r.Text("prompt")
		return said(r.EventName(), r.Cwd(), prompt, found)
	case "input":
		text, found := r.InputText("it")
		return said(text, found)
	case "settings":
		return said(r.SettingText("text", "none"), r.SettingBool("bool", true), r.SettingInteger("integer", -7),
			r.SettingTexts("texts", "a", "b"))
	case "decode":
		it := nested{Folder: "/default", Not: "mine"}
		r.DecodeInput(&it)
		depth := 0
		if it.Inner != nil {
			depth = it.Inner.Depth
		}
		return said(it.Folder, it.Count, it.Big, it.Ratio, it.On, it.Names, it.Words, depth, it.Any, it.Not)
	case "whole":
		return said(r.Input())
	case "recovers":
		defer func() { _ = recover() }()
		r.DecodeInput(&nested{})
	case "garbage":
		kept := 0
		for range 400 {
			kept += len(make([]byte, 100_000))
		}
		text, _ := r.InputText("it")
		return said(kept, text)
	case "state":
		return wasmguard.Pass().Remember(append(r.State(), 1))
	case "forgets":
		return wasmguard.Pass().Remember(nil)
	case "everything":
		return wasmguard.Deny("no").Rewrite("b", map[string]any{"z": 1, "a": []any{nil, true, 1.5}}).Rewrite("a", "x").
			Rewrite("a", "y").RewriteOutput("out").Context("context").Note("one").Note("two").Remember([]byte("s")).
			Interrupt().Permissions(map[string]any{"type": "setMode"}).Because("really no")
	case "rewrites":
		return wasmguard.Rewrite("it", "other", "moved")
	case "paths":
		path, _ := r.InputText("it")
		return said(wasmguard.Normal(path), wasmguard.IsInside(path, "/etc"), wasmguard.IsInside(path, "/"),
			wasmguard.Fits("/etc/**/*.?", path))
	case "allows":
		return wasmguard.Allow("fine")
	}
	return wasmguard.Pass()
}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project as `wasmguard new` makes it, with the policy above."""
    made = tmp_path_factory.mktemp("go") / "asked"
    shutil.copytree(SOURCES / "templates/go", made)
    shutil.copytree(SOURCES / "sdk/go", made / "kit")
    (made / "go.mod").write_text((made / "go.mod").read_text().replace("NAME", "asked"))
    (made / "src/policy.go").write_text(POLICY)
    return made


@pytest.fixture(scope="module", params=[pytest.param("compiled", marks=pytest.mark.rebuild)])
def native(project, tmp_path_factory):
    """The policy, compiled, and the engine for it."""
    places = os.pathsep.join([str(toolchains() / "node_modules/.bin"), str(toolchains() / "bin"), os.environ["PATH"]])
    for name in ("go", "node", "wasm-merge", "wasm-metadce", "wizer"):
        if not shutil.which(name, path=places):
            pytest.skip(f"`{name}` is not installed")
    module = go.LANGUAGE.compile(project, tmp_path_factory.mktemp("work")).read_bytes()
    assert len(module) <= LIMITS.module
    assert str(project).encode() not in module
    engine = Engine(Library(find()), Setup(), 1)
    return engine, compiled(module, engine.setup, LIMITS)


@pytest.fixture(scope="module")
def guest(native):
    return CoreGuest(*native, LIMITS, LIMITS.answer)


def event(tool, tool_input=None, **more):
    return packb({"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": tool_input, "cwd": "/w", **more})


def pairs(*entries):
    return bytes([0x80 | len(entries)]) + b"".join(packb(key) + value for key, value in entries)


def asking(event, settings=b"\x80", state=b"\xc0", abi=b"\x01"):
    return pairs(("abi", abi), ("event", event), ("settings", settings), ("state", state))


def answer(guest, *request, **more):
    return decode_answer(guest.evaluate(asking(*request, **more))[0])


def traps(guest, request):
    with pytest.raises(Exception, match=r"trapped|out of fuel"):
        guest.evaluate(request)


def test_texts_of_the_event_are_read_and_absent_ones_are_none(guest):
    assert answer(guest, event("event", prompt="é\0")).reason.startswith('[]interface {}{"PreToolUse", "/w", "é')
    assert answer(guest, event("event", prompt=7)).reason.endswith('"/w", "", false}')
    assert answer(guest, event("input", {"it": "x" * 9})).reason == '[]interface {}{"xxxxxxxxx", true}'
    for tool_input in (None, {}, {"it": 5}, {"it": None}):
        assert answer(guest, event("input", tool_input)).reason == '[]interface {}{"", false}'


def test_settings_are_typed_and_have_defaults(guest):
    default = '[]interface {}{"none", true, -7, []string{"a", "b"}}'
    assert answer(guest, event("settings")).reason == default
    given = {"text": "t", "bool": False, "integer": -129, "texts": ["x"]}
    assert answer(guest, event("settings"), packb(given)).reason == '[]interface {}{"t", false, -129, []string{"x"}}'
    for flaw in ({"text": None}, {"bool": 1}, {"integer": 1.0}, {"integer": 2**63}, {"texts": "x"}, {"texts": [1]}):
        traps(guest, asking(event("settings"), packb(flaw)))
    traps(guest, asking(event("settings"), pairs(("text", packb("a")), ("text", packb("b")))))


@pytest.mark.parametrize(
    "number", [0, 127, 128, 255, 256, 2**31, 2**53, 2**63 - 1, -1, -32, -33, -129, -(2**31), -(2**63)]
)
def test_an_integer_is_the_one_that_was_written(guest, number):
    assert f", {number}, " in answer(guest, event("settings"), packb({"integer": number})).reason


def test_a_struct_is_filled_and_the_rest_is_its_default(guest):
    given = {"count": -128, "big": 2**64 - 1, "ratio": 3, "on": True, "names": ["a"], "words": {"k": "v"}, "more": [{}]}
    reason = answer(guest, event("decode", {**given, "inner": {"depth": 200}, "any": [200, 2**64 - 1]})).reason
    assert reason.startswith('[]interface {}{"/default", -128, 0xffffffffffffffff, 3, true, []string{"a"}, ')
    assert reason.endswith('map[string]string{"k":"v"}, 200, []interface {}{200, 0xffffffffffffffff}, "mine"}')
    assert '"/default", 0, 0x0' in answer(guest, event("decode", {"folder": None})).reason


@pytest.mark.parametrize(
    "flaw",
    [
        packb({"count": 128}),
        packb({"count": 1.0}),
        packb({"big": -1}),
        packb({"ratio": 2**53 + 1}),
        packb({"on": 1}),
        packb({"names": "a"}),
        packb({"names": {}}),
        packb({"words": {"k": 1}}),
        packb({"inner": [1]}),
        packb({"folder": b"bytes"}),
        packb([1]),
        pairs(("folder", b"\xa1\xff")),
        pairs(("folder", packb("a")), ("folder", packb("b"))),
        pairs(("any", pairs(("k", b"\x01"), ("k", b"\x02")))),
        pairs(("any", pairs(("k", b"\xa1\xff")))),
    ],
    ids=bytes.hex,
)
def test_what_does_not_fit_a_struct_is_malformed_even_if_the_policy_recovers(guest, flaw):
    for tool in ("decode", "recovers"):
        begin = packb("hook_event_name") + packb("PreToolUse") + packb("tool_name") + packb(tool)
        traps(guest, asking(b"\x83" + begin + packb("tool_input") + flaw))
    assert answer(guest, event("recovers", {"folder": "x"})).effect is Effect.PASS


def test_the_whole_input_is_one_kind_of_number_each(guest):
    reason = answer(guest, event("whole", {"it": [5, 200, 70_000, -1, 1.5, None, {"a": True}]})).reason
    assert reason.endswith(
        '"it":[]interface {}{5, 200, 70000, -1, 1.5, interface {}(nil), map[string]interface {}{"a":true}}}}'
    )


def test_a_state_comes_back_and_is_forgotten(guest):
    assert answer(guest, event("state")).state == b"\x01"
    assert answer(guest, event("state"), state=packb(b"ab")).state == b"ab\x01"
    assert answer(guest, event("forgets")).state == b""
    assert answer(guest, event("other")).state is None


def test_every_key_of_an_answer_can_be_said_and_only_what_was_said_is_written(guest):
    made = answer(guest, event("everything"))
    assert (made.effect, made.reason, made.context, made.notes) == (Effect.DENY, "really no", "context", ("one", "two"))
    assert made.rewrite == {"b": {"z": 1, "a": [None, True, 1.5]}, "a": "y"}
    assert (made.rewrite_output, made.state, made.interrupt) == ("out", b"s", True)
    assert made.permissions == ({"type": "setMode"},)
    assert bytes(guest.evaluate(asking(event("other")))[0]) == b"\x80"
    made = answer(guest, event("rewrites"))
    assert (made.effect, made.reason, made.rewrite) == (Effect.PASS, "moved", {"it": "other"})
    assert answer(guest, event("allows")).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc", '"/etc", true, true, false'),
        ("/etcetera", '"/etcetera", false, true, false'),
        ("/etc/a/b/x.é", '"/etc/a/b/x.é", true, true, true'),
        ("/tmp/..//./etc/../../x/", '"/x", false, true, false'),
        ("x", '"/x", false, false, false'),
        ("", '"/", false, true, false'),
    ],
)
def test_paths_are_compared_by_whole_names(guest, path, reason):
    assert answer(guest, event("paths", {"it": path})).reason == f"[]interface {{}}{{{reason}}}"


VALID = asking(event("input", {"it": "x"}), packb({"a": 1}))
EVENT, NONE, EMPTY = event("input", {"it": "x"}), b"\xc0", b"\x80"
MALFORMED = {
    "empty": b"",
    "never used": b"\xc1",
    "three of a list": b"\x93",
    "a map of four billion": b"\xdf\xff\xff\xff\xff",
    "deep": b"\x81" * 5000,
    "an empty map": b"\x80",
    "nil": b"\xc0",
    "a byte behind it": VALID + b"\x00",
    "event twice": pairs(("abi", b"\x01"), ("event", EVENT), ("event", EVENT), ("settings", EMPTY), ("state", NONE)),
    "abi twice": pairs(("abi", b"\x01"), ("abi", b"\x01"), ("event", EVENT), ("settings", EMPTY), ("state", NONE)),
    "settings twice": pairs(
        ("abi", b"\x01"), ("event", EVENT), ("settings", EMPTY), ("settings", EMPTY), ("state", NONE)
    ),
    "state twice": pairs(("abi", b"\x01"), ("event", EVENT), ("settings", EMPTY), ("state", NONE), ("state", NONE)),
    "no abi": pairs(("event", EVENT), ("settings", EMPTY), ("state", NONE)),
    "no event": pairs(("abi", b"\x01"), ("settings", EMPTY), ("state", NONE)),
    "no settings": pairs(("abi", b"\x01"), ("event", EVENT), ("state", NONE)),
    "no state": pairs(("abi", b"\x01"), ("event", EVENT), ("settings", EMPTY)),
    "abi 2": asking(EVENT, abi=b"\x02"),
    "abi 257": asking(EVENT, abi=packb(257)),
    "abi as text": asking(EVENT, abi=packb("1")),
    "abi as float": asking(EVENT, abi=packb(1.0)),
    "event as list": asking(packb([])),
    "event as nil": asking(NONE),
    "settings as nil": asking(EVENT, NONE),
    "state as text": asking(EVENT, state=packb("s")),
    "ext in the event": asking(EVENT[:-2] + b"\xd4\x01\x01" + EVENT[-2:]),
    "ext in the settings": asking(EVENT, pairs(("a", b"\xc7\x01\x05a"))),
    "a key that is a number": asking(event("input", {"it": "x", 1: 2})),
    "a deep key that is binary": asking(event("input", {"it": "x"}, more=[{"a": {b"k": 1}}])),
    "the tool twice": asking(pairs(("tool_name", packb("a")), ("tool_name", packb("b")))),
    "the field twice": asking(pairs(("tool_name", packb("input")), ("tool_input", b"\x82" + b"\xa2it\xa1x" * 2))),
    "an input that is a list": asking(event("input", ["it", "x"])),
    "a field that is not UTF-8": asking(event("input", {"it": "xyz"}).replace(b"xyz", b"x\xffz")),
    "a tool that is a number": asking(event(7)),
    "a tool that is not UTF-8": asking(event("xyz").replace(b"xyz", b"x\xedz")),
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_has_no_answer(guest, request_):
    traps(guest, request_)


def test_no_truncated_request_has_an_answer(guest):
    assert guest.evaluate(VALID)
    for size in range(len(VALID)):
        traps(guest, VALID[:size])


def test_what_is_not_asked_for_is_cheap(guest):
    small = guest.evaluate(asking(event("input", {"it": "x"})))[1]
    for size in (300_000, 4_000_000):
        data, fuel = guest.evaluate(asking(event("input", {"content": "é" * (size // 2), "it": "x"})))
        assert decode_answer(data).effect is Effect.ASK
        assert fuel < small + 1_000_000
    nested = "x"
    for _ in range(62):
        nested = {"a": nested}
    assert answer(guest, event("input", {"it": "x", "deep": nested})).effect is Effect.ASK


def test_more_garbage_than_memory_is_collected(native):
    """40 MB in 16 MiB; the request lies where it was."""
    guest = CoreGuest(*native, LIMITS.replaced(fuel=200_000_000, clock=2_000), LIMITS.answer)
    assert answer(guest, event("garbage", {"it": "still here"})).reason == '[]interface {}{40000000, "still here"}'


def test_a_project_without_its_go_mod_is_told_where_one_comes_from(tmp_path, monkeypatch):
    (tmp_path / "go").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"`go.mod` is missing: `wasmguard new`"):
        go.LANGUAGE.compile(tmp_path, tmp_path)


def test_a_missing_compiler_is_named_with_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(BuildError, match=r"`go` is missing: .*https://go\.dev/dl"):
        go.LANGUAGE.compile(tmp_path, tmp_path)


def test_the_kit_and_what_is_built_on_it_name_one_compiler_and_one_library():
    pinned = [(SOURCES / folder / "go.mod").read_text() for folder in ("sdk/go", "templates/go", "languages/go")]
    for text in pinned:
        assert "toolchain go1.26.8" in text
        assert "github.com/vmihailenco/msgpack/v5 v5.4.1" in text
    sums = {(SOURCES / folder / "go.sum").read_bytes() for folder in ("sdk/go", "templates/go", "languages/go")}
    assert len(sums) == 1


def test_what_the_compiler_says_is_kept(project, guest, tmp_path):
    shutil.copytree(project, tmp_path / "broken")
    (tmp_path / "broken/src/policy.go").write_text("package main\n\nfunc main() { nowhere() }\n")
    (work := tmp_path / "work").mkdir()
    with pytest.raises(BuildError, match="`go` failed") as refused:
        go.LANGUAGE.compile(tmp_path / "broken", work)
    assert "src/policy.go:3:15: undefined: nowhere" in refused.value.said
