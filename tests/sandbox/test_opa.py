"""Modules of OPA: what stands around them is nothing but wasm, and what they do wrong is a fault, wherever they run."""

import json
from functools import cache
from pathlib import Path

import pytest
import wasmtime

from tests.sandbox.cells import processes
from wasmguard.errors import GuestFault, InvalidAnswer, ModuleRefused, NotAtOnce, OutOfFuel, StackOverflow, Trapped
from wasmguard.guest import abi
from wasmguard.limits import DEFAULT, MIB
from wasmguard.sandbox import compiler, opa
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.opa_guest import LONGEST
from wasmguard.sandbox.portable import configuration
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.sandbox.spec import Spec

HERE = Path(__file__).parents[1] / "guests"
GUESTS = sorted(path.stem for path in HERE.glob("opa_*.wat"))
REFUSED = ["opa_imports_more", "opa_imports_wasi", "opa_memory_too_big", "opa_mutable_version", "opa_wrong_type"]
RUN = [name for name in GUESTS if name not in REFUSED]
PATIENT = DEFAULT.replaced(clock=2_000)  # so that fuel fires first on a busy machine too
INPUT = b'{"event":{},"settings":{},"state":null}'
PASS = b'[{"result":{"effect":"pass"}}]'


@cache
def code(module, number=0):
    """A module's native code, and that of both modules around it."""
    shape = scan(module)
    check_abi(shape, declared=abi.OPA)
    numbers = {"minimum": shape.memory.minimum, "maximum": shape.memory.maximum, "entrypoint": number}
    both = compiler._opa_inert(json.dumps(numbers).encode(), Setup())
    size = int.from_bytes(both[:8], "little")
    return (compiler._opa(module, Setup()), both[8 : 8 + size], both[8 + size :]), shape.opa


@pytest.fixture
def load(assembled):
    """The guest of that name, run directly or through the public API."""

    def loaded(name, *, portable=False, limits=PATIENT, module=None):
        native, imports = code(module or assembled(name))
        cell = Cell(find(), {"core": Setup()}, 2, portable=portable)
        return cell.load(Spec(kind="core", limits=limits, answer=limits.answer, opa=imports), native)

    return loaded


def outcome(guest, request=INPUT):
    """Everything that may be compared: answer and fuel, or the fault's class, text and fuel."""
    try:
        return guest.evaluate(request)
    except GuestFault as fault:
        return type(fault), str(fault), fault.fuel


# --- what stands around them


def test_nothing_of_the_host_is_imported():
    """The stand-in imports nothing, a front the stand-in's memory and what the policy exports."""
    engine = wasmtime.Engine(configuration(Setup()))
    assert wasmtime.Module(engine, opa.stand_in_text(2, None)).imports == []
    for text in (opa.asking_text(0), opa.looking_text()):
        imports = [(item.module, item.name) for item in wasmtime.Module(engine, text).imports]
        assert imports == [("stand-in", abi.MEMORY), *(("policy", name) for name in opa.TAKEN)]


def test_the_stand_in_exports_all_that_a_module_may_import_with_its_type():
    engine = wasmtime.Engine(configuration(Setup()))
    exports = {item.name: item.type for item in wasmtime.Module(engine, opa.stand_in_text(2, 7)).exports}
    assert (exports["memory"].limits.min, exports.pop("memory").limits.max) == (2, 7)
    del exports[opa.SAID]
    assert {name: compiler._signature(kind) for name, kind in exports.items()} == opa.IMPORTS


def test_a_front_speaks_guest_abi_1():
    engine = wasmtime.Engine(configuration(Setup()))
    for text in (opa.asking_text(3), opa.looking_text()):
        exports = {item.name: item.type for item in wasmtime.Module(engine, text).exports}
        assert isinstance(exports.pop(abi.MEMORY), wasmtime.MemoryType)
        assert {name: compiler._signature(kind) for name, kind in exports.items()} == {
            name: abi.CORE_EXPORTS[name] for name in (abi.ALLOC, abi.EVALUATE)
        }


# --- what is refused before it runs


@pytest.mark.parametrize(
    ("guest", "why"),
    [
        ("opa_imports_more", "imports `env.system`"),
        ("opa_imports_wasi", "imports `wasi_snapshot_preview1.proc_exit`"),
        ("opa_wrong_type", "exports `builtins` as func (i32) -> (i32)"),
        ("opa_memory_too_big", "starts with 33,554,432 bytes of memory (limit 16,777,216)"),
        ("pass", "is not made by `opa build -t wasm`"),
        ("component_pass", "is not made by `opa build -t wasm`"),
        ("imports_wasi", "is not made by `opa build -t wasm`"),
    ],
)
def test_what_is_no_module_of_opa_is_refused_by_its_bytes(guest, why, assembled):
    with pytest.raises(ModuleRefused) as caught:
        check_abi(scan(assembled(guest)), declared=abi.OPA)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "guest", ["opa_imports_more", "opa_imports_wasi", "opa_mutable_version", "opa_wrong_type", "pass"]
)
def test_the_engine_refuses_it_again_by_what_it_sees(guest, assembled):
    with pytest.raises(ModuleRefused):
        compiler._opa(assembled(guest), Setup())


@pytest.mark.parametrize("guest", RUN)
def test_without_its_manifest_it_is_refused_and_told_what_to_write(guest, assembled):
    with pytest.raises(ModuleRefused, match='is made by `opa build`: write `abi = "opa"` in its manifest'):
        check_abi(scan(assembled(guest)))


@pytest.mark.parametrize("missing", [*opa.FUNCTIONS, *opa.GLOBALS, "memory"])
def test_nothing_may_be_missing(missing):
    text = (HERE / "opa_pass.wat").read_text(encoding="utf-8")
    if missing == "memory":  # one of its own instead
        text = text.replace('  (import "env" "memory" (memory 2))\n', "").replace(
            "  (global", "  (memory 2)\n  (global", 1
        )
    module = bytes(wasmtime.wat2wasm(text.replace(f'(export "{missing}")', '(export "renamed")')))
    with pytest.raises(ModuleRefused, match=f"{missing}|is not made by `opa build"):
        check_abi(scan(module), declared=abi.OPA)
    with pytest.raises(ModuleRefused, match=missing):
        compiler._opa(module, Setup())


IMPORTED = '(import "env" "memory" (memory 2))'
ABORT = '(import "env" "opa_abort" (func $abort (param i32)))'


@pytest.mark.parametrize(
    ("text", "instead", "why"),
    [
        (IMPORTED, '(import "env" "memory" (memory 2 4 shared))', "shared memory"),
        (IMPORTED, '(import "env" "memory" (memory i64 2))', "64-bit memory"),
        (IMPORTED, f"{IMPORTED} {IMPORTED}", "2 memories"),
        (IMPORTED, '(import "env" "memory" (func))', "imports `memory` as func () -> ()"),
        (IMPORTED, '(import "env" "memory" (table 2 funcref))', "imports `memory` as table"),
        (IMPORTED, '(import "policy" "memory" (memory 2))', "imports `policy.memory`"),
        (ABORT, '(import "env" "opa_abort" (global i32))', "imports `opa_abort` as global"),
        (ABORT, '(import "env" "opa_abort" (func (param i64)))', "imports `opa_abort` as func (i64) -> ()"),
        (ABORT, '(import "env" "eval" (func (param i32) (result i32)))', "imports `env.eval`"),
    ],
)
def test_what_it_imports_has_the_one_type_that_it_is_given(text, instead, why):
    """Else what is given by position would be linked to something else."""
    module = bytes(wasmtime.wat2wasm((HERE / "opa_pass.wat").read_text(encoding="utf-8").replace(text, instead)))
    with pytest.raises(ModuleRefused) as caught:
        check_abi(scan(module), declared=abi.OPA)
    assert why in str(caught.value)
    with pytest.raises(ModuleRefused):
        compiler._opa(module, Setup())


# --- what they do when they run

COME_TO = {  # class of the fault, and what its sentence says
    "opa_aborts": (InvalidAnswer, 'the policy reports an error (untrusted text): "no \ufffd[31m more"'),
    "opa_aborts_at_start": (InvalidAnswer, 'the policy reports an error (untrusted text): "not today"'),
    "opa_aborts_endlessly": (InvalidAnswer, '(untrusted text): "aaaa'),
    "opa_aborts_outside": (Trapped, "trapped in wasmguard_evaluate: unreachable code reached"),
    "opa_calls_the_host": (Trapped, "trapped in wasmguard_evaluate: unreachable code reached"),
    "opa_endless_text": (Trapped, "trapped in wasmguard_evaluate: out of bounds memory access"),
    "opa_fails": (Trapped, "trapped in wasmguard_evaluate: unreachable code reached"),
    "opa_grows": (InvalidAnswer, 'the policy reports an error (untrusted text): "no room"'),
    "opa_loops": (OutOfFuel, "out of fuel"),
    "opa_loops_at_start": (OutOfFuel, "out of fuel"),
    "opa_malloc_outside": (InvalidAnswer, "gave an address outside its memory"),
    "opa_memory_too_small": (Trapped, "trapped in start: out of bounds memory access"),
    "opa_reads_nothing": (Trapped, "trapped in wasmguard_evaluate: unreachable code reached"),
    "opa_recurses": (StackOverflow, "stack overflow in wasmguard_evaluate"),
    "opa_result_outside": (Trapped, "trapped in wasmguard_evaluate: out of bounds memory access"),
    "opa_result_too_long": (InvalidAnswer, "invalid answer: 65_537 bytes (limit 65_536)"),
    "opa_says_nothing": (InvalidAnswer, "invalid answer: it is empty"),
}


@pytest.mark.parametrize("portable", [False, True], ids=["directly", "portably"])
@pytest.mark.parametrize("name", RUN)
def test_a_guest_comes_to_what_it_must(name, portable, load):
    said = outcome(load(name, portable=portable))
    if name not in COME_TO:
        assert said[0] == PASS
        return
    kind, words = COME_TO[name]
    assert said[0] is kind
    assert words in said[1]


@pytest.mark.parametrize("name", RUN)
def test_both_ways_and_a_process_come_to_the_same(name, load):
    native, imports = code_of(name)
    cells = processes(1)
    try:
        jailed = cells.load(Spec(kind="core", limits=PATIENT, answer=PATIENT.answer, opa=imports), lambda: native)
        said, again = outcome(jailed), outcome(jailed)
        assert len(cells.pids()) == 1  # a fault ends the evaluation, not the process
    finally:
        cells.close()
    assert said == again == outcome(load(name)) == outcome(load(name, portable=True))


def code_of(name):
    return code(bytes(wasmtime.wat2wasm((HERE / f"{name}.wat").read_text(encoding="utf-8"))))


@pytest.mark.parametrize("portable", [False, True], ids=["directly", "portably"])
def test_what_one_said_when_it_gave_up_is_not_heard_of_the_next(portable, load):
    """The handle of the first one's store is gone: to call it would end the process."""
    aborts, traps = load("opa_aborts", portable=portable), load("opa_fails", portable=portable)
    for _ in range(3):
        assert "reports an error" in outcome(aborts)[1]
        assert "unreachable" in outcome(traps)[1]
    tight = load("opa_aborts", portable=portable, limits=PATIENT.replaced(memory=64 * 1024))  # 2 pages do not fit
    for _ in range(3):
        assert "cannot start within its limits" in outcome(tight)[1]


def test_what_it_says_when_it_gives_up_is_cut(load):
    assert len(outcome(load("opa_aborts_endlessly"))[1]) < LONGEST


@pytest.mark.parametrize("portable", [False, True], ids=["directly", "portably"])
def test_a_fault_says_what_was_burned(portable, load):
    assert 0 < outcome(load("opa_aborts", portable=portable))[2] < 1_000
    assert outcome(load("opa_loops", portable=portable))[2] == PATIENT.fuel


def test_memory_stays_within_its_limit(load):
    assert outcome(load("opa_grows", limits=PATIENT.replaced(memory=MIB)))[2] < outcome(load("opa_grows"))[2]


def test_a_memory_that_says_how_large_it_may_become_gets_no_more(load):
    text = (HERE / "opa_grows.wat").read_text(encoding="utf-8").replace("(memory 2)", "(memory 2 40)")
    limited = load("opa_grows", module=bytes(wasmtime.wat2wasm(text)))
    assert outcome(limited)[2] < outcome(load("opa_grows"))[2]


def test_every_event_gets_a_fresh_instance(load):
    """It remembers in its memory, which is not its own but the stand-in's, that it was asked before."""
    text = (HERE / "opa_pass.wat").read_text(encoding="utf-8")
    asked = "(i32.load (i32.const 8192)) (i32.store (i32.const 8192) (i32.const 1))"
    text = text.replace(
        '(func (export "eval") (param i32) (result i32) (i32.const 0))',
        f'(func (export "eval") (param i32) (result i32) {asked})',
    )
    guest = load("opa_pass", module=bytes(wasmtime.wat2wasm(text)))
    assert [outcome(guest)[0] for _ in range(3)] == [PASS] * 3


def at_once(guest):
    """What it says to one who cannot wait; the clock may come first, or the machine be busy."""
    for _ in range(100):
        try:
            return guest.evaluate(INPUT, at_once=True)
        except NotAtOnce:
            guest._pace._until = 0.0
        except GuestFault as fault:
            return type(fault), str(fault), fault.fuel
    raise AssertionError("never at once")


@pytest.mark.parametrize("portable", [False, True], ids=["directly", "portably"])
@pytest.mark.parametrize("name", ["opa_pass", "opa_aborts", "opa_fails", "opa_result_outside"])
def test_it_may_be_asked_at_once_and_comes_to_the_same(name, portable, load):
    guest = load(name, portable=portable)
    first, guest._pace.warm = outcome(guest), True
    assert at_once(guest) == first


@pytest.mark.parametrize("portable", [False, True], ids=["directly", "portably"])
def test_what_stands_around_it_takes_none_of_its_room(portable, load):
    assert outcome(load("opa_pass", portable=portable, limits=PATIENT.replaced(instances=1, memories=1)))[0] == PASS


def test_imports_that_come_twice_and_what_is_handed_on_do_no_harm(load):
    """Everything is given by position; what it exports beside its ABI, the memory too, is asked of nobody."""
    text = (HERE / "opa_pass.wat").read_text(encoding="utf-8")
    more = '(import "env" "opa_println" (func (param i32))) (import "env" "opa_println" (func (param i32)))'
    text = text.replace(ABORT, f"{ABORT} {more}").rstrip()[:-1]
    text += '(export "wasmguard_evaluate" (func $abort)) (export "_initialize" (func $abort))'
    text += '(export "said" (memory 0)))'
    guest = load("opa_pass", module=bytes(wasmtime.wat2wasm(text)))
    assert outcome(guest) == outcome(load("opa_pass"))


def test_it_has_to_start_within_its_limits_before_a_process_is_shut_in(load):
    for name in RUN:
        load(name).warm()
        load(name, portable=True).warm()
