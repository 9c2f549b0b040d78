"""Sealing: what imports WASI imports nothing afterwards, says the same, and is the same bytes wherever it is made."""

import os
import shutil

import pytest
import wasmtime

from wasmguard.errors import BuildError
from wasmguard.limits import HARD_MAX, PROFILES
from wasmguard.sandbox import wasi
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.sandbox.scan import scan
from wasmguard.workshop.languages.language import toolchains
from wasmguard.workshop.seal import sealed, stand_in

ABI = """
  (memory (export "memory") 1)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 1024))
"""
# Answers with the bytes at 16, where `_initialize` puts the clock, four random bytes and how often it was called.
# `fd_write` is imported twice, as Go does it.
GUEST = f"""(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $first (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  {ABI}
  (global $started (mut i32) (i32.const 0))
  (func (export "_initialize")
    (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 16)))
    (drop (call $random (i32.const 24) (i32.const 4)))
    (global.set $started (i32.add (global.get $started) (i32.const 1)))
    (i32.store8 (i32.const 28) (global.get $started)))
  (func (export "wasmguard_evaluate") (param i32 i32) (result i64)
    (drop (call $first (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 80)))
    (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 80)))
    (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const 13)))
  (func (export "left_over") (result i32) (i32.const 7)))
"""
SAID = wasi.CLOCK.to_bytes(8, "little") + bytes(left * 37 % 256 for left in (4, 3, 2, 1)) + b"\x01"


def module(folder, text):
    path = folder / "module.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    return path


@pytest.fixture(scope="module")
def tools():
    places = os.pathsep.join([str(toolchains() / "node_modules/.bin"), str(toolchains() / "bin"), os.environ["PATH"]])
    for name in ("node", "wasm-merge", "wasm-metadce", "wizer"):
        if not shutil.which(name, path=places):
            pytest.skip(f"`{name}` is not installed")


def evaluated(path):
    limits = PROFILES["default"]
    engine = Engine(Library(find()), Setup(), 1)
    guest = CoreGuest(engine, compiled(path.read_bytes(), engine.setup, limits), limits, limits.answer)
    return guest.evaluate(b"\x80")


@pytest.mark.rebuild
@pytest.mark.parametrize("started", [True, False])
def test_a_sealed_module_imports_nothing_and_says_the_same_in_every_folder(tools, tmp_path, started):
    made = []
    for name in ("one", "another"):
        (work := tmp_path / name).mkdir()
        made.append(sealed(module(work, GUEST), work, started=started))
    shape = scan(made[0].read_bytes(), HARD_MAX)
    assert shape.imports == ()
    kept = {"memory", "wasmguard_abi_1", "wasmguard_alloc", "wasmguard_evaluate"}
    assert set(shape.exports) == (kept if started else kept | {"_initialize"})
    assert made[0].read_bytes() == made[1].read_bytes()
    answer, fuel = evaluated(made[0])
    assert bytes(answer) == SAID
    assert (fuel < 100) is started  # the start-up is run once, here, or at every event


@pytest.mark.rebuild
def test_what_a_tool_says_is_kept(tools, tmp_path):
    trapping = GUEST.replace('(func (export "_initialize")', '(func (export "_initialize") unreachable')
    with pytest.raises(BuildError, match="`wizer` failed") as refused:
        sealed(module(tmp_path, trapping), tmp_path, started=True)
    assert "unreachable" in refused.value.said


def test_the_stand_in_is_the_one_of_the_host_word_for_word():
    text = stand_in()
    made = wasmtime.Module(wasmtime.Engine(), text)
    assert [item.name for item in made.exports] == list(wasi.FUNCTIONS)
    assert [(item.module, item.name) for item in made.imports] == [("policy", "memory")]
    assert all(function.body in text for function in wasi.FUNCTIONS.values())


def test_an_import_that_no_host_meets_is_refused_before_a_tool_runs(tmp_path):
    asks = ABI.replace("(memory", '(import "wasi_snapshot_preview1" "path_open" (func (param i32)))\n(memory', 1)
    answers = '(func (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const 0))'
    with pytest.raises(BuildError, match=r"the compiled module .*path_open"):
        sealed(module(tmp_path, f"(module {asks} {answers})"), tmp_path, started=False)


def test_a_start_up_that_is_not_there_cannot_be_run_ahead(tmp_path):
    answers = '(func (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const 0))'
    with pytest.raises(BuildError, match=r"no `_initialize`.*reactor"):
        sealed(module(tmp_path, f"(module {ABI} {answers})"), tmp_path, started=True)


def test_a_missing_tool_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(
        BuildError, match=r"`wasm-merge` is missing: `npm install --global binaryen@132\.0\.0 .*@11\.0\.3"
    ):
        sealed(module(tmp_path, GUEST), tmp_path, started=True)
