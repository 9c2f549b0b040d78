"""Where guests run, inside one process. In a cell of its own that is all this process does (`sandbox.inmate`); with
`isolation = "thread"` it is the process that decides.

It has at most one engine for core modules and one for components, made when the first guest of its kind is loaded.
Which implementation runs a core module is decided once: the direct one, or the portable one where the owner says so
(`WASMGUARD_PORTABLE=1`) or the platform is not one that the direct one was tried on.
"""

from __future__ import annotations

import _thread

from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.inert import Inert

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from wasmguard.sandbox.failure import Runs
    from wasmguard.sandbox.spec import Spec


_ENGINES: dict[tuple[str, Setup, int, bool], Any] = {}
_MAKING = _thread.RLock()  # a signal may load a policy inside


class Cell:
    """Guests under their limits, loaded from verified code."""

    def __init__(self, library: str, setups: Mapping[str, Setup], slots: int, *, portable: bool) -> None:
        """Use wasmtime's *library*, and engines of *setups* by kind of module, *portable* ones or not."""
        self._library, self._setups, self._slots, self.portable = library, setups, slots, portable

    def load(self, spec: Spec, code: Sequence[bytes]) -> Runs:
        """A guest from its native *code*, which is followed by that of `Inert` if it imports WASI or is one of OPA's.

        Raises:
            CacheError: if the code does not belong to this engine.
            HostError: if there can be no engine here.
        """
        imports = spec.wasi or spec.opa
        inert = Inert(shim=code[1], fixup=code[2], imports=imports) if imports else None
        engine = self._engine(spec.kind)
        if spec.kind == "component":
            from wasmguard.sandbox.portable import ComponentGuest

            return ComponentGuest(engine, code[0], spec.limits, spec.answer)
        return self._core(spec)(engine, code[0], spec.limits, spec.answer, inert)

    def start_clocks(self) -> None:
        """Start the threads that end guests: where this process is shut in, no thread can be started later."""
        for which, engine in _ENGINES.items():
            if which[0] == self._library:
                engine.clock.begin()

    def _core(self, spec: Spec) -> Callable[..., Runs]:
        """What runs the core module of *spec*."""
        if spec.opa and self.portable:
            from wasmguard.sandbox.opa_portable import PortableOpaGuest

            return PortableOpaGuest
        if spec.opa:
            from wasmguard.sandbox.opa_guest import OpaGuest

            return OpaGuest
        if self.portable:
            from wasmguard.sandbox.portable import PortableCoreGuest

            return PortableCoreGuest
        from wasmguard.sandbox.call import CoreGuest

        return CoreGuest

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
