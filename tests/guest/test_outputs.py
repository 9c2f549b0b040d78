"""A tool's output, rewritten or withheld: never in another shape than the tool's own."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.decision import Effect
from wasmguard.errors import OutsideGrant, Ungranted
from wasmguard.event import Event
from wasmguard.guest.codec import Answer
from wasmguard.guest.grants import Grants, answered
from wasmguard.guest.outputs import NOTICE, POINT, rebuilt, withheld

BASH = {"stdout": "key=s3cret\n", "stderr": "", "interrupted": False, "isImage": False}
READ = {"type": "text", "file": {"filePath": "/a", "content": "s3cret", "numLines": 1}}
BLOCKS = [{"type": "text", "text": "s3cret"}, {"type": "text", "text": "b"}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)

NAMES = ("kind", "stdout", "file", "mcp-name", "a.b", "_")
NAMED = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)


def shape(value):
    """What the agent checks: types, keys and lengths, and the words that it knows."""
    if isinstance(value, dict):
        return {
            key: value[key] if key == "type" and isinstance(value[key], str) else shape(value[key]) for key in value
        }
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "number" if type(value) in (int, float) else type(value).__name__


def test_fields_are_replaced_and_the_rest_stays():
    assert rebuilt(BASH, {"stdout": "key=[redacted]\n"}, 100) == {**BASH, "stdout": "key=[redacted]\n"}


def test_a_list_and_a_text_are_replaced_whole():
    assert rebuilt(BLOCKS, [BLOCKS[1], BLOCKS[1]], 100) == [BLOCKS[1], BLOCKS[1]]
    assert rebuilt("s3cret", "gone", 100) == "gone"


def test_what_changes_nothing_is_no_rewrite():
    assert rebuilt(BASH, {"stdout": BASH["stdout"]}, 1) is None
    assert rebuilt("a", "a", 1) is None


@pytest.mark.parametrize(
    ("original", "answer"),
    [
        (BASH, {"sdtout": ""}),
        (BASH, {"stdout": None}),
        (BASH, {"interrupted": 0}),
        (BASH, "text"),
        (BASH, [BASH]),
        (READ, {"file": {"filePath": "/a", "content": "x"}}),
        (READ, {"file": {**READ["file"], "more": 1}}),
        (READ, {"type": "image"}),
        (BLOCKS, [BLOCKS[0]]),
        (BLOCKS, [*BLOCKS, BLOCKS[0]]),
        (BLOCKS, [{"type": "image", "text": "x"}, BLOCKS[1]]),
        (BLOCKS, "text"),
        ("text", ["text"]),
        (None, "text"),
    ],
)
def test_another_shape_is_outside_the_grant(original, answer):
    with pytest.raises(OutsideGrant):
        rebuilt(original, answer, 1000)


def test_a_number_may_become_another_one():
    assert rebuilt(READ, {"file": {**READ["file"], "numLines": 2.5}}, 1000)["file"]["numLines"] == 2.5


def test_the_grant_bounds_what_is_replaced():
    assert rebuilt(BASH, {"stdout": "x" * 86}, 99)
    with pytest.raises(OutsideGrant, match="100 bytes, more than the 99"):
        rebuilt(BASH, {"stdout": "x" * 87}, 99)


def test_nothing_that_does_not_show_itself_is_brought_in_but_it_may_stay():
    assert rebuilt({"stdout": "\x1b[1mkey\x1b[0m"}, {"stdout": "\x1b[1mx\x1b[0m\n"}, 100)
    with pytest.raises(OutsideGrant, match="does not show itself"):
        rebuilt({"stdout": "key"}, {"stdout": "\x1b]52;c;x\x07"}, 100)


@given(JSON, JSON)
def test_whatever_is_answered_the_shape_stays(original, answer):
    try:
        made = rebuilt(original, answer, 10_000)
    except OutsideGrant:
        return
    assert made is None or shape(made) == shape(original)


@given(JSON)
def test_nothing_that_was_said_is_left_wherever_it_stood(original):
    held = withheld(original)
    assert all(text == NOTICE for text in _texts(held))
    assert all(key.isidentifier() or key.startswith(NOTICE) for key in _keys(held))
    assert len(_keys(held)) == len(_keys(original))


@given(NAMED)
def test_withholding_keeps_the_shape_and_no_text(original):
    held = withheld(original)
    assert shape({"": held}) == shape({"": original})
    assert withheld(held) == held
    assert set(_texts(held)) <= {NOTICE}


def _texts(value):
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def _keys(value):
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in _keys(inner))]
    return [key for inner in value for key in _keys(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize("key", ["a secret", "2fa", "", "-x", ".x", "é", "k" * 65, "a\n", "s3cret="])
def test_a_key_that_is_no_name_is_text_too(key):
    assert withheld({"stdout": 1, key: 2}) == {"stdout": 1, f"{NOTICE} 1": 2}


@pytest.mark.parametrize("key", ["stdout", "tool_use_id", "mime-type", "a.b", "k" * 64])
def test_a_name_stays(key):
    assert withheld({key: "s3cret"}) == {key: NOTICE}


def test_of_what_the_tool_of_an_mcp_server_said_nothing_is_left():
    """Its server chose the keys and the words, and the client takes any shape there."""
    for output in ({"s3cret": {"status": "hunter"}}, "s3cret", 4711, True, {}):
        assert withheld(output, "mcp__vault__get") == NOTICE
    for output in ([{"type": "hunter", "s3cret": 4711}], [], ("s3cret", "s3cret")):
        assert withheld(output, "mcp__vault__get") == [{"type": "text", "text": NOTICE}]
    assert withheld(None, "mcp__vault__get") is None
    assert withheld({"status": "done", "n": 1}, "Bash") == {"status": "done", "n": 1}


def test_what_no_json_says_is_withheld_too():
    assert withheld([float("inf"), float("nan"), b"s3cret", ("s3cret",), 10**20]) == [
        0.0,
        0.0,
        NOTICE,
        [NOTICE],
        10**20,
    ]


def test_withholding_keeps_the_words_that_the_agent_knows_if_they_look_like_words():
    grep = {"mode": "files_with_matches", "filenames": ["/s3cret"], "numFiles": 1}
    assert withheld(grep) == {"mode": "files_with_matches", "filenames": [NOTICE], "numFiles": 1}
    assert withheld([{"type": "text", "text": "s3cret"}]) == [{"type": "text", "text": NOTICE}]
    assert withheld({"state": "sk-ant-api03-abc"}) == {"state": NOTICE}
    assert withheld({"state": "correct horse battery staple"}) == {"state": NOTICE}


def test_a_withheld_picture_is_still_a_picture():
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "c2VjcmV0"}}
    assert withheld(block) == {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": POINT},
    }
    read = {"type": "image", "file": {"base64": "c2VjcmV0", "type": "image/jpeg", "originalSize": 6}}
    assert withheld(read)["file"] == {"base64": POINT, "type": "image/png", "originalSize": 6}
    assert base64.b64decode(POINT, validate=True).startswith(b"\x89PNG\r\n")
    assert withheld({"data": "s3cret"}) == {"data": NOTICE}


def about(name="PostToolUse", tool="Bash", output=BASH):
    return Event(name=name, agent="claude", fields={"tool_name": tool, "tool_response": output})


ANSWER = Answer(effect=Effect.DENY, rewrite_output={"stdout": "gone"})


def test_a_rewritten_output_needs_a_grant_for_its_tool():
    with pytest.raises(Ungranted, match=r"add `grants.rewrite_output` for it"):
        answered("p", ANSWER, about(), Grants(rewrite_output={"Read": 100}))


@pytest.mark.parametrize("key", ["Bash", "Ba*", "*"])
def test_it_counts_whatever_the_effect(key):
    verdict = answered("p", ANSWER, about(), Grants(rewrite_output={key: 100}))
    assert (verdict.effect, verdict.output["stdout"]) == (Effect.DENY, "gone")


@pytest.mark.parametrize("name", ["PreToolUse", "Stop", "PostToolUseFailure"])
def test_an_event_without_an_output_has_none_to_rewrite(name):
    with pytest.raises(Ungranted, match="cannot be rewritten"):
        answered("p", ANSWER, about(name), Grants(rewrite_output={"Bash": 100}))


def test_the_tool_itself_goes_before_a_prefix_and_a_longer_prefix_before_a_shorter_one():
    grants = Grants(rewrite_output={"*": 1, "mcp__*": 2, "mcp__a__*": 3, "mcp__a__b": 4})
    assert [grants.most_output(t) for t in ("Bash", "mcp__b__c", "mcp__a__c", "mcp__a__b")] == [1, 2, 3, 4]
    assert Grants().most_output("Bash") is None
