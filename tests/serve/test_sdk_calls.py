"""What is remembered of calls that are on their way: found for exactly the same call, bounded, one at a time."""

import asyncio
import gc
import threading
import tracemalloc

import pytest

from tests.serve.sdk_fakes import ALLOW, ASK, DENY, INPUT, MOVED, PASS, event
from wasmguard.agents import claude
from wasmguard.serve.permission import Permission
from wasmguard.serve.sdk_calls import MOST_PERMISSIONS, Calls, calls_of


def about(tool_input=INPUT, **more):
    """The event of one call."""
    return claude.from_mapping(event(tool_input=tool_input, **more))


def test_what_was_judged_is_found_for_exactly_that_tool_and_input():
    calls = Calls()
    calls.judged("t1", about(), MOVED, ASK)
    assert calls.effect("t1", "Write", MOVED) is ASK
    assert calls.effect("t1", "Write", dict(reversed(MOVED.items()))) is ASK
    for call, tool, tool_input in [
        ("t2", "Write", MOVED),
        ("t1", "Edit", MOVED),
        ("t1", "Write", INPUT),
        ("t1", "Write", {**MOVED, "content": 1}),
        (None, "Write", MOVED),
        ("", "Write", MOVED),
        (["t1"], "Write", MOVED),
    ]:
        assert calls.effect(call, tool, tool_input) is None


@pytest.mark.parametrize("value", ["\ud800", 2**70, 1.0, [1], {"a": None}])
def test_types_count_and_nothing_that_json_says_is_lost(value):
    calls = Calls()
    calls.judged("t1", about({"a": value}), {"a": value}, PASS)
    assert calls.effect("t1", "Write", {"a": value}) is PASS
    for other in (1, True, [1.0], {"a": 0}, "?"):
        assert calls.effect("t1", "Write", {"a": other}) is None


def test_the_fields_of_the_event_are_kept_but_for_those_of_the_call():
    calls = Calls()
    calls.judged("t1", about(agent_id="a", tool_use_id="t1", permission_suggestions=[]), INPUT, PASS)
    kept = calls.fields("t1")
    assert kept["agent_id"] == "a"
    assert kept["session_id"] == "s"
    assert not kept.keys() & {"tool_name", "tool_input", "tool_use_id", "hook_event_name", "permission_suggestions"}
    assert calls.fields("t2") == {} == calls.fields(None)


def test_a_permission_is_found_for_exactly_that_tool_and_input():
    calls, permission = Calls(), Permission(effect=ALLOW)
    calls.permitted("t1", "Write", INPUT, permission)
    assert calls.permission("t1", "Write", INPUT) is permission
    assert calls.permission("t1", "Write", MOVED) is None
    assert calls.permission("t2", "Write", INPUT) is None
    calls.permitted(None, "Write", INPUT, permission)
    assert calls.permission(None, "Write", INPUT) is None


def test_a_call_that_is_over_is_forgotten():
    calls = Calls()
    calls.judged("t1", about(), INPUT, PASS)
    calls.permitted("t1", "Write", INPUT, Permission(effect=ALLOW))
    for call in (None, "", "t2", "t1"):
        calls.forget(call)
    assert calls.effect("t1", "Write", INPUT) is None
    assert calls.permission("t1", "Write", INPUT) is None


def test_a_call_is_known_by_its_id_alone():
    calls = Calls()
    calls.judged("t1", about(), INPUT, PASS)
    assert [calls.knows(call) for call in ("t1", "t2", None, "", ["t1"])] == [True] + [False] * 4


def test_no_input_is_kept():
    calls = Calls()
    tracemalloc.start()
    for number in range(50):
        given = {"content": f"{number}" + "x" * 200_000}
        calls.judged(f"t{number}", about(given), given, PASS)
        calls.permitted(f"t{number}", "Write", given, Permission(effect=DENY, message="no"))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000


def test_what_may_hold_a_rewritten_input_is_bounded_more_tightly():
    calls = Calls()
    for number in range(MOST_PERMISSIONS + 2):
        calls.permitted(f"t{number}", "Write", INPUT, Permission(effect=PASS))
    assert len(calls._permissions) == MOST_PERMISSIONS
    assert calls.permission("t1", "Write", INPUT) is None


def test_memory_is_bounded_and_the_oldest_goes_first():
    calls = Calls(3)
    for number in range(5):
        calls.judged(f"t{number}", about(), INPUT, PASS)
        calls.permitted(f"t{number}", "Write", INPUT, Permission(effect=PASS))
    known = [number for number in range(5) if calls.effect(f"t{number}", "Write", INPUT) is not None]
    permitted = [number for number in range(5) if calls.permission(f"t{number}", "Write", INPUT) is not None]
    assert known == permitted == [2, 3, 4]


def test_a_call_that_is_judged_again_is_the_youngest():
    calls = Calls(2)
    for call in ("a", "b", "a", "c"):
        calls.judged(call, about(), INPUT, PASS)
    assert calls.effect("a", "Write", INPUT) is PASS
    assert calls.effect("b", "Write", INPUT) is None


def test_one_at_a_time_for_each_call_and_nobody_waits_for_another_one():
    async def run():
        calls, order = Calls(), []

        async def turn(call, name, seconds):
            async with calls.turn(call):
                order.append(f"{name} in")
                await asyncio.sleep(seconds)
                order.append(f"{name} out")

        await asyncio.gather(turn("t", "a", 0.05), turn("t", "b", 0), turn("u", "c", 0), turn(None, "d", 0))
        assert order.index("a out") < order.index("b in")
        assert order.index("c out") < order.index("a out")
        assert order.index("d out") < order.index("a out")
        assert not calls._turns

    asyncio.run(run())


def test_who_is_cancelled_leaves_the_turn_to_the_next():
    async def run():
        calls, done = Calls(), []

        async def turn(name, seconds):
            async with calls.turn("t"):
                await asyncio.sleep(seconds)
                done.append(name)

        first, second, third = (asyncio.ensure_future(turn(name, 5 * (name == "a"))) for name in "abc")
        await asyncio.sleep(0.01)
        second.cancel()
        first.cancel()
        await asyncio.wait([first, second, third], timeout=2)
        assert done == ["c"]
        assert not calls._turns

    asyncio.run(run())


def test_many_threads_may_share_it():
    calls, failed = Calls(50), []

    def work(number):
        try:
            for count in range(500):
                call = f"{number}-{count}"
                calls.judged(call, about(), INPUT, PASS)
                assert calls.effect(call, "Write", INPUT) in (PASS, None)
                calls.forget(call)
        except Exception as error:  # noqa: BLE001  # it is shown below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert not calls._judged


def test_all_callbacks_of_a_guard_share_its_calls_and_no_other():
    class Guard:
        pass

    one, other = Guard(), Guard()
    assert calls_of(one) is calls_of(one)
    assert calls_of(one) is not calls_of(other)
    from wasmguard.serve import sdk_calls

    gc.collect()
    before = len(sdk_calls._of_guards)
    del one, other
    gc.collect()
    assert len(sdk_calls._of_guards) == before - 2


def test_a_guard_that_cannot_be_a_key_shares_nothing():
    class Unhashable:
        __hash__ = None

    guard = Unhashable()
    assert calls_of(guard) is not calls_of(guard)
