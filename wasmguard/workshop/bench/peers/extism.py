"""The small guard in extism: an instance kept for all events, with whatever an earlier one left in it, and a fresh one
for each. The code is compiled once in both, which is the most that extism can do, though not what its documents show;
the guest is the one that ours is, behind another head.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from wasmguard.own_home import home_in
from wasmguard.workshop.bench.peers.guest import EXTISM, asked, module, stops
from wasmguard.workshop.bench.peers.peer import Ask, Peer, needs_package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.bench.variant import Given


@contextmanager
def _started(folder: str, *, fresh: bool) -> Iterator[Ask]:
    from extism import Plugin
    from extism.extism import CompiledPlugin  # 1.1.1 has it, and does not export it

    with home_in(folder):  # its wasmtime keeps compiled code there
        compiled = CompiledPlugin(module(EXTISM), functions=[])
        kept = Plugin(compiled)

    def ask_kept(given: Given) -> bool:
        return stops(kept.call("evaluate", asked(given)))

    def ask_fresh(given: Given) -> bool:
        with Plugin(compiled) as one:
            return stops(one.call("evaluate", asked(given)))

    yield ask_fresh if fresh else ask_kept


_NEEDS = needs_package("extism")
_ABOUT = "no fuel, no deadline; msgpack both ways; the guest that ours is, too"

PEERS = (
    Peer(name="extism, fresh", about=f"fresh instance; {_ABOUT}", lacking=_NEEDS, start=partial(_started, fresh=True)),
    Peer(
        name="extism, warm",
        about=f"one instance, state kept; {_ABOUT}",
        lacking=_NEEDS,
        start=partial(_started, fresh=False),
    ),
)
