"""The chain as an agent meets it: hooks that are processes, a daemon's socket, a daemon's URL; and the floors of these.

1. Commands are those that `wasmguard install` writes (`hook_command`). A hook that decides by itself is given the name
   of a socket where nobody listens. One that shall ask the daemon is given a configuration that is not there instead:
   it would decide by itself in silence otherwise, and that is another row.
2. Every answer is checked. The first about each event is what a guard in this process decides by the same plan, its
   policies in a jailed one, byte for byte, unless policies remember things, or the event is longer than the plan
   allows, which is a refusal; every later one, on any path, is the same. So no figure is that of a guard that failed
   closed.
3. All of them ask about all events: an agent pays for a hook, whether a policy judges its event or not.
4. One daemon answers all of them. Its socket is not where hooks of this configuration look for one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from contextlib import ExitStack, closing, contextmanager
from time import time_ns
from typing import TYPE_CHECKING

from wasmguard import bearer, link, plan
from wasmguard.agents import claude, claude_settings
from wasmguard.errors import EventError, HostError
from wasmguard.sandbox.isolation import PROCESS
from wasmguard.text import one_line
from wasmguard.workshop import hook_command
from wasmguard.workshop.bench import echo, running
from wasmguard.workshop.bench.inside import Asked
from wasmguard.workshop.bench.subjects import forgotten
from wasmguard.workshop.bench.variant import CHAIN, DAEMON, FLOOR, HTTP, NATIVE, SERVE, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from wasmguard.plan import Plan
    from wasmguard.workshop.bench.subjects import Bench
    from wasmguard.workshop.bench.variant import Given

    Ask = Callable[[int], object]

BARE, TRUE, SOCKET = "bare python", "/bin/true", "socket echo"
LOOPBACK, LOOPBACK_NEW = "loopback echo", "loopback echo, new connection"
MOST_ANSWERS = 64  # to one event, where policies remember things
NOBODY = "nobody"  # the name of a socket without a daemon
OK = 200
UNDECIDED = (b"wasmguard: internal error", b"wasmguard could not decide", b"wasmguard: its installation is broken")
"""What is said where nobody decided (`guard`, `serve.answer`, `serve/client.py`): a deny, but none that is measured."""


def missing(paths: Collection[str]) -> list[str]:
    """Those of *paths* that cannot be measured here, and why."""
    if not hasattr(os, "fork"):
        return [f"`{path}`: this system has no `fork`" for path in (SERVE, DAEMON, HTTP, NATIVE) if path in paths]
    if NATIVE in paths and not hook_command.native_client():
        return [f"`{NATIVE}`: this installation has none that runs here"]
    return []


@contextmanager
def variants(bench: Bench, given: Sequence[Given], paths: Collection[str]) -> Iterator[list[Variant]]:
    """Variants of *paths*, of those that can be measured here, and their floors; all about every event of *given*.

    Raises:
        HostError: if something does not answer, or not as the policies decide; by a variant's `ask` as well.
    """
    if not hasattr(os, "fork"):
        yield []
        return
    with ExitStack() as open_now:
        yield _Outside(bench, given, open_now).found(paths)


class _Outside:
    """What the variants of one run have in common."""

    def __init__(self, bench: Bench, given: Sequence[Given], open_now: ExitStack) -> None:
        self._config, self._home, self._given, self._open = bench.config, bench.home, given, open_now
        locked = plan.read(bench.config)  # else the daemon would lock anew
        self._answers = Answers(locked, given, {"HOME": bench.home}, stateful=bench.stateful)
        self._forget = forgotten(locked)
        line = hook_command.command(bench.config)
        at = line.index(hook_command.STEP)
        self._native, self._client, self._arguments = line[: at - 4][:1], line[at - 4 : at + 2], line[at + 3 :]
        self._environ = {"HOME": bench.home, "PATH": os.environ.get("PATH", os.defpath), "WASMGUARD_DAEMON": "0"}
        self._folder = open_now.enter_context(sockets_in(bench.home))
        self._floors: dict[str, Variant] = {}

    def found(self, paths: Collection[str]) -> list[Variant]:
        """All variants, floors last."""
        made: list[Variant] = []
        if SERVE in paths:
            line = (*self._client, os.path.join(self._folder, NOBODY), *self._arguments)
            made.append(self._hook(SERVE, "chain", line, BARE, "a hook that decides itself, from spawn to exit"))
        native = NATIVE in paths and self._native
        if native or DAEMON in paths or HTTP in paths:
            python, arguments, environ = self._client[0], self._arguments, self._environ
            daemon = self._open.enter_context(running.daemon(python, arguments, environ, self._folder))
            asked = [f"{word}.not-there" if word == self._config else word for word in self._arguments]
            line = (*self._client, daemon.socket, *asked)
            if DAEMON in paths:
                about = "a hook that asks the daemon, from spawn to exit"
                made += [self._hook(DAEMON, "python client", line, BARE, about), self._round_trip(daemon.socket)]
            if native:
                about = "the native hook that asks the daemon, from spawn to exit"
                made.append(self._hook(NATIVE, "native client", (*self._native, daemon.socket, *line), TRUE, about))
            if HTTP in paths:
                made += [self._http(daemon.http, kept=True), self._http(daemon.http, kept=False)]
        return [*made, *self._floors.values()]

    def _hook(self, path: str, subject: str, line: Sequence[str], floor: str, about: str) -> Variant:
        def ask(place: int) -> None:
            said = running.spawned(line, self._environ, self._given[place].raw)
            self._answers.check(place, said.code, said.out, said.err)

        return self._variant(path, subject, ask, self._bare(floor), about, spawned=True)

    def _round_trip(self, path: str) -> Variant:
        """As every client asks: a connection for each event."""
        ask = self._framed(path, self._answers.check)
        if SOCKET not in self._floors:
            echoing = self._open.enter_context(echo.unix(self._folder))
            self._floor(SOCKET, self._framed(echoing, _nothing), "a process that answers at once, new connection")
        return self._variant(DAEMON, "round trip", ask, SOCKET, "an event over the daemon's socket, new connection")

    def _framed(self, path: str, check: Callable[[int, int, bytes, bytes], None]) -> Ask:
        asked = [link.with_context({"HOME": self._home}, one.raw, path) for one in self._given]
        return lambda place: check(place, *link.ask(path, link.EVENT, asked[place], seconds=running.MOST))

    def _http(self, address: str, *, kept: bool) -> Variant:
        subject, floor = ("keep-alive", LOOPBACK) if kept else ("new connection", LOOPBACK_NEW)
        if floor not in self._floors:
            about = f"a process that answers 200 at once, {subject}"
            self._floor(floor, self._posted(self._open.enter_context(echo.http()), _nothing, kept=kept), about)
        ask = self._posted(address, self._answers.check, kept=kept)
        return self._variant(HTTP, subject, ask, floor, f"a POST to the daemon, {subject}")

    def _posted(self, address: str, check: Callable[[int, int, bytes, bytes], None], *, kept: bool) -> Ask:
        headers = {"Authorization": f"Bearer {bearer.token()}", "X-Home": self._home}
        posting = self._open.enter_context(closing(Posting(address, headers, kept=kept)))

        def ask(place: int) -> None:
            status, body = posting.post(self._given[place].raw)
            check(place, 0 if status == OK else status, body, b"")

        return ask

    def _bare(self, floor: str) -> str:
        """The floor of a process, made if it is not there yet."""
        if floor not in self._floors:
            line = (*self._client[:4], "pass") if floor == BARE else (shutil.which("true") or TRUE,)

            def ask(place: int) -> None:
                said = running.spawned(line, self._environ, self._given[place].raw)
                _nothing(place, said.code, b"{}\n" + said.out, said.err)

            about = "the interpreter, from spawn to exit" if floor == BARE else "any process, from spawn to exit"
            self._floor(floor, ask, about, spawned=True)
        return floor

    def _floor(self, name: str, ask: Ask, about: str, *, spawned: bool = False) -> None:
        self._floors[name] = self._variant(FLOOR, name, ask, "", about, spawned=spawned, kind=FLOOR)

    def _variant(  # noqa: PLR0913  # the fields of a variant
        self, path: str, subject: str, ask: Ask, floor: str, about: str, *, spawned: bool = False, kind: str = CHAIN
    ) -> Variant:
        return Variant(
            path=path,
            subject=subject,
            kind=kind,
            events=tuple(range(len(self._given))),
            ask=ask,
            reset=self._forget if kind == CHAIN else None,
            spawned=spawned,
            floor=self._floors[floor].id if floor else "",
            about=about,
        )


class Answers:
    """What each event is answered (rule 2)."""

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


class Posting:
    """Posts events to a hook's URL, as agents do that can call one."""

    def __init__(self, address: str, headers: dict[str, str], *, kept: bool) -> None:
        """To `HOST:PORT`, with *headers*; over one connection if it is *kept*, else over a new one each time."""
        host, _, port = address.rpartition(":")
        self._to, self._kept = (host.strip("[]"), int(port)), kept
        self._family = socket.AF_INET6 if ":" in self._to[0] else socket.AF_INET
        self._channel: socket.socket | None = None
        lines = {"Host": address, "Content-Type": "application/json", "Accept": "application/json", **headers}
        lines["Connection"] = "keep-alive" if kept else "close"
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._head = os.fsencode(f"POST {claude_settings.PATH} HTTP/1.1\r\n{head}Content-Length: ")

    def post(self, raw: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to *raw*.

        Raises:
            HostError: if there is none.
        """
        again, channel = self._channel is not None, self._channel or socket.socket(self._family)
        self._channel = None  # until it is known to be of use again
        try:
            if not again:
                channel.settimeout(running.MOST)
                channel.connect(self._to)
                channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(raw), raw))
            answered = _answer(channel)
            self._channel = channel if self._kept else None
        except (OSError, ValueError) as error:
            if again and not isinstance(error, TimeoutError):  # it was closed meanwhile: idle for ten minutes
                return self.post(raw)
            why = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
            raise HostError(f"no answer comes from `http://{self._to[0]}:{self._to[1]}`: {why}") from None
        else:
            return answered
        finally:
            if self._channel is not channel:
                channel.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _answer(channel: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next answer.

    Raises:
        OSError, ValueError: if there is no whole one.
    """
    got = bytearray()
    while (end := got.find(b"\r\n\r\n")) < 0:
        _more(channel, got)
    head, begin = bytes(got[:end]), end + 4
    length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
    while len(got) < begin + length:
        _more(channel, got)
    return int(head[9:12]), bytes(got[begin:])


def _more(channel: socket.socket, got: bytearray) -> None:
    part = channel.recv(link.PIECE)
    if not part:
        raise ValueError("half an answer")
    got += part


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


def _nothing(place: int, code: int, answer: bytes, complaint: bytes) -> None:
    """What a floor says to every event."""
    if code or answer != echo.BODY or complaint:
        raise HostError(f"a floor broke at event {place + 1}: {code}: {one_line((complaint or answer).decode(), 200)}")


@contextmanager
def sockets_in(home: str) -> Iterator[str]:
    """A private folder in *home* for sockets, or where their paths are not too long."""
    longest = len(os.fsencode(os.path.join(home, "wasmguard-12345678", NOBODY))) + len("daemon~")
    with tempfile.TemporaryDirectory(prefix="wasmguard-", dir=home if longest < link.LONGEST_PATH else "/tmp") as made:  # noqa: S108
        yield made
