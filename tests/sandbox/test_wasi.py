"""The two modules around a policy that imports WASI: nothing but wasm, and nothing but what the table says."""

import pytest
import wasmtime

from wasmguard.errors import ModuleRefused
from wasmguard.guest import abi
from wasmguard.limits import DEFAULT, MIB
from wasmguard.sandbox import call, wasi
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.portable import configuration

# https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/witx/wasi_snapshot_preview1.witx, lowered to core types
PREVIEW_1 = """
args_get (i32, i32) -> (i32)
args_sizes_get (i32, i32) -> (i32)
clock_res_get (i32, i32) -> (i32)
clock_time_get (i32, i64, i32) -> (i32)
environ_get (i32, i32) -> (i32)
environ_sizes_get (i32, i32) -> (i32)
fd_close (i32) -> (i32)
fd_fdstat_get (i32, i32) -> (i32)
fd_fdstat_set_flags (i32, i32) -> (i32)
fd_prestat_dir_name (i32, i32, i32) -> (i32)
fd_prestat_get (i32, i32) -> (i32)
fd_read (i32, i32, i32, i32) -> (i32)
fd_seek (i32, i64, i32, i32) -> (i32)
fd_write (i32, i32, i32, i32) -> (i32)
poll_oneoff (i32, i32, i32, i32) -> (i32)
proc_exit (i32) -> ()
random_get (i32, i32) -> (i32)
sched_yield () -> (i32)
"""


@pytest.fixture(scope="module")
def engine():
    return wasmtime.Engine(configuration(Setup()))


def written(kind):
    return f"({', '.join(map(str, kind.params))}) -> ({', '.join(map(str, kind.results))})"


def test_the_shim_exports_the_functions_of_preview_1_and_its_table(engine):
    exports = {item.name: item.type for item in wasmtime.Module(engine, wasi.shim_text()).exports}
    assert isinstance(exports.pop(wasi.TABLE), wasmtime.TableType)
    assert "\n".join(f"{name} {written(kind)}" for name, kind in exports.items()) == PREVIEW_1.strip()


def test_the_call_path_knows_the_table_by_the_same_name():
    assert call.TABLE.decode() == wasi.TABLE


def test_nothing_of_the_host_is_imported(engine):
    """The shim imports nothing, the fixup the policy's memory and the shim's table: no function comes from outside."""
    assert wasmtime.Module(engine, wasi.shim_text()).imports == []
    imports = [(i.module, i.name, type(i.type)) for i in wasmtime.Module(engine, wasi.fixup_text()).imports]
    assert imports == [("policy", abi.MEMORY, wasmtime.MemoryType), ("shim", wasi.TABLE, wasmtime.TableType)]
    assert wasmtime.Module(engine, wasi.fixup_text()).exports == []


def test_a_type_is_written_as_the_guest_abi_writes_it():
    assert wasi.FUNCTIONS["clock_time_get"].signature == (("i32", "i64", "i32"), ("i32",))
    assert wasi.FUNCTIONS["proc_exit"].signature == (("i32",), ())


def test_the_texts_can_be_read():
    assert '  (func (export "fd_close") (param i32) (result i32)\n' in wasi.shim_text()
    assert "  (func $poll_oneoff (param i32 i32 i32 i32) (result i32) (i32.const 52))\n" in wasi.fixup_text()


def test_another_text_has_another_digest(monkeypatch):
    before = wasi.digest()
    assert before == wasi.digest()
    monkeypatch.setattr(wasi, "FUNCTIONS", {name: wasi.FUNCTIONS[name] for name in list(wasi.FUNCTIONS)[1:]})
    assert wasi.digest() != before
    monkeypatch.undo()
    other = wasi.FUNCTIONS["random_get"].replaced(body="(i32.const 0)")
    monkeypatch.setattr(wasi, "FUNCTIONS", wasi.FUNCTIONS | {"random_get": other})
    assert wasi.digest() != before


def test_both_modules_come_back_as_code_of_that_engine(engine):
    shim, fixup = (wasmtime.Module.deserialize(engine, code) for code in wasi.compiled_inert(Setup(), DEFAULT))
    assert len(shim.exports) == len(wasi.FUNCTIONS) + 1
    assert len(fixup.imports) == 2


def test_the_same_texts_become_the_same_code():
    assert wasi.compiled_inert(Setup(), DEFAULT) == wasi.compiled_inert(Setup(), DEFAULT)


def test_the_compilers_limits_hold_here_too():
    with pytest.raises(ModuleRefused, match=r"limits\.compile_memory"):
        wasi.compiled_inert(Setup(), DEFAULT.replaced(compile_memory=20 * MIB))
