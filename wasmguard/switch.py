"""The switch: the owner may turn the guard off for a while. While it is off, no event is judged.

1. Off is a sealed mark beside the plans (`wasmguard.plan.ledger`). Whoever has not this user's key cannot write one,
   and one that was changed or cannot be read does not count.
2. It counts from its start to its end and never longer than `LONGEST`. A clock that was set back before the start does
   not bring it back to life; an end too far ahead is not one that we wrote.
3. When in doubt, the guard is on. A forgotten mark ends by itself.

A program of the same user can read the key: this keeps a mark honest, not a user out. Who may write one is decided
where it is written (`wasmguard.workshop.off`).
"""

from __future__ import annotations

import os
from time import time

from wasmguard import plan, wire
from wasmguard.errors import HostError

LONGEST = 8 * 3600  # seconds: a day's work; more is no pause
FORGED = 24 * 3600  # seconds ahead: no clock that was set right in between explains that

NAME = "off"


def mark() -> str:
    """The file that says so."""
    return os.path.join(plan.ledger().folder, NAME)


def off_until(path: str | None = None) -> int | None:
    """When the guard will be on again (Unix seconds), or None if it is on. While it is on, this costs one `lstat` of
    *path*, the `mark` of this user."""
    try:
        os.lstat(path or mark())
    except OSError:
        return None
    return _standing(time())


def switch_off(seconds: int) -> int:
    """Turn the guard off for *seconds* from now. Returns when it will be on again, in Unix seconds.

    Raises:
        ValueError: if that is no time, or more than `LONGEST`.
        CacheError: if the mark cannot be written.
    """
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{seconds} seconds are not between 1 and {LONGEST}")
    start = int(time())
    plan.ledger().write(NAME, wire.written({"start": start, "end": start + seconds}).encode())
    return start + seconds


def switch_on() -> None:
    """Turn the guard on now, whatever the mark says.

    Raises:
        HostError: if the mark cannot be removed.
    """
    path = mark()
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"`{path}` cannot be removed: {why}: remove it, and the guard is on") from None


def _standing(now: float) -> int | None:
    """The end of the mark, if it counts at the time *now*."""
    try:
        said = wire.read(plan.ledger().read(NAME).decode())
        start, end = said["start"], said["end"]
    except Exception:  # noqa: BLE001  # rule 3: whatever is wrong with it, the guard is on
        return None
    if type(start) is not int or type(end) is not int or not start <= now < end:
        return None
    return end if end - start <= LONGEST and end - now <= FORGED else None
