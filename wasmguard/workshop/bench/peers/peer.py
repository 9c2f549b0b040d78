"""What a peer is: something that is not ours, or ours beside it, which carries out one small guard.

1. The guard: a Bash command with `rm -rf` in it is denied, a Write or Edit in /etc as well; about everything else there
   is no opinion. Who has policies of its own and cannot carry out that one (`own`) must stop `rm -rf /`, and say the
   same about the same event each time.
2. Every answer is compared with the one that is right, so nobody is fast by doing something else.
3. Nothing is installed, and nothing is asked that belongs to the machine's owner: programs get a home of their own,
   and no variables but those they need to start.
4. Whoever is not there, does not start, answers wrongly or too late is left out, and the report says so.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from wasmguard.errors import HostError
from wasmguard.value import Value
from wasmguard.workshop.bench.variant import Given

PATIENCE = 10.0  # seconds for one answer

Ask = Callable[[Given], bool]
"""Whether the event is stopped: denied, or put to a human. Raises if there is no answer."""


class Peer(Value):
    """Something that can be asked about events."""

    name: str
    about: str
    """What is in its time, in some words."""
    lacking: Callable[[], str]
    """What is not there, so that it cannot be asked; empty if all is."""
    start: Callable[[str], AbstractContextManager[Ask]]
    """Makes it ready to be asked, with a folder of its own for whatever it writes; at the end nothing of it runs."""
    spawned: bool = False
    """Whether each question starts a process."""
    ours: bool = False
    """Whether it is wasmguard, which does the same beside them."""
    own: bool = False
    """Whether it decides by policies of its own."""


def denied(fields: dict[str, Any]) -> bool:
    """What the small guard says about the PreToolUse event in *fields*."""
    tool, given = fields.get("tool_name"), fields.get("tool_input")
    if not isinstance(given, dict):
        return False
    if tool == "Bash":
        return "rm -rf" in _text(given, "command")
    path = _text(given, "file_path")
    return tool in ("Write", "Edit") and (path == "/etc" or path.startswith("/etc/"))


def first_answer(peer: Peer, ask: Ask, given: Given) -> bool:
    """What *peer* says about *given*, which is right.

    Raises:
        HostError: if it is wrong, or comes too late.
    """
    began = perf_counter()
    said = ask(given)
    if (took := perf_counter() - began) > PATIENCE:
        raise HostError(f"it took {took:.1f} s about `{given.name}`, and may take {PATIENCE:g}")
    if not peer.own and said is not denied(given.fields):
        raise wrong(peer, given)
    return said


def wrong(peer: Peer, given: Given) -> HostError:
    """What is raised about a wrong answer."""
    return HostError(f"`{peer.name}` gives a wrong answer about `{given.name}`: measure without it")


def needs_program(*names: str) -> Callable[[], str]:
    """What is lacking of these programs."""
    return lambda: next((f"`{name}` is not on the path" for name in names if not program(name)), "")


def needs_package(name: str) -> Callable[[], str]:
    """What is lacking of this Python package."""
    return lambda: "" if find_spec(name) else f"the Python package `{name}` is not installed"


def program(name: str) -> str:
    """Where the program is that a hook would start: beside this interpreter, or on the path; empty if nowhere."""
    beside = os.path.dirname(sys.executable)
    return shutil.which(name, path=beside) or shutil.which(name) or ""


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""
