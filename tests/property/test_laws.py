"""Laws that hold for whatever a guest answers: grants only tighten, and a verdict depends on nothing but its input."""

import json
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmguard import Effect, Guard
from wasmguard.agents import claude
from wasmguard.errors import GuestFault
from wasmguard.event import Event
from wasmguard.guest.codec import Answer, decode_answer, encode_event, encode_settings, request
from wasmguard.guest.grants import Grants, Max, OneOf, Within, answered
from wasmguard.limits import SAFE_INTEGER
from wasmguard.text import one_line

many = settings(max_examples=300, deadline=None, database=None)
PASS, ALLOW, ASK, DENY = Effect
LOOSENESS = {ALLOW: 0, PASS: 1, ASK: 2, DENY: 3}  # what a user loses: with an allow nobody asks him any more

# Grants only tighten

FIELDS = {"file_path": "/etc/x", "content": "hello", "command": "ls", "n": 6, "flag": True}
values = st.sampled_from(
    ["/etc/x", "/sandbox/a", "/sandbox/in/a", "/sandbox/../a", "hello", "x" * 40, "ls", 6, 7, True]
)
updates = st.sampled_from([{"type": "setMode", "mode": "plan"}, {"type": "addDirectories", "directories": ["/a"]}])
answers = st.builds(
    Answer,
    effect=st.sampled_from(Effect),
    rewrite=st.none() | st.dictionaries(st.sampled_from([*FIELDS, "no such field"]), values, min_size=1, max_size=3),
    permissions=st.lists(
        st.builds(
            lambda update, where: {**update, "destination": where}, updates, st.sampled_from(["session", "cliArg"])
        ),
        max_size=2,
    ).map(tuple),
    state=st.none() | st.binary(max_size=6),
    interrupt=st.booleans(),
)
constraints = st.one_of(
    st.builds(Within, root=st.sampled_from(["/sandbox", "/sandbox/in"])),
    st.builds(Max, bytes=st.sampled_from([3, 10, 100]), silent=st.booleans()),
    st.builds(OneOf, values=st.lists(values, max_size=4).map(tuple), silent=st.booleans()),
)
tools = st.sampled_from(["Write", "W*", "*", "Bash"])
grants = st.builds(
    Grants,
    effects=st.sets(st.sampled_from(Effect)).map(frozenset),
    rewrite=st.dictionaries(st.tuples(tools, st.sampled_from([*FIELDS])).map(".".join), constraints, max_size=8),
    permissions=st.sets(st.sampled_from(["session", "cliArg"])).map(frozenset),
    state=st.sampled_from([0, 3, 100]),
)


@st.composite
def fewer(draw, given_grants):
    """Some of the same grants, each as it was or tighter."""
    lost = draw(st.sets(st.sampled_from([*FIELDS])))  # with every key for the field: a name goes before a wider pattern
    return Grants(
        effects=given_grants.effects - draw(st.sets(st.sampled_from(Effect))),
        rewrite={key: draw(tighter(c)) for key, c in given_grants.rewrite.items() if key.split(".")[1] not in lost},
        permissions=given_grants.permissions - draw(st.sets(st.sampled_from(["session", "cliArg"]))),
        state=min(given_grants.state, draw(st.sampled_from([0, 3, 100]))),
    )


def tighter(constraint):
    if isinstance(constraint, Within):
        return st.sampled_from([constraint, Within(root="/sandbox/in")])
    if isinstance(constraint, Max):
        less = [constraint.replaced(silent=False), constraint.replaced(bytes=constraint.bytes // 2)]
        return st.sampled_from([constraint, *less])
    return st.sampled_from(
        [constraint, constraint.replaced(values=constraint.values[1:]), constraint.replaced(silent=False)]
    )


def outcome(answer, event, given_grants):
    """How loose it is, and the input that would run; a fault denies."""
    try:
        verdict = answered("p", answer, event, given_grants)
    except GuestFault:
        return LOOSENESS[DENY], event.input
    return LOOSENESS[verdict.effect], verdict.rewrite or event.input


@many
@given(answers, st.data())
def test_fewer_grants_are_never_looser_and_change_no_other_field(answer, data):
    event = Event(name="PreToolUse", agent="claude", fields={"tool_name": "Write", "tool_input": FIELDS})
    more = data.draw(grants)
    less = data.draw(fewer(more))
    (loose, with_more), (tight, with_less) = outcome(answer, event, more), outcome(answer, event, less)
    assert tight >= loose
    for field, value in FIELDS.items():
        assert with_less[field] is value or with_less[field] is with_more[field]
        if less.constraint_of("Write", field) is None:
            assert with_less[field] is value


@many
@given(answers, grants)
def test_without_grants_a_policy_does_nothing_but_tighten(answer, given_grants):
    event = Event(name="PreToolUse", agent="claude", fields={"tool_name": "Write", "tool_input": FIELDS})
    loose, ran = outcome(answer, event, Grants())
    assert loose >= LOOSENESS[PASS]
    assert ran is event.input or ran == FIELDS
    assert outcome(answer, event, given_grants)[0] >= LOOSENESS[answer.effect]


# The codec, against an encoder and a decoder that share nothing with it

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-SAFE_INTEGER, SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),  # without surrogates
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@many
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "effect": st.sampled_from(["pass", "allow", "ask", "deny"]),
            "reason": st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)),
            "rewrite": st.dictionaries(st.text(), plain, min_size=1, max_size=4),
            "interrupt": st.booleans(),
            "permissions": st.lists(plain, max_size=3),
            "state": st.binary(max_size=300),
        },
    ),
    st.integers(),
)
def test_an_answer_is_read_as_it_was_meant_in_whatever_form_it_was_written(fuzz, said, seed):
    answer = decode_answer(fuzz.packed(random.Random(seed), said))
    expected = Answer().as_dict() | said | {"permissions": tuple(said.get("permissions", ()))}
    expected["effect"] = Effect[said.get("effect", "pass").upper()]
    got = answer.as_dict()
    assert got == expected
    assert repr(got["rewrite"]) == repr(expected["rewrite"])  # types too: 1 is not true, -0.0 is not 0.0


@many
@given(
    st.dictionaries(st.text(), plain, max_size=4),
    st.dictionaries(st.text(), plain, max_size=3),
    st.binary(max_size=300),
)
def test_a_request_says_what_was_asked_to_any_reader(fields, given_settings, state):
    event = Event(name="Stop", agent="claude", time=7, fields=fields)
    read, rest = unpacked(request(encode_event(event), encode_settings(given_settings), state))
    ours = {"hook_event_name": "Stop", "agent": "claude", "time": 7}
    assert rest == b""
    assert repr(read) == repr({"abi": 1, "event": {**fields, **ours}, "settings": given_settings, "state": state})


def unpacked(data):
    """The first value in msgpack *data* and what follows: a reader of 25 lines, by the specification."""
    first, rest = data[0], data[1:]
    fixed = {0xC0: None, 0xC2: False, 0xC3: True}
    numbers = {first: f">{form}" for first, form in enumerate("fdBHIQbhiq", 0xCA)}
    counts = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
    counts |= {0xDC: ">H", 0xDD: ">I", 0xDE: ">H"}
    if first in fixed:
        return fixed[first], rest
    if first < 0x80 or first >= 0xE0:
        return struct.unpack(">b", data[:1])[0], rest
    if first in numbers:
        size = struct.calcsize(numbers[first])
        return struct.unpack(numbers[first], rest[:size])[0], rest[size:]
    if first in counts:
        size = struct.calcsize(counts[first])
        (count,), rest = struct.unpack(counts[first], rest[:size]), rest[size:]
    else:
        count = first & (0x1F if first >= 0xA0 else 0x0F)
    if first in (0xC4, 0xC5, 0xC6):
        return rest[:count], rest[count:]
    if first in (0xD9, 0xDA, 0xDB) or 0xA0 <= first < 0xC0:
        return rest[:count].decode(), rest[count:]
    items = []
    for _ in range(count * (2 if first < 0x90 or first == 0xDE else 1)):
        item, rest = unpacked(rest)
        items.append(item)
    is_map = first < 0x90 or first == 0xDE
    return (dict(zip(items[::2], items[1::2], strict=True)) if is_map else items), rest


# A decision depends on the event and nothing else

WRITE = {
    "session_id": "s",
    "hook_event_name": "PreToolUse",
    "tool_name": "Write",
    "tool_input": {"file_path": "/etc/x", "content": "x"},
    "cwd": "/work",
}
CHAIN = """
[[policy]]
name = "redirect"
module = "builtin:path-redirect"
grants.rewrite."Write.file_path" = { within = "/sandbox" }
[[policy]]
name = "gate"
module = "builtin:tool-gate"
settings = { deny_commands = ["rm -rf"] }
grants.effects = ["deny", "ask", "allow"]
"""
RUNNING = """pass allow ask deny empty_map echo_input rewrite_constant counter residue_writer residue_reader
    escape_reason forged_reason nan deep duplicate_key ext_type invalid_utf8 nil_reason not_a_map protocol_field
    trailing_bytes
    truncated_answer unknown_key wrong_type bad_effect giant_map answer_null answer_minus_one answer_past_end
    answer_swapped answer_wraps answer_too_long alloc_zero alloc_negative alloc_outside unreachable divide_by_zero
    out_of_bounds indirect_null recursion loop_evaluate grow_then_answer component_pass component_trap
    component_error"""


def spoken(guard, event):
    """Everything that a decision says, but for how long it took; and the bytes that the agent gets."""
    parsed = claude.from_mapping(event, time=7)
    decision = guard.decide(parsed)
    told = [v.replaced(microseconds=0.0).as_dict() for v in decision.verdicts]
    said = [repr(told), decision.effect, decision.reason, decision.context, decision.rewrite, decision.permissions]
    return said, claude.encode(claude.render(parsed, decision))


@pytest.fixture
def chain(tmp_path, own_home):
    path = tmp_path / "chain.toml"
    path.write_text(CHAIN)
    return path


@pytest.fixture
def shadows(configured):
    """Every guest that runs at all, asked and never obeyed, so that nobody's deny ends the asking."""
    names = RUNNING.split()
    granted = {"shadow": "true", "grants.effects": '["allow"]'}
    granted |= {'grants.rewrite."Write.file_path"': '{ max = "1 KiB" }'}
    roomy = {name: {"limits.profile": '"roomy"'} for name in names if name.startswith("component")}
    return configured(*names, **{name: granted | roomy.get(name, {}) for name in names})


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_thousand_decisions_about_one_event_are_the_same_bytes(chain, isolation):
    with Guard.load(chain, isolation=isolation) as guard:
        first = spoken(guard, WRITE)
        assert b'"file_path":"/sandbox/etc/x"' in first[1]
        for _ in range(1_000):
            assert spoken(guard, WRITE) == first


def test_a_verdict_is_the_same_in_a_thread_and_in_a_process(shadows):
    events = [WRITE, {**WRITE, "tool_name": "Bash", "tool_input": {"command": "ls", "file_path": "é\x00\ud800"}}]
    with Guard.load(shadows, isolation="thread") as thread, Guard.load(shadows, isolation="process") as process:
        for event in events:
            ours, theirs = (guard.decide(claude.from_mapping(event, time=7)) for guard in (thread, process))
            assert [v.policy for v in ours.verdicts] == [name.replace("_", "-") for name in RUNNING.split()]
            for one, other in zip(ours.verdicts, theirs.verdicts, strict=True):
                assert one.replaced(microseconds=0.0) == other.replaced(microseconds=0.0)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
events = st.builds(
    lambda tool, path, content: {**WRITE, "tool_name": tool, "tool_input": {"file_path": path, "content": content}},
    st.sampled_from(["Write", "Edit", "Bash", "Read"]),
    st.sampled_from(["/etc/x", "/sandbox/a", "a", "../a", "", "/"]) | texts,
    texts,
)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_no_event_leaves_anything_behind_for_the_next(shadows, isolation):
    """Whatever was decided before: the same event gets the same verdicts, fuel and all."""
    with Guard.load(shadows, isolation=isolation) as guard:
        alone = spoken(guard, WRITE)

        @settings(max_examples=12, deadline=None, database=None)
        @given(st.lists(events, max_size=3))
        def law(before):
            for event in before:
                guard.decide(event)
            assert spoken(guard, WRITE) == alone

        law()


def test_what_the_laws_are_tried_on_says_many_different_things(shadows):
    with Guard.load(shadows, isolation="thread") as guard:
        verdicts = guard.decide(WRITE).verdicts
    assert {v.effect for v in verdicts} == set(Effect)
    assert any(v.rewrite for v in verdicts)
    assert len({v.fault for v in verdicts}) > 15
    assert all(one_line(v.sentence, 5_000) == v.sentence and json.dumps(v.sentence) for v in verdicts)
