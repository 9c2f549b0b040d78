"""What a hook process decides, behind the wall of `serve.hook`.

Each function returns an exit code, the answer for standard output and a complaint for standard error. The exit code is
0 where the answer says everything, and 2 where the event's name is not known: then only 2 is sure to block.
"""

from __future__ import annotations

import os
from time import time_ns

from wasmguard import places
from wasmguard.agents import claude
from wasmguard.errors import EventError, WasmguardError
from wasmguard.event import GATING, STOPPING
from wasmguard.guard import Guard
from wasmguard.text import lines, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.event import Event

    Reply = tuple[int, bytes, bytes]

ANSWERED, BLOCKED = 0, 2  # as in `serve.hook`, which imports nothing of ours and is imported by nobody here
SLOTS = 1  # one guest at a time: no pool, whose making costs more than its one instance saves
USAGE = "usage: wasmguard serve [--config PATH]"


def decided(arguments: Sequence[str], raw: bytes) -> Reply:
    """The answer to the event *raw* under the configuration that *arguments* name."""
    try:
        option = _config(arguments)
        may_lock = option is not None or not _chosen_by_agent()
        guard = Guard.load(places.config_file(option), slots=SLOTS, may_lock=may_lock)
        event = _event(raw, guard.plan.event)
        return ANSWERED, claude.encode(claude.render(event, guard.decide(event))), b""
    except WasmguardError as error:
        return refusal(raw, str(error))
    except Exception as error:  # noqa: BLE001  # a bug of ours, or no memory left, is no reason to be silent
        return refusal(raw, f"internal error: {type(error).__name__}: {one_line(str(error), 200)}: please report it")


def refusal(raw: bytes, why: str) -> Reply:
    """The answer to an event that cannot be decided: deny in the event's own form if it can stop anything."""
    name, why = claude.name_of(raw), lines(f"wasmguard: {why}", 4_000)
    answer = claude.encode(claude.refusal(name, why))
    if name is None:
        return BLOCKED, answer, f"{why}\n".encode("utf-8", "replace")
    heard = name in GATING and name not in STOPPING
    return ANSWERED, answer, f"{why}\n".encode("utf-8", "replace") if heard else b""


def _chosen_by_agent() -> bool:
    """Whether the configuration comes from the environment of an agent's hook.

    A project's own settings may set variables for the hooks (Claude Code 2.1.329: `env` in `.claude/settings.json`), so
    a file that is named there counts only if it was locked by hand. Name the file with `--config` in the hook.
    """
    in_hook = "CLAUDECODE" in os.environ or "CLAUDE_PROJECT_DIR" in os.environ
    return in_hook and bool(os.environ.get("WASMGUARD_CONFIG"))


def _event(raw: bytes, most: int) -> Event:
    if not raw or raw.isspace():
        raise EventError("there is no event on standard input: send one JSON object, as an agent does")
    if len(raw) > most:
        raise EventError(f"the event has {len(raw):_} bytes, more than the limit of {most:_}: raise `limits.event`")
    return claude.parse(raw, time=time_ns() // 1_000_000)


def _config(arguments: Sequence[str]) -> str | None:
    """The path after `--config`. Parsed by hand: click would double the time a hook takes."""
    rest = list(arguments)
    path = None
    while rest:
        word = rest.pop(0)
        if word == "--config" and rest:
            path = rest.pop(0)
        elif word.startswith("--config="):
            path = word.removeprefix("--config=")
        else:
            raise EventError(f"unknown argument `{word}`: {USAGE}")
    return path
