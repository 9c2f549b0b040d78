"""The master moves records on: from the spool, where workers and hooks put them, into the database.

1. A child does it, at most one at a time, when something waits: the master itself never opens a database, and whatever
   goes wrong there goes with the child.
2. It is no path that anybody waits on. What cannot be moved now stays where it is, and is tried again after a while.
3. All of this user's guards share the database, so what is given up is what none of their owners keeps.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from wasmguard import spool
from wasmguard.errors import WasmguardError
from wasmguard.serve.family import forked
from wasmguard.serve.following import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PAUSE = 2.0  # seconds between two looks
AGAIN = 30.0  # seconds until what failed is tried again
LONGEST = 120.0  # seconds for one child: a gigabyte takes 60
NICE = 10  # events go first


class Moving:
    """Moves on what this user's guards record."""

    def __init__(self, private: Callable[[], Iterable[int]]) -> None:
        """*private* are the descriptors that a child shall not have."""
        self._private = private
        self._child, self._next, self._until = 0, 0.0, 0.0

    def look(self) -> None:
        """Move on what waits, if nobody is at it. Never raises, and never waits."""
        now = monotonic()
        if self._child:
            self._bury(now)
        elif now >= self._next:
            self._next = now + PAUSE
            if spool.waiting():
                self._begin(now)

    def end(self) -> None:
        """Nobody waits for it any more; what it has not moved stays where it is."""
        if self._child:
            with suppress(OSError):
                os.kill(self._child, signal.SIGKILL)
                os.waitpid(self._child, 0)
            self._child = 0

    def _begin(self, now: float) -> None:
        try:
            self._child = forked(_moved, close=self._private(), ends=signal.SIGKILL)
            self._until = now + LONGEST
        except OSError:  # no process left for now
            self._next = now + AGAIN

    def _bury(self, now: float) -> None:
        ended, status = os.waitpid(self._child, os.WNOHANG)
        if ended:
            self._child = 0
            self._next = now + (AGAIN if status else PAUSE)
        elif now > self._until:
            self.end()
            self._next = now + AGAIN


def _moved() -> None:
    """The child's work."""
    from wasmguard.records.drain import drained

    try:
        os.nice(NICE)
        drained()
    except WasmguardError as error:
        say(f"records stay where they are: {error}")
        raise
