"""Plots with bars: fuel beside its limit, where time goes, ways to a decision, and what others take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench import page_figures as figures
from wasmguard.workshop.bench import words
from wasmguard.workshop.bench.svg import Plot, Row, Scale, bar, in_rows, line, listed, percent, tag
from wasmguard.workshop.bench.variant import BESIDE, PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LETTERS = "abcdef"
THICK, BROAD = 14, 22  # pixels: of a bar, and of one with words in it
NAMED, LETTERED = 0.18, 0.06  # of the whole: a part that has room for `c 62 %`, and for `c`


def fuel(policies: Sequence[dict[str, Any]]) -> str:
    """The most fuel that an event took, the least and the median, and the limit."""
    known = [policy for policy in policies if policy["fuel"]["max"] is not None]
    if not known:
        return ""
    ends = [value for p in known for value in (p["fuel"]["min"], p["fuel"]["max"], p["limits"]["fuel"])]
    scale = Scale.around([max(1.0, value) for value in ends], log=True)
    said = [f"{p['name']}: {figures.whole(p['fuel']['max'])} of {figures.whole(p['limits']['fuel'])}" for p in known]
    told = f"The most fuel that an event took, on a logarithmic axis. {listed(said)}"
    plot = Plot(name="fuel", title="Fuel and its limit", description=told, scale=scale, said=figures.brief, band=THICK)
    return in_rows(plot, [_fuel(policy, scale) for policy in known])


def _fuel(policy: dict[str, Any], scale: Scale) -> Row:
    least, median, most = (scale.place(policy["fuel"][key]) for key in ("min", "median", "max"))
    limit = scale.place(policy["limits"]["fuel"])
    share = figures.share(policy["used"]["fuel"])
    return Row(
        name=policy["name"],
        figure=f"{figures.whole(policy['fuel']['max'])} of {figures.brief(policy['limits']['fuel'])}: {share}",
        brief=share,
        marks=(
            bar(0, most, 0, THICK, class_="mark"),
            line(least, THICK / 2, most, THICK / 2, class_="edge"),
            line(median, 2, median, THICK - 2, class_="edge"),
            line(most, THICK / 2, limit, THICK / 2, class_="dots"),
            line(limit, -2, limit, THICK + 2, class_="limit"),
        ),
    )


def split(policies: Sequence[dict[str, Any]]) -> str:
    """The parts of a decision's time, as shares of it."""
    known = [(p["name"], p["split"]) for p in policies if p.get("split") and together(p["split"]) > 0]
    if not known:
        return ""
    said = [
        f"{name}: " + ", ".join(f"{part} {figures.share((parts.get(part) or 0) / together(parts))}" for part in PARTS)
        for name, parts in known
    ]
    told = f"Shares of the mean time of a decision. {listed(said)}"
    scale = Scale(low=0, high=1)
    plot = Plot(name="split", title="Where the time goes", description=told, scale=scale, said=figures.tick_of_share,
                band=BROAD)  # fmt: skip
    return in_rows(plot, [_split(name, parts) for name, parts in known])


def together(parts: Mapping[str, float | None]) -> float:
    """The time of all parts."""
    return sum(parts.get(part) or 0.0 for part in PARTS)


def _split(name: str, parts: Mapping[str, float | None]) -> Row:
    whole, start, marks = together(parts), 0.0, []
    for index, part in enumerate(PARTS):
        share = (parts.get(part) or 0.0) / whole
        if share <= 0:
            continue
        tip = tag("title", f"{part}: {figures.time(parts[part])}, {figures.share(share)}")
        marks.append(tag("g", tip, bar(start, start + share, 0, BROAD, class_=f"part-{index} edge")))
        if share >= LETTERED:
            said = f"{LETTERS[index]} {share:.0%}".replace("%", " %") if share >= NAMED else LETTERS[index]
            middle = percent(start + share / 2)
            marks.append(tag("text", said, x=middle, y=15.5, text_anchor="middle", class_="on-part"))
        start += share
    return Row(name=name, figure=figures.time(whole), marks=tuple(marks))


def paths(groups: Sequence[tuple[str, Sequence[dict[str, Any]]]], floors: Mapping[str, dict[str, Any]]) -> str:
    """The medians of each way to a decision, in groups, and how far the floor beside each reaches."""
    rows = [row for _, group in groups for row in group]
    scale = _of_times([*rows, *(floors[row["floor"]] for row in rows if row["floor"] in floors)])
    lines: list[Row] = []
    for name, group in groups:
        lines.append(Row(name=name, heading=True))
        lines += [_timed(row, row["subject"], scale, floors.get(row["floor"])) for row in group]
    return in_rows(_of_medians("paths", "Ways to a decision, and their floors", rows, scale), lines)


def peers(rows: Sequence[dict[str, Any]]) -> str:
    """The medians of what is ours and of what is not, the fastest first; ours are filled and say so."""
    scale, ordered = _of_times(rows), sorted(rows, key=lambda row: row["median"])
    lines = [_timed(row, peer_name(row), scale, None) for row in ordered]
    return in_rows(_of_medians("peers", "Beside others, on the same events", ordered, scale), lines)


def peer_name(row: Mapping[str, Any]) -> str:
    """What a row is called among others: ours say whose they are."""
    return str(row["subject"]) if row["kind"] in BESIDE else f"wasmguard, {row['path']}: {row['subject']}"


def _of_medians(name: str, title: str, rows: Iterable[Mapping[str, Any]], scale: Scale) -> Plot:
    said = [f"{peer_name(row)}: {figures.time(row['median'])}" for row in rows]
    told = f"Medians on a logarithmic axis. {listed(said)}"
    return Plot(name=name, title=title, description=told, scale=scale, said=figures.tick_of_time, band=THICK)


def _timed(row: Mapping[str, Any], name: str, scale: Scale, floor: Mapping[str, Any] | None) -> Row:
    """A bar to the median; hatched as far as its floor reaches, outlined if it is not ours; its interval as a line."""
    median = scale.place(row["median"])
    marks = [bar(0, median, 0, THICK, class_="mark" if words.ours(row) else "others")]
    figure = figures.time(row["median"])
    if floor is not None:
        end = min(median, scale.place(floor["median"]))
        marks.append(bar(0, end, 0, THICK, class_="floor-bar", fill="url(#paths-hatch)"))
        figure += f", floor {figures.time(floor['median'])}"
    if row["low"] is not None and row["high"] is not None:
        low, high = scale.place(row["low"]), scale.place(row["high"])
        marks.append(line(low, THICK / 2, high, THICK / 2, class_="stroke"))
        marks += [line(end, THICK / 2 - 4, end, THICK / 2 + 4, class_="thin") for end in (low, high)]
    return Row(name=name, figure=figure, brief=figures.time(row["median"]), marks=tuple(marks))


def _of_times(rows: Iterable[Mapping[str, Any]]) -> Scale:
    """A scale on which the smallest bar is long enough to see."""
    medians = [row["median"] for row in rows if row["median"]]
    return Scale.around([*medians, *(value / 1.5 for value in medians)], log=True)
