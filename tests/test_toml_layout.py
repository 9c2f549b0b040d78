"""The law: the text between a spot's start and end, read alone, is the value that `tomllib` finds at its path."""

import string
import tomllib

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmguard.toml_layout import Layout

NASTY = '''\
# fuel = 1, not a key
title = "fuel = 2 # no comment"   # a comment
'quoted key' = 'C:\\no\\escapes'
"a\\tb"."c.d" . e = 1
text = """
[policy]
fuel = 3 \\" "" \\
"""""
raw = \'\'\'
name = ''"""\'\'\'\'
dates = [1979-05-27 07:32:00Z, 1979-05-27, 07:32:00.5, 1979-05-27T07:32:00]
empty = []
table = {}
one_line = { a = [1, { b = "}" }], "c" = { d.e = true } }
many_lines = [
  "x]", # ]
  [ 1, 2, ],

  { k = 'v' },
]

[limits]
fuel = 20_000_000
[a.b.c]
deep = inf

[[policy]]
name = "one"
grants.effects = ["deny"]
grants . rewrite."Write.file_path" = { within = "/sandbox" }
[policy.settings]
root = "/x"
[[policy.cases]]
n = 1
[[policy.cases]]
n = 2
[policy.cases.more]
m = 3

  [[ policy ]]
  name = "two"
  [ policy . "settings" ] # here
  root = "/y"
  [policy.grants.rewrite]
  "Edit.file_path" = { within = "/y" }
[policy.grants.rewrite."Write.content"]
max = "1 KiB"\
'''


def values(data, path=()):
    """Every path in *data* below the top, with its value."""
    items = enumerate(data) if isinstance(data, list) else data.items() if isinstance(data, dict) else ()
    for key, value in items:
        yield (*path, key), value
        yield from values(value, (*path, key))


def check_law(source):
    layout, found = Layout(source), dict(values(tomllib.loads(source)))
    assert layout.spots.keys() == found.keys()
    for path, spot in layout.spots.items():
        if spot.start >= 0:
            assert repr(tomllib.loads(f"it = {source[spot.start : spot.end]}")["it"]) == repr(found[path]), path
    return layout


def test_every_value_of_a_nasty_document_is_found():
    check_law(NASTY)


def test_windows_line_ends_change_nothing():
    crlf = check_law(NASTY.replace("\n", "\r\n"))
    lf = Layout(NASTY)
    assert {path: crlf.line(path) for path in crlf.spots} == {path: lf.line(path) for path in lf.spots}


KEYS = st.text(string.ascii_letters + "._- \"'#=[]\n\té", min_size=1, max_size=6)
SCALARS = (
    st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.datetimes(min_value=__import__("datetime").datetime(1900, 1, 1))
    | st.text("ab\"'\\\n\r\t#=[]{},é", max_size=8)
)
TREES = st.recursive(SCALARS, lambda t: st.lists(t, max_size=3) | st.dictionaries(KEYS, t, max_size=3), max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, TREES | st.lists(st.dictionaries(KEYS, TREES, max_size=3), max_size=3), max_size=4))
def test_every_value_of_any_document_is_found(data):
    check_law(tomlkit.dumps(data))


def line_of(source, *path):
    return Layout(source).line(path)


def marked(mark, source=NASTY):
    """The line of the first occurrence of *mark*."""
    return source[: source.index(mark)].count("\n") + 1


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        (("limits", "fuel"), "fuel = 20"),
        (("text",), "text ="),
        (("many_lines", 1, 0), "[ 1, 2"),
        (("many_lines", 2, "k"), "{ k ="),
        (("one_line", "c", "d", "e"), "one_line"),
        (("a\tb", "c.d", "e"), '"a\\tb"'),
        (("policy", 0), "[[policy]]\nname"),
        (("policy", 0, "grants", "rewrite", "Write.file_path", "within"), "grants . rewrite"),
        (("policy", 0, "settings", "root"), 'root = "/x"'),
        (("policy", 0, "cases", 1, "n"), "n = 2"),
        (("policy", 0, "cases", 1, "more", "m"), "m = 3"),
        (("policy", 1), "  [[ policy ]]"),
        (("policy", 1, "settings"), '  [ policy . "settings" ]'),
        (("policy", 1, "settings", "root"), 'root = "/y"'),
        (("policy", 1, "grants"), "  [policy.grants.rewrite]"),
        (("policy", 1, "grants", "rewrite", "Edit.file_path"), '"Edit.file_path"'),
        (("policy", 1, "grants", "rewrite", "Write.content", "max"), 'max = "1 KiB"'),
    ],
)
def test_a_key_has_its_line(path, mark):
    assert line_of(NASTY, *path) == marked(mark)


def test_what_is_not_written_has_the_line_of_what_is_around_it():
    assert line_of(NASTY, "policy", 1, "module") == marked("  [[ policy ]]")
    assert line_of(NASTY, "policy", 0, "settings", "root", "deeper") == marked('root = "/x"')
    assert line_of(NASTY, "absent", 3, "key") == 1
    assert line_of("", "absent") == 1


def test_a_comment_or_a_string_that_looks_like_a_key_is_none():
    source = '# fuel = 1\nx = "fuel = 2"\ny = """\nfuel = 3\n"""\nfuel = 4\n'
    assert line_of(source, "fuel") == 6


def test_an_array_nested_too_deep_loses_its_place_and_nothing_else():
    source = "first = 1\nx = " + "[" * 350 + "]" * 350
    tomllib.loads(source)
    assert line_of(source, "first") == 1
    assert line_of(source, "x", 0, 0) == 1
