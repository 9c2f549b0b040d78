"""One line for each problem. Whole files with mistakes are in `test_config.py` and `guest/test_manifest.py`."""

import tomllib

import pytest

from wasmguard.toml_errors import closest, edits, not_toml, problems, shown, told, written

SOURCE = "first = 1\n\n[[policy]]\nname = 'a'\n[policy.settings]\nroot = 1\n"


def test_problems_are_told_by_line():
    assert told("w.toml", SOURCE, [(("policy", 0, "settings", "root"), "bad"), (("first",), "worse")]) == (
        "w.toml:1: `first`: worse\nw.toml:6: `policy[0].settings.root`: bad"
    )


def test_what_is_missing_has_the_line_of_its_table():
    assert told("w.toml", SOURCE, [(("policy", 0, "module"), "missing")]) == "w.toml:3: `policy[0].module`: missing"


def test_a_problem_is_one_line_without_steering_characters():
    line = told("w.toml", SOURCE, [(("a\x1b\n",), "bad\r\n\x07 \u202e")])
    assert line == 'w.toml:1: `"a� "`: bad � �'


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("limits", "fuel"), "limits.fuel"),
        (("policy", 0, "tols"), "policy[0].tols"),
        (
            ("policy", 12, "grants", "rewrite", "Write.file_path", "within"),
            'policy[12].grants.rewrite."Write.file_path".within',
        ),
        (("policy", 0, "events", 1), "policy[0].events[1]"),
        (("",), '""'),
    ],
)
def test_a_path_is_shown_as_toml_writes_it(path, text):
    assert shown(path) == text


@pytest.mark.parametrize("value", [True, 0, -20_000_000, "text", ["a", 1], {"a b": {"c": False}}, [], 1.5])
def test_a_value_is_written_as_toml_writes_it(value):
    assert tomllib.loads(f"it = {written(value)}") == {"it": value}


def test_a_long_value_is_cut():
    assert len(written("x" * 1000)) == 80


def test_the_closest_word_is_suggested_else_all_of_them():
    assert closest("tols", ["name", "tools", "events"]) == "did you mean `tools`?"
    assert closest("zzz", ["name", "events"]) == "write one of `events`, `name`"
    assert closest("zzz", []) == "remove it"


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("fuel 20", 1, "fuel 20"),
        ("a = 1\n\n  fuel = \n", 3, "fuel ="),
        ("a = 1\na = 2", 2, "a = 2"),
        ("a = 1\nb = '''\n\n", 2, "b = '''"),
        ("a = [1,\n2\n", 2, "2"),
        ("[a]\n[b]\n[a]\n", 3, "[a]"),
    ],
)
def test_a_syntax_error_shows_its_line(source, line, word):
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(source)
    told = not_toml("w.toml", source, caught.value)
    assert told.startswith(f"w.toml:{line}: `{word}`: not TOML: ")
    assert told.endswith(": see https://toml.io")


@pytest.mark.parametrize(
    ("word", "other", "number"),
    [
        ("", "", 0),
        ("a", "", 1),
        ("", "ab", 2),
        ("PreTooluse", "PreToolUse", 1),
        ("PerToolUse", "PreToolUse", 1),
        ("PreToolUses", "PreToolUse", 1),
        ("PostToolUse", "PreToolUse", 3),
    ],
)
def test_edits_are_counted(word, other, number):
    assert edits(word, other) == edits(other, word) == number


def test_what_may_be_a_table_or_a_text_is_looked_up_in_the_table():
    table = {"type": "object", "properties": {"scope": {"enum": ["session", "owner"], "examples": ["session"]}}}
    schema = {"$defs": {"T": table}, "properties": {"it": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/T"}]}}}
    error = {"type": "literal_error", "loc": ("it", "scope"), "input": "sesion", "msg": ""}
    assert problems([error], schema) == [
        (("it", "scope"), "`sesion` is not known here: did you mean `session`?"),
    ]
    nowhere = {**error, "loc": ("odd", "scope")}
    assert problems([nowhere], schema) == [(("odd", "scope"), "`sesion` is not known here: remove it")]
