"""The chain as an agent meets it: hooks that are processes, a daemon's socket, a daemon's URL; and the floors of these.

1. Commands are those that `wasmguard install` writes, but for what makes them decide alone or ask (`hook_line`).
2. Every answer is checked (`answers`).
3. All of them ask about all events: an agent pays for a hook, whether a policy judges its event or not.
4. One daemon answers all of them. Its socket is not where hooks of this configuration look for one.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from wasmguard import bearer, link, plan
from wasmguard.errors import HostError
from wasmguard.text import one_line
from wasmguard.workshop import hook_command
from wasmguard.workshop.bench import daemon, echo, spawning
from wasmguard.workshop.bench.answers import Answers
from wasmguard.workshop.bench.hook_line import HookLine, sockets_in
from wasmguard.workshop.bench.posting import Posting
from wasmguard.workshop.bench.subjects import forgotten
from wasmguard.workshop.bench.variant import CHAIN, DAEMON, FLOOR, HTTP, NATIVE, SERVE, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from wasmguard.workshop.bench.subjects import Bench
    from wasmguard.workshop.bench.variant import Given

    Ask = Callable[[int], object]

BARE, TRUE, SOCKET = "bare python", "/bin/true", "socket echo"
LOOPBACK, LOOPBACK_NEW = "loopback echo", "loopback echo, new connection"
OK = 200


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
        self._home, self._given, self._open = bench.home, given, open_now
        locked = plan.read(bench.config)  # else the daemon would lock anew
        self._answers = Answers(locked, given, {"HOME": bench.home}, stateful=bench.stateful)
        self._forget = forgotten(locked)
        self._line = HookLine.installed(bench.config)
        self._environ = {"HOME": bench.home, "PATH": os.environ.get("PATH", os.defpath), "WASMGUARD_DAEMON": "0"}
        self._folder = open_now.enter_context(sockets_in(bench.home))
        self._floors: dict[str, Variant] = {}

    def found(self, paths: Collection[str]) -> list[Variant]:
        """All variants, floors last."""
        made: list[Variant] = []
        if SERVE in paths:
            alone = self._line.alone(self._folder)
            made.append(self._hook(SERVE, "chain", alone, BARE, "a hook that decides itself, from spawn to exit"))
        native = NATIVE in paths and self._line.native
        if native or DAEMON in paths or HTTP in paths:
            python, arguments, environ = self._line.interpreter[0], self._line.arguments, self._environ
            asked = self._open.enter_context(daemon.running(python, arguments, environ, self._folder))
            if DAEMON in paths:
                line, about = self._line.asking(asked.socket), "a hook that asks the daemon, from spawn to exit"
                made += [self._hook(DAEMON, "python client", line, BARE, about), self._round_trip(asked.socket)]
            if native:
                line = self._line.asking(asked.socket, native=True)
                about = "the native hook that asks the daemon, from spawn to exit"
                made.append(self._hook(NATIVE, "native client", line, TRUE, about))
            if HTTP in paths:
                made += [self._http(asked.http, kept=True), self._http(asked.http, kept=False)]
        return [*made, *self._floors.values()]

    def _hook(self, path: str, subject: str, line: Sequence[str], floor: str, about: str) -> Variant:
        def ask(place: int) -> None:
            said = spawning.spawned(line, self._environ, self._given[place].raw)
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
        return lambda place: check(place, *link.ask(path, link.EVENT, asked[place], seconds=spawning.MOST))

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
            line = (*self._line.interpreter, "pass") if floor == BARE else (shutil.which("true") or TRUE,)

            def ask(place: int) -> None:
                said = spawning.spawned(line, self._environ, self._given[place].raw)
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


def _nothing(place: int, code: int, answer: bytes, complaint: bytes) -> None:
    """What a floor says to every event."""
    if code or answer != echo.BODY or complaint:
        raise HostError(f"a floor broke at event {place + 1}: {code}: {one_line((complaint or answer).decode(), 200)}")
