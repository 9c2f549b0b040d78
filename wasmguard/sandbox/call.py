"""One evaluation in a fresh instance, straight over the C API: what every event of a core module costs.

1. A fresh store and instance for every event; the store dies in `finally`, whatever happened, so that nothing is kept
   and no slot of the pool is lost.
2. One budget of fuel and one of time for everything: start function, `_initialize`, alloc, evaluate.
3. Numbers from the guest are made unsigned, then checked against the memory as it is now (it may have grown or moved
   since), then used. Nothing is clipped.
4. A policy that imports WASI gets it from a module of wasm around it, by position; a sealed one pays nothing for that.
5. Both channels of failure are read after every call, the returned error and the trap, and both are cleared.

The call is unchecked: it reads and writes raw slots whatever the function's type is. The types were checked when the
module was locked, twice, by two readers (`scan` and wasmtime); the compiled code that was checked is the code that is
loaded, because the cache authenticates it.
"""

from __future__ import annotations

from ctypes import addressof, byref, c_uint64, c_void_p, create_string_buffer, memmove, string_at

from wasmguard.errors import CacheError
from wasmguard.guest import abi
from wasmguard.sandbox import bindings as c
from wasmguard.sandbox.at_once import small
from wasmguard.sandbox.engine import ticks
from wasmguard.sandbox.failure import RANGE, REFUSED, ROOM, TRAP, UNKNOWN, Failed, Runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasmguard.limits import Limits
    from wasmguard.sandbox.bindings import Library
    from wasmguard.sandbox.engine import Engine
    from wasmguard.sandbox.inert import Inert

U32, U64 = 2**32 - 1, 2**64 - 1
START, IN_INITIALIZE, IN_ALLOC, IN_EVALUATE = range(4)  # places in `PHASES`
SHIM_AND_FIXUP = 2  # instances around a policy that imports WASI; one more table goes with them
TABLE = b"table"  # what the shim exports and the fixup imports: `wasmguard.sandbox.wasi`
MEMORY, ALLOC, EVALUATE, INITIALIZE = (name.encode() for name in (abi.MEMORY, abi.ALLOC, abi.EVALUATE, abi.INITIALIZE))


class Buffers:
    """Room for one evaluation's handles and values. Two evaluations on one set abort the process."""

    def __init__(self) -> None:
        self.trapped, self.left = c_void_p(), c_uint64()
        self.slots = (c_uint64 * (2 * c.RAW_VALUE_BYTES // 8))()  # two raw values: numbers stand at [0] and [2]
        self._instance = create_string_buffer(c.INSTANCE_BYTES)
        self._externs = create_string_buffer(5 * c.EXTERN_BYTES)
        self.trap, self.fuel, self.raw = addressof(self.trapped), addressof(self.left), addressof(self.slots)
        self.instance, first = addressof(self._instance), addressof(self._externs)
        *externs, self.said = (first + i * c.EXTERN_BYTES for i in range(5))
        self.externs = tuple(externs)  # `said` is for `wasmguard.sandbox.opa_guest`


class Around:
    """A policy that imports WASI, and the two modules around it: see `wasmguard.sandbox.wasi`."""

    def __init__(self, engine: Engine, policy: c_void_p, inert: Inert) -> None:
        self._library = engine.functions
        self._shim = _sealed(engine, _loaded(engine, inert.shim))
        self._policy, self._fixup = policy, _loaded(engine, inert.fixup)
        self._imports = [name.encode() for name in inert.imports]
        self._room = (len(self._imports) + 2) * c.EXTERN_BYTES  # for the policy's imports, then for the fixup's two

    def instantiate(self, context: int, b: Buffers) -> None:
        """Make the policy's instance; its imports are given by position, so that one may stand there twice."""
        lib, count = self._library, len(self._imports)
        shim, given = create_string_buffer(c.INSTANCE_BYTES), create_string_buffer(self._room)
        around, first = addressof(shim), addressof(given)
        memory = first + count * c.EXTERN_BYTES
        table = memory + c.EXTERN_BYTES

        done(lib, b, START, lib.instantiate(self._shim, context, around, b.trap))
        for place, name in enumerate(self._imports):
            export(lib, context, around, name, first + place * c.EXTERN_BYTES)
        export(lib, context, around, TABLE, table)
        done(lib, b, START, lib.instance_new(context, self._policy, first, count, b.instance, b.trap))
        export(lib, context, b.instance, MEMORY, memory)
        done(lib, b, START, lib.instance_new(context, self._fixup, memory, 2, around, b.trap))


class CoreGuest(Runs):
    """A compiled core module, ready to be asked. Safe to share between threads."""

    between = Around

    def __init__(self, engine: Engine, code: bytes, limits: Limits, answer: int, inert: Inert | None = None) -> None:
        """Load *code*, which `compile` made and the cache verified; *answer* caps an answer's bytes, *inert* is what a
        module that imports WASI is given.

        Raises:
            CacheError: if it was compiled for another engine.
        """
        super().__init__(limits, answer)
        self._engine = engine
        self._library = engine.functions
        self._initializes = True  # as far as we know: its first instance says whether it has that export
        self._whole, self._little = (limits.fuel, ticks(limits.clock)), small(limits)
        self._free: list[Buffers] = []  # taken for one evaluation each, and one may begin inside another: in a signal
        self._store = [limits.memory, limits.table_elements, limits.instances, limits.tables, limits.memories]
        module = _loaded(engine, code)
        self._around = self.between(engine, module, inert) if inert else None
        self._pre = None if inert else _sealed(engine, module)
        if inert:
            self._store[2] += SHIM_AND_FIXUP
            self._store[3] += 1

    def run(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """See `Runs.run`."""
        engine, lib, free = self._engine, self._library, self._free
        fuel, bumps = self._little if at_once else self._whole
        engine.ready()
        try:
            buffers = free.pop()
        except IndexError:
            buffers = Buffers()
        engine.clock.start()
        store = lib.store_new(engine.pointer, None, None)
        try:
            lib.store_limiter(store, *self._store)
            context = lib.store_context(store)
            lib.set_fuel(context, fuel)
            lib.set_epoch_deadline(context, bumps)
            try:
                answer = self._asked(context, buffers, request)
            except Failed as failed:
                failed.fuel = None if failed.out_of_time else fuel - self._left(context, buffers)
                raise
            return answer, fuel - self._left(context, buffers)
        finally:
            lib.store_delete(store)
            engine.clock.stop()
            free.append(buffers)

    def warm(self) -> None:
        """Make what the engine makes at the first instance, such as the image of the memory, with no fuel: no
        instruction of the guest runs. A jailed process could not make it later."""
        lib, b = self._library, Buffers()
        store = lib.store_new(self._engine.pointer, None, None)
        try:
            lib.store_limiter(store, *self._store)
            context = lib.store_context(store)
            lib.set_fuel(context, 0)
            lib.set_epoch_deadline(context, 1)
            if self._around is None:
                done(lib, b, START, lib.instantiate(self._pre, context, b.instance, b.trap))
            else:
                self._around.instantiate(context, b)
        except Failed:
            pass  # a start function, or a limit: that comes again when it is asked
        finally:
            lib.store_delete(store)

    def _asked(self, context: int, b: Buffers, request: bytes) -> bytes:
        lib, slots, size = self._library, b.slots, len(request)
        if self._around is None:
            done(lib, b, START, lib.instantiate(self._pre, context, b.instance, b.trap))
        else:
            self._around.instantiate(context, b)
        memory, alloc, evaluate, initialize = b.externs
        export(lib, context, b.instance, MEMORY, memory)
        export(lib, context, b.instance, ALLOC, alloc)
        export(lib, context, b.instance, EVALUATE, evaluate)
        memory += c.EXTERN_OF
        if self._initializes:
            self._initializes = lib.export_get(context, b.instance, INITIALIZE, len(INITIALIZE), initialize)
        if self._initializes:
            done(lib, b, IN_INITIALIZE, lib.call(context, initialize + c.EXTERN_OF, b.raw, 1, b.trap))

        slots[0] = size
        done(lib, b, IN_ALLOC, lib.call(context, alloc + c.EXTERN_OF, b.raw, 1, b.trap))
        start = slots[0] & U32
        if not start or start + size > lib.memory_size(context, memory):
            raise Failed(ROOM, start, size)
        memmove(lib.memory_data(context, memory) + start, request, size)

        slots[0], slots[2] = start, size
        done(lib, b, IN_EVALUATE, lib.call(context, evaluate + c.EXTERN_OF, b.raw, 2, b.trap))
        begin, length = slots[0] >> 32, slots[0] & U32
        if not 0 < length <= self._answer or begin + length > lib.memory_size(context, memory):
            raise Failed(RANGE, begin, length)
        return string_at(lib.memory_data(context, memory) + begin, length)

    def _left(self, context: int, b: Buffers) -> int:
        self._library.get_fuel(context, b.fuel)
        return b.left.value


def _loaded(engine: Engine, code: bytes) -> c_void_p:
    module, lib = c_void_p(), engine.functions
    if error := lib.module_deserialize(engine.pointer, code, len(code), byref(module)):
        raise CacheError(f"compiled for another engine: {lib.take_error(error)}: run `wasmguard lock`")
    return module


def _sealed(engine: Engine, module: c_void_p) -> int | None:
    """What makes instances of a module without imports, with everything checked beforehand."""
    pre, lib = c_void_p(), engine.functions
    linker = lib.linker_new(engine.pointer)  # nothing is ever defined in it: no host function exists
    error = lib.instantiate_pre(linker, module, byref(pre))
    lib.linker_delete(linker)
    if error:
        lib.module_delete(module)
        raise CacheError(f"the module imports something: {lib.take_error(error)}: run `wasmguard lock`")
    return pre.value


def export(lib: Library, context: int, instance: int, name: bytes, place: int) -> None:
    """Put the handle of the export *name* of *instance* at *place*."""
    if not lib.export_get(context, instance, name, len(name), place):
        raise CacheError(f"compiled code lost its export `{name.decode()}`: run `wasmguard lock`")


def done(lib: Library, b: Buffers, phase: int, error: int | None) -> None:
    """See what came of a call in *phase*, which returned *error*. Raises Failed."""
    trap = b.trapped.value
    if error or trap:
        b.trapped.value = None  # else the thread's next call would seem to trap
        if trap:
            code = lib.take_trap(trap)
            raise Failed(TRAP, UNKNOWN if code is None else code, phase)
        raise Failed(REFUSED, phase, 0, lib.take_error(error or 0))
