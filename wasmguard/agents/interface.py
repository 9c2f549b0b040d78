"""Dialects: the promise that each agent's module keeps, and the strict reading of JSON that all of them share.

A dialect is a module (`wasmguard.agents.claude`). Bytes come in and an `Event` goes out; a `Decision` comes in and a
JSON object goes out. It does no I/O and knows no policy. What it reads is chosen by the agent, and the agent can be
talked into anything, so one reader must not understand it otherwise than the next. An event is

1. one JSON object in UTF-8, with or without a byte order mark; two documents are refused,
2. in which no object has a key twice, at any level (of two values, some readers take the first and some the last),
3. with numbers that are finite (neither `NaN` nor `1e999`) and that Python can write again,
4. not nested deeper than `limits.EVENT_DEPTH`.

Lone surrogates stay: JavaScript sends them as escapes (`\\ud800`), and we answer with the same escapes. Everything
else is an EventError, and nothing else is raised.

What is no event still needs an answer in the form that its event takes. `top_level` reads a key out of bytes that need
not parse, in linear time, and is never misled by the same key deeper down, where the agent chooses the keys.
"""

from __future__ import annotations

from _collections_abc import Mapping  # what `collections.abc` gives, and every Python has loaded already

from wasmguard.errors import EventError
from wasmguard.limits import EVENT_DEPTH
from wasmguard.text import one_line
from wasmguard.wire import reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from wasmguard.decision import Decision
    from wasmguard.event import Event
else:
    Protocol = object


class Dialect(Protocol):
    """What the rest of wasmguard asks of an agent's module."""

    name: str
    """The agent, as the command line, the records and `Event.agent` call it."""

    def parse(self, raw: bytes, *, time: int = 0) -> Event:
        """The event in the bytes that an agent sent, received at *time* (Unix milliseconds).

        Raises:
            EventError: if it breaks a rule above, or lacks what an event of its name must have.
        """

    def from_mapping(self, payload: Mapping[str, Any], *, time: int = 0) -> Event:
        """The event in a payload that somebody else decoded, held to the same rules.

        Raises:
            EventError: as `parse`.
        """

    def name_of(self, raw: bytes) -> str | None:
        """The name of the event in bytes that need not parse, or None when in doubt."""

    def render(self, event: Event, decision: Decision) -> dict[str, Any]:
        """The answer that carries *decision* out, or something stricter where the agent cannot."""

    def refusal(self, event_name: str | None, why: str) -> dict[str, Any]:
        """The answer when there is no decision: stop what can be stopped; None is an event of unknown name."""

    def encode(self, answer: Mapping[str, Any]) -> bytes:
        """The bytes of an answer, as the agent reads them."""


BOM = b"\xef\xbb\xbf"  # the client takes one before its own JSON too


def decoded(raw: bytes) -> dict[str, Any]:
    """The JSON object in *raw*, by the rules above.

    Raises:
        EventError: if it breaks one of them.
    """
    try:
        fields = _JSON(raw.removeprefix(BOM).decode())
    except (RecursionError, MemoryError):
        raise EventError("the event is nested too deep, or too big, to be read") from None
    except ValueError as error:  # bad UTF-8, bad JSON, an integer of more digits than Python reads
        raise EventError(f"the event is not strict JSON: {one_line(str(error), 200)}") from None
    if type(fields) is not dict:
        raise EventError(f"the event is a JSON `{type(fields).__name__}`: send one object")
    if raw.count(b"{") + raw.count(b"[") > EVENT_DEPTH:  # else it cannot be deeper, and nobody needs to look
        _refuse_depth(fields)
    return fields


def copied(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A payload that is already decoded, by the same rules; a copy, because an event does not change under us.

    Raises:
        EventError: if it breaks one of them, has a key that is no string, or holds what JSON cannot say.
    """
    if not isinstance(payload, Mapping):
        raise EventError(f"the event is a `{type(payload).__name__}`: pass a mapping")
    fields: dict[str, Any] = _plain(payload, EVENT_DEPTH)
    return fields


def top_level(raw: bytes, key: str) -> list[str]:
    """Every value that *key* has at the top level of the object in *raw*, in order.

    The bytes may be cut off, too many, too deep, or not JSON at all. A value that is no complete string is given as the
    empty string: something was there, and nobody can say what.
    """
    import re  # here, not above: only an event that cannot be decided needs it

    start, token_of, value_of = re.match(_OBJECT, raw), re.compile(_TOKEN, re.DOTALL), re.compile(_VALUE, re.DOTALL)
    found: list[str] = []
    depth = _depth(0, start[0]) if start else 0
    for token in token_of.finditer(raw, start.end()) if start else ():
        text, between = token.groups()
        if depth == 1 and _means(text, key) and between.lstrip(b" \t\n\r")[:1] == b":":
            value = value_of.match(raw, token.start(2))
            found.append(_text(value[1]) if value else "")
        if between not in _FLAT:
            depth = _depth(depth, between)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """One JSON object whose keys are all different."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise EventError(f"the event has the key `{one_line(_twice(pairs), 100)}` twice in one object: send it once")
    return fields


def _twice(pairs: list[tuple[str, Any]]) -> str:
    """The first key that comes back; in one pass, since there may be a million."""
    met: set[str] = set()
    for key, _ in pairs:
        if key in met:
            return key
        met.add(key)
    return ""


def _finite(literal: str) -> float:
    number = float(literal)
    if number - number != 0:  # infinity minus itself is not a number, and `NaN` never is
        raise EventError(f"the event has the number `{one_line(literal, 100)}`: numbers are finite")
    return number


_JSON = reader(_once, _finite)


def _refuse_depth(fields: dict[str, Any]) -> None:
    """Refuse what is nested too deep, level by level: recursion would have a limit of its own."""
    level: list[Any] = [fields]
    for _ in range(EVENT_DEPTH):
        values = (value for box in level for value in (box.values() if type(box) is dict else box))
        level = [value for value in values if type(value) in (dict, list)]
    if level:
        raise EventError(f"the event is nested deeper than {EVENT_DEPTH} levels")


def _plain(value: Any, room: int) -> Any:
    """A copy of *value* in JSON's own types, with *room* levels left for what contains something."""
    if value is None or type(value) in (str, bool):
        return value
    if type(value) in (int, float):
        return _number(value)
    if type(value) is not dict and not isinstance(value, (Mapping, list, tuple)):
        raise EventError(f"the event holds a `{type(value).__name__}`: JSON has no such value")
    if not room:
        raise EventError(f"the event is nested deeper than {EVENT_DEPTH} levels")
    if isinstance(value, Mapping):
        return {_key(key): _plain(inner, room - 1) for key, inner in value.items()}
    return [_plain(inner, room - 1) for inner in value]


def _number(value: float) -> float:
    try:
        literal = repr(value)
    except ValueError as error:  # more digits than Python writes: nobody could record it or send it on
        raise EventError(f"the event has a number that cannot be written: {one_line(str(error), 200)}") from None
    return value if type(value) is int else _finite(literal)


def _key(key: Any) -> str:
    if type(key) is not str:
        raise EventError(f"the event has the key `{one_line(ascii(key), 100)}`: keys are strings")
    return key


# Possessive (`++`, `*+`): nothing is tried twice, so hostile bytes cost no more than others. A string that is cut off
# is a token too, without its closing quote; else each quote inside of it would be tried as a new beginning.
_SPACE = rb"[ \t\n\r]*+"
_FLAT = (b",", b":", b"")  # what stands between most strings, and opens and closes nothing
_STRING = rb'(?:[^"\\]++|\\.)*+'
_BETWEEN = rb'[^"]*+'
_OBJECT = rb"(?:\xef\xbb\xbf)?" + _SPACE + rb"\{" + _BETWEEN  # up to the first string
_TOKEN = rb'"(' + _STRING + rb')"?(' + _BETWEEN + rb")"
_VALUE = _SPACE + rb":" + _SPACE + rb'"(' + _STRING + rb')"' + _SPACE + rb"(?:[,}]|\Z)"


def _depth(depth: int, between: bytes) -> int:
    """How deep we are after what stands between two strings, having been at *depth* before it."""
    opening = between.count(b"{") + between.count(b"[")
    closing = between.count(b"}") + between.count(b"]")
    if closing < depth or not closing:
        return depth + opening - closing
    for byte in between:  # it may leave the object, and what closes more than is open closes nothing
        depth += (byte in b"{[") - (byte in b"}]" and depth > 0)
    return depth


def _means(text: bytes, key: str) -> bool:
    """Whether a key on the wire is *key*, also when it is written with escapes."""
    return text == key.encode() or (b"\\" in text and _text(text) == key)


def _text(text: bytes) -> str:
    """What a JSON string says, from the bytes between its quotes; nothing if they are no JSON."""
    try:
        said: str = _JSON(f'"{text.decode()}"')
    except ValueError:
        return ""
    return said
