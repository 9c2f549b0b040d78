"""Where each key of a TOML document stands. `tomllib` and pydantic say what a file means, but not on which line.

Only for documents that `tomllib` has accepted: nothing is checked here. Keys are paths like pydantic's:
`("policy", 0, "limits", "fuel")`. Messages take their lines from this map, `lock` takes the place for its pins.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from contextlib import suppress

from wasmguard.value import Value

Path = tuple[str | int, ...]

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # the last quotes inside stand right before the three that close
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^\s,\]}#]+(?: \d\d:[^\s,\]}#]+)?")  # a date and its time may have a blank between them


class Spot(Value):
    """Where one key is written, in characters from the start of the document."""

    key: int
    """Where the key begins; for an element of an array, its value."""
    start: int = -1
    """Where the value begins; -1 for a table that is no value but a section."""
    end: int = -1
    """Behind the value."""


class Layout:
    """The spots of a document."""

    def __init__(self, source: str) -> None:
        """Read *source*, which `tomllib` has accepted. Of arrays nested hundreds deep it may miss the rest."""
        self.source = source
        self.spots: dict[Path, Spot] = {}
        self._at = 0
        self._elements: dict[Path, int] = {}  # of each array of tables, how many there have been so far
        with suppress(RecursionError):  # one level takes three frames here and two in `tomllib`
            self._document()

    def line(self, path: Path) -> int:
        """The line of *path*, or of the nearest thing around it that is written down."""
        while path and path not in self.spots:
            path = path[:-1]
        return self.line_at(self.spots[path].key) if path else 1

    def line_at(self, offset: int) -> int:
        """The line of a character, from 1."""
        return self.source.count("\n", 0, offset) + 1

    def _document(self) -> None:
        section: Path = ()
        while self._peek():
            if self.source[self._at] == "[":
                section = self._header()
            else:
                self._pair(section)

    def _header(self) -> Path:
        at, many = self._at, self.source.startswith("[[", self._at)
        self._at += 2 if many else 1
        path = self._section(self._key(), many=many)
        self._at += 2 if many else 1
        self._note(path, Spot(key=at))
        return path

    def _section(self, parts: list[str], *, many: bool) -> Path:
        """The path of a header: what stands below an array of tables belongs to its latest element."""
        path: Path = ()
        for part in parts[:-1]:
            path = self._latest((*path, part))
        path = (*path, parts[-1])
        if many:
            self._elements[path] = self._elements.get(path, 0) + 1
        return self._latest(path)

    def _latest(self, path: Path) -> Path:
        return (*path, self._elements[path] - 1) if path in self._elements else path

    def _pair(self, table: Path) -> None:
        key = self._at
        path = (*table, *self._key())
        self._at += 1  # the equals sign
        self._peek()
        self._value(path, key)

    def _key(self) -> list[str]:
        """The parts of a dotted key; afterwards we stand behind it and its blanks."""
        parts = []
        while True:
            self._peek()
            if quoted := _STRING.match(self.source, self._at):
                parts.append(tomllib.loads(f"key = {quoted[0]}")["key"])
                self._at = quoted.end()
            else:
                bare = self._take(_BARE_KEY)
                parts.append(self.source[bare : self._at])
            if self._peek() != ".":
                return parts
            self._at += 1

    def _value(self, path: Path, key: int) -> None:
        start, first = self._at, self.source[self._at]
        if first == "[":
            self._inside("]", lambda number: self._value((*path, number), self._at))
        elif first == "{":
            self._inside("}", lambda _: self._pair(path))
        elif first in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)
        self._note(path, Spot(key=key, start=start, end=self._at))

    def _inside(self, closing: str, one: Callable[[int], None]) -> None:
        number, self._at = 0, self._at + 1
        while self._peek() != closing:
            one(number)
            number += 1
            if self._peek() == ",":
                self._at += 1
        self._at += 1

    def _note(self, path: Path, spot: Spot) -> None:
        self.spots[path] = spot
        for length in range(1, len(path)):  # tables that are only named in passing
            self.spots.setdefault(path[:length], Spot(key=spot.key))

    def _peek(self) -> str:
        """The next character that means something; empty at the end."""
        self._take(_GAP)
        return self.source[self._at : self._at + 1]

    def _take(self, pattern: re.Pattern[str]) -> int:
        """Step over what *pattern* matches here, and say where it began."""
        match, began = pattern.match(self.source, self._at), self._at
        if not match:
            raise ValueError(f"not TOML at character {began}")
        self._at = match.end()
        return began
