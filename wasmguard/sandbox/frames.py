"""What the deciding process and its cell say to each other: frames, each with its length first.

1. Once: the load message. A JSON header, then the native code of the guests one after the other.
2. Once, back: the report of a cell that is ready, in JSON. From then on it runs guests, and is not believed any more.
3. For each evaluation: the guest's number and the request; back, what came of it as plain numbers and bytes. A frame
   that says more than it may, in size or in kind, ends the cell.

Both ends are the same installation, so there is no version in a frame.
"""

from __future__ import annotations

from _socket import MSG_DONTWAIT
from time import perf_counter_ns

from wasmguard import wire
from wasmguard.sandbox.failure import TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable
    from typing import Any

    from wasmguard.sandbox.failure import Failure

LENGTH = 8  # bytes of a length
PIECE = 1 << 16  # bytes that are read at once
SPIN = (
    100_000  # nanoseconds that a side looks for the next bytes before it sleeps: to be woken takes 20-60 us (2 cores,
)
# x86-64, Linux 6.18 in a virtual machine), the other side answers in 20-60, and one event brings several requests
HEAD = 8  # bytes before a request: the guest's number and the length, 4 bytes each
REPLY = 29  # bytes before a reply's payload: kind, fuel, two numbers, length
ANSWER = 0  # kind of a reply; the others are kinds of `failure`
NO_FUEL = 2**64 - 1  # nobody could measure it
U64 = 2**64 - 1
LARGEST_REPORT = 2**20  # bytes


def received(channel: socket, most: int, spin: int) -> bytes:
    """What comes next on *channel*, at most *most* bytes: looked for during *spin* nanoseconds, then waited for.

    Raises:
        OSError: if nothing comes in the time that the channel has.
    """
    most = min(most, PIECE)
    until = perf_counter_ns() + spin
    while perf_counter_ns() < until:
        try:
            return channel.recv(most, MSG_DONTWAIT)
        except BlockingIOError:
            continue
    return channel.recv(most)


def message(header: dict[str, Any], *parts: bytes) -> bytes:
    """A JSON *header* and *parts*, whose lengths the header tells in its own way."""
    head = wire.written(header).encode()
    return b"".join((len(head).to_bytes(LENGTH, "big"), head, *parts))


def header(exactly: Callable[[int], bytes], most: int = LARGEST_REPORT) -> dict[str, Any]:
    """The JSON header that comes next.

    Raises:
        ValueError: if it is none, or longer than *most* bytes.
    """
    length = int.from_bytes(exactly(LENGTH), "big")
    if length > most:
        raise ValueError("a header that is too long")
    read = wire.read(exactly(length).decode())
    if type(read) is not dict:
        raise ValueError("a header that is no object")
    return read


def request(guest: int, data: bytes) -> bytes:
    """The frame that asks *guest*, by its number, about *data*."""
    return guest.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data


def asked(head: bytes) -> tuple[int, int]:
    """The guest's number and the length of the request behind *head*."""
    return int.from_bytes(head[:4], "big"), int.from_bytes(head[4:HEAD], "big")


def answered(answer: bytes, fuel: int) -> bytes:
    """The frame of an answer."""
    return _reply(ANSWER, fuel, 0, 0, answer)


def failed(failure: Failure, fuel: int | None) -> bytes:
    """The frame of an evaluation that failed."""
    kind, first, second, text = failure
    return _reply(kind, NO_FUEL if fuel is None else fuel, first, second, text.encode("utf-8", "replace"))


def reply(head: bytes, most: int) -> tuple[int, int | None, int, int, int]:
    """Kind, fuel, two numbers and the payload's length from the *head* of a reply; an answer has at most *most* bytes.

    Raises:
        ValueError: if it announces more than it may.
    """
    kind, fuel, length = head[0], int.from_bytes(head[1:9], "big"), int.from_bytes(head[25:REPLY], "big")
    if length > (most if kind == ANSWER else 4 * TEXT):
        raise ValueError("a reply that is too long")
    first, second = int.from_bytes(head[9:17], "big"), int.from_bytes(head[17:25], "big")
    return kind, None if fuel == NO_FUEL else fuel, first, second, length


def _reply(kind: int, fuel: int, first: int, second: int, payload: bytes) -> bytes:
    numbers = fuel.to_bytes(8, "big") + (first & U64).to_bytes(8, "big") + (second & U64).to_bytes(8, "big")
    return bytes([kind]) + numbers + len(payload).to_bytes(4, "big") + payload
