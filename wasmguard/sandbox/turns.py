"""Whose turn it is: as many callers at the same time as there are places for cells.

1. A place has at most one caller. Others wait, and are woken when one is given back.
2. Nothing is held by a lock. A signal may raise between any two steps of a caller, and a thread may vanish in a fork:
   a claim is one step that also says whose it is, and giving back is one step too.
3. A claim counts in the process that made it. After a fork the places are free, whatever threads of the parent did.
4. Whoever takes a turn inside a turn (a signal handler, a finalizer) and finds no place free gets one for this turn: it
   could wait for itself.
5. Who asks at once waits for nobody, and starts nothing: there is a free place with a cell that is ready, or there is
   none.
"""

from __future__ import annotations

import _thread
import os

from wasmguard.errors import NotAtOnce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from wasmguard.sandbox.child import Child

    T = TypeVar("T")

PAUSE = 0.01  # seconds after which a waiting caller looks again, if nobody woke it


class Place:
    """Room for one cell."""

    def __init__(self) -> None:
        self.holders: dict[int, Claim] = {}  # by process
        self.cell: Child | None = None
        self.killed = False
        """Whether somebody else has killed the cell that was ended last."""

    def end(self, *, dying: bool = False) -> str:
        """End the cell, if there is one, and say how it ended; see `Child.end`."""
        cell, self.cell = self.cell, None
        how = cell.end(dying=dying) if cell else "is gone"
        self.killed = cell is not None and cell.killed
        return how


class Claim:
    """One caller's wish for a place, and the place that it was granted or asked for last."""

    def __init__(self) -> None:
        self.process, self.thread = os.getpid(), _thread.get_ident()
        self.place: Place | None = None

    def give_back(self) -> None:
        """Free the place if it was granted."""
        if self.place and self.place.holders.get(self.process) is self:
            self.place.holders.pop(self.process, None)


class Turns:
    """A fixed number of places, and the order in which callers get them."""

    def __init__(self, size: int) -> None:
        self._places = [Place() for _ in range(size)]
        self._wake = _thread.allocate_lock()  # only wakes: who gets what is said by the claims
        self.over = False
        """Whether they were closed."""

    def take(self, work: Callable[[Place], T]) -> T:
        """What *work* gives in a place that nobody else uses meanwhile; those with a cell come first."""
        claim = Claim()
        try:
            return self._used(self._claimed(claim), claim, work)
        except BaseException:
            claim.give_back()  # an exception came after the claim was granted, and before `_used` could know it
            raise

    def take_ready(self, work: Callable[[Place], T]) -> T:
        """What *work* gives in a free place whose cell is ready.

        Raises:
            NotAtOnce: if there is none now.
        """
        claim = Claim()
        try:
            for place in self._places:
                if (cell := place.cell) and cell.report:
                    claim.place = place
                    if place.holders.setdefault(claim.process, claim) is claim:
                        return self._used(place, claim, work)
        except BaseException:
            claim.give_back()
            raise
        raise NotAtOnce

    def cells(self) -> Iterator[Child]:
        """The cells that there are now."""
        return (cell for place in self._places if (cell := place.cell))

    def close(self) -> None:
        """End all cells; those whose turn it is, when that is over."""
        self.over = True
        for place in self._places:
            claim = Claim()
            claim.place = place
            if place.holders.setdefault(claim.process, claim) is claim:
                try:
                    place.end()
                finally:
                    claim.give_back()

    def _claimed(self, claim: Claim) -> Place:
        while True:
            nested = False
            for place in self._places:
                claim.place = place  # before it is granted: nobody may be granted a place and not know it
                holder = place.holders.setdefault(claim.process, claim)
                if holder is claim:
                    return place
                nested = nested or holder.thread == claim.thread
            if nested:
                claim.place = None
                return Place()
            self._wake.acquire(timeout=PAUSE)

    def _used(self, place: Place, claim: Claim, work: Callable[[Place], T]) -> T:
        try:
            return work(place)
        finally:
            place.holders.pop(claim.process, None)
            self._given_back(place)

    def _given_back(self, place: Place) -> None:
        if self.over or place not in self._places:
            place.end()
        elif self._wake.locked():
            try:  # noqa: SIM105  # `contextlib` costs a hook process 4 ms
                self._wake.release()
            except RuntimeError:  # another thread was quicker
                pass
