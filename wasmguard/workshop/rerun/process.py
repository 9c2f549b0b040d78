"""One process that decides again, as its pool sees it: spawned, spoken to, ended. Nothing here waits for it.

It has an empty environment, the channel for its only descriptor but what leads nowhere, and a process group of its own:
Ctrl-C at a terminal is for the pool, which ends it. It ends with the pool, however that dies.
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
import subprocess
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from wasmguard.errors import HostError, why_of
from wasmguard.guest.codec import unpacked
from wasmguard.workshop.rerun import forms

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPAWNED = (
    "import os, sys; os.closerange(3, 1 << 16); sys.path[:0] = sys.argv[2:];"
    "from wasmguard.workshop.rerun.worker import live; live(0, follow=sys.argv[1] == 'follow')"
)
PIECE = 2**20  # bytes that are read at once


class Process:
    """A spawned process, and this end of the channel to it."""

    def __init__(self, load: bytes) -> None:
        """Spawn it, and let it read the frame *load*, which it answers by the report of its jail.

        Raises:
            HostError: if it cannot be started.
        """
        self.report: dict[str, Any] = {}
        """What its jail holds, as soon as it is ready."""
        self._unsent: list[memoryview] = []
        self._heard = bytearray()
        self._last = monotonic()
        self._channel, theirs = socket.socketpair()
        try:
            self._process = _spawned(theirs)
        except OSError as error:
            self._channel.close()
            why = why_of(error)
            raise HostError(f"cannot start a process to decide in: {why}: free memory and processes") from None
        finally:
            theirs.close()
        self._channel.setblocking(False)
        self.send(load)

    def fileno(self) -> int:
        """Its descriptor, for who waits for several."""
        return self._channel.fileno()

    @property
    def unsent(self) -> bool:
        """Whether there is something that it has not taken yet."""
        return bool(self._unsent)

    @property
    def silent(self) -> float:
        """Seconds since it said something last, or was first asked something after that."""
        return monotonic() - self._last

    def wake(self) -> None:
        """Count its silence from now on: it had nothing to say before."""
        self._last = monotonic()

    def send(self, data: bytes) -> None:
        """Give it *data*, now or as soon as it takes more (`flush`)."""
        self._unsent.append(memoryview(data))
        self.flush()

    def flush(self) -> None:
        """Send what it takes now. If it is gone, that is seen when it is heard."""
        try:
            while self._unsent:
                sent = self._channel.send(self._unsent[0], getattr(socket, "MSG_NOSIGNAL", 0))
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    del self._unsent[0]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()

    def heard(self) -> Iterator[Any]:
        """What it said since, message by message.

        Raises:
            EOFError: if it is gone.
            ValueError: if an honest process would not say that.
        """
        try:
            part = self._channel.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            raise EOFError
        self._last = monotonic()
        self._heard += part
        while len(self._heard) >= forms.LENGTH:
            size = int.from_bytes(self._heard[: forms.LENGTH], "big")
            if size > forms.LARGEST_SAID:
                raise ValueError("more than anybody may say at once")
            if len(self._heard) < forms.LENGTH + size:
                return
            body = bytes(memoryview(self._heard)[forms.LENGTH : forms.LENGTH + size])
            del self._heard[: forms.LENGTH + size]
            yield unpacked(body)

    def end(self) -> str:
        """End it, and say how it ended."""
        self._channel.close()
        if self._process.poll() is None:
            try:
                self._process.wait(0.1)  # who died closed its end a moment earlier
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                return "was killed"
        code = self._process.returncode
        if code == -getattr(signal, "SIGSYS", 0):
            return "was ended by the kernel: it tried what its jail forbids"
        return f"died by signal {-code}" if code < 0 else f"ended with code {code}"


def _spawned(channel: socket.socket) -> subprocess.Popen[bytes]:
    follow = "follow" if _thread.get_native_id() == os.getpid() else "stay"  # the signal comes when the *thread* ends
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", _SPAWNED, follow, *_roots()],
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"MALLOC_ARENA_MAX": "1"},
        cwd="/",
        process_group=0,
    )


def _roots() -> list[str]:
    """Where it finds this package and those that it needs: it starts without site-packages."""
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    return [ours, *(path for path in sys.path if path and path != ours)]
