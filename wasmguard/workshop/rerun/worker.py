"""The process that decides again: it loads guests, shuts itself in, and answers.

1. It is spawned with an empty environment and one descriptor, the channel to the pool. What it needs comes in the load
   message: plans, and the native code that the pool has verified.
2. Guests run in this very process, behind WebAssembly and the same jail as a cell's, but that it may see what kind of
   file lies at a path: it checks the grants as well. So it decides as fast as a thread, and what a guest that broke out
   could lie about is what became of the events that are decided again. Nothing is ever allowed on its word.
3. Everything that it will ever need is imported before the jail closes.
"""

from __future__ import annotations

import codecs
import gc
import json  # noqa: F401  # grants look at sizes in JSON
import os
import re  # noqa: F401  # and for control characters
import unicodedata  # noqa: F401  # messages are cleaned inside the jail, where nothing can be imported
from _socket import socket
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from wasmguard import matcher, plan, recall  # noqa: F401  # as above
from wasmguard.errors import EventError, HostError
from wasmguard.guest import opa  # noqa: F401  # as above
from wasmguard.guest.codec import packed, unpacked
from wasmguard.limits import MIB
from wasmguard.sandbox import call, failure, inert, jail  # noqa: F401  # as above
from wasmguard.sandbox.engine import GUARD
from wasmguard.state import scope  # noqa: F401  # as above
from wasmguard.text import one_line
from wasmguard.workshop.rerun import forms, payload
from wasmguard.workshop.rerun.compared import came_out
from wasmguard.workshop.rerun.deciding import Deciding
from wasmguard.workshop.rerun.held import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.decision import Decision
    from wasmguard.workshop.rerun.asked import Expected

HEADROOM = 512 * MIB  # bytes of address space for the interpreter and for batches
EACH = 16  # times an event: as received, read, converted, in the guest, in outcomes
FLUSH = 0.05  # seconds after which what is decided is told, so that the pool sees that it goes on
GARBAGE = 50_000  # objects until somebody looks for cycles: a batch makes a few thousand, and no cycle
ENCODINGS = ("utf-8", "utf-16-le", "ascii", "latin-1")  # what is encoded so is imported at the first time


def live(descriptor: int, *, follow: bool) -> NoReturn:
    """The whole life of a process whose pool is at the other end of *descriptor*; see `jail.enter` for *follow*."""
    status = 70  # EX_SOFTWARE
    try:
        channel = socket(fileno=descriptor)
        deciding = _loaded(channel, follow=follow)
        while True:
            _decide(channel, deciding, unpacked(_read(channel)))
    except EOFError:  # the pool is gone, or does not need us any more
        status = 0
    finally:
        os._exit(status)


def _loaded(channel: socket, *, follow: bool) -> list[Deciding]:
    """What decides by each plan of the load message, after the jail has closed and the pool was told."""
    given = unpacked(_read(channel))
    for name in ENCODINGS:
        codecs.lookup(name)
    "\ud800".encode("utf-16-le", "surrogatepass")
    try:
        cells, deciding = _guests(given)
        room = HEADROOM + sum(map(_room, deciding))
        clocks = partial(_start_clocks, cells)
        report = jail.enter(room, channel=channel.fileno(), follow=follow, threads=clocks, looks=True)
    except (HostError, OSError) as error:
        channel.sendall(forms.frame(packed({"error": str(error)})))
        raise EOFError from None
    unloaded = [[number, list(held.unloaded())] for number, held in enumerate(cells) if held.unloaded()]
    channel.sendall(forms.frame(packed({**report, "unloaded": unloaded})))
    gc.freeze()  # what is here stays
    gc.set_threshold(GARBAGE)
    return [one for _, one in deciding]


def _guests(given: dict[str, Any]) -> tuple[list[Held], list[tuple[plan.Plan, Deciding]]]:
    cells, deciding = [], []
    for written, memory in given["plans"]:
        made = plan.read_again(written)
        if made is None:
            raise HostError("a plan of another version")
        held = Held(made, given["codes"], portable=given["portable"])
        one = Deciding(made, held)  # type: ignore[arg-type]  # as in `Held`
        one.memory.learn(memory)
        cells.append(held)
        deciding.append((made, one))
    return cells, deciding


def _start_clocks(cells: Sequence[Held]) -> None:
    for held in cells:
        held.start_clocks()


def _room(of: tuple[plan.Plan, Deciding]) -> int:
    """Bytes of address space that evaluations may take on top of what is mapped when the jail closes."""
    made, _ = of
    reserved = max((setup["reservation"] for setup in made.setups.values()), default=0)
    memories = max((policy.limits["memories"] for policy in made.policies), default=1)
    return EACH * made.event + memories * (reserved + 2 * GUARD)


def _decide(channel: socket, deciding: Sequence[Deciding], batch: Sequence[Sequence[Any]]) -> None:
    """Decide a *batch* of questions, and tell what came of them, at the latest every now and then."""
    done: list[Any] = []
    until = monotonic() + FLUSH
    for said in batch:
        if forms.is_line(said):
            done.append((_about(deciding, said), 0, ()))
        else:
            one = deciding[said[1]]
            done.append((_outcome(one, said), said[1], one.memory.changes()))
        if monotonic() > until:
            _tell(channel, done)
            done, until = [], monotonic() + FLUSH
    if done:
        _tell(channel, done)


def _outcome(deciding: Deciding, said: Sequence[Any]) -> list[Any]:
    """What came of one question: verdicts, or why there are none."""
    try:
        states, aside = said[7], said[8]
        made = deciding.decision(forms.asked_about(said), states, frozenset(aside))
        expected = forms.expected(said)
        if expected is not None and _came_out(expected, made, deciding.plan):
            return [said[0]]
        return forms.outcome(said[0], made)
    except Exception as error:  # noqa: BLE001  # a bug of ours must not pass for a verdict
        return [said[0], _bug(error)]


def _came_out(expected: Expected, made: Decision, of: plan.Plan) -> bool:
    try:
        return came_out(expected, made, of)
    except (KeyError, TypeError, AttributeError):  # no record of a decision: who asked finds out, and says so
        return False


def _about(deciding: Sequence[Deciding], said: Sequence[Any]) -> list[Any]:
    """What came of one line: counts, the verdicts by each plan, or nothing for no event."""
    number, line = said
    try:
        event = payload.event_of(line)
    except EventError:
        return [number]
    try:
        made = [one.decision(event, None) for one in deciding]
        told = forms.quietly(event, made, [one.places for one in deciding])
        return [number, told, None] if told is not None else [number, None, [forms.told(each) for each in made]]
    except Exception as error:  # noqa: BLE001  # as above
        return [number, _bug(error)]


def _bug(error: Exception) -> str:
    return f"internal error: {type(error).__name__}: {one_line(str(error), 200)}: please report it"


def _tell(channel: socket, done: list[Any]) -> None:
    outcomes = [outcome for outcome, _, _ in done]
    changes = [[plan, *row] for _, plan, rows in done for row in rows]
    try:
        body = packed([outcomes, changes])
    except ValueError:  # an integer of more than 64 bits in a rewrite
        body = packed([[_sayable(outcome) for outcome in outcomes], changes])
    channel.sendall(forms.frame(body))


def _sayable(outcome: list[Any]) -> list[Any]:
    try:
        packed(outcome)
    except ValueError as error:
        return [outcome[0], f"what was decided cannot be told: {one_line(str(error), 200)}"]
    return outcome


def _read(channel: socket) -> bytes:
    """The body of the next frame.

    Raises:
        EOFError: if the pool is gone.
    """
    return _exactly(channel, int.from_bytes(_exactly(channel, forms.LENGTH), "big"))


def _exactly(channel: socket, size: int) -> bytes:
    room = bytearray(size)
    view, place = memoryview(room), 0
    while place < size:
        came = channel.recv_into(view[place:])
        if not came:
            raise EOFError
        place += came
    return bytes(room)
