"""What a guest that imports WASI, or is one of OPA's, is given: code made of wasm, nothing of the host.

`wasmguard.sandbox.wasi` and `wasmguard.sandbox.opa` say what it does. Only the finished code travels to where guests
run.
"""

from __future__ import annotations

from wasmguard.value import Value


class Inert(Value):
    """The two modules around a policy, as native code."""

    shim: bytes
    """The module whose exports are the policy's imports: for WASI they jump through a table that it exports too."""

    fixup: bytes
    """The module that comes last: for WASI it fills the shim's table, for OPA its exports are the guest's."""

    imports: tuple[str, ...]
    """The functions that the policy imports, in its order; one may stand there twice."""
