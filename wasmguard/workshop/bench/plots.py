"""Plots of times: how they are spread, and how they grow with the size of an event."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from wasmguard.value import Value
from wasmguard.workshop.bench import page_figures as figures
from wasmguard.workshop.bench.svg import Plot, Row, Scale, anchor, escaped, image, in_rows, line, listed, percent, tag
from wasmguard.workshop.bench.variant import CHAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

HILL = 30  # pixels that the most frequent time of a row is high
FINEST = 0.02  # decades: about two buckets of a histogram with two digits (`histogram`)
LETTERS = "ABCDEF"  # as many lines have a letter; more nobody can follow
LEAST_SIZES, LEAST_SPAN = 3, 10.0  # sizes, and how often the smallest goes into the largest, to speak of growth
HEIGHT, TOP, FOOT = 260, 8, 24  # pixels: of the area of `by_size`, above, below
APART = 15  # pixels between two letters


def spread(rows: Sequence[dict[str, Any]]) -> str:
    """A hill per row over one axis of times, with lines for the median and the 99th percentile."""
    drawn = [row for row in rows if row["histogram"]]
    if not drawn:
        return ""
    scale = Scale.around([value for row in drawn for value in (row["min"], row["max"])], log=True)
    said = [f"{r['subject']}: median {figures.time(r['median'])}, p99 {figures.time(r['p99'])}" for r in drawn]
    told = f"How many decisions took how long, on one logarithmic axis of time. {listed(said)}"
    plot = Plot(name="spread", title="Distribution of latency", description=told, scale=scale,
                said=figures.tick_of_time, band=HILL)  # fmt: skip
    return in_rows(plot, [_hill(row, scale) for row in drawn])


def density(histogram: Sequence[Sequence[float]], scale: Scale) -> list[float]:
    """How many of a histogram's values stand in each of equal parts of *scale*, the largest being 1; a little smoothed,
    because buckets and parts do not end at the same places."""
    parts = max(12, min(160, round(math.log10(scale.high / scale.low) / FINEST)))
    counts = [0.0] * parts
    for edge, count in histogram:
        counts[min(parts - 1, int(scale.place(edge * 0.995) * parts))] += count
    for _ in range(2):
        padded = [0.0, *counts, 0.0]
        counts = [(padded[i] + 2 * padded[i + 1] + padded[i + 2]) / 4 for i in range(parts)]
    most = max(counts) or 1.0
    return [count / most for count in counts]


def _hill(row: dict[str, Any], scale: Scale) -> Row:
    heights = density(row["histogram"], scale)
    points = [(1000 * (i + 0.5) / len(heights), HILL - height * (HILL - 1)) for i, height in enumerate(heights)]
    seen = [i for i, height in enumerate(heights) if height > 0.002] or [0]
    shown = points[seen[0] : seen[-1] + 1]
    outline = "".join(f"L{x:.1f} {y:.1f}" for x, y in shown)
    path = tag("path", d=f"M{shown[0][0]:.1f} {HILL}{outline}L{shown[-1][0]:.1f} {HILL}Z", class_="ridge")
    median, late, last = (scale.place(row[key]) for key in ("median", "p99", "max"))
    marks = (
        tag("svg", path, x="0.5%", width="99%", height=HILL, viewBox=f"0 0 1000 {HILL}", preserveAspectRatio="none",
            overflow="visible"),
        line(0, HILL, 1, HILL, class_="base"),
        line(median, 0, median, HILL, class_="stroke"),
        line(late, HILL / 2, late, HILL, class_="stroke"),
        tag("circle", cx=percent(last), cy=HILL, r=3.5, class_="stroke-dot"),
    )  # fmt: skip
    figure = f"median {figures.time(row['median'])}, p99 {figures.time(row['p99'])}"
    return Row(name=row["subject"], figure=figure, brief=figures.time(row["median"]), marks=marks)


class Grown(Value):
    """How one subject's time grows."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Bytes and microseconds, by bytes."""
    line: int = -1
    """Its place in `LETTERS`, or -1."""


def by_size(rows: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]) -> tuple[str, list[Grown]]:
    """Latency against the size of events, both logarithmic, and the lines that bear letters; nothing if the sizes
    hardly differ. The chain comes first, then what is slowest at its largest size."""
    grown = [one for row in rows if len((one := _grown(row, events)).points) >= LEAST_SIZES]
    sizes = [size for one in grown for size, _ in one.points]
    if not sizes or max(sizes) < LEAST_SPAN * min(sizes):
        return "", []
    kinds = {row["subject"]: row["kind"] for row in rows}
    grown.sort(key=lambda one: (kinds[one.name] != CHAIN, -one.points[-1][1]))
    lettered = [one.replaced(line=index) for index, one in enumerate(grown[: len(LETTERS)])]
    across = Scale.around(sizes, log=True)
    up = Scale.around([time for one in grown for _, time in one.points], log=True)
    inside = [
        *(_level(up, value) for value in up.ticks()),
        *(_upright(across, value) for value in across.ticks()),
        *(_curve(one, across, up) for one in (*grown[len(LETTERS) :], *reversed(lettered))),
        *_letters(lettered, across, up),
    ]
    area = tag("g", *inside, transform=f"translate(0 {TOP})")
    told = listed(
        [f"{LETTERS[one.line]}, {one.name}: {_said(*one.points[0])}, {_said(*one.points[-1])}" for one in lettered]
    )
    title, lead = "Latency by size of the event", "The median against the size, both axes logarithmic. "
    return image("sizes", title, lead + told, TOP + HEIGHT + FOOT, area), lettered


def _said(size: float, time: float) -> str:
    return f"{figures.time(time)} at {figures.payload(size)}"


def _grown(row: dict[str, Any], events: Sequence[dict[str, Any]]) -> Grown:
    by: dict[float, list[float]] = {}
    for one in row["by_event"]:
        if one["median"]:
            by.setdefault(events[one["event"]]["bytes"], []).append(one["median"])
    return Grown(name=row["subject"], points=tuple((size, sum(by[size]) / len(by[size])) for size in sorted(by)))


def _y(up: Scale, value: float) -> float:
    return round(HEIGHT * (1 - up.place(value)), 1)


def _level(up: Scale, value: float) -> str:
    y = _y(up, value)
    return tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid") + tag(
        "text", escaped(figures.tick_of_time(value)), x=-8, y=y + 4, class_="tick", text_anchor="end"
    )


def _upright(across: Scale, value: float) -> str:
    place = across.place(value)
    x = f"{100 * place:.2f}%"
    return tag("line", x1=x, x2=x, y1=0, y2=HEIGHT, class_="grid") + tag(
        "text", escaped(figures.tick_of_size(value)), x=x, y=HEIGHT + 18, class_="tick", text_anchor=anchor(place)
    )


def _curve(one: Grown, across: Scale, up: Scale) -> str:
    places = [(f"{100 * across.place(size):.2f}%", _y(up, time)) for size, time in one.points]
    klass = f"series line-{one.line}" if one.line >= 0 else "faint"
    lines = [tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=klass) for (x1, y1), (x2, y2) in pairwise(places)]
    if one.line < 0:
        return "".join(lines)
    return "".join([*lines, *(tag("circle", cx=x, cy=y, r=3.5, class_=f"dot-{one.line}") for x, y in places)])


def _letters(lettered: Sequence[Grown], across: Scale, up: Scale) -> list[str]:
    """The letters beside the ends of their lines, moved apart where those meet."""
    wanted = sorted((_y(up, one.points[-1][1]) + 4, one.line) for one in lettered)
    last, placed = -math.inf, []
    for y, _ in wanted:
        last = max(y, last + APART)
        placed.append(last)
    lowest = HEIGHT + 4.0
    for index in reversed(range(len(placed))):  # back up from the lower edge, each only as far as it must
        placed[index] = min(placed[index], lowest)
        lowest = placed[index] - APART
    ends = {one.line: f"{100 * across.place(one.points[-1][0]):.2f}%" for one in lettered}
    return [
        tag("text", LETTERS[index], x=ends[index], dx=9, y=round(y, 1), class_="letter")
        for (_, index), y in zip(wanted, placed, strict=True)
    ]
