"""What each event is answered, wherever it is asked: every answer is checked.

1. The first about each event is what a guard in this process decides by the same plan, its policies in a jailed one,
   byte for byte, unless policies remember things, or the event is longer than the plan allows, which is a refusal.
2. Every later one, on any path, is the same. So no figure is that of a guard that failed closed.
"""

from __future__ import annotations

import json
from time import time_ns
from typing import TYPE_CHECKING

from wasmguard import plan
from wasmguard.agents import claude
from wasmguard.errors import EventError, HostError
from wasmguard.sandbox.isolation import PROCESS
from wasmguard.text import one_line
from wasmguard.workshop.bench.inside import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.plan import Plan
    from wasmguard.workshop.bench.variant import Given

MOST_ANSWERS = 64  # to one event, where policies remember things
UNDECIDED = (b"wasmguard: internal error", b"wasmguard could not decide", b"wasmguard: its installation is broken")
"""What is said where nobody decided (`guard`, `serve.answer`, `serve/client.py`): a deny, but none that is measured."""


class Answers:
    """What each event is answered."""

    def __init__(self, locked: Plan, given: Sequence[Given], environ: dict[str, str], *, stateful: bool) -> None:
        """*locked* decides about *given*, for an agent with the variables *environ*; *stateful* if it remembers things.

        Raises:
            HostError: if nobody could judge one of them.
        """
        self._given, self._most, self._stateful = given, locked.event, stateful
        self._known: list[list[bytes]] = [[] for _ in given]
        if not stateful:
            with Asked(locked, plan.cells(locked, slots=2, isolation=PROCESS, processes=1)) as guard:
                for place, one in enumerate(given):
                    if len(one.raw) <= locked.event:
                        self._known[place].append(_decided(guard, one, environ))

    def check(self, place: int, code: int, answer: bytes, complaint: bytes) -> None:
        """See whether that is a right *answer* to the event at that *place*.

        Raises:
            HostError: if it is not.
        """
        known = self._known[place]
        if code == 0 and answer in known and (not complaint or self._too_long(place)):
            return
        why = f"exit code or status {code}" if code else ""
        if not why and known and not self._stateful:
            why = "another answer than the policies give a guard here, or gave before"
        if why := why or self._no_decision(place, answer, complaint):
            said = one_line((complaint or answer).decode(errors="replace").strip(), 300)
            raise HostError(f"`{self._given[place].name}` is not answered as it must be: {why}: {said or 'nothing'}")
        if len(known) < MOST_ANSWERS:
            known.append(answer)

    def _too_long(self, place: int) -> bool:
        return len(self._given[place].raw) > self._most

    def _no_decision(self, place: int, answer: bytes, complaint: bytes) -> str:
        """Why *answer*, which nothing can be compared with, is no decision; nothing if it is one."""
        if complaint and not self._too_long(place):  # a decision has none (`serve.answer`)
            return "a complaint"
        try:
            said = json.loads(answer)
        except ValueError:
            said = None
        if type(said) is not dict or not answer.endswith(b"}\n") or answer.count(b"\n") != 1:
            return "not one JSON object"
        return "nobody could decide" if any(word in answer for word in UNDECIDED) else ""


def _decided(guard: Asked, one: Given, environ: dict[str, str]) -> bytes:
    """What *guard* answers to *one*.

    Raises:
        HostError: if it could not judge it.
    """
    try:
        event = claude.from_mapping(one.fields, time=time_ns() // 1_000_000)
        return claude.encode(claude.render(event, guard.decide(event, environ)))
    except (EventError, HostError) as error:
        raise HostError(f"event `{one.name}`: nobody could judge it: {error}") from None
