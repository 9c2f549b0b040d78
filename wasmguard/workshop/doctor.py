"""`wasmguard doctor`: what this machine gives, found out by trying it.

The isolation that is told is that of a cell which was really started, loaded with the shipped policies and asked.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import version
from typing import TYPE_CHECKING

from wasmguard import places, plan
from wasmguard.decision import Effect
from wasmguard.errors import WasmguardError
from wasmguard.guard import Guard
from wasmguard.lock import lock
from wasmguard.own_home import home_in
from wasmguard.sandbox.isolation import THREAD
from wasmguard.version import __version__
from wasmguard.workshop.demo import RECORDED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Finding = tuple[str, str, str]  # `ok`, `note` or `wrong`; what it is about; the sentence

TIER_1 = {"x86_64", "AMD64"}  # wasmtime's promises hold for tier 1 alone
STEERING = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "PYTHONSTARTUP")
ASKED = {
    "hook_event_name": "PreToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "rm -rf /srv/data"},
    "cwd": "/",
}


def findings(option: str | None) -> Iterator[Finding]:
    """What is found, in the order of importance; *option* is the configuration file as `--config` names it."""
    yield from _versions()
    yield from _isolation()
    yield from _configuration(option)
    yield from _environment()


def _versions() -> Iterator[Finding]:
    machine = platform.machine()
    yield "ok", "wasmguard", f"{__version__}, Python {platform.python_version()}, {platform.system()} {machine}"
    yield "ok", "wasmtime", version("wasmtime")
    if machine not in TIER_1:
        yield "note", "wasmtime", f"{machine} is tier 2: less tested than x86-64, and it had an escape in 2026"


def _isolation() -> Iterator[Finding]:
    """The report of a cell in which a shipped policy has just denied a call."""
    with tempfile.TemporaryDirectory(prefix="wasmguard-doctor-") as folder, home_in(folder):
        config = shutil.copy(os.path.join(RECORDED, "wasmguard.toml"), folder)
        try:
            with Guard(*_locked(config)) as guard:
                decision, reports = guard.decide(ASKED), guard.cells.start()
        except WasmguardError as error:
            yield "wrong", "isolation", f"none: no policy can run here: {error}"
            return
    for report in reports.values():
        yield from _report(report)
    if decision.effect is not Effect.DENY or decision.faulted:
        yield "wrong", "policies", f"a shipped policy did not deny `rm -rf` as it should: {decision.reason}"


def _locked(config: str) -> tuple[plan.Plan, Any]:
    made = lock(config, repin=False).plan
    return made, plan.cells(made, slots=1)


def _report(report: dict[str, Any]) -> Iterator[Finding]:
    why = f" ({report['why']})" if report["why"] else ""
    full = report["isolation"] == "full"
    yield "ok" if full else "note", "isolation", f"{report['isolation']}{why}: policies run in a process of their own"
    landlock = f"ABI {report['landlock']}: no file, no network" if report["landlock"] else "none"
    yield "ok" if report["landlock"] else "note", "- Landlock", landlock
    seccomp = f"a filter of {report['seccomp']} instructions: no socket, no program" if report["seccomp"] else "none"
    yield "ok" if report["seccomp"] else "note", "- seccomp", seccomp
    yield "ok", "- limits", ", ".join(name.removeprefix("RLIMIT_").lower() for name in report["limits"])


def _configuration(option: str | None) -> Iterator[Finding]:
    try:
        path = places.config_file(option)
        if not os.path.lexists(path):
            yield "note", "configuration", f"`{path}` does not exist yet: a hook would deny everything"
            return
        locked = plan.read(path)
    except WasmguardError as error:
        yield "wrong", "configuration", str(error)
        return
    yield "ok", "configuration", f"`{path}` is locked, {len(locked.policies)} policies"
    if locked.isolation == THREAD:
        yield "note", "isolation", '`isolation = "thread"`: policies run in the process that decides'
    if not locked.self_protection:
        yield "note", "self-protection", "is switched off: tools may write the guard's own files"


def _environment() -> Iterator[Finding]:
    for name in STEERING:
        if os.environ.get(name):
            yield "note", "environment", f"`{name}` is set: it decides what programs load, hooks too"
    if not sys.flags.isolated and os.environ.get("PYTHONHOME"):
        yield "note", "environment", "`PYTHONHOME` is set: start the hook with `-I`"
