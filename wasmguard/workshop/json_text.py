"""JSON text with the places of its parts: what an editor of other people's files needs.

1. Read is JSON (RFC 8259), and what people write into settings besides: `//` and `/* */` comments, a comma after the
   last item, a byte order mark. `plain` says whether it was JSON alone.
2. An error names line and column, counted from 1.
3. A key that an object has twice is kept twice; `twice` says where. As a value, the last one counts, as everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from wasmguard import wire

DEEPEST = 100  # levels; settings have five
BLANK = " \t\r\n"
BOM = "\ufeff"

_SPACE = re.compile(r"[ \t\r\n]+")
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}


class NotJSON(ValueError):
    """The text is no JSON; the message begins with line and column."""


@dataclass(frozen=True)
class Node:
    """One value of the text."""

    start: int
    end: int
    value: Any
    items: tuple[Item, ...] = ()
    """What an object or a list holds, in the order of the text."""


@dataclass(frozen=True)
class Item:
    """An item of a list, or a member of an object."""

    start: int
    """Where it begins: at its key, if it has one."""
    node: Node
    key: str | None = None
    comma: int | None = None
    """Where the comma after it is."""

    @property
    def end(self) -> int:
        """Where its value ends."""
        return self.node.end


@dataclass(frozen=True)
class Document:
    """A whole text."""

    root: Node
    plain: bool
    """Whether it is JSON without anything besides."""
    twice: str
    """Where the first key is that an object has twice, as line, column and key; empty if none has."""


def parsed(text: str) -> Document:
    """The document in *text*.

    Raises:
        NotJSON: if it is none.
    """
    return _Reader(text).document()


def after_comments(text: str, start: int, end: int) -> tuple[int, bool]:
    """Where the last comment between *start* and *end*, a stretch of blanks and comments, ends, and whether the line
    must end there as well; without a comment, *start*."""
    last, line = start, False
    while start < end:
        found = _COMMENT.match(text, start)
        start = found.end() if found else start + 1
        if found:
            last, line = start, found[0].startswith("//")
    return last, line


def has_comment(text: str, node: Node) -> bool:
    """Whether there is a comment inside *node*, an object or a list."""
    at = node.start
    while at < node.end:
        found = _STRING.match(text, at)
        if not found and _COMMENT.match(text, at):
            return True
        at = found.end() if found else at + 1
    return False


def place(text: str, at: int) -> str:
    """Line and column of the position *at*: `3:14`."""
    before = text[:at].removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n")
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.plain, self.twice = text, len(BOM) if text.startswith(BOM) else 0, True, ""

    def document(self) -> Document:
        self._skip()
        root = self._value(0)
        self._skip()
        if self.at < len(self.text):
            raise self._error("something follows the end")
        return Document(root, self.plain, self.twice)

    def _skip(self) -> None:
        while True:
            if found := _SPACE.match(self.text, self.at):
                self.at = found.end()
            elif found := _COMMENT.match(self.text, self.at):
                self.at, self.plain = found.end(), False
            elif self.text.startswith("/*", self.at):
                raise self._error("a comment that is not closed")
            else:
                return

    def _value(self, depth: int) -> Node:
        start = self.at
        if depth > DEEPEST:
            raise self._error(f"nested deeper than {DEEPEST}")
        if self._next() in ("{", "["):
            return self._container(depth)
        if self._next() == '"':
            return self._string()
        if found := _NUMBER.match(self.text, start):
            self.at = found.end()
            return Node(start, self.at, wire.read(found[0]))
        for word, value in _WORDS.items():
            if self.text.startswith(word, start):
                self.at += len(word)
                return Node(start, self.at, value)
        raise self._error("a value is missing")

    def _string(self) -> Node:
        start, found = self.at, _STRING.match(self.text, self.at)
        try:
            value = wire.read(found[0]) if found else None
        except ValueError:
            value = None
        if found is None or not isinstance(value, str):
            raise self._error("a string that is not closed, or holds what must be escaped")
        self.at = found.end()
        return Node(start, self.at, value)

    def _container(self, depth: int) -> Node:
        start, opening = self.at, self._next()
        closing, items = "}" if opening == "{" else "]", list[Item]()
        self.at += 1
        while True:
            self._skip()
            if self._next() == closing:
                self.plain = self.plain and not (items and items[-1].comma is not None)
                break
            if items and items[-1].comma is None:
                raise self._error(f"a comma or `{closing}` is missing")
            items.append(self._item(depth, keyed=opening == "{"))
        self.at += 1
        return Node(start, self.at, self._held(items, keyed=opening == "{"), tuple(items))

    def _item(self, depth: int, *, keyed: bool) -> Item:
        start, key = self.at, None
        if keyed:
            if self._next() != '"':
                raise self._error("a key in double quotes is missing")
            key = self._string().value
            self._skip()
            if self._next() != ":":
                raise self._error("a colon is missing")
            self.at += 1
            self._skip()
        node = self._value(depth + 1)
        self._skip()
        comma = self.at if self._next() == "," else None
        self.at += comma is not None
        return Item(start, node, key, comma)

    def _held(self, items: list[Item], *, keyed: bool) -> Any:
        if not keyed:
            return [item.node.value for item in items]
        value: dict[str | None, Any] = {}
        for item in items:
            if item.key in value and not self.twice:
                self.twice = f"{place(self.text, item.start)}: `{item.key}`"
            value[item.key] = item.node.value
        return value

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _error(self, what: str) -> NotJSON:
        return NotJSON(f"{place(self.text, self.at)}: {what}")
