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
from wasmguard.errors import HostError, why_of
from wasmguard.records import old_log, retention
from wasmguard.records.counting import whole
from wasmguard.records.database import SEGMENT, Database
from wasmguard.records.prepared import Prepared, Preparing, damaged
from wasmguard.records.segment import numbers
from wasmguard.sandbox.cache import private_folder
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LOCK = "lock"
ROWS, BYTES = 2_000, 4 * 2**20  # records and bytes of one transaction
PORTION, PORTION_BYTES = 128, 2**18  # records and bytes of one step of that
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
    """Move what waits in the spool into the database, and give up what *record*, a plan's, does not keep, by default
    what none of this user's owners wants. Waits at most *wait* seconds for somebody else who is at it.

    Raises:
        HostError: if it cannot be moved. What waits goes on waiting.
    """
    folder = spool.folder()
    known = numbers(folder)
    if not old_log.waits(folder) and not spool.waiting(folder) and (known or not os.path.lexists(folder)):
        return Drained()
    private_folder(folder)
    with _alone(folder, wait) as alone:
        return _Drain(folder, retention.wanted() if record is None else record).run() if alone else Drained(left=True)


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
                self._move(database, ([record] for record in old_log.records(path, self._preparing)))
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

        def prepared() -> Iterator[list[Prepared]]:
            nonlocal count
            for portion in _portions(items):
                yield [self._prepared(item, name, count + nth) for nth, item in enumerate(portion, 1)]
                count += len(portion)

        self._move(database, prepared())
        return count

    def _prepared(self, item: bytes | spool.Damaged, name: str, nth: int) -> Prepared:
        if isinstance(item, bytes):
            return self._preparing.prepared(item)
        return damaged(item.bytes, f"{name} {nth}".encode())

    def _move(self, database: Database, portions: Iterator[list[Prepared]]) -> None:
        for portion in portions:
            self._moved += database.append(self._batch(portion, portions))

    def _batch(self, portion: list[Prepared], others: Iterator[list[Prepared]]) -> Iterator[list[Prepared]]:
        """*portion* and as many *others* as there are in a transaction."""
        rows = size = 0
        while True:
            self._lost += sum(_missing(one.record) for one in portion)
            yield portion
            rows, size = rows + len(portion), size + sum(len(one.body) for one in portion)
            if rows >= ROWS or size >= BYTES:
                return
            try:
                portion = next(others)
            except StopIteration:
                return


def _portions(items: Iterable[bytes | spool.Damaged]) -> Iterator[list[bytes | spool.Damaged]]:
    """*items*, some at a time: so few that all that is made of them stays close to the processor."""
    portion, size = list[bytes | spool.Damaged](), 0
    for item in items:
        portion.append(item)
        size += len(item) if isinstance(item, bytes) else 0
        if len(portion) >= PORTION or size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _missing(record: Mapping[str, Any]) -> int:
    """How many records are missing, as *record* says."""
    kind = record.get("kind")
    if kind == "damaged":
        return 1
    return whole(record.get("count")) if kind == "lost" else 0


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
