"""Deciding on an event loop: what is small comes at once, nothing holds the loop up, and nobody is forgotten."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from wasmguard import soon
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.soon import AT_ONCE, Soon

PASSED = settle([Verdict(policy="p")])
DENIED = settle([Verdict(policy="p", effect=Effect.DENY)])


class Guard:
    """Decides at once in *seconds* of the loop's time, or in a thread, which waits for *release*."""

    def __init__(self, *, seconds=0.0, at_once=PASSED):
        self.seconds, self.at_once, self.threads = seconds, at_once, set()
        self.release = threading.Event()
        self.order = []

    def decide_at_once(self, event):
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            pass
        self.order.append(event)
        return self.at_once

    def decide(self, _event, _environ=None):
        self.threads.add(threading.current_thread().name)
        assert self.release.wait(20)
        return DENIED


def run(work):
    return asyncio.run(asyncio.wait_for(work, 30))


def test_what_can_be_decided_at_once_starts_no_thread():
    guard = Guard()

    async def decide():
        return await Soon(guard).decided({})

    assert run(decide()) is PASSED
    assert guard.threads == set()


def test_anything_else_is_decided_in_a_thread_while_the_loop_goes_on():
    guard = Guard(at_once=None)

    async def decide():
        deciding = asyncio.ensure_future(Soon(guard).decided({}))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not deciding.done()
        guard.release.set()
        return await deciding

    assert run(decide()) is DENIED
    assert all(name.startswith("wasmguard") for name in guard.threads)


def test_a_thousand_decisions_come_in_small_portions_and_in_order():
    guard = Guard(seconds=0.0005)
    turns = []

    async def ticks():
        while len(guard.order) < 1000:
            before = len(guard.order)
            await asyncio.sleep(0)
            turns.append(len(guard.order) - before)

    async def decide():
        made = Soon(guard)
        everybody = [made.decided(number) for number in range(1000)]
        return await asyncio.gather(ticks(), *everybody)

    assert run(decide())[1:] == [PASSED] * 1000
    assert guard.order == sorted(guard.order)
    assert max(turns) <= 2 * AT_ONCE


def test_who_is_cancelled_while_he_waits_holds_nobody_up():
    guard = Guard(seconds=2 * soon.BREATH)

    async def decide():
        made = Soon(guard)
        tasks = [asyncio.ensure_future(made.decided(number)) for number in range(200)]
        await asyncio.sleep(0)
        for task in tasks[1::2]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    said = run(decide())
    assert all(one is PASSED for one in said[::2])


def test_who_is_cancelled_while_a_thread_decides_is_gone_at_once():
    guard = Guard(at_once=None)

    async def decide():
        deciding = asyncio.ensure_future(Soon(guard).decided({}))
        await asyncio.sleep(0.05)
        deciding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deciding
        guard.release.set()

    run(decide())


def test_after_the_end_every_decision_that_needs_a_thread_is_a_deny():
    async def decide():
        made = Soon(Guard(at_once=None))
        made.close()
        return await made.decided({})

    decision = run(decide())
    assert decision.effect is Effect.DENY
    assert "the guard is closed" in decision.reason


def test_one_guard_serves_many_loops_and_keeps_none_alive():
    made, loops = Soon(Guard()), []

    async def decide():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        return await made.decided({})

    for _ in range(3):
        assert run(decide()) is PASSED
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3
