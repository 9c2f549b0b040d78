"""`wasmguard off`: the owner turns the guard off for a while, and on again.

1. Only the owner: a person at a terminal, whose state folder it is. Standard input and standard error are terminals; no
   variable that an agent sets for its programs is there, neither here nor (Linux) in a process above this one; and the
   person types `off`.
2. Only for a while: at most `switch.LONGEST`.
3. Recorded before it takes effect. What cannot be recorded does not happen.
4. Turning it on again needs nothing, and is recorded after it took effect.

An agent that runs as the same user and is let do what it likes can fake all of this (a pseudo terminal, another
environment, a process that left its parents): this stops what it does plainly.
"""

from __future__ import annotations

import os
import sys
from time import localtime, strftime
from typing import TYPE_CHECKING

from wasmguard import audit, switch
from wasmguard.errors import HostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNITS = {"s": 1, "m": 60, "h": 3600}
WORD = "off"

AGENTS = ("CLAUDECODE", "CLAUDE_PROJECT_DIR", "CLAUDE_PID", "AI_AGENT")
AGENTS_BEGIN = ("CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION", "CLAUDE_CODE_CHILD", "CLAUDE_CODE_MESSAGING")
"""Variables that Claude Code 2.1.329 sets for what it runs. Others that begin with `CLAUDE_CODE_` are set by people."""

MOST_PARENTS = 256
LARGEST_ENVIRONMENT = 4 * 2**20  # bytes that are read of a process's environment


def off(
    duration: str,
    *,
    ask: Callable[[str], str] | None = None,
    environ: Mapping[str, str] = os.environ,
    proc: str = "/proc",
) -> str:
    """Turn the guard off for *duration* (`90s`, `10m`, `1h`). Returns what to tell the owner.

    *ask* shows a question and returns the answer; by default on the terminal.

    Raises:
        UsageError: if *duration* is none, or nobody is there who could be the owner, or they did not type `off`.
        HostError: if it cannot be recorded, or not be carried out.
    """
    seconds = seconds_of(duration)
    _check_owner(environ, proc)
    question = f"For {_told(seconds)} no policy will judge what the agent does. Type `{WORD}` to go on: "
    if (ask or _asked)(question).strip() != WORD:
        raise UsageError(f"nothing changed: you did not type `{WORD}`")
    audit.record("off", seconds=seconds, terminal=_terminal(), process=os.getpid())
    try:
        end = switch.switch_off(seconds)
    except HostError:
        audit.record("off failed", process=os.getpid())
        raise
    return f"off until {strftime('%H:%M:%S', localtime(end))} ({_told(seconds)}); `wasmguard on` ends it"


def on() -> str:
    """Turn the guard on again. Returns what to tell the owner.

    Raises:
        HostError: if it cannot be carried out, or (then the guard is on) not be recorded.
    """
    was_off = switch.off_until() is not None
    switch.switch_on()
    if not was_off:
        return "on, as it was"
    audit.record("on", process=os.getpid())
    return "on"


def seconds_of(duration: str) -> int:
    """How long *duration* is.

    Raises:
        UsageError: if it is no duration, or longer than anybody may be off.
    """
    number, unit = duration[:-1], duration[-1:]
    if not (number.isascii() and number.isdecimal() and len(number) <= 6 and unit in UNITS):
        raise UsageError(f"`--for {duration}` is no time: write a number with s, m or h, like `10m`")
    seconds = int(number) * UNITS[unit]
    if not 0 < seconds <= switch.LONGEST:
        raise UsageError(f"`--for {duration}` is not between 1 second and {switch.LONGEST // 3600} hours: take less")
    return seconds


def _check_owner(environ: Mapping[str, str], proc: str) -> None:
    """Rule 1, without the typing."""
    if not (os.isatty(0) and os.isatty(2)):
        raise UsageError("`off` works only at a terminal: type it there yourself")
    if found := next((name for name in environ if _is_agents(name)), ""):
        raise UsageError(f"`off` does not work inside an agent (`${found}` is set): open a terminal of your own")
    if parent := _agent_above(proc):
        raise UsageError(f"`off` does not work inside an agent (process {parent}): open a terminal of your own")


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


def _terminal() -> str:
    try:
        return os.ttyname(0)
    except OSError:
        return ""


def _told(seconds: int) -> str:
    for size, name in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            number = seconds // size
            return f"{number} {name}{'' if number == 1 else 's'}"
    raise AssertionError(seconds)
