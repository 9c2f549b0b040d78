"""What may be asked for at once, and that it is what would have been said anyway."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
import wasmtime

from tests.sandbox.cells import PASS, PATIENT, REQUEST, natively
from wasmguard.errors import GuestFault, ModuleRefused, NotAtOnce, OutOfFuel
from wasmguard.limits import DEFAULT, KIB, MIB, ROOMY
from wasmguard.sandbox import at_once, failure
from wasmguard.sandbox.at_once import BYTES, FUEL, MEMORY, Pace, small, used_up
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.failure import NOT_AT_ONCE, Failed
from wasmguard.sandbox.traps import INTERRUPT, OUT_OF_FUEL

ROOT = Path(__file__).parents[2]
GUESTS = sorted(path.stem for path in (ROOT / "tests" / "guests").glob("*.wat"))
BUILT = sorted(path.parent.name for path in (ROOT / "build").glob("*/policy.wasm"))
REQUESTS = [b"", REQUEST, b"\x81" * 5000, b"\x84" + b"x" * 40_000]
COUNTS = """
(module (memory (export "memory") 2)
  (data (i32.const 16) "\\81\\a6effect\\a4pass")
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 64))
  (func (export "wasmguard_evaluate") (param i32 i32) (result i64)
    (local $left i32)
    (local.set $left (i32.load (local.get 0)))
    (loop $next
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (i32.gt_s (local.get $left) (i32.const 0))))
    (if (i32.load offset=4 (local.get 0)) (then (unreachable)))
    (i64.const 0x10_0000000d)))
"""
"""Goes round as often as the request says, then answers, or traps if the request says so."""


@pytest.fixture(scope="module", params=[False, True], ids=["direct", "portable"])
def load(request):
    """Loads guests of both implementations."""
    cell = Cell(find(), {kind: Setup(kind=kind) for kind in ("core", "component")}, 4, portable=request.param)

    def of(module, limits=DEFAULT):
        return cell.load(*natively(module, limits))

    return of


@pytest.fixture
def warm(load):
    """A guest that has answered once."""

    def of(module, limits=DEFAULT, request=REQUEST):
        guest = load(module, limits)
        guest.evaluate(request)
        return guest

    return of


def outcome(run, request):
    """The answer, or the failure, and the fuel."""
    try:
        return run(request)
    except Failed as failed:
        return failed.failure, failed.fuel


def is_not_at_once(said):
    return said[0] == (NOT_AT_ONCE, said[0][1], 0, "")


# --- the same, or nothing -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", GUESTS)
def test_every_guest_says_at_once_what_it_says_otherwise_or_nothing_yet(load, assembled, name):
    try:
        guest = load(assembled(name), PATIENT)
    except ModuleRefused:
        return
    for request in REQUESTS:
        whole, early = outcome(guest.run, request), outcome(guest.run_at_once, request)
        assert early == whole or is_not_at_once(early)
        if guest.quick and whole[1] is not None and whole[1] < FUEL:
            assert early == whole or early[0][1] == INTERRUPT
        else:
            assert is_not_at_once(early)


@pytest.mark.parametrize("name", BUILT)
def test_every_shipped_policy_says_at_once_what_it_says_otherwise_or_nothing_yet(load, name):
    guest = load((ROOT / "build" / name / "policy.wasm").read_bytes())
    for request in REQUESTS:
        early = outcome(guest.run_at_once, request)
        assert early == outcome(guest.run, request) or is_not_at_once(early)


def counting(rounds, *, trap=False):
    return rounds.to_bytes(4, "little") + int(trap).to_bytes(4, "little")


@pytest.mark.parametrize("trap", [False, True])
def test_fuel_is_exact_up_to_the_last_unit_and_never_cut_off(load, trap):
    """Behind the last loop or call the engine does not look at fuel: it may burn more than there was."""
    guest = load(bytes(wasmtime.wat2wasm(COUNTS)), PATIENT)
    said, each = {}, 8  # units that one round takes
    for rounds in range(FUEL // each - 10, FUEL // each + 10):
        whole = outcome(guest.run, counting(rounds, trap=trap))
        for _ in range(50):
            early = outcome(guest.run_at_once, counting(rounds, trap=trap))
            if early[0][:2] != (NOT_AT_ONCE, INTERRUPT):
                break
        assert early == whole or is_not_at_once(early)
        said[whole[1]] = early == whole
    assert min(said) < FUEL < max(said)
    assert all(same is (fuel < FUEL) for fuel, same in said.items()), said


@pytest.mark.parametrize("limit", [1_000, FUEL - 1, FUEL])
def test_a_guest_that_may_not_burn_more_runs_out_for_good(warm, limit):
    guest = warm(bytes(wasmtime.wat2wasm(COUNTS)), PATIENT.replaced(fuel=limit), counting(1))

    def ask():
        for _ in range(20):
            with suppress(NotAtOnce):  # the clock may be first
                guest.evaluate(counting(10**6), at_once=True)

    with pytest.raises(OutOfFuel, match=f"limit {limit:_}") as caught:
        ask()
    assert caught.value.fuel == limit


def test_what_needs_more_is_asked_again_with_everything(warm):
    guest = warm(bytes(wasmtime.wat2wasm(COUNTS)), PATIENT, counting(1))
    with pytest.raises(NotAtOnce):
        guest.evaluate(counting(10**6), at_once=True)
    answer, fuel = guest.evaluate(counting(10**6))
    assert (answer, fuel > 10**6) == (PASS, True)


def test_the_clock_ends_what_little_fuel_would_not(warm, monkeypatch):
    monkeypatch.setattr(at_once, "FUEL", 10**12)
    module, patient = bytes(wasmtime.wat2wasm(COUNTS)), DEFAULT.replaced(fuel=10**12, clock=2_000)
    guest = warm(module, patient, counting(1))
    begun = time.monotonic()
    with pytest.raises(NotAtOnce):
        guest.evaluate(counting(2**31 - 1), at_once=True)
    assert time.monotonic() - begun < 0.5  # it would go round for 2 s


@pytest.mark.parametrize(("size", "early"), [(BYTES, True), (BYTES + 1, False)])
def test_an_answer_that_is_long_is_looked_at_elsewhere(warm, size, early):
    text = COUNTS.replace("0x10_0000000d", str((16 << 32) + size))
    guest = warm(bytes(wasmtime.wat2wasm(text)), PATIENT.replaced(answer=2 * MIB), counting(1))
    assert len(guest.evaluate(counting(1))[0]) == size
    assert is_not_at_once(outcome(guest.run_at_once, counting(1))) is not early


def test_a_guest_that_never_answered_is_not_asked_at_once(load, assembled):
    guest = load(assembled("pass"))
    with pytest.raises(NotAtOnce):
        guest.evaluate(REQUEST, at_once=True)
    guest.evaluate(REQUEST)
    assert guest.evaluate(REQUEST, at_once=True)[0] == PASS


def test_a_fault_is_a_fault_at_once_too(warm, assembled):
    guest = warm(bytes(wasmtime.wat2wasm(COUNTS)), PATIENT, counting(1))
    with pytest.raises(GuestFault, match="unreachable") as caught:
        guest.evaluate(counting(1, trap=True), at_once=True)
    assert caught.value.fuel > 0


def test_a_component_is_never_asked_at_once(load, assembled):
    guest = load(assembled("component_pass"))
    guest.evaluate(REQUEST)
    with pytest.raises(NotAtOnce):
        guest.evaluate(REQUEST, at_once=True)
    with pytest.raises(Failed) as caught:
        guest.run_at_once(REQUEST)
    assert caught.value.failure[0] == NOT_AT_ONCE


def test_a_kind_of_failure_that_is_no_fault_would_be_one_all_the_same():
    """Nobody makes one of it; whoever did would deny."""
    assert isinstance(failure.fault((NOT_AT_ONCE, OUT_OF_FUEL, 0, ""), DEFAULT, 100), GuestFault)


# --- whom it is worth asking ----------------------------------------------------------------------------------------
def paced(**given):
    return Pace(DEFAULT, **{"quick": True, "warm": True, **given})


def test_little_is_the_fuel_or_what_the_guest_may_burn_at_all():
    assert small(DEFAULT) == (FUEL, at_once.BUMPS)
    assert small(DEFAULT.replaced(fuel=10))[0] == 10
    assert [used_up(fuel, DEFAULT) for fuel in (None, 0, FUEL - 1, FUEL, FUEL + 1)] == [False] * 3 + [True] * 2
    assert not used_up(FUEL, DEFAULT.replaced(fuel=FUEL))


@pytest.mark.parametrize("given", [{"warm": False}, {"quick": False}])
def test_slow_kinds_and_first_answers_are_not_for_a_loop(given):
    with pytest.raises(NotAtOnce):
        paced(**given).begin(REQUEST)


def test_a_large_memory_or_a_large_request_is_not_for_a_loop():
    paced().begin(bytes(BYTES))
    with pytest.raises(NotAtOnce):
        paced().begin(bytes(BYTES + 1))
    Pace(DEFAULT.replaced(memory=MEMORY), quick=True, warm=True).begin(REQUEST)
    for limits in (ROOMY, DEFAULT.replaced(memory=MEMORY + 64 * KIB)):
        with pytest.raises(NotAtOnce):
            Pace(limits, quick=True, warm=True).begin(REQUEST)


def test_who_needed_more_is_left_alone_for_a_while(monkeypatch):
    monkeypatch.setattr(at_once, "PAUSE", 0.2)
    pace = paced()
    assert isinstance(pace.stopped(OUT_OF_FUEL), NotAtOnce)
    with pytest.raises(NotAtOnce):
        pace.begin(REQUEST)
    time.sleep(0.25)
    pace.begin(REQUEST)


def test_that_the_clock_stopped_it_says_nothing_about_a_guest():
    pace = paced()
    pace.stopped(INTERRUPT)
    pace.begin(REQUEST)


def test_slow_once_may_be_the_machine_and_slow_each_time_is_the_guest():
    pace, long_ago = paced(), time.monotonic() - 1
    for _ in range(5):
        pace.took(long_ago)
        pace.took(long_ago)
        pace.took(pace.begin(REQUEST))
    for _ in range(at_once.TIMES):
        pace.took(long_ago)
    with pytest.raises(NotAtOnce):
        pace.begin(REQUEST)
