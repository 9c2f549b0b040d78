"""The engine: one table of switches, how it is applied, and the clock that ends guests.

A wasmtime configuration ignores names that it does not know, so every switch goes through `SWITCHES`, its setter must
exist, and `tests/sandbox/test_engine.py` proves each refusal by a module. What is switched off is what compilers do not
need and advisories were about (shared memory, GC, exceptions, tail calls, 64-bit memories, async components, …). NaNs
are canonical and nothing is parallel, so that a verdict is a pure function and a compile can be killed.

Memory: a reservation as large as the largest memory limit, and a guard of 64 KiB. Never a guard of 0 with the pooling
allocator: CVE-2026-34988 was a reset of the last instance's memory that was skipped exactly then.

A guest runs under fuel; the epoch is the backstop. `Clock` bumps it every 10 ms, only while a guest runs.
"""

from __future__ import annotations

import _thread
import os
import sys
from time import monotonic, sleep

from wasmguard.errors import HostError
from wasmguard.limits import GIB, KIB, MIB
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wasmguard.sandbox.bindings import Library

LINGER = 1.0  # seconds that the clock ticks on after a guest began: waking it up takes longer than a decision
TICK = 0.010  # seconds between two bumps of the epoch: below, a busy machine makes them bunch
GUARD = 64 * KIB  # bytes behind each memory; see above
KEEP_RESIDENT = (
    128 * KIB
)  # bytes of a slot's memory that are reset by writing instead of unmapping: 2.8 us instead of 9.6
HEADROOM = GIB  # bytes of address space for everything but the slots, before the pool is dared

SWITCHES: dict[str, bool] = {
    "consume_fuel": True,
    "epoch_interruption": True,
    "cranelift_nan_canonicalization": True,
    "signals_based_traps": True,  # off: compute up to 2.6x slower, and CVE-2026-24116 needed it off
    "parallel_compilation": False,  # a fork after a parallel compile hangs for ever
    "debug_info": False,  # junk DWARF is then not parsed
    "gc_support": False,
    "wasm_gc": False,
    "wasm_function_references": False,
    "wasm_exceptions": False,
    "wasm_threads": False,
    "shared_memory": False,
    "wasm_memory64": False,
    "wasm_multi_memory": False,
    "wasm_tail_call": False,
    "wasm_stack_switching": False,
    "wasm_custom_page_sizes": False,
    "wasm_wide_arithmetic": False,
    "wasm_relaxed_simd": False,
    "wasm_component_model": False,
    "wasm_component_model_async": False,
}
COMPONENT_SWITCHES = {
    **SWITCHES,
    "wasm_component_model": True,
    "wasm_multi_memory": True,  # off: wasmtime 50.0.1 aborts while compiling the adapter between two components
}
CRANELIFT = 1  # wasmtime_strategy_t; Winch has had escapes of its own


class Setup(Value):
    """What an engine is built for. Code compiled under one setup loads only under the same."""

    kind: str = "core"
    """`core` or `component`: an engine runs one or the other."""

    reservation: int = 16 * MIB
    """Bytes of address space for each memory; the largest memory limit in the plan, rounded up."""

    stack: int = 256 * KIB
    """Bytes of wasm stack. Threads that run guests need four times as much."""

    table_elements: int = 10_000
    """The largest table of the plan, for the pool's slots."""

    @property
    def switches(self) -> dict[str, int]:
        """Every configuration setter without `_set`, and its value."""
        wanted = COMPONENT_SWITCHES if self.kind == "component" else SWITCHES
        sizes = {"max_wasm_stack": self.stack, "memory_reservation": self.reservation, "memory_guard_size": GUARD}
        sizes |= {"memory_reservation_for_growth": 0, "strategy": CRANELIFT}
        return {f"wasmtime_config_{name}": value for name, value in (wanted | sizes).items()}

    @property
    def identity(self) -> str:
        """One line that differs whenever compiled code would: part of the cache key."""
        return " ".join(f"{name}={int(value)}" for name, value in sorted(self.switches.items()) if "stack" not in name)


def configure(config: int | Any, setup: Setup, setter: Callable[[str, int], Any]) -> None:
    """Apply every switch of *setup* to a `wasm_config_t`; *setter* finds the C function of a switch."""
    for name, value in setup.switches.items():
        setter(name, value)(config, value)


class Engine:
    """One engine, made through the C API, and its clock. Lives as long as the process."""

    def __init__(self, library: Library, setup: Setup, slots: int) -> None:
        if not _stack_suffices(setup.stack):
            raise HostError("threads have too little stack here: raise the stack limit (`ulimit -s`) to 1 MiB or more")
        self.functions, self.setup = library, setup
        config = library.config_new()
        configure(config, setup, library.setter)
        self.allocator = "pooling" if slots > 1 and _room_for(slots * (setup.reservation + GUARD)) else "on-demand"
        if self.allocator == "pooling":
            self._pool(config, slots)
        self.pointer = library.engine_new(config)  # eats the configuration
        if not self.pointer:
            raise HostError("wasmtime gave no engine: reinstall wasmtime")
        self.clock = Clock(lambda: library.increment_epoch(self.pointer))

    def ready(self) -> None:
        """Check that a guest may run in this thread, see `ready`."""
        ready(self.setup)

    def _pool(self, config: int, slots: int) -> None:
        """Slots that stay mapped between events: no page faults, no mmap, 19 us less for each instance."""
        library, setup = self.functions, self.setup
        sizes = {
            "total_core_instances": 3 * slots,  # the policy, and two around it if it imports WASI
            "total_memories": slots,
            "total_tables": 5 * slots,
            "max_tables_per_module": 4,
            "table_elements": setup.table_elements,
            "max_memory_size": setup.reservation,
            "linear_memory_keep_resident": KEEP_RESIDENT,
            "table_keep_resident": 4 * KIB,
            "total_stacks": 0,
            "total_gc_heaps": 0,
        }
        pool = library.pooling_new()
        for name, value in sizes.items():
            library.setter(f"wasmtime_pooling_allocation_config_{name}", value)(pool, value)
        library.pooling_use(config, pool)  # copies
        library.pooling_delete(pool)


class Clock:
    """Ends guests that run too long: bumps the epoch every `TICK` while a guest runs, and sleeps otherwise."""

    def __init__(self, bump: Callable[[], None]) -> None:
        self._bump = bump
        self._reset()
        if hasattr(os, "register_at_fork"):  # threads do not survive a fork
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._running, self._latest = 0, 0.0
        self._asleep, self._started, self._alive = True, False, False
        self._gate, self._wake = _thread.RLock(), _thread.allocate_lock()  # a signal may decide inside `start`
        self._wake.acquire()

    def begin(self) -> None:
        """Start the thread, and wait until it runs: once a process is shut in, no thread gets through its start."""
        self.start()
        self.stop()
        while not self._alive:
            sleep(0.0005)

    def start(self) -> None:
        """Say that a guest begins to run."""
        with self._gate:
            if self._asleep:
                self._rouse()
            self._running += 1
            self._latest = monotonic()

    def stop(self) -> None:
        """Say that it is over."""
        with self._gate:
            self._running -= 1

    def _rouse(self) -> None:
        if self._started:
            self._wake.release()
        else:
            _thread.start_new_thread(self._run, (self._wake,))
            self._started = True
        self._asleep = False

    def _run(self, wake: _thread.LockType) -> None:
        self._alive = True
        while True:
            sleep(TICK)
            self._bump()
            with self._gate:
                idle = self._running <= 0 and monotonic() > self._latest + LINGER
                self._asleep = idle
            if idle:
                wake.acquire()


def ready(setup: Setup) -> None:
    """Check that the threads of this process have stack enough for guests of *setup*.

    Raises:
        HostError: if not. With 512 KiB and a guest that recurses, the process dies of SIGSEGV.
    """
    small = _thread.stack_size()
    if small and small < max(MIB, 2 * setup.stack):
        raise HostError(f"threads have {small:_} bytes of stack here: give `threading.stack_size` 1 MiB or more")


def ticks(milliseconds: int) -> int:
    """How many bumps of the epoch a clock limit is, at least; the first one may come at once."""
    return -(-milliseconds // int(TICK * 1000)) + 1


def _room_for(slots: int) -> bool:
    """Whether the pool can be dared: it aborts the process when its address space is refused."""
    if sys.platform == "win32":
        return False
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < slots + HEADROOM:
        return False
    try:
        with open("/proc/sys/vm/overcommit_memory", "rb") as file:
            return file.read(1) != b"2"  # 2: reserving address space counts as using memory
    except OSError:
        return sys.platform == "darwin"


def _stack_suffices(wasm_stack: int) -> bool:
    """Whether threads get enough stack from the system, see `ready`."""
    needed = max(MIB, 2 * wasm_stack)
    if sys.platform == "win32":
        return needed <= MIB
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return soft == resource.RLIM_INFINITY or soft >= needed
