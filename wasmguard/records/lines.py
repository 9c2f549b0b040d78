"""Records in short, a line each: narrow enough to look through a million of them.

Each segment knows words by numbers of its own, so lines get their words where they are read. All texts are as agents
and guests wrote them: clean them before anybody sees them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, overload

from wasmguard.records.found import Odd, asked, each, segments
from wasmguard.records.wanted import Wanted
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from sqlite3 import Connection

PAGE = 5_000  # lines that are read at once


class Line(Value):
    """One record in short. None is what it does not have. Long words are cut (`wasmguard.records.counting.WORD`)."""

    seq: int
    id: str
    time: int
    """Unix milliseconds."""
    kind: str
    event: str | None
    tool: str | None
    effect: str | None
    policy: str | None
    """Who carried the effect."""
    session: str | None
    agent: str | None
    call: str | None
    """`tool_use_id`."""
    us: int | None
    """Microseconds of the whole decision."""
    fuel: int | None
    """What all policies burned."""
    flags: int
    """Bits, by their names in `wasmguard.records.counting`: `REWROTE`, `FAULTED`, `ERROR`, …"""


@overload
def lines(*, newest: int, **wanted: Any) -> list[Line]: ...


@overload
def lines(*, newest: None = None, **wanted: Any) -> Iterator[Line]: ...


def lines(*, newest: int | None = None, **wanted: Any) -> list[Line] | Iterator[Line]:
    """The records that are *wanted* (fields of `wasmguard.records.wanted.Wanted`) in short, oldest first: with *newest*
    only so many of them, those that came last; without it all, one after the other.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    want = Wanted(**wanted)
    if newest is None:
        return paged(_lines, PAGE, want)
    found: list[Line] = []
    if newest < 1:
        return found
    for some in each(partial(_lines, want, newest, True), newest=True, looks_through=True):
        found += some
        if len(found) >= newest:
            break
    return found[:newest][::-1]


def chosen(condition: str, values: list[Any], *, most: int = 1) -> list[Line]:
    """The lines of all segments for which *condition*, in SQL, holds with its *values*: newest first, and at least
    *most* of them, if there are.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    found: list[Line] = []
    for some in each(lambda c: _selected(c, condition, values, most, newest=True), newest=True):
        found += some
        if len(found) >= most:
            break
    return found


def paged(page: Callable[[Wanted, int, bool, Connection], list[Any]], most: int, want: Wanted) -> Iterator[Any]:
    """What *page* finds in all segments, at most *most* at once, so that no segment stays open.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    for path in segments():
        while True:
            found = asked(path, partial(page, want, most, False)) or []
            yield from found
            if found:
                want = want.replaced(after=found[-1].seq)
            if len(found) < most:
                break


def _lines(want: Wanted, most: int, newest: bool, connection: Connection) -> list[Line]:
    condition = want.within(connection)
    return _selected(connection, *condition, most, newest=newest) if condition else []


def _selected(connection: Connection, condition: str, values: list[Any], most: int, *, newest: bool) -> list[Line]:
    order = "DESC" if newest else "ASC"
    asking = f"SELECT {_COLUMNS} FROM lines WHERE {condition} ORDER BY seq {order} LIMIT ?"  # noqa: S608  # no values in it
    known: dict[int | None, str | None] = {None: None}
    return [_line(row, known, connection) for row in connection.execute(asking, (*values, most)).fetchall()]


def _line(row: tuple[Any, ...], known: dict[int | None, str | None], connection: Connection) -> Line:
    """The line in *row*; *known* are the words of this segment that were met so far."""
    seq, id_, time, *numbers, call, us, fuel, flags = row
    try:
        kind, *words = [known[number] if number in known else _word(number, known, connection) for number in numbers]
        fields = (seq, id_.hex(), time, kind, *words, call, us, fuel, flags)
    except (TypeError, AttributeError):
        raise Odd(f"the line of record {seq} holds other things than it should") from None
    if kind is None or not (type(time) is type(flags) is int and type(us) in _MAYBE and type(fuel) in _MAYBE):
        raise Odd(f"the line of record {seq} holds other things than it should")
    if call is not None and type(call) is not str:
        raise Odd(f"the call of record {seq} is no text")
    made = object.__new__(Line)  # all fields are there: to look again would take half of the time
    made.__dict__.update(zip(_FIELDS, fields, strict=True))
    return made


def _word(number: Any, known: dict[int | None, str | None], connection: Connection) -> str | None:
    found = connection.execute("SELECT word FROM words WHERE id = ?", (number,)).fetchone()
    if found is None or type(found[0]) is not str:
        raise Odd(f"word {number} is missing")
    return known.setdefault(number, found[0])


_FIELDS = tuple(Line.__annotations__)
_COLUMNS = ", ".join(_FIELDS)
_MAYBE = (int, type(None))  # SQLite keeps any type in any column
