"""Custom sections: what is put into a module comes out of it, and a damaged file gives nothing."""

from contextlib import suppress

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.errors import ModuleRefused
from wasmguard.guest.sections import MANIFEST_SECTION, custom, with_custom

CORE = bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1) (func (export "f")))'))
COMPONENT = bytes(wasmtime.wat2wasm("(component (core module (func)))"))


@pytest.mark.parametrize("module", [CORE, COMPONENT], ids=["core", "component"])
@given(data=st.binary(max_size=300), other=st.binary(max_size=10))
def test_what_is_put_in_comes_out_and_the_module_stays_valid(module, data, other):
    made = with_custom(with_custom(module, "other", other), MANIFEST_SECTION, data)
    assert custom(made, MANIFEST_SECTION) == data
    assert custom(made, "other") == other
    assert made.startswith(module)
    if module is CORE:
        wasmtime.Module.validate(wasmtime.Engine(), made)


@pytest.mark.parametrize("module", [CORE, COMPONENT], ids=["core", "component"])
def test_it_replaces_what_was_there(module):
    first = with_custom(with_custom(module, MANIFEST_SECTION, b"one"), "behind", b"x" * 200)
    again = with_custom(first, MANIFEST_SECTION, b"two")
    assert custom(again, MANIFEST_SECTION) == b"two"
    assert custom(again, "behind") == b"x" * 200
    assert len(again) == len(first)


def test_a_module_without_it_has_none():
    assert custom(CORE, MANIFEST_SECTION) is None
    assert custom(b"no module at all", MANIFEST_SECTION) is None
    assert custom(b"", MANIFEST_SECTION) is None


def test_a_longer_or_shorter_name_is_another_one():
    assert custom(with_custom(CORE, MANIFEST_SECTION + "2", b"x"), MANIFEST_SECTION) is None
    assert custom(with_custom(CORE, MANIFEST_SECTION[:-1], b"tx"), MANIFEST_SECTION) is None


def test_two_of_the_name_are_refused():
    once = with_custom(CORE, MANIFEST_SECTION, b"one")
    twice = once + once[len(CORE) :]
    with pytest.raises(ModuleRefused, match="has 2 custom sections"):
        custom(twice, MANIFEST_SECTION)


def test_one_within_a_component_is_not_the_components_own():
    inside = with_custom(CORE, MANIFEST_SECTION, b"inside")
    header, number = COMPONENT[:8], bytes([len(inside)])
    assert len(inside) < 128
    assert custom(header + b"\x01" + number + inside, MANIFEST_SECTION) is None


@given(st.data())
def test_a_file_that_is_cut_or_changed_carries_nothing_or_what_it_says(data):
    whole = with_custom(CORE, MANIFEST_SECTION, b"name")
    at = data.draw(st.integers(8, len(whole) - 1))
    changed = whole[:at] + data.draw(st.binary(max_size=3))
    with suppress(ModuleRefused):  # two of the name
        found = custom(changed, MANIFEST_SECTION)
        assert found is None or found in changed


@pytest.mark.parametrize(
    "tail", [b"\x00", b"\x00\x80", b"\x00\xff\xff\xff\xff\xff\x01", b"\x00\x05\x04abc", b"\x00\x01\x80"]
)
def test_a_section_that_does_not_end_in_the_file_counts_for_nothing_and_takes_nothing_in(tail):
    damaged = with_custom(CORE, MANIFEST_SECTION, b"name") + tail
    assert custom(damaged, MANIFEST_SECTION) is None
    with pytest.raises(ModuleRefused, match="does not end in the file"):
        with_custom(damaged, MANIFEST_SECTION, b"other")
