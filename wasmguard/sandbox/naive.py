"""What one writes first with wasmtime's public API: what `wasmguard bench --peers` compares with. Nothing else uses it.

As fair as it is simple: the module is compiled once, every event gets a fresh instance under fuel, a deadline and a
memory limit, and pointers are looked at; so it gives what a guard must give, and only the way there is another.
"""

from __future__ import annotations

from typing import Any

import wasmtime

from wasmguard.errors import BundleError, GuestFault
from wasmguard.guest import abi
from wasmguard.limits import DEFAULT
from wasmguard.text import one_line

FOREVER = 2**32  # ticks of an epoch that nobody counts


class Naive:
    """A core module of ABI 1, asked through wasmtime's public API."""

    def __init__(self, module: bytes) -> None:
        """Compile *module*, which must be one of ours: nothing limits the compiler.

        Raises:
            BundleError: if it is no valid module.
        """
        config = wasmtime.Config()
        config.consume_fuel = config.epoch_interruption = True
        self._engine = wasmtime.Engine(config)
        try:
            self._module = wasmtime.Module(self._engine, module)
        except wasmtime.WasmtimeError as error:
            raise BundleError(f"cannot be compiled: {one_line(str(error), 300)}: correct the module") from None

    def evaluate(self, request: bytes) -> bytes:
        """What a fresh instance answers.

        Raises:
            GuestFault: if it does not.
        """
        store = wasmtime.Store(self._engine)
        try:
            store.set_limits(memory_size=DEFAULT.memory)
            store.set_fuel(DEFAULT.fuel)
            store.set_epoch_deadline(FOREVER)
            exports: Any = wasmtime.Instance(store, self._module, []).exports(store)
            memory, size = exports[abi.MEMORY], len(request)
            start = exports[abi.ALLOC](store, size)
            memory.write(store, request, start)
            packed = exports[abi.EVALUATE](store, start, size)
            begin, length = packed >> 32, packed & 0xFFFFFFFF
            if not 0 <= begin <= begin + length <= memory.data_len(store):
                raise GuestFault("the answer is not in the guest's memory: correct the module")
            return bytes(memory.read(store, begin, begin + length))
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            raise GuestFault(f"no answer: {one_line(str(error), 300)}") from None
        finally:
            store.close()
