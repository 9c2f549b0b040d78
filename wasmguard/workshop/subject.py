"""What a person names when something is to be tried: a project, a bundle, a lone module or a builtin policy."""

from __future__ import annotations

import os
from contextlib import suppress

from wasmguard.errors import UsageError
from wasmguard.guest.bundle import BUILTIN, MANIFEST, MODULE
from wasmguard.text import one_line
from wasmguard.value import Value

CASES, BUILD = "cases", "build"
MADE = frozenset({BUILD, ".git", "node_modules", "target", "__pycache__", ".zig-cache", "zig-out"})
"""Folders of a project that nobody writes by hand."""


class Subject(Value):
    """What is tried."""

    reference: str
    """As `module` of a configuration: a builtin's name, or an absolute path."""
    shown: str
    """As the person named it."""
    cases: str = ""
    """The folder of its cases; empty if there is none."""
    project: str = ""
    """The folder of its sources, if it is a project that can be built."""


def located(path: str, cases: str = "") -> Subject:
    """What *path* names; *cases* is the folder of its cases, if it is not where it usually is.

    Raises:
        UsageError: if there is no such thing.
    """
    if cases and not os.path.isdir(cases):
        raise UsageError(f"`--cases {one_line(cases, 200)}`: no such folder: name the one with the `*.toml` files")
    if path.startswith(BUILTIN):
        return Subject(reference=path, shown=path, cases=cases)
    whole = os.path.abspath(path)
    if os.path.isfile(whole):
        return Subject(reference=whole, shown=path, cases=cases or _cases_at(os.path.dirname(whole)))
    if not os.path.isdir(whole):
        raise UsageError(f"`{one_line(path, 200)}`: no such file or folder: name a project, a bundle or a `.wasm` file")
    if os.path.exists(os.path.join(whole, MODULE)):
        return Subject(reference=whole, shown=path, cases=cases or _cases_at(whole))
    if not os.path.exists(os.path.join(whole, MANIFEST)):
        raise UsageError(
            f"`{one_line(path, 200)}`: neither a project nor a bundle: there is no `{MANIFEST}` in it: name another"
            " folder, or make a project with `wasmguard new NAME`"
        )
    return Subject(reference=os.path.join(whole, BUILD), shown=path, cases=cases or _cases_at(whole), project=whole)


def _cases_at(folder: str) -> str:
    """The cases of a bundle: in its folder, or beside it if it is a project's `build`."""
    places = [folder, os.path.dirname(folder)] if os.path.basename(folder) == BUILD else [folder]
    return next((found for place in places if os.path.isdir(found := os.path.join(place, CASES))), "")


def written_files(folder: str) -> dict[str, int]:
    """Every file of the project *folder* that somebody writes by hand, and when it was last changed (ns). A kit may be
    a link to where it is kept."""
    found: dict[str, int] = {}
    known: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in known else [name for name in folders if name not in MADE]
        known.add(real)
        for name in names:
            with suppress(OSError):  # a link to nothing, or a file that an editor is replacing
                path = os.path.join(here, name)
                found[path] = os.stat(path).st_mtime_ns
    return found


def is_stale(subject: Subject) -> bool:
    """Whether a project has to be built: it never was, or something in it is newer than its module. Its cases and what
    people read are not part of the module."""
    module = os.path.join(subject.reference, MODULE)
    if not os.path.isfile(module):
        return True
    built = os.stat(module).st_mtime_ns
    cases = subject.cases + os.sep if subject.cases else os.sep * 2
    return any(
        changed > built
        for path, changed in written_files(subject.project).items()
        if not path.startswith(cases) and not path.endswith((".md", ".gitignore"))
    )
