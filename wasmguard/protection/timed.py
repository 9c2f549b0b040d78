"""Protected paths for one event, which cannot have them looked up for ever."""

from __future__ import annotations

from time import perf_counter_ns, thread_time

from wasmguard.errors import NotAtOnce
from wasmguard.protection.paths import Protected

FOLDERS_AT_ONCE = 200  # folders of a path: 1 to 3 us each
LONGEST_LOOK = 0.25
"""Seconds of the processor for the paths of one event. 64 KiB of commands take 0.2; folders that somebody made a
thousand deep, links and wildcards cost more than their length tells."""


class TooLong(Exception):
    """What was given cannot be looked up in bounded time."""


class Timed(Protected):
    """The same paths, for one event, which cannot have them looked up for ever."""

    __slots__ = ("_begun", "_until")

    def __init__(self, protected: Protected, until: int) -> None:
        """Look nothing up any more after `LONGEST_LOOK`; nor at *until*, in nanoseconds of `perf_counter_ns`, which an
        event loop cannot wait for, unless that is 0."""
        self.__dict__, self._until, self._begun = protected.__dict__, until, -1.0

    def found(self, path: str, cwd: str, *, look: bool = True) -> str:
        """As there.

        Raises:
            NotAtOnce: if it is *until*, or this path alone could take that long.
            TooLong: if too much time was spent on others.
        """
        self._spend(path, cwd)
        return super().found(path, cwd, look=look)

    def above(self, path: str, cwd: str) -> str:
        """As there, and raises as `found`."""
        self._spend(path, cwd)
        return super().above(path, cwd)

    def _spend(self, path: str, cwd: str) -> None:
        if self._until and (perf_counter_ns() > self._until or path.count("/") + cwd.count("/") > FOLDERS_AT_ONCE):
            raise NotAtOnce
        if self._begun < 0:
            self._begun = 0.0  # most events have one path only, and to ask for the time takes longer than to forget it
        elif not self._begun:
            self._begun = thread_time()
        elif thread_time() - self._begun > LONGEST_LOOK:
            raise TooLong
