"""Whether the installed hooks really stop what the policies stop: they are called as the agent calls them, and their
answers are read as the agent reads them.

1. Each hook is asked about events that the policies of its configuration deny, rewrite and pass, about the guard's own
   files, and about half an event. What comes has to be what this process decides with the same configuration.
2. What the client would take for "no opinion" or for a failure is told as that, whatever the hook meant.
3. Where nothing can be expected (no plan in force, switched off), that is wrong: enforcement is not proven.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from time import localtime, monotonic, sleep, strftime
from typing import TYPE_CHECKING

from wasmguard import link, switch
from wasmguard.errors import HostError, WasmguardError
from wasmguard.text import one_line
from wasmguard.workshop import asked as events
from wasmguard.workshop import calling, taken
from wasmguard.workshop.finding import Finding, note, ok, split, wrong
from wasmguard.workshop.machine import status_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from wasmguard.workshop.asked import Asked
    from wasmguard.workshop.calling import Said
    from wasmguard.workshop.hooks import Hook
    from wasmguard.workshop.taken import Taken

TIMED = 5  # calls whose median is told
COMING_UP = 3.0  # seconds that a daemon has which the first call started
AGAIN = "run `wasmguard install claude-code` again"


def enforced(hook: Hook) -> Iterator[Finding]:
    """Whether *hook* enforces its configuration. Never raises."""
    environ = calling.environment(hook.project, hook.variables)
    try:
        with hook.at_home():
            if until := switch.off_until():
                said = f"the guard is off until {strftime('%H:%M', localtime(until))}: nothing is judged"
                yield wrong("enforcement", said, "run `wasmguard on`", off_until=until)
                return
            yield from _proven(hook, environ)
    except WasmguardError as error:
        yield split("enforcement", error)


def _proven(hook: Hook, environ: Mapping[str, str]) -> Iterator[Finding]:
    first = events.raw(events.tool_call(hook.project, "Read", {"file_path": "/"}))
    trouble = called(hook, first, environ).trouble
    if trouble and hook.url and _events(hook, COMING_UP) is not None:  # a command beside it has just started it
        trouble = called(hook, first, environ).trouble
    if trouble:  # it would be the same ten times over, and each may take half a minute
        said = f"{hook.name} gives no answer: {trouble}{_then(hook)}"
        yield wrong("enforcement", said, _mend(hook), **hook.data)
        return
    yield ok("enforcement", f"{hook.name} is asked as the agent asks it", **hook.data)
    chosen: list[Asked] = []
    protects = True
    try:
        with events.guard_of(hook.config) as guard:
            chosen, faults = events.chosen(guard, hook.project, environ)
            protects = guard.plan.self_protection
            yield from _failing(faults)
    except WasmguardError as error:
        yield split("- expected", error)
    if "PreToolUse" in hook.events:
        yield from _judged(hook, chosen, environ)
    if protects:
        yield from _protected(hook, environ)
    yield from _garbage(hook, environ)
    if chosen and "PreToolUse" in hook.events:
        yield from _timed(hook, chosen[-1], environ)


def _failing(faults: list[str]) -> Iterator[Finding]:
    for fault in faults:
        yield note("- policies", f"denied because it failed: {fault}", "grant it, or give the policy less to judge")


def _judged(hook: Hook, chosen: list[Asked], environ: Mapping[str, str]) -> Iterator[Finding]:
    for one in chosen:
        yield _compared(hook, one, environ)
    missing = {"a deny", "a rewrite", "a pass"} - {one.about for one in chosen} if chosen else set()
    for about in sorted(missing):
        yield note(f"- {about}", "no event that is tried here comes to that under this configuration")


def _protected(hook: Hook, environ: Mapping[str, str]) -> Iterator[Finding]:
    if "PreToolUse" in hook.events:
        yield _compared(hook, events.write_to(hook.project, hook.config), environ)
    if "ConfigChange" in hook.events:
        with tempfile.TemporaryDirectory(prefix="wasmguard-doctor-") as folder:
            path = os.path.join(folder, ".claude", "settings.json")
            os.mkdir(os.path.dirname(path))
            with open(path, "w", encoding="utf-8") as file:
                file.write('{"disableAllHooks": true}\n')
            yield _compared(hook, events.kill_switch(hook.project, path), environ)


def _compared(hook: Hook, one: Asked, environ: Mapping[str, str]) -> Finding:
    """What came of *one* event, held against what has to come."""
    said = called(hook, events.raw(one.fields), environ)
    got, want = read(hook, one.event, said), one.expected
    about, shown = f"- {one.about}", f"`{one.subject}`"
    data = {"asked": dict(one.fields), "got": got.as_dict(), "expected": want.as_dict(), "seconds": said.seconds}
    if got.does == want.does and (not one.exact or (got.why == want.why and got.input == want.input)):
        return ok(about, f"{shown} is {_outcome(got)}", **data)
    if got.does == taken.FAILED:
        return wrong(about, f"{shown}: {got.why}{_complaint(said)}{_then(hook)}", _mend(hook), **data)
    if got.does != want.does or got.input != want.input:
        sentence = f"{shown} is {_outcome(got)}, but the policies say: {_outcome(want)}"
        return wrong(about, f"{sentence}{f' ({got.why})' if got.why else ''}", _mend(hook), **data)
    sentence = f"{shown} is {got.does} for another reason than expected: {one_line(got.why, 200)}"
    return wrong(about, sentence, "run `wasmguard lock` and `wasmguard stop`, then look again", **data)


def _garbage(hook: Hook, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Half an event, and none at all. Over HTTP, a body that is empty never comes from the agent."""
    for what, raw in (("half an event", events.HALF), ("no event", b"")):
        if hook.url and not raw:
            continue
        said = called(hook, raw, environ)
        got = read(hook, "PreToolUse", said)
        data: dict[str, Any] = {"got": got.as_dict(), "seconds": said.seconds}
        if got.does == taken.DENIED:
            yield ok("- garbage", f"{what} is denied", **data)
        elif got.blocks(on_failure=hook.blocks_on_failure):
            yield note("- garbage", f'{what}: {got.why}; only `onFailure: "block"` stops the tool', **data)
        else:
            yield wrong("- garbage", f"{what} lets the tool run: {got.why or got.does}", _mend(hook), **data)


def _timed(hook: Hook, one: Asked, environ: Mapping[str, str]) -> Iterator[Finding]:
    """How long a call takes, and who answered."""
    before = _events(hook, COMING_UP)
    spent = [called(hook, events.raw(one.fields), environ).seconds * 1000 for _ in range(TIMED)]
    after = _events(hook, 0)
    by_daemon = before is not None and after is not None and after - before >= TIMED
    way = "HTTP" if hook.url else "the daemon" if by_daemon else "its own process"
    median = statistics.median(spent)
    said = f"{median:.1f} ms a call (median of {TIMED}, fastest {min(spent):.1f}), answered by {way}"
    if way == "its own process":
        why = "" if before is not None else _why_not_up(hook.socket)
        yield note("- time", f"{said}{why}", "run `wasmguard status` to see why", median_ms=median, way=way)
    else:
        yield ok("- time", said, median_ms=median, way=way)


def called(hook: Hook, raw: bytes, environ: Mapping[str, str]) -> Said:
    """What *hook* says to *raw*."""
    if hook.url:
        headers = calling.filled(hook.headers, hook.allowed, environ)
        return calling.post(hook.url, raw, headers=headers, seconds=hook.seconds)
    return calling.run(hook.words, raw, environ=environ, folder=hook.project, seconds=hook.seconds)


def read(hook: Hook, event: str, said: Said) -> Taken:
    """What the client makes of what *hook* said."""
    if said.trouble:
        return taken.Taken(does=taken.FAILED, why=said.trouble)
    if hook.url:
        return taken.of_http(event, said.code, said.out)
    return taken.of_command(event, said.code, said.out, said.err)


def _events(hook: Hook, patience: float) -> int | None:
    """How many events the daemon has answered; None if there is none of our version. It may be coming up."""
    end = monotonic() + patience
    while True:
        try:
            code, status = status_of(hook.socket)
        except HostError:
            if monotonic() >= end:
                return None
            sleep(0.05)
        else:
            return int(status.get("events", 0)) if code == link.ANSWERED else None


def _why_not_up(socket: str) -> str:
    """What the last attempt to start the daemon left beside its socket."""
    try:
        with open(f"{socket}.failed", encoding="utf-8", errors="replace") as file:
            said = one_line(file.read(400).strip(" .\n"), 300)
    except (OSError, ValueError):
        said = ""
    return f"; the daemon did not come up{f': {said}' if said else ''}"


def _outcome(got: Taken) -> str:
    """What happens, in words."""
    if got.input is not None:
        changed = ", ".join(f"`{one_line(str(value), 120)}`" for value in list(got.input.values())[:1])
        return f"rewritten to {changed}" if got.does == taken.NOTHING else f"{got.does}, rewritten to {changed}"
    return {taken.NOTHING: "passed"}.get(got.does, got.does)


def _complaint(said: Said) -> str:
    err = one_line(said.err.decode("utf-8", "replace").strip(), 200)
    return f" ({err})" if err else ""


def _then(hook: Hook) -> str:
    return '; only `onFailure: "block"` stops the tool' if hook.blocks_on_failure else "; the tool runs"


def _mend(hook: Hook) -> str:
    if hook.url:
        return "run `wasmguard serve --daemon --http HOST:PORT`, and see that the agent has the token; else " + AGAIN
    return f"{AGAIN}, then `wasmguard doctor`"
