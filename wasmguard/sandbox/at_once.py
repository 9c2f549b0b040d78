"""What an event loop may wait for: a verdict that is asked for with little, and asked for again with everything.

1. A verdict is a pure function: a guest that was stopped early has said nothing yet. It is `NotAtOnce`, never a fault.
2. Little is `FUEL`, `BUMPS` of the clock, and `BYTES` each way. A guest that ends within that ends as under its own
   limits: the same answer, the same fault, the same fuel. One that used the last unit may have used more than there was
   (the engine looks at loops and calls only), so what it burned is not known, and it counts as stopped.
3. One instruction may write over a whole memory before anybody looks at its fuel: guests that may have more than
   `MEMORY` are never asked at once. Nor are components, whose instances have neither a pool nor an image to start from.
4. A guest that needs more is not asked at once for `PAUSE`: it would cost that each time. Nor is one that took longer
   than `SLOW` time after time; once may be the machine. Nor one that never answered yet: its first instance makes what
   the others use.
"""

from __future__ import annotations

from time import monotonic

from wasmguard.errors import NotAtOnce
from wasmguard.limits import KIB, MIB
from wasmguard.sandbox.traps import INTERRUPT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasmguard.limits import Limits

FUEL = 150_000
"""Units. A small event takes C 6 k and Rust 16 k, so there is room for large ones; Go takes 0.64 M and is never asked
at once. At 0.07-25 ns a unit that is 0.1 ms as a rule and 4 at the worst."""

BUMPS = 1
"""Bumps of the epoch, which comes every 10 ms: the next one ends it. A guest of 30 us meets one in 300 times, and is
asked again; two would be 10 ms at the least."""

BYTES = 64 * KIB
"""Of a request, and of an answer: to copy and to decode more takes the host itself milliseconds."""

MEMORY = 16 * MIB
"""Bytes of a memory: `memory.fill` of so much takes 9-17 ms, of 256 MiB 160-480. So this is the longest that a loop may
be held up, and by rule 4 only once in `PAUSE`."""

SLOW = 0.004  # seconds: as long as all of the fuel may take
TIMES = 3  # in a row
PAUSE = 5.0  # seconds
WAIT = 0.010
"""Seconds for the reply of a cell in another process, which takes 0.1-0.3 ms; on a busy machine it has to wait for its
turn, and a loop should not wait with it."""

BUSY = 1.0
"""Seconds that no cell is asked at once after a reply did not come: the cell was killed, and a new one takes 0.1 s of a
processor. With as much to do as there are processors one reply in 1,200 does not come."""


def small(limits: Limits) -> tuple[int, int]:
    """The fuel, and the bumps of the epoch, that a guest under *limits* gets at once."""
    return min(limits.fuel, FUEL), BUMPS


def used_up(fuel: int | None, limits: Limits) -> bool:
    """Whether a guest under *limits* that got little burned all of it, or more, though it may burn more than that."""
    return fuel is not None and fuel >= FUEL and limits.fuel > FUEL


class Pace:
    """Whether it is worth asking a guest at once, now."""

    def __init__(self, limits: Limits, *, quick: bool, warm: bool) -> None:
        """*quick*: its kind of guest starts soon enough; *warm*: it needs no first answer before."""
        self.warm = warm
        """Whether it has answered before."""
        self._quick, self._until, self._slow = quick and limits.memory <= MEMORY, 0.0, 0

    def begin(self, request: bytes) -> float:
        """When it begins, for `took`.

        Raises:
            NotAtOnce: if *request* is to be asked about in a thread.
        """
        now = monotonic()
        if not self._quick or not self.warm or len(request) > BYTES or now < self._until:
            raise NotAtOnce
        return now

    def took(self, begun: float) -> None:
        """Say that it is over, answered or not."""
        self._slow = self._slow + 1 if monotonic() - begun > SLOW else 0
        if self._slow >= TIMES:
            self.pause()

    def stopped(self, trap: int) -> NotAtOnce:
        """Say by which *trap* it was stopped. The clock may have stopped it at its first step: that says nothing."""
        if trap != INTERRUPT:
            self.pause()
        return NotAtOnce()

    def pause(self) -> None:
        """Do not ask at once for a while."""
        self._until = monotonic() + PAUSE
