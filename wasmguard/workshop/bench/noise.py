"""What may be said of times that are noisy: intervals, and whether two of them differ.

1. No assumption about how times are distributed: they have long tails and several humps. Medians, and intervals from
   the order of the values (the sign test turned round), hold for all distributions.
2. What is compared was measured in turns, and its ratio is taken round by round: what slowed both down cancels out.
3. Who says "differs" says it wrongly in less than one of a hundred comparisons: a 99 % interval, all of which has to be
   further than 2 % from no difference. Where code and data happen to lie in memory moves a time by as much
   (https://dl.acm.org/doi/10.1145/1508244.1508275).
4. Not all noise changes from round to round: a jailed process may stay on a busy core for a whole run. Two cells with
   the same policy, in 3 s on 4 cores with 8 things to run, "differed" in 11 of 77 runs; in 1 of 77 since a difference
   has to be more than the middle half of the rounds varies by.
5. Rounds that follow one another are alike, so many of them are worth less than their number. They are joined to
   groups, and to fewer and larger ones as long as groups that follow one another are still alike.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from math import comb
from statistics import NormalDist, median
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 6
"""Values without which there is no interval: with five, the least and the greatest are apart from the median of all too
often (1 of 16)."""
MATTERS = 0.02
"""The share by which two times of one run may differ without a word."""
USUAL, SURE = 0.95, 0.99
ENOUGH = 8
"""Values without which there is no interval of 99 %."""
GROUPS = 40
"""Groups that rounds are joined to, at most."""
EXACT = 1000  # values up to which the binomial distribution is summed; above, the normal one is within 1 of it


class Ratio(TypedDict):
    """How two times compare; what is None cannot be said."""

    ratio: float | None
    low: float | None
    high: float | None
    differs: bool


def interval(values: Sequence[float], confidence: float = USUAL) -> tuple[float, float] | None:
    """Between which values the median lies of what *values* were drawn from, with *confidence* at least.

    None if they are fewer than 6, or too few for that confidence.
    """
    ordered, skipped = sorted(values), _outside(len(values), confidence)
    return None if skipped is None else (ordered[skipped], ordered[-1 - skipped])


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """How many times *theirs* our time is: values at the same place were measured in the same round.

    The interval has 99 %, as far as there are 8 rounds, else 96 % (6) or 98 % (7); then nothing is said to differ.

    Raises:
        ValueError: if the rounds are not the same.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds cannot be compared with {len(theirs)}")
    pairs = [our / their for our, their in zip(ours, theirs, strict=True) if their > 0]
    return _told(median(pairs) if pairs else None, independent(pairs), max(MATTERS, _restless(pairs)))


def _restless(pairs: Sequence[float]) -> float:
    """By what share the middle half of *pairs* varies, to each side."""
    ordered, quarter = sorted(pairs), len(pairs) // 4
    return float((ordered[-1 - quarter] / ordered[quarter]) ** 0.5 - 1) if ordered and ordered[quarter] else 0.0


def independent(values: Sequence[float]) -> list[float]:
    """The medians of groups of neighbours, as many as do not show that neighbours are alike; at least 8, if there are
    as many values."""
    groups = min(GROUPS, len(values))
    while alike(found := _grouped(values, groups)) and groups // 2 >= ENOUGH:
        groups //= 2
    return found


def alike(values: Sequence[float]) -> bool:
    """Whether neighbours are alike more often than chance makes them: the runs test of Wald and Wolfowitz, at 5 %."""
    middle = median(values) if values else 0.0
    sides = [value > middle for value in values if value != middle]
    above = sum(sides)
    below, n = len(sides) - above, len(sides)
    if not above or not below:
        return False
    changes = sum(one is not other for one, other in pairwise(sides))
    expected = 2 * above * below / n
    spread = (expected * (expected - 1) / (n - 1)) ** 0.5
    return bool(changes < expected - 1.645 * spread)


def _grouped(values: Sequence[float], groups: int) -> list[float]:
    """The medians of so many *groups* of neighbours."""
    borders = [place * len(values) // groups for place in range(groups + 1)] if groups else []
    return [median(values[begin:end]) for begin, end in pairwise(borders)]


def _told(middle: float | None, groups: Sequence[float], matters: float) -> Ratio:
    sure = interval(groups, SURE)
    if sure is not None and alike(groups):
        sure = min(groups), max(groups)  # they are worth less than their number, and nobody knows how much less
    low, high = sure or interval(groups) or (None, None)
    differs = sure is not None and (sure[0] > 1 + matters or sure[1] < 1 / (1 + matters))
    return {"ratio": middle, "low": low, "high": high, "differs": differs}


@lru_cache(1000)
def _outside(n: int, confidence: float) -> int | None:
    """How many of *n* ordered values lie outside the narrowest interval for the median, on each side.

    The median has k of n values below it as often as n tosses of a coin show k heads, whatever the distribution.
    """
    if n < LEAST:
        return None
    allowed = (1 - confidence) / 2
    if n > EXACT:
        return int(NormalDist(n / 2, n**0.5 / 2).inv_cdf(allowed) - 0.5)
    heads, skipped = 1, 0  # of the 2^n results, those with fewer than `skipped` + 1 heads
    if heads > allowed * 2**n:
        return None
    while heads + comb(n, skipped + 1) <= allowed * 2**n:
        skipped += 1
        heads += comb(n, skipped)
    return skipped
