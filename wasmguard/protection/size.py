"""How much of an event may be read and judged on an event loop: what is more goes to a thread before anybody copies it.

To read an event takes 0.2 us a value, to encode it as much, to look for protected paths in it 0.1 to 20 us a value, and
to read a command line 1 us a character. Ordinary events have 10 to 30 values and 1 to 4 KB of text. To count takes 0.1
us a value, and ends as soon as it is too much.
"""

from __future__ import annotations

from wasmguard.protection.events import COMMANDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VALUES = 256  # values of an event, at all levels
TEXT = 64 * 2**10  # characters of all its texts and keys: as much as a guest is sent at once
COMMAND = 2 * 2**10  # characters of all its command lines, if there is nothing else

_WEIGHT = TEXT // COMMAND
_BOXES = frozenset({dict, list, tuple})
_PLAIN = frozenset({int, float, bool, type(None)})


def is_small(fields: Mapping[str, Any]) -> bool:
    """Whether *fields* are few and short enough to be worked on at once. In doubt they are not: whoever has a mapping,
    a list or a text of a kind of his own knows alone what it costs to read it."""
    if type(fields) is not dict:
        return False
    values, text = VALUES, TEXT
    boxes: list[Any] = [fields]
    for box in boxes:  # which grows meanwhile; what contains itself has too many values
        values -= len(box)
        if values < 0 or text < 0:
            return False
        below = box
        if type(box) is dict:
            text -= _of_keys(box)
            below = box.values()
        for value in below:
            kind = type(value)
            if kind is str:
                text -= len(value)
            elif kind in _BOXES:
                boxes.append(value)
            elif kind not in _PLAIN:
                return False
    return text >= 0


def _of_keys(box: dict[Any, Any]) -> int:
    """Characters of the keys; those of a command line, in which each may be a path, weigh more."""
    try:
        text = sum(map(len, box))
    except TypeError:  # a key that is no text, so this is no event
        return TEXT + 1
    if not COMMANDS.isdisjoint(box):
        for key in COMMANDS.intersection(box):
            text += len(box[key]) * _WEIGHT if type(box[key]) is str else TEXT + 1
    return text
