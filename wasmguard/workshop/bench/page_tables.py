"""The tables of the report: real ones, with headings that say what they head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench import page_figures as figures
from wasmguard.workshop.bench.page_bars import together
from wasmguard.workshop.bench.svg import escaped, tag
from wasmguard.workshop.bench.variant import FLOOR, PARTS
from wasmguard.workshop.bench.words import AT_LEAST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, texts: Sequence[int] = ()) -> str:
    """A table whose cells are markup. The first of each row heads it; the columns in *texts* are text, all others
    figures. In a narrow window it scrolls by itself, with the keyboard too."""
    left = {0, *texts}

    def kind(column: int) -> str | None:
        return None if column in left else "n"

    top = [tag("th", escaped(head) or "&nbsp;", scope="col", class_=kind(i)) for i, head in enumerate(heads)]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell or "&nbsp;", class_=kind(i)) for i, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    ]
    inside = tag(
        "table", tag("caption", tag("span", escaped(caption))), tag("thead", tag("tr", *top)), tag("tbody", *body)
    )
    return tag("div", inside, class_="scroll", role="region", aria_label=caption, tabindex=0)


def named(name: str, below: str = "") -> str:
    """A name, and below it in small letters what is known of it."""
    return escaped(name) + (tag("small", escaped(below)) if below else "")


def times(caption: str, rows: Sequence[dict[str, Any]]) -> str:
    """How long decisions take."""
    heads = ["subject", "p50", "95 % of p50", "p90", "p99", "p99.9", "max", "decisions/s", "decisions"]
    return table(
        caption,
        heads,
        (
            [
                named(row["subject"], row["about"] or (FLOOR if row["kind"] == FLOOR else "")),
                tag("strong", figures.time(row["median"])),
                figures.between(row["low"], row["high"]),
                *(_percentile(row, key) for key in AT_LEAST),
                figures.time(row["max"]),
                figures.whole(row["per_second"]) if row["per_second"] >= 10 else f"{row['per_second']:.2g}",
                figures.whole(row["n"]),
            ]
            for row in rows
        ),
    )


def _percentile(row: dict[str, Any], key: str) -> str:
    return figures.time(row[key]) if row["n"] >= AT_LEAST[key] else figures.NONE


def exact(policies: Sequence[dict[str, Any]]) -> str:
    """What is the same in every run."""
    heads = ["policy", "fuel min", "median", "max", "of limit", "memory", "of limit", "module", "of limit", "compile",
             "load"]  # fmt: skip
    return table(
        "Fuel over the events that each policy judges, its linear memory, its module: exact. Times to compile and load",
        heads,
        (
            [
                named(policy["name"], "" if policy["module"] == policy["name"] else policy["module"]),
                *(figures.whole(policy["fuel"][key]) for key in ("min", "median", "max")),
                figures.share(policy["used"]["fuel"]) if policy["fuel"]["max"] is not None else figures.NONE,
                figures.size(policy["memory"]),
                figures.share(policy["used"]["memory"]) if policy["memory"] is not None else figures.NONE,
                figures.size(policy["bytes"]),
                figures.share(policy["used"]["module"]),
                figures.time(policy["compile"] * 1e6),
                figures.time(policy["load"] * 1e6),
            ]
            for policy in policies
        ),
    )


def split(policies: Sequence[dict[str, Any]]) -> str:
    """The parts of a decision's time."""
    return table(
        "Mean time of each part of a decision",
        ["policy", *PARTS, "together"],
        (
            [
                named(policy["name"]),
                *(figures.time(policy["split"].get(part)) for part in PARTS),
                figures.time(together(policy["split"])),
            ]
            for policy in policies
            if policy.get("split")
        ),
    )


def paths(rows: Sequence[dict[str, Any]], floors: dict[str, dict[str, Any]]) -> str:
    """Each way to a decision beside its floor."""
    return table(
        "Medians, floors, and what is left",
        ["subject", "path", "p50", "95 % of p50", "floor", "which", "above the floor"],
        (
            [
                named(row["subject"], row["about"]),
                escaped(row["path"]),
                figures.time(row["median"]),
                figures.between(row["low"], row["high"]),
                figures.time(floor["median"]) if (floor := floors.get(row["floor"])) else figures.NONE,
                escaped(floor["subject"]) if floor else "",
                figures.time(max(0.0, row["median"] - floor["median"])) if floor else figures.NONE,
            ]
            for row in rows
        ),
        texts=[1, 5],
    )


def at_rate(rows: Sequence[dict[str, Any]]) -> str:
    """What was asked for in an open loop, and what came of it."""
    return table(
        "Events at a fixed rate: latency counts from when an event was due",
        ["subject", "path", "asked for", "reached", "began over 1 ms late"],
        (
            [
                named(row["subject"]),
                escaped(row["path"]),
                f"{figures.whole(row['rate']['asked'])}/s",
                f"{figures.whole(row['rate']['reached'])}/s",
                figures.share(row["rate"]["late"]),
            ]
            for row in rows
        ),
        texts=[1],
    )


def adversarial(entries: Sequence[dict[str, Any]]) -> str:
    """What crafted inputs came to."""
    return table(
        "Time against its bound, and the verdict against that on the plain input",
        ["policy", "input", "size", "time", "bound", "of bound", "plain", "crafted", "held"],
        (
            [
                named(one["policy"]),
                escaped(one["input"]),
                figures.payload(one["bytes"]),
                figures.time(one["milliseconds"] * 1e3),
                figures.time(one["bound"] * 1e3),
                figures.share(one["milliseconds"] / one["bound"]) if one["bound"] else figures.NONE,
                escaped(one["plain"]),
                named(one["effect"], one["fault"]),
                verdict(one["ok"], "yes", "no") + (tag("small", escaped(one["why"])) if one["why"] else ""),
            ]
            for one in entries
        ),
        texts=[1, 6, 7, 8],
    )


def verdict(ok: bool, good: str, bad: str) -> str:
    """One of two words, with a sign and a colour."""
    return tag("span", f"✓ {escaped(good)}" if ok else f"✗ {escaped(bad)}", class_="good" if ok else "bad")
