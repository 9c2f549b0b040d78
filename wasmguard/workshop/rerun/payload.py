"""One line of JSON as an event: what a hook gets, with the time that somebody may have written beside it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from wasmguard.agents import claude, claude_old  # noqa: F401  # old names are read in the jail, where nothing is imported

if TYPE_CHECKING:
    from wasmguard.event import Event

TIMES = ("time", "timestamp")
"""Fields that may say when it happened; the agent's own payloads do not."""


def event_of(line: bytes) -> Event:
    """The event that *line* tells.

    Raises:
        EventError: if the guard would refuse it.
    """
    return dated(claude.parse(line))


def dated(event: Event) -> Event:
    """*event* with the time that its fields say it happened at."""
    for name in TIMES:
        if name in event.fields and (time := moment(event.fields[name])):
            return event.replaced(time=time)
    return event


def moment(said: object) -> int:
    """A time as Unix milliseconds: a number of them, or a date and time as ISO 8601 has it; 0 for anything else."""
    if type(said) is int:
        return max(said, 0)
    if not isinstance(said, str):
        return 0
    try:
        return max(int(datetime.fromisoformat(said).timestamp() * 1000), 0)
    except (ValueError, OverflowError, OSError):
        return 0
