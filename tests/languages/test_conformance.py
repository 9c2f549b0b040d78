"""One policy, every language: the same decisions, byte for byte, and none from a request that cannot be read."""

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.languages.host import (
    CASES,
    LANGUAGES,
    PLACES,
    RECORDED,
    REFERENCE,
    ROOT,
    answered,
    asked,
    bundle,
    guest,
    limits,
)
from wasmguard.errors import GuestFault
from wasmguard.guest.codec import encode_settings, request
from wasmguard.sandbox.scan import check_abi, scan

EVERY = "assemblyscript", "c", "cpp", "go", "python", "rust", "typescript", "zig"
WRITE = {
    "hook_event_name": "PreToolUse",
    "tool_name": "Write",
    "cwd": "/home/dev",
    "tool_input": {"file_path": "/etc/x", "content": "x"},
}
WHOLE = asked(WRITE)
ABI, EVENT, SETTINGS, STATE = b"\xa3abi", b"\xa5event", b"\xa8settings", b"\xa5state"

each = pytest.mark.parametrize("language", LANGUAGES)


def test_there_is_one_for_every_language():
    assert tuple(LANGUAGES) == EVERY or set(PLACES) < set(EVERY), "build/languages"


@each
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_is_decided_as_the_reference_decides_it(language, case):
    data = case_request(case)
    answer, _ = answered(language, data)
    assert answer == answered(REFERENCE, data)[0]
    assert (answer == "fault") is (case["effect"] == "trap")


def case_request(case):
    if "hook_event_name" in case["event"]:
        return asked(case["event"], case.get("settings"))
    return request(encode_settings(case["event"]), encode_settings(case.get("settings", {})), None)


@each
def test_what_the_client_sends_is_decided_as_the_reference_decides_it(language):
    assert len(RECORDED) > 50
    for event in RECORDED:
        for given_settings in ({}, {"root": "/w", "tools": ["Bash", "Read", "Write"], "exempt": ["/tmp/**"]}):
            data = asked(event, given_settings)
            answer, _ = answered(language, data)
            assert answer != "fault", event
            assert answer == answered(REFERENCE, data)[0], event


def write(path, content):
    return asked({**WRITE, "tool_input": {"file_path": path, "content": content}})


BIG = {
    "300 kB": write("/etc/x", "x" * 300_000),
    "300 kB of three-byte characters": write("/etc/x", "語" * 100_000),
    "300 kB of emoji": write("/etc/x", "🦀" * 75_000),
    "300 kB of NUL": write("/etc/x", "\0" * 300_000),
    "300 kB of quotes": write("/etc/x", "\"'\\" * 100_000),
    "a list of 5,000 numbers": asked({**WRITE, "tool_input": {"file_path": "/etc/x", "edits": list(range(5_000))}}),
    "1,000 fields": asked({**WRITE, "tool_input": {"file_path": "/etc/x"} | {f"f{n}": n for n in range(1_000)}}),
}


@each
@pytest.mark.parametrize("data", BIG.values(), ids=BIG)
def test_a_big_event_is_decided_within_the_limits(language, data):
    answer, _ = answered(language, data)
    assert answer != "fault"
    assert answer.rewrite == {"file_path": "/sandbox/etc/x"}


@each
def test_the_deepest_event_that_a_host_sends_is_decided(language):
    deep = {"file_path": "/etc/x", "content": "x"}
    inner = []
    for _ in range(60):
        inner = [inner, {"a": 1.5, "b": None, "c": True, "d": -1, "e": 2**63}]
    answer, _ = answered(language, asked({**WRITE, "tool_input": {**deep, "nested": inner}}))
    assert answer != "fault"
    assert answer.rewrite == {"file_path": "/sandbox/etc/x"}


UNICODE = [
    "/ätc/ß",
    "/語/🦀",
    "/e\u0301/é",
    "/\u202e/x",
    "/ /\t/\n",
    "/" + "a" * 255,
    "/a\0b",
    "/~/~",
    "/%2e%2e/x",
    "/\ufeff",
]


@each
@pytest.mark.parametrize("path", UNICODE, ids=ascii)
def test_any_text_is_moved_as_the_reference_moves_it(language, path):
    for one in (path, path[1:], f"{path}/../y", f"/sandbox{path}"):
        data = write(one, "")
        answer, _ = answered(language, data)
        assert answer != "fault"
        assert answer == answered(REFERENCE, data)[0]


@given(
    st.lists(st.sampled_from(["..", ".", "", "a", "é", "sandbox", "*", "~", "etc"]), max_size=7).map("/".join),
    st.sampled_from(["/home/dev", "/", "/a/../b", "w", "", None]),
    st.sampled_from([{}, {"root": "/"}, {"root": "/a/../sandbox/"}, {"root": "sandbox"}, {"root": ""}, {"root": "/é"}]),
    st.lists(st.sampled_from(["/**", "/a/*", "/**/etc/**", "/?", "*", "", "/a/**/é", "[a]"]), max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_any_path_goes_where_the_reference_sends_it(path, cwd, given_settings, exempt):
    event = {**WRITE, "cwd": cwd, "tool_input": {"file_path": path, "content": ""}}
    data = asked(
        {key: value for key, value in event.items() if value is not None}, {**given_settings, "exempt": exempt}
    )
    wanted, _ = answered(REFERENCE, data)
    assert {language: answered(language, data)[0] for language in LANGUAGES} == dict.fromkeys(LANGUAGES, wanted)


def again(key, value):
    """The request with something said twice: the host may have judged the other one."""
    return bytes([WHOLE[0] + 1]) + WHOLE[1:] + key + value


def instead(what, by):
    assert WHOLE.count(what) == 1
    return WHOLE.replace(what, by)


def without(key, value):
    return bytes([WHOLE[0] - 1]) + instead(key + value, b"")[1:]


def twice_in_event(key, value):
    """The request with a field of the event said once more, first."""
    at = WHOLE.index(EVENT) + len(EVENT)
    return WHOLE[:at] + bytes([WHOLE[at] + 1]) + key + value + WHOLE[at + 1 :]


def packed(**fields):
    """A request with other values."""
    whole = msgpack.unpackb(WHOLE)
    return msgpack.packb({name: value for name, value in (whole | fields).items() if value is not ...})


MALFORMED = {
    "nothing": b"",
    "a byte that is no type": b"\xc1",
    "an array": b"\x93",
    "a map that says 2^32 - 1": b"\xdf\xff\xff\xff\xff",
    "5,000 maps": b"\x81" * 5000,
    "an empty map": b"\x80",
    "nil": b"\xc0",
    "the beginning of one": b"\x81\xa3abi\x01",
    "a byte behind it": WHOLE + b"\xc0",
    "another request behind it": WHOLE + WHOLE,
    "the event twice": again(EVENT, b"\x80"),
    "the settings twice": again(SETTINGS, b"\x80"),
    "the state twice": again(STATE, b"\xc0"),
    "the ABI twice": again(ABI, b"\x01"),
    "no ABI": without(ABI, b"\x01"),
    "ABI 2": instead(ABI + b"\x01", ABI + b"\x02"),
    "ABI 0": instead(ABI + b"\x01", ABI + b"\x00"),
    "an ABI that is a text": instead(ABI + b"\x01", ABI + b"\xa11"),
    "an ABI that is a float": packed(abi=1.0),
    "an ABI that is true": packed(abi=True),
    "an ABI that is nil": packed(abi=None),
    "no event": packed(event=...),
    "an event that is nil": packed(event=None),
    "an event that is a list": packed(event=[]),
    "an event that is a text": packed(event="PreToolUse"),
    "no settings": packed(settings=...),
    "settings that are nil": packed(settings=None),
    "settings that are a list": packed(settings=[]),
    "no state": packed(state=...),
    "a state that is a text": packed(state="x"),
    "a state that is a map": packed(state={}),
    "a state that is a number": packed(state=1),
    "an ext type as the event": packed(event=msgpack.ExtType(1, b"\0")),
    "an ext type as the tool's name": packed(event={**WRITE, "tool_name": msgpack.ExtType(1, b"\0")}),
    "a number as a key": msgpack.packb({**msgpack.unpackb(WHOLE), 1: 2}),
    "a key that is no text in the event": packed(event={**WRITE, 7: 1}),
    "the event's name twice": twice_in_event(b"\xafhook_event_name", b"\xaaPreToolUse"),
    "the tool twice": twice_in_event(b"\xa9tool_name", b"\xa4Read"),
    "the folder twice": twice_in_event(b"\xa3cwd", b"\xa1/"),
    "the input twice": twice_in_event(b"\xaatool_input", b"\x80"),
    "the path twice": instead(b"\x82\xa9file_path", b"\x83\xa9file_path\xa2/x\xa9file_path"),
    "a setting twice": instead(SETTINGS + b"\x80", SETTINGS + b"\x82" + b"\xa4root\xa2/x" * 2),
    "a path of 2^32 - 1 bytes": instead(b"\xa6/etc/x", b"\xdb\xff\xff\xff\xff/etc/x"),
    "a path of 2^31 bytes": instead(b"\xa6/etc/x", b"\xdb\x80\x00\x00\x00/etc/x"),
    "a binary of 2^32 - 1 bytes": instead(b"\xa6/etc/x", b"\xc6\xff\xff\xff\xff/etc/x"),
    "a list of 2^32 - 1 items": instead(b"\xa6/etc/x", b"\xdd\xff\xff\xff\xff"),
    "an input of 2^31 pairs": instead(b"\x82\xa9file_path", b"\xdf\x80\x00\x00\x00\xa9file_path"),
    "an ABI whose last 32 bits are 1": instead(ABI + b"\x01", ABI + b"\xcf\x00\x00\x00\x01\x00\x00\x00\x01"),
    "an ABI whose last 8 bits are 1": instead(ABI + b"\x01", ABI + b"\xcd\x01\x01"),
    "100,000 lists in the input": instead(b"\xa6/etc/x", b"\x91" * 100_000),
    "a path that is no UTF-8": instead(b"/etc/x", b"/etc/\xff"),
    "a path with half a character": instead(b"/etc/x", b"/etc/\xc3"),
    "a path with a surrogate": write("/etc/xyz", "").replace(b"/etc/xyz", b"/etc/\xed\xa0\x80"),
    "a path with an overlong slash": write("/etc/xy", "").replace(b"/etc/xy", b"/etc/\xc0\xaf"),
    "a tool that is no UTF-8": instead(b"Write", b"Writ\xff"),
}


@each
@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_never_answered(language, data):
    assert data != WHOLE
    with pytest.raises(GuestFault):
        guest(language).evaluate(data)


@each
def test_a_request_that_is_cut_anywhere_is_never_answered(language):
    for size in range(len(WHOLE)):
        with pytest.raises(GuestFault):
            guest(language).evaluate(WHOLE[:size])


@given(st.data())
@example(None)
@settings(max_examples=300, deadline=None)
def test_whatever_is_changed_in_a_request_nobody_answers_anything_else(data):
    """Each says what the reference says, or nothing: what one reads as something else is a hole in the others."""
    changed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 3)) if data else 0):
        changed[data.draw(st.integers(0, len(WHOLE) - 1))] = data.draw(st.integers(0, 255))
    wanted, _ = answered(REFERENCE, bytes(changed))
    for language in LANGUAGES:
        answer, _ = answered(language, bytes(changed))
        assert answer in (wanted, "fault"), language


@pytest.mark.parametrize("name", PLACES)
def test_it_imports_nothing_and_carries_its_manifest(name):
    shape = scan(bundle(name).module, limits(name))
    check_abi(shape, limits(name), bundle(name).manifest.abi)
    assert shape.imports == () or bundle(name).manifest.abi == "opa"
    assert any(section == "wasmguard.manifest" for section, _ in shape.custom)
    source = (PLACES[name] / "manifest.toml").read_bytes()
    assert source in bundle(name).module


@pytest.mark.parametrize("name", PLACES)
def test_no_folder_of_a_build_machine_is_in_it(name):
    """In a component there are those of the machines that its tools come from."""
    module = bundle(name).module
    folders = [str(ROOT).encode(), b"/tmp/wasmguard", b"/opt/wasmguard"]
    if module[4] == 1:
        folders += [b"/opt/", b"/home/dev", b"/root/", b"/tmp/", b"/usr/src"]
    assert [folder for folder in folders if folder in module] == []
