"""Which records somebody wants to see, and how to ask one segment for them.

A segment knows words (tools, sessions, policies, …) by numbers of its own. One that never heard a word that is wanted
is not looked through at all, and neither is one whose hours are not those that are wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.records.counting import HOUR, WORDS, text
from wasmguard.value import Value

if TYPE_CHECKING:
    from sqlite3 import Connection


class Wanted(Value):
    """What a record must be to be wanted; None and 0 leave it open."""

    after: int = 0
    """Sequence number: only those behind it."""
    since: int | None = None
    """Unix milliseconds: from then on."""
    until: int | None = None
    """Unix milliseconds: before then."""
    kind: str | None = None
    event: str | None = None
    tool: str | None = None
    effect: str | None = None
    """Of the decision: `pass`, `allow`, `ask`, `deny`."""
    policy: str | None = None
    """Who carried the effect."""
    session: str | None = None
    agent: str | None = None
    call: str | None = None
    """`tool_use_id`."""
    flags: int = 0
    """All of these bits."""

    def within(self, connection: Connection) -> tuple[str, list[Any]] | None:
        """The condition on `lines` in one segment, and its values; None if nothing in it can be wanted."""
        if not self._overlaps(connection):
            return None
        conditions: list[str] = ["seq > ?"]
        values: list[Any] = [self.after]
        for name in WORDS:
            word = getattr(self, name)
            if word is None:
                continue
            number = connection.execute("SELECT id FROM words WHERE word = ?", (text(word),)).fetchone()
            if number is None:
                return None
            conditions.append(f"{name} = ?")
            values += number
        for condition, value in (("time >= ?", self.since), ("time < ?", self.until), ("call = ?", self.call)):
            if value is not None:
                conditions.append(condition)
                values.append(text(value) if isinstance(value, str) else value)
        if self.flags:
            conditions.append("flags & ? = ?")
            values += (self.flags, self.flags)
        return " AND ".join(conditions), values

    def _overlaps(self, connection: Connection) -> bool:
        """Whether the segment has records of the hours that are wanted; each is counted in its hour."""
        if self.since is None and self.until is None:
            return True
        hours = "SELECT (SELECT min(hour) FROM counts), (SELECT max(hour) FROM counts)"
        first, last = connection.execute(hours).fetchone()
        if first is None:
            return True
        return (self.since is None or last >= self.since // HOUR) and (self.until is None or first * HOUR < self.until)
