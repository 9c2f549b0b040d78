"""WebAssembly's binary format, for modules that cannot be written as text or would take too long that way.

Core: https://webassembly.github.io/spec/core/binary/. Components: component-model/design/mvp/Binary.md.
"""

from wasmguard.guest import abi
from wasmguard.guest.abi import COMPONENT_HEADER, CORE_HEADER

TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT = range(1, 13)
I32, I64, F64, V128 = 0x7F, 0x7E, 0x7C, 0x7B


def leb(number, size=0):
    """The number as unsigned LEB128, padded to *size* bytes."""
    out = []
    while True:
        number, low = number >> 7, number & 0x7F
        if not number and len(out) + 1 >= size:
            return bytes([*out, low])
        out.append(low | 0x80)


def name(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return leb(len(raw)) + raw


def vector(items, size=0):
    return leb(len(items), size) + b"".join(items)


def section(identity, content):
    return bytes([identity]) + leb(len(content)) + content


def sections(*pairs):
    """`(id, [item, …])` pairs as sections."""
    return b"".join(section(identity, vector(items)) for identity, items in pairs)


def core(*pairs):
    return CORE_HEADER + sections(*pairs)


def composed(*parts):
    """A component of sections that are bytes already."""
    return COMPONENT_HEADER + b"".join(parts)


def function_type(taken=(), given=()):
    return b"\x60" + vector([bytes([v]) for v in taken]) + vector([bytes([v]) for v in given])


def body(instructions, *runs):
    """A function body: *runs* of locals as `(how many, type)`, then the instructions without their last `end`."""
    inside = vector([leb(count) + bytes([kind]) for count, kind in runs]) + instructions + b"\x0b"
    return leb(len(inside)) + inside


ABI_TYPES = [function_type(), function_type([I32], [I32]), function_type([I32, I32], [I64])]
ABI_BODIES = [body(b""), body(b"\x41\x40"), body(b"\x42\x00")]


def guest(bodies, types=(), of=0, table=0, more=()):
    """A complete guest of ABI 1 with *bodies* as further functions of type *of*: 0 is `() -> ()`, 3 the first of
    *types*. Functions 0 to 2 are the ABI's. *more*: `(id, items)` of further sections."""
    exports = [name(n) + b"\0" + leb(i) for i, n in enumerate([abi.MARKER, abi.ALLOC, abi.EVALUATE])]
    parts = {
        TYPE: [*ABI_TYPES, *types],
        FUNCTION: [b"\0", b"\1", b"\2", *[leb(of)] * len(bodies)],
        MEMORY: [b"\x00\x01"],
        EXPORT: [name(abi.MEMORY) + b"\x02\x00", *exports],
        CODE: [*ABI_BODIES, *bodies],
    }
    if table:
        parts[TABLE] = [b"\x70\x00" + leb(table)]
    parts |= dict(more)
    order = (TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA)
    return core(*((part, parts[part]) for part in order if part in parts))
