"""SVG as text: elements, scales, and the frame that all plots with rows share.

1. Whatever is not written here is escaped, and cleaned of what steers readers (`text`): names come from strangers.
2. Plots have no width of their own. Places along x are percentages, places along y and letters are pixels: on a phone
   a plot becomes narrow, and its words stay as large as the page's.
3. So nothing can be measured in advance. A name stands on a line of its own above its mark, cut in its middle, once for
   wide windows and once for narrow ones; the style of the page shows the one that fits.
4. Each plot is an image with a title and a description (SVG-AAM 1.0), and no part of it says something by colour alone.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from wasmguard.text import one_line
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WIDE, NARROW = 72, 34  # characters of a name, at 12 px in 848 and in 328 px, beside its figure
LONGEST = 600  # characters of any text
TOLD = 4  # rows that a description names
EDGE = 0.5  # percent that stay free on both sides, for lines that have a width
NAME, GAP, AXIS = 18, 14, 22  # pixels: the line of a name, below a band, the labels of an axis
TICKS = 6  # labels along an axis: in 328 px each has room for `100 ms`


def escaped(text: str) -> str:
    """*text* as markup that shows it and does nothing else."""
    return escape(one_line(text, LONGEST), quote=True)


def tag(name: str, *inside: str, **attributes: object) -> str:
    """An element around *inside*, which is markup; attributes are values, `class_` and `text_anchor` are written so."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{said}>{''.join(inside)}</{name}>" if inside else f"<{name}{said}/>"


def cut(text: str, most: int) -> str:
    """*text* with its middle left out if it is longer: names differ at their ends."""
    text = one_line(text, LONGEST)
    if len(text) <= most:
        return text
    end = most // 2 - 1
    return f"{text[: most - end - 1]}…{text[len(text) - end :]}"


def label(text: str, x: object, y: float, *, short: str | None = None, **attributes: object) -> str:
    """*text* in a plot, cut to what fits in a wide window, and in a narrow one *short*, or what fits of *text*."""
    wide, narrow = cut(text, WIDE), cut(text, NARROW) if short is None else short
    klass = str(attributes.pop("class_", ""))
    whole = [tag("title", escaped(text))] if wide != text else []
    if wide == narrow:
        return tag("text", escaped(wide), *whole, x=x, y=_px(y), class_=klass or None, **attributes)
    return "".join(
        tag("text", escaped(said), *whole, x=x, y=_px(y), class_=f"{klass} {width}".strip(), **attributes)
        for said, width in ((wide, "wide"), (narrow, "narrow"))
    )


class Scale(Value):
    """Where a value stands between two ends, evenly or by its logarithm."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Iterable[float], *, log: bool = False) -> Scale:
        """One from a round number below all *values* to one above; never empty. A logarithm has no place for what is
        not positive: that stands at the lower end."""
        known = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
        low, high = min(known), max(known)
        if not log:
            low = min(0.0, low)
            step = _step((high - low) or 1.0)
            return cls(low=math.floor(low / step) * step, high=math.ceil(high / step) * step or step)
        low, high = _round_down(low), _round_up(high)
        if high <= low * 4:  # at least three labels: 1, 2, 5
            low, high = _round_down(low * 0.99), _round_up(high * 1.01)
        return cls(low=low, high=high, log=True)

    def place(self, value: float) -> float:
        """0 at the lower end, 1 at the upper one; what lies outside stands at an end."""
        if self.log:
            if value <= self.low:
                return 0.0
            where = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            where = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, where))

    def ticks(self) -> list[float]:
        """Round values for labels, at most `TICKS`, from the lower end up."""
        if not self.log:
            step = _step(self.high - self.low)
            count = round((self.high - self.low) / step)
            return [self.low + step * i for i in range(count + 1)]
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        if math.log10(self.high / self.low) > 2.01:
            step = math.ceil((last - first + 1) / TICKS)
            return self._apart([10.0**power for power in range(first, last + 1, step)])
        fine = [lead * 10.0**power for lead in (1, 2, 5) for power in range(first - 1, last + 1)]
        return self._apart([value for value in fine if self.low * 0.999 <= value <= self.high * 1.001])

    def _apart(self, values: Iterable[float]) -> list[float]:
        """Those of *values* whose labels do not touch in a narrow window; the earlier ones have the right of way."""
        kept: list[float] = []
        for value in values:
            here = self.place(value)
            if all(abs(here - (there := self.place(other))) >= _room(here, there) for other in kept):
                kept.append(value)
        return sorted(kept)


def _room(*places: float) -> float:
    """How far apart two labels must be: at an end of the axis one stands wholly on its inner side."""
    return 0.23 if any(anchor(place) != "middle" for place in places) else 0.16


class Row(Value):
    """One line of a plot: a name, a figure at the right, and marks in the band below; or only a heading."""

    name: str
    figure: str = ""
    brief: str = ""
    """The figure in a narrow window."""
    marks: tuple[str, ...] = ()
    """Elements whose y counts from the top of the band."""
    heading: bool = False


def percent(place: float) -> str:
    """A place of a scale as a length along x."""
    return f"{EDGE + (100 - 2 * EDGE) * place:.2f}%"


def span(start: float, end: float) -> str:
    """The width between two places."""
    return f"{max(0.0, (100 - 2 * EDGE) * (end - start)):.2f}%"


def bar(start: float, end: float, y: float, height: float, **attributes: object) -> str:
    """A bar between two places, at least a hair wide: no value is invisible."""
    return tag("rect", x=percent(start), y=_px(y), width=span(start, max(end, start + 0.002)), height=_px(height),
               **attributes)  # fmt: skip


def line(start: float, y1: float, end: float, y2: float, **attributes: object) -> str:
    """A line between two places."""
    return tag("line", x1=percent(start), y1=_px(y1), x2=percent(end), y2=_px(y2), **attributes)


def image(name: str, title: str, description: str, height: float, *inside: str) -> str:
    """A plot: *name* is a word that no other plot of the page has."""
    return tag(
        "svg",
        tag("title", escaped(title), id=f"{name}-title"),
        tag("desc", escaped(description), id=f"{name}-desc"),
        tag(
            "defs",
            tag(
                "pattern",
                tag("rect", width=6, height=6, class_="hatch-back"),
                tag("line", x1=0, y1=0, x2=0, y2=6, class_="hatch-line"),
                id=f"{name}-hatch", width=6, height=6, patternUnits="userSpaceOnUse", patternTransform="rotate(45)",
            ),
        ),
        *inside,
        role="img", aria_labelledby=f"{name}-title {name}-desc", width="100%", height=_px(height),
    )  # fmt: skip


def axis(scale: Scale, y: float, said: Callable[[float], str]) -> str:
    """The labels of *scale* along x, on the line at *y*."""
    labels = [(said(value), scale.place(value)) for value in scale.ticks()]
    return "".join(
        tag("text", escaped(text), x=percent(place), y=_px(y), class_="tick", text_anchor=anchor(place))
        for text, place in labels
    )


def anchor(place: float) -> str:
    """How a label at *place* is set, so that nothing of it is cut off."""
    return "start" if place < 0.05 else "end" if place > 0.95 else "middle"


class Plot(Value):
    """What all rows of a plot share."""

    name: str
    title: str
    description: str
    scale: Scale
    said: Callable[[float], str]
    """What a label of the axis says."""
    band: float
    """How high the marks of a row are."""


def in_rows(plot: Plot, rows: Iterable[Row]) -> str:
    """A plot with a line per row over one scale: the labels of the scale above, and below too if that is far away."""
    rows, scale = list(rows), plot.scale
    y, drawn = float(AXIS + 6), []
    for row in rows:
        if row.heading:
            y += 6
            drawn.append(label(row.name, percent(0), y + 13, class_="heading"))
            y += NAME + 6
            continue
        drawn.append(label(row.name, percent(0), y + 13, class_="name"))
        if row.figure:
            short = row.brief or row.figure
            drawn.append(label(row.figure, percent(1), y + 13, short=short, class_="figure", text_anchor="end"))
        drawn.append(tag("g", *row.marks, transform=f"translate(0 {_px(y + NAME)})"))
        y += NAME + plot.band + GAP
    below = len(rows) > 8
    grid = [line(place, AXIS, place, y, class_="grid") for place in map(scale.place, scale.ticks())]
    ends = [axis(scale, AXIS - 8, plot.said), axis(scale, y + 16, plot.said) if below else ""]
    return image(plot.name, plot.title, plot.description, y + (AXIS if below else 2), *grid, *ends, *drawn)


def listed(parts: Sequence[str]) -> str:
    """As many parts as a description can take, as one sentence."""
    left = f"; and {len(parts) - TOLD} more" if len(parts) > TOLD else ""
    return "; ".join(parts[:TOLD]) + left + "."


def _step(length: float) -> float:
    """A round step: 4 to 6 of them make *length*, or a little more."""
    rough = length / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(lead for lead in (1, 2, 2.5, 5, 10) if rough <= lead * power * 1.0001)


def _round_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return power * max((lead for lead in (1, 2, 5) if lead * power <= value * 1.0001), default=0.5)


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return power * min(lead for lead in (1, 2, 5, 10) if lead * power >= value * 0.9999)


def _px(length: float) -> str:
    return f"{length:.1f}".removesuffix(".0")
