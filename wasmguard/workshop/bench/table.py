"""What a benchmark came to, on a terminal: 80 columns, small bars, in the order in which a person asks.

What was measured and where; what each policy costs in time; what is exact; where the time goes; then only what was
asked for: paths, others, checks.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console

from wasmguard.workshop.bench import table_figures, table_verdicts, words
from wasmguard.workshop.bench.table_paper import NARROW, Paper

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTIONS = (
    table_figures.times,
    table_figures.costs,
    table_figures.parts,
    table_figures.by_size,
    table_figures.paths,
    table_figures.others,
    table_verdicts.compared,
    table_verdicts.crafted,
    table_verdicts.check,
    table_verdicts.reading,
)


def console_for(stream: IO[str], *, no_color: bool = False) -> Console:
    """A console on *stream*: as wide as its terminal but 80 columns at the least, and 80 if it is none; colours only at
    a terminal, and not with *no_color*, `NO_COLOR` or `TERM=dumb`."""
    terminal = stream.isatty()
    bare = no_color or not terminal or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Console(
        file=stream,
        width=max(NARROW, _columns(stream)) if terminal else NARROW,
        force_terminal=terminal,
        force_jupyter=False,
        legacy_windows=False,
        color_system=None if bare else "auto",
        markup=False,
        highlight=False,
        emoji=False,
    )


def tell(document: dict[str, Any], console: Console) -> None:
    """Write what *document* says, shortly; what was not measured is not mentioned."""
    paper = Paper(console)
    for said, style in table_verdicts.briefly(document):
        paper.prose(said, style, indent="")
    if document["compare"] is None:  # of two versions, nobody runs both
        paper.prose(words.told_briefly(document), "bold", indent="")
    paper.prose(", ".join([*_machine(document["machine"]), *_run(document)]), "dim", indent="")
    if not document["complete"]:
        paper.prose("stopped before its end: this is what was measured until then", first=("! ", "yellow"), indent="")
    for warning in document["machine"]["warnings"]:
        paper.prose(words.name(warning, 300), first=("! ", "yellow"), indent="")
    for section in SECTIONS:
        section(paper, document)


def _columns(stream: IO[str]) -> int:
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns
    return NARROW


def _machine(machine: dict[str, Any]) -> Iterator[str]:
    yield words.name(machine["processor"] or "a processor without a name")
    if machine["virtual"]:
        yield "virtual"
    cores, usable = machine["cores"], machine["usable"]
    yield f"{cores} cores" if usable == cores else f"{usable} of {cores} cores"
    loads = [f"{load[0]:.1f}" for load in (machine["load_before"], machine["load_after"]) if load]
    if loads:
        yield f"load {' to '.join(dict.fromkeys(loads))}"
    if machine["busy"] is not None:
        yield f"{words.share(machine['busy'])} used by others"


def _run(document: dict[str, Any]) -> Iterator[str]:
    count = len(document["events"]["list"])
    yield f"{count} event{'' if count == 1 else 's'} of {words.name(document['events']['source'])}"
    yield f"{document['seconds']:.0f} s"
    yield f"wasmguard {words.name(document['version'])}"
    yield f"wasmtime {words.name(document['machine']['wasmtime'])}"
