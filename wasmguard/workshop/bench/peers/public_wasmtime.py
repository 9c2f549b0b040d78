"""The small guard in wasmtime, as one writes it first: its public Python API, a fresh instance for every event."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmguard.sandbox.naive import Naive
from wasmguard.workshop.bench.peers.guest import ABI, asked, module, stops
from wasmguard.workshop.bench.peers.peer import Ask, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.bench.variant import Given


@contextmanager
def started(_folder: str) -> Iterator[Ask]:
    """See `Peer.start`."""
    guest = Naive(module(ABI))

    def ask(given: Given) -> bool:
        return stops(guest.evaluate(asked(given)))

    yield ask


PEERS = (
    Peer(
        name="wasmtime-py, public API",
        about="fresh instance, fuel, deadline and memory limit; msgpack both ways; the guest that ours is, too",
        lacking=lambda: "",
        start=started,
    ),
)
