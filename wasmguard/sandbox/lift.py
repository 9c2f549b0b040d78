"""A call of a component's `evaluate`, its bytes moved in bulk.

wasmtime's Python API makes one Python object of every byte: a request of 100 kB takes it 50 ms, and an answer of 3 MiB,
whatever its limit, 200 MB. Here a list of bytes goes in and comes out as a whole, and an answer is looked at before
anything is made of it. A byte is a value of `VALUE` bytes in the C API (`wasmtime_component_val_t`).
"""

from __future__ import annotations

from ctypes import addressof, byref, c_uint8, sizeof, string_at
from typing import TYPE_CHECKING, Any

from wasmtime import _ffi
from wasmtime.component._enter import enter_wasm

from wasmguard.sandbox.failure import RANGE, REPORTED, TEXT, Failed

if TYPE_CHECKING:
    from wasmtime import Store
    from wasmtime.component import Func

VALUE = sizeof(_ffi.wasmtime_component_val_t)
OF = _ffi.wasmtime_component_val_t.of.offset  # where in it the byte is
U8, LIST = bytes(_ffi.WASMTIME_COMPONENT_U8), _ffi.WASMTIME_COMPONENT_LIST


def evaluated(function: Func, store: Store, request: bytes, most: int) -> bytes:
    """What *function* answers to *request*: 1 to *most* bytes.

    Raises:
        Failed: if its answer is another, or its error arm.
        Trap, WasmtimeError: if it did not come to an answer.
    """
    given, said = _lowered(request), _ffi.wasmtime_component_val_t()

    def call() -> Any:
        return _ffi.wasmtime_component_func_call(
            byref(function._func), store._context(), byref(given), 1, byref(said), 1
        )

    try:
        enter_wasm(call)
        return _lifted(said.of.result, most)
    finally:
        _ffi.wasmtime_component_val_delete(byref(given))
        _ffi.wasmtime_component_val_delete(byref(said))


def _lowered(request: bytes) -> Any:
    """*request* as a C value, which its caller deletes."""
    value, size = _ffi.wasmtime_component_val_t(), len(request)
    octets = value.of.list
    _ffi.wasmtime_component_vallist_new_uninit(byref(octets), size)
    if size:
        room = _room(octets)
        room[0::VALUE] = U8 * size
        room[OF::VALUE] = request
    value.kind = LIST
    return value


def _lifted(result: Any, most: int) -> bytes:
    """The bytes of a `result<list<u8>, string>`."""
    if not result.is_ok:
        text = result.val.contents.of.string
        raise Failed(REPORTED, text=string_at(text.data, min(text.size, 4 * TEXT)).decode("utf-8", "replace"))
    octets = result.val.contents.of.list
    if not 0 < octets.size <= most:
        raise Failed(RANGE, 0, octets.size)
    return _room(octets)[OF::VALUE].tobytes()


def _room(octets: Any) -> memoryview:
    """The values of a list that holds some, as they lie in memory."""
    return memoryview((c_uint8 * (octets.size * VALUE)).from_address(addressof(octets.data.contents))).cast("B")
