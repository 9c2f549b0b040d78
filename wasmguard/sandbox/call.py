"""One evaluation in a fresh instance, straight over the C API: what every event of a core module costs.

1. A fresh store and instance for every event; the store dies in `finally`, whatever happened, so that nothing is kept
   and no slot of the pool is lost.
2. One budget of fuel and one of time for everything: start function, `_initialize`, alloc, evaluate.
3. Numbers from the guest are made unsigned, then checked against the memory as it is now (it may have grown or moved
   since), then used. Nothing is clipped.
4. Both channels of failure are read after every call, the returned error and the trap, and both are cleared.

The call is unchecked: it reads and writes raw slots whatever the function's type is. The types were checked when the
module was locked, twice, by two readers (`scan` and wasmtime); the compiled code that was checked is the code that is
loaded, because the cache authenticates it.
"""

from __future__ import annotations

from ctypes import addressof, byref, c_uint64, c_void_p, create_string_buffer, memmove, string_at

from wasmguard.errors import CacheError
from wasmguard.guest import abi
from wasmguard.sandbox import bindings as c
from wasmguard.sandbox.engine import ticks
from wasmguard.sandbox.failure import RANGE, REFUSED, ROOM, TRAP, UNKNOWN, Failed, Runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasmguard.limits import Limits
    from wasmguard.sandbox.engine import Engine

U32, U64 = 2**32 - 1, 2**64 - 1
START, IN_INITIALIZE, IN_ALLOC, IN_EVALUATE = range(4)  # places in `PHASES`
MEMORY, ALLOC, EVALUATE, INITIALIZE = (name.encode() for name in (abi.MEMORY, abi.ALLOC, abi.EVALUATE, abi.INITIALIZE))


class _Buffers:
    """Room for one evaluation's handles and values. Two evaluations on one set abort the process."""

    def __init__(self) -> None:
        self.trapped, self.left = c_void_p(), c_uint64()
        self.slots = (c_uint64 * (2 * c.RAW_VALUE_BYTES // 8))()  # two raw values: numbers stand at [0] and [2]
        self._instance = create_string_buffer(c.INSTANCE_BYTES)
        self._externs = create_string_buffer(4 * c.EXTERN_BYTES)
        self.trap, self.fuel, self.raw = addressof(self.trapped), addressof(self.left), addressof(self.slots)
        self.instance, first = addressof(self._instance), addressof(self._externs)
        self.externs = tuple(first + i * c.EXTERN_BYTES for i in range(4))


class CoreGuest(Runs):
    """A compiled core module, ready to be asked. Safe to share between threads."""

    def __init__(self, engine: Engine, code: bytes, limits: Limits, answer: int) -> None:
        """Load *code*, which `compile` made and the cache verified; *answer* caps an answer's bytes.

        Raises:
            CacheError: if it was compiled for another engine.
        """
        super().__init__(limits, answer)
        self._engine = engine
        self._library = lib = engine.functions
        self._free: list[_Buffers] = []  # taken for one evaluation each, and one may begin inside another: in a signal
        module, pre = c_void_p(), c_void_p()
        if error := lib.module_deserialize(engine.pointer, code, len(code), byref(module)):
            raise CacheError(f"compiled for another engine: {lib.take_error(error)}: run `wasmguard lock`")
        linker = lib.linker_new(engine.pointer)  # nothing is ever defined in it: no host function exists
        error = lib.instantiate_pre(linker, module, byref(pre))
        lib.linker_delete(linker)
        if error:
            lib.module_delete(module)
            raise CacheError(f"the module imports something: {lib.take_error(error)}: run `wasmguard lock`")
        self._module, self._pre = module, pre.value

    def run(self, request: bytes) -> tuple[bytes, int]:
        """See `Runs.run`."""
        engine, lib, limits, free = self._engine, self._library, self._limits, self._free
        engine.ready()
        try:
            buffers = free.pop()
        except IndexError:
            buffers = _Buffers()
        engine.clock.start()
        store = lib.store_new(engine.pointer, None, None)
        try:
            lib.store_limiter(
                store, limits.memory, limits.table_elements, limits.instances, limits.tables, limits.memories
            )
            context = lib.store_context(store)
            lib.set_fuel(context, limits.fuel)
            lib.set_epoch_deadline(context, ticks(limits.clock))
            try:
                answer = self._asked(context, buffers, request)
            except Failed as failed:
                failed.fuel = None if failed.out_of_time else self._burned(context, buffers)
                raise
            return answer, self._burned(context, buffers)
        finally:
            lib.store_delete(store)
            engine.clock.stop()
            free.append(buffers)

    def _asked(self, context: int, b: _Buffers, request: bytes) -> bytes:
        lib, slots, size = self._library, b.slots, len(request)
        self._done(b, START, lib.instantiate(self._pre, context, b.instance, b.trap))
        memory, alloc, evaluate, initialize = b.externs
        if not (
            lib.export_get(context, b.instance, MEMORY, len(MEMORY), memory)
            and lib.export_get(context, b.instance, ALLOC, len(ALLOC), alloc)
            and lib.export_get(context, b.instance, EVALUATE, len(EVALUATE), evaluate)
        ):
            raise CacheError("the compiled module lost an export: run `wasmguard lock`")
        memory += c.EXTERN_OF
        if lib.export_get(context, b.instance, INITIALIZE, len(INITIALIZE), initialize):
            self._done(b, IN_INITIALIZE, lib.call(context, initialize + c.EXTERN_OF, b.raw, 1, b.trap))

        slots[0] = size
        self._done(b, IN_ALLOC, lib.call(context, alloc + c.EXTERN_OF, b.raw, 1, b.trap))
        start = slots[0] & U32
        if not start or start + size > lib.memory_size(context, memory):
            raise Failed(ROOM, start, size)
        memmove(lib.memory_data(context, memory) + start, request, size)

        slots[0], slots[2] = start, size
        self._done(b, IN_EVALUATE, lib.call(context, evaluate + c.EXTERN_OF, b.raw, 2, b.trap))
        begin, length = slots[0] >> 32, slots[0] & U32
        if not 0 < length <= self._answer or begin + length > lib.memory_size(context, memory):
            raise Failed(RANGE, begin, length)
        return string_at(lib.memory_data(context, memory) + begin, length)

    def _burned(self, context: int, b: _Buffers) -> int:
        self._library.get_fuel(context, b.fuel)
        return self._limits.fuel - b.left.value

    def _done(self, b: _Buffers, phase: int, error: int | None) -> None:
        trap = b.trapped.value
        if error or trap:
            b.trapped.value = None  # else the thread's next call would seem to trap
            if trap:
                code = self._library.take_trap(trap)
                raise Failed(TRAP, UNKNOWN if code is None else code, phase)
            raise Failed(REFUSED, phase, 0, self._library.take_error(error or 0))
