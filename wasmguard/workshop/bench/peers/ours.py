"""The small guard as a policy of ours, in the same run: a whole decision, with chain, grants and self-protection, and
the policy in a thread of this process or in a jailed one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from wasmguard.decision import Effect
from wasmguard.guard import Guard
from wasmguard.lock import lock
from wasmguard.own_home import home_in
from wasmguard.sandbox.isolation import PROCESS, THREAD
from wasmguard.workshop.bench.peers.guest import ABI, module
from wasmguard.workshop.bench.peers.peer import Ask, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.bench.variant import Given

CONFIG = """
[[policy]]
name = "small-guard"
module = "./small-guard.wasm"
tools = ["*"]
grants.effects = ["deny"]
"""
FIRST = {"hook_event_name": "PreToolUse", "tool_name": "Read", "tool_input": {"file_path": "/nowhere"}}


@contextmanager
def _started(folder: str, *, isolation: str) -> Iterator[Ask]:
    with home_in(folder):
        guard = Guard.load(locked(folder), isolation=isolation)
        guard.decide(FIRST)  # in a thread the policy is loaded now, from this home

    def ask(given: Given) -> bool:
        return guard.decide(given.fields).effect is Effect.DENY

    with guard:
        yield ask


def locked(folder: str) -> str:
    """The configuration with the small guard in *folder*, locked in the home of now."""
    with open(os.path.join(folder, "small-guard.wasm"), "wb") as file:
        file.write(module(ABI))
    config = os.path.join(folder, "wasmguard.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG)
    lock(config, repin=False)
    return config


def _no_processes() -> str:
    return "" if hasattr(os, "fork") else "this system has no jailed processes"


_ABOUT = "whole decision; fresh instance, fuel, deadline, memory limit"

PEERS = (
    Peer(
        ours=True,
        name="wasmguard, thread",
        about=f"{_ABOUT}; in this process",
        lacking=lambda: "",
        start=partial(_started, isolation=THREAD),
    ),
    Peer(
        ours=True,
        name="wasmguard, cell",
        about=f"{_ABOUT}; in a jailed process",
        lacking=_no_processes,
        start=partial(_started, isolation=PROCESS),
    ),
)
