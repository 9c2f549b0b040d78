"""The C half of `json` alone says what the whole package says."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wasmguard import wire

ROOT = Path(__file__).parents[1]

DATA = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=20,
)


@given(DATA)
def test_it_writes_what_the_package_writes(data):
    assert wire.written(data) == json.dumps(data, separators=(",", ":"))


@given(DATA)
def test_it_writes_characters_as_themselves_if_they_may_be(data):
    assert wire.written(data, ascii_only=False) == json.dumps(data, separators=(",", ":"), ensure_ascii=False)


@given(DATA)
def test_it_reads_what_the_package_reads(data):
    text = json.dumps(data, indent=1)
    assert wire.read(f" \n{text}\t\r\n") == json.loads(text)


@given(some.text(alphabet='{}[]",:\\ntrue0.-+eE \n\t\ufeff\u00a0', max_size=12))
def test_it_refuses_what_the_package_refuses(text):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011  # whichever sentence the C code has
            wire.read(text)
    else:
        assert wire.read(text) == expected


@pytest.mark.parametrize("text", ["", " ", "{", "[1,]", "{} {}", "{}x", "nul", '"\n"', "\u00a0{}", "1" * 5000])
def test_what_is_no_document_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011  # whichever sentence the C code has
        wire.read(text)


def test_nesting_without_end_is_a_recursion_error():
    with pytest.raises(RecursionError):
        wire.read("[" * 100_000)


def test_objects_and_numbers_are_made_by_the_caller():
    read = wire.reader(pairs=tuple, number=lambda text: text)
    assert read('{"a": 1.5, "a": NaN, "b": -Infinity, "c": 7}') == (
        ("a", "1.5"),
        ("a", "NaN"),
        ("b", "-Infinity"),
        ("c", 7),
    )


def test_read_strictly_numbers_that_json_has_not_are_an_error():
    assert wire.read_strictly('{"a": 1e999, "b": -1.5, "c": "NaN"}') == {"a": float("inf"), "b": -1.5, "c": "NaN"}
    for text in ("NaN", "[Infinity]", '{"a": -Infinity}'):
        with pytest.raises(ValueError, match="is no JSON"):
            wire.read_strictly(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_not_are_not_written(value):
    with pytest.raises(ValueError):  # noqa: PT011  # whichever sentence the C code has
        wire.written({"n": value})


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_values_that_json_has_not_are_not_written(value):
    with pytest.raises(TypeError):
        wire.written({"v": value})


def test_lone_surrogates_stay_escapes():
    assert wire.written("\ud800") == '"\\ud800"'
    assert wire.read('"\\ud800"') == "\ud800"


def test_without_the_c_half_the_package_is_used(monkeypatch):
    monkeypatch.setattr(wire, "make_scanner", None)
    assert wire.reader()(' {"a": [1.5, null]} ') == {"a": [1.5, None]}
    assert wire.written({"a": [1.5, None]}) == '{"a":[1.5,null]}'


@pytest.mark.parametrize("text", ['{"a": ', '{"a" 1}', '["', "[1 2]", '{"a": 1, }'])
def test_a_process_that_never_loaded_the_package_fails_with_the_same_error(text):
    program = f"from wasmguard import wire\ntry: wire.read({text!r})\nexcept ValueError as error: print('refused')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.stdout, done.stderr) == ("refused\n", "")
