"""What is given up: the oldest segments, whole, by age and by size.

1. A segment goes when all its records are older than the owner keeps them, or when all segments together are too large.
   The last one never goes. So that age counts for it too, one that was begun long ago is closed.
2. First the chain says it: a record of the kind `retired` with the first and the last record of the segment and the
   hash of that. Then the file goes. Who is killed in between leaves a file that the next one removes.
"""

from __future__ import annotations

import os
import sqlite3
from time import time_ns
from typing import TYPE_CHECKING

from wasmguard import plan
from wasmguard.records.database import time_of
from wasmguard.records.prepared import plain
from wasmguard.records.segment import Segment, failed, numbers, path_of, remove, taken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wasmguard.records.database import Database
    from wasmguard.records.segment import Meta

DAY = 86_400_000  # milliseconds
PARTS = 9
"""A segment is closed after such a part of the time that records are kept: they are kept that much longer at the
most."""


def wanted() -> dict[str, Any] | None:
    """What of records is kept: as much as the most generous of all configurations in force says. None if there is
    none. All of this user's guards share the database."""
    tables = [made.record for made in plan.in_force()]
    if not tables:
        return None
    return {name: max(table[name] for table in tables) for name in ("keep", "size", "segment")}


def apply(database: Database, key: bytes, record: Mapping[str, Any] | None) -> int:
    """Give up what *record*, the owner's `[record]`, does not keep; how many segments that was. Without one only what
    was given up already goes.

    Raises:
        HostError: if a segment is broken, or cannot be removed.
    """
    removed = _tidy(database, key)
    if record is None:
        return removed
    now, keep = time_ns() // 1_000_000, record["keep"] * DAY
    begun = database.begun()
    if begun is not None and begun < now - max(DAY, keep // PARTS):
        database.rotate()
    folder = database.folder
    sizes = {number: taken(path_of(folder, number)) for number in numbers(folder)}
    for number in sorted(sizes)[:-1]:
        meta, newest = _end_of(path_of(folder, number), key)
        if sum(sizes.values()) <= record["size"] and (newest is None or newest >= now - keep):
            break
        id_ = now.to_bytes(6, "big") + os.urandom(4)
        said = plain(id_, "retired", first=meta.first, last=meta.head, hash=meta.hash)
        database.append([[said]], retired=(meta.head, meta.hash))
        del sizes[number]
        removed += 1
        database.forget()
        remove(path_of(folder, number))
    return removed


def _tidy(database: Database, key: bytes) -> int:
    """Remove what was given up, and not removed any more (rule 2)."""
    removed, retired = 0, database.meta().retired
    for number in numbers(database.folder)[:-1] if retired else ():
        path = path_of(database.folder, number)
        if _end_of(path, key)[0].head > retired:
            break
        database.forget()
        remove(path)
        removed += 1
    return removed


def _end_of(path: str, key: bytes) -> tuple[Meta, int | None]:
    """What a segment says of itself, and when its last record was (Unix milliseconds)."""
    with Segment(path, key, write=True) as segment:  # who only reads leaves an empty log behind
        try:
            return segment.meta(), time_of(segment, "DESC")
        except sqlite3.Error as error:
            raise failed(path, error) from None
