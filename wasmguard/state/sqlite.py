"""What policies remember, in one SQLite file: what everybody gets who does not say otherwise.

1. Readers wait for nobody (write-ahead log). Whoever writes has the only write lock, from its first comparison to its
   end; a turn alone has it from its first recall.
2. Every write gives its row a random version. A commit compares those it recalled; a row that is not there is a version
   too, and one that was forgotten and written anew is another.
3. A row past its time counts as none, by the clock at the recall. Such rows are taken away when there is no room for a
   new one, and at most once an hour when there is.
4. A row carries a checksum over all that it says, and its name is written twice: a row that is damaged is a StateError,
   not one that is not there.

What the file must be like is in `wasmguard.state.sqlite_file`; who may use a connection, in
`wasmguard.state.sqlite_pool`.
"""

from __future__ import annotations

import os
from binascii import crc32
from contextlib import contextmanager
from time import time

from wasmguard.errors import StateError
from wasmguard.state.interface import bounded, by_policy, full
from wasmguard.state.sqlite_file import ERRORS, RESTORE, File, failed, patiently
from wasmguard.state.sqlite_pool import Pool

try:  # what `hashlib.blake2b` is, without OpenSSL, see `wasmguard.sandbox.cache`
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wasmguard.state.interface import Slot
    from wasmguard.state.sqlite_file import Connection

    Row = tuple[int, bytes | None]  # version and state

SWEEP = 3600  # seconds

_READ = "SELECT version, until, crc, state FROM remembered WHERE id = ?"
_FOUND = (  # in the table, and in the index
    "SELECT EXISTS (SELECT 1 FROM remembered WHERE id = ?),"
    " EXISTS (SELECT 1 FROM remembered INDEXED BY names WHERE policy = ? AND scope = ? AND key = ?)"
)
_INSERT = "INSERT INTO remembered (version, until, crc, state, id, policy, scope, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE remembered SET version = ?, until = ?, crc = ?, state = ? WHERE id = ? AND version = ?"
_DELETE = "DELETE FROM remembered WHERE id = ? AND version = ?"
_COUNT = "SELECT count(*) FROM remembered WHERE policy = ?"
_SWEEP = "DELETE FROM remembered WHERE until <= ?"

ABSENT = 0  # the version of a row that is not there


class SqliteStore:
    """The store in the file *path*."""

    def __init__(self, path: str) -> None:
        self.place = self._path = path
        self._pool = Pool(File(path))

    def turn(self, slots: Sequence[Slot], *, alone: bool = False) -> SqliteTurn:
        return SqliteTurn(self._path, self._pool, slots, alone=alone)

    def close(self) -> None:
        self._pool.close()


class SqliteTurn:
    """One event's view of it."""

    def __init__(self, path: str, pool: Pool, slots: Sequence[Slot], *, alone: bool) -> None:
        self._path, self._pool, self._slots, self._alone = path, pool, by_policy(slots), alone
        self._recalled: dict[str, Row] = {}
        self._held: Connection | None = None

    def recall(self, policy: str) -> bytes | None:
        recalled = self._recalled.get(policy)
        if recalled is None:
            with self._connection() as connection:
                recalled = self._recalled[policy] = _read(connection, self._slots[policy])
        return recalled[1]

    def commit(self, states: Mapping[str, bytes]) -> bool:
        changes = [(self._slots[policy], self._recalled[policy][0], state) for policy, state in states.items()]
        for slot, _, state in changes:
            bounded(state, slot.policy)
        with self._connection() as connection:
            if not self._alone:
                patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            if all(_write(connection, *change) for change in changes):
                connection.execute("COMMIT")
                return True
            connection.execute("ROLLBACK")
            return False

    def end(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            _rolled_back(self._pool, held)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """The connection that this turn holds, or one for the moment. Afterwards nothing half done is left of it."""
        connection = None
        try:
            connection = self._own() if self._alone else self._pool.take()
            yield connection
        except ERRORS as error:
            self._drop(connection)
            raise failed(self._path, error) from None
        except BaseException:
            self._drop(connection)
            raise
        if not self._alone:
            self._pool.give(connection)

    def _own(self) -> Connection:
        if self._held is None:
            self._held = connection = self._pool.take()
            patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        if self._held.pid != os.getpid():
            raise StateError("a turn cannot go on in a forked process: start it, do not fork it")
        return self._held

    def _drop(self, connection: Connection | None) -> None:
        if self._alone:
            self.end()
        elif connection is not None:
            _rolled_back(self._pool, connection)


def _rolled_back(pool: Pool, connection: Connection) -> None:
    """Give *connection* back without whatever it was in the middle of."""
    usable = connection.pid == os.getpid()
    try:
        if usable and connection.opened.in_transaction:
            connection.execute("ROLLBACK")
    except ERRORS:
        usable = False
    pool.give(connection, usable=usable)


def _read(connection: Connection, slot: Slot) -> Row:
    """Version and state of *slot*'s row."""
    rows = patiently(lambda: connection.execute(_READ, (_id(slot),)).fetchall())
    if not rows:
        names = (_id(slot), slot.policy, slot.scope, slot.key)
        in_table, in_index = patiently(lambda: connection.execute(_FOUND, names).fetchall())[0]
        if in_table:  # written just now
            return _read(connection, slot)
        if in_index:
            raise _damaged(connection, slot)
        return ABSENT, None
    version, until, crc, state = rows[0]
    if type(state) is not bytes or crc != _checksum(slot, version, until, state):
        raise _damaged(connection, slot)
    return version, bounded(state, slot.policy) if until > _now() else None


def _write(connection: Connection, slot: Slot, before: int, state: bytes) -> bool:
    """Whether *slot* was still at the version *before*; then it is *state* now."""
    execute, row = connection.execute, _id(slot)
    if before != ABSENT:
        if not state:
            return bool(execute(_DELETE, (row, before)).rowcount)
        return bool(execute(_UPDATE, (*_written(slot, state), row, before)).rowcount)
    if execute(_READ, (row,)).fetchall():
        return False
    if state:
        _make_room(connection, slot)
        execute(_INSERT, (*_written(slot, state), row, slot.policy, slot.scope, slot.key))
    return True


def _id(slot: Slot) -> int:
    """The number of *slot*'s row: a hash of its name, 63 bits."""
    named = f"{len(slot.policy)}:{slot.policy}{len(slot.scope)}:{slot.scope}{slot.key}"
    return int.from_bytes(blake2b(named.encode(), digest_size=8).digest(), "big") >> 1


def _written(slot: Slot, state: bytes) -> tuple[int, int, int, bytes]:
    """*state* and what goes with it, as columns."""
    version = int.from_bytes(os.urandom(8), "big") >> 1 | 1  # never `ABSENT`
    until = _now() + slot.expires * 1000
    return version, until, _checksum(slot, version, until, state), state


def _make_room(connection: Connection, slot: Slot) -> None:
    """See to it that *slot* can be written for the first time (rule 3)."""
    execute, now = connection.execute, _now()
    is_full = execute(_COUNT, (slot.policy,)).fetchall()[0][0] >= slot.entries
    swept = execute("SELECT CAST(total(at) AS INTEGER) FROM swept").fetchall()[0][0]
    if is_full or not 0 <= now - swept < SWEEP * 1000:
        execute(_SWEEP, (now,))
        execute("UPDATE swept SET at = ?", (now,))
        if execute(_COUNT, (slot.policy,)).fetchall()[0][0] >= slot.entries:
            raise full(slot)


def _damaged(connection: Connection, slot: Slot) -> StateError:
    where = connection.file.path
    return StateError(f"what `{slot.policy}` remembered in `{where}` is damaged: {RESTORE}")


def _checksum(slot: Slot, version: int, until: int, state: bytes) -> int:
    said = f"{slot.policy}\0{slot.scope}\0{slot.key}\0{version}\0{until}\0"
    return crc32(state, crc32(said.encode()))


def _now() -> int:
    """Unix milliseconds."""
    return int(time() * 1000)
