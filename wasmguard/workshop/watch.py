"""Watching a project: its files are looked at a few times a second, and whoever asked is told of every change.

Polling works on every file system, over networks and in containers, and a project has few files.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from wasmguard.guest.bundle import MANIFEST, MODULE
from wasmguard.workshop.subject import written_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.subject import Subject

PAUSE = 0.3  # seconds between two looks


def changes(subject: Subject, pause: float = PAUSE) -> Iterator[None]:
    """Once now, and again after each change of what *subject* is made of; it ends with Ctrl-C."""
    seen = state_of(subject)
    while True:
        yield
        while (now := state_of(subject)) == seen:
            time.sleep(pause)
        seen = now


def state_of(subject: Subject) -> dict[str, int]:
    """The files that matter, and when each was last changed."""
    try:
        found = written_files(subject.project) if subject.project else _made_files(subject.reference)
        return found | (written_files(subject.cases) if subject.cases else {})
    except FileNotFoundError:  # an editor that replaces a file
        return {}


def _made_files(reference: str) -> dict[str, int]:
    """The module and the manifest of a bundle, or a lone module."""
    paths = [reference] if os.path.isfile(reference) else [os.path.join(reference, n) for n in (MODULE, MANIFEST)]
    return {path: os.stat(path).st_mtime_ns for path in paths if os.path.isfile(path)}
