"""What the deciding process and its cell say to each other: frames, each with its length first.

1. Once: the load message. A JSON header, then the native code of the guests one after the other.
2. Once, back: the report of a cell that is ready, in JSON. From then on it runs guests, and is not believed any more.
3. For each evaluation: the guest's number, a number that nobody can guess, and the request; back, that second number
   and what came of it, as plain numbers and bytes. So no reply passes for the reply to another request.
4. A frame that says more than it may, in size, in kind or in fuel, ends the cell: an honest one never sends it.

Both ends are the same installation, so there is no version in a frame.
"""

from __future__ import annotations

from _socket import MSG_DONTWAIT
from time import perf_counter_ns

from wasmguard import wire
from wasmguard.sandbox.failure import LAST, NOT_AT_ONCE, TEXT
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Sequence
    from typing import Any

    from wasmguard.sandbox.failure import Failure

    Head = tuple[int, int | None, int, int, int]

LENGTH = 8  # bytes of a length
PIECE = 1 << 16  # bytes that are read at once
SPIN = 300_000
"""Nanoseconds that a side looks for the next bytes before it sleeps. To be woken takes 20-60 us (x86-64, Linux 6.18 in
a virtual machine), twice for a request; an evaluation takes 20-100, what is done between two requests as much again.
With 100 us a decision in a process took 135 us more than one in a thread, with 300 us 40, with 500 us no less."""
RESTS = 64  # waits, at the most, until a side looks again that looked in vain
NUMBER = 8  # bytes of what a reply repeats of its request
NO_MORE = 1 << 31  # beside a guest's number: do not look for the next request, sleep
AT_ONCE = 1 << 30  # beside it, too: with little, see `sandbox.at_once`
HEAD = 8 + NUMBER  # bytes before a request: the guest's number and the length, 4 bytes each, and its own number
REPLY = 29 + NUMBER  # bytes before a reply's payload: kind, the request's number, fuel, two numbers, length
ANSWER = 0  # kind of a reply; the others are kinds of `failure`
NO_FUEL = 2**64 - 1  # nobody could measure it
U64 = 2**64 - 1
LARGEST_REPORT = 2**20  # bytes
SENTENCE = 500  # characters of why something cannot be done


class Watch:
    """Whether this process looks for what comes, or sleeps until it is there.

    Looking finds it sooner, but takes a processor, which somebody else may be waiting for: who has several to answer
    sleeps, and lets its cell sleep. (Both look or both sleep: 32 clients on two processors get 5,800 answers a second
    if nobody looks, 2,300 if all do.) To look and let others run first is no way between: they may run for 3 ms.
    """

    def __init__(self, spin: int) -> None:
        """Look for so many nanoseconds at a time; 0 for never."""
        self._spin, self.crowded = spin, False

    @property
    def spin(self) -> int:
        """Nanoseconds to look now."""
        return 0 if self.crowded else self._spin


class Look:
    """Whether to look, by what came of it: after a look in vain the next wait is slept through, after another one the
    next two, four, … `RESTS`.

    Where one processor runs both sides, whoever looks keeps the other from answering. On four processors with twice as
    much to do, an evaluation took 770 us by always looking, and takes 120 so.
    """

    def __init__(self) -> None:
        self._rests = self._left = 0

    def at(self, channel: socket, most: int, spin: int) -> bytes:
        """As `looked`; where it is not worth looking, nothing comes."""
        if self._left:
            self._left -= 1
            raise BlockingIOError
        try:
            found = looked(channel, most, spin)
        except BlockingIOError:
            if spin:
                self._left = self._rests = min(2 * self._rests or 1, RESTS)
            raise
        self._rests = 0
        return found


def looked(channel: socket, most: int, spin: int) -> bytes:
    """What comes on *channel* within *spin* nanoseconds, at most *most* bytes.

    Raises:
        BlockingIOError: if nothing does.
        OSError: if nothing can.
    """
    most = min(most, PIECE)
    until = perf_counter_ns() + spin if spin else 0
    while until and perf_counter_ns() < until:
        try:
            return channel.recv(most, MSG_DONTWAIT)
        except BlockingIOError:
            continue
    raise BlockingIOError


def received(channel: socket, most: int, spin: int, look: Look) -> bytes:
    """What comes next on *channel*, at most *most* bytes: looked for during *spin* nanoseconds, then waited for."""
    try:
        return look.at(channel, most, spin)
    except BlockingIOError:
        return channel.recv(min(most, PIECE))


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
    try:
        read = wire.read(exactly(length).decode())
    except RecursionError:
        raise ValueError("a header that is nested too deep") from None
    if type(read) is not dict:
        raise ValueError("a header that is no object")
    return read


def ready(report: dict[str, Any], guests: list[str]) -> bytes:
    """The frame of a cell that is ready: the *report* of its jail, and for each guest why it cannot be asked."""
    return message({"report": report, "guests": guests})


def told(exactly: Callable[[int], bytes], guests: int) -> tuple[dict[str, Any], list[str]]:
    """The report of a cell that says it is ready, and why some of so many *guests* cannot be asked.

    Raises:
        ValueError: if it is none.
    """
    said = header(exactly)
    report, why = said.get("report"), said.get("guests")
    if type(report) is not dict or not report or type(why) is not list or len(why) != guests:
        raise ValueError("a report of another shape")
    if not all(type(reason) is str for reason in (*why, report.get("error", ""))):
        raise ValueError("a report of other types")
    report = {name: one_line(said, SENTENCE) if type(said) is str else said for name, said in report.items()}
    return report, [one_line(reason, SENTENCE) for reason in why]


def request(guest: int, number: bytes, data: bytes, *, more: bool = True, at_once: bool = False) -> bytes:
    """The frame that asks *guest*, by its number, about *data*; the reply repeats *number*. With *more*, the next
    request is worth looking for; *at_once*, it is asked with little."""
    asked = guest | (0 if more else NO_MORE) | (AT_ONCE if at_once else 0)
    return b"".join((asked.to_bytes(4, "big"), len(data).to_bytes(4, "big"), number, data))


def asked(head: bytes) -> tuple[int, int, bytes]:
    """The guest's number, the length of the request behind *head*, and what the reply repeats."""
    return int.from_bytes(head[:4], "big") & ~(NO_MORE | AT_ONCE), int.from_bytes(head[4:8], "big"), head[8:HEAD]


def more(head: bytes) -> bool:
    """Whether the next request is worth looking for after the one with *head*."""
    return not head[0] & NO_MORE >> 24


def at_once(head: bytes) -> bool:
    """Whether the request with *head* is asked with little."""
    return bool(head[0] & AT_ONCE >> 24)


def answered(number: bytes, answer: bytes, fuel: int) -> bytes:
    """The frame of an answer."""
    return _reply(number, (ANSWER, 0, 0), answer, fuel)


def failed(number: bytes, failure: Failure, fuel: int | None) -> bytes:
    """The frame of an evaluation that failed."""
    *said, text = failure
    return _reply(number, said, text.encode("utf-8", "replace"), NO_FUEL if fuel is None else fuel)


def reply(head: bytes, number: bytes, *, most: int, fuel: int, at_once: bool = False) -> Head:
    """Kind, fuel, two numbers and the payload's length from the *head* of the reply to request *number*; an answer has
    at most *most* bytes, nobody burns more than *fuel*, and little was enough but for who was asked *at_once*.

    Raises:
        ValueError: if an honest cell would not say that.
    """
    if head[1:9] != number:
        raise ValueError("a reply to something else")
    kind, burned, length = head[0], int.from_bytes(head[9:17], "big"), int.from_bytes(head[33:REPLY], "big")
    if kind > (NOT_AT_ONCE if at_once else LAST) or length > (most if kind == ANSWER else 4 * TEXT):
        raise ValueError("a reply of no known kind, or too long")
    if burned > fuel and (burned != NO_FUEL or kind == ANSWER):
        raise ValueError("more fuel than there was")
    first, second = int.from_bytes(head[17:25], "big"), int.from_bytes(head[25:33], "big")
    return kind, None if burned == NO_FUEL else burned, first, second, length


def _reply(number: bytes, said: Sequence[int], payload: bytes, fuel: int) -> bytes:
    kind, first, second = said
    numbers = fuel.to_bytes(8, "big") + (first & U64).to_bytes(8, "big") + (second & U64).to_bytes(8, "big")
    return b"".join((bytes([kind]), number, numbers, len(payload).to_bytes(4, "big"), payload))
