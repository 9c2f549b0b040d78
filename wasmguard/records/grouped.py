"""Lines of records, counted in groups by the database: a million of them are too many to be looked at one by one."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from wasmguard.records.counting import ERROR, FAULTED, REWROTE
from wasmguard.records.found import asked, segments
from wasmguard.records.wanted import Wanted

AT_ONCE = 4  # segments that are looked through
QUARTER = 900_000  # milliseconds: no time zone's day begins within one
_GROUPS = ("event", "tool", "effect", "policy", f"flags & {REWROTE | FAULTED | ERROR}")


class Group(NamedTuple):
    """Lines that are alike."""

    event: str
    tool: str
    effect: str
    policy: str
    flags: int


class Grouped(NamedTuple):
    """How many lines there are of what."""

    groups: Counter[Group]
    quarters: Counter[tuple[int, bool]]
    """By the quarter of an hour (Unix), and whether they were denied."""
    times: Counter[int]
    """By the microseconds of the whole decision."""


def grouped(**wanted: Any) -> Grouped:
    """The decisions that are *wanted* (fields of `wasmguard.records.wanted.Wanted`) in groups.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    found = Grouped(groups=Counter(), quarters=Counter(), times=Counter())
    with ThreadPoolExecutor(AT_ONCE) as threads:  # SQLite works without the interpreter's lock
        for part in threads.map(partial(asked, question=partial(_of_segment, Wanted(**wanted))), segments()):
            if part is not None:
                found.groups.update(part.groups)
                found.quarters.update(part.quarters)
                found.times.update(part.times)
    return found


def _of_segment(want: Wanted, connection: Any) -> Grouped:
    found = Grouped(groups=Counter(), quarters=Counter(), times=Counter())
    condition = want.within(connection)
    if condition is None:
        return found
    where, values = f"{condition[0]} AND effect IS NOT NULL", condition[1]
    words = dict(connection.execute("SELECT id, word FROM words"))
    deny = next((number for number, word in words.items() if word == "deny"), -1)
    for *numbers, flags, us, n in _counted(connection, ", ".join((*_GROUPS, "us")), where, values):
        event, tool, effect, policy = (words.get(number, "") for number in numbers)
        found.groups[Group(event, tool, effect, policy, flags)] += n
        found.times[us or 0] += n
    for quarter, denied, n in _counted(connection, f"time / {QUARTER}, effect = {int(deny)}", where, values):
        found.quarters[quarter, bool(denied)] += n
    return found


def _counted(connection: Any, groups: str, where: str, values: list[Any]) -> list[tuple[Any, ...]]:
    asking = f"SELECT {groups}, count(*) FROM lines WHERE {where} GROUP BY {groups}"  # noqa: S608  # no values in it
    return list(connection.execute(asking, values))
