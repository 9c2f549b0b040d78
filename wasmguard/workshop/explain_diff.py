"""What a rewrite changed, field by field, as a person compares it."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

from wasmguard.text import one_line
from wasmguard.workshop.explain_words import changes, fitted, pieces, said

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Line = tuple[str, str]

MOST = 40  # lines of the difference between two texts
WIDTH = 80
SHORT = 60  # characters of a value that stands on one line
LARGEST = 200_000  # characters that are compared line by line: beyond, a comparison could take minutes


def difference(before: Mapping[str, Any], after: Mapping[str, Any], indent: str = "    ") -> Iterator[Line]:
    """The changed fields, each with the lines that went and came: (style, text)."""
    for field, old, new in changes(before, after):
        yield "plain", f"{indent}{fitted(said(field), WIDTH - len(indent))}"
        room = WIDTH - len(indent) - 4
        found = list(_changed(old, new))
        for style, text in found:
            if len(found) > 2:
                yield style, f"{indent}  {fitted(text, room + 2)}"
                continue
            for number, piece in enumerate(pieces(text, room)):  # one value instead of another: paths are copied
                yield style, f"{indent}  {'  ' * bool(number)}{piece}"


def unified(before: Any, after: Any) -> list[str]:
    """The lines of a unified difference, cleaned; what is too long to compare is only named."""
    old, new = _lines(before), _lines(after)
    if sum(map(len, old)) + sum(map(len, new)) > LARGEST or len(old) * len(new) > 2 * 10**6:
        return [f"- {len(old):,} lines", f"+ {len(new):,} lines"]
    if len(old) == len(new) == 1:
        return [f"- {old[0]}", f"+ {new[0]}"]
    return list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]


def _changed(before: Any, after: Any) -> Iterator[Line]:
    found = unified(before, after)
    for line in found[:MOST]:
        yield {"-": "old", "+": "new"}.get(line[:1], "plain"), line
    if len(found) > MOST:
        yield "plain", f"… and {len(found) - MOST} lines more"


def _lines(value: Any) -> list[str]:
    if value is None:
        return ["(nothing)"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) and len(text) > SHORT:
        text = json.dumps(value, ensure_ascii=False, indent=1)
    return [one_line(line, 1_000) for line in text.split("\n")]
