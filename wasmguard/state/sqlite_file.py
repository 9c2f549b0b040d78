"""One SQLite file: made once, known again, and looked at before every use.

1. It is a regular file of ours, closed to others, in a private folder, and never made by opening it.
2. It says that it is ours: application id, format, and a schema without anything that we did not put there.
3. While we run it stays the same file, does not get shorter, and keeps its write-ahead log. What is gone, was replaced
   or cut off is a StateError for as long as this store is open: nobody goes on with another past.
4. Whenever somebody wrote to it, its pages are read anew, so that what was damaged is noticed.

Its path is looked at with `lstat` alone. Opening and closing it beside SQLite would take away SQLite's locks
(sqlite.org/howtocorrupt.html, 2.2). What a power cut takes is the last few commits, whole (`synchronous = NORMAL`).
"""

from __future__ import annotations

import os
import stat
from fcntl import LOCK_EX, flock
from time import monotonic, sleep

from wasmguard import places
from wasmguard.errors import CacheError, StateError
from wasmguard.limits import STATE
from wasmguard.sandbox.cache import digest, private_folder
from wasmguard.state.interface import WAIT
from wasmguard.text import one_line

try:  # what `sqlite3` is, without `datetime`: half of its import
    import _sqlite3 as sqlite
except ImportError:
    import sqlite3 as sqlite  # type: ignore[no-redef]  # the same names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

APPLICATION = 0x77677374  # "wgst"
FORMAT = 1
SCHEMA = (
    "CREATE UNIQUE INDEX names ON remembered (policy, scope, key)",
    "CREATE TABLE remembered (id INTEGER PRIMARY KEY, policy TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL,"
    " version INTEGER NOT NULL, until INTEGER NOT NULL, crc INTEGER NOT NULL, state BLOB NOT NULL)",
    "CREATE TABLE swept (at INTEGER NOT NULL)",
)
"""By name."""
LONGEST_LOG = 16 * 2**20  # bytes of write-ahead log that stay on the disk; usual are 4 MiB
LARGEST = 4 * STATE  # bytes of a row or a statement

LOGLESS = "lost its write-ahead log"

ERRORS = (sqlite.Error, UnicodeError)
"""What SQLite raises: its messages quote what is in the file, and need not be text."""

_BUSY, _CORRUPT, _FULL, _NOTADB = 5, 11, 13, 26  # sqlite.org/rescode.html
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")  # RFC 3986, 2.3


def path_of(config: str) -> str:
    """The file in which policies of the configuration file *config* remember things."""
    name = digest(os.fsencode(os.path.abspath(config)))[:32]
    return os.path.join(places.state_dir(), "state", f"{name}.db")


def make(path: str) -> None:
    """Make the file *path*, whole or not at all, if there is none.

    Raises:
        StateError: if it cannot be made, or what is there is not ours.
    """
    _private(path)
    if os.path.lexists(path):
        File(path).connection().close()
        return
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            _write_schema(temporary)
            _put(temporary, path)
        finally:
            for end in ("", "-wal", "-shm"):
                if os.path.lexists(temporary + end):
                    os.unlink(temporary + end)
        _sync(os.path.dirname(path))
    except OSError as error:
        raise StateError(f"cannot make `{path}`: {_why(error)}: make room there") from None
    except ERRORS as error:
        raise failed(path, error) from None


def _put(temporary: str, path: str) -> None:
    """Give the file *temporary* the name *path*, unless somebody else was first: then theirs counts.

    A log that an older file of that name left behind goes first: SQLite would take it for this one's.
    """
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        flock(folder, LOCK_EX)  # so that nobody's new file loses its log
        if not os.path.lexists(path):
            for end in ("-wal", "-shm"):
                if os.path.lexists(path + end):
                    os.unlink(path + end)
            os.link(temporary, path)
    finally:
        os.close(folder)


class File:
    """The file of one store, as this process knows it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._lost = ""

    def connection(self) -> Connection:
        """A new connection.

        Raises:
            StateError: if the file is not there, or not as it should be.
        """
        self.seen()
        _private(self.path)
        try:
            opened = sqlite.connect(_uri(self.path), **_OPTIONS)
            try:
                opened.setlimit(sqlite.SQLITE_LIMIT_LENGTH, LARGEST)
                patiently(lambda: [opened.execute(setting) for setting in _SETTINGS])
                connection = Connection(self, opened)
                connection.check()
            except BaseException:
                opened.close()
                raise
        except ERRORS as error:
            raise failed(self.path, error) from None
        return connection

    def seen(self) -> os.stat_result:
        """What the file looks like now, which is the file that it was (rules 1 and 3).

        Raises:
            StateError: if it is not.
        """
        try:
            seen = os.lstat(self.path)
        except FileNotFoundError:
            raise self._gone(GONE) from None
        except OSError as error:
            raise StateError(f"`{self.path}` cannot be seen: {_why(error)}: make its folder yours") from None
        if why := _foreign(seen):
            raise StateError(f"`{self.path}` {why}: it must be yours alone: repair that, or restore the file")
        identity = (seen.st_dev, seen.st_ino)
        if self._lost:
            raise self._gone(self._lost)
        if identity != (self._identity or identity):
            raise self._gone("was replaced")
        if seen.st_size < self._size or not seen.st_size:
            raise self._gone("was cut off")
        self._identity, self._size = identity, seen.st_size
        return seen

    def log(self) -> tuple[int, int]:
        """Which file its write-ahead log is now.

        Raises:
            StateError: if it is gone.
        """
        try:
            seen = os.lstat(self.path + "-wal")
        except OSError:
            raise self._gone(LOGLESS) from None
        return seen.st_dev, seen.st_ino

    def logless(self) -> StateError:
        """Its log is another one, and will not count any more."""
        return self._gone(LOGLESS)

    def _gone(self, what: str) -> StateError:
        """What happened to it; if it was in use, that is how it stays (rule 3)."""
        self._lost = what if self._identity else ""
        known = "restore it and start anew what runs wasmguard" if self._identity else "restore it"
        delete = "" if what == GONE else "delete it and "
        return StateError(f"`{self.path}` {what}: {known}, or {delete}run `wasmguard lock`, {ANEW}")


class Connection:
    """An open connection to a file; one user at a time."""

    def __init__(self, file: File, opened: Any) -> None:
        self.file, self.opened = file, opened
        self.pid, self.lent_to = os.getpid(), 0
        self.execute: Callable[..., Any] = opened.execute
        self._written = -1
        self._log = (0, 0)

    def check(self) -> None:
        """Check that the file is still the one that was opened.

        Raises:
            StateError: if it is not, or is not ours.
            ERRORS: if SQLite cannot read it.
        """
        written = self.file.seen().st_mtime_ns
        if written != self._written:
            self.execute("PRAGMA shrink_memory")  # forget what was read of it (rule 4)
            patiently(self._recognise)
            if not self._log[1]:
                self._log = self.file.log()  # reading made it, and while we are here nobody takes it away
            self._written = written
        if self.file.log() != self._log:
            raise self.file.logless()

    def close(self) -> None:
        """End it. A transaction that is under way never was."""
        self.opened.close()

    def _recognise(self) -> None:
        facts = {"application_id": APPLICATION, "user_version": FORMAT, "journal_mode": "wal"}
        said = {name: self.execute(f"PRAGMA {name}").fetchall() for name in facts}
        schema = self.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        if said != {name: [(fact,)] for name, fact in facts.items()} or schema != [(sql,) for sql in SCHEMA]:
            raise StateError(f"`{self.file.path}` is not what wasmguard made: {RESTORE}")


GONE = "is gone"
ANEW = "which begins with nothing remembered"
RESTORE = f"restore it, or delete it and run `wasmguard lock`, {ANEW}"


def patiently(call: Callable[[], Any]) -> Any:
    """What *call* returns, once nobody is in its way.

    SQLite would wait by itself, but sleeps for milliseconds where others need microseconds.

    Raises:
        ERRORS: if it fails otherwise, or nobody gets out of its way within `WAIT` seconds.
    """
    until, pause = 0.0, 0.00002
    while True:
        try:
            return call()
        except ERRORS as error:
            now = monotonic()
            until = until or now + WAIT
            if _code(error) != _BUSY or now > until:
                raise
        sleep(pause)
        pause = min(pause * 1.5, 0.001)


def failed(path: str, error: Exception) -> StateError:
    """*error* in our words."""
    advice = {
        _BUSY: f"somebody held it for {WAIT:.0f} seconds: see who has it open",
        _FULL: "there is no room: make some on its disk",
        _CORRUPT: f"it is damaged: {RESTORE}",
        _NOTADB: f"it is damaged: {RESTORE}",
    }.get(_code(error), f"{one_line(str(error), 200)}: see whether its disk and folder are well")
    return StateError(f"`{path}` cannot be used: {advice}")


def _code(error: Exception) -> int:
    """What kind of error it is, by SQLite's primary codes."""
    if isinstance(error, UnicodeError):
        return _CORRUPT
    return getattr(error, "sqlite_errorcode", -1) & 0xFF


_OPTIONS: dict[str, Any] = {"uri": True, "timeout": 0.0, "isolation_level": None, "check_same_thread": False}
_SETTINGS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    f"PRAGMA journal_size_limit = {LONGEST_LOG}",
)


def _write_schema(path: str) -> None:
    opened = sqlite.connect(_uri(path), **_OPTIONS)
    try:
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("BEGIN IMMEDIATE")
        opened.execute(f"PRAGMA application_id = {APPLICATION}")
        opened.execute(f"PRAGMA user_version = {FORMAT}")
        for statement in (*SCHEMA[1:], SCHEMA[0]):
            opened.execute(statement)
        opened.execute("INSERT INTO swept VALUES (0)")
        opened.execute("COMMIT")
    finally:
        opened.close()  # which brings all of it from the log into the file


def _private(path: str) -> None:
    try:
        private_folder(os.path.dirname(path))
    except CacheError as error:
        raise StateError(str(error)) from None


def _foreign(seen: os.stat_result) -> str:
    if not stat.S_ISREG(seen.st_mode):
        return "is no regular file"
    if hasattr(os, "geteuid") and seen.st_uid != os.geteuid():
        return f"belongs to user {seen.st_uid}"
    mode = stat.S_IMODE(seen.st_mode)
    return f"has the mode {mode:o} instead of 600" if hasattr(os, "geteuid") and mode != 0o600 else ""


def _uri(path: str) -> str:
    """*path* as SQLite reads it, to open what is there and make nothing."""
    return "file:" + "".join(chr(b) if b in _PLAIN else f"%{b:02x}" for b in os.fsencode(path)) + "?mode=rw"


def _sync(folder: str) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
