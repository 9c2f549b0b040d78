"""The workers of a daemon, as its master sees them: born, buried, replaced, told to end.

1. A worker that dies is replaced at once. One that dies young leaves a pause before the next, which grows:
   who is killed again and again must not take the machine along.
2. Workers that end by themselves before they took their seat cannot begin. After a few in a row, with nobody seated,
   somebody has to be told; why is what the last one said. To be killed by somebody else is no such failure.
3. Who is told to end may finish what it began, for a while; then it is killed.
"""

from __future__ import annotations

import mmap
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from wasmguard.errors import WasmguardError
from wasmguard.serve.family import forked
from wasmguard.serve.following import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

YOUNG = 1.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5  # seconds
HOPELESS = 5.0  # seconds of pause, for one that could not begin while others work
STILLBORN = 3  # workers in a row
KILLED = (signal.SIGKILL, signal.SIGTERM)  # by somebody else
REASON = 4_096  # bytes of why a worker could not begin


class Post:
    """One worker's place."""

    def __init__(self, number: int) -> None:
        self.number, self.pid = number, 0
        self.born, self.due = 0.0, 0.0
        """When the worker here was born, and when the next may be, by the monotonic clock."""
        self.deaths = 0
        """Of young workers, in a row."""


class Team:
    """So many workers, of which each does a given work until it ends."""

    def __init__(
        self,
        size: int,
        work: Callable[[int], object],
        private: Callable[[], Iterable[int]],
        seat: Callable[[int], int],
    ) -> None:
        """Each does *work* with its number; *private* are the descriptors that none shall have; *seat* says which
        process took the seat of that number last."""
        self._posts = [Post(number) for number in range(size)]
        self._work, self._private, self._seat = work, private, seat
        self._stillborn, self._reason = 0, mmap.mmap(-1, REASON)

    def pids(self) -> list[int]:
        """The workers that live, as far as the master knows."""
        return [post.pid for post in self._posts if post.pid]

    def seated(self) -> bool:
        """Whether a worker is there to answer."""
        return any(post.pid and post.pid == self._seat(post.number) for post in self._posts)

    def staff(self) -> None:
        """Give a worker to each post where one is due."""
        now = time.monotonic()
        for post in self._posts:
            if not post.pid and post.due <= now:
                try:
                    post.pid, post.born = forked(partial(self._begin, post.number), close=self._private()), now
                except OSError as error:  # no memory, or no process, left for now
                    say(f"cannot start a worker: {(error.strerror or type(error).__name__).lower()}")
                    post.due = now + LONGEST_PAUSE

    def pause(self, most: float) -> float:
        """Seconds until the next worker is due, at most *most*."""
        now = time.monotonic()
        return min([most, *(max(0.0, post.due - now) for post in self._posts if not post.pid)])

    def bury(self) -> None:
        """Take note of the workers that have died."""
        for post in self._posts:
            if post.pid and (ended := os.waitpid(post.pid, os.WNOHANG))[0]:
                self._died(post, ended[1])

    def failure(self) -> str:
        """Why no worker can begin; empty as long as one may (rule 2)."""
        if self._stillborn < STILLBORN or self.seated():
            return ""
        return bytes(self._reason).partition(b"\0")[0].decode("utf-8", "replace") or "it ends before it can answer"

    def end(self, seconds: float) -> None:
        """Have everybody end within *seconds*."""
        for post in self._posts:
            if post.pid:
                os.kill(post.pid, signal.SIGTERM)
        until = time.monotonic() + seconds
        while self.pids() and time.monotonic() < until:
            self.bury()
            time.sleep(0.005)
        for post in self._posts:
            if post.pid:
                os.kill(post.pid, signal.SIGKILL)
                os.waitpid(post.pid, 0)
                post.pid = 0

    def _died(self, post: Post, status: int) -> None:
        now, began = time.monotonic(), self._seat(post.number) == post.pid
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) in KILLED
        post.pid, post.deaths = 0, post.deaths + 1 if now - post.born < YOUNG or not began else 0
        longest = LONGEST_PAUSE if killed or began else HOPELESS
        post.due = now + min(FIRST_PAUSE * 2**post.deaths, longest) if post.deaths else now
        self._stillborn = 0 if began else self._stillborn + (not killed)

    def _begin(self, number: int) -> None:
        """The worker's life."""
        try:
            self._work(number)
        except WasmguardError as error:
            self._say(str(error))
            raise
        except Exception as error:
            self._say(f"internal error: {type(error).__name__}: {error}: please report it")
            raise

    def _say(self, why: str) -> None:
        say(f"a worker cannot begin: {why}")
        said = why.encode("utf-8", "replace")[: REASON - 1]
        self._reason[: len(said) + 1] = said + b"\0"
