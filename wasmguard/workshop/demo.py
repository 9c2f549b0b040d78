"""`wasmguard demo`: three recorded tool calls, decided by the policies that are shipped, shown so that a person sees
why.

It needs no agent, no configuration and no network, and leaves nothing behind: the configuration, the plan and the
compiled modules live in a temporary folder. Everything shown is computed, by the same code that serves a hook.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
from typing import TYPE_CHECKING

from wasmguard.agents import claude
from wasmguard.decision import Effect
from wasmguard.guard import Guard
from wasmguard.lock import lock
from wasmguard.own_home import home_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.decision import Decision, Verdict
    from wasmguard.event import Event
    from wasmguard.lock import Outcome

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded")
CALLS = ("Bash", "Write", "Read")
WIDTH = 80  # columns
WARM_UP = 50  # decisions: after the first the module is loaded, after some the caches are warm


def demonstration() -> Iterator[tuple[str, str]]:
    """The demo line by line: (style, text), where style is `title`, `deny`, `rewrite`, `pass`, `old`, `new` or `plain`.

    Raises:
        WasmguardError: if the shipped policies cannot be used here.
    """
    with tempfile.TemporaryDirectory(prefix="wasmguard-demo-") as folder:
        config = shutil.copy(os.path.join(RECORDED, "wasmguard.toml"), folder)
        with home_in(folder):
            outcome = lock(config, repin=False)
            yield from _introduction(outcome)
            with Guard.load(config) as guard:
                for number, tool in enumerate(CALLS, 1):
                    event = _recorded(tool)
                    for _ in range(WARM_UP):  # what is shown is a warm decision
                        guard.decide(event)
                    yield from _call(number, event, guard.decide(event))


def _recorded(tool: str) -> Event:
    with open(os.path.join(RECORDED, f"PreToolUse.{tool}.json"), "rb") as file:
        return claude.parse(file.read())


def _introduction(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield "title", "Three recorded tool calls, decided by WebAssembly policies that import nothing:"
    yield "plain", ""
    for told in outcome.policies:
        yield "plain", f"  {told.name:15} {told.reference}, {told.size / 1000:.0f} kB, compiled in {told.seconds:.2f} s"


def _call(number: int, event: Event, decision: Decision) -> Iterator[tuple[str, str]]:
    subject = next(iter(event.input.values()), "")
    yield "plain", ""
    yield "title", f"{number}. {event.tool}: {subject}"
    for verdict, again in _with_repeats(decision.verdicts):
        yield "plain", _verdict(verdict, again=again)
    yield from _outcome(event, decision)


def _with_repeats(verdicts: tuple[Verdict, ...]) -> Iterator[tuple[Verdict, bool]]:
    seen: set[str] = set()
    for verdict in verdicts:
        yield verdict, verdict.policy in seen
        seen.add(verdict.policy)


def _verdict(verdict: Verdict, *, again: bool) -> str:
    word = verdict.effect.name.lower() + (", rewrites" if verdict.rewrite is not None else "")
    fuel = "" if verdict.fuel is None else f"{verdict.fuel:>7_} fuel"
    note = "  asked again" if again else ""
    return f"   {verdict.policy:15} {word:15} {verdict.microseconds:5.0f} us {fuel}{note}"


def _outcome(event: Event, decision: Decision) -> Iterator[tuple[str, str]]:
    if decision.effect is Effect.DENY:
        yield "deny", "   => DENIED, the tool does not run"
        yield from (("plain", line) for line in _wrapped(f"because {decision.reason}"))
    elif decision.rewrite is not None:
        carrier = next(v.policy for v in reversed(decision.verdicts) if v.rewrite is not None)
        yield "rewrite", f"   => REWRITTEN by {carrier}, then the agent's own permission rules go on"
        for field, value in decision.rewrite.items():
            if value != event.input[field]:
                yield "old", f"      - {field}: {event.input[field]}"
                yield "new", f"      + {field}: {value}"
    else:
        yield "pass", "   => PASSED, the agent's own permission rules go on"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False)
