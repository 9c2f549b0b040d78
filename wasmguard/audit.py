"""Records: one line of JSON for each thing that the owner may want to look up later.

1. The file is the owner's alone, and no symbolic link: what is written there is written nowhere else.
2. A record is one line in ASCII, written at once and at the end: two processes do not tear each other's lines.
3. What cannot be recorded is an error. Whether that stops anything is for the caller to say.
"""

from __future__ import annotations

import os
import stat
from time import time_ns

from wasmguard import places, wire
from wasmguard.errors import HostError
from wasmguard.sandbox.cache import private_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "records.jsonl"


def path() -> str:
    """The file that holds the records."""
    return os.path.join(places.state_dir(), NAME)


def record(kind: str, **fields: Any) -> None:
    """Keep a record of *kind* with *fields*, and the time (Unix milliseconds).

    Raises:
        HostError: if it cannot be written whole.
    """
    line = wire.written({"time": time_ns() // 1_000_000, "kind": kind, **fields}).encode() + b"\n"
    private_folder(places.state_dir())
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(path(), flags | getattr(os, "O_NONBLOCK", 0), 0o600)  # nobody's pipe may hold us up
        try:
            _append(file, line)
        finally:
            os.close(file)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise HostError(f"`{path()}` cannot be written: {why}: make room there, or repair the file") from None


def _append(file: int, line: bytes) -> None:
    """Write *line* to the end of *file*, after checking that it is what it has to be."""
    seen = os.fstat(file)
    if not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1:
        raise HostError(f"`{path()}` is no regular file with one name: remove it")
    if seen.st_mode & 0o077 or (hasattr(os, "geteuid") and seen.st_uid != os.geteuid()):
        raise HostError(f"`{path()}` must belong to you alone: `chmod 600` it, or remove it")
    written = os.write(file, line)
    if written != len(line):
        raise HostError(f"`{path()}` took {written} of {len(line)} bytes: make room there")
