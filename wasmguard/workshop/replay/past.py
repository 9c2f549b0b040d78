"""The words of a replay: what has happened, as its source tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wasmguard.decision import Decision
    from wasmguard.event import Event

REDACTED, CUT = "redacted", "cut"

# Why something cannot be decided, or not be compared. These words are printed, and are keys of the document.
DIGEST = "only a digest of the input was recorded"
UNASKED = "nobody could be asked at the time"
NO_EVENT = "the guard would refuse it: no event that can be read"
ODD = "its record cannot be understood: see `wasmguard verify --chain`"
NO_LINE = "malformed"
OURS = "the guard itself decided it (self-protection is no part of a replay)"
EXCEPTED = "the owner had allowed it once"
DIED = "the process that decided it died at it, or did not come to an end"


class Past(NamedTuple):
    """One thing that happened."""

    where: str
    """The id of its record, or file and line."""
    event: Event | None = None
    """None if it cannot be decided."""
    before: Decision | None = None
    """What was decided then; None if the source does not know that."""
    why: str = ""
    """Why it cannot be decided; with an event: why it is decided, but not compared."""
    altered: str = ""
    """How the event differs from what was judged then: `REDACTED`, `CUT`, or not at all."""
    place: int = 0
    """Where its source goes on behind it: see `stored`."""
    line: bytes = b""
    """The line that tells of it, if nobody has read that yet (`lines.is_payload`): then nothing else is known."""
