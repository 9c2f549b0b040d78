"""What a benchmark comes to: checks, comparisons, crafted inputs, and how its figures are to be read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench import words
from wasmguard.workshop.bench.baseline import FUEL
from wasmguard.workshop.bench.table_paper import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmguard.workshop.bench.table_paper import Cell, Paper, Piece

OK: Piece = ("ok      ", "green")
FAILED: Piece = ("FAILED  ", "bold red")
CHANGED: Piece = ("changed ", "yellow")
UNSURE: Piece = ("unsure  ", "yellow")
NOTE: Piece = ("note    ", "dim")
CALM = (("same", "the same"), ("faster", "faster"))
MOST = 12  # lines of one kind; what is more is counted


def briefly(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Whether something got worse, or which version is slower: a sentence for each, and its style."""
    if both := document["compare"]:
        old, new = _versions(document)
        times = [f"{_differs(one)} by `{one['path']}`" for one in both["time"]] or ["time cannot be told"]
        yield f"{new} against {old}: {', '.join(times)}; {_burns(both['fuel'])}", "bold"
    if held := document["check"]:
        since = f"since {words.name(held['baseline'])}"
        if held["ok"]:
            yield f"nothing got worse {since}{_doubt(held['time'])}", "bold green"
            return
        worse = [one for one in held["fuel"] if one["change"] > FUEL]
        most = max(worse, key=lambda one: float(one["change"]), default=None)
        said = (
            [f"{words.name(most['policy'])} burns {words.change(most['change'])} fuel at {words.name(most['event'])}"]
            if most
            else []
        )
        slow = [one for one in held["time"] if one["verdict"] == "slower"]
        said += [f"{words.name(one['id'])} takes {words.ratio(one['ratio'])} its time" for one in slow[:1]]
        more = max(len(worse) - 1, 0) + max(len(slow) - 1, 0)
        said += [f"{more} more below"] if more else []
        yield f"something got worse {since}: {', '.join(said) or 'see below'}", "bold red"


def check(paper: Paper, document: dict[str, Any]) -> None:
    """Whether anything got worse than in the baseline, and what."""
    held = document["check"]
    if held is None:
        return
    paper.title(f"Checked against {words.name(held['baseline'])}")
    slower = [one for one in held["time"] if one["verdict"] == "slower"]
    burnt = sorted(held["fuel"], key=lambda one: -float(one["change"]))
    _some(paper, FAILED, (_burnt(one) for one in burnt if one["change"] > FUEL))
    _some(paper, CHANGED, (_burnt(one) for one in burnt if one["change"] <= FUEL))
    _some(paper, FAILED, (_slower(one) for one in slower))
    _some(paper, CHANGED, (f"answer of {_place(one)}" for one in held["answers"]))
    if not held["fuel"]:
        paper.prose("fuel is the same for all events", first=OK)
    count = Counter(one["verdict"] for one in held["time"])
    if count["same"] or count["faster"]:
        said = ", ".join(f"{count[which]} {told}" for which, told in CALM if count[which])
        paper.prose(f"times, of {len(held['time'])}: {said}", first=OK)
    _some(paper, UNSURE, (_slower(one) for one in held["time"] if one["verdict"] == "noise"))
    _some(paper, NOTE, (words.name(note, 300) for note in held["notes"]))
    paper.prose("nothing got worse" if held["ok"] else "something got worse", first=OK if held["ok"] else FAILED)


def compared(paper: Paper, document: dict[str, Any]) -> None:
    """Two versions of one policy on the same events."""
    both = document["compare"]
    if both is None:
        return
    before, after = _versions(document)
    paper.title(f"{after} compared with {before}")
    if (before, after) != (both["before"], both["after"]):
        paper.prose(f"above {before} is {words.name(both['before'], 40)}, {after} is {words.name(both['after'], 40)}")
    for one in both["time"]:
        style = {"slower": "red", "faster": "green"}.get(one["verdict"], "")
        paper.prose(f"time of {one['path']}: {_differs(one)}{_times_as_much(one)}", style)
    if not both["time"]:
        paper.prose("time: cannot tell, they were not measured on the same events", "yellow")
    paper.prose(f"{_burns(both['fuel'])}, {len(both['fuel'])} events")
    memory = " to ".join("-" if number is None else words.size(number) for number in both["memory"])
    paper.prose(f"module {words.size(both['bytes'][0])} to {words.size(both['bytes'][1])}; memory {memory}")
    _some(paper, CHANGED, (_answer(one) for one in both["answers"]))
    if not both["answers"]:
        paper.prose("the same answers to all events", first=OK)


def _doubt(times: Sequence[dict[str, Any]]) -> str:
    """How much of it cannot be told."""
    if not times:
        return " in fuel; times cannot be compared"
    unsure = sum(one["verdict"] == "noise" for one in times)
    return f", as far as can be told: {unsure} of {len(times)} times drown in noise" if unsure else ""


def _versions(document: dict[str, Any]) -> tuple[str, str]:
    """What a person called the two versions of a policy, which mostly has the same name in both."""
    modules = {one["name"]: one["module"] for one in document["policies"]}
    names = [document["compare"][which] for which in ("before", "after")]
    before, after = (words.name(modules.get(policy, policy), 40) for policy in names)
    return (words.name(names[0], 40), words.name(names[1], 40)) if before == after else (before, after)


def crafted(paper: Paper, document: dict[str, Any]) -> None:
    """What became of inputs that an agent could craft."""
    tried = document["adversarial"]
    if tried is None:
        return
    stood = sum(one["ok"] for one in tried)
    paper.title("Inputs that an agent could craft", f"{stood} of {len(tried)} stood")
    by_input: dict[str, list[dict[str, Any]]] = {}
    for one in tried:
        by_input.setdefault(one["input"], []).append(one)
    columns = [Column("input", 30, left=True), Column("size", 8), Column("slowest, ms", 12), Column("allowed", 8)]
    columns += [Column("policy", 15, left=True), Column("", 7, left=True)]
    paper.table(columns, [_tried(shown, cases) for shown, cases in by_input.items()])
    for one in tried:
        if not one["ok"]:
            met = f"{words.name(one['plain'])} became {words.name(one['effect'])}"
            said = f"{words.name(one['input'])}, {words.name(one['policy'])}: {met}: {words.name(one['why'])}"
            paper.prose(said, first=FAILED)


def reading(paper: Paper, document: dict[str, Any]) -> None:
    """What measuring costs, what is missing, and how to read it all."""
    paper.line()
    if cost := document["measuring"]:
        paper.prose(f"measuring costs {_overhead(cost)}", "dim", indent="")
    how = "min is the quiet machine, p50 what you will see, +/- its 95 % interval"
    paper.prose(how, "dim", indent="")
    told = words.headline(document)
    if told and told["path"] in words.INSIDE and not words.hook(document) and not document["compare"]:
        paper.prose("a call that comes by a hook also takes its process: see --path native-client", "dim", indent="")
    for missing in document["missing"]:
        paper.prose(f"not measured: {words.name(missing, 300)}", "dim", indent="")


def _tried(shown: str, cases: Sequence[dict[str, Any]]) -> tuple[str, list[Cell]]:
    """A line for one input: who took longest of its time."""
    worst = max(cases, key=lambda one: float(one["milliseconds"]) / (one["bound"] or 1))
    ok = all(one["ok"] for one in cases)
    figures = [words.digits(worst[key], 2) for key in ("milliseconds", "bound")]
    cells = [words.name(shown), words.payload(worst["bytes"]), *figures, words.name(worst["policy"])]
    return ("" if ok else "red", [*cells, "ok" if ok else "FAILED"])


def _overhead(cost: dict[str, Any]) -> str:
    low, high = cost["low"], cost["high"]
    said = f"{words.time(cost['nanoseconds'] / 1_000)} a decision, {words.share(cost['share'])} of the null policy"
    if low is None:
        return said
    return f"{said}; blocks with a clock took {words.change(low)} to {words.change(high)} longer than blocks without"


def _some(paper: Paper, first: Piece, said: Iterator[str]) -> None:
    """A line for each, up to as many as anybody reads."""
    listed = list(said)
    for one in listed[:MOST]:
        paper.prose(one, first=first)
    if len(listed) > MOST:
        paper.prose(f"{len(listed) - MOST} more: see --json", first=first)


def _place(one: dict[str, Any]) -> str:
    return f"{words.name(one['policy'])} to {words.name(one['event'])}"


def _burnt(one: dict[str, Any]) -> str:
    amounts = f"{words.fuel(one['before'])} to {words.fuel(one['after'])}"
    return f"fuel of {_place(one)}: {amounts} ({words.change(one['change'])})"


def _slower(one: dict[str, Any]) -> str:
    why = words.name(one["why"], 300)
    if one["ratio"] is None:
        return f"time of {words.name(one['id'])}: cannot be told: {why}"
    times = f"{words.time(one['before'])} to {words.time(one['after'])}"
    return f"time of {words.name(one['id'])}: {times}{_times_as_much(one)}: {why}"


def _differs(one: dict[str, Any]) -> str:
    """What is said of two versions' times: no more than noise lets tell."""
    return "no difference beyond noise" if one["verdict"] == "no difference" else words.name(one["verdict"])


def _times_as_much(one: dict[str, Any]) -> str:
    if one["ratio"] is None:
        return ""
    interval = "" if one["low"] is None else f" ({one['low']:.3f} to {one['high']:.3f})"
    return f", {one['ratio']:.3f} x{interval}"


def _burns(each: list[dict[str, Any]]) -> str:
    """The fuel of all events: the least and the most change."""
    changes = sorted(one["after"] / one["before"] - 1 for one in each if one["before"] and one["after"] is not None)
    if not changes:
        return "fuel cannot be told"
    if all(one["before"] == one["after"] for one in each):
        return "fuel the same"
    least, most = words.change(changes[0]), words.change(changes[-1])
    return f"fuel {least}" if least == most else f"fuel {least} to {most}"


def _answer(one: dict[str, Any]) -> str:
    return f"answer to {words.name(one['event'])}: {words.name(one['before'], 200)} -> {words.name(one['after'], 200)}"
