"""Being the owner: what may be done only by a person at a terminal, whose state folder it is.

1. Standard input and standard error are terminals; no variable that an agent sets for its programs is there, neither
   here nor (Linux) in a process above this one; and the person types a word.
2. What lasts, lasts for a while that was named.

An agent that runs as the same user and is let do what it likes can fake all of this (a pseudo terminal, another
environment, a process that left its parents): this stops what it does plainly.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from wasmguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[[str], str]
    """Shows a question and returns the answer."""

UNITS = {"s": 1, "m": 60, "h": 3600}

AGENTS = ("CLAUDECODE", "CLAUDE_PROJECT_DIR", "CLAUDE_PID", "AI_AGENT")
AGENTS_BEGIN = ("CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION", "CLAUDE_CODE_CHILD", "CLAUDE_CODE_MESSAGING")
"""Variables that Claude Code 2.1.329 sets for what it runs. Others that begin with `CLAUDE_CODE_` are set by people."""

MOST_PARENTS = 256
LARGEST_ENVIRONMENT = 4 * 2**20  # bytes that are read of a process's environment


def check(command: str, environ: Mapping[str, str] = os.environ, proc: str = "/proc") -> None:
    """Check that nobody but the owner can be calling *command*: rule 1, without the typing.

    Raises:
        UsageError: if somebody else could.
    """
    if not (os.isatty(0) and os.isatty(2)):
        raise UsageError(f"`{command}` works only at a terminal: type it there yourself")
    if found := next((name for name in environ if _is_agents(name)), ""):
        raise UsageError(f"`{command}` does not work inside an agent (`${found}` is set): open a terminal of your own")
    if parent := _agent_above(proc):
        raise UsageError(f"`{command}` does not work inside an agent (process {parent}): open a terminal of your own")


def agrees(question: str, word: str, ask: Ask | None = None) -> None:
    """Ask the owner to type *word*; by default on the terminal.

    Raises:
        UsageError: if that is not what was typed.
    """
    if (ask or _asked)(f"{question} Type `{word}` to go on: ").strip() != word:
        raise UsageError(f"nothing changed: you did not type `{word}`")


def terminal() -> str:
    """The terminal that the owner sits at, for a record; empty if it has no name."""
    try:
        return os.ttyname(0)
    except OSError:
        return ""


def seconds_of(duration: str, longest: int) -> int:
    """How long *duration* (`90s`, `10m`, `1h`) is.

    Raises:
        UsageError: if it is no duration, or longer than *longest* seconds, which are whole hours.
    """
    number, unit = duration[:-1], duration[-1:]
    if not (number.isascii() and number.isdecimal() and len(number) <= 6 and unit in UNITS):
        raise UsageError(f"`--for {duration}` is no time: write a number with s, m or h, like `10m`")
    seconds = int(number) * UNITS[unit]
    if not 0 < seconds <= longest:
        raise UsageError(f"`--for {duration}` is not between 1 second and {longest // 3600} hours: take less")
    return seconds


def told(seconds: int) -> str:
    """So many *seconds* in words."""
    for size, name in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            number = seconds // size
            return f"{number} {name}{'' if number == 1 else 's'}"
    raise AssertionError(seconds)


def _is_agents(name: str) -> bool:
    return name in AGENTS or name.startswith(AGENTS_BEGIN)


def _agent_above(proc: str) -> int:
    """The nearest process above this one, or this one, that an agent started; 0 if none shows."""
    process = os.getpid()
    for _ in range(MOST_PARENTS):
        if process <= 0:
            break
        if any(_is_agents(name) for name in _variables(f"{proc}/{process}/environ")):
            return process
        process = _parent(f"{proc}/{process}/stat")
    return 0


def _variables(path: str) -> list[str]:
    """The names in the environment that a process was started with, as far as we may see it."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_ENVIRONMENT)
    except OSError:
        return []
    return [entry.partition(b"=")[0].decode("utf-8", "replace") for entry in data.split(b"\0")]


def _parent(path: str) -> int:
    """The parent in a process's `stat`; its name, before that, may hold anything but ends with the last `)`."""
    try:
        with open(path, "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()
        return int(fields[1])
    except (OSError, IndexError, ValueError):
        return 0


def _asked(question: str) -> str:
    """The line that a person types at the terminal."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline(100)
