"""One replay, from what is asked for to one document.

1. Each event is decided by the side that is tried, and, unless its source knows what was decided, by the other one too:
   the owner's configuration as it is now, or nobody where there is nothing to compare with.
2. Outcomes come in any order, and are counted in that of the events. So what was counted is a beginning of the whole,
   and a run that was interrupted goes on behind it: the result is the same.
3. What policies remember begins with nothing. A run that goes on lets them decide again what they may remember of, and
   counts nothing of it twice.
4. What no policy of a side is asked about passes there, as before an agent, and nobody is asked.
5. Lines of JSON are read by those who decide, all sides at once, while no policy remembers anything; of what nobody
   would decide otherwise they tell no more than what is counted.
6. Ctrl-C ends the reading; what was asked by then is counted. A second one ends at once.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from wasmguard import places
from wasmguard.decision import refused, settle
from wasmguard.value import Value
from wasmguard.workshop.replay import plans
from wasmguard.workshop.replay.document import document
from wasmguard.workshop.replay.kept import Kept
from wasmguard.workshop.replay.lines import payload_of
from wasmguard.workshop.replay.past import DIED
from wasmguard.workshop.replay.plans import AFTER, BEFORE
from wasmguard.workshop.replay.routes import Routes
from wasmguard.workshop.replay.sources import Reading, located
from wasmguard.workshop.replay.tally import Tally
from wasmguard.workshop.rerun.asked import Asked, Line, LineOutcome, Quiet
from wasmguard.workshop.rerun.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wasmguard.plan import Plan
    from wasmguard.workshop.replay.past import Past
    from wasmguard.workshop.replay.progress import Progress
    from wasmguard.workshop.replay.sources import Source

SHARD = 2_000  # events after which it may be time to write down what was found
AHEAD = 20_000  # events that may wait for those before them
GARBAGE = 50_000  # objects until somebody looks for cycles
NOTHING = settle(())
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Wanted(Value):
    """What a person asked for."""

    sources: tuple[str, ...] = ()
    config: str | None = None
    """The owner's configuration, if not the usual one."""
    tried: str | None = None
    """Another configuration, to compare with."""
    modules: Mapping[str, str] = {}
    """Other modules, by policy."""
    since: str = ""
    """As typed; empty for everything."""
    moment: int | None = None
    """The same in Unix milliseconds."""
    jobs: int = 1
    again: bool = False
    """Whether what an interrupted run had found is forgotten."""


def run(wanted: Wanted, progress: Progress) -> dict[str, Any]:
    """Replay what is *wanted*, and tell it as `document` says.

    Raises:
        UsageError: if a source, a policy or a file is not there.
        WasmguardError: if a configuration cannot be used, or the machine does not let us.
    """
    progress.phase("reading")
    sources = located(wanted.sources)
    sides = _sides(wanted, sources)
    progress.phase("compiling")
    with plans.opened(sides) as made:
        identities = [f"{name} {plans.identity(plan)}" for name, plan in made.items()]
        kept = Kept(sources, wanted.since, identities)
        if wanted.again:
            kept.forget()
        replay = _Replay(made, wanted, sources, kept, progress)
        with Pool(made, wanted.jobs) as pool, _stopped_by_signals(replay), _little_garbage():
            replay.through(pool)
        kept.clean()
    named = {AFTER: _named(sides[AFTER], wanted), BEFORE: _named(sides.get(BEFORE), wanted)}
    return document(replay.tally, sources, named, replay.told())


class _Replay:
    """The run itself."""

    def __init__(
        self, made: Mapping[str, Plan], wanted: Wanted, sources: Sequence[Source], kept: Kept, progress: Progress
    ) -> None:
        self.stop = False
        self.tally = Tally()
        self._kept, self._progress = kept, progress
        self._routes = {name: Routes(plan) for name, plan in made.items()}
        self._policies = {name: tuple(policy.name for policy in plan.policies) for name, plan in made.items()}
        self._stateful = any(routes.stateful for routes in self._routes.values())
        self._head = self._skip = 0  # the number of the event that is counted next; those before it were counted
        self._seq = 0  # of the last record that was counted
        self._since, self._until = wanted.moment, None
        found = kept.found()
        if found is not None:
            place, self.tally = found
            self._head = self._skip = place["number"]
            self._seq, self._since, self._until = place["seq"], place["since"], place["until"]
        behind = self._seq if not self._stateful and not any(source.path for source in sources) else 0
        self._first = self._skip if behind else 0
        self._reading = Reading(sources, self._since, behind, self._until, unread=not self._stateful)
        self._waiting: dict[int, list[Any] | Quiet] = {}

    def told(self) -> dict[str, Any]:
        """What the document says about the run itself."""
        return {"complete": not self.stop, "resumed_at": self._skip or None, "stateful": self._stateful}

    def through(self, pool: Pool) -> None:
        """Decide, compare and count everything, or as far as it goes."""
        self._progress.phase("deciding")
        try:
            with closing(self._reading.pasts()) as pasts:
                for outcome in pool.outcomes(self._asked(pasts)):
                    number, side = divmod(outcome.key, 2)
                    entry = self._waiting.get(number)
                    if isinstance(outcome, LineOutcome):
                        self._read(number, outcome)
                    elif isinstance(entry, list):  # else it was counted before the run was interrupted
                        entry[1 + side] = outcome.decision
                        if outcome.fault:
                            entry[0] = entry[0]._replace(why=DIED)
                    if number == self._head:
                        self._count()
                self._count()
        except Exception:
            self._write(now=True)
            raise
        if self.stop:
            self._write(now=True)
        else:
            self._kept.forget()

    def _read(self, number: int, outcome: LineOutcome) -> None:
        """Somebody has read and decided the line of this *number*."""
        if outcome.quiet is not None:
            self._waiting[number] = outcome.quiet
            return
        entry: Any = self._waiting[number]
        past: Past = entry[0]
        event, decisions = outcome.event, outcome.decisions
        if event is None:
            past = payload_of(past.line, past.where)
            event = past.event
            if event is not None:
                past = past._replace(why=DIED)
                decisions = (refused(outcome.fault or DIED),) * len(self._policies)
        else:
            past = past._replace(event=event, line=b"")
        if event is None:
            self._waiting[number] = [past, NOTHING, NOTHING, ()]
            return
        made = dict(zip(self._policies, decisions, strict=True))
        asked = self._routes[AFTER].asked(event)
        self._waiting[number] = [past, made.get(BEFORE, NOTHING), made[AFTER], asked]

    def _asked(self, pasts: Iterator[Past]) -> Iterator[Asked | Line]:
        """What the pool is asked, one event after the other."""
        for number, past in enumerate(pasts, self._first):
            if self.stop:
                return
            if number < self._skip:
                yield from self._remembered(number, past)
                continue
            entry: list[Any] = [past, past.before, None, ()]
            self._waiting[number] = entry
            if past.line:
                yield Line(number * 2 + 1, past.line)
                continue
            event = past.event
            if event is None:
                entry[1] = entry[2] = NOTHING
                self._count()
                continue
            entry[3] = self._routes[AFTER].asked(event)
            crowded = len(self._waiting) > AHEAD  # one more is asked, so that we wait for outcomes
            if entry[3] or crowded:
                yield Asked(key=number * 2 + 1, plan=AFTER, event=event)
            else:
                entry[2] = NOTHING
            if entry[1] is None:
                before = self._routes.get(BEFORE)
                if before is not None and before.asked(event):
                    yield Asked(key=number * 2, plan=BEFORE, event=event)
                else:
                    entry[1] = NOTHING
            if entry[1] is not None and entry[2] is not None:
                self._count()

    def _remembered(self, number: int, past: Past) -> Iterator[Asked]:
        """What was counted before the run was interrupted, for those who remember it."""
        if past.event is None:
            return
        for side, name in enumerate((BEFORE, AFTER)):
            routes = self._routes.get(name)
            known = name == BEFORE and past.before is not None
            if routes is not None and not known and routes.remembers(past.event):
                yield Asked(key=number * 2 + side, plan=name, event=past.event)

    def _count(self) -> None:
        """Count what is decided, in order."""
        waiting, tally = self._waiting, self.tally
        while (entry := waiting.get(self._head)) is not None:
            if isinstance(entry, Quiet):
                asked = self._routes[AFTER].by_name(entry.name, entry.tool)
                tally.quiet(entry, asked, self._policies)
            else:
                past, before, after, asked = entry
                if before is None or after is None:
                    return
                if past.event is None:
                    tally.undone(past)
                else:
                    tally.done(past, past.event, before, after, asked)
                self._seq = past.place or self._seq
            del waiting[self._head]
            self._head += 1
            if self._head % SHARD == 0:
                self._write()
                self._progress.share(self._reading.share, self._head)

    def _write(self, *, now: bool = False) -> None:
        place = {"number": self._head, "seq": self._seq, "since": self._since, "until": self._reading.until}
        self._kept.write(place, self.tally, now=now)


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Look for cycles rarely: there are none, and to look takes a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _stopped_by_signals(replay: _Replay) -> Iterator[None]:
    """The first signal that ends things stops the reading, the second is what it was."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    ours = {number: was for number, was in before.items() if was not in (None, signal.SIG_IGN)}

    def stop(_number: int, _frame: object) -> None:
        replay.stop = True
        for number, was in ours.items():
            signal.signal(number, was)

    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, was in ours.items():
            signal.signal(number, was)


def _sides(wanted: Wanted, sources: Sequence[Source]) -> dict[str, plans.Wanted]:
    """Which plans are needed. The other side of what was not recorded is the owner's configuration, if something else
    is tried and if there is one."""
    owners = places.config_file(wanted.config)
    tried = os.path.abspath(places.expanded(wanted.tried)) if wanted.tried is not None else owners
    sides = {AFTER: plans.Wanted(config=tried, modules=wanted.modules)}
    another = wanted.tried is not None or bool(wanted.modules)
    if another and any(source.path for source in sources) and (wanted.config or os.path.lexists(owners)):
        sides[BEFORE] = plans.Wanted(config=owners)
    return sides


def _named(side: plans.Wanted | None, wanted: Wanted) -> str:
    """What a person calls a side; empty for nobody."""
    return "" if side is None else " ".join([side.config, *(f"{n}={f}" for n, f in side.modules.items())])
