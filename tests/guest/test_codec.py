"""Tests for what crosses the border to a guest. Every clause of the module's rules has its test."""

import datetime
import json
import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp, packb, unpackb

from wasmguard.decision import Effect
from wasmguard.errors import ConfigError, EventError, InvalidAnswer
from wasmguard.event import Event
from wasmguard.guest import codec
from wasmguard.guest.codec import Answer, decode_answer, encode_event, encode_settings, request
from wasmguard.limits import ANSWER_DEPTH, CONTEXT, EVENT_DEPTH, NOTE, NOTES, REASON, SAFE_INTEGER
from wasmguard.text import is_plain

EVERY_KEY = {
    "effect": "deny",
    "reason": "no",
    "rewrite": {"file_path": "/sandbox/a", "deep": [{"x": [1, 2.5, None, True]}]},
    "context": "two\nlines",
    "interrupt": True,
    "permissions": [{"type": "setMode", "mode": "plan", "destination": "session"}],
    "state": b"\x00\xff",
    "notes": ["one", "two"],
    "rewrite_output": {"stdout": "gone", "more": [{"text": "x"}]},
}
PROTOCOL = """hookSpecificOutput updatedInput updatedPermissions permissionDecision continue decision systemMessage
    suppressOutput stopReason async asyncTimeout modifiedInput"""  # of the agent: the host builds it, nobody copies it
ONE_OF_EACH_TYPE = {str: "pass", dict: {}, bool: True, list: [], bytes: b"", int: 1, float: 1.5, type(None): None}
few = settings(max_examples=200, deadline=None, database=None)


def event(fields, **ours):
    return Event(**{"name": "PreToolUse", "agent": "claude", "time": 7, "fields": fields, **ours})


def sent(fields, reads=None):
    return unpackb(encode_event(event(fields), reads))


def nested(depth, wrap):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


def in_list(value):
    return [value]


def in_map(value):
    return {"a": value}


def shows_itself(text):
    return all(map(is_plain, text))


def refusal(data):
    with pytest.raises(InvalidAnswer) as caught:
        decode_answer(data)
    return str(caught.value)


# The request


@pytest.mark.parametrize("state", [None, b"", b"x", b"x" * 255, b"x" * 256, b"x" * 65_535, b"x" * 65_536])
def test_a_request_put_together_from_parts_is_the_map_packed_at_once(state):
    whole = {"abi": 1, "event": {"hook_event_name": "Stop"}, "settings": {"root": "/sandbox"}, "state": state}
    assert request(packb(whole["event"]), packb(whole["settings"]), state) == packb(whole)


def test_an_event_is_sent_with_its_agent_and_time():
    assert sent({"prompt": "hi"}) == {"prompt": "hi", "hook_event_name": "PreToolUse", "agent": "claude", "time": 7}


def test_our_own_words_replace_fields_of_the_same_name():
    assert sent({"agent": "liar", "time": 1, "hook_event_name": "Stop"}) == sent({})


def test_a_policy_is_sent_only_what_it_reads_and_the_name_of_the_event():
    fields = {"tool_name": "Write", "tool_input": {}, "cwd": "/", "agent": "x"}
    assert sent(fields, frozenset({"tool_name", "absent"})) == {"tool_name": "Write", "hook_event_name": "PreToolUse"}
    assert sent(fields, frozenset()) == {"hook_event_name": "PreToolUse"}
    assert sent(fields, frozenset({"time", "agent"})) == sent({})


@pytest.mark.parametrize(
    "value",
    [
        "\0",
        "a\0b",
        2**53 + 1,
        2**64 - 1,
        -(2**63),
        12345678901234567000,
        0.1,
        -0.0,
        1e308,
        "é😀",
        {"": ""},
        [],
        {},
        None,
    ],
)
def test_what_json_can_say_passes_unharmed(value):
    got = sent({"x": value})["x"]
    assert got == value
    assert type(got) is type(value)


def test_a_text_of_five_megabytes_passes():
    assert sent({"x": "é" * 2_500_000})["x"] == "é" * 2_500_000


json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),  # without surrogates
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@few
@given(st.dictionaries(st.text(), json_data, max_size=4))
def test_any_json_data_passes_unharmed(fields):
    ours = {"hook_event_name": "PreToolUse", "agent": "claude", "time": 7}
    assert json.dumps(sent(fields)) == json.dumps({**fields, **ours})


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\udc00", "\ufffd"),
        ("\ud800" * 2, "\ufffd" * 2),
        ("\udc00" + "\ud800", "\ufffd" * 2),  # in this order no pair
        ("\ud83d" + "\ude00", "😀"),  # a pair in two pieces, as a JavaScript agent would read it
        ("\ufeff\ud800", "\ufeff\ufffd"),  # a byte order mark inside a text is a character
    ],
)
def test_a_lone_surrogate_arrives_as_what_the_agents_tools_write_for_it(text, arrives):
    assert sent({"x": text, "y": [{text: text}]}) == {**sent({}), "x": arrives, "y": [{arrives: arrives}]}


def test_keys_that_surrogates_alone_tell_apart_are_refused_and_not_merged():
    with pytest.raises(EventError, match="two keys"):
        sent({"x": {chr(0xD800): 1, chr(0xD801): 2}})


class Text(str):
    """A subclass, which another encoder might write in another way."""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**64, "integer outside"),
        (-(2**63) - 1, "integer outside"),
        (math.nan, "not finite"),
        (-math.inf, "not finite"),
        (b"x", "binary"),
        ((1,), "`tuple`"),
        ({1}, "`set`"),
        (Text("x"), "`Text`"),
        (datetime.date(2026, 1, 1), "`date`"),
        ({1: 2}, "key that is not text"),
        ({b"a": 2}, "key that is not text"),
        (nested(EVENT_DEPTH, in_list), "nested deeper than 64"),
        (nested(EVENT_DEPTH, in_map), "nested deeper than 64"),
        (nested(5_000, in_list), "nested deeper than 64"),
    ],
)
def test_what_json_cannot_say_is_an_error_that_names_the_field(value, why):
    for place in (value, [value], {"a": [value]}):
        with pytest.raises(EventError, match=why) as caught:
            sent({"fine": 1, "tool_input": place})
        assert str(caught.value).startswith('event: "tool_input" ')


def test_a_field_that_is_not_read_may_be_anything():
    assert sent({"x": b"binary"}, frozenset({"tool_name"})) == {"hook_event_name": "PreToolUse"}


@pytest.mark.parametrize("wrap", [in_list, in_map])
def test_an_event_may_be_as_deep_as_its_limit(wrap):
    deepest = nested(EVENT_DEPTH - 1, wrap)  # the event itself is the first level
    assert sent({"x": deepest})["x"] == deepest


def test_the_name_of_a_field_cannot_steer_the_reader_of_the_error():
    with pytest.raises(EventError) as caught:
        sent({"\x1b[2J\n": b""})
    assert shows_itself(str(caught.value))


def test_settings_are_encoded_like_events():
    assert unpackb(encode_settings({"root": "/sandbox", "n": [1]})) == {"root": "/sandbox", "n": [1]}


def test_a_setting_that_json_cannot_say_is_the_owners_error():
    with pytest.raises(ConfigError, match='settings: "until" holds a `date`'):
        encode_settings({"until": datetime.date(2026, 1, 1)})


# The answer


def test_an_empty_map_is_a_pass():
    assert decode_answer(b"\x80") == Answer()
    assert Answer().effect is Effect.PASS


def test_an_answer_may_use_every_key():
    answer = decode_answer(packb(EVERY_KEY))
    as_given = {**EVERY_KEY, "effect": Effect.DENY, "notes": ("one", "two")}
    assert answer.as_dict() == {**as_given, "permissions": tuple(EVERY_KEY["permissions"])}


@pytest.mark.parametrize("output", [["a", {"text": "b"}], "text", {"stdout": ""}, [], ""])
def test_an_output_may_be_a_map_a_list_or_a_text(output):
    assert decode_answer(packb({"rewrite_output": output})).rewrite_output == output


def test_an_empty_map_replaces_no_output():
    assert decode_answer(packb({"rewrite_output": {}})) == Answer()


@pytest.mark.parametrize("effect", Effect)
def test_an_effect_is_one_of_four_words(effect):
    assert decode_answer(packb({"effect": effect.name.lower()})).effect is effect


@pytest.mark.parametrize(
    "word", ["", "PASS", "Deny", " deny", "deny ", "deny\0", "approve", "block", "defer", "ａllow"]
)
def test_no_other_spelling_is_an_effect(word):
    assert refusal(packb({"effect": word})).startswith("`effect` is none of pass, allow, ask, deny:")


@pytest.mark.parametrize("key", EVERY_KEY)
def test_a_value_has_exactly_the_type_of_its_key(key):
    fitting = (dict, list, str) if key == "rewrite_output" else (type(EVERY_KEY[key]),)
    for given_type, value in ONE_OF_EACH_TYPE.items():
        if given_type in fitting:
            decode_answer(packb({key: value}))
        else:
            assert f"`{key}` of the answer is" in refusal(packb({key: value}))


@pytest.mark.parametrize("value", [1, 1.5, True, None, b"x", [], {}])
def test_a_note_is_text(value):
    assert "a note of the answer" in refusal(packb({"notes": ["fine", value]}))


@pytest.mark.parametrize(
    "key",
    ["", "effect ", "Effect", "fault", "policy", *PROTOCOL.split()],
)
def test_the_key_set_is_closed(key):
    assert "unknown key" in refusal(packb({"effect": "pass", key: "x"}))


def test_an_unknown_key_cannot_steer_the_reader_of_the_error():
    assert refusal(packb({'\x1b]52;c;eA==\x07"\n\u202e': 1})).isprintable()
    assert len(refusal(packb({"x" * 60_000: 1}))) < 200


@pytest.mark.parametrize("value", ONE_OF_EACH_TYPE.values())
def test_an_answer_is_a_map(value):
    if value != {}:
        assert "must be a map" in refusal(packb(value))


def test_a_key_twice_is_refused_at_every_depth():
    twice = b"\x82" + 2 * (packb("effect") + packb("pass"))
    assert "twice" in refusal(twice)
    assert "twice" in refusal(b"\x81" + packb("rewrite") + twice)
    assert "twice" in refusal(b"\x81" + packb("permissions") + b"\x91" + twice)
    assert "twice" in refusal(b"\x82" + packb("effect") + b"\xa4pass" + b"\xd9\x06effect" + b"\xa4deny")  # spelt anew


@pytest.mark.parametrize("key", [1, -1, 1.5, math.nan, True, None, b"effect", b"", (1,)])
def test_a_key_is_text_at_every_depth(key):
    bad = b"\x81" + packb(key) + packb("pass")
    assert "must be text" in refusal(bad)
    assert "must be text" in refusal(b"\x81" + packb("rewrite") + b"\x81" + packb("x") + bad)


def test_a_map_is_no_key():
    assert refusal(b"\x81\x80\x01")


def test_every_ext_type_is_refused():
    for code, length in product(range(128), (0, 1, 2, 4, 8, 12, 16, 17)):
        for value in (ExtType(code, b"x" * length), {"rewrite": {"a": ExtType(code, b"x" * length)}}):
            refusal(packb(value))


@pytest.mark.parametrize("length", [0, 1, 2, 4, 8, 12, 16, 255])
def test_every_reserved_ext_type_is_refused(length):
    for code in range(128, 256):  # negative: the format's own, timestamps among them
        refusal(b"\x81" + packb("state") + bytes([0xC7, length, code]) + b"x" * length)


def test_a_timestamp_is_refused_although_the_library_knows_it():
    for seconds, nanoseconds in ((0, 0), (1, 1), (2**35, 1)):
        refusal(packb({"rewrite": {"a": Timestamp(seconds, nanoseconds)}}))


@pytest.mark.parametrize("error", [ValueError, TypeError, RecursionError, MemoryError, OverflowError, KeyError])
def test_whatever_the_library_raises_is_an_invalid_answer(error, monkeypatch):
    def broken(*_arguments, **_options):
        raise error

    monkeypatch.setattr(codec, "unpackb", broken)
    assert error.__name__ in refusal(b"\x80")


def test_nothing_may_follow_the_answer():
    for byte in range(256):
        refusal(b"\x80" + bytes([byte]))
        refusal(packb(EVERY_KEY) + bytes([byte]))


def test_no_part_of_an_answer_is_an_answer():
    whole = packb(EVERY_KEY)
    for cut in range(len(whole)):
        refusal(whole[:cut])


def test_of_all_answers_up_to_two_bytes_only_the_empty_map_is_one():
    for data in [b"", *map(bytes, product(range(256), repeat=1)), *map(bytes, product(range(256), repeat=2))]:
        if data != b"\x80":
            refusal(data)


@pytest.mark.parametrize("header", [b"\xdb", b"\xc6", b"\xc9", b"\xdd", b"\xdf"])
@pytest.mark.parametrize("count", [b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x00\x01\x00\x00"])
def test_a_count_that_lies_is_refused(header, count):
    refusal(header + count)
    refusal(b"\x81" + packb("notes") + header + count)
    refusal(b"\x81" + packb("state") + header + count + b"x")


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc0\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]
)
def test_text_is_utf8(text):
    refusal(b"\x81" + packb("reason") + bytes([0xA0 + len(text)]) + text)


@pytest.mark.parametrize("wrap", [in_list, in_map])
def test_sixteen_levels_are_the_deepest(wrap):
    below = ANSWER_DEPTH - 2  # the answer and its rewrite are the first two
    deepest = nested(below, wrap)
    assert decode_answer(packb({"rewrite": {"a": deepest}})).rewrite == {"a": deepest}
    assert decode_answer(packb({"permissions": [deepest]})).permissions == (deepest,)
    for more in (1, 100, 400):
        for key, value in (
            ("rewrite", {"a": nested(below + more, wrap)}),
            ("permissions", [nested(below + more, wrap)]),
        ):
            assert "nested deeper" in refusal(packb({key: value}))


@pytest.mark.parametrize("header", [b"\x91", b"\x81\xa1a", b"\xdc\x04\x00"])
def test_no_depth_ends_the_process(header):
    refusal(b"\x81" + packb("rewrite") + b"\x81\xa1a" + header * 20_000)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_floats_are_finite(number):
    for single in (False, True):
        for value in ({"rewrite": {"a": number}}, {"rewrite": {"a": [1.5, number]}}, {"permissions": [[number]]}):
            assert "not finite" in refusal(packb(value, use_single_float=single))


@pytest.mark.parametrize("number", [SAFE_INTEGER, -SAFE_INTEGER, 0, 1e308, -0.0, 5e-324])
def test_numbers_that_everybody_reads_alike_are_kept(number):
    assert decode_answer(packb({"rewrite": {"a": [number]}})).rewrite == {"a": [number]}


@pytest.mark.parametrize("number", [SAFE_INTEGER + 1, -SAFE_INTEGER - 1, 2**64 - 1, -(2**63)])
def test_integers_stay_within_what_everybody_reads_alike(number):
    assert "integer outside" in refusal(packb({"rewrite": {"a": [number]}}))
    assert "integer outside" in refusal(packb({"permissions": [{"a": number}]}))


def test_binary_is_the_value_of_state_and_nothing_else():
    assert decode_answer(packb({"state": b""})).state == b""
    for value in (
        {"rewrite": {"a": b""}},
        {"rewrite": {"a": [b""]}},
        {"rewrite": {"state": b"x"}},
        {"permissions": [b""]},
    ):
        assert "binary" in refusal(packb(value))


def test_an_empty_rewrite_is_none():
    assert decode_answer(packb({"rewrite": {}})).rewrite is None


def test_maps_and_arrays_have_a_most():
    fields = {f"f{i}": i for i in range(65)}
    assert refusal(packb({"rewrite": fields}))
    assert refusal(packb({"permissions": [1] * 1_025}))
    del fields["f0"]
    assert decode_answer(packb({"rewrite": fields})).rewrite == fields
    assert len(decode_answer(packb({"permissions": [1] * 1_024})).permissions) == 1_024


@pytest.mark.parametrize("wrap", [in_list, in_map])
def test_maps_and_arrays_are_counted_over_the_whole_answer(wrap):
    """Bytes do not bound them: 64 KiB of empty ones cost 70 to 150 ms."""
    several = [[wrap(1)] * 1_000, [wrap(1)] * 1_000]
    assert decode_answer(packb({"rewrite": {"a": several}})).rewrite == {"a": several}
    several.append([wrap(1)] * 50)
    assert "more than 2_048 maps and arrays" in refusal(packb({"rewrite": {"a": several}}))
    assert "more than 2_048 maps and arrays" in refusal(packb({"permissions": [several]}))


def test_texts_are_cleaned_and_cut():
    dirty = "a\x1b[2J\u202e\r\nb\x00"
    answer = decode_answer(packb({"reason": dirty, "context": dirty, "notes": [dirty]}))
    assert answer.reason == answer.notes[0] == "a\ufffd[2J\ufffd b\ufffd"
    assert answer.context == "a\ufffd[2J\ufffd\ufffd\nb\ufffd"
    answer = decode_answer(packb({"reason": "r" * 9_999, "context": "c" * 9_999, "notes": ["n" * 9_999]}))
    assert [len(answer.reason), len(answer.context), len(answer.notes[0])] == [REASON, CONTEXT, NOTE]


def test_notes_that_are_too_many_are_cut_and_counted():
    assert decode_answer(packb({"notes": ["n"] * NOTES})).notes == ("n",) * NOTES
    for many in (NOTES + 1, 1_024):
        notes = decode_answer(packb({"notes": ["n"] * many})).notes
        assert notes == (*["n"] * (NOTES - 1), f"{many - NOTES + 1} more notes were cut")


def is_sound(answer):
    """What everybody behind the decoder relies on."""
    json.dumps([answer.rewrite, answer.permissions], allow_nan=False).encode()
    return (
        type(answer.effect) is Effect
        and answer.rewrite != {}
        and type(answer.interrupt) is bool
        and type(answer.state) in (bytes, type(None))
        and all(map(shows_itself, (answer.reason, *answer.notes)))
        and len(answer.notes) <= NOTES
    )


def reads_soundly_or_is_invalid(data):
    try:
        return is_sound(decode_answer(data))
    except InvalidAnswer as refused:
        return shows_itself(str(refused)) and len(str(refused)) < 300


@settings(max_examples=1_500, deadline=None, database=None)
@given(
    st.sampled_from([packb(EVERY_KEY), packb({"effect": "ask", "rewrite": {"a": [1, 2.5, "x", None]}}), b"\x80"]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 4), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_a_mutated_answer_is_sound_or_invalid(data, mutations):
    for place, length, new in mutations:
        data = data[:place] + new + data[place + length :]
    assert reads_soundly_or_is_invalid(data)


@few
@given(st.binary(max_size=64))
def test_random_bytes_are_sound_or_invalid(data):
    assert reads_soundly_or_is_invalid(data)
    assert reads_soundly_or_is_invalid(b"\x81" + packb("rewrite") + b"\x81\xa1a" + data)


def test_every_byte_of_an_answer_may_be_any_other():
    whole = packb({"effect": "pass", "rewrite": {"a": [1.5]}, "state": b"x"})
    for place, byte in product(range(len(whole)), range(256)):
        assert reads_soundly_or_is_invalid(whole[:place] + bytes([byte]) + whole[place + 1 :])
