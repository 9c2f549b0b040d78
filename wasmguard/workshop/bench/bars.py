"""Small drawings of text: a bar, a distribution, a whole and its parts.

*simple* drawings have only ASCII in them, for terminals and files that cannot say more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL, EIGHTHS = "█", " ▏▎▍▌▋▊▉"
LEVELS, SIMPLE_LEVELS = " ▁▂▃▄▅▆▇█", " .:-=+*#"


def bar(part: float, width: int, *, simple: bool = False) -> str:
    """A bar of *part* (0 to 1) of *width* columns; what is more than nothing is seen."""
    part = min(1.0, max(0.0, part))
    if simple:
        return "#" * max(round(part * width), part > 0)
    eighths = max(round(part * width * 8), part > 0)
    return (FULL * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def distribution(
    histogram: Sequence[Sequence[float]], least: float, most: float, width: int, *, simple: bool = False
) -> str:
    """How often what was measured, on a logarithmic scale from *least* to *most*.

    *histogram* holds pairs of a bucket's upper edge and its count. What lies outside of the scale is drawn at its
    ends; where there is anything, the lowest mark stands at least.
    """
    counts = [0.0] * width
    whole = math.log(most / least) if most > least > 0 else 1.0
    for edge, count in histogram:
        place = math.log(edge / least) / whole if edge > least > 0 else 0.0
        counts[min(width - 1, int(place * width))] += count
    levels = SIMPLE_LEVELS if simple else LEVELS
    highest = max(counts) or 1.0
    return "".join(levels[math.ceil(count / highest * (len(levels) - 1))] for count in counts)


def parted(parts: Sequence[float], width: int) -> list[int]:
    """How many of *width* columns each part of a whole gets: whole columns, *width* together, the fairest such."""
    whole = sum(parts)
    if whole <= 0:
        return [0] * len(parts)
    exact = [part / whole * width for part in parts]
    given = [int(columns) for columns in exact]
    by_rest = sorted(range(len(parts)), key=lambda i: given[i] - exact[i])
    for i in by_rest[: width - sum(given)]:
        given[i] += 1
    return given
