"""Processes that are measured.

1. A process is run as an agent runs a hook: three pipes, the event written while the output is read, so that 5 MB on
   either side stop nobody. Its time is from the spawn until its output has ended *and* it is gone
   (`posix_spawn`: what `subprocess` adds in Python would be a tenth of `/bin/true`).
2. Every wait is bounded. What is left after it, or after Ctrl-C, is ended: asked to first, for a hook has a child.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING

from wasmguard.errors import HostError
from wasmguard.text import one_line
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST = 60.0  # seconds for anything that is waited for
TERM = 3.0  # seconds in which a process that was asked to ends; a hook takes 2 to refuse (`serve/client.py`)
PIECE = 1 << 16  # bytes: what fits into a pipe


class Ended(Value):
    """What became of a process."""

    code: int
    """Its exit code; minus the signal that ended it."""
    out: bytes
    err: bytes


def spawned(words: Sequence[str], environ: Mapping[str, str], raw: bytes, seconds: float = MOST) -> Ended:
    """Run the command *words*, by its whole path, with nothing but *environ* and the event *raw*, to its end.

    Raises:
        HostError: if it cannot be started, or has not ended after so many *seconds*.
    """
    (stdin, event), (answer, stdout), (complaint, stderr) = os.pipe(), os.pipe(), os.pipe()  # they close on exec
    actions = [(os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate((stdin, stdout, stderr))]
    talk = _Talk(event, answer, complaint)
    try:
        try:
            pid = os.posix_spawn(words[0], [*words], environ, file_actions=actions, setsigdef=(signal.SIGPIPE,))
        finally:
            for end in (stdin, stdout, stderr):
                os.close(end)
        return _followed(pid, talk, raw, seconds)
    except TimeoutError:
        raise HostError(f"`{_shown(words)}` has not ended after {seconds:g} s: see what it waits for") from None
    except OSError as error:
        raise HostError(f"`{_shown(words)}` cannot be run: {(error.strerror or 'no reason').lower()}") from None
    finally:
        talk.close()


def _followed(pid: int, talk: _Talk, raw: bytes, seconds: float) -> Ended:
    """The process *pid* until it is gone.

    Raises:
        TimeoutError: if it is not after so many *seconds*; then it was ended.
    """
    until, status = monotonic() + seconds, None
    try:
        talk.through(raw, until)
        status = _waited(pid, until)
    finally:
        if status is None:
            _ended(pid)
    talk.rest()
    return Ended(code=os.waitstatus_to_exitcode(status), out=bytes(talk.out), err=bytes(talk.err))


class _Talk:
    """The event goes in, output comes out, in whatever order the process likes (rule 1)."""

    def __init__(self, event: int, answer: int, complaint: int) -> None:
        self.out, self.err = bytearray(), bytearray()
        self._event, self._answer, self._complaint = event, answer, complaint
        self._heard = {answer: self.out, complaint: self.err}
        self._open = {event, answer, complaint}
        for descriptor in (event, complaint):
            os.set_blocking(descriptor, False)

    def through(self, raw: bytes, until: float) -> None:
        """Until its output has ended.

        Raises:
            TimeoutError: if that takes until *until*.
        """
        left, poll = self._written(memoryview(raw)), select.poll()
        for descriptor in self._heard:
            poll.register(descriptor, select.POLLIN)
        if left:
            poll.register(self._event, select.POLLOUT)
        while self._answer in self._heard:
            ready = poll.poll(max(0.0, until - monotonic()) * 1000)
            if not ready and monotonic() >= until:
                raise TimeoutError
            for descriptor, _ in ready:
                if descriptor != self._event:
                    self._read(descriptor, poll)
                elif not (left := self._written(left)):
                    poll.unregister(descriptor)

    def rest(self) -> None:
        """What it complained of last."""
        with suppress(BlockingIOError):  # somebody else has it open
            while self._complaint in self._heard and (part := os.read(self._complaint, PIECE)):
                self.err += part

    def close(self) -> None:
        """Let go of the pipes."""
        while self._open:
            os.close(self._open.pop())

    def _written(self, left: memoryview) -> memoryview:
        """What is left of the event; nothing if nobody reads it, as the floors do."""
        try:
            while left:
                left = left[os.write(self._event, left) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            left = left[:0]
        self._open.remove(self._event)
        os.close(self._event)
        return left

    def _read(self, descriptor: int, poll: select.poll) -> None:
        with suppress(BlockingIOError):
            if part := os.read(descriptor, PIECE):
                self._heard[descriptor] += part
            else:
                del self._heard[descriptor]
                poll.unregister(descriptor)


def _waited(pid: int, until: float) -> int:
    """The status of the process *pid* when it is gone.

    Raises:
        TimeoutError: if it is not until *until*.
    """
    gone, status = os.waitpid(pid, os.WNOHANG)
    if not gone and hasattr(os, "pidfd_open"):  # Linux 5.3: it wakes us at once
        with suppress(OSError):
            watch = os.pidfd_open(pid)
            try:
                poll = select.poll()
                poll.register(watch, select.POLLIN)
                poll.poll(max(0.0, until - monotonic()) * 1000)
            finally:
                os.close(watch)
            gone, status = os.waitpid(pid, os.WNOHANG)
    while not gone:
        if monotonic() > until:
            raise TimeoutError
        sleep(0.0001)
        gone, status = os.waitpid(pid, os.WNOHANG)
    return status


def _ended(pid: int) -> None:
    """End the process *pid* (rule 2)."""
    with suppress(OSError):  # it was waited for
        os.kill(pid, signal.SIGTERM)
        try:
            _waited(pid, monotonic() + TERM)
        except BaseException as error:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            if not isinstance(error, TimeoutError):
                raise


def _shown(words: Sequence[str]) -> str:
    return one_line(" ".join(words), 100)
