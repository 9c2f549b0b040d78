"""The cell: where guests run. Here it is part of this process.

It has at most one engine for core modules and one for components, made when the first guest of its kind is loaded.
Which implementation runs a core module is decided once: the direct one, or the portable one where the owner says so
(`WASMGUARD_PORTABLE=1`) or the platform is not one that the direct one was tried on.
"""

from __future__ import annotations

import _thread
import os
import sys

from wasmguard.sandbox.engine import Setup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    from wasmguard.limits import Limits

    class Guest(Protocol):
        """A loaded policy module."""

        def evaluate(self, request: bytes) -> tuple[bytes, int]:
            """The answer to *request* and its fuel; raises `GuestFault`."""


_ENGINES: dict[tuple[str, Setup, int, bool], Any] = {}
_MAKING = _thread.RLock()  # a signal may load a policy inside

SLOTS = 64  # guests that may run at the same time; 1 GiB of address space at 16 MiB each


class Cell:
    """Guests under their limits, loaded from verified code."""

    def __init__(self, library: str, setups: Mapping[str, Setup], slots: int = SLOTS) -> None:
        """Use wasmtime's *library*, and engines of *setups* by kind of module."""
        self._library, self._setups, self._slots = library, setups, slots
        self.portable = os.environ.get("WASMGUARD_PORTABLE") == "1" or sys.platform not in ("linux", "darwin")

    def load(self, kind: str, code: bytes, limits: Limits, answer: int) -> Guest:
        """A guest from the native *code* of a module of *kind*; its answers have at most *answer* bytes.

        Raises:
            CacheError: if the code does not belong to this engine.
            HostError: if there can be no engine here.
        """
        if kind == "component":
            from wasmguard.sandbox.portable import ComponentGuest

            return ComponentGuest(self._engine(kind), code, limits, answer)
        if self.portable:
            from wasmguard.sandbox.portable import PortableCoreGuest

            return PortableCoreGuest(self._engine(kind), code, limits, answer)
        from wasmguard.sandbox.call import CoreGuest

        return CoreGuest(self._engine(kind), code, limits, answer)

    def _engine(self, kind: str) -> Any:
        """The one engine for this setup in this process: engines are never freed, and guards may come and go."""
        which = self._library, self._setups[kind], self._slots, self.portable
        with _MAKING:
            if which not in _ENGINES:
                _ENGINES[which] = self._made(kind)
            return _ENGINES[which]

    def _made(self, kind: str) -> Any:
        if kind == "component" or self.portable:
            from wasmguard.sandbox.portable import PortableEngine

            return PortableEngine(self._setups[kind])
        from wasmguard.sandbox.bindings import Library
        from wasmguard.sandbox.engine import Engine

        return Engine(Library(self._library), self._setups[kind], self._slots)
