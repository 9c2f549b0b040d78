"""Each switch by a module that must be refused, and the clock that ends guests."""

import resource
import subprocess
import sys
import threading
import time

import pytest
import wasmtime

from wasmguard.limits import MIB
from wasmguard.sandbox import engine
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.engine import COMPONENT_SWITCHES, SWITCHES, Clock, Engine, Setup, ticks
from wasmguard.sandbox.portable import configuration

REFUSED = {
    "wasm_threads": "(module (memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0)))))",
    "shared_memory": "(module (memory 1 1 shared))",
    "wasm_memory64": "(module (memory i64 1))",
    "wasm_multi_memory": "(module (memory 1) (memory 1))",
    "wasm_tail_call": "(module (func $f (return_call $f)))",
    "wasm_exceptions": "(module (tag $t) (func (throw $t)))",
    "wasm_gc": "(module (type $s (struct (field i32))) (func (drop (struct.new_default $s))))",
    "gc_support": "(module (func (param externref)))",
    "wasm_function_references": "(module (type $f (func)) (func (param (ref $f))))",
    "wasm_stack_switching": "(module (type $f (func)) (type $c (cont $f)) (func (drop (ref.null $c))))",
    "wasm_custom_page_sizes": "(module (memory 1 1 (pagesize 1)))",
    "wasm_wide_arithmetic": "(module (func (param i64 i64 i64 i64) (result i64 i64) "
    "(i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))))",
    "wasm_relaxed_simd": "(module (func (param v128 v128) (result v128) "
    "(i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
    "wasm_component_model": "(component)",
}


@pytest.mark.parametrize("switch", REFUSED)
def test_what_is_switched_off_is_refused(switch):
    assert SWITCHES[switch] is False
    module = wasmtime.wat2wasm(REFUSED[switch])
    build = wasmtime.component.Component if switch == "wasm_component_model" else wasmtime.Module
    with pytest.raises(wasmtime.WasmtimeError):
        build(wasmtime.Engine(configuration(Setup())), bytes(module))


@pytest.mark.parametrize("switch", [name for name in REFUSED if name not in ("wasm_component_model", "shared_memory")])
def test_the_same_module_is_accepted_where_everything_is_on(switch):
    """Or the refusal above would prove nothing about the switch."""
    config = wasmtime.Config()
    for name in REFUSED:
        setattr(config, name, True)
    assert wasmtime.Module(wasmtime.Engine(config), bytes(wasmtime.wat2wasm(REFUSED[switch])))


ASYNCHRONOUS = '(component (core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func (export "f") \
async (canon lift (core func $i "f") async)))'


def test_an_asynchronous_component_is_refused():
    component = bytes(wasmtime.wat2wasm(ASYNCHRONOUS))
    engine = wasmtime.Engine(configuration(Setup(kind="component")))
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.component.Component(engine, component)


def test_components_differ_from_core_modules_in_two_switches():
    differ = {name for name in SWITCHES if SWITCHES[name] != COMPONENT_SWITCHES[name]}
    assert differ == {"wasm_component_model", "wasm_multi_memory"}


def test_every_switch_exists_in_the_library():
    library = Library(find())
    for kind in ("core", "component"):
        for name, value in Setup(kind=kind).switches.items():
            library.setter(name, value)


def test_the_guard_behind_a_memory_is_never_zero_with_the_pool():
    assert engine.GUARD >= 64 * 2**10


def test_compiled_code_of_another_setup_has_another_identity():
    assert Setup().identity != Setup(kind="component").identity != Setup(reservation=32 * MIB).identity
    assert Setup().identity == Setup(stack=512 * 2**10).identity


def test_a_clock_limit_is_never_cut_short():
    assert [ticks(ms) for ms in (1, 10, 50, 100)] == [2, 2, 6, 11]


def until(condition):
    for _ in range(5_000):
        if condition():
            return
        time.sleep(0.001)
    pytest.fail("it never came to that")


@pytest.fixture
def ticking(monkeypatch):
    """A clock that ticks every millisecond and does not linger, and its bumps."""
    monkeypatch.setattr(engine, "TICK", 0.001)
    monkeypatch.setattr(engine, "LINGER", 0.0)
    bumps = []
    return Clock(lambda: bumps.append(1)), bumps


def test_the_clock_ticks_only_while_guests_run(ticking):
    clock, bumps = ticking
    time.sleep(0.02)
    assert bumps == []
    for _ in range(3):
        before = len(bumps)
        clock.start()
        until(lambda before=before: len(bumps) >= before + 5)
        clock.stop()
        until(lambda: clock._asleep)
        before = len(bumps)
        time.sleep(0.02)
        assert len(bumps) <= before + 1


def test_the_clock_ticks_on_as_long_as_any_guest_runs(ticking):
    clock, bumps = ticking
    clock.start()
    clock.start()
    clock.stop()
    before = len(bumps)
    until(lambda: len(bumps) >= before + 50)
    assert not clock._asleep
    clock.stop()


def test_a_clock_whose_thread_could_not_be_started_is_started_again(ticking, monkeypatch):
    clock, bumps = ticking

    def refused(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(engine._thread, "start_new_thread", refused)
    with pytest.raises(RuntimeError):
        clock.start()
    monkeypatch.undo()
    clock.start()
    until(lambda: bumps)


def test_the_pool_is_used_where_address_space_is_free():
    assert Engine(Library(find()), Setup(), 2).allocator == "pooling"


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20))
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.sandbox.bindings import Library
print(Engine(Library(sys.argv[1]), Setup(), 64).allocator)
"""


def test_little_address_space_means_the_other_allocator_not_an_abort():
    done = subprocess.run([sys.executable, "-c", LIMITED, find()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "on-demand\n"), done.stderr


def test_a_thread_that_was_given_little_stack_may_run_no_guest():
    before = threading.stack_size(512 * 2**10)
    try:
        with pytest.raises(engine.HostError, match="1 MiB or more"):
            engine.ready(Setup())
    finally:
        threading.stack_size(before)


def test_threads_with_little_stack_are_refused(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (512 * 2**10, 512 * 2**10))
    with pytest.raises(engine.HostError, match="too little stack"):
        Engine(Library(find()), Setup(), 1)
