"""The Claude Code that this user runs: where it is, and whether it is new enough to fail closed."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from wasmguard.agents.claude_settings import MINIMUM, version_of
from wasmguard.errors import HostError
from wasmguard.workshop.hook_command import home
from wasmguard.workshop.outcome import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRIAL = 20.0  # seconds in which the client has to say its version: it may be on a cold disk
USUAL = (".claude/local", ".local/bin")
"""Folders below the home folder in which it may be, besides those of `PATH`."""


def checked(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is to be said about the client: nothing if it is new enough.

    Raises:
        HostError: if it is too old.
    """
    program = found(environ)
    least = ".".join(map(str, MINIMUM))
    if not program:
        yield said("note", f"no `claude` was found: it has to be {least} or newer")
        return
    try:
        run = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL, check=False
        )
        version = version_of(run.stdout.decode("utf-8", "replace"))
    except (OSError, subprocess.TimeoutExpired):
        version = None
    if version is None:
        yield said("note", f"`{program}` does not say its version: it has to be {least} or newer")
    elif version < MINIMUM:
        now = ".".join(map(str, version))
        why = f"lets calls go on when a hook fails: update it to {least} or newer (`claude update`)"
        raise HostError(f"`{program}` is {now}, which {why}")


def found(environ: Mapping[str, str]) -> str:
    """The client's program; empty if there is none."""
    usual = (f"{home()}/{folder}/claude" for folder in USUAL)
    on_path = shutil.which("claude", path=environ.get("PATH", ""))
    return on_path or next((path for path in usual if os.access(path, os.X_OK)), "")
