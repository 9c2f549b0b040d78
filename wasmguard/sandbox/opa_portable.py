"""A policy of OPA through wasmtime's public API, where `wasmguard.sandbox.opa_guest` cannot be used, and to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wasmtime

from wasmguard.guest import abi
from wasmguard.sandbox.call import IN_EVALUATE, START, U32
from wasmguard.sandbox.failure import REPORTED, TRAP, Failed
from wasmguard.sandbox.opa import SAID, TAKEN
from wasmguard.sandbox.opa_guest import LONGEST
from wasmguard.sandbox.portable import PortableCoreGuest
from wasmguard.sandbox.traps import UNREACHABLE

if TYPE_CHECKING:
    from typing import Any

    InstanceExports = Any  # the package does not type what it holds


class PortableOpaGuest(PortableCoreGuest):
    """A module of OPA behind the public API."""

    def _started(self, store: wasmtime.Store) -> wasmtime.Instance:
        return self._between(store, self._stand_in(store))

    def _asked(self, store: wasmtime.Store, request: bytes) -> bytes:
        stand_in = self._done(START, lambda: self._stand_in(store))
        try:
            front = self._done(START, lambda: self._between(store, stand_in))
            return self._exchanged(store, front, request)
        except Failed as failed:
            if failed.failure[:2] == (TRAP, UNREACHABLE) and (said := self._said(store, stand_in)):
                raise Failed(REPORTED, 0, 0, said) from None
            raise

    def _stand_in(self, store: wasmtime.Store) -> InstanceExports:
        return wasmtime.Instance(store, self._around[0], []).exports(store)

    def _between(self, store: wasmtime.Store, given: InstanceExports) -> wasmtime.Instance:
        policy = wasmtime.Instance(store, self._module, [given[name] for name in self._imports]).exports(store)
        return wasmtime.Instance(store, self._around[1], [given[abi.MEMORY], *(policy[name] for name in TAKEN)])

    def _said(self, store: wasmtime.Store, stand_in: InstanceExports) -> str:
        """See `OpaGuest`."""
        memory = stand_in[abi.MEMORY]
        start, size = self._done(IN_EVALUATE, lambda: stand_in[SAID](store)) & U32, memory.data_len(store)
        if not 0 < start < size:
            return ""
        words = bytes(memory.read(store, start, min(start + LONGEST, size)))
        return words.partition(b"\0")[0].decode("utf-8", "replace")
