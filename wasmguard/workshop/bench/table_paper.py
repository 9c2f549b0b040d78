"""Lines for a terminal: columns that line up, prose that is wrapped, styles where they can be seen.

1. No line is wider than the console; what does not fit is cut, never wrapped into another column.
2. Nothing here is read as markup: names are somebody else's text.
3. What the stream's encoding cannot say is replaced: drawings by ASCII ones (`simple`), characters by `?`.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

Piece = tuple[str, str]
"""Text, and its style in the words of rich: `bold`, `red`, `dim`; empty for none."""
Cell = str | list[Piece]
"""Text, or several pieces of it."""

NARROW, PROSE = 80, 100  # columns: of a page as it is laid out, and of a sentence at the most
DRAWN = "█▏▁▇"  # what drawings need to be said


class Column(NamedTuple):
    """A column of a table."""

    head: str
    width: int
    """With the blank before it."""
    left: bool = False
    """Whether it is text or a drawing; numbers stand to the right."""


class Paper:
    """What lines are written on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.width = max(NARROW, console.width)
        self.simple = not _says(console.encoding, DRAWN)

    def more(self, wanted: int, had: int) -> int:
        """How wide a column of names is: *had* on a narrow terminal, on wider ones up to *wanted*."""
        return max(had, min(wanted, had + self.width - NARROW))

    def line(self, *pieces: Piece) -> None:
        """Write one line."""
        text = Text()
        for said, style in pieces:
            text.append(self._sayable(said), style or None)
        text.rstrip()
        self._console.print(text, soft_wrap=True)

    def title(self, text: str, right: str = "") -> None:
        """Write what comes next, after an empty line; *right* is a remark at its end, on the next line if too long."""
        self.line()
        if cell_len(text) + (2 + cell_len(right) if right else 0) <= self.width:
            gap = " " * (self.width - cell_len(text) - cell_len(right)) if right else ""
            self.line((text, "bold"), (gap + right, "dim"))
            return
        self.prose(text, "bold", indent="")
        if right:
            self.prose(right, "dim", indent="")

    def prose(self, text: str, style: str = "", *, first: Piece = ("", ""), indent: str = "  ") -> None:
        """Write a sentence on lines that fit, behind the piece *first*; long words, which are paths, are cut."""
        lead = cell_len(first[0])
        room = min(self.width, PROSE) - len(indent) - lead
        if cell_len(text) > len(text):
            room //= 2  # characters of two columns, which `textwrap` counts as one
        wrapped = textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=True) or [""]
        self.line((indent, ""), first, (wrapped[0], style))
        for more in wrapped[1:]:
            self.line((indent + " " * lead, ""), (more, style))

    def table(self, columns: Sequence[Column], rows: Iterable[tuple[str, Sequence[Cell]]]) -> None:
        """Write a head, and rows: a style and a cell for each column."""
        self.line(*[(self._cell(column, column.head, first=not i), "dim") for i, column in enumerate(columns)])
        for style, cells in rows:
            self.line(*self._row(columns, cells, style))

    def _row(self, columns: Sequence[Column], cells: Sequence[Cell], style: str) -> Iterable[Piece]:
        for i, (column, cell) in enumerate(zip(columns, cells, strict=True)):
            if isinstance(cell, str):
                yield self._cell(column, cell, first=not i), style
            else:
                yield " ", ""
                yield from cell
                yield " " * (column.width - 1 - sum(cell_len(text) for text, _ in cell)), ""

    def _cell(self, column: Column, text: str, *, first: bool) -> str:
        room = column.width - (not first)
        text = self._sayable(text)
        if cell_len(text) > room:
            text = set_cell_size(text, room - 1) + ("~" if self.simple else "…")
        gap = " " * (room - cell_len(text))
        return ("" if first else " ") + (text + gap if first or column.left else gap + text)

    def _sayable(self, text: str) -> str:
        encoding = self._console.encoding
        if text.isascii() or _says(encoding, text):
            return text
        return text.replace("…", "~").encode(encoding, "replace").decode(encoding)


def _says(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeError:
        return False
    return True
