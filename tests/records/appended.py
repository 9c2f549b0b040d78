"""What the tests of `wasmguard.records` append, and how they look at what became of it."""

import os
import sqlite3
from contextlib import closing

from wasmguard import spool
from wasmguard.guest.codec import packed
from wasmguard.records.segment import numbers, path_of

HOUR = 3_600_000
NOW = 500_000 * HOUR


def decision(place=0, **changed):
    """The record of a decision about a Write; its id says its *place*."""
    time = NOW + place
    return {
        "v": 1,
        "id": time.to_bytes(6, "big") + place.to_bytes(4, "big"),
        "time": time,
        "kind": "decision",
        "agent": "claude",
        "event": "PreToolUse",
        "session": "s1",
        "call": f"toolu_{place}",
        "tool": "Write",
        "fields": {"tool_name": "Write", "tool_input": {"content": "é\ud800\n", "size": 1.0}},
        "digest": bytes(16),
        "effect": "deny",
        "verdicts": [
            {"policy": "a", "effect": "pass", "fuel": 5, "us": 1.5, "given": b"", "state": b"two"},
            {"policy": "b", "effect": "deny", "fuel": 6, "us": 2.5, "reason": 'outside "/x" by 12'},
        ],
        "us": 62.5,
        **changed,
    }


def append(*records):
    for record in records:
        spool.append(packed(record))


def rows(query, *values):
    """The answer of all segments, one after the other."""
    found = []
    for number in numbers(spool.folder()):
        with closing(sqlite3.connect(path_of(spool.folder(), number))) as opened:
            found += opened.execute(query, values).fetchall()
    return found


def changed(path, *statements):
    """Change the segment *path* as somebody would who knows SQLite, past the triggers."""
    with closing(sqlite3.connect(path)) as opened:
        triggers = opened.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            opened.execute(f"DROP TRIGGER {name}")
        for statement, *values in statements:
            opened.execute(statement, values)
        for _, sql in triggers:
            opened.execute(sql)
        opened.commit()


def names():
    return sorted(os.listdir(spool.folder()))
