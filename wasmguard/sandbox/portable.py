"""The same evaluations through wasmtime's public Python API: for components, as fallback, and as the tests' oracle.

A core module gets the same answer, fuel and fault from here as from `call`, more slowly: `WASMGUARD_PORTABLE=1` chooses
it, and `tests/sandbox/test_portable.py` asks both about every guest there is. Components run only here.

A trap inside a component arrives as `WasmtimeError`, not as `Trap`, and its code only as text in the message.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import wasmtime
from wasmtime import Trap, WasmtimeError, _ffi, component

from wasmguard.errors import CacheError, HostError
from wasmguard.guest import abi
from wasmguard.sandbox import traps as c
from wasmguard.sandbox.at_once import small
from wasmguard.sandbox.call import IN_ALLOC, IN_EVALUATE, IN_INITIALIZE, SHIM_AND_FIXUP, START, TABLE, U32, U64
from wasmguard.sandbox.engine import Clock, Setup, configure, ready, ticks
from wasmguard.sandbox.failure import PHASES, RANGE, REFUSED, ROOM, TRAP, UNKNOWN, Failed, Runs
from wasmguard.sandbox.lift import evaluated
from wasmguard.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmguard.limits import Limits
    from wasmguard.sandbox.inert import Inert

COMPONENT_TRAPS = {
    "call stack exhausted": c.STACK_OVERFLOW,
    "interrupt": c.INTERRUPT,
    "all fuel consumed by WebAssembly": c.OUT_OF_FUEL,
}

SEALS = 0xF  # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE: the file stays as it is
ADVICE = "allow `memfd_create`, more open files and `/proc` here"


class PortableEngine:
    """An engine with the on-demand allocator, made and used through the public API, and its clock."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.engine = engine = wasmtime.Engine(configuration(setup))
        self.clock = Clock(engine.increment_epoch)


def configuration(setup: Setup) -> wasmtime.Config:
    """The public configuration object with every switch of *setup*: compiled code fits both kinds of engine."""
    config = wasmtime.Config()
    configure(config.ptr(), setup, lambda name, _: getattr(_ffi, f"{name}_set"))
    return config


IN_COMPONENT = PHASES.index(abi.COMPONENT_EXPORT)


class _Portable(Runs):
    """What both kinds of guest share: a fresh store under limits, and faults made of both exception trees."""

    extra_instances = extra_tables = 0

    def __init__(self, engine: PortableEngine, limits: Limits, answer: int) -> None:
        super().__init__(limits, answer)
        self._engine = engine

    def run(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """See `Runs.run`."""
        limits, store = self._limits, wasmtime.Store(self._engine.engine)
        fuel, bumps = small(limits) if at_once else (limits.fuel, ticks(limits.clock))
        ready(self._engine.setup)
        self._engine.clock.start()
        try:
            instances, tables = limits.instances + self.extra_instances, limits.tables + self.extra_tables
            store.set_limits(limits.memory, limits.table_elements, instances, tables, limits.memories)
            store.set_fuel(fuel)
            store.set_epoch_deadline(bumps)
            try:
                answer = self._asked(store, request)
            except Failed as failed:
                failed.fuel = None if failed.out_of_time else fuel - store.get_fuel()
                raise
            return answer, fuel - store.get_fuel()
        finally:
            store.close()
            self._engine.clock.stop()

    def _asked(self, store: wasmtime.Store, request: bytes) -> bytes:
        raise TypeError("the kind of guest decides")

    def _done(self, phase: int, call: Callable[[], Any]) -> Any:
        """What *call* returns; its failure as a fault that names *phase*."""
        try:
            return call()
        except Trap as trap:
            code = trap.trap_code
            raise Failed(TRAP, UNKNOWN if code is None else code.value, phase) from None
        except WasmtimeError as error:
            message = str(error).strip()
            if "wasm trap:" in message:
                why = message.rpartition("wasm trap:")[2].strip()
                raise Failed(TRAP, _code_of(why), phase) from None
            raise Failed(REFUSED, phase, 0, one_line(message, 200)) from None


class PortableCoreGuest(_Portable):
    """A core module behind the public API."""

    def __init__(
        self, engine: PortableEngine, code: bytes, limits: Limits, answer: int, inert: Inert | None = None
    ) -> None:
        super().__init__(engine, limits, answer)
        self._module = _loaded(wasmtime.Module.deserialize, engine, code)
        self._around: list[wasmtime.Module] = []
        if inert:
            self._around = [_loaded(wasmtime.Module.deserialize, engine, made) for made in (inert.shim, inert.fixup)]
            self._imports = inert.imports
            self.extra_instances, self.extra_tables = SHIM_AND_FIXUP, 1

    def warm(self) -> None:
        """See `CoreGuest.warm`."""
        limits, store = self._limits, wasmtime.Store(self._engine.engine)
        try:
            store.set_limits(limits.memory, limits.table_elements, -1, -1, limits.memories)
            store.set_fuel(0)
            store.set_epoch_deadline(1)
            with suppress(Failed):
                self._done(START, lambda: self._started(store))
        finally:
            store.close()

    def _started(self, store: wasmtime.Store) -> wasmtime.Instance:
        """The policy's instance; between shim and fixup if it imports WASI, see `wasmguard.sandbox.wasi`."""
        if not self._around:
            return wasmtime.Instance(store, self._module, [])
        shim, fixup = self._around
        given = wasmtime.Instance(store, shim, []).exports(store)
        instance = wasmtime.Instance(store, self._module, [given[name] for name in self._imports])
        wasmtime.Instance(store, fixup, [instance.exports(store)[abi.MEMORY], given[TABLE.decode()]])
        return instance

    def _asked(self, store: wasmtime.Store, request: bytes) -> bytes:
        return self._exchanged(store, self._done(START, lambda: self._started(store)), request)

    def _exchanged(self, store: wasmtime.Store, instance: wasmtime.Instance, request: bytes) -> bytes:
        exports: Any = instance.exports(store)
        size = len(request)
        memory, alloc, evaluate = exports[abi.MEMORY], exports[abi.ALLOC], exports[abi.EVALUATE]
        if abi.INITIALIZE in exports:
            self._done(IN_INITIALIZE, lambda: exports[abi.INITIALIZE](store))
        start = self._done(IN_ALLOC, lambda: alloc(store, size)) & U32
        if not start or start + size > memory.data_len(store):
            raise Failed(ROOM, start, size)
        if size:  # the binding refuses to write nothing at the end of a memory
            memory.write(store, request, start)
        packed = self._done(IN_EVALUATE, lambda: evaluate(store, _signed(start), size)) & U64
        begin, length = packed >> 32, packed & U32
        if not 0 < length <= self._answer or begin + length > memory.data_len(store):
            raise Failed(RANGE, begin, length)
        return bytes(memory.read(store, begin, begin + length))


class ComponentGuest(_Portable):
    """A component of the world in `guest.abi`."""

    quick = False  # its instances have no pool to start from

    def __init__(self, engine: PortableEngine, code: bytes, limits: Limits, answer: int) -> None:
        super().__init__(engine, limits, answer)
        self._component = _loaded(_component, engine, code)
        self._linker = component.Linker(engine.engine)

    def _asked(self, store: wasmtime.Store, request: bytes) -> bytes:
        instance = self._done(START, lambda: self._linker.instantiate(store, self._component))
        evaluate = instance.get_func(store, abi.COMPONENT_EXPORT)
        if evaluate is None:
            raise CacheError(f"the compiled component lost its export `{abi.COMPONENT_EXPORT}`: run `wasmguard lock`")
        return bytes(self._done(IN_COMPONENT, lambda: evaluated(evaluate, store, request, self._answer)))


def _component(engine: wasmtime.Engine, code: bytes) -> component.Component:
    """A component whose memories start as images of its code, where it lies: nothing is copied for an event.

    An interpreter starts from megabytes; copied, each byte takes a unit of fuel. wasmtime 50.0.1 maps them, privately,
    from the file that the code came from, or makes a file in memory at the first instance of each core module. A jailed
    process could not do the latter, and one is no instance before its start functions have run: so the code comes from
    a file in memory, which nobody can change. Of its two descriptors the engine keeps one, as long as the component.

    Raises:
        HostError: if there can be no such file. Without it, a jailed process would be killed when it is asked.
    """
    if not hasattr(os, "memfd_create"):
        return component.Component.deserialize(engine, code)
    file = -1
    try:
        file = os.memfd_create("component", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        path = _filled(file, code)
        return component.Component.deserialize_file(engine, path)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise HostError(f"cannot keep a component's code in memory: {why}: {ADVICE}") from None
    finally:
        if file >= 0:
            os.close(file)


def _filled(file: int, code: bytes) -> str:
    """A path of *file*, which holds *code* from now on. Raises OSError if it cannot, or nobody can open that path."""
    import fcntl  # Windows has none, but it has no files in memory either

    with open(file, "wb", closefd=False) as stream:
        stream.write(code)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
    path = f"/proc/self/fd/{file}"
    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))  # the engine would say no more than that it failed
    return path


def _loaded(deserialize: Callable[[wasmtime.Engine, bytes], Any], engine: PortableEngine, code: bytes) -> Any:
    try:
        return deserialize(engine.engine, code)
    except WasmtimeError as error:
        why = one_line(str(error), 200)
        raise CacheError(f"compiled for another engine: {why}: run `wasmguard lock`") from None


def _code_of(why: str) -> int:
    """The trap code that a component's message means. Text is all there is: the binding drops the code."""
    return next(
        (code for text, code in COMPONENT_TRAPS.items() if text in why), _NAMED.get(why.splitlines()[0], UNKNOWN)
    )


_NAMED = {
    "out of bounds memory access": 1,
    "undefined element: out of bounds table access": 3,
    "uninitialized element": 4,
    "indirect call type mismatch": 5,
    "integer overflow": 6,
    "integer divide by zero": 7,
    "invalid conversion to integer": 8,
    "wasm `unreachable` instruction executed": 9,
}


def _signed(number: int) -> int:
    return number - 2**32 if number >= 2**31 else number
