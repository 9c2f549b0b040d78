"""What a benchmark is doing just now, on standard error, if a person looks at it there.

Nothing is drawn by a thread: it would take its time from what is measured. A line is drawn when a phase begins, and
when a share is told, which is between two measurements.
"""

from __future__ import annotations

import os
import sys
from time import monotonic
from typing import TYPE_CHECKING, Self

from wasmguard.text import one_line

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

WORDS = 44  # columns of a phase's words
OFTEN = 0.2  # seconds between two drawings of one phase


class Progress:
    """`with Progress() as progress`: a line that changes, and is gone at the end; nothing where nobody looks."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._began = self._drawn = 0.0

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
        """Say what comes now, in words."""
        if self._bars is None:
            return
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(one_line(words, WORDS), total=None, took="")
        self._began = monotonic()
        self._draw()

    def share(self, done: float) -> None:
        """Say which share (0 to 1) of the phase is done."""
        if self._bars is None or self._task is None:
            return
        now = monotonic()
        done = min(1.0, max(0.0, done))
        self._bars.update(self._task, total=1.0, completed=done, took=_took(now - self._began, done))
        if now - self._drawn >= OFTEN or done == 1.0:
            self._draw()

    def _draw(self) -> None:
        self._drawn = monotonic()
        if self._bars is not None:
            self._bars.refresh()


def _took(seconds: float, done: float) -> str:
    """`12 of 30 s`; without a guess at the end while there is nothing to guess from; nothing below a second."""
    if done < 0.02:
        return f"{seconds:.0f} s"
    return f"{seconds:.0f} of {seconds / done:.0f} s" if seconds / done >= 1 else ""


def _bars(stream: IO[str]) -> Bars:
    """A bar between words, of rich, which nobody else imports."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    bare = os.environ.get("NO_COLOR")
    return Bars(
        TextColumn("{task.description}", markup=False),  # names of policies are in it
        BarColumn(bar_width=20, pulse_style="bar.back"),
        TextColumn("{task.fields[took]}", markup=False),
        console=Console(file=stream, color_system=None if bare else "auto", legacy_windows=False, force_jupyter=False),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
