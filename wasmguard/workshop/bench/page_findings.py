"""The sections of the report that judge: what changed since a baseline, and between two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench import page_figures as figures
from wasmguard.workshop.bench.page_tables import named, table, verdict
from wasmguard.workshop.bench.svg import escaped, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNS = {"slower": "▲", "faster": "▼"}
ORDER = ("slower", "noise", "faster", "same")
MOST = 40  # rows of a list that nobody reads to its end


def check(found: dict[str, Any] | None) -> str:
    """What failed and why, against a baseline."""
    if not found:
        return ""
    slower = [one for one in found["time"] if one["verdict"] == "slower"]
    counts = [
        (len(found["fuel"]), "change of fuel", "changes of fuel"),
        (len(slower), "time beyond noise", "times beyond noise"),
        (len(found["answers"]), "changed answer", "changed answers"),
    ]
    what = ", ".join(figures.many(count, one, more) for count, one, more in counts if count)
    said = "Held" if found["ok"] else "Not held"
    parts = [
        tag(
            "p",
            verdict(found["ok"], said, said),
            escaped(f" against {found['baseline']}" + (f": {what}" if what else ".")),
        ),
        _fuel(found["fuel"]),
        _time(found["time"]),
        _answers(found["answers"]),
    ]
    if found["notes"]:
        parts.append(tag("ul", *(tag("li", escaped(one)) for one in found["notes"])))
    return tag("section", tag("h2", "Against the baseline"), *parts)


def compare(found: dict[str, Any] | None) -> str:
    """One version of a policy beside another, on the same events."""
    if not found:
        return ""
    before, after = found["before"], found["after"]
    rows = [["module", *_pair(found["bytes"], figures.size)]]
    if None not in found["memory"]:
        rows.append(["memory", *_pair(found["memory"], figures.size)])
    changed = [one for one in found["fuel"] if one["before"] != one["after"]]
    intro = f"From {before} to {after}. Ratios are of the second to the first."
    return tag(
        "section",
        tag("h2", "Two versions"),
        tag("p", escaped(intro)),
        _ratios("Time, in turns on the same events", found["time"], "path") if found["time"] else "",
        table("Sizes", ["of", "before", "after", "change"], rows),
        _fuel_pairs(changed, len(found["fuel"])),
        _texts(found["answers"]),
    )


def _fuel(entries: Sequence[dict[str, Any]]) -> str:
    if not entries:
        return ""
    rows = [
        [
            named(one["policy"]),
            escaped(one["event"]),
            figures.whole(one["before"]),
            figures.whole(one["after"]),
            escaped(figures.change(None if one["change"] is None else 1 + one["change"])),
        ]
        for one in entries[:MOST]
    ]
    return table(_cut("Fuel, which has no noise", entries), ["policy", "event", "before", "after", "change"], rows,
                 texts=[1])  # fmt: skip


def _time(entries: Sequence[dict[str, Any]]) -> str:
    if not entries:
        return ""
    ordered = sorted(entries, key=lambda one: ORDER.index(one["verdict"]) if one["verdict"] in ORDER else len(ORDER))
    return _ratios("Time", ordered, "id")


def _ratios(caption: str, entries: Sequence[dict[str, Any]], key: str) -> str:
    full = "before" in entries[0]
    heads = ["path", *(["before", "after"] if full else []), "change", "95 %", "verdict"]
    rows = []
    for one in entries:
        between = figures.NONE
        if one["low"] is not None and one["high"] is not None:
            between = f"{figures.change(one['low'])} to {figures.change(one['high'])}"
        rows.append(
            [
                named(one[key]),
                *([figures.time(one["before"]), figures.time(one["after"])] if full else []),
                figures.change(one["ratio"]),
                between,
                _said(one["verdict"]) + (tag("small", escaped(one["why"])) if one.get("why") else ""),
            ]
        )
    return table(caption, heads, rows, texts=[len(heads) - 1])


def _said(word: str) -> str:
    """A verdict, with a sign for the two that matter."""
    klass = {"slower": "bad", "faster": "good"}.get(word)
    return tag("span", escaped(f"{SIGNS[word]} {word}" if word in SIGNS else word), class_=klass)


def _answers(entries: Sequence[dict[str, Any]]) -> str:
    if not entries:
        return ""
    rows = [[named(one["policy"]), escaped(one["event"])] for one in entries[:MOST]]
    return table(_cut("Answers that changed", entries), ["policy", "event"], rows, texts=[1])


def _fuel_pairs(changed: Sequence[dict[str, Any]], all_of_them: int) -> str:
    if not changed:
        same = "Fuel: the same on every event." if all_of_them else "Fuel: no event was judged by both."
        return tag("p", escaped(same))
    rows = [
        [
            named(one["event"]),
            figures.whole(one["before"]),
            figures.whole(one["after"]),
            figures.change(one["after"] / one["before"])
            if one["before"] and one["after"] is not None
            else figures.NONE,
        ]
        for one in changed[:MOST]
    ]
    return table(_cut("Fuel", changed), ["event", "before", "after", "change"], rows)


def _texts(entries: Sequence[dict[str, Any]]) -> str:
    if not entries:
        return tag("p", escaped("Answers: the same on every event."))
    rows = [[named(one["event"]), escaped(one["before"]), escaped(one["after"])] for one in entries[:MOST]]
    return table(_cut("Answers that differ", entries), ["event", "before", "after"], rows, texts=[1, 2])


def _pair(values: Sequence[float], said: Any) -> list[str]:
    before, after = values
    return [said(before), said(after), figures.change(after / before) if before else figures.NONE]


def _cut(caption: str, entries: Sequence[object]) -> str:
    return f"{caption}; the first {MOST} of {len(entries)}" if len(entries) > MOST else caption
