"""A module's own custom sections: how a manifest travels inside the file that it speaks of.

A `.wasm` file that `wasmguard build` made holds its manifest in a custom section, so that one file can be given away,
read and checked. Hostile input, like the manifest itself:

1. Only sections of the file itself count, not those of modules within a component.
2. A file whose sections do not add up carries nothing; the scan says what is wrong with it, and refuses it.
3. Two sections of the name are refused: two readers might take different ones.
4. Nothing is copied but the section that is asked for.

`wasmguard.sandbox.scan` reads the same bytes, strictly, before anything runs; nothing here decides what may be loaded.
"""

from __future__ import annotations

from wasmguard.errors import ModuleRefused
from wasmguard.guest.abi import COMPONENT_HEADER, CORE_HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST_SECTION = "wasmguard.manifest"

CUSTOM = 0
_WIDEST = 5  # bytes of a 32-bit number in LEB128


def custom(module: bytes, name: str) -> bytes | None:
    """What the custom section *name* of *module* holds; None if there is none, or if this is no whole module.

    Raises:
        ModuleRefused: if it has two of that name.
    """
    try:
        found = [content for _, content in _named(module, name)]
    except ModuleRefused:
        return None
    if len(found) > 1:
        raise ModuleRefused(f"has {len(found)} custom sections `{name}`: build it again")
    return module[found[0]] if found else None


def with_custom(module: bytes, name: str, data: bytes) -> bytes:
    """*module* with *data* as its custom section *name*, at the end; others of that name are gone.

    Raises:
        ModuleRefused: if the module is damaged.
    """
    kept, at = [], 0
    for whole, _ in _named(module, name):
        kept.append(module[at : whole.start])
        at = whole.stop
    word = name.encode()
    content = leb128(len(word)) + word + data
    return b"".join([*kept, module[at:], bytes([CUSTOM]), leb128(len(content)), content])


def _named(module: bytes, name: str) -> Iterator[tuple[slice, slice]]:
    """Where the custom sections *name* are: each whole section, and what it holds."""
    if module[:8] not in (CORE_HEADER, COMPONENT_HEADER):
        return
    word, at = name.encode(), 8
    while at < len(module):
        begin, identity = at, module[at]
        size, at = _size(module, at + 1, len(module))
        end = at + size
        if identity == CUSTOM:
            length, start = _size(module, at, end)
            if module[start : start + length] == word:
                yield slice(begin, end), slice(start + length, end)
        at = end


def _size(module: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at *at*, which counts bytes before *end*, and where it ends."""
    value = 0
    for place in range(_WIDEST):
        if at >= end:
            break
        byte = module[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if value > end - at:
                break
            return value, at
    raise ModuleRefused(f"is damaged at byte {at:,}: a section does not end in the file: copy or build it again")


def leb128(value: int) -> bytes:
    """*value*, which is not negative, in unsigned LEB128: how WebAssembly writes sizes."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
