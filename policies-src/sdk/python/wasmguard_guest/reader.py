"""Where the values of a request lie. What a policy asks for is then decoded by `msgpack`, and nothing else is.

1. Bytes that are no request end in `Malformed`: a value that does not end, a byte that starts none, an ext type, a key
   that is no text, a key twice in a map whose fields are asked for, a text that is read and is no UTF-8.
2. Everything else is stepped over, whatever its size. `msgpack` in Python takes 10,000 instructions for a value,
   whether it is wanted or not.
3. A loop and no recursion: depth costs nothing.
"""

from __future__ import annotations

from msgpack import Unpacker

TYPE_CHECKING = False  # see request.py
if TYPE_CHECKING:
    Place = tuple[int, int]  # where a value begins, and where the next one does
    Tree = dict[bytes, "Tree"]


class Malformed(Exception):
    """What the host gave us is not a request of this ABI."""


def _sizes() -> list[int]:
    """For each first byte the size of its value with it; 0 if that is not all there is to know."""
    sizes = [0] * 256
    for head in (*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3):  # numbers, nil, false, true
        sizes[head] = 1
    for head in range(0xA0, 0xC0):  # texts
        sizes[head] = 1 + head - 0xA0
    for head, size in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):  # floats, integers
        sizes[head] = 1 + size
    return sizes


_SIZES = _sizes()
_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}  # binary and texts: bytes of their length
_LISTS, _MAPS = {0xDC: 2, 0xDD: 4}, {0xDE: 2, 0xDF: 4}
_MAP_HEADS = frozenset({*range(0x80, 0x90), *_MAPS})
_KEYS = frozenset({*range(0xA0, 0xC0), 0xD9, 0xDA, 0xDB})


def behind(data: bytes, at: int) -> int:
    """Where the value that begins at *at* ends, with all that is in it."""
    left, is_map = 1, False  # of a map, every other value is a key: those after which an odd number is left
    around: list[tuple[int, bool]] = []
    try:
        while True:
            while left:
                head = data[at]
                left -= 1
                if is_map and left & 1 and head not in _KEYS:
                    raise Malformed("a key is no text")
                if size := _SIZES[head]:
                    at += size
                elif head in _LENGTHS:
                    width = _LENGTHS[head]
                    at += 1 + width + _number(data, at + 1, width)
                else:
                    around.append((left, is_map))
                    left, is_map, at = _opened(data, at, head)
            if not around:
                return at
            left, is_map = around.pop()
    except IndexError:
        raise Malformed("it is cut off") from None


class Fields:
    """The fields of one map."""

    def __init__(self, data: bytes, at: int, known: Tree) -> None:
        """Read the map at *at*; the maps in *known* are read with it, so that nothing is stepped over twice."""
        left, is_map, at = _opened(data, at, _head(data, at))
        if not is_map:
            raise Malformed("a map is missing")
        self.places: dict[bytes, Place] = {}
        self.maps: dict[bytes, Fields] = {}
        try:
            self.end = self._read(data, at, left // 2, known)
        except IndexError:
            raise Malformed("it is cut off") from None
        if len(self.places) != left // 2:
            raise Malformed("a key comes twice")

    def _read(self, data: bytes, at: int, fields: int, known: Tree) -> int:
        """Where the map ends. A key stays bytes: one that nobody asks for is not decoded."""
        places = self.places
        for _ in range(fields):
            if 0xA0 <= (head := data[at]) < 0xC0:
                start = at + head - 0x9F
                key = data[at + 1 : start]
            else:
                key, start = _long_key(data, at, head)
            if size := _SIZES[data[start]]:
                at = start + size
            elif key in known and data[start] in _MAP_HEADS:
                inner = self.maps[key] = Fields(data, start, known[key])
                at = inner.end
            else:
                at = behind(data, start)
            places[key] = start, at
        return at


def is_text(data: bytes, at: int) -> bool:
    """Whether a text begins at *at*."""
    return _head(data, at) in _KEYS


def decoded(data: bytes, place: Place) -> object:
    """The value there."""
    _library.feed(data[place[0] : place[1]])
    return _library.unpack()


def _head(data: bytes, at: int) -> int:
    if at >= len(data):
        raise Malformed("it is cut off")
    return data[at]


def _long_key(data: bytes, at: int, head: int) -> tuple[bytes, int]:
    """The key at *at* that is longer than 31 bytes, and where its value begins."""
    if head not in _KEYS:
        raise Malformed("a key is no text")
    width = _LENGTHS[head]
    start = at + 1 + width
    end = start + _number(data, at + 1, width)
    return data[start:end], end


def _opened(data: bytes, at: int, head: int) -> tuple[int, bool, int]:
    """How many values are directly in the map or list at *at*, whether it is a map, and where the first one begins."""
    if head & 0xF0 == 0x80:
        return 2 * (head & 15), True, at + 1
    if head & 0xF0 == 0x90:
        return head & 15, False, at + 1
    if width := _MAPS.get(head):
        return 2 * _number(data, at + 1, width), True, at + 1 + width
    if width := _LISTS.get(head):
        return _number(data, at + 1, width), False, at + 1 + width
    raise Malformed(f"the byte {head:02x} begins no value that a request may hold")


def _number(data: bytes, at: int, width: int) -> int:
    if at + width > len(data):
        raise Malformed("it is cut off")
    return int.from_bytes(data[at : at + width], "big")


def _as_map(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("a map has a key twice")
    return made


# Made at build time: what it checks of its own arguments costs as much as decoding ten values.
_library = Unpacker(object_pairs_hook=_as_map, strict_map_key=True, raw=False)
