"""One segment: a file of the database of records. All of them are one chain.

1. A segment is made whole, or it is not there: nobody ever sees half of one, and none is put in another one's place.
2. It says where it stands: its number, its first record, the hash before that, its last record. All this is under a MAC
   of this user's key, so that a tail that was cut off, an older copy of its end, or another file in its place is found.
3. A segment that is full is sealed, which it says too: so one behind it that is gone is missed. What retention took
   away is said by the newest one: so one before it that is gone is missed as well.
4. Records are appended, and nothing else (triggers). Lines, counts and words say in short what is in the records.
5. A segment that is not what was made is an error. Nothing is ever appended to it, and none is begun behind it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from hashlib import blake2b
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from wasmguard.errors import HostError, why_of
from wasmguard.sandbox.cache import foreign, private_folder
from wasmguard.text import one_line
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING = ".db"
NEW = "new" + ENDING
"""A segment that is being made: no number, so nobody takes it for one."""
ASIDE = ("", "-wal", "-shm")
APPLICATION = 0x77677263  # "wgrc"
FORMAT = 1
START = bytes(32)
"""The hash before the first record of all."""
LARGEST = 2**29  # bytes of a row: four times a body in the spool, which hexadecimal and escapes may stretch
WAIT = 5.0  # seconds for who else holds the file, a reader that brings its log home
PAGE = 16_384  # bytes: records of 1.5 KiB fill one well
LOG = 1_000  # pages of write-ahead log after which SQLite brings them home: 16 MiB

SCHEMA = (
    "CREATE TABLE blobs (digest BLOB PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE INDEX calls ON lines (call) WHERE call IS NOT NULL",
    "CREATE TABLE counts (hour INTEGER, what TEXT, name TEXT, n INTEGER, PRIMARY KEY (hour, what, name)) WITHOUT ROWID",
    "CREATE TABLE lines (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, time INTEGER NOT NULL, kind INTEGER,"
    " event INTEGER, tool INTEGER, effect INTEGER, policy INTEGER, session INTEGER, agent INTEGER, call TEXT,"
    " us INTEGER, fuel INTEGER, flags INTEGER)",
    "CREATE TRIGGER lines_change BEFORE UPDATE ON lines BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TRIGGER lines_go BEFORE DELETE ON lines BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value)",
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, body TEXT NOT NULL)",
    "CREATE TRIGGER records_change BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TRIGGER records_go BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)",
)
"""By name."""

LOOK = "run `wasmguard verify --chain` to see what is whole, and restore the file or move its folder away"

_SETTINGS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    f"PRAGMA wal_autocheckpoint = {LOG}",
    f"PRAGMA journal_size_limit = {LOG * PAGE}",
)


class Meta(Value):
    """Where a segment stands in the chain."""

    number: int
    first: int
    """The sequence number of its first record."""
    before: bytes
    """The hash before that."""
    head: int
    """The sequence number of the last record; `first - 1` without one."""
    hash: bytes
    """The hash of that."""
    past: bytes = b""
    """The highest id in the segments before it."""
    sealed: int = 0
    """1 if another one follows."""
    retired: int = 0
    """The last record that retention gave up, in whichever segment it was."""
    retired_hash: bytes = START
    """The hash of that."""

    def mac(self, key: bytes) -> bytes:
        """The MAC over all of it."""
        said = blake2b(key=key, digest_size=32, person=b"records")
        for name, value in self.as_dict().items():
            data = value if isinstance(value, bytes) else b"%d" % value
            said.update(b"%s:%d:" % (name.encode(), len(data)) + data)
        return said.digest()


class Segment:
    """An open segment. Who made it closes it."""

    def __init__(self, path: str, key: bytes, *, write: bool = False) -> None:
        """Open what is there.

        Raises:
            HostError: if it is not there, or not what was made.
        """
        self.path, self._key = path, key
        if why := _flaw(path):
            raise HostError(f"`{path}` {why}: it must be yours alone: repair that, or restore the file")
        try:
            self.opened = _connected(path, "rw" if write else "ro")
            try:
                self._recognise()
            except BaseException:
                self.opened.close()
                raise
        except (sqlite3.Error, UnicodeError) as error:
            raise failed(path, error) from None
        self.execute = self.opened.execute

    def meta(self) -> Meta:
        """Where it stands now.

        Raises:
            HostError: if that was changed by somebody else.
            sqlite3.Error: if it cannot be read.
        """
        said: dict[str, Any] = dict(self.execute("SELECT name, value FROM meta").fetchall())
        mac, form = said.pop("mac", None), said.pop("format", None)
        kinds = {name: type(value) for name, value in said.items()}
        if form != FORMAT or kinds != _KINDS or not isinstance(mac, bytes):
            raise HostError(f"`{self.path}` does not say where it stands: {LOOK}")
        made = Meta(**said)
        if not compare_digest(mac, made.mac(self._key)) or os.path.basename(self.path) != name_of(made.number):
            raise HostError(f"`{self.path}` says something else than wasmguard wrote about its end: {LOOK}")
        return made

    def note(self, meta: Meta) -> None:
        """Say *meta* from now on, as a part of the transaction.

        Raises:
            sqlite3.Error: if that cannot be written.
        """
        said = {**meta.as_dict(), "mac": meta.mac(self._key)}
        self.opened.executemany("UPDATE meta SET value = ? WHERE name = ?", [(v, n) for n, v in said.items()])

    def size(self) -> int:
        """How many bytes it has, without its log."""
        return int(self.execute("PRAGMA page_count").fetchone()[0] * self.execute("PRAGMA page_size").fetchone()[0])

    def bring_home(self, how: str = "PASSIVE") -> None:
        """Bring what was committed to the disk, so that not even a power cut takes it away."""
        self.execute(f"PRAGMA wal_checkpoint({how})").fetchall()

    def close(self) -> None:
        """End it. A transaction that is under way never was."""
        self.opened.close()

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _recognise(self) -> None:
        facts = {"application_id": APPLICATION, "user_version": FORMAT, "journal_mode": "wal"}
        said = {name: self.opened.execute(f"PRAGMA {name}").fetchone()[0] for name in facts}
        schema = self.opened.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        if said != facts or schema != [(sql,) for sql in SCHEMA]:
            raise HostError(f"`{self.path}` is not what wasmguard made: {LOOK}")


def name_of(number: int) -> str:
    """The name of the file of segment *number*."""
    return f"{number:06}{ENDING}"


def path_of(folder: str, number: int) -> str:
    """The file of segment *number* in *folder*."""
    return os.path.join(folder, name_of(number))


def numbers(folder: str) -> list[int]:
    """The numbers of the segments in *folder*, oldest first.

    Raises:
        HostError: if it cannot be read.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError(f"`{folder}` cannot be read: {why_of(error)}: make it yours") from None
    stems = [name.removesuffix(ENDING) for name in names if name.endswith(ENDING)]
    return sorted(
        int(stem) for stem in stems if stem.isascii() and stem.isdecimal() and name_of(int(stem))[:-3] == stem
    )


def make(folder: str, key: bytes, meta: Meta) -> None:
    """Make the segment that *meta* describes. For the one process that writes.

    Raises:
        HostError: if it cannot be made, or is there.
    """
    private_folder(folder)
    temporary, path = os.path.join(folder, NEW), path_of(folder, meta.number)
    try:
        _remove(temporary)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _write_schema(temporary, key, meta)
        for end in ASIDE[1:]:  # of a file of that name that is gone: SQLite would take its log for this one's
            if os.path.lexists(path + end) and not os.path.lexists(path):
                os.unlink(path + end)
        os.link(temporary, path)
        _remove(temporary)
        _sync(folder)
    except OSError as error:
        raise HostError(f"cannot make `{path}`: {why_of(error)}: make room there") from None
    except sqlite3.Error as error:
        raise failed(path, error) from None


def remove(path: str) -> None:
    """Remove a segment, its log first: nobody takes that for another one's.

    Raises:
        HostError: if it cannot be removed.
    """
    try:
        _remove(path)
    except OSError as error:
        raise HostError(f"`{path}` cannot be removed: {why_of(error)}: make its folder yours") from None


def taken(path: str) -> int:
    """How many bytes a segment takes on the disk, with its log."""
    total = 0
    for end in ASIDE:
        try:
            total += os.lstat(path + end).st_size
        except OSError:
            continue
    return total


def failed(path: str, error: Exception) -> HostError:
    """*error* of SQLite's in our words; its own quote what is in the file."""
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return HostError(f"`{path}` cannot be used: somebody held it for {WAIT:.0f} seconds: see who has it open")
    if code == sqlite3.SQLITE_FULL:
        return HostError(f"`{path}` cannot be written: there is no room: make some on its disk; nothing is lost yet")
    said = one_line(str(error), 200)
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM):
        return HostError(f"`{path}` cannot be used: {said}: see whether its disk and folder are well")
    return HostError(f"`{path}` is damaged: {said}: {LOOK}")


_KINDS: dict[str, type] = {
    name: bytes if name in ("before", "hash", "past", "retired_hash") else int for name in Meta._fields
}


def _connected(path: str, mode: str) -> sqlite3.Connection:
    address = "file:" + quote(os.fsencode(path)) + f"?mode={mode}"
    opened = sqlite3.connect(address, uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False)
    try:
        opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
        for setting in _SETTINGS:
            opened.execute(setting)
    except BaseException:
        opened.close()
        raise
    return opened


def _write_schema(path: str, key: bytes, meta: Meta) -> None:
    opened = _connected(path, "rw")
    try:
        opened.execute(f"PRAGMA page_size = {PAGE}")
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("BEGIN IMMEDIATE")
        opened.execute(f"PRAGMA application_id = {APPLICATION}")
        opened.execute(f"PRAGMA user_version = {FORMAT}")
        for statement in sorted(SCHEMA, key=lambda sql: not sql.startswith("CREATE TABLE")):
            opened.execute(statement)
        said = {"format": FORMAT, **meta.as_dict(), "mac": meta.mac(key)}
        opened.executemany("INSERT INTO meta VALUES (?, ?)", said.items())
        opened.execute("COMMIT")
    finally:
        opened.close()  # which brings all of it from the log into the file


def _flaw(path: str) -> str:
    """Why the file is not ours alone; empty if it is. Looked at by name: see `wasmguard.state.sqlite_file`."""
    try:
        seen = os.lstat(path)
    except OSError as error:
        return f"cannot be seen: {why_of(error)}"
    return foreign(seen) if stat.S_ISREG(seen.st_mode) else "is no regular file"


def _remove(path: str) -> None:
    for name in _all_of(path):
        if os.path.lexists(name):
            os.unlink(name)


def _all_of(path: str) -> Iterator[str]:
    return (path + end for end in reversed(ASIDE))


def _sync(folder: str) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
