"""How often each time was measured, in little space: a log-linear histogram, as HdrHistogram has made them common.

Below 256 each value has a bucket of its own. Above, each doubling is cut into 128 buckets, so that a bucket is never
wider than 1/128 of what is in it: two significant digits are kept, from nanoseconds to hours, in some hundred buckets.
https://github.com/HdrHistogram/HdrHistogram is the idea; the code is ours, because the one on PyPI needs a compiler
where it has no wheel.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BITS = 8  # of a value that are kept: its 7 bits after the first are one part in 128
HALF = 1 << (BITS - 1)


class Histogram:
    """Counts of whole, not negative numbers; here always nanoseconds."""

    def __init__(self, values: Iterable[int] = ()) -> None:
        self._counts: dict[int, int] = {}
        self.n = 0
        self.total = 0
        """The sum of all values, exactly."""
        self.least = 0
        self.most = 0
        """The least and the greatest value, exactly; 0 if there is none."""
        self.record(values)

    def record(self, values: Iterable[int]) -> None:
        """Count all of *values*.

        Raises:
            ValueError: if one is negative; none is counted then.
        """
        values = list(values)
        if not values:
            return
        least, most = min(values), max(values)
        if least < 0:
            raise ValueError(f"a time cannot be negative: {least}")
        counts = self._counts
        for value in values:
            shift = value.bit_length() - BITS  # `_bucket`, written out: this is done for each decision
            index = value if shift <= 0 else shift * HALF + (value >> shift)
            counts[index] = counts.get(index, 0) + 1
        self._span(least, most)
        self.n += len(values)
        self.total += sum(values)

    def merge(self, other: Histogram) -> None:
        """Count all that *other* counted, as if it had been recorded here."""
        if not other.n:
            return
        for index, count in other._counts.items():
            self._counts[index] = self._counts.get(index, 0) + count
        self._span(other.least, other.most)
        self.n += other.n
        self.total += other.total

    @property
    def mean(self) -> float:
        """The mean of all values, exactly; 0 if there is none."""
        return self.total / self.n if self.n else 0.0

    def quantile(self, share: float) -> float:
        """The value that *share* (0 to 1) of all values do not exceed, within 1 %; 0 if there is none.

        Values of a bucket are taken to lie evenly in it.
        """
        if not self.n:
            return 0.0
        rank = min(max(ceil(share * self.n), 1), self.n)
        if rank == self.n:
            return float(self.most)
        below = 0
        for index in sorted(self._counts):
            count = self._counts[index]
            if below + count >= rank:
                low, width = _bucket(index)
                found = low + (width - 1) * (rank - below - 0.5) / count
                return min(max(found, float(self.least)), float(self.most))
            below += count
        raise AssertionError("the counts are fewer than their sum")

    def buckets(self) -> list[tuple[int, int]]:
        """The greatest value of each bucket that has some, and how many it has; in rising order."""
        found = []
        for index in sorted(self._counts):
            low, width = _bucket(index)
            found.append((low + width - 1, self._counts[index]))
        return found

    def edges(self) -> list[list[float]]:
        """The buckets of nanoseconds as reports have them: the upper edge in microseconds, and the count."""
        return [[edge / 1000, count] for edge, count in self.buckets()]

    def _span(self, least: int, most: int) -> None:
        self.least = min(self.least, least) if self.n else least
        self.most = max(self.most, most)


def _bucket(index: int) -> tuple[int, int]:
    """The least value of a bucket, and how many values it holds."""
    if index < 2 * HALF:
        return index, 1
    shift = index // HALF - 1
    return (index - shift * HALF) << shift, 1 << shift
