"""Records as they come from the spool, moved into the database: what tests of reading begin with."""

import sqlite3
from itertools import count

from wasmguard import spool
from wasmguard.guest.codec import packed
from wasmguard.records.drain import drained
from wasmguard.records.found import segments

HOUR = 3_600_000  # milliseconds
START = 500_000 * HOUR  # in 2027
SMALL = {"segment": 64 * 1024, "size": 2**30, "keep": 3650}  # bytes, bytes, days: many segments

_numbers = count(1)


def decision(*, time=START, event="PreToolUse", tool="Bash", call=None, session="s", effect="pass", **more):
    """The body of a decision, as a guard would write it."""
    number = next(_numbers)
    said = [
        {"policy": "gate", "effect": effect, "reason": "no" if effect in ("ask", "deny") else "", "fuel": 7, "us": 1.5}
    ]
    fields = {"hook_event_name": event, "tool_name": tool, "tool_input": {"command": "ls"}, "session_id": session}
    body = {
        "v": 1,
        "id": number.to_bytes(10, "big"),
        "time": time,
        "kind": "decision",
        "agent": "claude",
        "event": event,
        "tool": tool,
        "session": session,
        "effect": effect,
        "fields": fields,
        "inputs": "full",
        "verdicts": said,
        "us": 12.4,
        "way": "hook",
        "version": "1",
    }
    return {**body, **({"call": call} if call else {}), **more}


def act(kind, *, time=START, **more):
    """The body of an act of the owner's."""
    return {"v": 1, "id": next(_numbers).to_bytes(10, "big"), "time": time, "kind": kind, **more}


def kept(*bodies, record=None):
    """Put *bodies* into the database, through the spool; returns them."""
    with spool.Spool() as waiting:
        for body in bodies:
            waiting.append(packed(body))
    drained(record)
    return bodies


def many(number, *, record=SMALL, **more):
    """So many decisions, in several segments, one batch each."""
    made = [decision(time=START + place * 1000, call=f"call-{place}", **more) for place in range(number)]
    for at in range(0, number, 50):
        kept(*made[at : at + 50], record=record)
    return made


def changed(*statements):
    """Change the newest segment behind everybody's back, triggers or not."""
    connection = sqlite3.connect(segments()[-1], isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for statement in (*(f"DROP TRIGGER {name}" for name, _ in triggers), *statements, *(sql for _, sql in triggers)):
        connection.execute(statement)
    connection.close()
