"""C: which compiler builds a project, what is said where none can, and what a policy on the kit can rely on."""

import re
import sys

import msgpack
import pytest

from tests.workshop.languages.core_kits import SOURCES, built
from wasmguard.decision import Effect
from wasmguard.errors import BuildError
from wasmguard.guest.codec import decode_answer
from wasmguard.limits import DEFAULT
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.workshop.languages import c
from wasmguard.workshop.languages.language import ToolMissing

NEVER = r"trapped|out of fuel|stack overflow"
MALFORMED = [b"", b"\xc1", b"\x93", b"\xdf\xff\xff\xff\xff", b"\x81" * 5000, b"\x91" * 5000, b"\x80", b"\xc0"]
EXT = [b"\xd4\x01\x00", b"\xd8\x01" + bytes(16), b"\xc7\x00\x05", b"\xc8\x00\x01\x05x", b"\xc9\xff\xff\xff\xff\x05x"]

SAYS_ALL = """
#include "wasmguard.h"

struct answer policy(const struct request *request) {
  static const struct text none[] = {TEXT("none")};
  struct texts words = setting_texts(request, "words", (struct texts){none, 1});
  struct answer answer = ask(JOIN(request->tool_name, TEXT(" in "), request->cwd));
  if (setting_integer(request, "level", 0) < -4) answer = deny(TEXT("level"));
  if (setting_bool(request, "stop", false)) interrupt(&answer);
  context(&answer, setting_text(request, "word", TEXT("unset")));
  for (size_t i = 0; i < words.count; i++) note(&answer, words.items[i]);
  rewrite(&answer, "file_path", normal(input_text(request, "file_path")));
  rewrite(&answer, "mode", TEXT("first"));
  rewrite(&answer, "mode", TEXT("last"));
  rewrite_packed(&answer, "lines", (struct text){"\\x92\\x01\\x02", 3});
  rewrite_output(&answer, TEXT("gone"));
  remember(&answer, is_there(request->state) ? request->state : TEXT("new"));
  return answer;
}
"""


def project(folder, language, source):
    """A project in *language* with only this source."""
    (folder / "src").mkdir(parents=True)
    (folder / language.mark).write_text(source)
    (folder / "kit").symlink_to(SOURCES / "sdk" / language.kit)
    return folder


def guest(module):
    engine = Engine(Library(find()), Setup(), 2)
    return CoreGuest(engine, compiled(module, engine.setup, DEFAULT), DEFAULT, DEFAULT.answer)


def event(**fields):
    return {
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "cwd": "/w",
        "tool_input": {"file_path": "/a/../b"},
        **fields,
    }


def sent(**changed):
    """A request with these parts changed: packed, or bytes as they are, or None for a part that is missing."""
    parts = {"abi": 1, "event": event(), "settings": {}, "state": b"\xc0", **changed}
    kept = {name: part for name, part in parts.items() if part is not None}
    packed = (part if type(part) is bytes else msgpack.packb(part) for part in kept.values())
    return bytes([0x80 + len(kept)]) + b"".join(
        msgpack.packb(key) + part for key, part in zip(kept, packed, strict=True)
    )


def with_field(value, key=b"\xa6native"):
    """An event with one field more, as raw msgpack."""
    whole = msgpack.packb(event())
    return bytes([whole[0] + 1]) + whole[1:] + key + value


def with_path(text):
    return msgpack.packb(event(tool_input={"file_path": "@" * len(text)})).replace(b"@" * len(text), text)


def never_answered():
    """Requests that cannot be read."""
    whole = sent()
    yield from MALFORMED
    yield from (whole[:size] for size in range(len(whole)))
    yield whole + b"\xc0"
    for part in ("abi", "event", "settings", "state"):
        yield sent(**{part: None})
        yield b"\x85" + whole[1:] + msgpack.packb(part) + msgpack.packb({"abi": 1, "state": None}.get(part, {}))
    yield from (sent(abi=abi) for abi in (0, 2, -1, "1", 1.0, True, b"\xc0"))
    yield from (sent(**{part: other}) for part in ("event", "settings") for other in ([], "x", 1, b"\xc0"))
    yield from (sent(state=state) for state in ({}, [], "x", 1))
    yield from (sent(event=with_field(ext)) for ext in EXT)
    yield from (sent(event=with_field(b"\x91\x81\xa1a" + ext)) for ext in EXT)
    yield from (
        sent(event=with_field(b"\x91\x81" + key + b"\xc0")) for key in (b"\x01", b"\xc0", b"\xc4\x01x", b"\x80")
    )
    yield sent(event=with_field(b"\xc0", key=b"\x01"))
    yield from (sent(event=with_path(text)) for text in (b"\xff", b"/aaaaaaaaaaa\x80", b"/\xed\xa0\x80", b"/\xc0\xaf"))
    yield sent(event=with_field(b"\xa1x", key=b"\xa3cwd"))
    yield from (sent(event=event(**{field: 5})) for field in ("hook_event_name", "tool_name", "cwd", "tool_input"))
    yield from (sent(settings={name: {}}) for name in ("word", "words", "stop", "level"))
    yield sent(settings={"words": ["a", 1]})


def says_all(asked):
    """What the policy that says everything must say, in every language that has one here."""
    answer = decode_answer(asked.evaluate(sent())[0])
    assert (answer.effect, answer.reason, answer.context) == (Effect.ASK, "Write in /w", "unset")
    assert answer.rewrite == {"file_path": "/b", "mode": "last", "lines": [1, 2]}
    assert (answer.rewrite_output, answer.notes, answer.state) == ("gone", ("none",), b"new")
    assert not answer.interrupt
    settings = {"word": "é日😀", "words": ["a", "b" * 300], "level": -5, "stop": True}
    answer = decode_answer(asked.evaluate(sent(settings=settings, state=msgpack.packb(b"\0old")))[0])
    assert (answer.effect, answer.reason, answer.context) == (Effect.DENY, "level", "é日😀")
    assert (answer.notes, answer.state, answer.interrupt) == (("a", "b" * 300), b"\0old", True)


def is_cheap(asked):
    """What is not asked for costs nothing, however big it is, and depth costs no stack."""
    deep = {}
    for _ in range(62):
        deep = {"a": [deep]} if len(str(deep)) % 2 else {"b": deep}
    _, small = asked.evaluate(sent())
    content = {"file_path": "/a/../b", "content": "é日😀x" * 30_000}
    _, big = asked.evaluate(sent(event=event(tool_input=content, native=deep)))
    assert big < small + 40_000


def test_a_project_without_a_kit_or_a_source_is_named(tmp_path):
    (tmp_path / "work").mkdir()
    with pytest.raises(BuildError, match="`kit/` is missing"):
        c.stage(tmp_path, tmp_path / "work", ".c")
    whole = project(tmp_path / "whole", c.LANGUAGE, "")
    (whole / c.LANGUAGE.mark).unlink()
    (tmp_path / "other").mkdir()
    with pytest.raises(BuildError, match=r"`src/` holds no `\*\.c`"):
        c.stage(whole, tmp_path / "other", ".c")


def test_without_a_compiler_it_says_what_installs_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(
        ToolMissing, match=r"`clang-22` with .* is missing: `apt-get install .* wasi-libc .*pip install ziglang"
    ):
        c.compile(project(tmp_path / "p", c.LANGUAGE, SAYS_ALL), tmp_path)


def test_a_header_is_taken_from_the_kit_before_the_system_and_named_if_it_is_nowhere(tmp_path, monkeypatch):
    (tmp_path / "include").mkdir()
    (tmp_path / "kit").mkdir()
    monkeypatch.setattr(c, "SYSTEM_HEADERS", (str(tmp_path / "system"),))
    with pytest.raises(ToolMissing, match=re.escape("`msgpuck.h` is missing: get it")):
        c.provide("msgpuck.h", tmp_path, "get it")
    (tmp_path / "system").mkdir()
    (tmp_path / "system/msgpuck.h").write_text("")
    c.provide("msgpuck.h", tmp_path, "get it")
    assert (tmp_path / "include/msgpuck.h").is_symlink()
    (tmp_path / "include/msgpuck.h").unlink()
    (tmp_path / "kit/msgpuck.h").write_text("")
    c.provide("msgpuck.h", tmp_path, "get it")
    assert not (tmp_path / "include/msgpuck.h").exists()


@pytest.mark.rebuild
def test_two_builds_in_two_folders_are_the_same_and_import_nothing(tmp_path):
    source = SOURCES / "languages" / "c"
    one, other = (built(c.LANGUAGE, source, tmp_path / folder) for folder in ("one", "an other"))
    assert one == other
    assert not any(part in one for part in (str(tmp_path).encode(), b"/usr/", b"/home/", b"/opt/"))
    shape = scan(one)
    check_abi(shape)
    assert shape.imports == ()


@pytest.mark.rebuild
def test_a_policy_can_ask_and_say_all_there_is_and_malformed_requests_are_never_answered(tmp_path):
    asked = guest(built(c.LANGUAGE, project(tmp_path / "p", c.LANGUAGE, SAYS_ALL), tmp_path / "work"))
    says_all(asked)
    is_cheap(asked)
    for data in never_answered():
        with pytest.raises(Exception, match=NEVER):
            asked.evaluate(data)


@pytest.mark.rebuild
def test_zig_builds_it_where_there_is_no_clang(tmp_path, monkeypatch):
    monkeypatch.setattr(c, "CLANG", ())
    asked = guest(built(c.LANGUAGE, project(tmp_path / "p", c.LANGUAGE, SAYS_ALL), tmp_path / "work"))
    says_all(asked)


@pytest.mark.rebuild
def test_what_the_compiler_says_is_kept(tmp_path):
    built(c.LANGUAGE, project(tmp_path / "good", c.LANGUAGE, SAYS_ALL), tmp_path / "first")
    (tmp_path / "work").mkdir()
    with pytest.raises(BuildError) as raised:
        c.compile(project(tmp_path / "p", c.LANGUAGE, SAYS_ALL.replace("ask(", "beg(")), tmp_path / "work")
    assert "beg" in raised.value.said
