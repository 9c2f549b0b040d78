"""Deciding on an event loop, which must go on: small decisions at once, others in a thread.

1. A decision that takes no longer than a hop to a thread and back is made at once. What takes longer is known only when
   it is tried, so it is tried within small bounds (`errors.NotAtOnce`), and then made again in a thread: a verdict is a
   pure function.
2. In one round of the loop at most `BREATH` seconds go into decisions at once, then the others wait for the next round,
   in the order in which they came, `AT_ONCE` of them at a time. So a thousand at the same time do not hold up a timer.
3. The threads are ours: whoever fills the loop's own executor keeps nobody from being judged. They are one less than
   there are processors, which leaves one for the loop; a deciding thread that has none would only take it from it. One
   more reads large events, so that no guest holds up the reading: an event that cannot be read withholds what it has.
4. Who is cancelled while a thread decides for him is gone at once; the thread comes to its end, and nobody hears it.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import Future
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, time_ns
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from wasmguard.agents import claude
from wasmguard.errors import EventError
from wasmguard.text import one_line

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
        def unjudged(self, event: Event | Mapping[str, Any], why: str) -> Decision: ...


BREATH = 0.005  # seconds; people see what takes 100, and timers of 10 ms should not be late by more than a half
AT_ONCE = 8  # decisions of 0.1 to 0.6 ms
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = max(2, PROCESSORS - 1)  # with a single one, the slowest guest of all would hold up everybody
READING = 4.0
"""Seconds until a large event counts as unreadable: 5 MB take 0.1. With the 25 s of a decision it is less than the 30
after which the client gives up."""


class Soon:
    """Decides for *guard* on whatever loop it is asked."""

    def __init__(self, guard: Decides) -> None:
        self._guard = guard
        self._rounds: WeakKeyDictionary[AbstractEventLoop, _Rounds] = WeakKeyDictionary()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="wasmguard")
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="wasmguard-read")
        self._closed = False

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
        except RuntimeError as error:  # `decide` raises nothing
            return self._guard.unjudged(event, self._threadless(error))

    async def read(self, payload: Mapping[str, Any]) -> Event:
        """The event in *payload*, which is large.

        Raises:
            EventError: if there is none, or no thread to read it, or none in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(READING):
                return await loop.run_in_executor(self._readers, _read, payload)
        except TimeoutError:
            raise EventError(f"the event was not read within {READING:g} s: send smaller ones, or fewer") from None
        except RuntimeError as error:
            raise EventError(self._threadless(error)) from None

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
        self._closed = True
        self._threads.shutdown(wait=False)
        self._readers.shutdown(wait=False)

    def _threadless(self, error: RuntimeError) -> str:
        """Why there is no thread."""
        if self._closed:
            return "the guard is closed: load another"
        return f"no thread to decide in: {one_line(str(error), 100)}: let this program have more threads"


def _read(payload: Mapping[str, Any]) -> Event:
    try:
        return claude.from_mapping(payload, time=time_ns() // 1_000_000)
    except RuntimeError as error:  # of a mapping of the caller's own kind, or one that changes meanwhile
        raise EventError(f"the event cannot be read: {type(error).__name__}: pass a dict") from error


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
