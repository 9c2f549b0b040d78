"""What is wrong with a TOML file, in words: one line for each problem, and what to write instead.

    wasmguard.toml:7: `policy[0].tols`: unknown key: did you mean `tools`?

1. A line names file, line and key, then the cause, then what to write.
2. What to write comes from the JSON schema of the file: the keys it knows there, the words it takes, its examples.
3. The file may be a stranger's: every line is cleaned and cut, and a thousand problems are told as twenty.

Problems come from pydantic as plain data (`ValidationError.errors()`), so nothing here imports it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from wasmguard.text import one_line
from wasmguard.toml_layout import Layout, Path

Problem = tuple[Path, str]

MOST = 20  # problems told; the rest is counted
LONGEST_LINE = 600  # characters of one line, path included
LONGEST_WORD = 80  # characters of what the file says, where it is shown

OF_A_KEY = "[key]"  # pydantic's last step to a key itself, where a table's keys have a form

_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_WANTED = {
    "string_type": "a text",
    "int_type": "an integer",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
_KINDS = {bool: "true or false", str: "a text", int: "an integer", float: "a number", list: "a list", dict: "a table"}


def told(path: str, source: str, problems: Iterable[Problem]) -> str:
    """*problems* of the file *path* with the text *source*, by line."""
    layout = Layout(source)
    all_lines = sorted((layout.line(where), f"`{shown(where)}`: {sentence}") for where, sentence in problems)
    lines = [one_line(f"{path}:{line}: {rest}", LONGEST_LINE) for line, rest in all_lines[:MOST]]
    if len(all_lines) > MOST:
        lines.append(f"{one_line(path, LONGEST_LINE)}: {len(all_lines) - MOST} more problems")
    return "\n".join(lines)


def not_toml(path: str, source: str, error: Exception) -> str:
    """The one line about a file that is no TOML at all; *error* is what `tomllib` raised."""
    if isinstance(error, RecursionError):
        return one_line(f"{path}: nested too deep: write it flatter", LONGEST_LINE)
    at = _AT.search(str(error))
    if not at:  # `tomllib` lets `int` speak for itself
        return one_line(f"{path}: a number has too many digits: write a shorter one", LONGEST_LINE)
    line = int(at[1]) if at[1] else len(source.rstrip().split("\n"))
    word = one_line(source.split("\n")[line - 1].strip(), LONGEST_WORD)
    why = _lowered(str(error)[: at.start()])
    return one_line(f"{path}:{line}: `{word}`: not TOML: {why}: see https://toml.io", LONGEST_LINE)


def shown(path: Path) -> str:
    """*path* as TOML writes it: `policy[0].grants.rewrite."Write.file_path"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = one_line(part, LONGEST_WORD)
            text += "." * bool(text) + (name if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{name}"')
    return text


def written(value: object) -> str:
    """*value* as TOML writes it, cut to a word's length."""
    return one_line(_written(value), LONGEST_WORD)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:_}"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{shown((key,))} = {_written(item)}' for key, item in value.items())} }}"
    return str(value)


def closest(word: str, known: Iterable[str]) -> str:
    """What to write instead of *word*: the one of *known* that looks like it, else all of them."""
    known = sorted(known)
    if alike := get_close_matches(word[:LONGEST_WORD], known, 1):
        return f"did you mean `{alike[0]}`?"
    return "write one of " + ", ".join(f"`{name}`" for name in known) if known else "remove it"


def edits(word: str, other: str) -> int:
    """How many letters have to be added, taken away, changed, or swapped with the next, to make *other* of *word*."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(word, 1):
        earlier, before, row = before, row, [at]
        for to, wanted in enumerate(other, 1):
            least = min(before[to] + 1, row[-1] + 1, before[to - 1] + (letter != wanted))
            if at > 1 and to > 1 and letter == other[to - 2] and word[at - 2] == wanted:
                least = min(least, earlier[to - 2] + 1)
            row.append(least)
    return row[-1]


def problems(errors: Iterable[Mapping[str, Any]], schema: Mapping[str, Any]) -> list[Problem]:
    """What pydantic found wrong, in our words. *schema* is the JSON schema of the file."""
    errors = [error for error in errors if not _is_echo(error)]
    bad_keys = {error["loc"][:-1] for error in errors if error["loc"][-1:] == (OF_A_KEY,)}
    return [
        (_path(error), _sentence(error, schema))
        for error in errors
        if error["loc"][-1:] == (OF_A_KEY,) or not any(error["loc"][: len(bad)] == bad for bad in bad_keys)
    ]


def _is_echo(error: Mapping[str, Any]) -> bool:
    """Whether it only follows from another: pydantic calls a list too short if its elements are wrong."""
    return error["type"] == "too_short" and len(error["input"]) > 0


def _path(error: Mapping[str, Any]) -> Path:
    path: Path = error["loc"]
    return path[:-1] if path[-1:] == (OF_A_KEY,) else path


def _sentence(error: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    tell = _SENTENCES.get(error["type"])
    if tell:
        return tell(error, schema)
    cause = _lowered(error["msg"])
    if wanted := _WANTED.get(error["type"]):
        cause = f"{_KINDS.get(type(error['input']), 'a date')} where {wanted} belongs"
    return f"{cause}: write {_example(schema, error['loc'])}"


def _own(error: Mapping[str, Any], _schema: Mapping[str, Any]) -> str:
    """The sentence of one of our own checks, which says everything."""
    return str(error["ctx"]["error"])


def _unknown_key(error: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    around, key = _at(schema, error["loc"][:-1]), str(error["loc"][-1])
    return f"unknown key: {closest(key, around.get('properties', ()))}"


def _missing(error: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    return f"missing: add {_example(schema, error['loc'])}"


def _empty(error: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    return f"an empty list: write at least one, like {_example(schema, error['loc'])}"


def _other_word(error: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    given = error["input"]
    if not isinstance(given, str):
        return f"{_KINDS.get(type(given), 'a date')} where a word belongs: write {_example(schema, error['loc'])}"
    known = _at(schema, error["loc"]).get("enum", ())
    return f"`{one_line(given, LONGEST_WORD)}` is not known here: {closest(given, known)}"


_SENTENCES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "value_error": _own,
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "too_short": _empty,
    "literal_error": _other_word,
}


def _at(schema: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The part of *schema* that is about *path*; empty if there is none."""
    here = _resolved(schema, schema)
    for part in path:
        below = here.get("items") if isinstance(part, int) else here.get("properties", {}).get(part)
        if below is None and not isinstance(part, int):
            below = next(iter(here.get("patternProperties", {}).values()), here.get("additionalProperties"))
        here = _resolved(below, schema) if isinstance(below, dict) else {}
    return here


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """*part* together with the definition that it refers to, be it as one of several forms."""
    forms = [part, *part.get("anyOf", ())]
    name = next((form["$ref"] for form in forms if "$ref" in form), "").rpartition("/")[2]
    return {**schema["$defs"][name], **part} if name else part


def _example(schema: Mapping[str, Any], path: Path) -> str:
    """A line that could stand at *path*, from the nearest key that has an example."""
    for length in range(len(path), 0, -1):
        if examples := _at(schema, path[:length]).get("examples"):
            return f"`{shown(path[length - 1 : length])} = {written(examples[0])}`"
    return "it as `wasmguard schema` describes it"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
