"""Deciding on an event loop, which must go on: small decisions at once, others in a thread.

1. A decision that takes no longer than a hop to a thread and back is made at once. What takes longer is known only when
   it is tried, so it is tried within small bounds (`errors.NotAtOnce`), and then made again in a thread: a verdict is a
   pure function.
2. In one round of the loop at most `BREATH` seconds go into decisions at once. Then the others wait for the next round,
   so that a thousand at the same time do not hold up a timer.
3. The threads are ours: whoever fills the loop's own executor keeps nobody from being judged.
4. Who is cancelled while a thread decides for him is gone at once; the thread comes to its end, and nobody hears it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

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
THREADS = 16  # a cell for each core answers them


class Soon:
    """Decides for *guard* on whatever loop it is asked."""

    def __init__(self, guard: Decides) -> None:
        self._guard = guard
        self._spent: WeakKeyDictionary[AbstractEventLoop, float] = WeakKeyDictionary()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="wasmguard")

    async def decided(self, event: Event | Mapping[str, Any]) -> Decision:
        """What may happen next. Raises nothing but `CancelledError`."""
        loop = asyncio.get_running_loop()
        while self._spent.get(loop, 0.0) > BREATH:
            await asyncio.sleep(0)
        if (decision := self._at_once(loop, event)) is not None:
            return decision
        try:
            return await loop.run_in_executor(self._threads, self._guard.decide, event)
        except RuntimeError:  # the threads were ended
            return refused("the guard is closed: load another")

    def close(self) -> None:
        """End the threads, as soon as they have decided."""
        self._threads.shutdown(wait=False)

    def _at_once(self, loop: AbstractEventLoop, event: Event | Mapping[str, Any]) -> Decision | None:
        begun = perf_counter()
        decision = self._guard.decide_at_once(event)
        if loop not in self._spent:
            self._spent[loop] = 0.0
            loop.call_soon(self._spent.pop, loop, None)  # in the next round
        self._spent[loop] += perf_counter() - begun
        return decision
