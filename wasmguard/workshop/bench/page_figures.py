"""Numbers of the report: those of the terminal (`words`), and those that only a page has room or need for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wasmguard.workshop.bench import words

if TYPE_CHECKING:
    from collections.abc import Sequence

NONE = "–"  # said where there is no figure
THIN = "\u202f"  # narrow no-break space: digits in threes (ISO 80000-1)
MINUS = "−"

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:[numk]?s|[kMG]?B|[KMG]iB|core|event)\b|%)")
_TIMES = ((1e6, "s"), (1e3, "ms"), (1.0, "us"), (1e-3, "ns"))
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_COUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def time(microseconds: float | None) -> str:
    """`3.42 us`, `181 us`, `1.24 ms`."""
    return NONE if microseconds is None else words.time(microseconds)


def between(low: float | None, high: float | None) -> str:
    """`180 to 184 us`."""
    return NONE if low is None or high is None else words.within(low, high)


def payload(count: float | None) -> str:
    """Of an event: `512 B`, `4.7 kB`, `5.1 MB`."""
    return NONE if count is None else words.payload(int(count))


def size(count: float | None) -> str:
    """Of memory and modules: `64 KiB`, `1.1 MiB`."""
    return NONE if count is None else words.size(int(count))


def whole(count: float | None) -> str:
    """`20 000 000` with thin separators."""
    return NONE if count is None else f"{count:,.0f}".replace(",", THIN)


def share(part: float | None) -> str:
    """`0.6 %`, `31 %`."""
    return NONE if part is None else words.share(part)


def signed(part: float) -> str:
    """A share that can be less than nothing: `−0.1 %`."""
    return f"{MINUS}{words.share(-part)}" if part < 0 else words.share(part)


def change(ratio: float | None) -> str:
    """How far a ratio is from 1: `+12.0 %`, `−3.1 %`."""
    return NONE if ratio is None else words.change(ratio - 1).replace("-", MINUS)


def many(count: int, one: str, more: str = "") -> str:
    """`1 event`, `12 events`."""
    return f"{whole(count)} {one if count == 1 else more or one + 's'}"


def kept(text: str) -> str:
    """*text* for a line that wraps: no number is left without its unit."""
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


def tick_of_time(microseconds: float) -> str:
    """A round time on an axis: `200 us`, `10 ms`."""
    return _round(microseconds, _TIMES)


def tick_of_size(count: float) -> str:
    """A round size on an axis: `1 kB`."""
    return _round(count, _SIZES)


def brief(count: float) -> str:
    """A round number: `20 M`, `1.5 k`, `900`."""
    return _round(count, _COUNTS).rstrip()


def tick_of_share(part: float) -> str:
    """A round share: `20 %`."""
    return f"{part * 100:g} %"


def _round(value: float, units: Sequence[tuple[float, str]]) -> str:
    worth, name = next((unit for unit in units if value >= unit[0] * 0.9995), units[-1])
    return f"{value / worth:.3g} {name}" if value / worth < 999.5 else f"{value / worth:.0e} {name}"
