"""What was counted as one HTML page, for whoever has no terminal: a head, plots, tables.

It keeps the promises of the page of `wasmguard bench` (`wasmguard.workshop.bench.page`), and is made of its parts: no
script and nothing from elsewhere, every text escaped, light and dark, what a plot shows also in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.version import __version__
from wasmguard.workshop.bench import page_figures as figures
from wasmguard.workshop.bench.page import CSP, figure, section
from wasmguard.workshop.bench.page_style import STYLE
from wasmguard.workshop.bench.page_tables import named, table
from wasmguard.workshop.bench.svg import Plot, Row, Scale, bar, escaped, image, in_rows, label, line, listed, tag
from wasmguard.workshop.columns import latency
from wasmguard.workshop.stats.table import WORDS, share, since

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS = 20  # rows of a plot at the most
HIGH, FOOT = 90, 20  # pixels: the days' bars, the dates below them
BAND = 14  # pixels of one tool's bar


def page(document: dict[str, Any], shadows: dict[str, Any] | None = None) -> str:
    """What `counting.counted` found, and `shadows.shadowed` if it was asked for, as HTML that needs no network."""
    parts = [
        _head(document),
        _days(document["days"]),
        _times(document["latency"]),
        _tools(document["tools"]),
        _policies(document["policies"]),
        _reasons(document["reasons"]),
        _shadows(shadows),
        tag("footer", tag("p", f"wasmguard {escaped(__version__)}")),
    ]
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        tag("title", "wasmguard stats"),
        f"<style>{STYLE}</style>",
    ]
    body = f"<body>{tag('main', *parts)}</body>"
    return "\n".join(["<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", body, "</html>", ""])


def _head(document: dict[str, Any]) -> str:
    effects = document["effects"]
    decisions = sum(effects.values())
    begun = f"since {since(document)}" if document["since"] else "there are no records yet"
    conditions = ", ".join(f"{key} {value}" for key, value in document["conditions"].items())
    words = [f"{figures.whole(number)} {WORDS[effect]}" for effect, number in effects.items()]
    facts = [("Decisions", figures.whole(decisions)), ("Outcomes", ", ".join(words)), ("Only", conditions)]
    denied = effects["deny"]
    part = tag("strong", escaped(share(denied / decisions))) if decisions else ""
    many = figures.many(decisions, "decision")
    answer = f"{part} of {escaped(many)} {'was' if denied == 1 else 'were'} denied." if decisions else "No decisions."
    under = tag("p", escaped(f"wasmguard stats, {begun}"), class_="under")
    listed_facts = [tag("dt", escaped(key)) + tag("dd", escaped(figures.kept(said))) for key, said in facts if said]
    title = tag("header", tag("h1", "What the guard did"), under)
    return title + tag("dl", *listed_facts) + tag("p", figures.kept(answer), class_="answer")


def _days(days: Sequence[dict[str, Any]]) -> str:
    most = max((day["decisions"] for day in days), default=0)
    if not most:
        return ""
    wide = 1 / len(days)
    drawn = [line(0, HIGH, 1, HIGH, class_="base")]
    for place, day in enumerate(days):
        start, end = place * wide + 0.12 * wide, (place + 1) * wide - 0.12 * wide
        for what, klass in (("decisions", "mark"), ("denied", "part-5")):
            high = max(HIGH * day[what] / most, 1.5 if day[what] else 0)
            if high:
                drawn.append(bar(start, end, HIGH - high, high, class_=klass))
    drawn.append(label(days[0]["day"], "0%", HIGH + 15, class_="tick"))
    if len(days) > 1:
        drawn.append(label(days[-1]["day"], "100%", HIGH + 15, class_="tick", text_anchor="end"))
    told = listed([f"{day['day']}: {day['decisions']:,} decisions, {day['denied']:,} denied" for day in days])
    key = [
        tag("li", tag("span", "", class_="swatch", style="background:var(--mark)"), tag("b", "decisions")),
        tag("li", tag("span", "", class_="swatch part-5"), tag("b", "denied"), ", the lower part"),
    ]
    plot = image("days", "Decisions per day", f"Bars, a day each. {told}", HIGH + FOOT, *drawn)
    rows = [[escaped(day["day"]), figures.whole(day["decisions"]), figures.whole(day["denied"])] for day in days]
    caption = f"The highest bar is {figures.many(most, 'decision')}."
    days_table = table("Decisions per day", ["day", "decisions", "denied"], rows)
    folded = f"<details><summary>The figures</summary>{days_table}</details>"
    return section("Per day", figure(caption, plot, tag("ul", *key, class_="key")), folded)


def _times(times: dict[str, Any]) -> str:
    if times["p50_us"] is None:
        return ""
    words = [
        f"{name}\N{NO-BREAK SPACE}{'at most ' * (name == 'max')}{latency(times[f'{name}_us'])}"
        for name in ("p50", "p90", "p99", "max")
    ]
    scale = Scale.around([edge for edge, _ in times["histogram"]], log=True)
    highest = max(number for _, number in times["histogram"])
    band = 40.0
    marks = [line(0, band, 1, band, class_="base")]
    for edge, number in times["histogram"]:
        high = max(band * number / highest, 1.5)
        start, end = scale.place(edge / 2 ** (1 / 16)), scale.place(edge)
        marks.append(bar(start, end, band - high, high, class_="mark"))
    plot = Plot(
        name="times",
        title="Time per decision",
        description=f"How many decisions took how long, on a logarithmic axis: {', '.join(words)}.",
        scale=scale,
        said=figures.tick_of_time,
        band=band,
    )
    rows = [Row(name="all decisions", figure=f"p50 {latency(times['p50_us'])}", marks=tuple(marks))]
    return section("Time per decision", tag("p", escaped(", ".join(words) + ".")),
                   figure("How many decisions took so long, on a logarithmic axis.", in_rows(plot, rows)))  # fmt: skip


def _tools(tools: Sequence[dict[str, Any]]) -> str:
    if not tools:
        return ""
    shown = tools[:BARS]
    scale = Scale.around([tool["calls"] for tool in shown])
    told = listed([f"{tool['tool']}: {tool['calls']:,} calls, {tool['denied']:,} denied" for tool in shown])
    plot = Plot(
        name="tools",
        title="Calls of each tool",
        description=told,
        scale=scale,
        said=figures.brief,
        band=BAND,
    )
    rows = [
        Row(
            name=tool["tool"],
            figure=figures.many(tool["calls"], "call"),
            marks=(
                bar(0, scale.place(tool["calls"]), 0, BAND, class_="mark"),
                *([bar(0, scale.place(tool["denied"]), BAND / 2, BAND / 2, class_="part-5")] if tool["denied"] else []),
            ),
        )
        for tool in shown
    ]
    keys = ("calls", "denied", "asked", "rewritten", "results", "errors")
    return section(
        "Tools",
        figure("Bar: calls. In its lower half: those that were denied.", in_rows(plot, rows)),
        table(
            "Calls of each tool; the error rate is among the calls that came to a result",
            ["tool", *keys, "error rate"],
            (
                [named(tool["tool"]), *(figures.whole(tool[key]) for key in keys), share(tool["error_rate"])]
                for tool in tools
            ),
        ),
    )


def _policies(policies: Sequence[dict[str, Any]]) -> str:
    keys = ("asked", "denied", "asks", "faults", "fuel")
    if not policies:
        return ""
    rows = ([named(policy["policy"]), *(figures.whole(policy[key]) for key in keys)] for policy in policies)
    heads = ["policy", "asked", "said deny", "said ask", "faults", "fuel, mean"]
    return section("Policies", table("What each policy was asked and said", heads, rows))


def _reasons(reasons: Sequence[dict[str, Any]]) -> str:
    if not reasons:
        return ""
    rows = (
        [named(reason["policy"]), escaped(reason["reason"] or "no reason"), figures.whole(reason["n"])]
        for reason in reasons
    )
    caption = "The most frequent reasons, in the words of policies (untrusted text)"
    return section("Reasons", table(caption, ["policy", "reason", "times"], rows, texts=[1]))


def _shadows(document: dict[str, Any] | None) -> str:
    if not document or not document["shadows"]:
        return ""
    keys = ("stricter", "looser", "rewrite differs", "fault")
    rows = (
        [
            named(row["policy"], f"beside {row['of']}" if row["of"] else ""),
            figures.whole(row["asked"]),
            share(row["agreement"]),
            *(figures.whole(row[key]) for key in keys),
            escaped(_examples(row["examples"])),
        ]
        for row in document["shadows"]
    )
    heads = ["shadow", "asked", "agrees", *keys, "records to look at"]
    return section("Shadows", table("What shadows would have decided", heads, rows, texts=[7]))


def _examples(examples: dict[str, list[int]]) -> str:
    return "; ".join(f"{what}: {', '.join(map(str, seqs))}" for what, seqs in examples.items())
