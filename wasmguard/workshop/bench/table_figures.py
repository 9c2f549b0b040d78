"""The figures of a benchmark as tables: times, what is exact, where the time goes, sizes of events, paths, others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench import words
from wasmguard.workshop.bench.bars import bar, distribution, parted
from wasmguard.workshop.bench.table_paper import Column
from wasmguard.workshop.bench.variant import BESIDE, CELL, CHAIN, FLOOR, LIBRARY, PARTS, POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmguard.workshop.bench.table_paper import Cell, Paper

    Row = dict[str, Any]

FEW = 3  # as many policies are listed where a table is a detail; of more, their mean, or the chain
NAMES = 16  # columns of a policy's name on a narrow terminal
INSIDE = {CELL: "a jailed process", LIBRARY: "the same process"}
LETTERS = "eivdgc"  # of `PARTS`, in their order
COLOURS = ("cyan", "blue", "green", "cyan", "yellow", "magenta")
STYLES = {FLOOR: "dim", CHAIN: "bold"}
MOST_SIZES = 6
WIDE = 110  # columns of a terminal that has room for remarks
OUTSIDE = "from outside"


def times(paper: Paper, document: dict[str, Any]) -> None:
    """A table for each path within a process, and one for those that are reached from outside."""
    for path, about in INSIDE.items():
        if rows := [row for row in document["rows"] if row["path"] == path]:
            _times(paper, rows, f"{path}, {about}", lambda row: str(row["subject"]))
    if rows := _outside(document):
        _times(paper, rows, OUTSIDE, _way)


def costs(paper: Paper, document: dict[str, Any]) -> None:
    """What is exact: fuel, memory, sizes; and what it takes to get a policy ready."""
    policies = document["policies"]
    if not policies:
        return
    limits: dict[str, list[str]] = {}
    for policy in policies:
        limits.setdefault(_limits(policy["limits"]), []).append(words.name(policy["name"]))
    paper.title("Fuel and sizes, exact", f"limits: {next(iter(limits))}" if len(limits) == 1 else "")
    names = paper.more(max(len(policy["name"]) for policy in policies), NAMES)
    heads = (
        ("min fuel", 9),
        ("median", 8),
        ("max", 8),
        (_of(policies), 8),
        ("memory", 8),
        ("module", 8),
        ("compile", 8),
    )
    columns = [Column("policy", names, left=True), *(Column(*head) for head in heads), Column("load", 7)]
    paper.table(columns, [("", _costs(policy)) for policy in policies])
    for said, whose in limits.items() if len(limits) > 1 else ():
        paper.prose(f"limits of {', '.join(whose)}: {said}", "dim")
    for policy in policies:
        if faults := policy["effects"]["fault"]:
            events = f"{sum(policy['effects'].values())} events"
            paper.prose(f"{words.name(policy['name'])}: {faults} of {events} ended in a fault", first=("! ", "yellow"))


def parts(paper: Paper, document: dict[str, Any]) -> None:
    """Where the time of a decision goes: each policy, or the mean of many."""
    known = [policy for policy in document["policies"] if policy.get("split")]
    if not known:
        return
    rows = [(policy["name"], policy["split"]) for policy in known]
    if len(known) > FEW:
        rows = [(f"mean of {len(known)}", {part: _mean([split[part] for _, split in rows]) for part in PARTS})]
    paper.title("Where the time of a decision goes, us")
    names = paper.more(max(len(name) for name, _ in rows), NAMES)
    columns = [Column("policy", names, left=True)]
    columns += [Column(part, max(7, len(part) + 1)) for part in PARTS]
    drawing = Column("in this order", 80 - NAMES - sum(column.width for column in columns[1:]), left=True)
    paper.table([*columns, drawing], [("", [words.name(name), *_split(paper, split, drawing)]) for name, split in rows])
    paper.prose("gate: event, protection, grants, state; carry: to a jailed process and back", "dim")


def by_size(paper: Paper, document: dict[str, Any]) -> None:
    """Times by the size of the event, if there are three sizes of one kind at least."""
    found = sized(document)
    if found is None:
        return
    listed, places, rows = found
    places = places[-MOST_SIZES:]
    path = next((path for path in INSIDE if any(row["path"] == path for row in rows)), rows[0]["path"])
    rows = [row for row in rows if row["path"] == path and row["kind"] not in BESIDE]
    rows.sort(key=lambda row: (FLOOR, POLICY, CHAIN).index(row["kind"]))
    if len([row for row in rows if row["kind"] == POLICY]) > FEW:
        rows = [row for row in rows if row["kind"] in (FLOOR, CHAIN)]
    paper.title(f"By the size of a {words.name(listed[places[0]]['tool'], 24)}, p50", path)
    columns = [Column("policy", paper.more(30, NAMES), left=True)]
    columns += [Column(_called(listed[place]), 10) for place in places]
    paper.table(columns, [(STYLES.get(row["kind"], ""), _of_sizes(row, places)) for row in rows])


def sized(document: dict[str, Any]) -> tuple[list[Row], list[int], list[Row]] | None:
    """Events, the places of those of one tool that differ in size, smallest first, and the rows that know their times;
    None if there are not three sizes."""
    within = document["sizes"] or document
    listed, rows = within["events"]["list"], within["rows"]
    by_tool: dict[str, dict[int, int]] = {}
    for place, event in enumerate(listed):
        if event["tool"]:
            by_tool.setdefault(event["tool"], {}).setdefault(event["bytes"], place)
    most = max(by_tool.values(), key=len, default={})
    places = [most[number] for number in sorted(most)]
    if len(places) < 3 or listed[places[-1]]["bytes"] < 4 * listed[places[0]]["bytes"]:
        return None
    known = [row for row in rows if {by["event"] for by in row["by_event"]} & set(places)]
    return (listed, places, known) if known else None


def paths(paper: Paper, document: dict[str, Any]) -> None:
    """Each way to a decision beside its floor, and what comes on top of it."""
    rows = [*_whole(document), *_outside(document)]
    if len({row["path"] for row in rows}) < 2 and not _outside(document):
        return
    floors = {row["id"]: row for row in document["rows"]}
    paper.title("By path, beside its floor")
    columns = [Column("path", 20, left=True), Column("p50", 8), Column("p99", 8), Column("floor", 22, left=True)]
    columns += [Column("its p50", 8), Column("ratio", 6), Column("on top", 8)]
    paper.table(columns, [("", _beside(row, floors.get(row["floor"]))) for row in rows])
    own = "null policy: wasmguard with a policy that does nothing"
    paper.prose(f"{own}; others: without it" if _outside(document) else own, "dim")


def others(paper: Paper, document: dict[str, Any]) -> None:
    """What is not ours, and all of ours, the fastest first."""
    peers = [row for row in document["rows"] if row["kind"] in BESIDE]
    if not peers:
        return
    ours = [] if any(words.ours(row) for row in peers) else [*_whole(document), *_outside(document)]
    rows = sorted([*peers, *ours], key=lambda row: float(row["median"]))
    least, most = _scale(rows)
    paper.title("Compared with others, on the same events", f"{words.within(least, most)}, log")
    columns = [Column("who", 30, left=True), Column("min", 9), Column("p50", 9), Column("p99", 9)]
    columns += [Column("", 23, left=True)]
    if paper.width >= WIDE:
        columns += [Column("what", paper.width - 80, left=True)]
    lines = [("bold" if words.ours(row) else "", _other(paper, row, least, most)[: len(columns)]) for row in rows]
    paper.table(columns, lines)


def _times(paper: Paper, rows: Sequence[Row], about: str, named: Any) -> None:
    size, unit = (1_000.0, "ms") if max(row["median"] for row in rows) >= 10_000 else (1.0, "us")
    least, most = _scale(rows)
    fastest = max(map(_speed, rows)) or 1.0
    paper.title(f"Time of a decision, {unit}: {about}", f"{words.within(least, most)}, log")
    speeds = 0 if about == OUTSIDE else 5  # those have long names instead
    names = paper.more(max(len(named(row)) for row in rows), NAMES + 5 - speeds)
    columns = [Column("path" if about == OUTSIDE else "policy", names, left=True), Column("min", 6)]
    columns += [Column("p50", 6), Column("+/-", 5), Column("p90", 6), Column("p99", 6), Column("p99.9", 6)]
    columns += [Column("max", 6), Column("per s", 8), Column("", speeds, left=True), Column("", 10, left=True)]
    if not speeds:
        del columns[-2]
    lines: list[tuple[str, list[Cell]]] = []
    for row in rows:
        speed = bar(_speed(row) / fastest, 4, simple=paper.simple)
        drawn = distribution(row["histogram"], least, most, 9, simple=paper.simple)
        figures = [_figure(row, key, size) for key in ("min", "median", "p90", "p99", "p999", "max")]
        cells: list[Cell] = [words.name(named(row)), *figures[:2], _spread(row), *figures[2:]]
        cells += [f"{_speed(row):,.0f}", *([[(speed, "cyan")]] if speeds else []), [(drawn, "cyan")]]
        lines.append((STYLES.get(row["kind"], ""), cells))
    paper.table(columns, lines)
    for row in rows:
        if rate := row["rate"]:
            late = f"{rate['reached']:,.0f} reached, {words.share(rate['late'])} began more than 1 ms late"
            paper.prose(f"{words.name(named(row))}: {rate['asked']:,g} a second asked, {late}", "dim")


def _speed(row: Row) -> float:
    """Decisions in a second: as many as there were if they came at a rate, where times are those of waiting, too."""
    return float(row["rate"]["reached"] if row["rate"] else row["per_second"])


def _scale(rows: Sequence[Row]) -> tuple[float, float]:
    """Between which times distributions are drawn; the slowest thousandth, or hundredth of few, is drawn at the end."""
    last = (row["p999" if row["n"] >= words.AT_LEAST["p999"] else "p99"] for row in rows)
    return max(0.001, min(row["min"] for row in rows)), max(last)


def _figure(row: Row, key: str, size: float) -> str:
    """A time in the unit of its table, or with a larger one if it is too long for its column. No percentile that has
    nothing beyond it: of 300 times, the 99.9th is only another word for the longest."""
    if row["n"] < words.AT_LEAST.get(key, 0):
        return "-"
    if row[key] / size < 9_999.5:
        return words.digits(row[key] / size)
    return words.time(row[key], 2).replace(" ", "")


def _spread(row: Row) -> str:
    if row["low"] is None or not row["median"]:
        return "-"
    percent = 100 * max(row["high"] - row["median"], row["median"] - row["low"]) / row["median"]
    if percent > 99:
        return ">99%"
    return f"{percent:.0f} %" if percent >= 1 else "<1 %"


def _outside(document: dict[str, Any]) -> list[Row]:
    return [row for row in document["rows"] if row["path"] not in INSIDE and row["kind"] not in (FLOOR, *BESIDE)]


def _whole(document: dict[str, Any]) -> Iterator[Row]:
    """Of each path within a process, the row of all policies, or that of the only one."""
    for path in INSIDE:
        rows = [row for row in document["rows"] if row["path"] == path]
        chain = [row for row in rows if row["kind"] == CHAIN]
        yield from chain or [row for row in rows if row["kind"] == POLICY][:1]


def _way(row: Row) -> str:
    path, subject = str(row["path"]), str(row["subject"])
    same = row["kind"] == CHAIN and subject in {CHAIN, path.replace("-", " ")}  # who is the only one of its path
    return path if same else f"{path} {subject}"


def _limits(limits: dict[str, int]) -> str:
    sizes = f"{words.size(limits['memory'])} memory, {words.size(limits['module'])} module"
    return f"{words.fuel(limits['fuel'])} fuel, {sizes}, {limits['clock']} ms"


def _costs(policy: dict[str, Any]) -> list[str]:
    spent = policy["fuel"]
    return [
        words.name(policy["name"]),
        *(words.fuel(spent[key]) for key in ("min", "median", "max")),
        "-" if spent["max"] is None else words.share(policy["used"]["fuel"]).replace("< ", "<"),
        "-" if policy["memory"] is None else words.size(policy["memory"]),
        words.size(policy["bytes"]),
        words.time(policy["compile"] * 1e6, 2),
        words.time(policy["load"] * 1e6, 2),
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _split(paper: Paper, split: dict[str, float | None], drawing: Column) -> Iterator[Cell]:
    for part in PARTS:
        value = split[part]
        yield "-" if value is None else words.digits(value)
    shares = parted([max(0.0, split[part] or 0.0) for part in PARTS], drawing.width - 1)
    drawn = zip(LETTERS, shares, COLOURS, strict=True)
    yield [(letter * count, f"reverse {colour}") for letter, count, colour in drawn]


def _called(event: dict[str, Any]) -> str:
    """What an event is called beside others of its tool: `50 kB`, of `Write 50 kB`; else its size."""
    rest = words.name(event["name"].removeprefix(event["tool"]).strip())
    return (
        rest if rest and len(rest) < 10 and event["name"].startswith(event["tool"]) else words.payload(event["bytes"])
    )


def _of_sizes(row: Row, places: Sequence[int]) -> list[str]:
    medians = {by["event"]: by["median"] for by in row["by_event"]}
    shown = [words.time(medians[place]) if place in medians else "-" for place in places]
    return [words.name(row["subject"]), *shown]


def _beside(row: Row, floor: Row | None) -> list[str]:
    own = [words.name(_way(row)), words.time(row["median"]), words.percentile(row)]
    if floor is None:
        return [*own, "-", "-", "-", "-"]
    ours = row["median"] - floor["median"]
    ratio = f"{words.digits(row['median'] / floor['median'], 2)} x" if floor["median"] else "-"
    return [*own, words.name(floor["subject"]), words.time(floor["median"], 2), ratio, words.time(ours, 2)]


def _other(paper: Paper, row: Row, least: float, most: float) -> list[Cell]:
    drawn = distribution(row["histogram"], least, most, 22, simple=paper.simple)
    who = row["subject"] if row["kind"] in BESIDE else f"wasmguard: {_way(row)}"
    figures = [words.time(row["min"]), words.time(row["median"]), words.percentile(row)]
    return [words.name(who), *figures, [(drawn, "cyan")], words.name(row["about"])]


def _of(policies: Sequence[dict[str, Any]]) -> str:
    """The head of the column that says which share of the fuel is used."""
    fuel = {policy["limits"]["fuel"] for policy in policies}
    return f"of {words.fuel(fuel.pop())}" if len(fuel) == 1 else "share"
