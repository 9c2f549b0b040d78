"""Where a replay takes its events from, and how they are read one after the other.

1. Sources are read in the order they were named, the files of a folder in that of their paths: a second run meets the
   same events in the same order.
2. Nothing is held: a line is read, told and forgotten. What is too long for any guard is malformed.
3. What a file was (size, time, inode) is part of what a run is known by: see `kept`.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from wasmguard import places
from wasmguard.errors import UsageError, why_of
from wasmguard.limits import HARD_MAX, MIB
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.replay import parquet
from wasmguard.workshop.replay.lines import Lines, is_payload
from wasmguard.workshop.replay.past import NO_LINE, Past
from wasmguard.workshop.replay.transcript import Met

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

RECORDS, TRANSCRIPTS = "records", "transcripts"
LINES, WHOLE, PARQUET = (".jsonl", ".ndjson"), (".json",), (".parquet",)
LARGEST = 256 * MIB  # bytes of a .json file, which is read whole
RECORD = 1_000  # bytes that a record counts for in the share
SHOWN = 200  # characters of a name


class Source(Value):
    """The owner's records, or one file."""

    path: str = ""
    """The file; empty for the records."""
    shown: str = RECORDS
    """As a person would name it."""
    stamp: tuple[int, int, int] = (0, 0, 0)
    """Of the file, see `places.stamp`."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.stamp[0]


def located(names: Sequence[str]) -> tuple[Source, ...]:
    """What *names* stand for: `records`, `transcripts`, files and folders; nothing is the records.

    Raises:
        UsageError: if there is no such thing, or it cannot be read.
    """
    found: list[Source] = []
    for name in names or (RECORDS,):
        if name == RECORDS and not os.path.lexists(name):
            found.append(Source())
        elif name == TRANSCRIPTS and not os.path.lexists(name):
            found += _folder(transcripts(), ends=LINES)
        elif os.path.isdir(name):
            found += _folder(name, ends=(*LINES, *WHOLE, *PARQUET))
        else:
            found.append(_file(name))
    return tuple({(source.path, source.shown): source for source in found}.values())


def transcripts() -> str:
    """Where Claude Code keeps its transcripts."""
    home = os.environ.get("CLAUDE_CONFIG_DIR") or places.expanded("~/.claude")
    return os.path.join(home, "projects")


class Reading:
    """All files of a run, as they are read."""

    def __init__(
        self,
        sources: Sequence[Source],
        since: int | None,
        behind: int = 0,
        until: int | None = None,
        *,
        unread: bool = False,
    ) -> None:
        """Only what happened since *since* (Unix milliseconds), as far as that is known. Records are read *behind* the
        one of this number, and up to the one of the number *until*, or the last that there is now. With *unread*, lines
        may be left to be read by somebody else (`Past.line`)."""
        self._sources, self._since, self._behind = sources, since, behind
        self._unread = unread and since is None
        self.until = until
        self._met = Met()
        self._all = sum(source.size for source in sources) or 1
        self._read = 0
        if any(not source.path for source in sources):
            from wasmguard.workshop.replay.stored import waiting

            records, last = waiting()
            self.until = last if until is None else until
            self._all += max(records - behind, 0) * RECORD

    @property
    def share(self) -> float:
        """Which share (0 to 1) was read."""
        return min(self._read / self._all, 1.0)

    def pasts(self) -> Generator[Past, None, None]:
        """What happened.

        Raises:
            UsageError: if a file cannot be read.
        """
        for source in self._sources:
            begun = self._read
            try:
                for past in self._of(source):
                    event = past.event
                    if self._since is None or event is None or not 0 < event.time < self._since:
                        yield past
            except OSError as error:
                raise _unreadable(source.shown, error) from None
            self._read = max(self._read, begun + source.size)

    def _of(self, source: Source) -> Iterator[Past]:
        if not source.path:
            return self._records()
        if source.path.endswith(PARQUET):
            return parquet.pasts(source.path, source.shown)
        return self._whole(source) if source.path.endswith(WHOLE) else self._lines(source)

    def _records(self) -> Iterator[Past]:
        from wasmguard.workshop.replay.stored import pasts

        for past in pasts(self._since, self._behind, self.until or 0):
            self._read += RECORD
            yield past

    def _lines(self, source: Source) -> Iterator[Past]:
        lines, number = Lines(self._met), 0
        with open(source.path, "rb", buffering=MIB) as file:
            while line := file.readline(HARD_MAX.event + 1):
                number += 1
                self._read += len(line)
                where = f"{source.shown}:{number}"
                if len(line) > HARD_MAX.event:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MIB)
                    yield Past(where, why=NO_LINE)
                elif self._unread and is_payload(line):
                    yield Past(where, line=line)
                else:
                    yield from lines.pasts(line, where)

    def _whole(self, source: Source) -> Iterator[Past]:
        """One event, or a list of them."""
        if source.size > LARGEST:
            raise UsageError(f"`{source.shown}` is larger than {LARGEST // MIB} MiB: write one event a line, as .jsonl")
        lines = Lines(self._met)
        with open(source.path, "rb") as file:
            data = file.read()
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, list):
            for number, part in enumerate(told, 1):
                yield from lines.told(part, f"{source.shown}:{number}")
        else:
            yield from lines.pasts(data, source.shown)


def _folder(name: str, ends: tuple[str, ...]) -> list[Source]:
    found = [
        os.path.join(here, file)
        for here, _, files in os.walk(name, onerror=_stop)
        for file in files
        if file.endswith(ends) and os.path.isfile(os.path.join(here, file))
    ]
    if not found:
        raise UsageError(f"`{one_line(name, SHOWN)}`: no {', '.join(ends)} file in it: name another folder, or a file")
    return [_file(path) for path in sorted(found)]


def _stop(error: OSError) -> None:
    raise _unreadable(str(error.filename), error)


def _file(name: str) -> Source:
    if not name.endswith((*LINES, *WHOLE, *PARQUET)) and os.path.lexists(name):
        known = ", ".join((*LINES, *WHOLE, *PARQUET))
        raise UsageError(f"`{one_line(name, SHOWN)}`: what it holds shows in how its name ends: one of {known}")
    try:
        with open(name, "rb") as file:
            stamp = places.stamp(os.fstat(file.fileno()))
    except OSError as error:
        raise _unreadable(name, error) from None
    return Source(path=os.path.abspath(name), shown=one_line(name, SHOWN), stamp=stamp)


def _unreadable(name: str, error: OSError) -> UsageError:
    why = why_of(error)
    words = f"name `{RECORDS}`, `{TRANSCRIPTS}`, a file or a folder"
    return UsageError(f"`{one_line(name, SHOWN)}`: cannot be read: {why}: {words}")
