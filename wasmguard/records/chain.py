"""The chain: each record is hashed with all that were before it, so that nobody changes one and nobody notices.

1. `hash(n) = SHA-256(hash(n - 1) || n as 8 bytes, big endian || canonical JSON)`, from 32 zero bytes on. Records are
   numbered 1, 2, 3 … over all segments, without gaps.
2. Who has a copy of one head, a number and a hash, can tell whether anything up to there was changed since, by anybody.
   Without one the MAC under this user's key shows it (`wasmguard.records.segment`), unless the key was stolen, or all
   files were put back together to what they were once.
3. `checked` believes nothing: lines, counts, words and blobs are made again from the records and compared.
"""

from __future__ import annotations

import json
import os
import sqlite3
from hashlib import sha256
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]  # not in typeshed
from typing import TYPE_CHECKING, Any

from wasmguard import spool
from wasmguard.errors import HostError
from wasmguard.records import counting
from wasmguard.records.segment import START, Segment, failed, name_of, numbers, path_of
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmguard.records.segment import Meta

STEP = 1_000  # records after which `checked` says how far it is


class Broken(Value):
    """Something that is not as it was written."""

    seq: int
    """The record, or the first one that it could be about; 0 if it is about none."""
    segment: str
    """The name of the file."""
    what: str
    """What is wrong, in our words."""


def canonical(record: Any) -> bytes:
    """*record* as it is hashed: JSON in ASCII, no blanks, `arranged`; bytes in it as hexadecimal digits.

    Raises:
        ValueError: if JSON cannot say it.
    """
    try:
        return _encode(arranged(record)).encode()
    except (TypeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from None


def arranged(record: Any) -> Any:
    """*record* with its keys sorted, and those of its verdicts. What agents and policies said keeps the order that it
    came in: policies read it, so the order is part of what was judged.

    Raises:
        TypeError: if its keys are not all text.
    """
    if type(record) is not dict:
        return record
    record = dict(sorted(record.items()))
    if type(said := record.get("verdicts")) is list:
        record["verdicts"] = [dict(sorted(one.items())) if type(one) is dict else one for one in said]
    return record


def encoder(other: Callable[[Any], Any]) -> Callable[[Any], str]:
    """A function that writes canonical JSON; *other* makes of what JSON does not have something that it has.

    The function raises ValueError, TypeError or RecursionError for what cannot be said.
    """
    if c_make_encoder is None:
        words = {"sort_keys": False, "ensure_ascii": True, "separators": (",", ":"), "allow_nan": False}
        return json.JSONEncoder(**words, default=other, check_circular=False).encode  # type: ignore[arg-type]
    # What `json.dumps` makes anew for each document, which takes as long as the document.
    encode = c_make_encoder(None, other, encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda value: "".join(encode(value, 0))


def link(before: bytes, seq: int, body: bytes) -> bytes:
    """The hash of the record *seq* whose canonical JSON is *body*, after the hash *before*."""
    return sha256(before + seq.to_bytes(8, "big") + body).digest()


def head(folder: str | None = None, *, key: bytes | None = None) -> tuple[int, str]:
    """The sequence number and the hash (hexadecimal) of the last record; 0 and zeros if there is none.

    Raises:
        HostError: if the last segment is not as it was written.
    """
    folder = folder or spool.folder()
    known = numbers(folder)
    if not known:
        return 0, START.hex()
    path = path_of(folder, known[-1])
    try:
        with Segment(path, key or spool.key()) as last:
            meta = last.meta()
    except sqlite3.Error as error:
        raise failed(path, error) from None
    return meta.head, meta.hash.hex()


def checked(
    folder: str | None = None, *, said: Callable[[int], None] | None = None, key: bytes | None = None
) -> Iterator[Broken]:
    """All that is not as it was written, segment by segment; nothing if all of it is. Tells *said* now and then which
    record it has come to. It may run while records are appended: each segment is looked at as it was at one time.

    Raises:
        HostError: if the folder or the key cannot be read.
    """
    folder, key = folder or spool.folder(), key or spool.key()
    known = numbers(folder)
    number = known[0] if known else 0
    last: Meta | None = None
    broken = False
    while number:
        path = path_of(folder, number)
        if not os.path.lexists(path):
            behind = [other for other in numbers(folder) if other > number]
            if not (behind and _retired(folder, key, behind)):
                yield Broken(seq=last.head + 1 if last else 0, segment=name_of(number), what="the segment is gone")
            last, number = None, behind[0] if behind else 0
            broken = True
            continue
        look = _Look(path, key, said)
        yield from look.flaws(last, first=not broken and last is None)
        last, broken = look.meta, broken or look.meta is None
        behind = [other for other in numbers(folder) if other > number]
        number = number + 1 if behind or (last is not None and last.sealed) else 0


class _Look:
    """One segment that is looked at."""

    def __init__(self, path: str, key: bytes, said: Callable[[int], None] | None) -> None:
        self._path, self._key, self._said = path, key, said
        self.meta: Meta | None = None
        """What it says of itself, once that was found to be ours."""
        self._seq = 0

    def flaws(self, before: Meta | None, *, first: bool) -> Iterator[Broken]:
        """All that is wrong with it; *before* is what the one before it says, if that is known, *first* whether none
        is."""
        try:
            with Segment(self._path, self._key) as segment:
                segment.opened.text_factory = _text
                segment.execute("BEGIN")  # one view of it, whoever appends
                self.meta = meta = segment.meta()
                self._seq = meta.first
                if why := _place(meta, before, self._path, self._key, first=first):
                    yield self._broken(why, meta.first)
                yield from self._records(segment, meta)
                for row in segment.execute("PRAGMA integrity_check(1)"):
                    if row != ("ok",):
                        yield self._broken("the file is damaged: SQLite finds pages that contradict each other", 0)
        except HostError as error:
            yield self._broken(str(error), self._seq)
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            yield self._broken(str(failed(self._path, error)), self._seq)

    def _records(self, segment: Segment, meta: Meta) -> Iterator[Broken]:
        """Walk all records, make again what is said about them, and compare."""
        made, hash_ = _Again(), meta.before
        rows = segment.execute(
            "SELECT r.seq, r.hash, r.body, l.* FROM records r LEFT JOIN lines l ON l.seq = r.seq ORDER BY r.seq"
        )
        for seq, kept, body, *line in rows:
            if seq != self._seq:
                gone = f"{seq - self._seq} records are gone" if seq > self._seq else "a record is not in its place"
                yield self._broken(gone, self._seq)
            self._seq = seq + 1
            data = body.encode("ascii", "surrogateescape") if isinstance(body, str) and body.isascii() else None
            if data is None or link(hash_, seq, data) != kept:
                yield self._broken("the record was changed", seq)
            hash_ = kept if isinstance(kept, bytes) else START
            if data is not None and not made.same(seq, data, tuple(line)):
                yield self._broken("its line says something else than the record", seq)
            if self._said is not None and not seq % STEP:
                self._said(seq)
        if (self._seq - 1, hash_) != (meta.head, meta.hash):
            yield self._broken("records at its end are gone, or were changed", min(self._seq, meta.head))
        extra = "SELECT seq FROM lines WHERE seq NOT IN (SELECT seq FROM records) LIMIT 1"
        for (seq,) in segment.execute(extra):
            yield self._broken("a line belongs to no record", seq)
        for what in made.differs(segment):
            yield self._broken(f"{what} say something else than the records", 0)

    def _broken(self, what: str, seq: int) -> Broken:
        return Broken(seq=seq, segment=os.path.basename(self._path), what=what)


class _Again:
    """What is said about the records of one segment, made again from them."""

    def __init__(self) -> None:
        self._counts = counting.Counts()
        self._words = counting.Words()
        self._reasons: dict[int, set[str]] = {}
        self._blobs: set[str] = set()

    def same(self, seq: int, body: bytes, line: counting.Line) -> bool:
        """Take the record *seq* in, and say whether *line* is its line."""
        try:
            record = json.loads(body)
            self._counts.add(record)
            self._blobs.update(blobs_of(record))
            return counting.line(seq, bytes.fromhex(record["id"]), record, self._words) == line
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # not what we wrote
            return False

    def differs(self, segment: Segment) -> Iterator[str]:
        """The tables of *segment* that say something else."""
        if set(segment.execute("SELECT word, id FROM words")) != set(self._words.known.items()):
            yield "words"
        said = {(hour, what, name): n for hour, what, name, n in segment.execute("SELECT * FROM counts")}
        if said != self._counts.rows(lambda hour: self._reasons.setdefault(hour, set())):
            yield "counts"
        found = {digest for digest, data in segment.execute("SELECT * FROM blobs") if _is_digest(digest, data)}
        (rows,) = segment.execute("SELECT count(*) FROM blobs").fetchone()
        if found != {bytes.fromhex(digest) for digest in self._blobs} or rows != len(found):
            yield "blobs"


def blobs_of(record: dict[str, Any]) -> Iterator[str]:
    """The digests of the blobs that *record* speaks of."""
    for verdict in counting.verdicts(record):
        for name in ("given", "state"):
            if isinstance(digest := verdict.get(name), str):
                yield digest


def _place(meta: Meta, before: Meta | None, path: str, key: bytes, *, first: bool) -> str:
    """What is wrong with where a segment stands; empty if nothing is."""
    if before is not None:
        whole = (meta.first, meta.before) == (before.head + 1, before.hash)
        return "" if whole else "it does not go on where the segment before it ended"
    if not first:
        return ""  # the one before it is known to be broken
    newest = _newest(os.path.dirname(path), key) or meta
    if meta.first > newest.retired + 1:
        return "segments before it are gone that nobody gave up"
    if meta.first == newest.retired + 1 and meta.before != newest.retired_hash:
        return "it does not go on where the segments that were given up ended"
    return ""


def _retired(folder: str, key: bytes, behind: list[int]) -> bool:
    """Whether all segments before those *behind* were given up while somebody looked."""
    if numbers(folder)[:1] != behind[:1]:
        return False
    newest = _newest(folder, key)
    try:
        with Segment(path_of(folder, behind[0]), key) as segment:
            return newest is not None and segment.meta().first == newest.retired + 1
    except (HostError, sqlite3.Error):
        return False


def _newest(folder: str, key: bytes) -> Meta | None:
    """What the last segment says of itself; None if that is broken, which will be found there."""
    try:
        with Segment(path_of(folder, numbers(folder)[-1]), key) as segment:
            return segment.meta()
    except (HostError, sqlite3.Error, IndexError):
        return None


def _is_digest(digest: Any, data: Any) -> bool:
    return isinstance(data, bytes) and sha256(data).digest() == digest


def _text(data: bytes) -> str:
    """What SQLite holds as text, whatever it is."""
    return data.decode(errors="surrogateescape")


def digits(value: Any) -> str:
    """Bytes as canonical JSON has them.

    Raises:
        TypeError: if *value* is nothing that JSON could say.
    """
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode = encoder(digits)
