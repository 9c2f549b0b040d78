"""What is done whole, whatever signals come meanwhile: they wait.

Python's own handlers are replaced, not the thread's mask: a signal that this thread blocks goes to another one, and is
handled here all the same. There are others: the clocks of the cells.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
TRIES = 20  # times that a folder is taken away, with a tenth of a second between them


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and what else ends a process wait meanwhile, and come afterwards, the first of them. Where that is not
    Python's to decide, in another thread or under another handler, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDING}
    ours = {number: handler for number, handler in before.items() if handler is not None}
    for number in ours:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def passing_folder(prefix: str) -> Iterator[str]:
    """A private folder, which is gone afterwards, whatever signals come while it goes."""
    made = tempfile.mkdtemp(prefix=prefix)
    try:
        yield made
    finally:
        with undisturbed():
            for _ in range(TRIES):
                shutil.rmtree(made, ignore_errors=True)
                if not os.path.lexists(made):
                    break
                sleep(0.1)  # a process that was ended may have written one last file
