"""`wasmguard test`: a policy against its cases, against what must hold for every policy, and what no case touches.

1. Every case is tried; one that fails hides none of the others, and nothing else that is wrong.
2. What was chosen by words (`-k`) is a look at some cases: properties and coverage are for all of them.
3. What no case touches is told and fails nothing, unless somebody wants that (`strict`).
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from wasmguard.errors import UsageError
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.build import build, project_at, write
from wasmguard.workshop.cases import read_cases
from wasmguard.workshop.columns import HEAD, WIDTH, beside, wrapped
from wasmguard.workshop.judged import Judged, judged
from wasmguard.workshop.properties import Property, properties
from wasmguard.workshop.subject import is_stale
from wasmguard.workshop.trial import tried

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmguard.guest.manifest import Manifest
    from wasmguard.workshop.cases import Case
    from wasmguard.workshop.subject import Subject

NOTES = 6  # that are told; programs get all
LONGEST = 500  # characters of a line about what was expected


class Report(Value):
    """What came of a policy's test."""

    name: str
    sha256: str
    limits: dict[str, int]
    """Fuel and memory that it may use."""
    cases: tuple[Judged, ...]
    properties: tuple[Property, ...]
    uncovered: tuple[str, ...]
    """What its manifest declares and no case touches."""
    notes: tuple[str, ...]
    whole: bool
    """Whether all cases were tried, and not only some that were chosen."""
    seconds: float

    def ok(self, *, strict: bool = False) -> bool:
        """Whether nothing failed; with *strict*, whether there is nothing to note either."""
        held = all(case.ok for case in self.cases) and all(one.ok for one in self.properties)
        return held and not (strict and (self.uncovered or self.notes))


def brought_up_to_date(subject: Subject, *, may_build: bool) -> tuple[str, ...]:
    """Build the project that *subject* is, if it is one that changed since it was built. Returns what is to be noted.

    Raises:
        BuildError: if its compiler is missing or refuses it.
        BundleError: if it is no project that can be built.
    """
    if not subject.project or not is_stale(subject):
        return ()
    if may_build:
        write(build(project_at(Path(subject.project))), Path(subject.reference))
        return ()
    if not os.path.isdir(subject.reference):
        raise UsageError(f"`{subject.shown}` was never built: run `wasmguard build`, or leave `--no-build` out")
    return ("the sources are newer than what was built of them: run `wasmguard build`",)


def examined(subject: Subject, words: str = "", *, notes: Sequence[str] = ()) -> Report:
    """The policy *subject*, tested; only the cases with all of *words* in name or file, if there are any.

    Raises:
        UsageError: if *words* choose none.
        BundleError: if its cases cannot be read, or it would not load.
    """
    begun = perf_counter()
    cases = read_cases(subject.cases, _short(subject.cases)) if subject.cases else []
    chosen = [case for case in cases if _is_meant(case, words)]
    if words and not chosen:
        raise UsageError(f"`-k {one_line(words, 100)}`: no case has that in its name or file: choose other words")
    said = list(notes) if cases else [*notes, "it has no cases: write some in `cases/*.toml`"]
    with tried(subject.reference) as trial:
        judgements = [judged(trial, case) for case in chosen]
        held = [] if words else list(properties(trial, judgements))
        manifest = trial.manifest
        said += [line for one in judgements for line in one.note.splitlines()]
        return Report(
            name=trial.name,
            sha256=trial.bundle.sha256,
            limits={"fuel": trial.limits.fuel, "memory": trial.limits.memory},
            cases=tuple(judgements),
            properties=tuple(held),
            uncovered=() if words or manifest is None else tuple(uncovered(manifest, chosen)),
            notes=tuple(said),
            whole=not words,
            seconds=perf_counter() - begun,
        )


def uncovered(manifest: Manifest, cases: Sequence[Case]) -> Iterator[str]:
    """What *manifest* declares and none of *cases* touches, in words."""
    events = [fields for case in cases for fields in case.events if case.effect != "trap"]
    names = {fields.get("hook_event_name") for fields in events}
    tools = {name for fields in events if isinstance(name := fields.get("tool_name"), str)}
    rewritten = {(case.event.get("tool_name"), field) for case in cases for field in case.expected.get("rewrite", ())}
    effects = {case.effect for case in cases}
    yield from (f"event `{name}`" for name in manifest.events if name not in names)
    yield from (f"tool `{tool}`" for tool in manifest.tools or () if not any(_meets(name, tool) for name in tools))
    yield from (f"effect `{effect}`" for effect in manifest.asks.effects if effect not in effects)
    for key in manifest.asks.rewrite:
        pattern, _, field = key.rpartition(".")
        if not any(name == field and _meets(tool, pattern) for tool, name in rewritten):
            yield f"rewrite of `{key}`"
    if manifest.asks.rewrite_output and not any("output" in case.expected for case in cases):
        yield "rewrite of an output"
    if manifest.asks.state and not any(case.expected.get("remembers") or case.before for case in cases):
        yield "state"


def told(report: Report, *, strict: bool = False) -> Iterator[tuple[str, str]]:
    """The report in words: (style, text). Quiet about what is as it should be."""
    for one in report.cases:
        if not one.ok:
            title = one_line(f"FAILED {one.case.where}: {one.case.name}", LONGEST)
            yield from (("wrong", line) for line in _wrapped(title, ""))
            yield from (("plain", line) for key, *pair in one.differences for line in _difference(key, *pair))
    for held in report.properties:
        if not held.ok:
            yield from (("wrong", line) for line in _wrapped(f"FAILED property: {held.name}", ""))
            yield from (("plain", line) for flaw in held.flaws for line in _wrapped(flaw))
    mark = "wrong" if strict else "note"
    more = [f"{len(report.notes) - NOTES} more like these"] if len(report.notes) > NOTES else []
    for note in (*report.notes[:NOTES], *more):
        yield from ((mark, line) for line in _wrapped(f"note: {note}", ""))
    if report.uncovered:
        yield from ((mark, line) for line in _wrapped(f"note: no case touches {', '.join(report.uncovered)}", ""))
    yield "plain", beside("fuel", _fuel(report))
    yield "pass" if report.ok(strict=strict) else "deny", _summary(report)


def as_data(report: Report, *, strict: bool = False) -> dict[str, Any]:
    """The same for programs."""
    return {
        "ok": report.ok(strict=strict),
        "name": report.name,
        "sha256": report.sha256,
        "limits": report.limits,
        "fuel": fuel_of(report.cases),
        "seconds": round(report.seconds, 3),
        "cases": [
            {
                "name": one.case.name,
                "file": one.case.file,
                "line": one.case.line,
                "ok": one.ok,
                "fuel": one.said[-1].fuel,
                "microseconds": round(one.said[-1].microseconds),
                "differences": [{"key": key, "expected": wanted, "got": came} for key, wanted, came in one.differences],
            }
            for one in report.cases
        ],
        "properties": [
            {"name": one.name, "tried": one.tried, "ok": one.ok, "flaws": list(one.flaws)} for one in report.properties
        ],
        "uncovered": list(report.uncovered),
        "notes": list(report.notes),
    }


def fuel_of(cases: Sequence[Judged]) -> dict[str, int] | None:
    """Smallest, middle and largest fuel of the events that were answered; None if none was."""
    burned = [said.fuel for one in cases for said in one.said if said.fuel is not None and said.answer is not None]
    return {"min": min(burned), "median": int(median(burned)), "max": max(burned)} if burned else None


def _fuel(report: Report) -> str:
    burned, limit = fuel_of(report.cases), report.limits["fuel"]
    if burned is None:
        return f"nothing was answered (limit {limit:_})"
    share = 100 * burned["max"] / limit
    numbers = ", ".join(f"{name} {number:_}" for name, number in burned.items())
    return f"{numbers}: {share:.2g} % of the limit ({limit:_})"


def _summary(report: Report) -> str:
    parts = [_count(report.cases, "case", "cases")]
    if report.whole:
        parts.append(_count(report.properties, "property", "properties"))
    return f"{report.name}: {', '.join(parts)}, in {report.seconds:.1f} s"


def _count(found: Sequence[Judged] | Sequence[Property], one: str, many: str) -> str:
    good = sum(item.ok for item in found)
    words = one if len(found) == 1 else many
    return f"{good} {words} ok" if good == len(found) else f"{len(found) - good} of {len(found)} {words} failed"


def _difference(key: str, wanted: str, came: str) -> Iterator[str]:
    """Two lines, below each other, so that the eye finds what differs."""
    for head, word, value in ((key, "expected", wanted), ("", "got", came)):
        text = one_line(value, LONGEST)
        lines = textwrap.wrap(text, WIDTH - HEAD - 10, break_on_hyphens=False, break_long_words=True) or [""]
        yield f"  {head}".ljust(HEAD) + f"{word:<10}{lines[0]}"
        yield from (" " * (HEAD + 10) + line for line in lines[1:])


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return wrapped(text, indent)


def _is_meant(case: Case, words: str) -> bool:
    text = f"{case.file} {case.name}".lower()
    return all(word in text for word in words.lower().split())


def _meets(tool: object, pattern: str) -> bool:
    return isinstance(tool, str) and (tool.startswith(pattern[:-1]) if pattern.endswith("*") else tool == pattern)


def _short(folder: str) -> str:
    """*folder* as a person here would write it."""
    relative = os.path.relpath(folder)
    return relative if len(relative) < len(folder) else folder
