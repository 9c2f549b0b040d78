"""The report as one HTML page: told from the document of a run, and from nothing else.

1. The page needs nobody: no script, no font, no image from elsewhere; its policy (CSP) forbids all of them.
2. Whatever a person, a module or a machine named is text (`svg.escaped`).
3. A section without figures is left out; what was not measured, and why, is said.
4. What a plot shows also stands in words: in a table, or beside the mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench import page_bars, page_head, plots, words
from wasmguard.workshop.bench import page_figures as figures
from wasmguard.workshop.bench import page_findings as findings
from wasmguard.workshop.bench import page_tables as tables
from wasmguard.workshop.bench.page_style import STYLE
from wasmguard.workshop.bench.svg import escaped, tag
from wasmguard.workshop.bench.variant import BESIDE, CELL, CHAIN, FLOOR, LIBRARY, OURS, PARTS, PATHS, POLICY

if TYPE_CHECKING:
    from collections.abc import Sequence

    Rows = Sequence[dict[str, Any]]

CSP = "default-src 'none'; style-src 'unsafe-inline'"
LONG = 8  # rows of a table that repeats a plot, beyond which it is folded


def page(document: dict[str, Any]) -> str:
    """The report of one run (`schema.json`) as HTML, readable without a network and without scripts."""
    parts = [
        page_head.measured(document),
        page_head.answer(document),
        _times(document),
        _sizes(document),
        _exact(document["policies"]),
        _split(document["policies"]),
        _paths(document["rows"]),
        _peers(document),
        findings.check(document.get("check")),
        findings.compare(document.get("compare")),
        _adversarial(document.get("adversarial")),
    ]
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        tag("title", escaped(f"wasmguard bench: {document['events']['source']}, {document['began']}")),
        f"<style>{STYLE}</style>",
    ]
    body = tag("main", *parts, _foot(document))
    return "\n".join(
        ["<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", f"<body>{body}</body>", "</html>", ""]
    )


def main_path(rows: Rows) -> str:
    """The way to a decision that the first table and the first plot are about: the one that the terminal tells of."""
    row = words.headline({"rows": rows})
    return str(row["path"]) if row else ""


def _times(document: dict[str, Any]) -> str:
    rows = document["rows"]
    path = main_path(rows)
    own = sorted(
        (row for row in rows if row["path"] == path), key=lambda row: [CHAIN, POLICY, FLOOR].index(row["kind"])
    )
    if not own:
        return ""
    caption = (
        "Filled: how many decisions took so long, each row for itself, on one logarithmic axis. "
        "Long line: the median. Short line: the 99th percentile. Ring: the slowest decision."
    )
    rated = [row for row in rows if row.get("rate")]
    return section(
        "Time per decision",
        tables.times(f"Latency of each subject, path {path}", own),
        _when(rated, tables.at_rate(rated)),
        figure(caption, plots.spread(own)),
    )


def _sizes(document: dict[str, Any]) -> str:
    sizes = document.get("sizes") or document
    path = main_path(sizes["rows"])
    plot, lines = plots.by_size([row for row in sizes["rows"] if row["path"] == path], sizes["events"]["list"])
    if not plot:
        return ""
    key = [
        tag("li", tag("span", "", class_=f"swatch line-{one.line}", aria_hidden="true"),
            tag("b", plots.LETTERS[one.line]), " ", escaped(one.name), ": ",
            escaped(figures.kept(f"{figures.time(one.points[-1][1])} at {figures.payload(one.points[-1][0])}")))
        for one in lines
    ]  # fmt: skip
    caption = (
        f"Median against the size of the event as JSON, both axes logarithmic; {escaped(sizes['events']['source'])}."
    )
    return section(
        "Time and the size of an event", figure(caption, tag("div", plot, class_="area"), tag("ul", *key, class_="key"))
    )


def _exact(policies: Rows) -> str:
    if not policies:
        return ""
    caption = (
        "Bar: the most that an event took. Lines in it: from the least to the most, and the median. "
        "Dotted, to the upright line: the limit. The axis is logarithmic: each label is ten times the one before."
    )
    return section("Fuel, memory and size", tables.exact(policies), figure(caption, page_bars.fuel(policies)))


def _split(policies: Rows) -> str:
    plot = page_bars.split(policies)
    if not plot:
        return ""
    swatches = [
        tag(
            "li",
            tag("span", "", class_=f"swatch part-{i}", aria_hidden="true"),
            tag("b", page_bars.LETTERS[i]),
            " ",
            part,
        )
        for i, part in enumerate(PARTS)
    ]
    caption = "Shares of the mean decision; carry is the way to its jailed process and back."
    return section(
        "Where the time goes",
        figure(caption, tag("ul", *swatches, class_="key") + plot),
        folded(tables.split(policies), len(policies)),
    )


def _paths(rows: Rows) -> str:
    floors = {row["id"]: row for row in rows if row["kind"] == FLOOR}
    groups = [(path, _ways(rows, path)) for path in PATHS]
    groups = [(path, own) for path, own in groups if own]
    shown = [row for _, own in groups for row in own]
    if len(groups) < 2 and not any(row["path"] not in (CELL, LIBRARY) for row in shown):
        return ""
    caption = (
        "Bar: the median, on a logarithmic axis. Hatched: as far as the floor beside it goes, which decides nothing. "
        "Line in the bar: the 95 % interval."
    )
    alone = [
        row for row in floors.values() if row["path"] not in PATHS and row["id"] not in {r["floor"] for r in shown}
    ]
    return section(
        "Ways to a decision",
        figure(caption, page_bars.paths(groups, floors)),
        folded(tables.paths([*shown, *alone], floors), len(shown)),
    )


def _ways(rows: Rows, path: str) -> list[dict[str, Any]]:
    """The rows of a path that stand for it: its chains, or the policies if there is no chain."""
    own = [row for row in rows if row["path"] == path and row["kind"] in (CHAIN, POLICY)]
    return [row for row in own if row["kind"] == CHAIN] or own


def _peers(document: dict[str, Any]) -> str:
    rows, missing = document["rows"], document.get("missing") or []
    others = [row for row in rows if row["kind"] in BESIDE]
    absent = page_head.note("Not measured", missing)
    if not others:
        return section("What is missing", absent) if missing else ""
    among = any(row["kind"] == OURS for row in others)  # then all carry out one small guard, which our policies do not
    ours = [] if among else [row for path in PATHS for row in _ways(rows, path)]
    caption = "Bar: the median, on a logarithmic axis. Filled: wasmguard. Outlined: others. Line: the 95 % interval."
    if among:
        caption += " All carry out one small guard, but for those that are said to have policies of their own."
    ordered = sorted((*ours, *others), key=lambda row: row["median"])
    named = [{**row, "subject": page_bars.peer_name(row)} for row in ordered]
    return section(
        "Beside others",
        figure(caption, page_bars.peers([*ours, *others])),
        folded(tables.times("Latency of each, the fastest first", named), len(named)),
        absent,
    )


def _adversarial(entries: Rows | None) -> str:
    if not entries:
        return ""
    failed = sum(not one["ok"] for one in entries)
    said = f"{figures.many(len(entries), 'input')} tried: "
    said += "every policy held." if not failed else f"{failed} not held."
    ordered = sorted(entries, key=lambda one: (one["ok"], -one["milliseconds"] / (one["bound"] or 1)))
    return section(
        "Crafted inputs",
        tag("p", tables.verdict(not failed, said, said)),
        _when(failed, tables.adversarial(ordered[:failed])),
        _when(ordered[failed:], folded(tables.adversarial(ordered[failed:]), len(ordered) - failed)),
    )


def _foot(document: dict[str, Any]) -> str:
    how = (
        "How to read this. p50 is the median: half of the decisions took less. Its 95 % interval comes from the "
        "medians of the rounds. p99.9 is what one in a thousand exceeds; a dash stands where there were too few "
        "decisions for that. Fuel, memory and sizes are the same in every run with the same wasmtime; times are not. "
        "Colours: Okabe and Ito, which colour-blind readers tell apart; nothing is said by colour alone."
    )
    return tag("footer", tag("p", escaped(how)), tag("p", f"wasmguard {escaped(document['version'])}"))


def section(head: str, *parts: str) -> str:
    """A heading and what stands below it."""
    return tag("section", tag("h2", escaped(head)), *parts)


def figure(caption: str, plot: str, *below: str) -> str:
    """A plot, what its marks mean (markup) above it, and its key below."""
    return tag("figure", tag("figcaption", figures.kept(caption)), plot, *below) if plot else ""


def folded(inside: str, rows: int) -> str:
    """A table that repeats a plot, closed if it is long."""
    opened = ' open=""' if rows <= LONG else ""
    return f"<details{opened}><summary>The figures</summary>{inside}</details>"


def _when(there: object, markup: str) -> str:
    return markup if there else ""
