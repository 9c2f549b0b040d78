"""WebAssembly text needs no toolchain; what is no text is shown to its author. The template reads requests strictly."""

import posixpath

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.errors import BuildError
from wasmguard.guest.codec import decode_answer
from wasmguard.limits import DEFAULT
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.workshop.languages.wat import LANGUAGE
from wasmguard.workshop.scaffold import new

EVENT = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "/etc/x", "content": "x"}}
REQUEST = {"abi": 1, "event": EVENT, "settings": {}, "state": None}
ALL_KINDS = [None, True, 1, -1, 200, -100, 2**15, -(2**15), 2**31, -(2**31), 2**63, -(2**63), 1.5]
ALL_KINDS += ["", "ü" * 20, "x" * 300, "x" * 70_000, [], [1] * 20, [1] * 70_000, {str(key): 1 for key in range(20)}]
ALL_KINDS += [{str(key): 1 for key in range(66_000)}, [[[{"a": [{}]}]]]]


@pytest.fixture(scope="module")
def guests(tmp_path_factory):
    """The template's policy as it comes (`first`), and as its author makes it (`green`)."""
    folder = tmp_path_factory.mktemp("wat")
    project = new("no-etc", LANGUAGE, folder)
    engine = Engine(Library(find()), Setup(), 2)

    def guest():
        module = LANGUAGE.compile(project, folder).read_bytes()
        return CoreGuest(engine, compiled(module, engine.setup, DEFAULT), DEFAULT, DEFAULT.answer)

    first = guest()
    source = project / LANGUAGE.mark
    text = source.read_text()
    assert text.count(";; (call $normal)") == 1
    source.write_text(text.replace(";; (call $normal)", "(call $normal)"))
    return {"first": first, "green": guest()}


def asked(guest, request):
    answer, _ = guest.evaluate(request if isinstance(request, bytes) else msgpack.packb(request))
    return decode_answer(answer)


def about(path, **more):
    return {**REQUEST, "event": {**EVENT, "tool_input": {"file_path": path, **more}}}


def traps(guest, request):
    with pytest.raises(Exception, match="trapped"):
        asked(guest, request)


def test_text_that_is_none_is_shown_where_it_is(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / LANGUAGE.mark).write_text("(module\n  (func $f nonsense))")
    with pytest.raises(BuildError, match="cannot be assembled") as caught:
        LANGUAGE.compile(tmp_path, tmp_path)
    assert f"{LANGUAGE.mark}:2:" in caught.value.said
    assert "nonsense" in caught.value.said


def test_a_source_that_is_no_utf_8_is_refused(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / LANGUAGE.mark).write_bytes(b"(module) ;; \xff")
    with pytest.raises(BuildError, match="is not UTF-8 at byte 12: save it as UTF-8"):
        LANGUAGE.compile(tmp_path, tmp_path)


@pytest.mark.parametrize("path", ["/etc", "/etc/", "/etc/x", "/etc/ü€😀", "/etc//x"])
def test_what_is_in_the_folder_is_denied(guests, path):
    answer = asked(guests["first"], about(path))
    assert (answer.effect.name, answer.reason) == ("DENY", f"no-etc: {path} is in /etc")


@pytest.mark.parametrize("path", ["", "/", "/e", "/etcetera/x", "/home/etc", "etc/x", "/etc\0x", "\0", "/tmp/../etc/x"])
def test_everything_else_is_left_alone(guests, path):
    assert asked(guests["first"], about(path)).effect.name == "PASS"


@pytest.mark.parametrize(
    "event",
    [
        {**EVENT, "hook_event_name": "PostToolUse"},
        {**EVENT, "hook_event_name": "PreToolUse\0"},
        {key: value for key, value in EVENT.items() if key != "hook_event_name"},
        {"hook_event_name": "PreToolUse"},
        {**EVENT, "tool_input": None},
        {**EVENT, "tool_input": {"file_path": ["/etc/x"]}},
        {**EVENT, "tool_input": {"file_path": None}},
        {},
    ],
)
def test_what_it_does_not_speak_about_passes(guests, event):
    assert asked(guests["first"], {**REQUEST, "event": event}).effect.name == "PASS"


@given(st.lists(st.sampled_from(["", ".", "..", "...", "etc", "a", "..b", ".c"])).map("/".join))
def test_one_changed_line_resolves_paths_as_the_system_does(guests, rest):
    path = posixpath.normpath(f"/{rest.lstrip('/')}")
    answer = asked(guests["green"], about(f"/{rest}"))
    assert (answer.effect.name == "DENY") is (path == "/etc" or path.startswith("/etc/"))
    assert answer.reason in ("", f"no-etc: {path} is in /etc")


@pytest.mark.parametrize("value", ALL_KINDS, ids=lambda value: msgpack.packb(value)[:5].hex())
def test_every_kind_of_value_is_stepped_over_wherever_it_stands(guests, value):
    for request in (
        about("/etc/x", content=value),
        {**REQUEST, "settings": {"a": value}},
        {**REQUEST, "event": {"x": value, **EVENT}},
        {"x": value, **REQUEST},
    ):
        assert asked(guests["first"], request).effect.name == "DENY"


def test_big_and_deep_events_cost_next_to_nothing(guests):
    deep = 1
    for _ in range(62):
        deep = {"a": deep}
    guest = guests["first"]
    _, fuel = guest.evaluate(msgpack.packb(about("/etc/x", content="x" * 300_000, deep=deep)))
    assert fuel < 50_000


def test_a_request_that_is_cut_anywhere_is_never_answered(guests):
    whole = msgpack.packb({**about("/etc/x", other=ALL_KINDS[:14]), "state": b"abc"})
    assert asked(guests["first"], whole).effect.name == "DENY"
    for size in range(len(whole)):
        traps(guests["first"], whole[:size])


MALFORMED = {
    "empty": b"",
    "no such type": b"\xc1",
    "an array": b"\x93",
    "a map of 2**32 - 1": b"\xdf\xff\xff\xff\xff",
    "nested 5,000 deep": b"\x81" * 5000,
    "nothing in it": b"\x80",
    "nil": b"\xc0",
    "one byte behind it": msgpack.packb(REQUEST) + b"\xc0",
    "a key that is no text": msgpack.packb({**REQUEST, 1: 2}),
    "a key deep inside that is no text": msgpack.packb(about("/x", a=[{"b": {1: 2}}])),
    "a key of the event that is no text": msgpack.packb({**REQUEST, "event": {1: 2}}),
    "an ext type": msgpack.packb(about("/x", a=[msgpack.ExtType(1, b"a")])),
    "a wide ext type": msgpack.packb(about("/x", a=msgpack.ExtType(1, b"a" * 300))),
    "an event's name that is no text": msgpack.packb({**REQUEST, "event": {**EVENT, "hook_event_name": 5}}),
    "a path that is said twice": msgpack.packb(about("/x", file_patx="/y")).replace(b"file_patx", b"file_path"),
    "an input that is said twice": msgpack.packb({**REQUEST, "event": {**EVENT, "tool_inpux": {}}}).replace(
        b"tool_inpux", b"tool_input"
    ),
}
MALFORMED |= {f"no {key}": msgpack.packb({k: v for k, v in REQUEST.items() if k != key}) for key in REQUEST}
MALFORMED |= {
    f"{key} twice": b"\x85" + msgpack.packb(REQUEST)[1:] + msgpack.packb(key) + msgpack.packb(REQUEST[key])
    for key in REQUEST
}
MALFORMED |= {
    f"{key} is {value!r}": msgpack.packb({**REQUEST, key: value})
    for key, right in (("abi", (int,)), ("event", (dict,)), ("settings", (dict,)), ("state", (bytes, type(None))))
    for value in ("x", 2, -1, True, 1.0, [], {}, None, b"x")
    if type(value) not in right or key == "abi"
}
UTF_8 = [b"\xff", b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82(", b"\xed\xa0\x80"]
UTF_8 += [b"\xed\xbf\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x9f\x98"]
UTF_8 += [b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xfe"]


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_what_cannot_be_read_is_never_answered(guests, request_):
    traps(guests["first"], request_)


@pytest.mark.parametrize("raw", UTF_8, ids=bytes.hex)
def test_a_path_that_is_no_utf_8_is_never_answered(guests, raw):
    request = msgpack.packb(about("@" * len(raw)))
    traps(guests["first"], request.replace(b"@" * len(raw), raw))


@given(st.text(max_size=50))
def test_a_path_that_is_utf_8_is_read(guests, path):
    assert asked(guests["first"], about(f"/etc/{path}")).effect.name == "DENY"


@given(st.binary(max_size=200))
def test_no_bytes_are_answered_but_a_request(guests, data):
    traps(guests["first"], data)
