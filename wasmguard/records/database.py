"""The segments together, for the one process that appends.

1. A batch is one transaction: records, lines, words, counts, blobs, and where the chain ends now. All of it or nothing.
2. Where the chain ends is read in that transaction, never remembered from before.
3. An id is known if any segment has it. They begin with a time, so all but those that come again are above all that are
   known, and cost nothing; only for others older segments are opened.
4. A segment that is full is brought to the disk, then the next one is made, then it is sealed. Who is killed in between
   leaves one that is not sealed yet: the next one does that.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from time import time_ns
from typing import TYPE_CHECKING

from wasmguard.errors import HostError
from wasmguard.records import counting
from wasmguard.records.chain import link
from wasmguard.records.segment import LOOK, START, Meta, Segment, failed, make, numbers, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wasmguard.records.prepared import Prepared

SEGMENT = 64 * 2**20  # bytes, unless the owner says otherwise
FIRST = 10**12  # Unix milliseconds, in 2001: before that nobody made an id
DAY = 86_400_000  # milliseconds

_RECORD = "INSERT INTO records VALUES (?, ?, ?)"
_LINE = "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WORD = "INSERT INTO words (word, id) VALUES (?, ?)"
_BLOB = "INSERT OR IGNORE INTO blobs VALUES (?, ?)"
_COUNT = (
    "INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT (hour, what, name)"
    " DO UPDATE SET n = min(4611686018427387904, n + excluded.n)"  # `counting.MOST`
)
_REASONS = "SELECT name FROM counts WHERE hour = ? AND what = 'reason' AND name != ?"
_KNOWN = "SELECT 1 FROM lines WHERE id = ?"
_RANGE = "SELECT min(id), max(id) FROM lines"


class Database:
    """The database in *folder*, whose lock its user holds. Who made it closes it."""

    def __init__(self, folder: str, key: bytes, *, segment: int = SEGMENT) -> None:
        """Segments of more than *segment* bytes are full.

        Raises:
            HostError: if the last segment is not what was written there, or none can be made.
        """
        self.folder, self._key, self._full = folder, key, segment
        self._older: list[tuple[bytes, bytes, Segment]] | None = None
        self._head = -1
        """Up to which record the following is known of the last segment."""
        self._words = counting.Words()
        self._hours: dict[int, set[str]] = {}
        self._highest = b""
        known = numbers(folder)
        if not known:
            make(folder, key, Meta(number=1, first=1, before=START, head=0, hash=START))
        self._last = self._opened(known[-1] if known else 1)

    def append(self, batch: Iterable[Sequence[Prepared]], *, retired: tuple[int, bytes] | None = None) -> int:
        """Append what is not there yet, and say how many that was. *retired* is the last record, with its hash, that is
        given up from now on.

        Raises:
            HostError: if it cannot be written. Then nothing of it was.
        """
        if self.meta().head >= self.meta().first and self._last.size() > self._full:
            self.rotate()
        try:
            with self._transaction(self._last) as meta:
                added, then = self._append(batch, meta)
                if retired is not None:
                    then = then.replaced(retired=retired[0], retired_hash=retired[1])
                self._last.note(then)
            self._head = then.head
        except BaseException:
            self._head = -1  # what is known of words came from what never was
            raise
        return added

    def meta(self) -> Meta:
        """What the last segment says of itself.

        Raises:
            HostError: if that cannot be read, or was changed.
        """
        try:
            return self._last.meta()
        except (sqlite3.Error, UnicodeError) as error:
            raise failed(self._last.path, error) from None

    def begun(self) -> int | None:
        """When the first record of the last segment was, in Unix milliseconds; None if it has none.

        Raises:
            HostError: if that cannot be read.
        """
        return time_of(self._last, "ASC")

    def rotate(self) -> None:
        """Begin the next segment.

        Raises:
            HostError: if it cannot be made.
        """
        meta = self.meta()
        self.bring_home("TRUNCATE")
        (highest,) = self._last.execute("SELECT max(id) FROM lines").fetchone()
        follows = meta.replaced(
            number=meta.number + 1, first=meta.head + 1, before=meta.hash, past=max(meta.past, highest or b""), sealed=0
        )
        make(self.folder, self._key, follows)
        self._seal(self._last)
        self.close()
        self._last = self._opened(follows.number)

    def bring_home(self, how: str = "PASSIVE") -> None:
        """Bring what was appended to the disk.

        Raises:
            HostError: if that cannot be done.
        """
        try:
            self._last.bring_home(how)
        except sqlite3.Error as error:
            raise failed(self._last.path, error) from None

    def forget(self) -> None:
        """Let go of the older segments, of which some go now."""
        for _, _, segment in self._older or ():
            segment.close()
        self._older = None

    def close(self) -> None:
        """Let go of all segments."""
        self._last.close()
        self.forget()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self, number: int) -> Segment:
        """The last segment, after the one before it was sealed (rule 4)."""
        self._head = -1
        segment = Segment(path_of(self.folder, number), self._key, write=True)
        try:
            self._begin_in(segment)
        except sqlite3.Error as error:
            segment.close()
            raise failed(segment.path, error) from None
        except BaseException:
            segment.close()
            raise
        return segment

    def _begin_in(self, segment: Segment) -> None:
        meta = segment.meta()
        if meta.sealed:
            raise HostError(f"`{path_of(self.folder, meta.number + 1)}` is gone, the newest records: {LOOK}")
        end = segment.execute("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1").fetchone()
        if end != (None if meta.head < meta.first else (meta.head, meta.hash)):
            raise HostError(f"`{segment.path}` does not end where it ended: {LOOK}")
        before = path_of(self.folder, meta.number - 1)
        if end is None and os.path.lexists(before):
            with Segment(before, self._key, write=True) as other:
                self._seal(other)

    def _seal(self, segment: Segment) -> None:
        with self._transaction(segment) as meta:
            if not meta.sealed:
                segment.note(meta.replaced(sealed=1))

    @contextmanager
    def _transaction(self, segment: Segment) -> Iterator[Meta]:
        try:
            segment.execute("BEGIN IMMEDIATE")
            try:
                yield segment.meta()
                segment.execute("COMMIT")
            except BaseException:
                if segment.opened.in_transaction:
                    segment.execute("ROLLBACK")
                raise
        except (sqlite3.Error, UnicodeError) as error:
            raise failed(segment.path, error) from None

    def _append(self, batch: Iterable[Sequence[Prepared]], meta: Meta) -> tuple[int, Meta]:
        """Append *batch* in the transaction that is under way; how many that were, and where the chain ends then.

        It comes in portions: one step for some records, then the next one, is faster than all steps for one record
        after the other, because a processor has only so much of a program at hand.
        """
        if meta.sealed:
            raise HostError(f"`{self._last.path}` was sealed by somebody else meanwhile: try again")
        if self._head != meta.head:
            self._learn(meta)
        words, counts, blobs = self._words, counting.Counts(), dict[bytes, bytes]()
        seq, hash_, fresh, new = meta.head, meta.hash, len(words.known), set[bytes]()
        many = self._last.opened.executemany
        for portion in batch:
            records, lines = [], []
            for id_, body, record, remembered in portion:
                if id_ > self._highest:
                    self._highest = id_
                elif id_ in new or self._knows(id_, meta):
                    continue
                new.add(id_)
                seq += 1
                hash_ = link(hash_, seq, body)
                records.append((seq, hash_, body.decode("ascii")))
                lines.append(counting.line(seq, id_, record, words))
                counts.add(record)
                if remembered:
                    blobs.update(remembered)
            many(_RECORD, records)
            many(_LINE, lines)
        many(_WORD, list(words.known.items())[fresh:])
        many(_COUNT, [(*place, n) for place, n in counts.rows(self._reasons).items()])
        many(_BLOB, blobs.items())
        return len(new), meta.replaced(head=seq, hash=hash_)

    def _learn(self, meta: Meta) -> None:
        """Look what the last segment has, and what is the highest id of all."""
        ask = self._last.execute
        self._words = counting.Words(ask("SELECT word, id FROM words ORDER BY id"))
        self._hours = {}
        (highest,) = ask("SELECT max(id) FROM lines").fetchone()
        self._highest = max(highest or b"", meta.past)

    def _reasons(self, hour: int) -> set[str]:
        if hour not in self._hours:
            rows = self._last.execute(_REASONS, (hour, counting.OTHERS))
            self._hours[hour] = {name for (name,) in rows}
        return self._hours[hour]

    def _knows(self, id_: bytes, meta: Meta) -> bool:
        """Whether there is a record with this id (rule 3)."""
        if self._last.execute(_KNOWN, (id_,)).fetchone():
            return True
        if id_ > meta.past:
            return False
        if self._older is None:
            self._older = [self._ranged(number) for number in numbers(self.folder) if number < meta.number]
        return any(
            low <= id_ <= high and segment.execute(_KNOWN, (id_,)).fetchone() for low, high, segment in self._older
        )

    def _ranged(self, number: int) -> tuple[bytes, bytes, Segment]:
        path = path_of(self.folder, number)
        segment = Segment(path, self._key, write=True)  # who only reads leaves an empty log behind
        try:
            low, high = segment.execute(_RANGE).fetchone()
        except sqlite3.Error as error:
            segment.close()
            raise failed(path, error) from None
        return low or b"", high or b"", segment


def time_of(segment: Segment, order: str) -> int | None:
    """When the first (`ASC`) or last (`DESC`) record of *segment* was made, in Unix milliseconds; None if it has none.

    Its id says that, if it is one of ours: the time of an event is what an agent, or a program, said.

    Raises:
        HostError: if that cannot be read.
    """
    try:
        row = segment.execute(f"SELECT time, id FROM lines ORDER BY seq {order} LIMIT 1").fetchone()  # noqa: S608
    except sqlite3.Error as error:
        raise failed(segment.path, error) from None
    if row is None:
        return None
    made = int.from_bytes(row[1][:6], "big")
    return made if FIRST < made < time_ns() // 1_000_000 + DAY else int(row[0])
