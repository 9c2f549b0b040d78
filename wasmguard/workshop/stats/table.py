"""What was counted, on a terminal: 80 columns, in the order in which a person asks.

How much and what came of it; since when, day by day; how long it took; which tools; which policies; why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.decision import OURSELVES
from wasmguard.text import one_line, quoted
from wasmguard.workshop.bench.bars import LEVELS, SIMPLE_LEVELS
from wasmguard.workshop.bench.table_paper import Column, Paper
from wasmguard.workshop.columns import clock, day, latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

TOOLS, POLICIES = 15, 20  # rows at the most
NAME = 24  # columns of a name
WORDS = {"pass": "passed", "allow": "allowed", "ask": "asked", "deny": "denied"}


def tell(document: dict[str, Any], console: Console) -> None:
    """Write what `counting.counted` found."""
    paper = Paper(console)
    decisions = sum(document["effects"].values())
    paper.line((f"{decisions:,} decision{'' if decisions == 1 else 's'}", "bold"), (_since(document), ""))
    if conditions := _conditions(document["conditions"]):
        paper.line((f"  only {conditions}", "yellow"))
    effects = ", ".join(f"{number:,} {WORDS[effect]}" for effect, number in document["effects"].items())
    if decisions:
        paper.prose(effects)
    if document["kinds"]:
        others = {kind: n for kind, n in document["kinds"].items() if kind != "decision"}
        paper.prose(", ".join(f"{n:,} x {name(kind)}" for kind, n in others.items()), "yellow") if others else None
    _days(paper, document["days"])
    _times(paper, document["latency"])
    _tools(paper, document["tools"])
    _policies(paper, document["policies"])
    _reasons(paper, document["reasons"])


def tell_shadows(document: dict[str, Any], console: Console) -> None:
    """Write what `shadows.shadowed` found."""
    paper = Paper(console)
    if not document["shadows"]:
        paper.prose(
            "no shadow was asked: write `shadow = true` or `shadow_of` into a policy, lock, and let it watch", indent=""
        )
        return
    paper.line(("What shadows would have decided", "bold"))
    if conditions := _conditions(document["conditions"]):
        paper.line((f"  only {conditions}", "yellow"))
    if document["of_newest"]:
        paper.line((f"  of the newest {document['of_newest']:,} of these decisions", "yellow"))
    columns = [Column("shadow", NAME, left=True), Column("asked", 10), Column("agrees", 9), Column("stricter", 10)]
    columns += [Column("looser", 8), Column("rewrites", 10), Column("faults", 8)]
    paper.table(columns, [(_shadow_style(row), _shadow_cells(row)) for row in document["shadows"]])
    for row in document["shadows"]:
        for what, seqs in row["examples"].items():
            whose = f" (beside {name(row['of'])})" if row["of"] else ""
            seen = ", ".join(str(seq) for seq in seqs)
            paper.prose(f"{name(row['policy'])}{whose}: {what}: records {seen}", "dim")
    if any(row["examples"] for row in document["shadows"]):
        paper.prose("`wasmguard explain NUMBER` tells what each of them would have done", "dim")


def name(text: object) -> str:
    """A name that somebody gave."""
    return one_line(str(text), 100)


def sparkline(numbers: Sequence[int], *, simple: bool = False) -> str:
    """A mark for each number, as high as its share of the largest; what is more than nothing is seen."""
    levels = SIMPLE_LEVELS if simple else LEVELS
    most = max(numbers, default=0) or 1
    return "".join(levels[-(-number * (len(levels) - 1) // most)] for number in numbers)


def since(document: dict[str, Any]) -> str:
    """From when on was counted; empty if nothing was."""
    begun = document["since"]
    return f"{day(begun)} {clock(begun)[:5]}" if begun else ""


def share(part: float | None) -> str:
    """A share; what is almost nothing or almost all is not rounded to that."""
    if part is None:
        return "-"
    return f"{100 * part:.2f} %" if 0 < part < 0.01 or 0.99 < part < 1 else f"{100 * part:.1f} %"


def _since(document: dict[str, Any]) -> str:
    return f" since {since(document)}" if document["since"] else ": there are no records yet"


def _conditions(conditions: dict[str, str]) -> str:
    return ", ".join(f"{key} {name(value)}" for key, value in conditions.items())


def _days(paper: Paper, days: list[dict[str, Any]]) -> None:
    if not any(day["decisions"] for day in days):
        return
    first, last = days[0]["day"], days[-1]["day"]
    paper.title("Per day", f"{first} to {last}" if first != last else first)
    for what, style in (("decisions", ""), ("denied", "red")):
        numbers = [day[what] for day in days]
        line = sparkline(numbers, simple=paper.simple)
        paper.line((f"  {what:<10}", ""), (line, style or "cyan"), (f"  most {max(numbers):,}", "dim"))


def _times(paper: Paper, times: dict[str, Any]) -> None:
    if times["p50_us"] is None:
        return
    shown = ("p50", "p90", "p99", "max")
    paper.title("Time per decision")
    said = [f"{what} {'at most ' * (what == 'max')}{latency(times[f'{what}_us'])}" for what in shown]
    paper.line(("  " + ", ".join(said), ""))


def _tools(paper: Paper, tools: list[dict[str, Any]]) -> None:
    if not tools:
        return
    paper.title("Tools")
    columns = [Column("tool", NAME, left=True), *(Column(head, 10) for head in ("calls", "denied", "asked"))]
    columns += [Column("rewritten", 10), Column("errors", 8), Column("rate", 8)]
    rows = [
        (
            "",
            [
                name(tool["tool"]),
                *(_number(tool[key]) for key in ("calls", "denied", "asked", "rewritten", "errors")),
                share(tool["error_rate"]),
            ],
        )
        for tool in tools[:TOOLS]
    ]
    paper.table(columns, rows)
    _more(paper, len(tools) - TOOLS, "tool")


def _policies(paper: Paper, policies: list[dict[str, Any]]) -> None:
    if not policies:
        return
    paper.title("Policies", "denied, asked, faults: as often as it said so")
    columns = [Column("policy", NAME, left=True), *(Column(head, 10) for head in ("asked", "denied", "asks"))]
    columns += [Column("faults", 10), Column("fuel, mean", 16)]
    rows = [
        (
            "red" if policy["faults"] else "",
            [name(policy["policy"]), *(_number(policy[key]) for key in ("asked", "denied", "asks", "faults", "fuel"))],
        )
        for policy in policies[:POLICIES]
    ]
    paper.table(columns, rows)
    _more(paper, len(policies) - POLICIES, "policy", "policies")


def _reasons(paper: Paper, reasons: list[dict[str, Any]]) -> None:
    if not reasons:
        return
    paper.title("Reasons", "in the words of policies: untrusted text")
    for reason in reasons:
        own = reason["policy"] == OURSELVES or not reason["reason"]
        why = name(reason["reason"] or "no reason") if own else quoted(name(reason["reason"]))
        paper.prose(why, first=(f"{reason['n']:>9,}  {name(reason['policy'])}: ", ""), indent="")


def _shadow_style(row: dict[str, Any]) -> str:
    return "yellow" if row["looser"] or row["fault"] else ""


def _shadow_cells(row: dict[str, Any]) -> list[str]:
    numbers = [_number(row[key]) for key in ("stricter", "looser", "rewrite differs", "fault")]
    return [name(row["policy"]), _number(row["asked"]), share(row["agreement"]), *numbers]


def _more(paper: Paper, left: int, one: str, more: str = "") -> None:
    if left > 0:
        paper.prose(f"and {left} {one if left == 1 else more or one + 's'} more: `--json` has all", "dim")


def _number(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
