"""One cell process, as the one that decides sees it: what it sends is a claim, and how long it takes is bounded here.

1. One deadline for a whole exchange: a cell that sends byte by byte, or takes a request drop by drop, gains no time,
   and signals that arrive meanwhile give it none.
2. Whatever the cell does to its end of the channel arrives here as OSError: a broken pipe ends nobody.
3. A child is ended once, and waited for; what another thread, a signal or another process does meanwhile changes only
   what can be said about its end.
"""

from __future__ import annotations

import _socket
import os
from time import monotonic, sleep

from wasmguard.sandbox import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal  # without its enumerations, as in `serve.hook`

watch = frames.Watch(frames.SPIN if (os.cpu_count() or 1) > 1 else 0)  # on one, the cell runs when this side sleeps
AWAKE = frames.SPIN / 1e9
"""Seconds after it said something that a cell looks for the next request. Later it sleeps, and wakes up on this very
processor as a rule: who looks for its reply keeps it waiting. 1,000 us every 10 ms by looking, 470 by sleeping."""
GRACE = 0.1  # seconds after a long deadline: a paused virtual machine, or a starved process, took the time from both
PATIENCE = 50  # milliseconds for a cell to be dead after it closed its socket: then how it died can be told
NO_SIGNAL = getattr(_socket, "MSG_NOSIGNAL", 0)  # who embeds us may have made SIGPIPE deadly again


class Child:
    """One cell process, and the parent's end of the channel to it."""

    def __init__(self, pid: int, channel: _socket.socket) -> None:
        """Take over the process *pid*, and *channel*, which does not block: see `pair`."""
        self.pid, self._channel, self._owner = pid, channel, os.getpid()
        self._until, self._grace, self._how = 0.0, 0.0, ""
        self._look, self._heard, self._awake = frames.Look(), 0.0, True
        self.clean = True
        """Whether no exchange is under way: nothing that comes later could be the answer to an earlier question."""
        self.guests: list[str] = []
        """For each guest why it cannot be asked, or nothing."""
        self.unfetched: frozenset[int] = frozenset()
        """The guests whose code could not be had when it was started."""
        self.killed, self._by_us = False, False
        """Whether it ended by a SIGKILL that was not ours; whether we sent one."""
        self.report: dict[str, Any] = {}
        """What its jail holds, as soon as it is ready."""

    def __del__(self) -> None:
        """A guard that nobody closed leaves no process behind."""
        try:  # noqa: SIM105  # what is imported for that costs a hook process 4 ms
            self.end()
        except Exception:  # noqa: BLE001, S110  # at the end of the interpreter nothing is sure to be there
            pass

    @property
    def usable(self) -> bool:
        """Whether it can be asked: it is this process's own, lives, and said nothing that it was not asked."""
        if not self.clean or self._owner != os.getpid():  # after a fork both processes would talk to it
            return False
        if not self.report:
            return True
        try:
            self._channel.recv(1)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def within(self, seconds: float) -> None:
        """Let everything that is sent and received until the next call take so long together."""
        now = monotonic()
        self._until, self._awake = now + seconds, now - self._heard < AWAKE
        self._grace = GRACE if seconds > GRACE else 0.0

    def send(self, data: bytes) -> None:
        """Raises OSError if the cell does not take all of it in time."""
        try:
            sent = self._channel.send(data, NO_SIGNAL)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._channel.settimeout(self._left())
            self._channel.sendall(memoryview(data)[sent:], NO_SIGNAL)  # the time is that of the whole
            self._channel.settimeout(0)

    def receive(self, size: int, most: int) -> bytes:
        """At least *size* and at most *most* bytes. Raises OSError if the cell does not send them in time."""
        said = self._next(most)
        if len(said) >= size:
            return said
        together = bytearray(said)  # one byte at a time would be a list of as many objects
        while len(together) < size:
            together += self._next(most - len(together))
        return bytes(together)

    def kill(self) -> None:
        """Kill it without waiting until it is dead: `end` does, later. For who may not wait."""
        if self._how or self._owner != os.getpid():
            return
        try:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self._how = self._told(status)
            else:  # so the number is still its own
                self._by_us = True
                os.kill(self.pid, signal.SIGKILL)
        except (ChildProcessError, ProcessLookupError):  # somebody else waits for all children of this process
            self._how = "is gone"

    def end(self, *, dying: bool = False) -> str:
        """Kill it, if it still lives, and say how it ended; if it is *dying*, give it a moment to do that itself."""
        self._channel.close()
        if self._owner != os.getpid():
            return "belongs to another process"
        if not self._how:
            self._how = self._buried(PATIENCE if dying else 0)
        return self._how

    def _buried(self, patience: int) -> str:
        try:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            while not ended and patience:
                sleep(0.001)
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                patience -= 1
            if not ended:  # so the number is still its own
                self._by_us = True
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return "was killed"
        except (ChildProcessError, ProcessLookupError):  # somebody else waits for all children of this process
            return "is gone"
        return self._told(status)

    def _told(self, status: int) -> str:
        if self._by_us:  # in another thread, or a moment ago
            return "was killed"
        self.killed = status & 0x7F == signal.SIGKILL
        return _ending(status)

    def _next(self, most: int) -> bytes:
        """What comes next, at most *most* bytes."""
        try:
            part = self._look.at(self._channel, most, watch.spin if self._awake else 0)
        except BlockingIOError:
            part = self._waited(most)
        if not part:
            raise ConnectionResetError("the cell closed its end")
        self._heard = monotonic()
        if self._heard > self._until + self._grace:  # it never stops talking
            raise TimeoutError
        return part

    def _waited(self, most: int) -> bytes:
        """What comes within the time that is left, and a moment more: if this machine stood still meanwhile, the time
        was taken from the cell as well."""
        try:
            self._channel.settimeout(self._left())
            part = self._channel.recv(min(most, frames.PIECE))
        except TimeoutError:
            if not self._grace:
                raise
            self._channel.settimeout(self._grace)
            part = self._channel.recv(min(most, frames.PIECE))
        self._channel.settimeout(0)
        return part

    def _left(self) -> float:
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def pair() -> tuple[_socket.socket, _socket.socket]:
    """Both ends of a channel: the parent's, which does not block, and the cell's."""
    ours, theirs = _socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def _ending(status: int) -> str:
    number = status & 0x7F
    if number == getattr(signal, "SIGSYS", -1):
        return "was ended by the kernel: it tried what its jail forbids"
    return f"died by signal {number}" if number else f"ended with code {status >> 8}"
