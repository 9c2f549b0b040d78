"""The bytes that hostile cases are made of: WebAssembly sections and msgpack, written so that they may also lie.

A writer of our own, because a library refuses to write what is wrong, and because whoever checks a reader with the
reader's own library checks nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEADER = b"\0asm\x01\0\0\0"
COMPONENT = b"\0asm\x0d\0\x01\0"

# Ids of sections: core specification, 5.5
CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT = range(13)
ORDER = (*range(1, DATA_COUNT - 2), DATA_COUNT, CODE, DATA)  # the data count stands before the code
I32, I64, V128, FUNCREF = b"\x7f", b"\x7e", b"\x7b", b"\x70"
END = b"\x0b"


def leb(number: int, width: int = 0) -> bytes:
    """*number* as unsigned LEB128, padded to *width* bytes."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        if not number and len(out) + 1 >= width:
            return bytes([*out, low])
        out.append(low | 0x80)


def vector(items: Iterable[bytes]) -> bytes:
    """The items behind their count."""
    every = list(items)
    return leb(len(every)) + b"".join(every)


def name(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return leb(len(raw)) + raw


def section(identity: int, content: bytes) -> bytes:
    return bytes([identity]) + leb(len(content)) + content


def listed(identity: int, items: Iterable[bytes]) -> bytes:
    """A section that is a list."""
    return section(identity, vector(items))


def custom(title: str | bytes, content: bytes) -> bytes:
    return section(CUSTOM, name(title) + content)


def function_type(taken: bytes = b"", given: bytes = b"") -> bytes:
    return b"\x60" + vector(bytes([kind]) for kind in taken) + vector(bytes([kind]) for kind in given)


def body(code: bytes, local: Iterable[tuple[int, bytes]] = ()) -> bytes:
    """A function body: local variables as (count, type), then instructions and `end`."""
    inside = vector(leb(count) + kind for count, kind in local) + code + END
    return leb(len(inside)) + inside


PASS = b"\x81\xa6effect\xa4pass"
AT, PACKED = 16, b"\x8d\x80\x80\x80\x80\x02"  # where a module's constant answer is; `16 << 32 | 13` as signed LEB128


def policy(
    *,
    more: Mapping[int, list[bytes]] | None = None,
    raw: Mapping[int, bytes] | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A whole policy that passes, plus what a case is about.

    *more* holds further entries of its lists by section id: types (its own are the first three: nothing, `alloc`'s,
    `evaluate`'s), functions, exports, bodies, …; *raw* the content of sections that are no lists; *before* and *after*
    are whole sections.
    """
    held, other = more or {}, raw or {}
    kinds = [function_type(), function_type(I32, I32), function_type(I32 + I32, I64), *held.get(TYPE, [])]
    exported = [name("memory") + b"\x02\0"]
    exported += [name(f"wasmguard_{what}") + b"\0" + leb(at) for at, what in enumerate(("abi_1", "alloc", "evaluate"))]
    bodies = [body(b""), body(b"\x41\x80\x08"), body(b"\x42" + PACKED)]  # nothing, 1024, the answer
    constant = b"\0\x41" + leb(AT) + END + name(PASS)
    lists = {
        TYPE: kinds,
        FUNCTION: [b"\0", b"\1", b"\2", *held.get(FUNCTION, [])],
        TABLE: held.get(TABLE, []),
        MEMORY: held.get(MEMORY, [b"\0\1"]),
        GLOBAL: held.get(GLOBAL, []),
        EXPORT: [*exported, *held.get(EXPORT, [])],
        ELEMENT: held.get(ELEMENT, []),
        CODE: [*bodies, *held.get(CODE, [])],
        DATA: [constant, *held.get(DATA, [])],
    }
    sections = {at: vector(items) for at, items in lists.items() if items}
    sections.update(other)
    return HEADER + before + b"".join(section(at, sections[at]) for at in ORDER if at in sections) + after


# --- msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md)

NIL, FALSE, TRUE = b"\xc0", b"\xc2", b"\xc3"


def text(value: str | bytes) -> bytes:
    """A msgpack text; bytes go in as they are, UTF-8 or not."""
    raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    size = len(raw)
    if size < 32:
        return bytes([0xA0 | size]) + raw
    return (b"\xd9" + size.to_bytes(1) if size < 256 else b"\xda" + size.to_bytes(2)) + raw


def long_text(size: int) -> bytes:
    """The head of a text of *size* bytes, which are to follow."""
    return b"\xdb" + size.to_bytes(4)


def binary(raw: bytes) -> bytes:
    return b"\xc5" + len(raw).to_bytes(2) + raw


def integer(value: int) -> bytes:
    if 0 <= value < 128:
        return bytes([value])
    return b"\xd3" + value.to_bytes(8, signed=True) if value < 2**63 else b"\xcf" + value.to_bytes(8)


def array(*items: bytes) -> bytes:
    size = len(items)
    return (bytes([0x90 | size]) if size < 16 else b"\xdc" + size.to_bytes(2)) + b"".join(items)


def pairs(*entries: tuple[bytes, bytes]) -> bytes:
    """A map with exactly these entries, the same key as often as one likes."""
    size = len(entries)
    head = bytes([0x80 | size]) if size < 16 else b"\xde" + size.to_bytes(2)
    return head + b"".join(key + value for key, value in entries)


def answer(**fields: bytes | str) -> bytes:
    """An answer map; texts are encoded, bytes go in as they are."""
    return pairs(*((text(key), text(value) if isinstance(value, str) else value) for key, value in fields.items()))
