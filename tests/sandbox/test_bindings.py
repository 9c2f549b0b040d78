"""Every number that the direct binding takes for granted, against the bindings of the installed package."""

import ctypes

import pytest
from wasmtime import _bindings, _ffi

from wasmguard.errors import HostError
from wasmguard.sandbox import bindings


def test_sizes_are_those_of_the_c_api():
    assert ctypes.sizeof(_bindings.wasmtime_instance_t) == bindings.INSTANCE_BYTES
    assert ctypes.sizeof(_bindings.wasmtime_extern_t) == bindings.EXTERN_BYTES
    assert _bindings.wasmtime_extern_t.of.offset == bindings.EXTERN_OF
    assert ctypes.sizeof(_bindings.wasmtime_val_raw_t) == bindings.RAW_VALUE_BYTES
    assert ctypes.sizeof(_bindings.wasm_byte_vec_t) == ctypes.sizeof(bindings.ByteVector)


def test_every_bound_function_has_the_result_and_the_number_of_arguments_of_the_bindings():
    ours = bindings.Library(bindings.find())
    bound = [f for f in vars(ours).values() if isinstance(f, ctypes._CFuncPtr)]
    assert len(bound) >= 25
    for function in bound:
        theirs = getattr(_bindings, "_" + function.__name__)
        assert len(function.argtypes) == len(theirs.argtypes), function.__name__
        assert (function.restype is None) == (theirs.restype is None), function.__name__
        sizes = [ctypes.sizeof(kind) for kind in function.argtypes]
        assert sizes == [ctypes.sizeof(kind) for kind in theirs.argtypes], function.__name__


def test_the_library_is_the_one_of_the_package():
    assert bindings.find() == str(_ffi.filename)


def test_a_missing_library_names_the_way_out():
    with pytest.raises(HostError, match="reinstall wasmtime"):
        bindings.Library("/nowhere/_libwasmtime.so")


def test_a_switch_that_does_not_exist_is_an_error():
    with pytest.raises(HostError, match="wasmtime_config_wasm_teleport"):
        bindings.Library(bindings.find()).setter("wasmtime_config_wasm_teleport", False)
