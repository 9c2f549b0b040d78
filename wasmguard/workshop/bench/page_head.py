"""The head of the report: what was measured and on what, what to mind, and the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench import page_figures as figures
from wasmguard.workshop.bench import words
from wasmguard.workshop.bench.svg import escaped, tag
from wasmguard.workshop.bench.variant import PEER, POLICY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def measured(document: dict[str, Any]) -> str:
    """What was measured, on what machine, and what speaks against the figures."""
    events, machine = document["events"], document["machine"]
    title = tag("h1", "What a call costs")
    under = f"wasmguard bench {document['version']}, {document['began'].replace('T', ' ').replace('Z', ' UTC')}"
    known = [(name, said) for name, said in (*_run_facts(document), *_machine_facts(machine)) if said]
    facts = tag("dl", *(tag("dt", escaped(name)) + tag("dd", escaped(figures.kept(said))) for name, said in known))
    notes = list(machine.get("warnings", []))
    if not document["complete"]:
        notes.insert(0, "stopped before the end: what follows is what was measured until then")
    if not events["list"]:
        notes.append("no events: nothing was asked")
    return "".join(
        [
            tag("header", title, tag("p", escaped(under), class_="under")),
            tag("code", escaped(document["command"]), class_="command"),
            facts,
            note("Read with care", notes),
        ]
    )


def _run_facts(document: dict[str, Any]) -> Iterable[tuple[str, str]]:
    events, cost = document["events"], document["measuring"]
    sizes = [event["bytes"] for event in events["list"]]
    ends = f", {figures.payload(min(sizes))} to {figures.payload(max(sizes))}" if sizes else ""
    yield (
        "Events",
        f"{figures.many(len(sizes), 'event')} from {events['source']}{ends} (sha256 {events['digest'][:12]})",
    )
    yield "Run", f"{document['seconds']:g} s, variants in turns" if document["rows"] else f"{document['seconds']:g} s"
    if cost:
        between = ""
        if cost.get("low") is not None and cost.get("high") is not None:
            ends = f"{figures.signed(cost['low'])} to {figures.signed(cost['high'])}"
            between = f"; blocks with a clock took {ends} longer than blocks without (95 %)"
        yield (
            "Measuring itself",
            (
                f"{figures.time(cost['nanoseconds'] / 1e3)} a decision: "
                f"{figures.signed(cost['share'])} of a null policy's time{between}"
            ),
        )


def _machine_facts(machine: dict[str, Any]) -> Iterable[tuple[str, str]]:
    cores = machine.get("cores")
    if machine.get("processor"):
        said = f"{machine['processor']}, {figures.many(cores, 'core')}" if cores else str(machine["processor"])
        if cores and machine.get("usable") not in (None, cores):
            said += f", {machine['usable']} usable"
        yield "Processor", said + (", in a virtual machine" if machine.get("virtual") else "")
    yield "Governor", machine.get("governor") or "not known"
    yield "Memory", figures.size(machine["memory"]) if machine.get("memory") else ""
    yield (
        "Software",
        ", ".join(
            str(said)
            for said in (machine.get("kernel"), machine.get("python"), _named("wasmtime", machine.get("wasmtime")))
            if said
        ),
    )
    loads = [" ".join(f"{value:.2f}" for value in machine.get(key) or []) for key in ("load_before", "load_after")]
    said = f"{loads[0]} before, {loads[1]} after" if all(loads) else loads[0]
    if machine.get("busy") is not None:
        said += f"; others used {figures.share(machine['busy'])} of all cores"
    if machine.get("stolen"):
        said += f", the host took {figures.share(machine['stolen'])}"
    yield "Load", said


def _named(name: str, version: str | None) -> str:
    return f"{name} {version}" if version else ""


def note(head: str, notes: Sequence[str]) -> str:
    """What makes the figures less than they seem."""
    if not notes:
        return ""
    return tag(
        "div",
        tag("strong", escaped(head)),
        tag("ul", *(tag("li", escaped(one)) for one in notes)),
        class_="note",
        role="note",
    )


def answer(document: dict[str, Any]) -> str:
    """What a call costs, in one sentence; the floor in another."""
    row = words.headline(document)
    if row is None:
        others = "only others were." if any(r["kind"] == PEER for r in document["rows"]) else "there are no times."
        return tag("p", f"No policy was measured: {others}", class_="answer")
    whose = "the chain of " + figures.many(len(document["policies"]), "policy", "policies")
    if row["kind"] == POLICY:
        whose = row["subject"]
    cost = tag("strong", escaped(figures.time(row["median"])))
    sure = (
        f"95 %: {figures.between(row['low'], row['high'])}"
        if row["low"] is not None
        else "too few rounds for an interval"
    )
    path = tag("code", escaped(row["path"]))
    first = f"A call costs {cost} at the median ({escaped(sure)}), {escaped(whose)}, path {path}."
    floor = next((r for r in document["rows"] if r["id"] == row["floor"]), None)
    if floor is not None:
        least = tag("strong", escaped(figures.time(floor["median"])))
        first += f" {least} is the floor: {escaped(floor['about'] or floor['subject'])}."
    return tag("p", figures.kept(first), class_="answer")
