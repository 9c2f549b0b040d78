"""From the spool into the database: exactly once, whatever is killed when.

1. One at a time: who holds the lock of the folder. Others wait for it as long as they like, and leave it to that one.
   Were two at it all the same, nothing would be lost or written twice: see `wasmguard.records.database`.
2. A file of the spool goes when all its records are committed and on the disk. One that comes again, because somebody
   was killed before that, changes nothing: each record has an id, and one that is there already is left out.
3. What is no record any more becomes one of the kind `damaged`, which says how many bytes it was. Nothing goes
   silently.
4. A record becomes canonical JSON (`wasmguard.records.prepared`); what a policy remembers becomes a blob of its own,
   and each verdict says which module and settings it came from.
5. Where the database cannot be written, or is not what was written there, that is an error, and the spool stays as it
   is. No other database is begun beside a broken one.
"""

from __future__ import annotations

import gc
import os
import stat
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from wasmguard import spool
from wasmguard.errors import HostError
from wasmguard.records import old_log, retention
from wasmguard.records.counting import whole
from wasmguard.records.database import SEGMENT, Database
from wasmguard.records.prepared import Prepared, Preparing, damaged
from wasmguard.records.segment import numbers, why_of
from wasmguard.sandbox.cache import private_folder
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LOCK = "lock"
ROWS, BYTES = 2_000, 4 * 2**20  # records and bytes of one transaction
WAIT = 5.0  # seconds
PAUSE = 0.05  # seconds at most until the lock is tried again


class Drained(Value):
    """What a drain came to."""

    moved: int = 0
    """Records that are in the database since."""
    left: bool = False
    """Whether somebody else is at it, and what waits was left to that one."""
    lost: int = 0
    """Records that the moved ones say are missing: damaged ones, and those that could not be written."""


def drained(record: Mapping[str, Any] | None = None, *, wait: float = WAIT) -> Drained:
    """Move what waits in the spool into the database, and give up what *record*, a plan's, does not keep; without one
    everything is kept. Waits at most *wait* seconds for somebody else who is at it.

    Raises:
        HostError: if it cannot be moved. What waits goes on waiting.
    """
    folder = spool.folder()
    known = numbers(folder)
    if not old_log.waits(folder) and not spool.waiting(folder) and (known or not os.path.lexists(folder)):
        return Drained()
    private_folder(folder)
    with _alone(folder, wait) as alone:
        return _Drain(folder, record).run() if alone else Drained(left=True)


class _Drain:
    def __init__(self, folder: str, record: Mapping[str, Any] | None) -> None:
        self._folder, self._record, self._key = folder, record, spool.key()
        self._preparing, self._moved, self._lost = Preparing(), 0, 0

    def run(self) -> Drained:
        """Move everything."""
        collecting = gc.isenabled()
        gc.disable()  # no circles are made here, and looking for some takes a fifth of the time
        try:
            return self._run()
        finally:
            if collecting:
                gc.enable()

    def _run(self) -> Drained:
        full = self._record["segment"] if self._record is not None else SEGMENT
        with Database(self._folder, self._key, segment=full) as database:
            for path in old_log.files(self._folder):
                self._move(database, old_log.records(path, self._preparing))
                database.bring_home()
                os.unlink(path)
            for taken in spool.taken(self._folder):
                name, place = os.path.basename(taken.path), 0
                for items in (taken.bodies, taken.finish):
                    place = self._move_all(database, items(), name, place)
                    database.bring_home()  # before it is unlinked, which `finish` does
            retention.apply(database, self._key, self._record)
        return Drained(moved=self._moved, lost=self._lost)

    def _move_all(self, database: Database, items: Iterable[bytes | spool.Damaged], name: str, place: int) -> int:
        """Move *items* of the file *name*, of which *place* were before them; how many there are now."""
        count = place

        def prepared() -> Iterator[Prepared]:
            nonlocal count
            for item in items:
                count += 1
                if isinstance(item, spool.Damaged):
                    yield damaged(item.bytes, f"{name} {count}".encode())
                else:
                    yield self._preparing.prepared(item)

        self._move(database, prepared())
        return count

    def _move(self, database: Database, prepared: Iterable[Prepared]) -> None:
        batch: list[Prepared] = []
        size = 0
        for one in prepared:
            batch.append(one)
            size += len(one.body)
            if len(batch) >= ROWS or size >= BYTES:
                self._append(database, batch)
                batch, size = [], 0
        if batch:
            self._append(database, batch)

    def _append(self, database: Database, batch: list[Prepared]) -> None:
        self._moved += database.append(batch)
        for one in batch:
            kind = one.record.get("kind")
            if kind == "damaged":
                self._lost += 1
            elif kind == "lost":
                self._lost += whole(one.record.get("count"))


@contextmanager
def _alone(folder: str, wait: float) -> Iterator[bool]:
    """Whether nobody else drains *folder*, who is waited for at most *wait* seconds; nobody does until this ends."""
    path, until, pause = os.path.join(folder, LOCK), monotonic() + wait, 0.001
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise HostError(f"`{path}` cannot be opened: {why_of(error)}: make room there, or repair it") from None
    try:
        if not stat.S_ISREG(os.fstat(lock).st_mode):
            raise HostError(f"`{path}` is no regular file: remove it")
        while not (held := _taken(lock)) and monotonic() < until:
            sleep(pause)
            pause = min(2 * pause, PAUSE)
        yield held
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
