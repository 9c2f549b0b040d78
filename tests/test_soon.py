"""Deciding on an event loop: what is small comes at once, nothing holds the loop up, and nobody is forgotten."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from wasmguard import soon
from wasmguard.decision import Effect, Verdict, refused, settle
from wasmguard.errors import EventError
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

    def unjudged(self, event, why):
        return refused(why).replaced(output="withheld" if event == {"secret": True} else None)

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


class NoThreads:
    """What a program has that may start no thread."""

    def submit(self, *_given):
        raise RuntimeError("can't start new thread")

    def shutdown(self, **_how):
        pass


def test_where_no_thread_can_be_started_the_output_is_withheld_and_the_cause_is_told():
    async def decide():
        made = Soon(Guard(at_once=None))
        made._threads = NoThreads()
        said = await made.decided({"secret": True})
        made.close()
        return said, await made.decided({"secret": True})

    threadless, closed = run(decide())
    assert threadless.effect is closed.effect is Effect.DENY
    assert threadless.output == closed.output == "withheld"
    assert "can't start new thread" in threadless.reason
    assert "closed" not in threadless.reason
    assert "the guard is closed" in closed.reason


def test_one_processor_is_left_to_the_loop():
    assert max(2, soon.PROCESSORS - 1) == soon.THREADS


LARGE = {"hook_event_name": "PreToolUse", "tool_name": "X", "tool_input": {"x": ["y"] * 50_000}}


def test_a_large_event_is_read_while_the_loop_goes_on(monkeypatch):
    begun, release, read = threading.Event(), threading.Event(), soon.claude.from_mapping

    def slow(payload, *, time=0):
        begun.set()
        assert release.wait(20)
        return read(payload, time=time)

    monkeypatch.setattr(soon.claude, "from_mapping", slow)

    async def ask():
        reading = asyncio.ensure_future(Soon(Guard()).read(LARGE))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        assert not reading.done()
        release.set()
        return await reading

    event = run(ask())
    assert event.tool == "X"
    assert event.input == LARGE["tool_input"]


def test_hostile_guests_do_not_hold_up_the_reading():
    guard = Guard(at_once=None)

    async def ask():
        made = Soon(guard)
        deciding = [asyncio.ensure_future(made.decided({})) for _ in range(2 * soon.THREADS)]
        await asyncio.sleep(0.01)
        event = await made.read(LARGE)
        guard.release.set()
        await asyncio.gather(*deciding)
        return event

    assert run(ask()).tool == "X"


class Recursing(dict):
    def items(self):
        raise RecursionError


@pytest.mark.parametrize("payload", [None, [], {}, {"x": object()}, Recursing()], ids=repr)
def test_what_cannot_be_read_is_an_event_error(payload):
    with pytest.raises(EventError):
        run(Soon(Guard()).read(payload))


def test_no_thread_to_read_is_an_event_error_that_tells_why(monkeypatch):
    async def ask(made, why):
        with pytest.raises(EventError, match=why):
            await made.read(LARGE)

    made = Soon(Guard())
    made._readers = NoThreads()
    run(ask(made, "can't start new thread"))
    made.close()
    run(ask(made, "the guard is closed"))

    monkeypatch.setattr(soon, "READING", 0.01)
    monkeypatch.setattr(soon, "_read", lambda _payload: time.sleep(0.2))
    run(ask(Soon(Guard()), "not read within 0.01 s"))
