"""JSON with the places of its parts, and what people write besides."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workshop.jsonc import texts
from wasmguard.workshop.json_text import DEEPEST, NotJSON, has_comment, parsed

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=15,
)


@settings(deadline=None)
@given(anything, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_it_reads_what_json_reads(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = parsed(text)
    assert document.root.value == value
    assert document.plain
    assert not document.twice


@settings(deadline=None)
@given(st.text('{}[]",:/*\\ \n\t01e+-.tfnua', max_size=12))
def test_what_it_takes_for_plain_json_json_takes_too(text):
    try:
        document = parsed(text)
    except NotJSON:
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
        return
    try:
        plain = True
        value = json.loads(text)
    except ValueError:
        plain = False
    assert document.plain == plain
    assert not plain or document.root.value == value


@settings(deadline=None)
@given(texts())
def test_every_part_is_where_it_says(text):
    def check(node):
        assert parsed(text[node.start : node.end]).root.value == node.value
        for item in node.items:
            assert item.comma is None or text[item.comma] == ","
            check(item.node)

    check(parsed(text).root)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "1:1: a value is missing"),
        ("\ufeff{", "1:2: a key in double quotes is missing"),
        ('{"a": 1,\r\n b}', "2:2: a key in double quotes is missing"),
        ('{"a" 1}', "1:6: a colon is missing"),
        ("[1 2]", r"1:4: a comma or `\]` is missing"),
        ("[,]", "1:2: a value is missing"),
        ("[1] x", "1:5: something follows the end"),
        ("/* x", "1:1: a comment that is not closed"),
        ('"a\nb"', "1:1: a string that is not closed, or holds what must be escaped"),
        (r'"\x"', "1:1: a string that is not closed, or holds what must be escaped"),
        ("NaN", "1:1: a value is missing"),
        ("[01]", r"1:3: a comma or `\]` is missing"),
        ("[" * (DEEPEST + 2), f"1:{DEEPEST + 2}: nested deeper than {DEEPEST}"),
    ],
)
def test_an_error_names_its_place(text, why):
    with pytest.raises(NotJSON, match=f"^{why}$"):
        parsed(text)


@pytest.mark.parametrize("text", ["[1,]", '{"a": 1,}', "// x\n1", "/**/1", "[1 /* x */]"])
def test_what_people_write_besides_is_read_and_told(text):
    assert not parsed(text).plain


def test_a_comment_in_a_string_is_none():
    text = '["// x", "/* y */"]'
    assert parsed(text).plain
    assert not has_comment(text, parsed(text).root)
    assert has_comment("[// x\n]", parsed("[// x\n]").root)


def test_the_last_of_two_keys_counts_and_the_first_double_is_told():
    document = parsed('{"a": 1,\n "a": 2, "b": 1, "b": 3}')
    assert document.root.value == {"a": 2, "b": 3}
    assert document.twice == "2:2: `a`"
