"""One evaluation against every hostile guest: each ends as its one fault, and the next event is answered rightly."""

import threading

import pytest

from wasmguard.errors import (
    CacheError,
    InvalidAnswer,
    OutOfFuel,
    OutOfMemory,
    OutOfTime,
    StackOverflow,
    Trapped,
)
from wasmguard.limits import DEFAULT
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup

PATIENT = DEFAULT.replaced(clock=2_000)  # so that fuel fires first on a busy machine too
PASS = b"\x81\xa6effect\xa4pass"
REQUEST = b"\x84" + b"\0" * 400
ENDS = {
    "loop_evaluate": OutOfFuel,
    "loop_alloc": OutOfFuel,
    "loop_initialize": OutOfFuel,
    "loop_start": OutOfFuel,
    "recursion": StackOverflow,
    "unreachable": Trapped,
    "divide_by_zero": Trapped,
    "out_of_bounds": Trapped,
    "indirect_null": Trapped,
    "grow_forever": OutOfFuel,
    "fill_flood": OutOfFuel,
    "table_flood": OutOfFuel,
    "memory_too_big": OutOfMemory,
    "answer_null": InvalidAnswer,
    "answer_minus_one": InvalidAnswer,
    "answer_past_end": InvalidAnswer,
    "answer_wraps": InvalidAnswer,
    "answer_too_long": InvalidAnswer,
    "alloc_zero": InvalidAnswer,
    "alloc_outside": InvalidAnswer,
    "alloc_negative": InvalidAnswer,
}


@pytest.fixture(scope="module")
def engine():
    return Engine(Library(find()), Setup(), 4)


@pytest.fixture(scope="module")
def guest(engine, assembled):
    def load(name, limits=PATIENT):
        return CoreGuest(engine, compiled(assembled(name), engine.setup, limits), limits, limits.answer)

    return load


@pytest.fixture(scope="module")
def control(guest):
    return guest("pass")


def test_a_guest_is_answered(control):
    answer, fuel = control.evaluate(REQUEST)
    assert (answer, fuel > 0) == (PASS, True)


def test_a_guest_reads_what_it_was_sent(guest):
    assert b"saw request" in guest("echo_input").evaluate(REQUEST)[0]


def test_memory_that_grows_while_it_answers_is_followed(guest):
    assert guest("grow_then_answer").evaluate(REQUEST)[0]


@pytest.mark.parametrize("name", [name for name in ENDS if name != "memory_too_big"])
def test_every_hostile_guest_ends_as_its_fault_and_the_next_event_is_answered(guest, control, name):
    with pytest.raises(ENDS[name]) as caught:
        guest(name).evaluate(REQUEST)
    assert 0 <= caught.value.fuel <= DEFAULT.fuel
    assert "\n" not in str(caught.value)
    assert control.evaluate(REQUEST)[0] == PASS


def test_out_of_fuel_is_exact_and_names_the_limit(guest):
    with pytest.raises(OutOfFuel, match=r"limit 20_000_000\): raise `limits.fuel`") as caught:
        guest("loop_evaluate").evaluate(REQUEST)
    assert caught.value.fuel == DEFAULT.fuel


def test_the_clock_ends_what_fuel_would_not_and_reports_no_fuel(guest):
    patient = DEFAULT.replaced(fuel=10**15, clock=50)
    with pytest.raises(OutOfTime, match="limit 50 ms") as caught:
        guest("loop_evaluate", patient).evaluate(REQUEST)
    assert caught.value.fuel is None


def test_a_memory_over_the_limit_cannot_start(guest):
    tiny = DEFAULT.replaced(memory=32 * 1024)
    with pytest.raises(OutOfMemory, match="cannot start within its limits"):
        guest("pass", tiny).evaluate(REQUEST)


def test_the_answers_cap_is_the_callers(engine, assembled):
    code = compiled(assembled("pass"), engine.setup, DEFAULT)
    assert CoreGuest(engine, code, DEFAULT, len(PASS)).evaluate(REQUEST)[0] == PASS
    with pytest.raises(InvalidAnswer, match="limit 12"):
        CoreGuest(engine, code, DEFAULT, len(PASS) - 1).evaluate(REQUEST)


def test_nothing_survives_from_one_event_to_the_next(guest):
    counter = guest("counter")
    assert {counter.evaluate(REQUEST) for _ in range(50)} == {counter.evaluate(REQUEST)}


def test_no_slot_of_the_pool_keeps_anything_for_the_next_guest(engine, guest):
    """CVE-2022-39393 and CVE-2026-34988 were of this kind. The pool has 4 slots: every one is used many times."""
    assert engine.allocator == "pooling"
    writer, reader = guest("residue_writer"), guest("residue_reader")
    for _ in range(40):
        assert (writer.evaluate(REQUEST)[0], reader.evaluate(REQUEST)[0]) == (PASS, PASS)


def test_the_same_request_takes_the_same_fuel(control):
    assert len({control.evaluate(REQUEST)[1] for _ in range(200)}) == 1


def test_slots_are_given_back_after_faults(guest, control):
    trapping = guest("unreachable")
    for _ in range(200):  # the pool has 4
        with pytest.raises(Trapped):
            trapping.evaluate(REQUEST)
    assert control.evaluate(REQUEST)[0] == PASS


def test_threads_do_not_meet(control, guest):
    denying, wrong = guest("deny"), []

    def ask(which, expected):
        for _ in range(300):
            if which.evaluate(REQUEST)[0] != expected:
                wrong.append(which)

    deny = denying.evaluate(REQUEST)[0]
    threads = [threading.Thread(target=ask, args=pair) for pair in [(control, PASS), (denying, deny)] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_code_of_another_engine_is_refused(engine, assembled):
    other = compiled(assembled("pass"), Setup(reservation=32 * 2**20), DEFAULT)
    with pytest.raises(CacheError, match="another engine"):
        CoreGuest(engine, other, DEFAULT, 100)


def test_bytes_that_are_no_code_are_refused(engine):
    with pytest.raises(CacheError, match="another engine"):
        CoreGuest(engine, b"no code at all", DEFAULT, 100)
