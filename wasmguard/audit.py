"""Records of acts: what the owner does, and what happens to the guard itself.

1. A record is in the spool (`wasmguard.spool`) before whoever makes it goes on. What becomes of it then, the database
   with its chain, is `wasmguard.records`' business and off every path that somebody waits on.
2. What cannot be recorded is an error. Whether that stops anything is for the caller to say.
3. This needs nothing but Python: an act such as `uninstall` must be possible when nothing else is.

Decisions are recorded by `wasmguard.recorder`.
"""

from __future__ import annotations

import os
from time import time_ns

from wasmguard import spool, wire
from wasmguard.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1  # of what is in a record
ID = 10  # bytes of an id


def record(kind: str, **fields: Any) -> None:
    """Keep a record of *kind* with *fields*, which are what JSON can say, and the time (Unix milliseconds).

    Raises:
        HostError: if it cannot be written whole.
        ValueError, TypeError: if it is nothing that JSON can say.
    """
    now = time_ns() // 1_000_000
    said = {"v": VERSION, "id": fresh_id().hex(), "time": now, "version": __version__, "kind": kind, **fields}
    spool.append(wire.written(said).encode())


def quietly(kind: str, **fields: Any) -> None:
    """As `record`, where nothing hangs on it: never raises."""
    try:
        record(kind, **fields)
    except Exception:  # noqa: BLE001  # what is going on is bad enough, and is answered already
        return


def fresh_id() -> bytes:
    """An id that nobody else has: when it was made, and four bytes of chance."""
    return (time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(4)
