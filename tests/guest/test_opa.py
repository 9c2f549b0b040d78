"""A policy in Rego is asked like any other: requests and answers in msgpack, and JSON between."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgpack import packb, unpackb

from wasmguard.decision import Effect
from wasmguard.errors import InvalidAnswer, NotAtOnce
from wasmguard.event import Event
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.guest.opa import ANSWER, AT_ONCE, DENY, Rego, answer, as_input
from wasmguard.sandbox.at_once import BYTES

FIELDS = {
    "tool_name": "Write",
    "tool_input": {"file_path": '/etc/\u00fc\U0001f600\x00\n"\\', "n": [1, -2.5, None, True]},
}


def asked(fields, settings=None, state=None):
    event = Event(name="PreToolUse", agent="claude", fields=fields, time=7)
    return request(encode_event(event), encode_settings(settings or {}), state)


def result(value):
    return json.dumps([{"result": value}]).encode()


def read(value, entrypoint=ANSWER):
    return decode_answer(answer(result(value), entrypoint))


def refusal(data, entrypoint=ANSWER):
    with pytest.raises(InvalidAnswer) as caught:
        decode_answer(answer(data, entrypoint))
    return str(caught.value)


# --- the request


def test_the_input_says_what_the_request_says():
    data = as_input(asked(FIELDS, {"folder": "/etc"}, "was \u00fc".encode()))
    event = {**FIELDS, "hook_event_name": "PreToolUse", "agent": "claude", "time": 7}
    assert json.loads(data) == {"event": event, "settings": {"folder": "/etc"}, "state": "was \u00fc"}
    assert json.loads(as_input(asked({})))["state"] is None


def test_text_is_sent_as_it_is_because_every_escape_costs_the_policy_fuel():
    assert "\u00fc\U0001f600".encode() in as_input(asked(FIELDS))


ENTRIES = {"abi": 1, "event": {}, "settings": {}, "state": None}


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xc1", b"\x93", b"\xdf\xff\xff\xff\xff", b"\x81" * 5_000, b"\x80", b"\xc0"),
        *(packb(ENTRIES)[:size] for size in range(1, len(packb(ENTRIES)))),
        packb(ENTRIES) + b"\xc0",
        *(packb({key: value for key, value in ENTRIES.items() if key != name}) for name in ENTRIES),
        *(b"\x85" + packb(ENTRIES)[1:] + packb(name) + packb(value) for name, value in ENTRIES.items()),
        *(packb({**ENTRIES, "abi": other}) for other in (2, True, "1", 1.0, None)),
        *(packb({**ENTRIES, name: other}) for name in ("event", "settings") for other in ([], None, "x")),
        *(packb({**ENTRIES, "state": other}) for other in ("text", 1, b"\xff", [])),
        packb({**ENTRIES, "more": 1}),
        *(packb({**ENTRIES, "event": {"x": other}}) for other in (b"bin", float("nan"), float("inf"), {1: 2})),
        packb(ENTRIES).replace(packb("event") + b"\x80", packb("event") + b"\x81\xa1x\xd4\x01\x00"),
        packb(ENTRIES).replace(packb("event") + b"\x80", packb("event") + b"\x81\xa1x\xa1\xff"),
        packb(ENTRIES).replace(packb("event") + b"\x80", packb("event") + b"\x82\xa1x\x01\xa1x\x02"),
    ],
)
def test_a_request_that_cannot_be_read_never_reaches_the_policy(data):
    with pytest.raises(InvalidAnswer, match="cannot be said in JSON"):
        as_input(data)


def test_an_event_as_deep_as_events_may_be_is_sent():
    deep = "x"
    for _ in range(62):
        deep = [deep]
    assert json.loads(as_input(asked({"x": deep})))["event"]["x"] == deep


# --- the answer


def test_an_object_is_an_answer():
    said = read(
        {"effect": "deny", "reason": "no", "notes": ["a"], "interrupt": True, "state": "\u00fc", "context": "c"}
    )
    assert (said.effect, said.reason, said.notes, said.interrupt) == (Effect.DENY, "no", ("a",), True)
    assert (said.state, said.context) == ("\u00fc".encode(), "c")
    assert read({}).effect is Effect.PASS
    assert read({"rewrite": {"file_path": "/x", "n": 1.5}}).rewrite == {"file_path": "/x", "n": 1.5}


def test_an_undefined_answer_is_no_pass():
    assert refusal(b"[]") == "`wasmguard/answer` is undefined for this event: give it a `default`"
    assert refusal(b"[]", DENY) == "`wasmguard/deny` is undefined for this event: make it a set, by `deny contains …`"


def test_a_set_of_reasons_is_a_deny_with_all_of_them_in_order():
    said = read(["b", "a", "\U0001f600", "\uffee"], DENY)
    assert (said.effect, said.reason) == (Effect.DENY, "a; b; \uffee; \U0001f600")
    assert read([], DENY) == decode_answer(packb({}))
    assert read([""], DENY).effect is Effect.DENY


@pytest.mark.parametrize("value", [{}, {"a": 1}, "no", None, True, 1, [1], ["a", None], [["a"]], [{"msg": "no"}]])
def test_reasons_that_are_no_set_of_texts_are_a_fault(value):
    assert refusal(result(value), DENY).startswith("`wasmguard/deny` ")


@pytest.mark.parametrize("value", [[], ["deny"], "deny", None, True, 1, 1.5])
def test_an_answer_that_is_no_object_is_a_fault(value):
    assert refusal(result(value)).endswith(" and must be an object")


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"nul",
            b"[",
            b"{}",
            b"null",
            b"7",
            b'"x"',
            b'[{"result":{}}]x',
            b"[{}]",
            b"[[]]",
            b"[1]",
            b"\xef\xbb\xbf[]",
        ),
        *(b'[{"result":{}},{"result":{}}]', b'[{"result":{},"more":1}]', b'[{"result":{},"result":{}}]'),
        *(b'[{"result":{"effect":"pass","effect":"deny"}}]', b'[{"result":{"effect":"deny"}},{}]'),
        *(b'[{"result":{"rewrite":{"a":{"b":1,"b":1}}}}]', b'[{"result":{"reason":"\\ud800"}}]'),
        *(b'[{"result":{"reason":"\xff"}}]', b'[{"result":{"reason":"\n"}}]', b'[{"result":{"state":"\\udfff"}}]'),
        *(b'[{"result":{"rewrite":{"a":NaN}}}]', b'[{"result":{"rewrite":{"a":1e999}}}]'),
        *(b'[{"result":{"rewrite":{"a":-Infinity}}}]', b'[{"result":{"rewrite":{"a":18446744073709551616}}}]'),
        *(b'[{"result":{"rewrite":{"a":9007199254740993}}}]', b'[{"result":{"rewrite":{"a":%s}}}]' % (b"9" * 5_000)),
        *(b"[" * 50_000, b'{"a":' * 50_000, b'[{"result":{"rewrite":{"a":%s%s}}}]' % (b"[" * 40, b"]" * 40)),
        b'[{"result":{"notes":[%s]}}]' % b",".join([b'"x"'] * 1_025),
        b'[{"result":{"rewrite":{"a":[%s]}}}]' % b",".join([b"[[],[]]"] * 1_000),
        b'[{"result":{"rewrite":{%s}}}]' % b",".join(b'"k%d":1' % number for number in range(65)),
    ],
)
def test_bytes_that_are_no_result_are_a_fault(data):
    refusal(data)


@pytest.mark.parametrize(
    "value",
    [
        *(
            {"effect": "Deny"},
            {"effect": None},
            {"effect": ["deny"]},
            {"reason": 1},
            {"interrupt": "yes"},
            {"notes": "x"},
        ),
        *(
            {"notes": [1]},
            {"state": 1},
            {"state": None},
            {"rewrite": []},
            {"unknown": 1},
            {"permissions": {}},
            {"context": 1},
        ),
    ],
)
def test_the_schema_is_that_of_every_answer(value):
    refusal(result(value))


@given(
    some.binary()
    | some.text().map(str.encode)
    | some.text(alphabet='[]{}":,resultpads0.-\\', max_size=60).map(str.encode)
)
def test_no_bytes_raise_anything_else(data):
    for entrypoint in (ANSWER, DENY):
        with suppress(InvalidAnswer):
            decode_answer(answer(data, entrypoint))


# --- both


class Fake:
    """A module of OPA that always says *said*."""

    def __init__(self, said):
        self.said, self.asked = said, []

    def evaluate(self, data, *, at_once=False):
        self.asked.append((json.loads(data), at_once))
        return self.said, 11


def test_it_is_asked_like_any_other_guest():
    guest = Fake(result({"effect": "ask"}))
    said, fuel = Rego(guest, ANSWER).evaluate(asked(FIELDS), at_once=True)
    assert (unpackb(said), fuel) == ({"effect": "ask"}, 11)
    ((data, at_once),) = guest.asked
    assert (data["event"]["tool_name"], at_once) == ("Write", True)


def test_a_large_event_is_not_even_read_while_a_loop_waits():
    guest = Fake(result({}))
    with pytest.raises(NotAtOnce):
        Rego(guest, ANSWER).evaluate(asked({"content": "x" * AT_ONCE}), at_once=True)
    assert guest.asked == []
    assert AT_ONCE == BYTES


def test_a_fault_of_its_answer_says_what_was_burned():
    with pytest.raises(InvalidAnswer) as caught:
        Rego(Fake(b"[]"), ANSWER).evaluate(asked(FIELDS))
    assert caught.value.fuel == 11


def test_a_state_of_another_policy_is_a_fault_and_not_forgotten():
    with pytest.raises(InvalidAnswer):
        Rego(Fake(result({})), ANSWER).evaluate(asked(FIELDS, state=b"\xff\x00"))
