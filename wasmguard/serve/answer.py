"""What a hook process decides, behind the wall of `serve.hook`.

Each function returns an exit code, the answer for standard output and a complaint for standard error. The exit code is
0 where the answer says everything, and 2 where the event's name is not known: then only 2 is sure to block.
"""

from __future__ import annotations

import os
from time import time_ns

from wasmguard import places, plan, switch
from wasmguard.errors import EventError, PlanStale, WasmguardError
from wasmguard.sandbox.isolation import PROCESS
from wasmguard.text import lines, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.event import Event
    from wasmguard.guard import Guard
    from wasmguard.plan import Plan, PlannedPolicy
    from wasmguard.sandbox.isolation import Cells

    Reply = tuple[int, bytes, bytes]

ANSWERED, BLOCKED = 0, 2  # as in `serve.hook`, which imports nothing of ours and is imported by nobody here
PASSED = b"{}\n"  # no opinion, in every event: what the agent gets while its owner has turned the guard off
SLOTS = 1  # one guest at a time: no pool, whose making costs more than its one instance saves
USAGE = "usage: wasmguard serve [--config PATH]"


def decided(arguments: Sequence[str], raw: bytes) -> Reply:
    """The answer to the event *raw* under the configuration that *arguments* name.

    What takes long is imported after the cell has begun to load its guests.
    """
    try:
        option = _config(arguments)
        if switch.off_until() is not None and not _placed_by_agent():
            return ANSWERED, PASSED, b""
        with _guard(option, raw) as guard:
            from wasmguard.agents import claude

            event = _event(raw, guard.plan.event)
            return ANSWERED, claude.encode(claude.render(event, guard.decide(event))), b""
    except WasmguardError as error:
        return refusal(raw, str(error))
    except ImportError as error:
        return refusal(raw, f"its installation is broken: cannot import `{error.name}`: reinstall it")
    except Exception as error:  # noqa: BLE001  # a bug of ours, or no memory left, is no reason to be silent
        return refusal(raw, f"internal error: {type(error).__name__}: {one_line(str(error), 200)}: please report it")


def refusal(raw: bytes, why: str) -> Reply:
    """The answer to an event that cannot be decided: deny in the event's own form if it can stop anything."""
    from wasmguard.agents import claude
    from wasmguard.event import GATING, STOPPING

    name, why = claude.name_of(raw), lines(f"wasmguard: {why}", 4_000)
    answer = claude.encode(claude.refusal(name, why))
    if name is None:
        return BLOCKED, answer, f"{why}\n".encode("utf-8", "replace")
    heard = name in GATING and name not in STOPPING
    return ANSWERED, answer, f"{why}\n".encode("utf-8", "replace") if heard else b""


def _guard(option: str | None, raw: bytes) -> Guard:
    """The guard, its policies on their way into a cell."""
    config = places.config_file(option)
    begun = _begun(config, raw)
    from wasmguard.guard import Guard

    if begun:
        return Guard(*begun, eager=False)
    may_lock = option is not None or not _chosen_by_agent()
    return Guard.load(config, slots=SLOTS, may_lock=may_lock)


def _begun(config: str, raw: bytes) -> tuple[Plan, Cells] | None:
    """The plan, and a cell that loads the policies which are likely to be asked; None without a plan in force."""
    try:
        locked = plan.read(config)
    except PlanStale:
        return None
    cells = plan.cells(locked, slots=SLOTS)
    for policy in locked.policies if cells.isolation == PROCESS else ():
        if _may_concern(policy, raw):
            plan.guest(policy, cells)
    cells.begin()
    return locked, cells


def _may_concern(policy: PlannedPolicy, raw: bytes) -> bool:
    """Whether *policy* is likely to be asked about the event in *raw*, which nobody has parsed yet.

    A wrong guess costs time: a guest that was not loaded is loaded by a second cell.
    """
    tools = policy.tools if policy.tools is not None else ("*",)
    return any(name.encode() in raw for name in policy.events) and any(
        tool.removesuffix("*").encode("utf-8", "surrogatepass") in raw for tool in tools
    )


def _chosen_by_agent() -> bool:
    """Whether the configuration comes from the environment of an agent's hook.

    A project's own settings may set variables for the hooks (Claude Code 2.1.329: `env` in `.claude/settings.json`), so
    a file that is named there counts only if it was locked by hand. Name the file with `--config` in the hook.
    """
    return _in_agent() and bool(os.environ.get("WASMGUARD_CONFIG"))


def _placed_by_agent() -> bool:
    """Whether an agent's hook was told where the state folder is.

    A project's settings may say that too, and the folder that they name may hold a key and an `off` of its own. Then
    the guard is on.
    """
    named = os.environ.get("XDG_STATE_HOME") or os.environ.get("HOME") != places.home_in_database()
    return _in_agent() and bool(named)


def _in_agent() -> bool:
    return "CLAUDECODE" in os.environ or "CLAUDE_PROJECT_DIR" in os.environ


def _event(raw: bytes, most: int) -> Event:
    from wasmguard.agents import claude

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
