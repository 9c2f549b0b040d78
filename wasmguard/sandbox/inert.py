"""What a guest that imports WASI is given: code made of wasm, nothing of the host.

`wasmguard.sandbox.wasi` says what it does. Only the finished code travels to where guests run.
"""

from __future__ import annotations

from wasmguard.value import Value


class Inert(Value):
    """The two modules around a policy that imports `wasi_snapshot_preview1`, as native code."""

    shim: bytes
    """The module whose exports are the policy's imports; each jumps through the table that it exports."""

    fixup: bytes
    """The module that imports the policy's memory and the shim's table, and fills the table."""

    imports: tuple[str, ...]
    """The functions that the policy imports, in its order; one may stand there twice."""
