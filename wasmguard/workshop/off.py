"""`wasmguard off`: the owner turns the guard off for a while, and on again.

1. Only the owner (`wasmguard.workshop.owner`), who types `off`.
2. Only for a while: at most `switch.LONGEST`.
3. Recorded before it takes effect. What cannot be recorded does not happen.
4. Turning it on again needs nothing, and is recorded after it took effect.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wasmguard import audit, switch
from wasmguard.errors import HostError
from wasmguard.workshop import owner
from wasmguard.workshop.columns import clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmguard.workshop.owner import Ask

WORD = "off"


def off(
    duration: str,
    *,
    ask: Ask | None = None,
    environ: Mapping[str, str] = os.environ,
    proc: str = "/proc",
) -> str:
    """Turn the guard off for *duration* (`90s`, `10m`, `1h`). Returns what to tell the owner.

    *ask* shows a question and returns the answer; by default on the terminal.

    Raises:
        UsageError: if *duration* is none, or nobody is there who could be the owner, or they did not type `off`.
        HostError: if it cannot be recorded, or not be carried out.
    """
    seconds = owner.seconds_of(duration, switch.LONGEST)
    owner.check(WORD, environ, proc)
    owner.agrees(f"For {owner.told(seconds)} no policy will judge what the agent does.", WORD, ask)
    audit.record("off", seconds=seconds, terminal=owner.terminal(), process=os.getpid())
    try:
        end = switch.switch_off(seconds)
    except HostError:
        audit.record("off failed", process=os.getpid())
        raise
    return f"off until {clock(end * 1000)} ({owner.told(seconds)}); `wasmguard on` ends it"


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
