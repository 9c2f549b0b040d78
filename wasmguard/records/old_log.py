"""The log of version 0.6, lines of JSON in the state folder: they become records once, and the file is gone then."""

from __future__ import annotations

import json
import os
import stat
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from wasmguard import places
from wasmguard.errors import HostError, why_of
from wasmguard.records.prepared import VERSION, Prepared, Preparing, damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "records.jsonl"
TAKEN = NAME + ".taken"
LONGEST = 2**24  # bytes of a line; usual were some hundred


def waits(folder: str) -> bool:
    """Whether there is one, or a part of one in *folder*."""
    return os.path.lexists(os.path.join(places.state_dir(), NAME)) or os.path.lexists(os.path.join(folder, TAKEN))


def files(folder: str) -> Iterator[str]:
    """What there is of it, moved to *folder*, one after the other; each is to be removed when it was read.

    Raises:
        HostError: if it cannot be moved, or is not ours.
    """
    path, taken = os.path.join(places.state_dir(), NAME), os.path.join(folder, TAKEN)
    try:
        if os.path.lexists(taken):  # somebody was killed before it was read
            yield taken
        if os.path.lexists(path):
            seen = os.lstat(path)
            if not stat.S_ISREG(seen.st_mode) or (hasattr(os, "geteuid") and seen.st_uid != os.geteuid()):
                raise HostError(f"`{path}` is no file of yours: remove it")
            os.rename(path, taken)
            yield taken
    except OSError as error:
        raise HostError(f"`{path}` cannot be moved: {why_of(error)}: make its folder yours, or remove it") from None


def records(path: str, preparing: Preparing) -> Iterator[Prepared]:
    """The records in the file *path*.

    Raises:
        HostError: if it cannot be read.
    """
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            place = 0
            while line := file.readline(LONGEST):
                place += 1
                if line.strip():
                    yield _record(line.strip(), place, preparing)
    except OSError as error:
        raise HostError(f"`{path}` cannot be read: {why_of(error)}: remove it, or make it yours") from None


def _record(line: bytes, place: int, preparing: Preparing) -> Prepared:
    try:
        said: Any = json.loads(line)
        time = said["time"]
        id_ = time.to_bytes(6, "big") + blake2b(b"%d " % place + line, digest_size=4).digest()
        return preparing.of({**said, "v": VERSION, "id": id_, "kind": str(said["kind"])})
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return damaged(len(line), b"%d " % place + line)
