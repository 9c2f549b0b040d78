"""The hostile suite: every case there is, by group.

A case is data (`case`): a guest that means harm, and the one thing that must happen. `proving` is the ground on
which they are run, `selftest` runs a chosen part on the user's machine, and the tests run all of them in every kind of
cell. `benchmarks/naive.py` holds them against a host without a guard: what it survives as well tests nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.hostile import (
    abi,
    bombs,
    compile,
    exhaustion,
    memory,
    msgpack,
    paths,
    pointers,
    proposals,
    rewrites,
    stack,
    state,
    text,
    time,
    wasi,
    wasi_calls,
)

if TYPE_CHECKING:
    from wasmguard.hostile.case import Case

_MODULES = {
    "time": (time,),
    "memory": (memory,),
    "stack": (stack,),
    "compile": (compile, bombs),
    "proposals": (proposals,),
    "wasi": (wasi, wasi_calls),
    "abi": (abi,),
    "pointers": (pointers,),
    "msgpack": (msgpack,),
    "rewrites": (rewrites,),
    "paths": (paths,),
    "text": (text,),
    "state": (state,),
    "exhaustion": (exhaustion,),
}

GROUPS: dict[str, tuple[Case, ...]] = {
    group: tuple(case.replaced(group=group) for module in modules for case in module.CASES)
    for group, modules in _MODULES.items()
}
"""Every case under the name of its group."""

CASES: tuple[Case, ...] = tuple(case for cases in GROUPS.values() for case in cases)
"""Every case."""
