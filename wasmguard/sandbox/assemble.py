"""WebAssembly text made into a module, for what people run by hand. Nothing that decides ever assembles."""

from __future__ import annotations

import wasmtime

from wasmguard.errors import BundleError
from wasmguard.text import one_line


def assembled(text: str) -> bytes:
    """The bytes of the core module or component that *text* spells.

    Raises:
        BundleError: if it is no WebAssembly text. What the assembler takes need not be valid: the compiler decides.
    """
    try:
        return bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError as error:
        raise BundleError(f"cannot be assembled: {one_line(str(error), 300)}: correct the text") from None
