"""Strict reading: one reader must not understand an event otherwise than the next."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmguard.agents.interface import copied, decoded, top_level
from wasmguard.errors import EventError
from wasmguard.limits import EVENT_DEPTH

KEY = "hook_event_name"
FEW = settings(max_examples=60, deadline=None)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
KEYS = st.text() | st.sampled_from([KEY, "tool_input", "}", '"', "\\", f'"{KEY}":"Stop"'])
JSON = st.recursive(SCALARS | KEYS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8)
OBJECTS = st.dictionaries(KEYS, JSON)


def nested(levels, opening="[", closing="]"):
    """An object with *levels* levels of nesting, itself included."""
    return ('{"a":' + opening * (levels - 2) + "[]" + closing * (levels - 2) + "}").encode()


def test_a_byte_order_mark_is_tolerated_once():
    assert decoded(b'\xef\xbb\xbf{"a":1}\n') == {"a": 1}
    with pytest.raises(EventError):
        decoded(b'\xef\xbb\xbf\xef\xbb\xbf{"a":1}')


def test_lone_surrogates_and_nul_are_kept():
    assert decoded(rb'{"a":"\ud800","b":"\u0000"}') == {"a": "\ud800", "b": "\0"}


def test_braces_in_text_are_not_nesting():
    assert decoded(json.dumps({"code": "{[" * 500}).encode()) == {"code": "{[" * 500}


@pytest.mark.parametrize("box", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_nesting_is_allowed_up_to_the_limit(box):
    levels = EVENT_DEPTH if len(box[1]) == 1 else EVENT_DEPTH // 2 + 1  # the last box opens two levels at once
    deepest = nested(levels, *box)
    assert deepest.count(b"{") + deepest.count(b"[") == EVENT_DEPTH
    for raw in (deepest, deepest.replace(b'"a":', b'"{[":[],"a":', 1)):  # counted, and looked at
        assert decoded(raw) == copied(json.loads(raw)) == json.loads(raw)


@pytest.mark.parametrize("levels", [EVENT_DEPTH + 1, 500, 10_000, 1_000_000])
@pytest.mark.parametrize("box", [("[", "]"), ('{"a":', "}")])
def test_deeper_nesting_is_refused(levels, box):
    with pytest.raises(EventError, match="nested"):
        decoded(nested(levels, *box))


REFUSED = {
    "nothing": b"",
    "blanks": b" \n",
    "text": b"hello",
    "null": b"null",
    "a list": b"[]",
    "a string": b'"a"',
    "a number": b"1",
    "cut off": b'{"a":1',
    "two documents": b"{}{}",
    "two documents on two lines": b"{}\n{}",
    "a word after it": b"{} x",
    "NUL after it": b"{}\0",
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, inside": b'{"a":[{"b":{"c":1,"d":2,"c":3}}]}',
    "a key twice, once escaped": rb'{"a":1,"\u0061":2}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "minus Infinity": b'{"a":[-Infinity]}',
    "infinity by its exponent": b'{"a":1e999}',
    "minus infinity by its exponent": b'{"a":-1e999}',
    "an integer that Python cannot write": b'{"a":' + b"9" * 5000 + b"}",
    "a single quote": b"{'a':1}",
    "a comma at the end": b'{"a":1,}',
    "a comment": b'{"a":1/**/}',
    "a raw line break in a string": b'{"a":"\n"}',
    "a bad escape": rb'{"a":"\x41"}',
    "bytes that are no UTF-8": b'{"a":"\xff"}',
    "a surrogate written as UTF-8": b'{"a":"\xed\xa0\x80"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_one_strict_object_is_refused(raw):
    with pytest.raises(EventError) as caught:
        decoded(raw)
    message = str(caught.value)
    assert message.isascii()
    assert message.isprintable(), "messages go to a terminal and to a model"


def test_a_key_twice_among_many_is_found_in_linear_time():
    many = ",".join(f'"{number}":0' for number in range(100_000))
    with pytest.raises(EventError, match="`99999` twice"):
        decoded(f'{{{many},"99999":1}}'.encode())


def test_an_error_shows_no_control_characters_of_the_event():
    with pytest.raises(EventError, match="`\ufffd\\[31m` twice"):
        decoded(rb'{"\u001b[31m":1,"\u001b[31m":2}')


@FEW
@given(OBJECTS)
def test_what_json_says_is_read_as_it_was_said(fields):
    assert decoded(json.dumps(fields).encode()) == fields
    assert copied(fields) == fields


@FEW
@given(st.binary() | st.text(alphabet='{}[]",:\\u0d8\n 1eNI-').map(str.encode))
def test_any_bytes_end_in_an_object_or_an_event_error(raw):
    with contextlib.suppress(EventError):
        assert type(decoded(raw)) is dict


def test_a_copy_does_not_change_under_us():
    payload = {"tool_input": {"edits": [{"path": "/a"}]}}
    copy = copied(payload)
    payload["tool_input"]["edits"][0]["path"] = "/b"
    assert copy == {"tool_input": {"edits": [{"path": "/a"}]}}


def test_a_tuple_is_a_list():
    assert copied({"a": (1, 2)}) == {"a": [1, 2]}


CIRCLE: dict[str, object] = {}
CIRCLE["again"] = CIRCLE


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "{}",
        {1: "a"},
        {None: "a"},
        {b"a": "a"},
        {"a": [{2: 1}]},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": object()},
        {"a": float("nan")},
        {"a": [float("inf")]},
        {"a": 10**5000},
        CIRCLE,
        json.loads(nested(EVENT_DEPTH + 1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_decoded_payload_that_json_cannot_say_is_refused(payload):
    with pytest.raises(EventError):
        copied(payload)


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b'{"hook_event_name":"Stop"}', ["Stop"]),
        (b' \n{ "hook_event_name"\t:\r\n"Stop" , "a":1}', ["Stop"]),
        (b'\xef\xbb\xbf{"hook_event_name":"Stop"}', ["Stop"]),
        (rb'{"hook_event_n\u0061me":"St\u006fp"}', ["Stop"]),
        (b'{"hook_event_name":"Stop"', ["Stop"]),
        (b'{"hook_event_name":"Stop"} trailing', ["Stop"]),
        (b'{"hook_event_name":"Stop"}{"hook_event_name":"PreToolUse"}', ["Stop", "PreToolUse"]),
        (b'{"hook_event_name":"Stop","hook_event_name":"PreToolUse"}', ["Stop", "PreToolUse"]),
        (b'{"hook_event_name":"Sto', [""]),
        (b'{"hook_event_name":', [""]),
        (b'{"hook_event_name":1}', [""]),
        (b'{"hook_event_name":{"a":"Stop"}}', [""]),
        (b'{"hook_event_name":"Stop" "x"}', [""]),
        (rb'{"hook_event_name":"St\op"}', [""]),
        (b'{"hook_event_name":"St\xffp"}', [""]),
        (b'{"hook_event_name', []),
        (b'{"a":"hook_event_name","b":"Stop"}', []),
        (b'{"a":{"hook_event_name":"Stop"}}', []),
        (b'{"a":[{"hook_event_name":"Stop"}]}', []),
        (b'{"a":"\\"hook_event_name\\":\\"Stop\\""}', []),
        (b'{"a":"\\\\","hook_event_name":"Stop"}', ["Stop"]),
        (b'{"a":1}}{{"hook_event_name":"Stop"}', []),
        (b'["hook_event_name":"Stop"]', []),
        (b'x{"hook_event_name":"Stop"}', []),
        (b"", []),
    ],
)
def test_a_key_counts_at_the_top_level_only(raw, values):
    assert top_level(raw, KEY) == values


def test_a_key_is_found_before_and_after_what_cannot_be_parsed():
    deep = b"[" * 10_000 + b"]" * 10_000
    assert top_level(b'{"hook_event_name":"Stop","a":' + deep, KEY) == ["Stop"]
    assert top_level(b'{"a":' + deep + b',"hook_event_name":"Stop"}', KEY) == ["Stop"]
    assert top_level(b'{"a":NaN,"a":1e999,"hook_event_name":"Stop"}', KEY) == ["Stop"]


@pytest.mark.parametrize(
    "piece", [b'\\"', b'"', b"\\", b"[", b"{}", b" ", b'"":', b'"\\u0068":', b'"hook_event_name":"']
)
def test_hostile_bytes_are_read_in_linear_time(piece):
    """A megabyte of each: with one wrong repetition in an expression this test does not end."""
    for start in (b"{", b'{"', b'{"hook_event_name":"', b'{"a":"'):
        assert all(type(value) is str for value in top_level(start + piece * (2**20 // len(piece)), KEY))


@FEW
@given(OBJECTS, st.data())
def test_a_value_is_found_wherever_its_key_stands_and_never_invented(fields, data):
    """Whatever stands around it, cut off anywhere: the value itself, or nothing, or doubt."""
    pairs = [(key, value) for key, value in fields.items() if key != KEY]
    pairs.insert(data.draw(st.integers(0, len(pairs))), (KEY, "PreToolUse"))
    raw = json.dumps(dict(pairs), ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    assert top_level(raw, KEY) == ["PreToolUse"]
    cut = data.draw(st.integers(0, len(raw)))
    assert top_level(raw[:cut], KEY) in ([], [""], ["PreToolUse"])
