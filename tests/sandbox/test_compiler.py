"""What the child makes of a module: the second reading of its types, and its own limits."""

import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime

from wasmguard.errors import ModuleRefused
from wasmguard.guest.abi import CORE_HEADER
from wasmguard.limits import DEFAULT, MIB, ROOMY
from wasmguard.sandbox import wasi
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup

ROOT = Path(__file__).parents[2]
COMPONENT = Setup(kind="component")


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


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("imports_env", r"env\.log"),
        ("imports_memory", r"env\.memory"),
        ("imports_wasi", r"wasi_snapshot_preview1\.path_open"),
        ("wasi_unstable", r"wasi_unstable\.fd_write"),
        ("wasi_wrong_type", r"wasi_snapshot_preview1\.fd_write"),
        ("wasi_global", r"wasi_snapshot_preview1\.fd_write"),
    ],
)
def test_imports_are_refused_a_second_time(assembled, name, imported):
    with pytest.raises(ModuleRefused, match=f"^import `{imported}` is none that a policy may have: build it without$"):
        compiled(assembled(name), Setup(), DEFAULT)


def test_names_of_imports_are_cleaned(assembled):
    with pytest.raises(ModuleRefused) as caught:
        compiled(assembled("escape_in_import_name"), Setup(), DEFAULT)
    assert str(caught.value).isprintable()


def test_every_function_of_wasi_is_let_through_with_its_type():
    lines = [f'(import "{wasi.MODULE}" "{name}" (func {function.type}))' for name, function in wasi.FUNCTIONS.items()]
    lines += ['(memory (export "memory") 1)', '(func (export "wasmguard_abi_1"))']
    lines += ['(func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 0))']
    lines += ['(func (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const 0))']
    assert compiled(bytes(wasmtime.wat2wasm(f"(module {' '.join(lines)})")), Setup(), DEFAULT)


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


LIMITED = """
import resource, sys
from wasmguard.sandbox.compiler import _limit
_limit(3, 600 << 20)
assert resource.getrlimit(resource.RLIMIT_CPU) == (3, 3)
assert resource.getrlimit(resource.RLIMIT_AS) == (600 << 20, 600 << 20)
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
try:
    with open(sys.argv[1], "w") as file:
        file.write("x")
except OSError as error:
    print("refused:", error.strerror)
"""


def test_the_child_limits_itself_and_writes_no_file(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "refused: File too large\n"


def test_memory_that_runs_out_outside_of_the_engine_is_a_refusal_too():
    module = CORE_HEADER + bytes(3 * MIB)
    with pytest.raises(ModuleRefused, match=r"cannot be compiled within 20 MiB .*: raise `limits\.compile_memory`"):
        compiled(module, Setup(), DEFAULT.replaced(compile_memory=20 * MIB))
