"""`python -I -m wasmguard.records`: move what waits into the database, quietly, in a process that nobody waits for.

Who starts it says with `--home`, `--state`, `--cache` and `--runtime` where its own files are. It ends when little
waits, when somebody else is at it, or after `LONGEST` seconds, in the middle if need be: being killed costs nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from wasmguard import places, spool
from wasmguard.errors import WasmguardError
from wasmguard.records.drain import drained

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 600  # seconds
ENOUGH = 2**20  # bytes that may go on waiting
TIMES = 100
FOLDERS = ("--home", "--state", "--cache", "--runtime")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 if it was done, or is somebody else's; 1 if it cannot be done, 2 if *arguments* are wrong."""
    named = dict(zip(arguments[::2], arguments[1::2], strict=False))
    if len(arguments) % 2 or not named.keys() <= set(FOLDERS):
        return 2
    signal.alarm(LONGEST)  # its default ends the process
    os.nice(10)
    try:
        places.tell(**{name[2:]: folder for name, folder in named.items()})
        for _ in range(TIMES):
            done = drained(wait=0)
            if done.left or spool.waiting() < ENOUGH:
                break
    except WasmguardError:  # whoever reads the records next is told
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
