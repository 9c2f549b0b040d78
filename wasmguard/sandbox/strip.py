"""A module without its custom sections: names, debug information, whatever else no instruction needs.

The engine reads some of them, and that is work that no limit of a guest covers: wasmtime 50.0.1 spells out a mangled
C++ name whenever a function of that name traps in a component, and one of 200 bytes can stand for 2^32 words. So the
compiler never sees them. What the module computes is the same.
"""

from __future__ import annotations

from wasmguard.guest.abi import COMPONENT_HEADER
from wasmguard.guest.sections import leb128
from wasmguard.sandbox.reader import HEADER, Reader

CUSTOM = 0
NESTED = frozenset({1, 4})  # in a component: a core module, a component


def stripped(module: bytes, keep: frozenset[str] = frozenset()) -> bytes:
    """*module*, which `scan` has accepted, without custom sections at any depth, but for those that *keep* names."""
    nested = NESTED if module.startswith(COMPONENT_HEADER) else frozenset()
    parts = [module[:HEADER]]
    for identity, section in Reader(module, HEADER).sections():
        at = section.at
        if identity == CUSTOM and section.name() not in keep:
            continue
        content = module[at : section.end]
        if identity in nested:
            content = stripped(content, keep)
        parts += [bytes([identity]), leb128(len(content)), content]
    return b"".join(parts)
