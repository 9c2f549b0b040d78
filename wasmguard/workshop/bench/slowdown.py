"""Whether something takes longer than it did.

1. Time is compared between runs, so each time is taken relative to the floor that was measured beside it in the same
   rounds: what slows the machine down slows both. Least times count, because others' work only ever adds.
2. A row is slower only if its least time and the median of its rounds both are, by more than is allowed, and the 95 %
   intervals of both runs do not meet. Allowed is `TIME`, and as much as the floor itself was unrestful: its typical
   round above its least time, the mean of both runs. Of 1,200 comparisons of two runs of the same policies, 5 s each,
   on 4 cores under loads of 4 to 9, none came to 0.8 of what is allowed; by `TIME` alone 52 would have failed.
3. What looks slower is measured again, up to `AGAIN` times, and the smallest ratio counts: noise goes away, and what is
   slower stays so.
"""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from wasmguard.value import Value
from wasmguard.workshop.bench import words
from wasmguard.workshop.bench.noise import independent, interval
from wasmguard.workshop.bench.variant import CHAIN, POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Rows = Mapping[str, Mapping[str, Any]]

TIME = 0.25
"""Share of time by which a row may grow on a machine at rest."""
AGAIN = 2  # how often what looks slower is measured again
SLOWER, FASTER, SAME, NOISE = "slower", "faster", "same", "noise"


class _Relative(Value):
    """A row's times, as multiples of its floor's in the same rounds."""

    least: float
    """Of its least times to its floor's."""
    median: float
    low: float
    high: float
    """The 95 % interval of the median."""
    own: float
    """Its least time, the mean over its events, in microseconds."""
    unrest: float
    """By which share the floor's median round was above its least time."""


def times(
    rows: Iterable[Mapping[str, Any]],
    before: Iterable[Mapping[str, Any]],
    again: Callable[[], Iterable[Mapping[str, Any]]] | None,
    notes: list[str],
) -> Iterator[dict[str, Any]]:
    """What became of each row's time."""
    now, then = _by_id(rows), _by_id(before)
    judged = [name for name, row in now.items() if row["kind"] in (POLICY, CHAIN)]
    if missing := [name for name in judged if name not in then]:
        notes.append(f"not in the baseline, so not compared: {words.listed(missing)}")
    found = {name: _judged(name, now, then) for name in judged if name in then}
    for _ in range(AGAIN if again else 0):
        doubted = [name for name, one in found.items() if one["verdict"] == SLOWER]
        if not doubted or again is None:
            break
        new = _by_id(again())
        for name in doubted:
            found[name] = _better(found[name], _judged(name, new, then))
    yield from found.values()


def _judged(name: str, now: Rows, then: Rows) -> dict[str, Any]:
    """What the row *name* says about its time."""
    told = {"id": name, "before": None, "after": None, "ratio": None, "low": None, "high": None, "verdict": NOISE}
    if name not in now:
        return {**told, "why": "it was not measured"}
    if [one["event"] for one in now[name]["by_event"]] != [one["event"] for one in then[name]["by_event"]]:
        return {**told, "why": "it is asked about other events than it was"}
    before, after = _relative(name, then), _relative(name, now)
    if before is None or after is None:
        return {**told, "why": "too few rounds, or no floor beside it, to tell it from noise: measure longer"}
    ratio, low, high = after.least / before.least, after.low / before.high, after.high / before.low
    allowed = TIME + (before.unrest + after.unrest) / 2
    verdict, why = _verdict(sorted((ratio, after.median / before.median)), low, high, allowed)
    figures = {"before": before.own, "after": before.own * ratio, "ratio": ratio, "low": low, "high": high}
    return {**told, **{key: round(figure, 4) for key, figure in figures.items()}, "verdict": verdict, "why": why}


def _verdict(ratios: list[float], low: float, high: float, allowed: float) -> tuple[str, str]:
    """What a row's *ratios*, the smaller first, and the interval from *low* to *high* mean, and why."""
    least, most = ratios
    if least > 1 + allowed:
        return (SLOWER, f"by more than {allowed:.0%}, and than noise") if low > 1 else (NOISE, "the intervals meet")
    if most < 1 / (1 + allowed):
        return (FASTER, f"by more than {allowed:.0%}, and than noise") if high < 1 else (NOISE, "the intervals meet")
    if least > 1 + TIME or most < 1 / (1 + TIME):
        return NOISE, f"within {allowed:.0%}: the machine was not at rest"
    return SAME, f"within {TIME:.0%}"


def _better(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Whichever of two looks at the same row counts: the smaller ratio."""
    if other["ratio"] is None:
        return one
    if other["verdict"] != SLOWER:
        return {**other, "verdict": NOISE, "why": "not so when it was measured again"}
    smaller = min(one, other, key=lambda look: look["ratio"])
    return {**smaller, "why": "also when it was measured again"}


def _relative(name: str, rows: Rows) -> _Relative | None:
    """The row *name* relative to its floor; None if there is no floor, or no interval."""
    row = rows[name]
    floor = rows.get(row["floor"])
    if floor is None:
        return None
    pairs = list(zip(row["quiet_of_rounds"], floor["quiet_of_rounds"], strict=False))
    if not pairs or not all(ours > 0 and theirs > 0 for ours, theirs in pairs):
        return None
    shares = [ours / theirs for ours, theirs in pairs]
    around = interval(independent(shares))
    own, its = _least(row), _least(floor)
    if around is None or own <= 0 or its <= 0:
        return None
    unrest = max(median(floor["quiet_of_rounds"]) / its - 1, 0.0)
    return _Relative(least=own / its, median=median(shares), low=around[0], high=around[1], own=own, unrest=unrest)


def _least(row: Mapping[str, Any]) -> float:
    """The mean over events of the least time."""
    return fmean(one["min"] for one in row["by_event"])


def _by_id(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {row["id"]: row for row in rows}
