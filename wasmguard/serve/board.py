"""What the workers of a daemon tell about themselves, in memory that they share with their master.

1. Each worker has a seat, and writes nowhere else: there are no locks, and nobody waits. All read all seats.
2. A number is one aligned word, written at once. A note (JSON) is written beside the one before it and then counted:
   whoever reads finds the last whole one, also if its writer was killed in the middle.
3. A seat outlives its worker. Who takes it over goes on counting where the dead one stopped.
4. Nothing that is read here decides anything: it is for people to look at, and for the master to see who is needed.

Latencies are counted in buckets whose bounds grow by a sixteenth of an octave (4.4 %), from 1 us to half a minute.
"""

from __future__ import annotations

import mmap
import os
from math import log2
from time import monotonic_ns, time_ns

from wasmguard import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

NUMBERS = (
    *("events", "passed", "allowed", "asked", "denied", "rewritten", "faulted"),
    *("elsewhere", "accepted", "refused", "garbage", "overdue"),
)
"""What is counted: events and what became of them, those that another version was asked for, connections that were
accepted or refused, and talks that ended as garbage or because nothing came any more."""

BUCKETS, STEPS = 400, 16  # STEPS buckets an octave; 400 / 16 = 25 octaves of microseconds
CELLS = 8  # of a worker: one for each kind of module, and those that are about to end
_PID, _SEATED, _LATEST, _CLIENTS, _TIMES = range(5)  # words of a seat before its cells
_WORDS = 5 + CELLS + len(NUMBERS) + BUCKETS
NOTE = 8_192  # bytes of a note: 500 characters, escaped, and some more
NOTES = ("last", "reload")
_NOTE = 8 + 2 * (8 + NOTE)  # its count, and two places with a length each
SEAT = 8 * _WORDS + len(NOTES) * _NOTE
SECOND = 1_000_000_000  # nanoseconds


class Board:
    """The seats of all workers. Made by the master before it forks."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap.mmap(-1, workers * SEAT)
        self._view = memoryview(self._memory)
        self.master, self.begun = os.getpid(), monotonic_ns()
        self.seats = tuple(Seat(self._view[place * SEAT : (place + 1) * SEAT]) for place in range(workers))

    def clients(self) -> int:
        """Connections that are open now."""
        return sum(seat.clients for seat in self.seats)

    def idle(self) -> float:
        """Seconds since the last event, or since the board was made."""
        return (monotonic_ns() - max(self.begun, *(seat.latest for seat in self.seats))) / SECOND

    def summary(self) -> dict[str, Any]:
        """All of it: totals (`NUMBERS`, `clients`, `restarts`), `p50_us` and `p99_us` (None before the first event),
        `seconds` since the start and since the last event (`idle`), resident memory in KiB, a row for each worker, and
        the newest of each note (`NOTES`), None before the first."""
        rows = [seat.row() for seat in self.seats]
        memory = {
            "master": resident(self.master),
            "workers": sum(row["kib"] for row in rows),
            "cells": sum(row["cells_kib"] for row in rows),
        }
        times = [sum(column) for column in zip(*(seat.times for seat in self.seats), strict=True)]
        return {
            "master": self.master,
            "seconds": (monotonic_ns() - self.begun) / SECOND,
            "idle": self.idle(),
            **{name: sum(row[name] for row in rows) for name in (*NUMBERS, "clients", "restarts")},
            "p50_us": quantile(times, 0.5),
            "p99_us": quantile(times, 0.99),
            "memory_kib": memory,
            "workers": rows,
            **{name: _newest(seat.note(name) for seat in self.seats) for name in NOTES},
        }

    def times(self) -> list[int]:
        """How many events took how long, of all workers: see `bound`."""
        return [sum(column) for column in zip(*(seat.times for seat in self.seats), strict=True)]


class Seat:
    """What one worker tells; it alone writes here."""

    def __init__(self, memory: memoryview) -> None:
        self._words = memory[: 8 * _WORDS].cast("Q")
        self._notes = memory[8 * _WORDS :]
        first = 5 + CELLS
        self._places = {name: first + place for place, name in enumerate(NUMBERS)}
        self._first_bucket = first + len(NUMBERS)

    def take(self) -> None:
        """Sit down: this process writes here from now on."""
        self._words[_SEATED] += 1
        self._words[_CLIENTS] = 0
        self.cells(())
        self._words[_PID] = os.getpid()

    def leave(self) -> None:
        """Get up: nobody writes here any more."""
        self._words[_PID] = self._words[_CLIENTS] = 0
        self.cells(())

    def count(self, name: str, by: int = 1) -> None:
        """Count one more of *name*."""
        self._words[self._places[name]] += by

    def event(self, effect: str, microseconds: float, *, rewrote: bool, faulted: bool) -> None:
        """Count an event and what it came to."""
        words, places = self._words, self._places
        words[places["events"]] += 1
        words[places[_COUNTED.get(effect, "denied")]] += 1
        if rewrote:
            words[places["rewritten"]] += 1
        if faulted:
            words[places["faulted"]] += 1
        words[self._first_bucket + bucket(microseconds)] += 1
        words[_TIMES] += max(0, int(microseconds))
        words[_LATEST] = monotonic_ns()

    def cells(self, pids: Iterable[int]) -> None:
        """Say which processes run its guests."""
        known = [*pids][:CELLS]
        for place in range(CELLS):
            self._words[5 + place] = known[place] if place < len(known) else 0

    def write(self, name: str, note: Mapping[str, Any]) -> None:
        """Keep *note* as the last one of *name*; one that is too long says nothing but its time."""
        data = wire.written(dict(note)).encode()
        if len(data) > NOTE:
            data = wire.written({"time": note.get("time", 0)}).encode()
        memory = self._note(name)
        count = int.from_bytes(memory[:8], "little") + 1
        place = 8 + (count & 1) * (8 + NOTE)
        memory[place : place + 8 + len(data)] = len(data).to_bytes(8, "little") + data
        memory[:8] = count.to_bytes(8, "little")

    def note(self, name: str) -> dict[str, Any] | None:
        """The last note of *name*; None if there is none."""
        memory = self._note(name)
        for _ in range(100):  # its writer may be quicker; not for ever
            count = bytes(memory[:8])
            place = 8 + (count[0] & 1) * (8 + NOTE)
            length = int.from_bytes(memory[place : place + 8], "little")
            data = bytes(memory[place + 8 : place + 8 + min(length, NOTE)])
            if bytes(memory[:8]) != count:
                continue
            try:
                return wire.read(data.decode()) if count != bytes(8) else None
            except ValueError:  # a processor that shows stores out of order
                continue
        return None

    @property
    def clients(self) -> int:
        """Its connections that are open now."""
        return int(self._words[_CLIENTS])

    @clients.setter
    def clients(self, now: int) -> None:
        self._words[_CLIENTS] = now

    @property
    def pid(self) -> int:
        """Who sits here; 0 if nobody does."""
        return int(self._words[_PID])

    @property
    def latest(self) -> int:
        """When its last event was, as `time.monotonic_ns` tells; 0 if there was none."""
        return int(self._words[_LATEST])

    @property
    def microseconds(self) -> int:
        """What all its events took together."""
        return int(self._words[_TIMES])

    @property
    def times(self) -> list[int]:
        """How many events took how long, see `bound`."""
        return self._words[self._first_bucket :].tolist()

    def number(self, name: str) -> int:
        """How often *name* was counted."""
        return int(self._words[self._places[name]])

    def row(self) -> dict[str, Any]:
        """What `status` shows of it."""
        cells = [pid for pid in self._words[5 : 5 + CELLS].tolist() if pid]
        return {
            "pid": self.pid,
            "cells": cells,
            "clients": self.clients,
            "restarts": max(0, int(self._words[_SEATED]) - 1),
            **{name: self.number(name) for name in NUMBERS},
            "p50_us": quantile(self.times, 0.5),
            "p99_us": quantile(self.times, 0.99),
            "kib": resident(self.pid) if self.pid else 0,
            "cells_kib": sum(map(resident, cells)),
        }

    def _note(self, name: str) -> memoryview:
        begin = NOTES.index(name) * _NOTE
        return self._notes[begin : begin + _NOTE]


_COUNTED = {"pass": "passed", "allow": "allowed", "ask": "asked", "deny": "denied"}


def bucket(microseconds: float) -> int:
    """Where a time is counted."""
    return min(BUCKETS - 1, int(log2(microseconds) * STEPS)) if microseconds > 1 else 0


def bound(place: int) -> float:
    """The lower bound of a bucket, in microseconds."""
    return float(2 ** (place / STEPS))


def quantile(times: list[int], share: float) -> float | None:
    """The time (microseconds) that so large a *share* of *times* did not exceed, within 3 %; None if there are none."""
    left = sum(times) * share
    for place, count in enumerate(times):
        left -= count
        if count and left <= 0:
            return round(bound(place) * 2 ** (0.5 / STEPS), 1)
    return None


def resident(pid: int) -> int:
    """Resident memory of a process in KiB; 0 where the system does not tell, or it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except (OSError, IndexError, ValueError):
        return 0


def now() -> int:
    """Unix milliseconds, as notes tell the time."""
    return time_ns() // 1_000_000


def _newest(notes: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    return max((note for note in notes if note), key=lambda note: note.get("time", 0), default=None)
