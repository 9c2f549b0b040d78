"""Events posted to a hook's URL, as agents do that can call one."""

from __future__ import annotations

import os
import socket

from wasmguard import link
from wasmguard.agents import claude_settings
from wasmguard.errors import HostError
from wasmguard.workshop.bench.spawning import MOST


class Posting:
    """Posts events to one URL."""

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
                channel.settimeout(MOST)
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
