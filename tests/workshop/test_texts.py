"""The component that turns bytes into texts and back, beside one that cannot."""

import pytest
import wasmtime
from wasmtime import component

from tests.workshop.languages.component_kits import NO_UTF8
from wasmguard.limits import PROFILES
from wasmguard.sandbox.assemble import assembled
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.workshop.texts import BESIDE, NAME, WORLD, with_texts

TEXTS = ["", "a", "é", "語", "🦀", "\0", "\x7f\x80", "\ufeff", "\U0010ffff", "a€😀é" * 50_000]

# It gives the request back, once decoded and encoded again.
ROUND = f"""
(component
  (import "{NAME}" (instance $text
    (export "decoded" (func (param "bytes" (list u8)) (result string)))
    (export "encoded" (func (param "text" string) (result (list u8))))))
  (core module $memory
    (memory (export "memory") 40)
    (global $next (mut i32) (i32.const 64))
    (func (export "room") (param i32 i32 i32 i32) (result i32)
      global.get $next
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $memory))
  (alias core export $m "room" (core func $room))
  (core func $decoded (canon lower (func $text "decoded") (memory $memory) (realloc $room)))
  (core func $encoded (canon lower (func $text "encoded") (memory $memory) (realloc $room)))
  (core module $made
    (import "m" "memory" (memory 1))
    (import "m" "decoded" (func $decoded (param i32 i32 i32)))
    (import "m" "encoded" (func $encoded (param i32 i32 i32)))
    (func (export "evaluate") (param i32 i32) (result i32)
      (call $decoded (local.get 0) (local.get 1) (i32.const 0))
      (call $encoded (i32.load (i32.const 0)) (i32.load (i32.const 4)) (i32.const 20))
      (i32.store (i32.const 16) (i32.const 0))
      i32.const 16))
  (core instance $given
    (export "memory" (memory $memory)) (export "decoded" (func $decoded)) (export "encoded" (func $encoded)))
  (core instance $made (instantiate $made (with "m" (instance $given))))
  (func (export "evaluate") (param "request" (list u8)) (result (result (list u8) (error string)))
    (canon lift (core func $made "evaluate") (memory $memory) (realloc $room))))
"""


@pytest.fixture(scope="module")
def ask():
    made = with_texts(assembled(ROUND))
    engine = wasmtime.Engine()
    whole = component.Component(engine, made)

    def asked(data):
        store = wasmtime.Store(engine)
        instance = component.Linker(engine).instantiate(store, whole)
        return bytes(instance.get_func(store, "evaluate")(store, data))

    return asked


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:4]))
def test_bytes_become_a_text_and_that_the_same_bytes(ask, text):
    assert ask(text.encode()) == text.encode()


@pytest.mark.parametrize("wrong", NO_UTF8, ids=repr)
def test_bytes_that_are_no_utf8_become_nothing(ask, wrong):
    for data in (wrong, b"x" * 100 + wrong, wrong + b"x", "é".encode() * 5_000 + wrong):
        with pytest.raises(wasmtime.WasmtimeError):
            ask(data)


def test_what_is_made_is_a_policy_like_every_other():
    made = with_texts(assembled(ROUND))
    shape = scan(made, PROFILES["roomy"])
    check_abi(shape, PROFILES["roomy"])
    assert shape.imports == ()
    assert list(shape.exports) == ["evaluate"]


def test_the_world_names_what_is_beside():
    assert "  import text;\n  export evaluate" in WORLD
    for name in ("decoded", "encoded"):
        assert f"  {name}: func" in WORLD
        assert f'(export "{name}")' in BESIDE
