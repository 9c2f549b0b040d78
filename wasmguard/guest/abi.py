"""Guest ABI 1: what a policy's module exports, and nothing else that it may rely on.

A core module exports the functions of `CORE_EXPORTS` with exactly these types, and its memory. The host calls
`_initialize` once if it is there, asks `wasmguard_alloc` where it may write the request, writes it, and calls
`wasmguard_evaluate`, which answers `pointer << 32 | length`, both unsigned. The request stays valid until `evaluate`
returns, the answer until the instance is gone; nothing is freed, because every event gets a fresh instance.

A component exports one function, `evaluate`, of the world in `WORLD`, and imports nothing. Both kinds run under the
same limits and give the same verdict for the same logic.
"""

from __future__ import annotations

VERSION = 1
OPA = "opa"  # in the place of a version: what `opa build -t wasm` makes, see `wasmguard.guest.opa`

MEMORY = "memory"
MARKER = "wasmguard_abi_1"  # never called; its presence names the version
ALLOC = "wasmguard_alloc"
EVALUATE = "wasmguard_evaluate"
INITIALIZE = "_initialize"  # optional; called first, metered like everything else

Signature = tuple[tuple[str, ...], tuple[str, ...]]  # parameters, results

CORE_EXPORTS: dict[str, Signature] = {
    MARKER: ((), ()),
    ALLOC: (("i32",), ("i32",)),
    EVALUATE: (("i32", "i32"), ("i64",)),
}
OPTIONAL_EXPORTS: dict[str, Signature] = {INITIALIZE: ((), ())}

WORLD = """\
package wasmguard:policy@1.0.0;

world policy {
  export evaluate: func(request: list<u8>) -> result<list<u8>, string>;
}
"""
COMPONENT_EXPORT = "evaluate"

CORE_HEADER = b"\0asm\x01\0\0\0"
COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"
