"""What the compiler is given: the same module, without what only people and debuggers read."""

from pathlib import Path

import pytest
import wasmtime

from wasmguard.errors import ModuleRefused
from wasmguard.limits import ROOMY
from wasmguard.sandbox.scan import scan
from wasmguard.sandbox.strip import stripped

ROOT = Path(__file__).parents[2]
GUESTS = sorted(path.stem for path in (ROOT / "tests" / "guests").glob("*.wat"))
BUILT = sorted((ROOT / "build").glob("*/policy.wasm"))


def shape(module):
    """What the scan reads, without what is stripped."""
    return scan(module, ROOMY).replaced(size=0, custom=(), producers=())


@pytest.mark.parametrize("name", GUESTS)
def test_nothing_but_custom_sections_is_lost(assembled, name):
    module = assembled(name)
    try:
        before = shape(module)
    except ModuleRefused:
        return  # never gets that far
    assert shape(stripped(module)) == before
    assert scan(stripped(module), ROOMY).custom == ()


@pytest.mark.parametrize("path", BUILT, ids=lambda path: path.parent.name)
def test_shipped_policies_keep_their_shape(path):
    assert shape(stripped(path.read_bytes())) == shape(path.read_bytes())


def test_names_inside_a_component_are_lost_too():
    text = """(component (core module (func $a_name_to_be_lost (export "f")))
      (component (core module (func $another_name (export "g")))))"""
    module = bytes(wasmtime.wat2wasm(text))
    assert b"a_name_to_be_lost" in module
    assert not {b for b in (b"a_name_to_be_lost", b"another_name") if b in stripped(module)}


def test_a_module_without_any_stays_as_it_is(assembled):
    once = stripped(assembled("pass"))
    assert stripped(once) == once


def test_what_is_to_be_kept_is_kept_at_every_depth():
    text = """(component (@custom "lost" "x") (@custom "kept" "outside")
      (core module (@custom "lost" "y") (@custom "kept" "inside")))"""
    module = stripped(bytes(wasmtime.wat2wasm(text)), frozenset({"kept"}))
    assert [name for name, _ in scan(module, ROOMY).custom] == ["kept"]
    assert module.count(b"kept") == 2
    assert b"lost" not in module
