"""What policies remember between events, in a store that forgets nothing by itself."""

from __future__ import annotations

from wasmguard.state.stores import exists, make, opened

__all__ = ["exists", "make", "opened"]
