"""One evaluation against every hostile guest: each ends as its one fault, and the next event is answered rightly."""

import threading

import pytest
import wasmtime

from wasmguard.errors import (
    CacheError,
    GuestFault,
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
from wasmguard.sandbox.inert import Inert
from wasmguard.sandbox.scan import scan
from wasmguard.sandbox.wasi import compiled_inert

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
    "wasi_exit": Trapped,
    "wasi_start": Trapped,
    "wasi_out_of_bounds": Trapped,
    "wasi_wrong_address": Trapped,
    "wasi_lying_iovec": Trapped,
    "wasi_flood": OutOfFuel,
}
UNSEALED = ["wasi_clock", "wasi_environ", "wasi_files", "wasi_initialize", "wasi_random", "wasi_sleep", "wasi_write"]


@pytest.fixture(scope="module")
def engine():
    return Engine(Library(find()), Setup(), 4)


@pytest.fixture(scope="module")
def around(engine):
    return compiled_inert(engine.setup, DEFAULT)


@pytest.fixture(scope="module")
def guest(engine, assembled, around):
    def load(name, limits=PATIENT):
        shim, fixup = around
        code, names = compiled(assembled(name), engine.setup, limits), scan(assembled(name)).wasi
        inert = Inert(shim=shim, fixup=fixup, imports=names) if names else None
        return CoreGuest(engine, code, limits, limits.answer, inert)

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


@pytest.mark.parametrize("name", UNSEALED)
def test_a_guest_that_imports_wasi_meets_nothing_but_itself(guest, control, name, capfd):
    """Each traps where WASI gives it anything, lets it sleep, or says something else the second time."""
    unsealed = guest(name)
    first = unsealed.evaluate(REQUEST)
    assert first[0] == PASS
    assert {unsealed.evaluate(REQUEST) for _ in range(20)} == {first}  # in every slot of the pool
    assert control.evaluate(REQUEST)[0] == PASS
    assert capfd.readouterr() == ("", "")


def test_a_start_section_that_calls_wasi_meets_an_empty_table(guest):
    with pytest.raises(Trapped, match="trapped in start: call of an empty table entry"):
        guest("wasi_start").evaluate(REQUEST)


def test_wasi_runs_on_the_guests_own_fuel(guest):
    with pytest.raises(OutOfFuel) as caught:
        guest("wasi_flood", PATIENT.replaced(fuel=100_000)).evaluate(REQUEST)
    assert caught.value.fuel == 100_000


def test_what_stands_around_a_policy_takes_none_of_its_room(guest):
    """One instance, one memory, no table left: the two modules around it have their own."""
    narrow = PATIENT.replaced(instances=1, memories=1, tables=0)
    assert guest("wasi_write", narrow).evaluate(REQUEST)[0] == PASS
    with pytest.raises(OutOfMemory, match="cannot start within its limits"):
        guest("wasi_write", narrow.replaced(instances=0)).evaluate(REQUEST)


def test_all_slots_of_the_pool_take_a_policy_that_imports_wasi_and_four_tables(engine):
    """Three instances and five tables in each: counted in the configuration of the pool, so tried out at once."""
    text = '(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (memory (export "memory") 1)'
    text += '(table 1 funcref)(table 1 funcref)(table 1 funcref)(table 1 funcref)(func (export "wasmguard_abi_1"))'
    text += '(func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 64))'
    text += '(func (export "wasmguard_evaluate") (param i32 i32) (result i64) (loop (br 0)) (i64.const 0)))'
    module = bytes(wasmtime.wat2wasm(text))
    shim, fixup = compiled_inert(engine.setup, DEFAULT)
    inert, ended = Inert(shim=shim, fixup=fixup, imports=("sched_yield",)), []
    patient = PATIENT.replaced(fuel=10**15, clock=500)
    busy = CoreGuest(engine, compiled(module, engine.setup, DEFAULT), patient, 100, inert)

    def ask():
        try:
            busy.evaluate(REQUEST)
        except GuestFault as fault:
            ended.append(type(fault))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [OutOfTime] * 4


@pytest.mark.parametrize("wrong", [("fd_write",), ("sched_yield", "fd_write"), ("no_such_function", "fd_write")])
def test_imports_that_are_not_the_policys_never_come_to_a_call(engine, assembled, around, wrong):
    shim, fixup = around
    code = compiled(assembled("wasi_write"), engine.setup, DEFAULT)
    with pytest.raises((CacheError, OutOfMemory)):
        CoreGuest(engine, code, DEFAULT, 100, Inert(shim=shim, fixup=fixup, imports=wrong)).evaluate(REQUEST)


def test_a_module_that_imports_wasi_is_not_loaded_without(engine, assembled):
    with pytest.raises(CacheError, match="imports something"):
        CoreGuest(engine, compiled(assembled("wasi_write"), engine.setup, DEFAULT), DEFAULT, 100)


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
