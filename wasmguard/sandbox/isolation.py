"""How far guests are kept from the process that decides: `process` or `thread`.

`process`: in jailed children (`sandbox.process`), what everybody gets who does not say otherwise. `thread`: in this
very process, behind nothing but WebAssembly (`sandbox.cell`): for embedding and for benchmarks, and where a system has
no `fork`.
"""

from __future__ import annotations

import os
import sys

from wasmguard.errors import ConfigError, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from wasmguard.sandbox.cell import Cell
    from wasmguard.sandbox.engine import Setup
    from wasmguard.sandbox.process import Processes
    from wasmguard.sandbox.spec import Spec

    Code = Callable[[], tuple[bytes, ...]]

    class Guest(Protocol):
        """A policy module, ready to be asked."""

        def evaluate(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
            """The answer to *request* and its fuel; raises `GuestFault`, or `HostError` if it cannot be run here; with
            *at_once* also `NotAtOnce`, see `wasmguard.sandbox.at_once`."""


PROCESS, THREAD = "process", "thread"


class Cells:
    """Everything that guests of one guard run in."""

    def __init__(  # noqa: PLR0913  # all by name but the first
        self,
        library: str,
        setups: Mapping[str, Mapping[str, Any]],
        *,
        slots: int,
        event: int,
        isolation: str,
        processes: int | None = None,
    ) -> None:
        """Use wasmtime's *library* and engines of *setups* by kind of module; at most *slots* guests run at the same
        time, and an event has at most *event* bytes. With one slot, instances have no pool: for one event. At most
        *processes* for each kind, by default as many as the slots and the machine make sensible.

        Raises:
            HostError: if there is no such isolation here.
            ConfigError: if there is none of that name.
        """
        if isolation not in (PROCESS, THREAD):
            raise ConfigError(f"isolation `{isolation}` is not known: write `{PROCESS}` or `{THREAD}`")
        if isolation == PROCESS and not hasattr(os, "fork"):
            raise HostError('this system has no jailed processes: set `isolation = "thread"` if that is enough for you')
        self._library, self._setups, self._slots, self._event = library, setups, slots, event
        self.isolation, self._portable = isolation, wants_portable()
        self._size = processes or (1 if slots == 1 else max(2, min(slots, os.cpu_count() or 2)))
        self._cells: dict[str, Processes] = {}
        self._cell: Cell | None = None
        self._guests: dict[str, Guest] = {}

    def guest(self, name: str, spec: Spec, code: Code) -> Guest:
        """The guest *name*; *code* fetches its native code, verified, whenever it is loaded.

        Raises:
            CacheError: if the code does not belong to this engine. In processes that comes when it is asked.
            HostError: if there can be no engine here.
        """
        if name not in self._guests:
            self._guests.setdefault(name, self._loaded(spec, code))  # another thread may have been quicker
        return self._guests[name]

    def begin(self) -> None:
        """Start the processes of core modules, and go on while they get ready.

        Raises:
            HostError: if they cannot be started.
        """
        if "core" in self._cells:
            self._cells["core"].begin()

    def start(self) -> dict[str, dict[str, Any]]:
        """Start a process for each kind of module that is loaded, and return the reports of their jails."""
        return {kind: cells.start() for kind, cells in self._cells.items()}

    def pids(self) -> list[int]:
        """The processes in which guests run now."""
        return [pid for cells in self._cells.values() for pid in cells.pids()]

    def close(self) -> None:
        """End the processes."""
        for cells in self._cells.values():
            cells.close()

    def _loaded(self, spec: Spec, code: Code) -> Guest:
        if self.isolation == PROCESS:
            return self._processes(spec.kind).load(spec, code)
        if self._cell is None:
            from wasmguard.sandbox.cell import Cell

            self._cell = Cell(self._library, self._made_setups(), self._slots, portable=self._portable)
        return self._cell.load(spec, code())

    def _processes(self, kind: str) -> Processes:
        if kind not in self._cells:
            from wasmguard.sandbox.process import Processes

            setup, pooled = self._setups[kind], self._slots > 1
            made = Processes(
                self._library, setup, self._size, event=self._event, portable=self._portable, pooled=pooled
            )
            self._cells.setdefault(kind, made)  # as above
        return self._cells[kind]

    def _made_setups(self) -> dict[str, Setup]:
        from wasmguard.sandbox.engine import Setup

        return {kind: Setup(**setup) for kind, setup in self._setups.items()}


def wants_portable() -> bool:
    """Whether core modules run through wasmtime's public API: the owner says so, or the direct way was never tried."""
    return os.environ.get("WASMGUARD_PORTABLE") == "1" or sys.platform not in ("linux", "darwin")
