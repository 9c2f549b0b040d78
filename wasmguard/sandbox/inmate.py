"""The cell's side: load the guests, shut this process in, answer.

This runs in a process of its own, which was spawned with an empty environment, or forked from a hook process that had
read its event and nothing of ours. Everything that it will ever need is imported before the jail closes.

What a guest did wrong leaves as numbers (`sandbox.failure`), never as a sentence. Anything else that goes wrong here
ends the process, and the one that decides takes that for what it is.
"""

from __future__ import annotations

import ctypes
import os
import sys
import unicodedata  # noqa: F401  # messages are cleaned inside the jail, where nothing can be imported
from _socket import socket

from wasmguard.errors import HostError
from wasmguard.limits import MIB, STATE
from wasmguard.sandbox import call, frames, jail  # noqa: F401  # what runs core modules, before it is asked for
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.engine import GUARD, Setup
from wasmguard.sandbox.failure import Failed
from wasmguard.sandbox.spec import Spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from wasmguard.sandbox.failure import Runs

BYTES_BEFORE = sys.getsizeof(b"") - 1  # of a `bytes` object before its content; the last one is a NUL
HEADROOM = 64 * MIB  # bytes of address space for the interpreter's own growth
BESIDE = STATE + MIB  # bytes of a request beside its event: settings, of a file that has at most 1 MiB, and the state
COPIES = 4  # of a request: as received, as joined, as converted, in the guest; of an answer: as converted, read, framed
CONVERTED = 80  # bytes that one of either takes at the border of a component: a value of the C API, one of Rust's
LARGEST_LOAD = 16 * MIB  # bytes of a load message's header


def live(descriptor: int, *, follow: bool) -> NoReturn:
    """The whole life of a cell whose parent is at the other end of *descriptor*; see `jail.enter` for *follow*."""
    status = 70  # EX_SOFTWARE
    try:
        channel = socket(fileno=descriptor)
        spin = frames.SPIN if (os.cpu_count() or 1) > 1 else 0
        guests = _loaded(channel, follow=follow)
        more, look = True, frames.Look()
        while True:
            head, request = _request(channel, spin if more else 0, look)
            more = frames.more(head)
            channel.sendall(_outcome(guests, head, request))
    except EOFError:  # the parent is gone, or does not need us any more
        status = 0
    finally:
        os._exit(status)


def forget() -> None:
    """Overwrite every variable of the environment that was inherited, wherever it lies in memory.

    For a cell that was forked: the agent's environment holds keys, and nothing in here may know them.
    """
    held: dict[bytes, bytes] = vars(os.environ)["_data"]  # the only objects that hold names and values
    for text in (*held.keys(), *held.values()):
        if len(text) > 1:  # shorter ones are shared with the whole interpreter
            ctypes.memset(id(text) + BYTES_BEFORE, 0, len(text))
    held.clear()
    libc = ctypes.CDLL(None)
    strings = ctypes.POINTER(ctypes.c_void_p).in_dll(libc, "environ")
    place = 0
    while strings and (string := strings[place]):
        ctypes.memset(string, 0, len(ctypes.string_at(string)))
        place += 1
    libc.clearenv()


def _loaded(channel: socket, *, follow: bool) -> list[Runs]:
    """The guests of the load message, after the jail has closed and the parent was told."""
    given = frames.header(lambda size: _exactly(channel, size), LARGEST_LOAD)
    codes = [[_exactly(channel, size) for size in guest["sizes"]] for guest in given["guests"]]
    guests: list[Any] = []
    why: list[str] = []
    try:
        setup = Setup(**given["setup"])
        cell = _kind_of(given)(given["library"], {setup.kind: setup}, given["slots"], portable=given["portable"])
        for guest, code in zip(given["guests"], codes, strict=True):
            made, wrong = _guest(cell, Spec.from_data(guest), code) if code else (None, "")
            guests.append(made)
            why.append(wrong)
        room = _room(setup, given)
        report = jail.enter(room, channel=channel.fileno(), follow=follow, threads=cell.start_clocks)
    except (HostError, OSError) as error:
        channel.sendall(frames.ready({"error": str(error)}, [""] * len(codes)))
        raise EOFError from None
    channel.sendall(frames.ready(report, why))
    return guests


def _kind_of(given: dict[str, Any]) -> type[Cell]:
    """The cell that the parent wants. No guest has a say in it: none has run yet."""
    if "watched" not in given:
        return Cell
    from wasmguard.sandbox.watched import TELLING  # for measuring only, and before this process is shut in

    return TELLING[given["watched"]]


def _guest(cell: Cell, spec: Spec, code: list[bytes]) -> tuple[Runs | None, str]:
    """A loaded guest, or why it cannot be loaded."""
    try:
        guest = cell.load(spec, code)
        guest.warm()
    except HostError as error:
        return None, str(error)
    return guest, ""


def _room(setup: Setup, given: dict[str, Any]) -> int:
    """Bytes of address space that evaluations may take on top of what is mapped when the jail closes."""
    memories = max((guest["limits"]["memories"] for guest in given["guests"]), default=1)
    answer = max((guest["answer"] for guest in given["guests"]), default=0)
    each = COPIES + (CONVERTED if setup.kind == "component" else 0)
    data = int(given["event"]) + BESIDE + answer
    return HEADROOM + each * data + memories * (setup.reservation + 2 * GUARD)


def _outcome(guests: list[Runs], head: bytes, request: bytes) -> bytes:
    place, _, number = frames.asked(head)
    guest = guests[place]
    try:
        said = guest.run_at_once(request) if frames.at_once(head) else guest.run(request)
        return frames.answered(number, *said)
    except Failed as failed:
        return frames.failed(number, failed.failure, failed.fuel)


def _request(channel: socket, spin: int, look: frames.Look) -> tuple[bytes, bytes]:
    """The head of the next request, with or without what follows, and the request: most of them arrive in one piece."""
    data = frames.received(channel, frames.PIECE, spin, look)
    if not data:
        raise EOFError
    if len(data) < frames.HEAD:
        data += _exactly(channel, frames.HEAD - len(data))
    _, size, _ = frames.asked(data)
    here = data[frames.HEAD :]
    return data, _exactly(channel, size, here) if size > len(here) else here


def _exactly(channel: socket, size: int, here: bytes = b"") -> bytes:
    """The next *size* bytes, of which some are *here* already.

    Raises:
        EOFError: if the parent is gone.
    """
    room = bytearray(size)
    room[: len(here)] = here
    view, place = memoryview(room), len(here)
    while place < size:
        came = channel.recv_into(view[place:])
        if not came:
            raise EOFError
        place += came
    return bytes(room)
