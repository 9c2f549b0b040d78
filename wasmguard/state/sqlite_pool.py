"""Open connections of a store: lent to one user at a time, and never carried into another process.

SQLite's locks belong to the process that took them, and it keeps a table of what this process has open. A child that
inherited an open connection believes to hold locks that it does not hold, with new connections too, and can destroy the
file (sqlite.org/howtocorrupt.html, 2.6). So:

1. Before a fork nobody gets a connection any more, those that are lent out are waited for, and all are closed.
2. If one is still lent out then, because the forking thread itself has it or somebody is slow, the child never gets
   any.
3. Nor does the child of a fork that Python was not told about.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, get_ident
from _weakrefset import WeakSet
from time import monotonic, sleep

from wasmguard.errors import StateError
from wasmguard.state.interface import WAIT
from wasmguard.state.sqlite_file import Connection, File

IDLE = 8  # connections that stay open; those above are closed when they come back


class Pool:
    """The connections of one store."""

    def __init__(self, file: File) -> None:
        self._file, self._closed, self._pid = file, False, os.getpid()
        self._lock = allocate_lock()
        self._idle: list[Connection] = []
        self._lent: list[int] = []
        _pools.add(self)

    def take(self) -> Connection:
        """A connection for the caller alone, until it is given back.

        Raises:
            StateError: if the file is not as it should be.
        """
        while _Forked.soon:  # rule 1
            sleep(0.0005)
        with self._lock:
            if _Forked.amid or self._pid != os.getpid():
                raise StateError("this process was forked while its parent used the state: start it, do not fork it")
            if self._closed:
                raise StateError("the state is closed: load another guard")
            connection = self._idle.pop() if self._idle else None
            thread = get_ident()
            self._lent.append(thread)
        try:
            if connection is None:
                connection = self._file.connection()
            else:
                connection.check()
        except BaseException:
            self._back(thread, connection, usable=False)
            raise
        connection.lent_to = thread
        return connection

    def give(self, connection: Connection, *, usable: bool = True) -> None:
        """Take *connection* back; one that is not *usable* is closed."""
        if connection.pid == os.getpid():
            self._back(connection.lent_to, connection, usable=usable)
        else:
            _Forked.inherited.append(connection)

    def close(self) -> None:
        """Close what is open; what is lent out, when it comes back."""
        with self._lock:
            self._closed = True
            self._close_idle()

    def _back(self, thread: int, connection: Connection | None, *, usable: bool) -> None:
        with self._lock:
            self._lent.remove(thread)
            if connection is None:
                return
            if usable and not self._closed and len(self._idle) < IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def before_fork(self, until: float) -> bool:
        """Close what is open, and let nobody take or give. Whether nothing was lent out any more by *until*."""
        mine = get_ident()
        while self._lock.acquire(timeout=max(0.0, until - monotonic())):
            if self._lent and monotonic() < until and any(thread != mine for thread in self._lent):
                self._lock.release()
                sleep(0.0005)
                continue
            self._close_idle()
            return not self._lent
        self._lock = allocate_lock()  # a signal came while this very thread had it
        self._lock.acquire()
        return False

    def after_fork(self, *, child: bool) -> None:
        """Go on; in a child, from nothing."""
        if child:
            self._pid = os.getpid()
        self._lock.release()


class _Forked:
    amid = False
    """Whether this process inherited a connection: then it can use none."""
    inherited: list[Connection] = []  # noqa: RUF012  # never closed: that would be its parent's business
    held: list[Pool] = []  # noqa: RUF012  # those that wait until the fork is over
    soon = False
    """Whether a fork waits for those who are in the middle of something."""
    clean = True
    """Whether nothing is open while the process is forked."""


_pools: WeakSet[Pool] = WeakSet()


def _before() -> None:
    until = monotonic() + WAIT
    _Forked.soon = True
    _Forked.held = list(_pools)
    _Forked.clean = all([pool.before_fork(until) for pool in _Forked.held])  # noqa: C419  # each of them, not until one


def _after(*, child: bool) -> None:
    held, _Forked.held = _Forked.held, []
    if child and not (_Forked.clean and set(_pools) <= set(held)):  # another thread may have made one just now
        _Forked.amid = True
    for pool in held:
        pool.after_fork(child=child)
    _Forked.soon = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=lambda: _after(child=False), after_in_child=lambda: _after(child=True)
    )
