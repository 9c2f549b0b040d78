"""The measuring itself: variants in turns, events at a rate, and what it costs to measure.

1. Between the two readings of the clock there is the decision, and nothing else; what is written down is written down
   after the block. Garbage is collected as in the product.
2. Everything that is compared takes turns: a round is one block of each variant, in an order that changes from round
   to round, so that noise hits all alike and nobody always comes after the same neighbour.
3. A block is whole passes through the variant's events: about 5 ms of them, so that caches are warm in it as they are
   for events in a row, and at least one, however long it takes.
4. Only whole rounds count, also when Ctrl-C ends them.
5. A variant that raises ends the run: the time of a wrong answer is no time. One that is not ours is left out instead,
   with all that was measured of it.
"""

from __future__ import annotations

from array import array
from itertools import islice
from math import log
from random import Random
from statistics import median
from time import perf_counter_ns, sleep
from typing import TYPE_CHECKING

from wasmguard.text import one_line
from wasmguard.workshop.bench import noise
from wasmguard.workshop.bench.series import SECOND, Series
from wasmguard.workshop.bench.variant import PEER
from wasmguard.workshop.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wasmguard.workshop.bench.variant import Variant

    Said = Callable[[float], None]

BLOCK, SPIN, LATE = 5_000_000, 200_000, 1_000_000  # nanoseconds
STEP = 4  # times as many passes, or as few
PAIRED = 5  # times smaller are the blocks that are compared with untimed ones: the nearer, the less comes between
EMPTY = 100  # blocks around nothing
WARM, WARM_TIME, WARM_SPAWNED = 300, 300_000_000, 3  # decisions or nanoseconds; passes
WARM_SHARE = 0.15  # of all the time, after which one pass of each has to do
FURTHER = 3  # times the seconds, if that many are needed for `least` rounds
SLICES = 20  # of an open loop, which has no rounds


def measured(  # noqa: PLR0913  # all by name but the first two
    variants: Sequence[Variant],
    seconds: float,
    *,
    least: int = 12,
    said: Said | None = None,
    into: dict[str, Series] | None = None,
    left_out: dict[str, str] | None = None,
) -> dict[str, Series]:
    """The times of *variants*, by their ids, in turns for *seconds*; those without events are left out.

    If there were fewer than *least* rounds by then it goes on, for three times as long at most; one round there is
    always. *said* is told the share (0 to 1) that is done. *into* is added to after each round and returned: what it
    holds stays whatever ends the run. Raises what a variant raises; *left_out* gets why a peer raised, by its name.
    """
    found = {} if into is None else into
    failed = {} if left_out is None else left_out
    variants = [variant for variant in variants if variant.events]
    begun, done, budget = perf_counter_ns(), 0, seconds * SECOND
    shuffled = Random(1)  # noqa: S311  # the same order in each run
    tell = _telling(said)
    passes = _warmed(variants, budget, tell, failed)
    while variants := [variant for variant in variants if variant.id in passes]:
        round_begun, blocks = perf_counter_ns(), []
        for variant in shuffled.sample(variants, len(variants)):
            try:
                blocks.append((variant, _block(variant, passes[variant.id])))
            except Exception as error:  # noqa: BLE001  # raised again, unless others' code did it
                _leave_out(variant, error, failed)
                del passes[variant.id]
                found.pop(variant.id, None)
            tell((perf_counter_ns() - begun) / budget, done / least)
        with undisturbed():
            for variant, times in blocks:
                found.setdefault(variant.id, Series(variant)).add(times)
        done += 1
        now = perf_counter_ns()
        another = now - begun + (now - round_begun) / 2  # where one more round would leave us, on the whole
        if another >= budget * (1 if done >= least else FURTHER):
            tell(1.0, 1.0)
            break
    return found


def open_loop(variant: Variant, rate: float, seconds: float, *, into: dict[str, Series] | None = None) -> Series:
    """The times of *variant* when an event comes *rate* times a second for *seconds*, whether the last is done or not.

    One thread asks. A time counts from the moment for which its event was meant: who is behind waits in it, and
    nothing is left out (Gil Tene's "coordinated omission"). Behind for good, it ends after twice the seconds, and
    `reached` stays below `asked`. *into* gets what was measured also if Ctrl-C ends it. Raises what the variant raises.
    """
    series = Series(variant)
    _warmed([variant], seconds * SECOND, _telling(None), {})
    _reset(variant)
    times, starts = array("q"), array("q")  # nanoseconds, since it was meant; since the beginning
    begun = perf_counter_ns() + LATE
    try:
        _at_rate(variant, rate, seconds, begun, times, starts)
    finally:
        with undisturbed():
            if times:
                took = max(perf_counter_ns() - begun, 1) / SECOND
                _sliced(series, times)
                late = sum(meant_late > LATE for meant_late in islice(starts, len(times))) / len(times)
                series.rate = {"asked": rate, "reached": round(len(times) / took, 1), "late": round(late, 4)}
            if into is not None:
                into[variant.id] = series
    return series


def overhead(variant: Variant, seconds: float) -> dict[str, float | None]:
    """What measuring costs: `nanoseconds` for each decision, and the `share` of a decision of *variant* that this is.

    That is what the loop with a clock takes longer around nothing at all, where there is next to no noise. `low` and
    `high` (95 %) are the shares that blocks of *variant* show, with a clock and without, in pairs.
    """
    budget = seconds * SECOND
    passes = max(1, _warmed([variant], budget, _telling(None), {})[variant.id] // PAIRED)
    count, begun = passes * len(variant.events), perf_counter_ns()
    bare: list[float] = []
    shares: list[float] = []
    while len(shares) < noise.LEAST or perf_counter_ns() - begun < budget:
        ways = (_timed, _untimed) if len(shares) % 2 else (_untimed, _timed)
        took = {way: _whole(way, variant, passes) for way in ways}
        bare.append(took[_untimed] / count)
        shares.append(took[_timed] / took[_untimed] - 1)
    low, high = noise.interval(noise.independent(shares)) or (None, None)
    nanoseconds = _around_nothing(variant)
    return {"nanoseconds": round(nanoseconds, 1), "share": nanoseconds / median(bare), "low": low, "high": high}


def _around_nothing(variant: Variant) -> float:
    """The nanoseconds that the clock adds to a decision that takes none: by the least of many blocks."""
    nothing = variant.replaced(ask=lambda _event: None, events=(0,), reset=None)
    timed, untimed = (min(_whole(way, nothing, WARM) for _ in range(EMPTY)) for way in (_timed, _untimed))
    return (timed - untimed) / WARM


def _timed(ask: Callable[[int], object], events: Sequence[int], passes: int) -> list[int]:
    """The nanoseconds of each decision. Nothing may be done here that is not done in `_untimed`, but for the clock."""
    now = perf_counter_ns
    times: list[int] = []
    write_down = times.append
    for _ in range(passes):
        for event in events:
            begun = now()
            ask(event)
            write_down(now() - begun)
    return times


def _untimed(ask: Callable[[int], object], events: Sequence[int], passes: int) -> None:
    for _ in range(passes):
        for event in events:
            ask(event)


def _whole(way: Callable[..., object], variant: Variant, passes: int) -> int:
    _reset(variant)
    begun = perf_counter_ns()
    way(variant.ask, variant.events, passes)
    return perf_counter_ns() - begun


def _leave_out(variant: Variant, error: Exception, failed: dict[str, str]) -> None:
    """Note why a peer raised; what anybody else raised is raised again (rule 5)."""
    if variant.kind != PEER:
        raise error
    failed[variant.subject] = one_line(str(error), 200) or type(error).__name__


def _block(variant: Variant, passes: int) -> list[int]:
    _reset(variant)
    return _timed(variant.ask, variant.events, passes)


def _reset(variant: Variant) -> None:
    if variant.reset is not None:
        variant.reset()


def _warmed(
    variants: Sequence[Variant], budget: float, tell: Callable[[float, float], None], failed: dict[str, str]
) -> dict[str, int]:
    """Warm up each of *variants*, and say how many passes make a block of it; not of peers that *failed*.

    Each is asked about all of its events once. Then 300 decisions or 0.3 s are enough, or 3 passes if each decision
    starts a process; and what takes more than its part of the time is as warm as it gets.
    """
    begun, quiet = perf_counter_ns(), {}
    for place, variant in enumerate(variants, 1):
        until = budget * WARM_SHARE * place / len(variants)
        took: list[list[int]] = []
        try:
            while not took or not (_is_warm(variant, took) or perf_counter_ns() - begun > until):
                took.append(_block(variant, 1))
                tell((perf_counter_ns() - begun) / budget, 0.0)
        except Exception as error:  # noqa: BLE001  # raised again, unless others' code did it
            _leave_out(variant, error, failed)
        else:
            quiet[variant.id] = max(sum(map(min, zip(*took, strict=True))), 1)
    return _passes(quiet) if quiet else {}


def _passes(quiet: Mapping[str, int]) -> dict[str, int]:
    """How many passes make a block of about 5 ms, by the least time that one takes.

    The same number for all that take about as long: the least of four times is less than the least of two, by much on
    a busy machine, and would be called a difference. Who takes far more or less gets it in steps of four.
    """
    typical = median(quiet.values())
    steps = {name: round(log(typical / took, STEP)) for name, took in quiet.items()}
    return {name: max(1, round(BLOCK / typical * STEP**step)) for name, step in steps.items()}


def _is_warm(variant: Variant, took: Sequence[Sequence[int]]) -> bool:
    if variant.spawned:
        return len(took) >= WARM_SPAWNED
    return len(took) * len(variant.events) >= WARM or sum(map(sum, took)) >= WARM_TIME


def _at_rate(  # noqa: PLR0913, PLR0917  # all of it is state of one loop, which has to be short
    variant: Variant, rate: float, seconds: float, begun: int, times: array[int], starts: array[int]
) -> None:
    ask, events, now = variant.ask, variant.events, perf_counter_ns
    end = begun + 2 * seconds * SECOND
    for place in range(max(1, round(rate * seconds))):
        meant = begun + round(place * SECOND / rate)
        _wait(meant)
        if (started := now()) > end:
            return
        starts.append(started - meant)
        ask(events[place % len(events)])
        times.append(now() - meant)


def _wait(until: int) -> None:
    """Until that moment of the clock: asleep, and the last 200 us awake, because who sleeps is woken late."""
    while (left := until - perf_counter_ns()) > 0:
        if left > SPIN:
            sleep((left - SPIN) / SECOND)


def _sliced(series: Series, times: array[int]) -> None:
    """Parts of an open loop as rounds: whole passes, and what is left over in the last of them."""
    events = len(series.variant.events)
    passes = max(1, len(times) // events)
    slices = min(SLICES, passes)
    borders = [place * passes // slices * events for place in range(slices)]
    for begin, end in zip(borders, [*borders[1:], len(times)], strict=True):
        series.add(times[begin:end])


def _telling(said: Said | None) -> Callable[[float, float], None]:
    """Tells *said* how far we are, by time and by rounds, ten times a second at most: to draw takes time too."""
    last = 0

    def tell(time: float, rounds: float) -> None:
        nonlocal last
        now = perf_counter_ns()
        if said is not None and (now - last > SECOND // 10 or time >= 1 <= rounds):
            last = now
            said(min(1.0, time, max(rounds, time / FURTHER)))

    return tell
