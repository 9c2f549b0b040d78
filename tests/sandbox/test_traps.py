"""The engine's numbers of traps, as the installed package knows them."""

from wasmtime import _bindings

from wasmguard.sandbox import traps


def test_trap_codes_are_those_of_the_c_api():
    codes = {item.name.removeprefix("WASMTIME_TRAP_CODE_"): item.value for item in _bindings.wasmtime_trap_code_enum}
    assert codes["STACK_OVERFLOW"] == traps.STACK_OVERFLOW
    assert codes["INTERRUPT"] == traps.INTERRUPT
    assert codes["OUT_OF_FUEL"] == traps.OUT_OF_FUEL
    assert codes["UNREACHABLE_CODE_REACHED"] == 9
    assert set(range(12)) == set(traps.TRAPS)
