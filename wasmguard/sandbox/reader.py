"""A place in a module's bytes: numbers, names and sections, read as strictly as the engine reads them.

1. Nothing is read past the end of the section it belongs to.
2. A number takes at most as many bytes as its width needs (5 for 32 bits), and no bit above its width is set. Padding
   within that is legal: linkers leave it.
3. A name is UTF-8 without exception.
4. A count is held against its cap before anything is counted, and against the bytes that are left.

Whatever breaks a rule is refused. Text from the module enters a message only through `shown`.
"""

from __future__ import annotations

import re

from wasmguard.errors import ModuleRefused
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

NAME = 120  # characters of a name that are shown; engines take names of 100,000 bytes
HEADER = 8  # bytes: `\0asm`, then the version and the layer (core or component)
NUMBER = re.compile(rb"[\x80-\xff]{4}[\x00-\x0f]|[\x80-\xff]{0,3}[\x00-\x7f]")  # LEB128 of at most 32 bits
SMALLER = "build it for size, stripped and without what it does not use"


def shown(name: str) -> str:
    """A name out of a module, as people may see it: cut first, because cleaning takes time for every character.

    It stands between backticks in our own sentences, so it must not close them.
    """
    return one_line(name[: NAME + 1].replace("`", "'"), NAME)


class Reader:
    """A cursor between two offsets of a module. It only moves forward."""

    __slots__ = ("at", "data", "end", "where")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None, where: str = "") -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end
        self.where = where  # what stands before every refusal: "", or "has a core module (number 3) that "

    def refuse(self, why: str) -> NoReturn:
        raise ModuleRefused(self.where + why)

    def damaged(self, why: str) -> NoReturn:
        self.refuse(f"is damaged at byte {self.at:,}: {why}: copy or build it again")

    @property
    def left(self) -> int:
        """Bytes between the cursor and the end."""
        return self.end - self.at

    def byte(self) -> int:
        if self.at >= self.end:
            self.damaged("it ends in the middle")
        self.at += 1
        return self.data[self.at - 1]

    def u32(self) -> int:
        at, data = self.at, self.data
        if at < self.end and (value := data[at]) < 0x80:  # nearly all of them: one byte
            self.at = at + 1
            return value
        if at + 5 > self.end:
            return self.unsigned(32)
        value -= 0x80
        for place in (7, 14, 21, 28):
            at += 1
            byte = data[at]
            if byte < 0x80 and byte << place < 2**32:
                self.at = at + 1
                return value + (byte << place)
            value += byte - 0x80 << place
        return self.unsigned(32)  # which says what is wrong with it

    def unsigned(self, bits: int) -> int:
        """An unsigned LEB128 number of that width."""
        value = 0
        for place in range((bits + 6) // 7):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value if value >> bits == 0 else self.damaged(f"a number over {bits} bits")
        return self.damaged(f"a number of more than {(bits + 6) // 7} bytes")

    def numbers(self, count: int) -> list[int]:
        """*count* numbers of 32 bits, and nothing behind them. Thousands of padded ones would take too long one by one:
        what looks the same is read once."""
        raw = self.data[self.at : self.end]
        found = NUMBER.findall(raw)
        if len(found) != count or sum(map(len, found)) != len(raw):  # one by one, to say what is wrong
            numbers = [self.u32() for _ in range(count)]
            self.finish()
            return numbers
        value = {encoded: Reader(encoded).u32() for encoded in set(found)}
        self.at = self.end
        return [value[encoded] for encoded in found]

    def sizes(self, count: int) -> list[int]:
        """The sizes of the *count* things that follow, each with its size in front; steps over them."""
        data, end, sizes = self.data, self.end, []
        for _ in range(count):
            at = self.at
            if at < end and (size := data[at]) < 0x80:  # as `u32` and `skip` have it, without the calls
                self.at = at + 1
            else:
                size = self.u32()
            if size > end - self.at:
                self.skip(size)
            self.at += size
            sizes.append(size)
        return sizes

    def take(self, size: int) -> bytes:
        if size > self.left:
            self.damaged(f"{size:,} bytes are announced, {self.left:,} are left")
        self.at += size
        return self.data[self.at - size : self.at]

    def skip(self, size: int) -> None:
        if size > self.left:
            self.damaged(f"{size:,} bytes are announced, {self.left:,} are left")
        self.at += size

    def name(self) -> str:
        raw = self.take(self.u32())
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return self.damaged("a name that is not UTF-8")

    def count(self, what: str, most: int, advice: str = SMALLER) -> int:
        """How many things follow: refused over *most*, and where the bytes cannot hold so many."""
        number = self.u32()
        if number > most:
            self.refuse(f"has {number:,} {what} (limit {most:,}): {advice}")
        if number > self.left:
            self.damaged(f"{number:,} {what} are announced in {self.left:,} bytes")
        return number

    def finish(self) -> None:
        """Refuse what stands behind the last thing of a section: another reader might see it."""
        if self.left:
            self.damaged(f"{self.left:,} bytes too many in a section")

    def inner(self, size: int) -> Reader:
        """A reader of the next *size* bytes, which this one steps over."""
        start = self.at
        self.skip(size)
        return Reader(self.data, start, self.at, self.where)

    def sections(self) -> Iterator[tuple[int, Reader]]:
        """Each section's id and content, in the order of the file."""
        while self.left:
            identity = self.byte()
            yield identity, self.inner(self.u32())
