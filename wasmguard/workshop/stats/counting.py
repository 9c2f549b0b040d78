"""What the records come to, as one document: plain data, in the order in which it is told.

1. Without conditions everything comes from the roll-ups, which are kept hour by hour: a million records are counted in
   milliseconds. With a session, tool or policy, the database counts the lines that match,
   and reasons are those of the newest of them.
2. A call is a PreToolUse. Its errors are those of its results (PostToolUse, PostToolUseFailure), and their rate is
   among the results, because not every call has one.
3. Times are whole decisions, in microseconds.
"""

from __future__ import annotations

from collections import Counter
from time import time_ns
from typing import TYPE_CHECKING

from wasmguard.event import AFTER
from wasmguard.records.counting import ERROR, FAULTED, HOUR, REWROTE, STEPS, bucket, pattern
from wasmguard.records.grouped import QUARTER, grouped
from wasmguard.workshop.columns import day

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wasmguard.records.grouped import Group, Grouped

    Counts = Mapping[str, Mapping[str, int]]

CALL = "PreToolUse"
OF_TOOL = ("calls", "denied", "asked", "rewritten", "done", "errors")
EFFECTS = ("pass", "allow", "ask", "deny")
DAY = 24 * HOUR
DAYS = 30  # that are told day by day
REASONS = 10  # that are told
READ = 150  # denied and asked records whose reasons are read, where there are conditions


def counted(
    since: int | None = None, *, session: str | None = None, tool: str | None = None, policy: str | None = None
) -> dict[str, Any]:
    """All that is counted from *since* (Unix milliseconds) on, or of all records; with *session*, *tool* and *policy*
    (who carried a decision) of those alone.

    Raises:
        HostError: if the records cannot be read.
    """
    from wasmguard.records import query

    state = query.state()
    until = time_ns() // 1_000_000 + 1
    first = max(since or 0, state["first"] or 0)
    asked = {
        name: value for name, value in (("session", session), ("tool", tool), ("policy", policy)) if value is not None
    }
    head = {"since": first or None, "until": until, "records": state["records"], "conditions": asked}
    if asked:
        return head | _of_lines(since, asked)
    counts = query.counts(first, until)
    return head | _of_counts(counts) | {"days": _days(first, until, counts.get("effect", {}))}


def quantile(buckets: Mapping[str, int], share: float) -> float | None:
    """The time below which *share* of the decisions in *buckets* took, within 2.2 %; None without any."""
    wanted, total = share * sum(buckets.values()), 0
    for place in sorted(buckets, key=int):
        total += buckets[place]
        if total >= wanted and total:
            return float(round(2 ** ((int(place) + 0.5) / STEPS), 1))
    return None


def _of_counts(counts: Counts) -> dict[str, Any]:
    times, effects = counts.get("us", {}), counts.get("effect", {})
    done, errors = counts.get("tool done", {}), counts.get("tool error", {})
    asked, fuel = counts.get("policy asked", {}), counts.get("policy fuel", {})
    return {
        "effects": {effect: effects.get(effect, 0) for effect in EFFECTS},
        "kinds": dict(counts.get("kind", {})),
        "events": _most(counts.get("event", {})),
        "tools": [
            _tool(
                name,
                calls=counts.get("tool", {}).get(name, 0),
                denied=counts.get("tool deny", {}).get(name, 0),
                asked=counts.get("tool ask", {}).get(name, 0),
                rewritten=counts.get("tool rewrote", {}).get(name, 0),
                done=done.get(name, 0),
                errors=errors.get(name, 0),
            )
            for name in _most({**done, **counts.get("tool", {})})
        ],
        "policies": [
            {
                "policy": name,
                "asked": number,
                "denied": counts.get("policy deny", {}).get(name, 0),
                "asks": counts.get("policy ask", {}).get(name, 0),
                "faults": counts.get("policy fault", {}).get(name, 0),
                "fuel": round(fuel[name] / number) if number and name in fuel else None,
            }
            for name, number in _most(
                {name: asked.get(name, 0) for name in {**asked, **counts.get("policy deny", {})}}
            ).items()
        ],
        "reasons": [_reason(said, number) for said, number in _most(counts.get("reason", {})).items()][:REASONS],
        "latency": _latency(times),
    }


def _of_lines(since: int | None, asked: Mapping[str, str]) -> dict[str, Any]:
    """The same of the decisions that are *asked* for: what only bodies say is read from the newest of them."""
    found = grouped(since=since, **asked)
    effects, events, tools, carried = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    of_tool: dict[str, Counter[str]] = {}
    of_policy: dict[str, Counter[str]] = {}
    for group, n in found.groups.items():
        effects[group.effect] += n
        events[group.event] += n
        if group.tool:
            tools[group.tool] += n if group.event == CALL else 0
            of_tool.setdefault(group.tool, Counter()).update(_of_tool(group, n))
        if group.policy:
            carried[group.policy] += n
            of_policy.setdefault(group.policy, Counter()).update({group.effect: n, "fault": n * _is(group, FAULTED)})
    times = Counter[str]()
    for us, n in found.times.items():
        times[str(bucket(us))] += n
    return {
        "effects": {effect: effects[effect] for effect in EFFECTS},
        "kinds": {},
        "events": _most(events),
        "tools": [_tool(name, **{key: of_tool[name][key] for key in OF_TOOL}) for name in _most(tools)],
        "policies": [
            {
                "policy": name,
                "asked": None,
                "denied": of_policy[name]["deny"],
                "asks": of_policy[name]["ask"],
                "faults": of_policy[name]["fault"],
                "fuel": None,
            }
            for name in _most(carried)
        ],
        "reasons": _reasons_of({"since": since, **asked}),
        "latency": _latency(times),
        "days": _days_of(found),
    }


def _of_tool(group: Group, n: int) -> dict[str, int]:
    """What a group of *n* lines counts of its tool."""
    if group.event == CALL:
        effects = {"denied": n * (group.effect == "deny"), "asked": n * (group.effect == "ask")}
        return {"calls": n, "rewritten": n * _is(group, REWROTE), **effects}
    return {"done": n, "errors": n * _is(group, ERROR)} if group.event in AFTER else {}


def _is(group: Group, flag: int) -> bool:
    return bool(group.flags & flag)


def _days_of(found: Grouped) -> list[dict[str, Any]]:
    all_of_it, denied = Counter[str](), Counter[str]()
    for (quarter, was_denied), n in found.quarters.items():
        date = day(quarter * QUARTER)
        all_of_it[date] += n
        denied[date] += n * was_denied
    return [{"day": each, "decisions": all_of_it[each], "denied": denied[each]} for each in sorted(all_of_it)][-DAYS:]


def _tool(name: str, *, done: int, errors: int, **numbers: int) -> dict[str, Any]:
    rate = errors / done if done else None
    return {"tool": name, **numbers, "results": done, "errors": errors, "error_rate": rate}


def _reasons_of(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The most frequent words of who carried the newest of these decisions."""
    from wasmguard.records import query, said

    found = Counter[tuple[str, str]]()
    for effect in ("deny", "ask"):
        wanted = {**asked, "effect": effect, "kind": "decision"}
        newest = query.lines(newest=READ, **wanted)
        for record in query.records(**{**wanted, "after": newest[0].seq - 1}) if newest else ():
            because = said.decision(record.body).because
            found.update({v.policy: pattern(v.fault or v.reason) for v in because}.items())
    return [{"policy": policy, "reason": why, "n": n} for (policy, why), n in found.most_common(REASONS)]


def _reason(said: str, number: int) -> dict[str, Any]:
    policy, _, reason = said.partition("\t")
    return {"policy": policy, "reason": reason or "", "n": number}


def _latency(buckets: Mapping[str, int]) -> dict[str, Any]:
    known = {place: number for place, number in buckets.items() if number}
    last = max(map(int, known), default=None)
    return {
        "p50_us": quantile(known, 0.5),
        "p90_us": quantile(known, 0.9),
        "p99_us": quantile(known, 0.99),
        "max_us": None if last is None else float(round(2 ** ((last + 1) / STEPS), 1)),
        "histogram": [[2 ** ((int(place) + 1) / STEPS), known[place]] for place in sorted(known, key=int)],
    }


def _days(first: int, until: int, effects: Mapping[str, int]) -> list[dict[str, Any]]:
    """The local days from *first* to *until*, `DAYS` at the most, without a gap. An hour belongs to the day in which it
    begins; what of all *effects* is in no whole hour is of the first one, which *first* is within."""
    from wasmguard.records.query import hours

    begin, first = first, max(first, until - DAYS * DAY)
    found = {day(place * DAY): Counter[str]() for place in range(-(-first // DAY), until // DAY)}
    found = {day(first): Counter[str](), **found, day(until): Counter[str]()}
    whole = hours("effect", first, until)
    for hour, counted in whole.items():
        found.setdefault(day(hour * HOUR), Counter()).update(counted)
    if begin == first:
        in_hours = sum(map(Counter, whole.values()), Counter[str]())
        found[day(first)].update(Counter(effects) - in_hours)
    return [
        {"day": each, "decisions": found[each].total(), "denied": found[each]["deny"]} for each in sorted(found)[-DAYS:]
    ]


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
