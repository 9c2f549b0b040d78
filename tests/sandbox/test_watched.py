"""A watched guest is the same guest: it answers the same, and what was seen of it adds up."""

from itertools import count

import pytest

from tests.sandbox.cells import PASS, natively
from tests.sandbox.test_opa import INPUT
from tests.sandbox.test_opa import code as code_of_opa
from wasmguard.errors import GuestFault
from wasmguard.limits import DEFAULT, KIB, MIB, ROOMY
from wasmguard.sandbox import watched
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.isolation import THREAD
from wasmguard.sandbox.spec import Spec
from wasmguard.sandbox.watched import KINDS
from wasmguard.sandbox.watching import WatchedCells

SETUPS = {"core": Setup(), "component": Setup(kind="component", reservation=16 * MIB)}
PATIENT = DEFAULT.replaced(clock=2_000, fuel=100_000)  # the clock is not exact
WITH_INITIALIZE = """(module (memory (export "memory") 1) (data (i32.const 16) "\\81\\a6effect\\a4pass")
  (func (export "_initialize")) (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const 0x10_0000000d)))"""
CORE = ["pass", "unreachable", "grow_then_answer", "alloc_zero", "loop_initialize", "loop_start", "loop_evaluate"]
CORE += ["wasi_write", "recursion"]
OPA = ["opa_pass", "opa_aborts", "opa_loops"]
COMPONENTS = ["component_pass", "component_trap", "component_counter", "component_error"]
BOTH = pytest.mark.parametrize("portable", [False, True], ids=["direct", "portable"])


@pytest.fixture
def prepared(assembled):
    """What a cell is told about the guest of that name, and its code."""

    def prepare(name):
        if name.startswith("opa_"):
            native, imports = code_of_opa(assembled(name))
            return Spec(kind="core", limits=PATIENT, answer=PATIENT.answer, opa=imports), native
        if name.startswith("component_"):
            return natively(assembled(name), ROOMY.replaced(memory=16 * MIB, stack=Setup().stack))
        return natively(assembled(name), PATIENT)

    return prepare


@pytest.fixture
def watching(prepared, monkeypatch):
    """Watched cells, and their guest of that name."""

    def load(name, *, portable=False):
        monkeypatch.setenv("WASMGUARD_PORTABLE", "1" if portable else "0")
        spec, code = prepared(name) if isinstance(name, str) else natively(name, PATIENT)
        setups = {kind: setup.as_dict() for kind, setup in SETUPS.items()}
        cells = WatchedCells(find(), setups, slots=2, event=MIB, isolation=THREAD)
        return cells, cells.guest("it", spec, lambda: code)

    return load


@pytest.fixture
def ticking(monkeypatch):
    """A clock that says 1, 2, 3, …: every look at it takes a nanosecond, and nothing else does."""
    ticks = count(1)
    monkeypatch.setattr(watched, "perf_counter_ns", lambda: next(ticks))


def outcome(guest, request):
    try:
        return guest.evaluate(request)
    except GuestFault as fault:
        return type(fault), str(fault), fault.fuel


@BOTH
@pytest.mark.parametrize("name", CORE + OPA + COMPONENTS)
def test_it_answers_and_fails_as_an_unwatched_one_and_says_its_fuel(watching, prepared, name, portable):
    plain = Cell(find(), SETUPS, 2, portable=portable).load(*prepared(name))
    cells, guest = watching(name, portable=portable)
    assert type(guest) is KINDS[type(plain)]
    request = INPUT if name in OPA else b"\x84" + b"\0" * 400
    for _ in range(3):
        said = outcome(plain, request)
        assert outcome(guest, request) == said
        assert (cells.seen[-1].fuel, cells.seen[-1].request) == (said[-1], request)
    assert len(cells.seen) == 3


def test_a_core_module_is_evaluated_from_alloc_until_its_answer_is_copied(ticking, watching):
    cells, guest = watching("pass")
    guest.evaluate(b"x")
    # begun 1, alloc 2, evaluate 3, answered 4, memory looked at until 5 (which is nobody's time), over 6
    assert [(seen.instantiate, seen.evaluate, seen.nanoseconds) for seen in cells.seen] == [(2, 2, 4)]


def test_initialize_belongs_to_the_instance(ticking, watching):
    import wasmtime

    cells, guest = watching(bytes(wasmtime.wat2wasm(WITH_INITIALIZE)))
    for _ in range(2):
        guest.evaluate(b"x")
    # begun 1, `_initialize` 2, alloc 3, evaluate 4, answered 5, looked 6, over 7
    assert [(seen.instantiate, seen.evaluate) for seen in cells.seen] == [(3, 2)] * 2


@pytest.mark.parametrize(("name", "portable"), [("pass", True), ("component_pass", False)])
def test_the_parts_through_the_public_api_add_up_too(ticking, watching, name, portable):
    cells, guest = watching(name, portable=portable)
    guest.evaluate(b"x")
    # begun 1, alloc or the call 2, answered 3, looked 4, over 5
    assert [(seen.instantiate, seen.evaluate) for seen in cells.seen] == [(2, 1)]


@BOTH
@pytest.mark.parametrize("name", ["loop_start", "loop_initialize", "wasi_start"])
def test_what_never_came_to_alloc_was_not_evaluated(watching, name, portable):
    cells, guest = watching(name, portable=portable)
    outcome(guest, b"x")
    assert (cells.seen[0].evaluate, cells.seen[0].instantiate > 0) == (0, True)


@BOTH
def test_memory_is_what_it_has_grown_to(watching, portable):
    for name, pages in (("pass", 1), ("grow_then_answer", 2), ("unreachable", 1), ("loop_start", None)):
        cells, guest = watching(name, portable=portable)
        outcome(guest, b"x")
        assert cells.seen[0].memory == (None if pages is None else pages * 64 * KIB), name


@BOTH
def test_memory_of_a_store_that_is_gone_is_never_looked_at(watching, portable):
    """`loop_start` leaves no instance behind, and the handle of an earlier one would abort the process."""
    cells, guest = watching("loop_start", portable=portable)
    for _ in range(3):
        outcome(guest, b"x")
    assert [seen.memory for seen in cells.seen] == [None] * 3


@BOTH
def test_the_memory_of_a_module_of_opa_is_seen(watching, portable):
    cells, guest = watching("opa_pass", portable=portable)
    guest.evaluate(INPUT)
    assert cells.seen[0].memory % (64 * KIB) == 0 < cells.seen[0].memory


def test_the_memory_that_a_component_needs_is_found_by_trying(watching):
    cells, guest = watching("component_counter")
    assert guest.evaluate(b"x")[0] == PASS
    assert (cells.seen[0].memory, guest.least_memory(b"x")) == (None, 128 * KIB)
    assert len(cells.seen) == 1, "nobody is told of a try"
    assert guest.evaluate(b"x")[0] == PASS


def test_a_try_that_answers_something_else_had_too_little_memory(watching, monkeypatch):
    """An interpreter that runs out of memory may still say so, in an answer."""
    _, guest = watching("component_pass")
    enough = 37 * watched.PAGE
    monkeypatch.setattr(guest, "_answer_of", lambda _: b"it" if guest._limits.memory >= enough else b"no memory left")
    assert guest.least_memory(b"x") == enough
    assert guest._limits.memory == 16 * MIB


def test_what_does_not_answer_needs_no_memory_that_could_be_found(watching):
    _, trapping = watching("component_trap")
    _, core = watching("pass")
    assert (trapping.least_memory(b"x"), core.least_memory(b"x")) == (None, None)


def test_nobody_else_on_the_same_engine_is_watched(watching, prepared):
    _, guest = watching("pass")
    plain = Cell(find(), SETUPS, 2, portable=False).load(*prepared("pass"))
    assert plain._engine is guest._engine
    assert plain._library is plain._engine.functions
    assert type(plain._library) is type(guest._library).__base__
