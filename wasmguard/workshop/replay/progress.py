"""How far a replay is, on standard error, if a person looks at it there.

It is drawn when there is something to say, by nobody's thread.
"""

from __future__ import annotations

import os
import sys
from time import monotonic
from typing import TYPE_CHECKING, Self

from wasmguard.workshop.columns import length_of

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

OFTEN = 0.2  # seconds between two drawings


class Progress:
    """`with Progress() as progress`: a line that changes, and is gone at the end; nothing where nobody looks."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._began = self._drawn = 0.0
        self._from = 0.0  # the share that an interrupted run had read

    def __enter__(self) -> Self:
        if self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._bars = _bars(self._stream)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def phase(self, words: str) -> None:
        """Say what comes now."""
        if self._bars is None:
            return
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(words, total=None, told="")
        self._began = self._drawn = monotonic()
        self._from = 0.0
        self._bars.refresh()

    def share(self, done: float, events: int) -> None:
        """Say which share (0 to 1) was read, and how many events are counted."""
        now = monotonic()
        if self._bars is None or self._task is None or now - self._drawn < OFTEN:
            return
        self._from = self._from or done
        left = _left(now - self._began, done, self._from)
        self._bars.update(self._task, total=1.0, completed=done, told=f"{events:,} events{left}")
        self._drawn = now
        self._bars.refresh()


def _left(took: float, done: float, begun: float) -> str:
    """How long it may still take; nothing while there is nothing to guess from."""
    if done - begun < 0.02:
        return ""
    return f", {length_of(took * (1 - done) / (done - begun))} left"


def _bars(stream: IO[str]) -> Bars:
    """A bar between words, of rich, which nobody else imports."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    bare = os.environ.get("NO_COLOR")
    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20, pulse_style="bar.back"),
        TextColumn("{task.fields[told]}", markup=False),
        console=Console(file=stream, color_system=None if bare else "auto", legacy_windows=False, force_jupyter=False),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
