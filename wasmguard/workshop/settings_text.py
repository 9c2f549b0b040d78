"""Our entries in the text of a settings file, put in and taken out without touching anything else.

1. What is not ours stays as it is, byte for byte: order, comments, unknown keys, the spelling of numbers and strings.
2. A new entry goes behind what is there, in the file's own indentation, line ends and manner of commas. A comment
   behind an item stays with it.
3. An entry of ours that is there already is replaced where it is, and left alone if it says the same; a second one
   goes. Of a group that also holds somebody else's handlers, only ours goes.
4. Taking out undoes putting in, to the byte. `made` remembers what was made on the way (the `hooks` object, an event's
   list), because an empty one that was there before must stay; without it, what our entries leave empty goes too.
5. What holds a comment is not ours alone, and stays.
6. A file that is no JSON, has a key twice, or has `hooks` of another shape is not changed: nobody knows what it means.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wasmguard.value import same
from wasmguard.workshop.json_text import BLANK, BOM, Item, Node, NotJSON, after_comments, has_comment, parsed, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    Ours = Callable[[object], bool]

ROOT = ""
UNIT = "  "  # what the client itself writes


@dataclass(frozen=True)
class Edit:
    """A changed text."""

    text: str
    made: frozenset[str]
    """What did not exist before: `hooks`, `hooks.Stop`, the whole text (`ROOT`); or was written as empty, in one piece:
    `{}`, `hooks{}`, `hooks.Stop[]`."""


@dataclass(frozen=True)
class _Found:
    """A handler of ours, and what it is in."""

    hooks: Item
    event: Item
    group: int
    handler: int


def put(text: str, wanted: Mapping[str, Mapping[str, Any]], ours: Ours, made: Iterable[str] | None = None) -> Edit:
    """*text* with the group *wanted* under each event, and nothing else for which *ours* is true. *made* is what an
    earlier edit of the same file made, if that is known.

    Raises:
        NotJSON: by rule 6; the message begins with line and column.
    """
    known = None if made is None else frozenset(made)
    done = set(known or ())
    if not text.strip(BLANK + BOM):
        fresh = {"hooks": {event: [group] for event, group in wanted.items()}}
        return Edit(json.dumps(fresh, indent=UNIT, ensure_ascii=False) + "\n", frozenset({ROOT}))
    _check(text)
    while (found := next(_misplaced(text, wanted, ours), None)) is not None:
        text = _corrected(text, found, wanted, ours, known)
    for event, group in wanted.items():
        if not any(found.event.key == event for found in _ours(text, ours)):
            text, new = _with_group(text, event, group)
            done |= new
    return Edit(text, frozenset(done))


def take(text: str, ours: Ours, made: Iterable[str] | None = None) -> str:
    """*text* without the handlers for which *ours* is true, and without what *made* says that `put` had made for them;
    without *made*, without anything that they leave empty.

    Raises:
        NotJSON: if it is no JSON.
    """
    known = None if made is None else frozenset(made)
    if not text.strip(BLANK + BOM):
        return text
    while (found := next(_ours(text, ours), None)) is not None:
        text = _without(text, found, known)
    root = parsed(text).root
    return "" if known is not None and ROOT in known and not root.items and not has_comment(text, root) else text


def _check(text: str) -> None:
    """Rule 6."""
    document = parsed(text)
    if document.twice:
        raise NotJSON(f"{document.twice} is there twice")
    if not isinstance(document.root.value, dict):
        raise NotJSON(f"{place(text, document.root.start)}: the settings must be an object")
    for hooks in _members(document.root, "hooks"):
        if not isinstance(hooks.node.value, dict):
            raise NotJSON(f"{place(text, hooks.start)}: `hooks` must be an object")
        for event in hooks.node.items:
            if not isinstance(event.node.value, list):
                raise NotJSON(f"{place(text, event.start)}: `hooks.{event.key}` must be a list")


def _members(node: Node, key: str) -> Iterator[Item]:
    return (item for item in node.items if item.key == key)


def _ours(text: str, ours: Ours) -> Iterator[_Found]:
    """Every handler of ours in *text*, in its order."""
    for hooks in _members(parsed(text).root, "hooks"):
        for event in hooks.node.items:
            listed = event.node.items if isinstance(event.node.value, list) else ()
            for number, group in enumerate(listed):
                inside = next(_members(group.node, "hooks"), None)
                for place_, handler in enumerate(inside.node.items if inside else ()):
                    if ours(handler.node.value):
                        yield _Found(hooks, event, number, place_)


def _handlers(found: _Found) -> Node:
    """The list that the handler is in."""
    return next(_members(found.event.node.items[found.group].node, "hooks")).node


def _misplaced(text: str, wanted: Mapping[str, Any], ours: Ours) -> Iterator[_Found]:
    """The handlers of ours that are not what they should be, see `_corrected`."""
    seen: dict[str | None, int] = {}
    for found in _ours(text, ours):
        first = seen.setdefault(found.event.key, found.group) == found.group
        right = wanted.get(found.event.key or "")
        if not first or right is None or not same(found.event.node.items[found.group].node.value, dict(right)):
            yield found


def _corrected(text: str, found: _Found, wanted: Mapping[str, Any], ours: Ours, made: frozenset[str] | None) -> str:
    """*text* with the group replaced, if it is ours alone and the first; else without the handler."""
    group, right = found.event.node.items[found.group], wanted.get(found.event.key or "")
    first = next(f for f in _ours(text, ours) if f.event.start == found.event.start).group == found.group
    alone = all(ours(item.node.value) for item in _handlers(found).items)
    if right is None or not (first and alone):
        return _without(text, found, made if right is None else frozenset())
    style = _Style(text)
    many = style.many_lines(found.event.node) or "\n" in text[group.start : group.end]
    written = style.written(right, style.indent_at(group.start) if many else None)
    return text[: group.start] + written + text[group.end :]


def _with_group(text: str, event: str, group: Mapping[str, Any]) -> tuple[str, set[str]]:
    """*text* with *group* as a further one under *event*, and what was made for it."""
    root = parsed(text).root
    hooks = next(_members(root, "hooks"), None)
    if hooks is None:
        text, opened = _appended(text, root, "hooks", {event: [group]})
        return text, {"hooks", f"hooks.{event}", *(["{}"] if opened else [])}
    listed = next(_members(hooks.node, event), None)
    if listed is None:
        text, opened = _appended(text, hooks.node, event, [group])
        return text, {f"hooks.{event}", *(["hooks{}"] if opened else [])}
    text, opened = _appended(text, listed.node, None, group)
    return text, {f"hooks.{event}[]"} if opened else set()


def _appended(text: str, into: Node, key: str | None, value: object) -> tuple[str, bool]:
    """*text* with *value* as the last item of *into*, and whether the end of *into* has got a line of its own."""
    style, close = _Style(text), into.end - 1
    many = style.many_lines(into)
    indent = style.indent_in(into) if many else None
    new = style.written(value, indent)
    if key is not None:
        new = json.dumps(key) + style.colon + new
    last = into.items[-1] if into.items else None
    behind = into.start + 1 if last is None else last.end if last.comma is None else last.comma + 1
    end, line = after_comments(text, behind, close)
    gap = style.newline + (indent or "") if many or line else style.blank if last else ""
    if last is None and many and not text[into.start + 1 : close]:
        return text[:end] + gap + new + style.newline + style.indent_at(into.start) + text[close:], True
    if last is None or last.comma is not None:
        return text[:end] + gap + new + ("," if last else "") + text[end:], False
    return text[: last.end] + "," + text[last.end : end] + gap + new + text[end:], False


def _without(text: str, found: _Found, made: frozenset[str] | None) -> str:
    """*text* without the handler; if nothing else is in what it is in, without that."""
    handlers, event, hooks = _handlers(found), found.event, found.hooks
    if len(handlers.items) > 1:
        return _cut(text, handlers, found.handler)
    if len(event.node.items) > 1 or not _goes(text, event, f"hooks.{event.key}", made):
        return _emptied(_cut(text, event.node, found.group), event.node, f"hooks.{event.key}[]", made)
    if len(hooks.node.items) > 1 or not _goes(text, hooks, "hooks", made):
        return _emptied(_cut(text, hooks.node, hooks.node.items.index(event)), hooks.node, "hooks{}", made)
    root = parsed(text).root
    return _emptied(_cut(text, root, root.items.index(hooks)), root, "{}", made)


def _goes(text: str, item: Item, mark: str, made: frozenset[str] | None) -> bool:
    """Whether *item* goes with the last of what it holds."""
    return (made is None or mark in made or ROOT in made) and not has_comment(text, item.node)


def _emptied(text: str, node: Node, mark: str, made: frozenset[str] | None) -> str:
    """*text*, in which something was cut out of *node*, without the line that `put` had opened there."""
    if len(node.items) > 1 or not (made is None or mark in made):
        return text
    end = node.start + 1
    while text[end] in BLANK:
        end += 1
    return text[: node.start + 1] + text[end:] if text[end] in "}]" else text


def _cut(text: str, node: Node, number: int) -> str:
    """*text* without the item *number* of *node*, its comma, and the blanks before it."""
    item = node.items[number]
    before = node.items[number - 1] if number else None
    if before is None and item.comma is not None:  # the next one takes its place
        return text[: item.start] + text[item.end : item.comma].strip(" \t") + text[item.comma + 1 :].lstrip(BLANK)
    behind = node.start + 1 if before is None or before.comma is None else before.comma + 1
    rest = text[item.end :] if item.comma is None else text[item.end : item.comma] + text[item.comma + 1 :]
    start, line = after_comments(text, behind, item.start)
    if line and not rest.lstrip(" \t").startswith(("\r", "\n")):
        start = item.start  # what follows must not become part of the comment
    if item.comma is None and before is not None and before.comma is not None:
        return text[: before.comma] + text[before.comma + 1 : start] + rest
    return text[:start] + rest


class _Style:
    """How a text is laid out."""

    def __init__(self, text: str) -> None:
        self.text, self.root = text, parsed(text).root
        self.newline = "\r\n" if "\r\n" in text else "\r" if "\r" in text and "\n" not in text else "\n"
        first = self.root.items[0] if self.root.items else None
        lines = first is not None and self._starts_line(first.start)
        self.unit = (
            self.indent_at(first.start).removeprefix(self.indent_at(self.root.start)) if lines and first else UNIT
        )
        self.colon = ": "
        if first and text[: first.node.start].endswith(":"):
            self.colon = ":"
        self.blank = self.colon[1:]

    def many_lines(self, node: Node) -> bool:
        """Whether the items of *node* have lines of their own."""
        if node.items:
            return any(character in self.text[node.start : node.items[0].start] for character in "\r\n")
        inside = self.text[node.start + 1 : node.end - 1]
        return "\n" in inside or "\r" in inside or not self.root.items or self.many_lines(self.root)

    def indent_in(self, node: Node) -> str:
        """The blanks before an item of *node* that has its own line."""
        for item in reversed(node.items):
            if self._starts_line(item.start):
                return self.indent_at(item.start)
        return self.indent_at(node.start) + self.unit

    def indent_at(self, at: int) -> str:
        """The blanks at the beginning of the line that *at* is in."""
        start = max(self.text.rfind("\n", 0, at), self.text.rfind("\r", 0, at)) + 1
        line = self.text[start:at].removeprefix(BOM)
        return line[: len(line) - len(line.lstrip(" \t"))]

    def written(self, value: object, indent: str | None) -> str:
        """*value* as text: in lines that begin with *indent*, or in one."""
        if indent is None:
            return json.dumps(value, ensure_ascii=False, separators=("," + self.blank, self.colon))
        return json.dumps(value, ensure_ascii=False, indent=self.unit).replace("\n", self.newline + indent)

    def _starts_line(self, at: int) -> bool:
        return self.text[:at].rstrip(" \t").endswith(("\n", "\r"))
