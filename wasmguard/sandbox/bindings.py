"""wasmtime's C library, bound directly.

`import wasmtime` costs a hook process 30 ms, of which 1 ms is the library itself (`python benchmarks/startup.py`), and
its public calls build type objects through FFI each time (27 us a call). So the call path binds the few C functions it
needs. The prototypes are those of the C API of wasmtime `VERSION`; the upper bound in pyproject.toml keeps it there,
and `tests/sandbox/test_bindings.py` compares every size below with the bindings of the installed package.

The library is opened twice: `PyDLL` keeps the interpreter lock, right for calls of tens of nanoseconds; `CDLL` releases
it, wherever guest code can run, so that the clock and other threads go on.
"""

from __future__ import annotations

import ctypes
from ctypes import addressof, byref, c_bool, c_char_p, c_int64, c_size_t, c_uint8, c_uint64, c_void_p

from wasmguard.errors import HostError
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAJOR = 50  # the major version whose C API is bound here

INSTANCE_BYTES = 16  # sizeof(wasmtime_instance_t)
EXTERN_BYTES = 32  # sizeof(wasmtime_extern_t): a kind, then the union
EXTERN_OF = 8  # where the union begins
RAW_VALUE_BYTES = 16  # sizeof(wasmtime_val_raw_t): room for a v128


class ByteVector(ctypes.Structure):
    """`wasm_byte_vec_t`: bytes that the library owns until `byte_vec_delete`."""

    _fields_ = (("size", c_size_t), ("data", c_void_p))


class Library:
    """The C functions of one wasmtime library, each with its types."""

    def __init__(self, path: str) -> None:
        try:
            quick, slow = ctypes.PyDLL(path), ctypes.CDLL(path)
        except OSError as error:
            raise HostError(
                f"cannot load wasmtime's library `{path}`: {one_line(str(error), 200)}: reinstall wasmtime"
            ) from None
        self.path = path
        self._quick = quick
        pointer, number = c_void_p, c_int64

        self.config_new = _bound(quick, "wasm_config_new", pointer)
        self.pooling_new = _bound(quick, "wasmtime_pooling_allocation_config_new", pointer)
        self.pooling_use = _bound(quick, "wasmtime_pooling_allocation_strategy_set", None, pointer, pointer)
        self.pooling_delete = _bound(quick, "wasmtime_pooling_allocation_config_delete", None, pointer)
        self.engine_new = _bound(quick, "wasm_engine_new_with_config", pointer, pointer)
        self.increment_epoch = _bound(quick, "wasmtime_engine_increment_epoch", None, pointer)

        self.module_deserialize = _bound(
            quick, "wasmtime_module_deserialize", pointer, pointer, c_char_p, c_size_t, pointer
        )
        self.module_delete = _bound(quick, "wasmtime_module_delete", None, pointer)
        self.linker_new = _bound(quick, "wasmtime_linker_new", pointer, pointer)
        self.linker_delete = _bound(quick, "wasmtime_linker_delete", None, pointer)
        self.instantiate_pre = _bound(quick, "wasmtime_linker_instantiate_pre", pointer, pointer, pointer, pointer)
        self.pre_delete = _bound(quick, "wasmtime_instance_pre_delete", None, pointer)

        self.store_new = _bound(quick, "wasmtime_store_new", pointer, pointer, pointer, pointer)
        self.store_context = _bound(quick, "wasmtime_store_context", pointer, pointer)
        self.store_delete = _bound(quick, "wasmtime_store_delete", None, pointer)
        self.store_limiter = _bound(
            quick, "wasmtime_store_limiter", None, pointer, number, number, number, number, number
        )
        self.set_fuel = _bound(quick, "wasmtime_context_set_fuel", pointer, pointer, c_uint64)
        self.get_fuel = _bound(quick, "wasmtime_context_get_fuel", pointer, pointer, pointer)
        self.set_epoch_deadline = _bound(quick, "wasmtime_context_set_epoch_deadline", None, pointer, c_uint64)
        self.export_get = _bound(
            quick, "wasmtime_instance_export_get", c_bool, pointer, pointer, c_char_p, c_size_t, pointer
        )
        self.memory_data = _bound(quick, "wasmtime_memory_data", pointer, pointer, pointer)
        self.memory_size = _bound(quick, "wasmtime_memory_data_size", c_size_t, pointer, pointer)

        self.error_message = _bound(quick, "wasmtime_error_message", None, pointer, pointer)
        self.error_delete = _bound(quick, "wasmtime_error_delete", None, pointer)
        self.trap_code = _bound(quick, "wasmtime_trap_code", c_bool, pointer, pointer)
        self.trap_delete = _bound(quick, "wasm_trap_delete", None, pointer)
        self.byte_vector_delete = _bound(quick, "wasm_byte_vec_delete", None, pointer)

        # guest code can run in these: start functions too
        self.instantiate = _bound(
            slow, "wasmtime_instance_pre_instantiate", pointer, pointer, pointer, pointer, pointer
        )
        self.instance_new = _bound(
            slow, "wasmtime_instance_new", pointer, pointer, pointer, pointer, c_size_t, pointer, pointer
        )
        self.call = _bound(slow, "wasmtime_func_call_unchecked", pointer, pointer, pointer, pointer, c_size_t, pointer)

    def setter(self, name: str, value: int) -> Any:
        """The C function that sets configuration switch *name* to a value of this kind.

        Raises:
            HostError: if there is no such switch. A switch that is silently ignored is a hole.
        """
        kind = c_bool if isinstance(value, bool) else c_uint8 if name == "wasmtime_config_strategy" else c_uint64
        try:
            return _bound(self._quick, f"{name}_set", None, c_void_p, kind)
        except AttributeError:
            raise HostError(f"this wasmtime does not know the switch `{name}`: install wasmtime {MAJOR}") from None

    def take_error(self, error: int) -> str:
        """The message of *error*, one cleaned line; the error is freed. It may contain names from the module."""
        vector = ByteVector()
        self.error_message(error, byref(vector))
        message = ctypes.string_at(vector.data, vector.size).decode("utf-8", "replace") if vector.size else ""
        self.byte_vector_delete(byref(vector))
        self.error_delete(error)
        return one_line(message, 200)

    def take_trap(self, trap: int) -> int | None:
        """The code of *trap* (see `TRAPS`), None if it has none; the trap is freed."""
        code = c_uint8()
        known = self.trap_code(trap, addressof(code))
        self.trap_delete(trap)
        return code.value if known else None


def find() -> str:
    """The path of the library inside the installed wasmtime package. Imports the package: not for the hot path.

    Raises:
        HostError: if wasmtime is missing or of another major version.
    """
    try:
        from importlib.metadata import version

        from wasmtime import _ffi

        installed = version("wasmtime")
    except (ImportError, RuntimeError, OSError) as error:
        raise HostError(
            f"wasmtime cannot be used here: {one_line(str(error), 200)}: reinstall wasmtime {MAJOR}"
        ) from None
    if int(installed.split(".")[0]) != MAJOR:
        raise HostError(f"wasmtime {installed} is installed: wasmguard needs {MAJOR}: reinstall wasmguard")
    return str(_ffi.filename)


def _bound(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = library[name]  # indexing makes a new object: nobody else's prototype changes
    function.restype, function.argtypes = result, arguments
    return function
