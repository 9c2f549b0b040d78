"""The compiler in its child: what it refuses, and what ends it."""

import subprocess

import pytest
import wasmtime

from wasmguard.errors import ModuleRefused
from wasmguard.limits import DEFAULT, MIB, ROOMY
from wasmguard.sandbox import compile as compiler
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup

COMPONENT = Setup(kind="component")


def bomb(calls=200_000):
    """One function of many calls: 3 bytes each to write, and the compiler's time grows with the square."""
    return bytes(wasmtime.wat2wasm(f'(module (func $f) (func (export "g") {"(call $f)" * calls}))'))


def test_compiled_code_comes_back(assembled):
    assert len(compiled(assembled("pass"), Setup(), DEFAULT)) > 1000


def test_the_same_module_compiles_to_the_same_code(assembled):
    assert compiled(assembled("pass"), Setup(), DEFAULT) == compiled(assembled("pass"), Setup(), DEFAULT)


@pytest.mark.parametrize(
    "name",
    ["shared_memory", "memory64", "multi_memory", "tail_call", "exceptions", "gc_struct", "relaxed_simd"],
)
def test_proposals_that_are_off_are_refused(assembled, name):
    with pytest.raises(ModuleRefused, match=r"the compiler refuses it|missing or has another type|64-bit or shared"):
        compiled(assembled(name), Setup(), DEFAULT)


@pytest.mark.parametrize(
    "name", ["wrong_alloc_type", "wrong_evaluate_type", "memory_as_function", "no_memory", "no_alloc"]
)
def test_export_types_are_read_a_second_time_by_wasmtime(assembled, name):
    with pytest.raises(ModuleRefused, match=r"missing|another type"):
        compiled(assembled(name), Setup(), DEFAULT)


@pytest.mark.parametrize("name", ["imports_env", "imports_memory", "imports_wasi"])
def test_imports_are_refused_a_second_time(assembled, name):
    with pytest.raises(ModuleRefused, match="imports something"):
        compiled(assembled(name), Setup(), DEFAULT)


def test_a_component_with_imports_is_refused(assembled):
    with pytest.raises(ModuleRefused, match="component imports"):
        compiled(assembled("component_imports"), COMPONENT, ROOMY)


def test_a_component_of_another_world_is_refused(assembled):
    with pytest.raises(ModuleRefused, match=r"another type|exports no"):
        compiled(assembled("component_wrong_type"), COMPONENT, ROOMY)


def test_a_component_does_not_compile_as_a_core_module(assembled):
    with pytest.raises(ModuleRefused, match=r"the compiler refuses it"):
        compiled(assembled("component_pass"), Setup(), DEFAULT)


def test_engine_messages_are_cleaned(assembled):
    with pytest.raises(ModuleRefused) as caught:
        compiled(assembled("pass")[:-3], Setup(), DEFAULT)
    assert str(caught.value).isprintable()


def test_a_compile_that_takes_too_long_is_ended():
    hurried = DEFAULT.replaced(compile_cpu=1, compile_wall=30)
    with pytest.raises(ModuleRefused, match=r"limits\.compile_cpu|limits\.compile_memory"):
        compiled(bomb(), Setup(), hurried)


def test_a_compile_that_takes_too_much_memory_is_ended():
    with pytest.raises(ModuleRefused, match=r"limits\.compile_memory|limits\.compile_cpu"):
        compiled(bomb(), Setup(), DEFAULT.replaced(compile_memory=350 * MIB))


def test_a_compiler_that_hangs_is_killed(monkeypatch, assembled):
    monkeypatch.setattr(compiler, "_CHILD", "import time; time.sleep(60)")
    with pytest.raises(ModuleRefused, match="takes more than 1 s to compile"):
        compiled(assembled("pass"), Setup(), DEFAULT.replaced(compile_wall=1))


def test_the_child_gets_no_environment(monkeypatch, assembled):
    seen = {}

    def spawned(command, **options):
        seen.update(options)
        return subprocess.CompletedProcess(command, 0, b"code", b"")

    monkeypatch.setattr(subprocess, "run", spawned)
    compiled(assembled("pass"), Setup(), DEFAULT)
    assert seen["env"] == {}
