"""The reading door: what was recorded, out of all segments, as if they were one.

Nothing here writes, and what still waits in the spool is not seen: `wasmguard.records.drain.drained` moves that first.
All texts are as agents and guests wrote them: clean them before anybody sees them.
"""

from __future__ import annotations

import json
from hashlib import sha256
from time import sleep
from typing import TYPE_CHECKING, Any

from wasmguard import spool
from wasmguard.records.found import Odd, asked, each, segments
from wasmguard.records.lines import Line, lines, paged
from wasmguard.records.named import named, other
from wasmguard.records.segment import taken
from wasmguard.records.sums import counts, hours
from wasmguard.records.wanted import Wanted
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from sqlite3 import Connection

__all__ = [
    "Line",
    "Record",
    "blob",
    "counts",
    "follow",
    "granted_input",
    "hours",
    "lines",
    "record",
    "records",
    "state",
]

PAGE = 500  # records that are read at once
LOSSES = ("lost", "damaged")
"""Kinds of records about others that are missing: so many as they say, or one."""
AGAIN = 0.5  # seconds until `follow` looks again


class Record(Value):
    """One record, whole."""

    seq: int
    hash: str
    """The chain up to and with this record, hexadecimal."""
    body: dict[str, Any]
    joined: Record | None = None
    """Of a call: its result, or the decision that a result belongs to. Only `record` looks for it."""


def records(**wanted: Any) -> Iterator[Record]:
    """The records that are *wanted*, whole, oldest first; `joined` is left out.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    yield from paged(_records, PAGE, Wanted(**wanted))


def record(which: str) -> Record | None:
    """The record that *which* names: its sequence number, its id or at least six digits of how it begins, a
    `tool_use_id` (the decision about the call, before its result), or `last`, the last decision. None if there is none.

    Raises:
        UsageError: if several ids begin so.
        HostError: if a segment cannot be read, or is damaged.
    """
    line = named(which)
    found = _whole(line.seq) if line is not None else None
    if line is None or found is None:
        return found
    belongs = other(line)
    return found.replaced(joined=_whole(belongs.seq)) if belongs is not None else found


def blob(digest: str | bytes) -> bytes | None:
    """The bytes with this SHA-256 (in hexadecimal, or as it is) that a record speaks of; None if they are not kept.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    key = bytes.fromhex(digest) if isinstance(digest, str) else digest

    def kept(connection: Connection) -> bytes | None:
        row = connection.execute("SELECT data FROM blobs WHERE digest = ?", (key,)).fetchone()
        if row is not None and not (isinstance(row[0], bytes) and sha256(row[0]).digest() == key):
            raise Odd(f"what is kept as {key.hex()} is something else")
        return row[0] if row is not None else None

    return next(each(kept, newest=True), None)


def state() -> dict[str, Any]:
    """What there is: `records` how many, `first` and `last` when (Unix milliseconds; None without records), `bytes` on
    the disk, `segments` how many, `head` the end of the chain (`sequence number:hash`; empty without records),
    `waiting` bytes in the spool, and how many records were `lost`.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    paths = segments()
    ends = [end for path in paths if (end := asked(path, _ends)) is not None]
    filled = [end for end in ends if end]
    return {
        "records": sum(last - first + 1 for first, _, last, _, _ in filled),
        "first": filled[0][1] if filled else None,
        "last": filled[-1][3] if filled else None,
        "bytes": sum(map(taken, paths)),
        "segments": len(ends),
        "head": f"{filled[-1][2]}:{filled[-1][4]}" if filled else "",
        "waiting": spool.waiting(),
        "lost": sum(_count(found.body) for kind in LOSSES for found in records(kind=kind)),
    }


def granted_input(agent: str, call: str) -> Mapping[str, Any] | None:
    """The tool input that was granted to *agent* for *call* (`tool_use_id`), as the last record of it that is whole
    says: what the policies rewrote it to, or what it was. None if it was denied, or nobody knows. What waits in the
    spool is moved on first.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    from wasmguard.records.drain import drained

    drained(wait=2.0)
    line = next(reversed([*lines(agent=agent, call=call, event="PreToolUse", kind="decision")]), None)
    found = _whole(line.seq) if line is not None else None
    if found is None or found.body.get("effect") == "deny" or found.body.get("inputs") != "full":
        return None
    fields = found.body.get("fields")
    given = fields.get("tool_input") if isinstance(fields, dict) else None
    granted = found.body.get("rewrite") if found.body.get("rewrote") else given
    return granted if isinstance(granted, dict) else None


def follow(after: int, **wanted: Any) -> Iterator[list[Line]]:
    """The records behind *after* that are *wanted*, as they come: moves what waits in the spool, and looks again every
    half second, until its caller has enough or is interrupted.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    from wasmguard.records.drain import drained

    while True:
        drained()
        new = list(lines(after=after, **wanted))
        if new:
            after = new[-1].seq
            yield new
        sleep(AGAIN)


def _records(want: Wanted, most: int, _newest: bool, connection: Connection) -> list[Record]:
    condition = want.within(connection)
    if condition is None:
        return []
    where, values = condition
    # CROSS JOIN: the narrow table first, whatever SQLite thinks (sqlite.org/optoverview.html, 8.2).
    chosen = f"SELECT seq AS wanted FROM lines WHERE {where} ORDER BY seq LIMIT ?"  # noqa: S608  # no values in it
    asking = f"SELECT seq, hash, body FROM ({chosen}) CROSS JOIN records ON seq = wanted ORDER BY wanted"  # noqa: S608
    return [_record(*row) for row in connection.execute(asking, (*values, most)).fetchall()]


def _record(seq: int, link: Any, text: Any) -> Record:
    try:
        body = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise Odd(f"record {seq} is no JSON") from None
    if type(body) is not dict or type(link) is not bytes:
        raise Odd(f"record {seq} is none")
    return Record(seq=seq, hash=link.hex(), body=body)


def _whole(seq: int) -> Record | None:
    asking = "SELECT seq, hash, body FROM records WHERE seq = ?"

    def whole(connection: Connection) -> Record | None:
        row = connection.execute(asking, (seq,)).fetchone()
        return _record(*row) if row is not None else None

    return next(each(whole, newest=True), None)


def _ends(connection: Connection) -> tuple[int, int, int, int, str] | tuple[()]:
    """Number and time of the first and the last record of a segment, and the hash of the last."""
    asking = "SELECT seq, time, hash FROM lines JOIN records USING (seq) ORDER BY seq {} LIMIT 1"
    first = connection.execute(asking.format("ASC")).fetchone()
    last = connection.execute(asking.format("DESC")).fetchone()
    if first is None or last is None:
        return ()
    if not all(type(value) is int for value in (*first[:2], *last[:2])) or type(last[2]) is not bytes:
        raise Odd("its first or last record is none")
    return first[0], first[1], last[0], last[1], last[2].hex()


def _count(body: dict[str, Any]) -> int:
    count = body.get("count")
    return count if isinstance(count, int) else 1
