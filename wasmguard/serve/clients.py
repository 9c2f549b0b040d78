"""The connections of one worker: who is heard next, who waits, who has to go.

1. A connection gets one answer, then it waits until every other that is ready had its own. Nothing is read from who
   has not taken its answer.
2. What is announced has to fit into `ROOM` with what others announced, else it waits for its turn and is not read. One
   question is always let in.
3. Who began a question or is sent an answer has `OVERDUE` seconds for it; who does neither may stay `IDLE` seconds. Of
   more connections than there may be, the one that has been idle longest goes; if none is, the oldest that came through
   the network and has not shown yet that it may ask: any user of this machine can open those.
4. A client on a Unix socket is this user, as the kernel knows it, or is not heard.
5. Whatever goes wrong with a connection ends that connection: then its client decides by itself.
"""

from __future__ import annotations

import os
import select
import socket as sockets
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from wasmguard import link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from socket import socket
    from typing import Any

    from wasmguard.serve.board import Seat
    from wasmguard.serve.talk import Question, Talk

    Answering = Callable[["Connection", Question], None]

FIRST, PIECE = 1 << 14, 1 << 18  # bytes that are read at once: before the length of a question is known, and after
ROOM = 96 * 2**20  # bytes of questions that are announced and not answered
OVERDUE = 20.0  # seconds; a client gives up after 4 for each step and decides by itself
IDLE = 600.0  # seconds
MOST = 1_000  # connections
SPARE = 64  # descriptors that are not for connections

IN, OUT = select.POLLIN, select.POLLOUT  # EPOLLIN and EPOLLOUT have the same numbers
NO_WAIT = sockets.MSG_DONTWAIT


class Connection:
    """One client."""

    def __init__(self, channel: socket, talk: Talk) -> None:
        self.channel, self.talk, self.number = channel, talk, channel.fileno()
        self.since, self.waits = monotonic(), False
        """Since when it is idle, or *waits*: for the rest of a question, or for its own reading."""
        self.room = 0
        """Bytes that it was let in with."""
        self.mask = 0
        """What is polled for; 0 if nothing."""
        self.question: Question | None = None
        """The next one."""
        self.answers, self.stays = 0, False
        """Whether it is more than one question and its answer."""
        self.ended = False
        """Whether the client has said its last word."""
        self.lingers = False
        """Whether it is closed as soon as the client has closed it: what it still sends is dropped."""


class Clients:
    """All connections of a worker."""

    def __init__(
        self,
        poll: Any,
        seat: Seat,
        answering: Answering,
        staying: Callable[[], None],
        afterwards: Callable[[], None],
    ) -> None:
        """*poll* is told what to look for. *answering* puts the answer to a question into the talk of its connection;
        *staying* is called when a connection turns out to be no short one, *afterwards* when an answer was sent."""
        self._poll, self._seat, self._answering, self._staying = poll, seat, answering, staying
        self._afterwards = afterwards
        self._all: dict[int, Connection] = {}  # who was active last comes last
        self._ready: deque[Connection] = deque()  # with a question that came along with the one before
        self._outside: deque[Connection] = deque()  # rule 2
        self._room, self._most = ROOM, most()

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, number: object) -> bool:
        return number in self._all

    def add(self, channel: socket, talk: Callable[[], Talk]) -> None:
        """Take *channel*, which was just accepted, and hear what it has to say."""
        if (len(self._all) >= self._most and not self.close_idle()) or not _known(channel):
            channel.close()
            self._seat.count("refused")
            return
        connection = Connection(channel, talk())
        self._all[connection.number] = connection
        self._seat.count("accepted")
        self._seat.clients = len(self._all)
        self._guarded(self._heard, connection)

    def turn(self, polled: Iterable[tuple[int, int]]) -> None:
        """Give everybody who is ready, or was *polled* so, one turn."""
        ready, self._ready = self._ready, deque()
        for number, _ in polled:
            if connection := self._all.get(number):
                self._guarded(self._continued, connection)
        for connection in ready:
            if self._all.get(connection.number) is connection:
                self._guarded(self._answered, connection)

    @property
    def pressing(self) -> bool:
        """Whether somebody is ready without being polled."""
        return bool(self._ready)

    def sweep(self, *, farewell: bool) -> None:
        """Close what is overdue; as a *farewell*, whoever asks nothing."""
        now = monotonic()
        for connection in [*self._all.values()]:
            idle = 0.0 if farewell else IDLE
            if now - connection.since > (OVERDUE if connection.waits else idle) and not connection.question:
                self._seat.count("overdue", int(connection.waits))
                self._close(connection)

    def close_idle(self) -> bool:
        """Close the connection that has been idle longest, or else a stranger's (rule 3). Whether there was one."""
        for may_go in (_is_idle, _is_strange):
            for connection in self._all.values():
                if may_go(connection):
                    self._close(connection)
                    return True
        return False

    def _guarded(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Rule 5."""
        try:
            step(connection)
        except Exception:  # noqa: BLE001  # a bug of ours, or no memory left
            self._close(connection)

    def _continued(self, connection: Connection) -> None:
        """Go on with *connection*, which can be read or written."""
        if connection.talk.out:
            self._sent(connection)
            self._arrange(connection)
        elif not connection.question:
            self._heard(connection)

    def _heard(self, connection: Connection) -> None:
        talk = connection.talk
        try:
            data = connection.channel.recv(PIECE if connection.room else FIRST, NO_WAIT)
        except BlockingIOError:
            self._arrange(connection)
            return
        except OSError:
            self._close(connection)
            return
        if data and connection.lingers:
            return
        if data:
            if not connection.waits:
                connection.since, connection.waits = monotonic(), True
            talk.received(data)
            connection.question = talk.question()
        else:
            connection.ended = True
        if connection.question:
            self._answered(connection)
        else:
            self._arrange(connection)

    def _answered(self, connection: Connection) -> None:
        """Answer the question of *connection*, and see whether another one came along with it."""
        question, connection.question = connection.question, None
        if question is None:
            return
        connection.answers += 1
        self._answering(connection, question)
        del question  # with its payload
        self._sent(connection)
        self._afterwards()
        self._make_room(connection)
        self._all[connection.number] = self._all.pop(connection.number)
        connection.question = connection.talk.question()
        self._arrange(connection)

    def _sent(self, connection: Connection) -> None:
        """Send as much as the client takes now."""
        talk = connection.talk
        try:
            while talk.out:
                del talk.out[: connection.channel.send(talk.out, NO_WAIT)]
        except BlockingIOError:
            return
        except OSError:
            talk.out.clear()
            talk.over = True
        connection.since, connection.waits = monotonic(), talk.begun

    def _arrange(self, connection: Connection) -> None:
        """Poll for what *connection* needs next; close it if that is nothing."""
        talk = connection.talk
        if talk.out:
            self._watch(connection, OUT)
        elif connection.question:
            self._ready.append(connection)
        elif talk.over or connection.ended:
            self._seat.count("garbage", int(talk.over and not connection.answers))
            self._part(connection)
        elif not talk.need or connection.room or self._let_in(connection):
            if not connection.stays and connection.answers != 1:  # it did not ask at once, or asked again
                connection.stays = True
                self._staying()
            self._watch(connection, IN)
        else:
            self._watch(connection, 0)
            self._outside.append(connection)

    def _part(self, connection: Connection) -> None:
        """Close *connection*. Through the network an end that comes before its client has sent all would overtake the
        answer (a reset, RFC 9112 section 9.6)."""
        if connection.ended or connection.channel.family == sockets.AF_UNIX:
            self._close(connection)
            return
        connection.channel.shutdown(sockets.SHUT_WR)
        connection.lingers, connection.waits, connection.since = True, True, monotonic()
        self._make_room(connection)
        self._watch(connection, IN)

    def _watch(self, connection: Connection, mask: int) -> None:
        if mask == connection.mask:
            return
        if not connection.mask:
            self._poll.register(connection.number, mask)
        elif mask:
            self._poll.modify(connection.number, mask)
        else:
            self._poll.unregister(connection.number)
        connection.mask = mask

    def _let_in(self, connection: Connection) -> bool:
        need = connection.talk.need
        if need > self._room and self._room < ROOM:
            return False
        connection.room = need
        self._room -= need
        return True

    def _make_room(self, connection: Connection) -> None:
        """Take back what *connection* was let in with, and let in who waits for it."""
        self._room += connection.room
        connection.room = 0
        while self._outside:
            first = self._outside[0]
            if self._all.get(first.number) is first:
                if not self._let_in(first):
                    return
                first.since = monotonic()
                self._watch(first, IN)
            self._outside.popleft()

    def _close(self, connection: Connection) -> None:
        if self._all.get(connection.number) is not connection:
            return
        del self._all[connection.number]
        self._seat.clients = len(self._all)
        self._watch(connection, 0)
        connection.channel.close()
        self._make_room(connection)


def most() -> int:
    """How many connections there may be here."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(1, min(MOST, soft - SPARE))


def _is_idle(connection: Connection) -> bool:
    return not connection.waits and not connection.question


def _is_strange(connection: Connection) -> bool:
    """Whether it came through the network and was neither answered nor let in with the length of an event."""
    come = connection.channel.family != sockets.AF_UNIX and not connection.answers
    return come and not (connection.room or connection.talk.need or connection.question)


def _known(channel: socket) -> bool:
    """Rule 4; who comes through the network has other proof, and wants its small answers at once."""
    try:
        if channel.family == sockets.AF_UNIX:
            return link.peer_of(channel) == os.geteuid()
        channel.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    except OSError:
        return False
    return True
