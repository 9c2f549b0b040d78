"""One run of `wasmguard bench`: from what a person asked for to the document that everything is told from.

1. Nothing of the owner's is touched: policies run under a plan of their own, in a home of their own (`subjects`).
2. What is exact comes first (`exact`), then where the time goes (`split`), then the times, which take what is left.
3. What is compared is measured in turns, in one group: what takes microseconds, and what starts processes.
4. Ctrl-C ends the measuring, not the telling: the document says `complete: false` and holds all whole rounds.
5. SIGTERM and SIGHUP end the run, and whatever it started or laid down ends with it (`in_order`).
6. What the times are not is told beside them: decisions that were faults, and events that no policy ever saw.
"""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.version import __version__
from wasmguard.workshop.bench import adversarial, baseline, caveats, inside, machine, mixes, outside, peers, versus
from wasmguard.workshop.bench.exact import exact
from wasmguard.workshop.bench.rounds import measured, open_loop, overhead
from wasmguard.workshop.bench.series import Series
from wasmguard.workshop.bench.split import split
from wasmguard.workshop.bench.subjects import opened
from wasmguard.workshop.bench.variant import CELL, CHAIN, FLOOR, LIBRARY, PEER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    from wasmguard.workshop.bench.progress import Progress
    from wasmguard.workshop.bench.subjects import Bench
    from wasmguard.workshop.bench.variant import Given, Variant

FORMAT = 1
INSIDE = (LIBRARY, CELL)
OF_SPLIT, OF_SIZES, OF_OVERHEAD = 0.2, 0.15, 0.05  # shares of the seconds
COLD = 5  # decisions about a size before it is measured
ENDING = 20.0  # seconds that a run has to close what is open, before it is told once more to end


class Wanted(Value):
    """What a person asked for."""

    subjects: tuple[str, ...] = ()
    config: str | None = None
    events: str = mixes.MIX
    paths: tuple[str, ...] = (CELL,)
    seconds: float = 20.0
    rate: float = 0.0
    """Events a second of an open loop; 0 for one event after the other."""
    profile: str = ""
    compare: bool = False
    """Whether the subjects are two versions of one policy."""
    with_peers: bool = False
    with_adversarial: bool = False
    baseline: str = ""
    command: str = "wasmguard bench"


def run(wanted: Wanted, progress: Progress) -> dict[str, Any]:
    """The document of one run: see `schema.json`.

    Raises:
        WasmguardError: if something cannot be measured as it was asked for.
    """
    began, before = monotonic(), machine.stated()
    kept = baseline.read(wanted.baseline) if wanted.baseline else None
    source, given = mixes.events(wanted.events)
    document = {**_empty(wanted, source, given), "machine": before}
    notes: list[str] = []
    with suppress(KeyboardInterrupt), in_order(), ExitStack() as open_now:
        progress.phase("compiling")
        bench = open_now.enter_context(opened(wanted.subjects, wanted.config, wanted.profile))
        steps = _Run(
            wanted=wanted,
            progress=progress,
            bench=bench,
            given=given,
            document=document,
            open_now=open_now,
            notes=notes,
        )
        steps.carried_out(kept)
        document["complete"] = True
    document["machine"] = {**before, **machine.changed(before)}
    document["machine"]["warnings"] = [*document["machine"]["warnings"], *notes]
    document["seconds"] = round(monotonic() - began, 1)
    return document


@contextmanager
def in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP meanwhile end this process as an error would, with 128 and their number as exit code: what is
    open is closed first. Who ignores them, or handles them already, goes on doing so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = 0.0

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal told
        if not told or monotonic() > told + ENDING:  # again only if the first one was lost: closing is not to be cut
            told = monotonic()
            raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


class _Run(Value):
    """The steps of a run, which fill its document one after the other."""

    wanted: Wanted
    progress: Progress
    bench: Bench
    given: Sequence[Given]
    document: dict[str, Any]
    open_now: ExitStack
    """What ends with the run."""
    notes: list[str]
    """What the reader of the times has to know: rule 6."""

    def carried_out(self, kept: dict[str, Any] | None) -> None:
        """Everything that was asked for; *kept* is the document of an earlier run."""
        document, wanted = self.document, self.wanted
        document["missing"] += self.bench.notes
        self._policies()
        if kept is not None:
            baseline.comparable(document, kept, wanted.baseline)  # before a minute is spent on what cannot be compared
        variants = self._variants()
        self._measured(variants, wanted.seconds)
        self._sizes()
        if wanted.compare:
            before, after = (target.name for target in self.bench.targets)
            document["compare"] = versus.compared(document, before, after)
        if wanted.with_adversarial:
            self.progress.phase("inputs that an agent could craft")
            document["adversarial"] = list(adversarial.tried(self.bench, self.progress.share))
        if kept is not None:
            document["check"] = baseline.held(document, kept, lambda: self._again(variants), wanted.baseline)

    def _policies(self) -> None:
        """What is exact, and where the time goes."""
        targets = self.bench.targets
        each = self.wanted.seconds * OF_SPLIT / len(targets)
        for target in targets:
            self.progress.phase(f"fuel of {target.name}")
            entry = {**exact(target, self.given), "split": None}
            self.document["policies"].append(entry)
            self.notes.extend(caveats.of_policy(entry, self.given))
            if not sum(entry["effects"].values()):
                self.document["missing"].append(f"`{target.name}`: it is not asked about any of these events")
            else:
                self.progress.phase(f"where the time of {target.name} goes")
                entry["split"] = split(target, self.given, each)

    def _variants(self) -> list[Variant]:
        """Everything that is measured, ready to be asked."""
        wanted, bench, given = self.wanted, self.bench, self.given
        found: list[Variant] = []
        for path in INSIDE:
            if path in wanted.paths:
                self.progress.phase(f"starting {path}")
                made = self.open_now.enter_context(inside.variants(bench, given, path))
                found += [one for one in made if one.kind != CHAIN or not wanted.compare]  # nobody runs both versions
        if others := [path for path in wanted.paths if path not in INSIDE]:
            self.progress.phase("starting a daemon")
            self.document["missing"] += outside.missing(others)
            self.notes.extend(caveats.too_long(given, bench.plan.event, others))
            found += self.open_now.enter_context(outside.variants(bench, given, others))
        if wanted.with_peers:
            self.progress.phase("looking for others")
            variants, missing = self.open_now.enter_context(peers.variants(given, bench.home))
            self.document["missing"] += missing
            found += variants
        return found

    def _measured(self, variants: Sequence[Variant], seconds: float) -> None:
        """The rows: what was measured of each variant, also when Ctrl-C ended it."""
        series: dict[str, Series] = {}
        try:
            if self.wanted.rate:
                self._at_rate(variants, seconds, series)
            else:
                self._in_turns(variants, seconds, series)
        finally:
            self.document["rows"] = _rows(variants, series)
            self.notes.extend(caveats.of_times(variants, self.given, self.document["policies"]))

    def _in_turns(self, variants: Sequence[Variant], seconds: float, into: dict[str, Series]) -> None:
        groups = [[v for v in variants if v.spawned is spawned] for spawned in (False, True)]
        groups = [group for group in groups if group]
        for group in groups:
            self.progress.phase("starting processes, each in turn" if group[0].spawned else "measuring, each in turn")
            failed: dict[str, str] = {}
            measured(group, seconds / len(groups), said=self.progress.share, into=into, left_out=failed)
            self.document["missing"] += [f"`{name}`: {why}" for name, why in failed.items()]
        self.progress.phase("what measuring costs")
        with inside.variants(self.bench, self.given, LIBRARY) as found:  # the fastest decision that there is
            null = next(variant for variant in found if variant.kind == FLOOR)
            self.document["measuring"] = overhead(null, seconds * OF_OVERHEAD)

    def _at_rate(self, variants: Sequence[Variant], seconds: float, into: dict[str, Series]) -> None:
        for variant in variants:
            self.progress.phase(f"{self.wanted.rate:g} events a second: {variant.id}")
            try:
                open_loop(variant, self.wanted.rate, seconds / len(variants), into=into)
            except Exception as error:  # raised again, unless others' code did it
                if variant.kind != PEER:
                    raise
                into.pop(variant.id, None)
                self.document["missing"].append(f"`{variant.subject}`: {one_line(str(error), 200)}")

    def _again(self, variants: Sequence[Variant]) -> list[dict[str, Any]]:
        """The rows once more, for what looked slower."""
        self.progress.phase("looking again: something seems slower")
        series: dict[str, Series] = {}
        for spawned in (False, True):
            if group := [variant for variant in variants if variant.spawned is spawned]:
                measured(group, self.wanted.seconds / 2, said=self.progress.share, into=series)
        return _rows(variants, series)

    def _sizes(self) -> None:
        """The times of Writes from 0.5 kB to 5 MB, in a run with events of ordinary sizes."""
        wanted = self.wanted
        path = next((path for path in (CELL, LIBRARY) if path in wanted.paths), None)
        if wanted.events != mixes.MIX or path is None or wanted.rate or wanted.compare or wanted.baseline:
            return
        self.progress.phase("Writes from 0.5 kB to 5 MB")
        source, given = mixes.events(mixes.SIZES)
        series: dict[str, Series] = {}
        with inside.variants(self.bench, given, path) as variants:
            asked = [variant for variant in variants if variant.events]
            for place in range(len(given)):  # each alone: who comes after 5 MB finds cold caches
                one = [variant.replaced(events=(place,)) for variant in asked if place in variant.events]
                for variant in one * COLD:  # the first ones load what the others find: the usual warm-up is too short
                    variant.ask(place)
                for name, found in measured(one, wanted.seconds * OF_SIZES / len(given), least=6).items():
                    series.setdefault(name, Series(next(v for v in asked if v.id == name))).join(found)
                self.progress.share((place + 1) / len(given))
        self.document["sizes"] = {"events": _events(source, given), "rows": _rows(asked, series)}
        if not self.notes:  # what fails at ordinary sizes was told already
            self.notes.extend(caveats.of_times(asked, given, ()))


def _rows(variants: Sequence[Variant], series: Mapping[str, Series]) -> list[dict[str, Any]]:
    """The rows of what was measured, in the order of *variants*."""
    return [series[variant.id].row() for variant in variants if variant.id in series and series[variant.id].n]


def _empty(wanted: Wanted, source: str, given: Sequence[Given]) -> dict[str, Any]:
    """The document of a run that has not begun."""
    return {
        "wasmguard_bench": FORMAT,
        "version": __version__,
        "command": wanted.command,
        "began": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": 0.0,
        "complete": False,
        "machine": {},
        "events": _events(source, given),
        "measuring": None,
        "policies": [],
        "rows": [],
        "sizes": None,
        "check": None,
        "compare": None,
        "adversarial": None,
        "missing": [],
    }


def _events(source: str, given: Sequence[Given]) -> dict[str, Any]:
    """What the document says about the events of a run."""
    spelled = json.dumps([one.fields for one in given], sort_keys=True, separators=(",", ":"))
    return {
        "source": source,
        "digest": hashlib.sha256(spelled.encode("utf-8", "surrogatepass")).hexdigest(),
        "list": [
            {
                "name": one.name,
                "event": one.fields.get("hook_event_name"),
                "tool": one.fields.get("tool_name"),
                "bytes": len(one.raw),
            }
            for one in given
        ],
    }
