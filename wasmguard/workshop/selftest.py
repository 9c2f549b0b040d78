"""`wasmguard selftest`: a chosen part of the hostile suite, on this machine, as a table.

It asks what an owner wants to know before trusting somebody's policy: whether here, with this kernel and this wasmtime,
a hostile guest is refused, stopped or cleaned, and how long that takes at the worst. Cases of every group are run as
hooks run them; after each of them a harmless policy in the same cell must still answer rightly.

Everything lives in a temporary folder, and nothing is left behind.
"""

from __future__ import annotations

import os
import textwrap
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

from wasmguard.errors import WasmguardError
from wasmguard.hostile.case import Bounded
from wasmguard.hostile.proving import Ground, busy, refusal, refusal_flaw, tool_of
from wasmguard.hostile.suite import GROUPS
from wasmguard.own_home import home_in
from wasmguard.value import Value
from wasmguard.workshop.undisturbed import passing_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wasmguard.hostile.case import Case

WIDTH = 80  # columns
EACH = 7  # cases of a group, spread over all of it
BOMB = "bomb-nested-loops"  # of the bombs that reach a limit, the one that does it soonest
TRIES = 3  # of an evaluation that ran out of time: on a busy machine that says nothing
AT_ONCE = 2  # compilers: as many as the smallest machine has processors


class Row(Value):
    """What came of one group."""

    group: str
    cases: int
    flaws: tuple[str, ...] = ()
    """One line for each case that did not end as it must."""
    answered: float = 0.0
    """Seconds that the slowest evaluation took, the harmless one included."""
    refused: float = 0.0
    """Seconds that the slowest refusal took, compiler included."""


def chosen(group: str) -> tuple[Case, ...]:
    """The cases of *group* that are run: `EACH` of them, from its beginning to its end, and one compile bomb."""
    cases = [case for case in GROUPS[group] if not case.bomb]
    step = max(1, len(cases) // EACH)
    return (*cases[::step][:EACH], *(case for case in GROUPS[group] if case.name == BOMB))


def selftest() -> Iterator[tuple[str, str]]:
    """The table line by line: (style, text), where style is `title`, `plain`, `pass` or `deny`.

    Everything held unless a line has the style `deny`.
    """
    begun = perf_counter()
    yield "title", f"{'group':<12}{'cases':>7}{'held':>7}{'slowest answer':>17}{'slowest refusal':>18}"
    rows = []
    with passing_folder("wasmguard-selftest-") as folder, home_in(folder):
        for row in _rows(folder):
            rows.append(row)
            yield "deny" if row.flaws else "plain", _line(row)
            for flaw in row.flaws:
                yield from (("deny", line) for line in _wrapped(flaw))
    yield from _summary(rows, perf_counter() - begun)


def _rows(folder: str) -> Iterator[Row]:
    """The groups are prepared side by side, because compiling takes most of the time, and asked one after the other."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        prepared = [pool.submit(_prepared, os.path.join(folder, group), chosen(group)) for group in GROUPS]
        for group, job in zip(GROUPS, prepared, strict=True):
            row = Row(group=group, cases=len(chosen(group)))
            try:
                ground, refused, flaws = job.result()
            except WasmguardError as error:
                yield row.replaced(flaws=(f"{group}: {error}",))
                continue
            answered, more = _asked(ground)
            yield row.replaced(flaws=(*flaws, *more), answered=answered, refused=refused)


def _prepared(folder: str, cases: Iterable[Case]) -> tuple[Ground, float, tuple[str, ...]]:
    """The ground of *cases*, how long the slowest refusal took, and what is wrong with the refusals."""
    slowest, flaws = 0.0, []
    for case in cases:
        if case.evaluated:
            continue
        by, words, seconds = refusal(case)
        slowest = max(slowest, seconds)
        if flaw := refusal_flaw(case, by, words):
            flaws.append(_told(case, flaw))
        if isinstance(case.must, Bounded) and seconds > case.limits.compile_wall + 1:
            flaws.append(_told(case, f"the compiler took {seconds:.1f} s"))
    return Ground(folder, cases), slowest, tuple(flaws)


def _asked(ground: Ground) -> tuple[float, tuple[str, ...]]:
    """How long the slowest evaluation took, and what was wrong."""
    slowest, flaws = 0.0, []
    try:
        for case in ground.cases:
            flaw = ""
            for _ in range(case.times):
                found, seconds = _tried(ground, case)
                slowest, flaw = max(slowest, seconds), flaw or found
            if not ground.controlled(case):
                flaw = flaw or "afterwards a harmless policy did not answer rightly"
            if flaw:
                flaws.append(_told(case, flaw))
    finally:
        ground.close()
    return slowest, tuple(flaws)


def _tried(ground: Ground, case: Case) -> tuple[str, float]:
    """What is wrong with an evaluation of *case*, and the seconds that it took."""
    flaw, seconds = "", 0.0
    for _ in range(TRIES):
        begun = perf_counter()
        decision = ground.decided(case)
        flaw, seconds = ground.flaw(case, decision), perf_counter() - begun
        if not busy(flaw):
            break
    return flaw, seconds


def _told(case: Case, flaw: str) -> str:
    return f"{tool_of(case)} ({case.what}): {flaw}"


def _line(row: Row) -> str:
    answered = f"{row.answered * 1000:.0f} ms" if row.answered else "-"
    refused = f"{row.refused * 1000:.0f} ms" if row.refused else "-"
    return f"{row.group:<12}{row.cases:>7}{row.cases - len(row.flaws):>7}{answered:>17}{refused:>18}"


def _summary(rows: list[Row], seconds: float) -> Iterator[tuple[str, str]]:
    cases, broken = sum(row.cases for row in rows), sum(len(row.flaws) for row in rows)
    yield "plain", ""
    if broken:
        yield "deny", f"{broken} of {cases} hostile cases did not end as they must: report them ({seconds:.0f} s)"
    else:
        yield "pass", f"all {cases} hostile cases ended as they must, in {seconds:.0f} s"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
