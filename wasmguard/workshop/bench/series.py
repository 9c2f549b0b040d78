"""What was measured of one variant, and the row that is told of it.

Times are nanoseconds as long as they are counted, and microseconds in the row.
"""

from __future__ import annotations

from array import array
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench import noise
from wasmguard.workshop.bench.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.workshop.bench.variant import Variant

SECOND = 1_000_000_000  # nanoseconds


class Series:
    """What was measured of one variant."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.histogram = Histogram()
        self.by_event = {event: Histogram() for event in variant.events}
        self.of_rounds, self.quiet, self.passes = array("d"), array("d"), array("d")
        """Of each round, in nanoseconds: the median; the mean over events of the least time, and of the median."""
        self.rate: dict[str, float] | None = None

    @property
    def n(self) -> int:
        """Decisions that were timed."""
        return self.histogram.n

    @property
    def rounds(self) -> int:
        """Blocks that they were timed in."""
        return len(self.of_rounds)

    def add(self, times: Sequence[int]) -> None:
        """One more round: the nanoseconds of each decision, in passes through the variant's events."""
        events = self.variant.events
        each = [times[place :: len(events)] for place in range(min(len(events), len(times)))]
        self.histogram.record(times)
        for event, of_event in zip(events, each, strict=False):
            self.by_event[event].record(of_event)
        self.of_rounds.append(median(times))
        self.quiet.append(fmean(min(of_event) for of_event in each))
        self.passes.append(fmean(median(of_event) for of_event in each))

    def join(self, other: Series) -> None:
        """Add what was measured of the same variant about some of its events."""
        self.histogram.merge(other.histogram)
        for event, found in other.by_event.items():
            self.by_event[event].merge(found)
        self.of_rounds += other.of_rounds
        self.quiet += other.quiet
        self.passes += other.passes

    def row(self) -> dict[str, Any]:
        """An entry of `rows` in the document: microseconds. There must have been a round."""
        variant, found = self.variant, self.histogram
        middle, between = found.quantile(0.5), noise.interval(noise.independent(self.of_rounds))
        low, high = (min(between[0], middle), max(between[1], middle)) if between else (None, None)
        return {
            "id": variant.id,
            "path": variant.path,
            "subject": variant.subject,
            "kind": variant.kind,
            "floor": variant.floor,
            "about": variant.about,
            "n": self.n,
            "rounds": self.rounds,
            "min": _micro(found.least),
            "median": _micro(middle),
            "low": None if low is None else _micro(low),
            "high": None if high is None else _micro(high),
            "mean": _micro(found.mean),
            "p90": _micro(found.quantile(0.9)),
            "p99": _micro(found.quantile(0.99)),
            "p999": _micro(found.quantile(0.999)),
            "max": _micro(found.most),
            "per_second": round(SECOND / found.mean, 1) if found.mean else 0.0,
            "histogram": found.edges(),
            "of_rounds": [_micro(value) for value in self.of_rounds],
            "quiet_of_rounds": [_micro(value) for value in self.quiet],
            "pass_of_rounds": [_micro(value) for value in self.passes],
            "by_event": [
                {"event": event, "n": own.n, "min": _micro(own.least), "median": _micro(own.quantile(0.5))}
                for event, own in self.by_event.items()
                if own.n
            ],
            "rate": self.rate,
        }


def _micro(nanoseconds: float) -> float:
    return round(nanoseconds / 1000, 3)
