"""A hook is called as the agent calls it: a command with the event on its standard input, or a POST to a URL.

1. A command is run in its exec form (a list, no shell) or, without `args`, by the shell; in the session's folder, with
   the agent's whole environment and the variables that it adds. What it gets is one JSON object and a line feed.
2. A URL gets the same object. Headers may name variables (`$VAR`, `${VAR}`); only those that the hook allows are filled
   in, others become nothing.
3. Every call ends: after its seconds, or `MOST` bytes. Then whatever is left of the command's process group is killed.
4. Events are made up, but what the hook reads is real: so a URL is called only on this machine.
"""

from __future__ import annotations

import http.client
import os
import re
import selectors
import signal
import socket
import subprocess
from contextlib import contextmanager, suppress
from threading import Timer
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any, Self

MOST = 16 * 2**20  # bytes of output: a reason of 2 MB passes in the client
PIECE = 1 << 16
HELD = 0.5  # seconds that a command's output may stay open after its end
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SENT = {"Content-Type": "application/json", "User-Agent": "axios/1.15.2", "Connection": "keep-alive"}
VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class Said(Value):
    """What a hook said."""

    code: int | None
    """The exit code (minus the signal), or the status of HTTP; None if there is none."""
    out: bytes
    """Standard output, or the body."""
    err: bytes = b""
    seconds: float
    """From the start to the end."""
    trouble: str = ""
    """Why there is no answer, in our words; empty if there is one."""


def environment(project: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What a hook gets as its environment in a session in the folder *project*, when the settings set *variables*."""
    agent = {
        "CLAUDECODE": "1",
        "CLAUDE_PROJECT_DIR": project,
        "CLAUDE_CODE_ENTRYPOINT": "cli",
        "CLAUDE_CODE_SESSION_ID": "wasmguard-doctor",
        "PWD": project,
    }
    return {**os.environ, **variables, **agent}


def run(words: Sequence[str], raw: bytes, *, environ: Mapping[str, str], folder: str, seconds: float) -> Said:
    """What the command *words* says to the event *raw*. Never raises."""
    begun = perf_counter()
    try:
        process = subprocess.Popen(
            [word.replace("${CLAUDE_PROJECT_DIR}", environ.get("CLAUDE_PROJECT_DIR", "")) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=dict(environ),
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        why = (getattr(error, "strerror", None) or "it is no command line").lower()
        return Said(code=None, out=b"", seconds=0.0, trouble=f"it cannot be started: {why}")
    printed = bytearray(), bytearray()
    with process, _Talk(process, raw, printed) as talk:
        try:
            trouble = talk.until(begun + seconds, seconds)
        finally:
            _end(process)
        took, code = perf_counter() - begun, None if trouble else process.returncode
    return Said(code=code, out=bytes(printed[0]), err=bytes(printed[1]), seconds=took, trouble=trouble)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End *process* and what is left of its group, whatever they do."""
    with suppress(OSError):  # all of them are gone
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Talk:
    """The event goes in, output comes out, in whatever order the command likes."""

    def __init__(self, process: subprocess.Popen[bytes], raw: bytes, printed: tuple[bytearray, bytearray]) -> None:
        self._process, self._raw, self._printed = process, memoryview(raw), printed
        self._streams: dict[Any, bytearray] = {process.stdout: printed[0], process.stderr: printed[1]}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        for stream in self._streams:
            self._selector.register(stream, selectors.EVENT_READ)
        if self._process.stdin:
            os.set_blocking(self._process.stdin.fileno(), False)
            self._selector.register(self._process.stdin, selectors.EVENT_WRITE)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def until(self, last: float, seconds: float) -> str:
        """Talk until it is over, or *last* is reached after *seconds*; what went wrong, or empty."""
        ended = float("inf")
        while self._streams:
            now = perf_counter()
            if now > last:
                return f"it did not answer within {seconds:.0f} s"
            if now > ended + HELD:
                return "it ended, but its output stays open: something that it started holds it"
            for key, _ in self._selector.select(min(last - now, 0.05)):
                self._moved(key.fileobj)
            if sum(map(len, self._printed)) > MOST:
                return f"it printed more than {MOST >> 20} MiB"
            if self._process.poll() is not None:
                ended = min(ended, now)
        try:
            self._process.wait(max(0.0, last - perf_counter()))
        except subprocess.TimeoutExpired:
            return f"it closed its output and did not end within {seconds:.0f} s"
        return ""

    def _moved(self, stream: Any) -> None:
        if stream in self._streams:
            part = os.read(stream.fileno(), PIECE)
            self._streams[stream] += part
            if not part:
                self._selector.unregister(stream)
                del self._streams[stream]
        else:
            self._raw = _sent(stream.fileno(), self._raw)
            if not self._raw:
                self._selector.unregister(stream)
                stream.close()


def _sent(descriptor: int, raw: memoryview) -> memoryview:
    """What is left to write. A hook need not read its event."""
    try:
        return raw[os.write(descriptor, raw[:PIECE]) :]
    except BlockingIOError:
        return raw
    except OSError:
        return raw[:0]


def post(url: str, raw: bytes, *, headers: Mapping[str, str], seconds: float) -> Said:
    """What *url* says to the event *raw*, sent with *headers*. Never raises."""
    begun = perf_counter()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        return Said(code=None, out=b"", seconds=0.0, trouble="its URL is none")
    if parts.scheme != "http" or host not in LOOPBACK:
        return Said(code=None, out=b"", seconds=0.0, trouble="its URL leaves this machine, so it was not asked")
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.connect()
        with _hung_up(connection.sock, seconds):
            connection.request(
                "POST", parts._replace(scheme="", netloc="", fragment="").geturl() or "/", raw, {**SENT, **headers}
            )
            answer = connection.getresponse()
            code, body, trouble = answer.status, answer.read(MOST + 1), ""
    except (OSError, http.client.HTTPException, ValueError) as error:
        code, body = None, b""
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        late = perf_counter() - begun >= seconds
        trouble = f"it did not answer within {seconds:.0f} s" if late else f"it cannot be asked: {why.lower()}"
    finally:
        connection.close()
    return Said(code=code, out=body, seconds=perf_counter() - begun, trouble=trouble)


def filled(headers: Mapping[str, str], allowed: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """*headers*, the variables in them replaced by what *environ* says if *allowed* names them, else by nothing."""
    known = {name: environ.get(name, "") for name in allowed}
    return {
        name: VARIABLE.sub(lambda said: known.get(said[1] or said[2], ""), value) for name, value in headers.items()
    }


@contextmanager
def _hung_up(channel: socket.socket, seconds: float) -> Iterator[None]:
    """However slowly somebody answers on *channel*, after *seconds* it ends."""
    timer = Timer(seconds, lambda: channel.shutdown(socket.SHUT_RDWR) if channel.fileno() >= 0 else None)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
