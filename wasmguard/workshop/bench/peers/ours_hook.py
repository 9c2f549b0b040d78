"""The small guard as a policy of ours behind a hook: the commands that `wasmguard install` writes, with a daemon of
this run, and what becomes of them without one. From spawn to exit, like every hook here.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from wasmguard.own_home import home_in
from wasmguard.workshop import hook_command
from wasmguard.workshop.bench import daemon
from wasmguard.workshop.bench.hook_line import HookLine, sockets_in
from wasmguard.workshop.bench.peers.ours import locked
from wasmguard.workshop.bench.peers.peer import Ask, Peer
from wasmguard.workshop.bench.peers.spawn import asks, environment

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def alone(folder: str) -> Iterator[Ask]:
    """See `Peer.start`: a hook that decides by itself."""
    with home_in(folder):
        line = HookLine.installed(locked(folder))
    yield asks(line.alone(folder), folder)


@contextmanager
def asking(folder: str, *, native: bool) -> Iterator[Ask]:
    """See `Peer.start`: a hook that asks a daemon, by the client in C or that in Python."""
    with home_in(folder):
        line = HookLine.installed(locked(folder))
    with (
        sockets_in(folder) as sockets,
        daemon.running(line.interpreter[0], line.arguments, environment(folder), sockets) as asked,
    ):
        yield asks(line.asking(asked.socket, native=native), folder)


def _no_fork() -> str:
    return "" if hasattr(os, "fork") else "this system has no `fork`"


def _no_native() -> str:
    return _no_fork() or ("" if hook_command.native_client() else "this installation has none that runs here")


PEERS = (
    Peer(
        ours=True,
        name="wasmguard, native client",
        about="spawn to exit; asks a daemon",
        lacking=_no_native,
        start=partial(asking, native=True),
        spawned=True,
    ),
    Peer(
        ours=True,
        name="wasmguard, Python client",
        about="spawn to exit; asks a daemon",
        lacking=_no_fork,
        start=partial(asking, native=False),
        spawned=True,
    ),
    Peer(
        ours=True,
        name="wasmguard, no daemon",
        about="spawn to exit; decides by itself",
        lacking=_no_fork,
        start=alone,
        spawned=True,
    ),
)
