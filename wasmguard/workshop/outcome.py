"""What `install` and `uninstall` did, or would do, in lines for people."""

from __future__ import annotations

import difflib
import os
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wasmguard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.settings_file import SettingsFile

WIDTH = 80  # columns
LONGEST = 400  # characters of a line of a file
NEIGHBOURS = 1  # unchanged lines that are shown around a change: more may show what nobody asked for

WORTH = 6  # lines that are shown again rather than left out

_TOKEN = re.compile(r"Bearer [A-Za-z0-9_-]{20,}")


@dataclass(frozen=True)
class Outcome:
    """What happened: styled lines, whether a file changed (or would), and whether the agent will ask."""

    lines: tuple[tuple[str, str], ...]
    changed: bool
    works: bool = True
    """Whether it is in force, and nothing is known that keeps the agent from asking; or from asking no more."""


def said(style: str, sentence: str, head: str = "") -> tuple[str, str]:
    """*sentence* on lines that fit, behind *head*. Words stay whole: paths are copied."""
    room = WIDTH - len(head)
    lines = textwrap.wrap(sentence, room, break_on_hyphens=False, break_long_words=False)
    return style, head + ("\n" + " " * len(head)).join(lines)


def changes(file: SettingsFile, new: str | None) -> Iterator[tuple[str, str]]:
    """How *file* changes when it becomes *new* (None: it goes), line by line, without secrets of ours."""
    before, after = (_lines(text) for text in (file.text, new or ""))
    names = (os.devnull if file.data is None else file.path, os.devnull if new is None else file.path)
    for line in _shortened(list(difflib.unified_diff(before, after, *names, n=NEIGHBOURS, lineterm=""))):
        style = "old" if line.startswith("-") else "new" if line.startswith("+") else "plain"
        yield "title" if line.startswith(("---", "+++")) else style, one_line(line, LONGEST)


def _shortened(lines: list[str]) -> Iterator[str]:
    """*lines* without the stretches that were shown before: each event gets the same handler."""
    at = 0
    while at < len(lines):
        length = max(_common(lines, before, at) for before in range(at)) if at else 0
        if length > WORTH:
            yield f"{lines[at][:1]} ... ({length} lines as above)"
        yield from lines[at : at + 1] if length <= WORTH else ()
        at += length if length > WORTH else 1


def _common(lines: list[str], one: int, other: int) -> int:
    """How many lines from *one* on are those from *other* on, as far as *other*."""
    length = 0
    while one + length < other and other + length < len(lines) and lines[one + length] == lines[other + length]:
        length += 1
    return length


def _lines(text: str) -> list[str]:
    return [_TOKEN.sub("Bearer …", line).replace("\t", "    ") for line in text.splitlines()]
