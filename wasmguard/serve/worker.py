"""One worker of the daemon: it has a guard of its own, and answers one question after the other.

1. All workers accept at the same sockets. One that decides does not accept meanwhile, so others do; connections that
   stay are dealt out in turn. How they are treated then: `wasmguard.serve.clients`.
2. The agent's answer comes first, then the record of it, unless its owner wants it the other way round; the next
   question is heard after that. What it came to is told when nobody waits, or when that waited long enough.
3. A question of another version is answered `ELSEWHERE`: its client decides by itself.
4. It ends with its master, and when it is told to (SIGTERM): it accepts nobody any more, answers who has begun to ask,
   and is gone after `FAREWELL` seconds.
"""

from __future__ import annotations

import errno
import os
import select
import signal
from contextlib import suppress
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, NoReturn

from wasmguard import link, wire
from wasmguard.sandbox.child import watch
from wasmguard.serve import callback, metrics
from wasmguard.serve.clients import IN, Clients
from wasmguard.serve.standing import Standing
from wasmguard.serve.talk import METRICS, PERMISSION, SCHEMA
from wasmguard.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from socket import socket
    from typing import Any

    from wasmguard.serve.board import Board
    from wasmguard.serve.clients import Connection
    from wasmguard.serve.talk import Question, Talk

    Listener = tuple[socket, Callable[[], Talk]]

FAREWELL = 2.0  # seconds
SWEEP, SLEEP = 1.0, 5.0  # seconds between two looks around, with connections and without
DEAF = 0.1  # seconds without accepting, after there was no descriptor left for it
AT_ONCE = 64  # connections that have their turn before new ones are looked for
LOOK = 500_000  # nanoseconds after an answer in which the next question is looked for, not slept for
UNWRITTEN = 0.1  # seconds that records may wait while there is always somebody to answer
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
JUDGED = (link.EVENT, PERMISSION)  # what the guard is asked about, and counted
SOFTWARE = 70  # EX_SOFTWARE

ALONE = getattr(select, "EPOLLEXCLUSIVE", 0)  # one worker is woken for one client


def work(  # noqa: PLR0913  # what the master knows
    listeners: Sequence[Listener],
    board: Board,
    number: int,
    config: str,
    *,
    facts: Mapping[str, Any] | None = None,
    standing: Callable[[str], Standing] = Standing,
) -> NoReturn:
    """Be worker *number* of the master that made *board*, for the configuration file *config*, and end the process.

    *listeners* are sockets that listen, each with what makes a talk for one connection; *facts* go into every status.
    The guard is what *standing* makes of *config*.

    Raises:
        WasmguardError: if there can be no guard. Later nothing is raised.
    """
    worker = Worker(listeners, board, number, standing(config), facts or {})
    status = SOFTWARE
    try:
        worker.live()
        status = 0
    except Exception as error:  # noqa: BLE001  # a bug of ours: another worker comes
        os.write(2, f"wasmguard: a worker ended: internal error: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)


class Worker:
    """The life of one worker."""

    def __init__(
        self, listeners: Sequence[Listener], board: Board, number: int, standing: Standing, facts: Mapping[str, Any]
    ) -> None:
        self._listeners = {listener.fileno(): (listener, talk) for listener, talk in listeners}
        self._board, self._seat, self._standing, self._facts = board, board.seats[number], standing, facts
        self._poll: Any = select.epoll() if ALONE else select.poll()
        self._clients = Clients(self._poll, self._seat, self._answer, self._go_last, standing.flush)
        self._listening = False
        self._deaf = 0.0  # until when nobody is accepted
        self._told = False  # to end
        self._until = 0.0  # when it is gone; 0 as long as nobody told it to end
        self._swept = self._written = monotonic()
        self._noted: tuple[Any, Any] = standing.last, None  # what is on the board
        self._active = 0  # when it answered last, in nanoseconds

    def live(self) -> None:
        """Answer until it is over."""
        wake = self._expect_signals()
        self._poll.register(wake, IN)
        self._seat.take()
        self._seat.cells(self._standing.pids())
        self._listen(True)
        while not (self._until and (monotonic() > self._until or not self._clients)):
            ready = self._next()
            watch.crowded = len(ready) > 1 or self._clients.pressing
            self._clients.turn(ready)
            for number, _ in ready:
                if number in self._listeners and number not in self._clients:
                    self._accept(*self._listeners[number])
                elif number == wake:
                    os.read(wake, 64)
            self._look_around()
        self._standing.close()
        self._seat.leave()

    def _expect_signals(self) -> int:
        """A descriptor that can be read when a signal came."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._tell)
        for other in (signal.SIGINT, signal.SIGHUP):  # for the master, who tells us
            signal.signal(other, signal.SIG_IGN)
        return reading

    def _tell(self, *_: object) -> None:
        self._told = True

    def _next(self) -> list[tuple[int, int]]:
        """What is ready, after waiting for it if there is nothing else to do."""
        ready = self._polled(0)
        if ready or self._clients.pressing:
            return ready
        until = self._active + LOOK if watch.spin else 0
        while perf_counter_ns() < until:
            if ready := self._polled(0):
                return ready
        self._write()
        if self._until:
            self._clients.sweep(farewell=True)
        if self._told and not self._clients:
            return []
        now = monotonic()
        ends = [now + (SWEEP if self._clients else SLEEP), self._until, self._deaf]
        return self._polled(max(0.0, min(end for end in ends if end) - now))

    def _polled(self, seconds: float) -> list[tuple[int, int]]:
        if ALONE:
            return self._poll.poll(seconds, AT_ONCE)  # type: ignore[no-any-return]
        return self._poll.poll(seconds * 1000)  # type: ignore[no-any-return]

    def _look_around(self) -> None:
        """What has to be done from time to time."""
        now = monotonic()
        if now - self._written > UNWRITTEN:
            self._write()
        if self._deaf and now > self._deaf:
            self._deaf = 0.0
            self._listen(not self._until)
        if now - self._swept > SWEEP:
            self._swept = now
            self._seat.cells(self._standing.pids())
            self._told = self._told or os.getppid() != self._board.master
            self._clients.sweep(farewell=False)
        if self._told and not self._until:
            self._until = now + FAREWELL
            self._listen(False)

    def _write(self) -> None:
        """Tell what nobody waits for."""
        self._written = monotonic()
        last, reload = self._standing.last, self._standing.reload
        if last is not self._noted[0]:
            self._seat.write("last", last.as_dict())
        if reload is not self._noted[1] and reload.time:
            self._seat.write("reload", reload.as_dict())
        self._noted = last, reload

    def _listen(self, on: bool) -> None:
        if on and not self._listening:
            for number in self._listeners:
                self._poll.register(number, IN | ALONE)
        elif self._listening and not on:
            for number in self._listeners:
                self._poll.unregister(number)
        self._listening = on

    def _go_last(self) -> None:
        """Let other workers have the next clients: the kernel wakes in the order of registration."""
        if ALONE and self._listening:
            self._listen(False)
            self._listen(True)

    def _accept(self, listener: socket, talk: Callable[[], Talk]) -> None:
        try:
            channel, _ = listener.accept()
        except OSError as error:  # else another worker was quicker, or the client went away
            if error.errno in EXHAUSTED and not self._clients.close_idle():
                self._deaf = monotonic() + DEAF
                self._listen(False)
            return
        self._clients.add(channel, talk)

    def _answer(self, connection: Connection, question: Question) -> None:
        """Put the answer to *question* into the talk of *connection*, and count it."""
        begun, event = perf_counter_ns(), question.kind in JUDGED and question.ours
        connection.talk.answer(question, *self._reply(question))
        self._active = perf_counter_ns()
        if event:
            last, taken = self._standing.last, (self._active - begun) / 1000
            self._seat.event(last.effect, taken, rewrote=last.rewrote, faulted=last.faulted)
        elif question.kind == link.STOP and os.getppid() == self._board.master:
            os.kill(self._board.master, signal.SIGTERM)

    def _reply(self, question: Question) -> tuple[int, bytes, bytes]:
        if question.kind in JUDGED:
            if question.ours:
                reply = self._standing.permission if question.kind == PERMISSION else self._standing.reply
                return reply(question.payload, question.context)
            self._seat.count("elsewhere")
            return link.ELSEWHERE, b"", b""
        if question.kind == link.STOP:
            return link.ANSWERED, b"{}\n", b""
        if question.kind == SCHEMA:
            return link.ANSWERED, wire.written(callback.schemas()).encode() + b"\n", b""
        if question.kind == METRICS:
            self._write()
            return link.ANSWERED, metrics.text(self._board).encode(), b""
        return link.ANSWERED, wire.written(self._status()).encode() + b"\n", b""

    def _status(self) -> dict[str, Any]:
        with suppress(Exception):  # what is wrong is told: `reload`
            self._standing.follow()
        self._write()
        plan = self._standing.plan
        policies = [
            {
                "name": policy.name,
                "reference": policy.reference,
                "events": list(policy.events),
                "tools": None if policy.tools is None else list(policy.tools),
                "shadow": policy.shadow,
                "shadow_of": policy.shadow_of,
            }
            for policy in plan.policies
        ]
        ours = {"version": __version__, "config": plan.config, "digest": plan.digest, "policies": policies}
        return {**ours, **self._facts, **self._board.summary()}
