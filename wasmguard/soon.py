"""Deciding on an event loop, which must go on: small decisions at once, others in a thread.

1. A decision that takes no longer than a hop to a thread and back is made at once. What takes longer is known only when
   it is tried, so it is tried within small bounds (`errors.NotAtOnce`), and then made again in a thread: a verdict is a
   pure function.
2. In one round of the loop at most `BREATH` seconds go into decisions at once, then the others wait for the next round,
   in the order in which they came, `AT_ONCE` of them at a time. So a thousand at the same time do not hold up a timer.
3. The threads are ours: whoever fills the loop's own executor keeps nobody from being judged.
4. Who is cancelled while a thread decides for him is gone at once; the thread comes to its end, and nobody hears it.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from wasmguard.decision import refused

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Mapping
    from typing import Any, Protocol

    from wasmguard.decision import Decision
    from wasmguard.event import Event

    class Decides(Protocol):
        """A guard, or several."""

        def decide(self, event: Event | Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Decision: ...
        def decide_at_once(self, event: Event | Mapping[str, Any]) -> Decision | None: ...


BREATH = 0.005  # seconds; people see what takes 100, and timers of 10 ms should not be late by more than a half
AT_ONCE = 16  # decisions of 0.1 to 0.3 ms
THREADS = 16  # a cell for each core answers them


class Soon:
    """Decides for *guard* on whatever loop it is asked."""

    def __init__(self, guard: Decides) -> None:
        self._guard = guard
        self._rounds: WeakKeyDictionary[AbstractEventLoop, _Rounds] = WeakKeyDictionary()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="wasmguard")

    async def decided(self, event: Event | Mapping[str, Any]) -> Decision:
        """What may happen next. Raises nothing but `CancelledError`."""
        loop = asyncio.get_running_loop()
        await self.breathe()
        begun = perf_counter()
        decision = self._guard.decide_at_once(event)
        self._rounds[loop].spend(perf_counter() - begun)
        if decision is not None:
            return decision
        try:
            return await loop.run_in_executor(self._threads, self._guard.decide, event)
        except RuntimeError:  # the threads were ended
            return refused("the guard is closed: load another")

    async def breathe(self) -> None:
        """Wait for a round of the loop in which there is time left (rule 2)."""
        loop = asyncio.get_running_loop()
        rounds = self._rounds.get(loop)
        if rounds is None:
            rounds = self._rounds[loop] = _Rounds(loop)
        if turn := rounds.turn():
            await turn

    def close(self) -> None:
        """End the threads, as soon as they have decided."""
        self._threads.shutdown(wait=False)


class _Rounds:
    """What was spent in this round of a loop, and who waits for another one."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = ref(loop)  # which has us as long as it lives
        self._spent, self._waiting, self._ends = 0.0, deque[Future[None]](), False

    def turn(self) -> Future[None] | None:
        """What to wait for; None if there is time left now."""
        loop = self._loop()
        if loop is None or (self._spent <= BREATH and not self._waiting):
            return None
        turn = loop.create_future()
        self._waiting.append(turn)
        self.spend(0.0)
        return turn

    def spend(self, seconds: float) -> None:
        """So much of this round was spent."""
        self._spent += seconds
        if not self._ends and (loop := self._loop()) is not None:
            self._ends = True
            loop.call_soon(self._next)  # in the next round

    def _next(self) -> None:
        self._spent, self._ends = 0.0, False
        called = 0
        while self._waiting and called < AT_ONCE:
            turn = self._waiting.popleft()
            if not turn.done():  # who waited may have been cancelled
                turn.set_result(None)
                called += 1
        if self._waiting:
            self.spend(0.0)
