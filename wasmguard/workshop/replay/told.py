"""The document of a replay, in words: what was seen, what changes, what it costs. 80 columns."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from wasmguard.text import one_line
from wasmguard.workshop.columns import WIDTH, beside, counted, day, latency, percent, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Styled = tuple[str, str]

PLACE = 64  # characters of where something is; the end of it counts
NAME = 40  # of a policy or a tool
GROUPS = 20  # that are told; all are in the document
STYLE = {"deny": "deny", "ask": "note", "allow": "pass", "pass": "pass"}
UNIT = "event"


def told(document: Mapping[str, Any]) -> Iterator[Styled]:
    """Lines, each with its style."""
    yield from _head(document)
    yield from _coverage(document)
    yield from _changes(document)
    yield from _costs(document)
    yield from _undecided(document)
    yield "plain", ""
    yield from _verdict(document)


def _head(document: Mapping[str, Any]) -> Iterator[Styled]:
    events = document["events"]
    kinds = ["your records"] if "records" in document["sources"] else []
    if document["files"]:
        kinds.append(counted(document["files"], "file"))
    when = _period(document["first"], document["last"])
    yield "title", "replay"
    yield "plain", beside("from", f"{' and '.join(kinds)}: {counted(events['total'], UNIT)}{when}")
    yield "plain", beside("before", _side(document["before"]) or "nobody: everything passed")
    yield "plain", beside("after", _side(document["after"]))
    if document["resumed_at"]:
        yield (
            "plain",
            beside("went on", f"where an interrupted run was: {counted(document['resumed_at'], UNIT)} before"),
        )
    if document["stateful"]:
        yield "plain", beside("state", "policies that remember things began with nothing")


def _coverage(document: Mapping[str, Any]) -> Iterator[Styled]:
    events, of = document["events"], "calls" if document["events"]["calls"] else "events"
    total = events["calls"] or events["decided"]
    yield "plain", ""
    yield "title", "coverage"
    if not document["coverage"]:
        yield "wrong", f"  none of {counted(total, of[:-1])} is seen by any of these policies"
        return
    for seen in document["coverage"]:
        who = f"`{one_line(seen['policy'], NAME)}`" if seen["policy"] else "any policy"
        yield "plain", f"  {percent(seen['share']):>6} of {total:,} {of} are seen by {who}"
    others = sum(seen["events"] - seen["calls"] for seen in document["coverage"] if not seen["policy"])
    if others and events["calls"]:
        yield "plain", f"  and {counted(others, 'other event')} of {events['decided'] - events['calls']:,}"
    for how in ("redacted", "cut"):
        if events[how]:
            what = "with secrets replaced" if how == "redacted" else "with long texts cut"
            text = f"recorded {what}: decided by what is left of them, which may differ for that alone"
            yield "note", beside(f"{events[how]:,}", text)


def _changes(document: Mapping[str, Any]) -> Iterator[Styled]:
    changes, groups = document["changes"], document["groups"]
    yield "plain", ""
    yield "title", "changes"
    parts = [(changes[name], name[:-1]) for name in ("decisions", "rewrites", "outputs")]
    told = " and ".join(counted(count, name) for count, name in parts if count) or "no decision and no rewrite"
    many = sum(count for count, _ in parts) > 1
    yield "plain", f"  {told} change{'' if many else 's'}, of {document['events']['compared']:,} compared"
    if changes["words"]:
        verb = "differs" if changes["words"] == 1 else "differ"
        yield "plain", f"  {counted(changes['words'], 'other')} {verb} in words only, which is no change"
    for group in groups[:GROUPS]:
        yield from _group(group)
    if len(groups) > GROUPS:
        yield "plain", f"\n  … and {len(groups) - GROUPS:,} groups more: see `--json`"


def _group(group: Mapping[str, Any]) -> Iterator[Styled]:
    what, tool = group["what"], one_line(group["tool"], NAME)
    last = what.partition(",")[0].rpartition(" ")[2]
    head = f"{group['count']:,} x {tool}: {what}, by `{one_line(group['policy'], NAME)}`"
    if group["altered"]:
        head += f" ({group['altered']:,} of them redacted or cut)"
    yield "plain", ""
    for line in wrapped(head, "  "):
        yield STYLE.get(last, "rewrite") if group["counts"] else "plain", line
    for shown in group["examples"]:
        yield from _example(shown)


def _example(shown: Mapping[str, Any]) -> Iterator[Styled]:
    altered = f" ({shown['altered']})" if shown["altered"] else ""
    yield "plain", f"    {_end(shown['where'])}{altered}"
    yield from _lines(shown["input"], "      ")
    for name, style in (("before", "old"), ("after", "new")):
        side = shown[name]
        reason = f": {side['reason']}" if side["reason"] else ""
        yield from _lines(f"{name:6} {side['effect']}{reason}", "      ", style)
        for field, old, new in side.get("rewrite", ()):
            yield from _lines(f"- {field}: {old}", "        ", "old")
            yield from _lines(f"+ {field}: {new}", "        ", "new")
        if "output" in side:
            yield from _lines(f"+ output: {side['output']}", "        ", "new")


def _costs(document: Mapping[str, Any]) -> Iterator[Styled]:
    if not document["costs"]:
        return
    yield "plain", ""
    yield "title", "costs (medians of one time that a policy is asked)"
    yield "plain", f"  {'policy':22} {'asked':>10} {'fuel':>21} {'time':>20}"
    for row in document["costs"]:
        before, after = row["before"] or {}, row["after"] or {}
        asked = (after or before)["asked"]
        fuel = _delta(_fuel(before), _fuel(after))
        sides = (latency(s["microseconds"]) if s.get("microseconds") is not None else "-" for s in (before, after))
        name = one_line(row["policy"], 22)
        yield "plain", f"  {name:22} {asked:>10,} {fuel:>21} {_delta(*sides):>20}"
        for when, side in (("before", before), ("after", after)):
            if side.get("faults"):
                yield "wrong", f"    {counted(side['faults'], 'time')} {when} it had no answer"
    if "recorded" in document["before"]:
        yield "plain", "  Recorded times are those of then: of another process, perhaps another load."


def _fuel(side: Mapping[str, Any]) -> str:
    if side.get("fuel") is None:
        return "-"
    return f"{side['fuel']:,}" if side["fuel_exact"] else f"~{side['fuel']:,}"  # about


def _undecided(document: Mapping[str, Any]) -> Iterator[Styled]:
    if not (document["undecided"] or document["malformed"]):
        return
    yield "plain", ""
    yield "title", "not compared"
    for entry in document["undecided"]:
        yield "note", beside(f"{entry['count']:,}", entry["why"])
        yield "plain", beside("", f"such as {_end(entry['where'][0])}")
    malformed = document["events"]["malformed"]
    if malformed:
        yield "note", beside(f"{malformed:,}", "malformed: no line of JSON that tells of an event")
        for where in document["malformed"]:
            yield "plain", beside("", _end(where))


def _verdict(document: Mapping[str, Any]) -> Iterator[Styled]:
    if not document["complete"]:
        text = "interrupted: this is what was done; the same command goes on from here"
        yield from _lines(text, "", "note")
    elif not document["events"]["compared"]:
        yield from _lines("nothing was compared: name another source, or leave `--since` out", "", "note")
    elif document["changes"]["total"]:
        yield "note", f"{counted(document['changes']['total'], UNIT)} would be decided otherwise"
    else:
        yield "ok", "nothing would be decided otherwise"
    yield "plain", "what the guard itself denies (self-protection) is no part of a replay"


def _side(said: str) -> str:
    home = os.path.expanduser("~")
    said = f"~{said[len(home) :]}" if said.startswith(home + os.sep) else said
    return "as recorded" if said == "recorded" else one_line(said, 200)


def _period(first: int | None, last: int | None) -> str:
    if not first or not last:
        return ""
    days = [day(time) for time in (first, last)]
    return f" of {days[0]}" if days[0] == days[1] else f", {days[0]} to {days[1]}"


def _delta(before: str, after: str) -> str:
    return after if before == "-" else f"{before} -> {after}"


def _end(where: str) -> str:
    """The end of a place: what tells files from one another."""
    return where if len(where) <= PLACE else f"…{where[1 - PLACE :]}"


def _lines(text: str, indent: str, style: str = "plain") -> Iterator[Styled]:
    """*text* on lines that fit, one that is too long for any in pieces."""
    room = WIDTH - len(indent) - 2
    for line in wrapped(text, indent) or [indent]:
        while len(line) > WIDTH:
            yield style, line[:WIDTH]
            line = " " * (WIDTH - room) + line[WIDTH:]  # noqa: PLW2901  # what is left of it
        yield style, line
