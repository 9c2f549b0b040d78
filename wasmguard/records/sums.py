"""How much of everything there is: what was counted hour by hour when it was written.

Whole hours come from these roll-ups. Where somebody asks for a part of an hour, the records of that part are counted
one by one; or those of the rest, if they are fewer, and taken away from the hour.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wasmguard.records.counting import HOUR, REASONS, Counts
from wasmguard.records.found import Odd, each

if TYPE_CHECKING:
    from sqlite3 import Connection

    Spans = tuple[tuple[int, int], ...]  # from, until before; Unix milliseconds
    Sums = dict[str, dict[str, int]]

LATEST = 2**62  # Unix milliseconds: later than all that SQLite counts


def counts(since: int | None = None, until: int | None = None) -> Sums:
    """What was counted from *since* until before *until* (Unix milliseconds; None leaves it open): for each thing that
    is counted (`wasmguard.records.counting.counted`) how much of each name.

    Reasons are told apart as in their hour: the rare ones of a busy hour are one, `…`.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    sums: Sums = {}
    first, end = max(0, since or 0), LATEST if until is None else max(0, min(until, LATEST))
    for rows in each(lambda connection: _counted(connection, first, end)):
        for what, name, n in rows:
            _add(sums, what, name, n)
    return {what: kept for what, names in sums.items() if (kept := {name: n for name, n in names.items() if n > 0})}


def hours(what: str, since: int | None = None, until: int | None = None) -> dict[int, dict[str, int]]:
    """What was counted of *what* (such as `effect`) hour by hour, for charts: for each hour (Unix hours) that begins
    from *since* until before *until* (Unix milliseconds), and in which there was anything, how much of each name.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    asking = "SELECT hour, name, n FROM counts WHERE what = ? AND hour >= ? AND hour < ?"
    end = LATEST if until is None else until
    span = -(-max(0, since or 0) // HOUR), -(-max(0, min(end, LATEST)) // HOUR)
    sums: dict[int, dict[str, int]] = {}
    for rows in each(lambda connection: connection.execute(asking, (what, *span)).fetchall()):
        for hour, name, n in rows:
            names = sums.setdefault(hour, {})
            names[name] = names.get(name, 0) + n
    return dict(sorted(sums.items()))


def _counted(connection: Connection, since: int, until: int) -> list[tuple[str, str, int]]:
    if until <= since:
        return []
    begin, end = -(-since // HOUR), until // HOUR  # whole hours; none if the end is before the beginning
    asking = "SELECT what, name, sum(n) FROM counts WHERE hour >= ? AND hour < ? GROUP BY what, name"
    rows = _checked(connection.execute(asking, (begin, end)).fetchall())
    for hour in sorted({since // HOUR, until // HOUR}):
        if not begin <= hour < end:
            rows += _part(connection, hour, max(since, hour * HOUR), min(until, (hour + 1) * HOUR))
    return rows


def _part(connection: Connection, hour: int, since: int, until: int) -> list[tuple[str, str, int]]:
    """What was counted of one *hour*, from *since* until before *until*."""
    asking = "SELECT what, name, n FROM counts WHERE hour = ?"
    whole = _checked(connection.execute(asking, (hour,)).fetchall()) if since < until else []
    if not whole:
        return []
    begin, end = hour * HOUR, (hour + 1) * HOUR
    inside, outside = ((since, until),), ((begin, since), (until, end))
    rest, part = _number(connection, outside), _number(connection, inside)
    if not rest:
        return whole
    reasons = {name for what, name, _ in whole if what == "reason"}
    if rest < part:
        return [*whole, *((what, name, -n) for what, name, n in _counted_anew(connection, outside, reasons))]
    return _counted_anew(connection, inside, reasons)


def _number(connection: Connection, spans: Spans) -> int:
    """How many records are of these *spans* of time."""
    asking = "SELECT count(*) FROM lines WHERE time >= ? AND time < ?"
    return sum(connection.execute(asking, span).fetchone()[0] for span in spans)


def _counted_anew(connection: Connection, spans: Spans, reasons: set[str]) -> list[tuple[str, str, int]]:
    """What the records of these *spans* count; of reasons only *reasons* have names of their own."""
    counts = Counts()
    # CROSS JOIN: the narrow table first, whatever SQLite thinks (sqlite.org/optoverview.html, 8.2).
    asking = (
        "SELECT wanted, body FROM (SELECT seq AS wanted FROM lines WHERE time >= ? AND time < ?)"
        " CROSS JOIN records ON seq = wanted"
    )
    for span in spans:
        for seq, body in connection.execute(asking, span):
            try:
                counts.add(json.loads(body))
            except (TypeError, ValueError, AttributeError, RecursionError):
                raise Odd(f"record {seq} is none") from None
    known = _Closed(reasons)
    return [(what, name, n) for (_, what, name), n in counts.rows(lambda _: known).items()]


def _checked(rows: list[tuple[Any, Any, Any]]) -> list[tuple[str, str, int]]:
    if not all(type(what) is type(name) is str and type(n) is int for what, name, n in rows):
        raise Odd("its counts hold other things than counts")
    return rows


def _add(sums: Sums, what: str, name: str, n: int) -> None:
    names = sums.setdefault(what, {})
    names[name] = names.get(name, 0) + n


class _Closed(set[str]):
    """The reasons that an hour tells apart, which are all: it takes no others."""

    def __len__(self) -> int:
        return REASONS
