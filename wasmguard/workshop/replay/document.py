"""What a replay found, as one document: what `--json` prints, and what is told on a terminal.

`complete` (false after Ctrl-C), `resumed_at` (events that an interrupted run had counted, or null), `stateful` (whether
policies remember things; they began with nothing), `sources`, `before` and `after` (`recorded`, a configuration, or
empty for nobody), `first` and `last` (Unix milliseconds), then

`events`        {total, calls, decided, compared, malformed, redacted, cut}; `calls` are PreToolUse
`undecided`     [{why, count, where}]: what could not be decided, or is not compared
`malformed`     the first places of lines that are no JSON
`coverage`      [{policy, events, calls, share}]: what the tried policies are asked about; `share` of the calls, or of
                the events if there are no calls; the policy "" is any of them
`changes`       {total, decisions, rewrites, outputs, words}: events with a change, by kind; `words` changed nothing
                but the reason, and do not count
`effects`       {"pass -> deny": count, …} of all that was compared
`groups`        [{policy, what, tool, count, counts, altered, examples}], most frequent first; `altered` of them were
                recorded as redacted or cut
`costs`         [{policy, before, after}], each {asked, faults, fuel, fuel_exact, fuel_total, microseconds} or null;
                `fuel` and `microseconds` are medians, exact or within 1.6 %, as `fuel_exact` says of the former
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.decision import OURSELVES, Effect
from wasmguard.workshop.replay.compare import word
from wasmguard.workshop.replay.past import CUT, NO_LINE, REDACTED
from wasmguard.workshop.replay.plans import AFTER, BEFORE
from wasmguard.workshop.replay.sources import RECORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wasmguard.workshop.replay.sources import Source
    from wasmguard.workshop.replay.tally import Spent, Tally

RECORDED = "recorded"
SOURCES = 20  # that are named


def document(
    tally: Tally, sources: Sequence[Source], named: Mapping[str, str], run: Mapping[str, Any]
) -> dict[str, Any]:
    """All that *tally* holds, for people and programs. *named* are the sides, *run* is told as it is."""
    counts = tally.counts
    recorded = any(source.shown == RECORDS and not source.path for source in sources)
    return {
        **run,
        "sources": [source.shown for source in sources][:SOURCES],
        "files": sum(bool(source.path) for source in sources),
        "before": " and ".join(([RECORDED] if recorded else []) + ([named[BEFORE]] if named[BEFORE] else [])),
        "after": named[AFTER],
        "first": counts["first"] or None,
        "last": counts["last"] or None,
        "events": {
            "total": counts["events"],
            **{name: counts[name] for name in ("calls", "decided", "compared", "malformed")},
            **{name: tally.altered[name] for name in (REDACTED, CUT)},
        },
        "undecided": [
            {"why": why, "count": count, "where": tally.where.get(why, [])}
            for why, count in tally.undecided.most_common()
        ],
        "malformed": tally.where.get(NO_LINE, []),
        "coverage": [_coverage(name, tally) for name in sorted(tally.seen, key=lambda name: (name != "", name))],
        "changes": {"total": counts["changed"]}
        | {name: counts[name] for name in ("decisions", "rewrites", "outputs", "words")},
        "effects": {
            f"{word(Effect(before))} -> {word(Effect(after))}": count
            for (before, after), count in tally.effects.most_common()
        },
        "groups": _groups(tally),
        "costs": _costs(tally),
    }


def _coverage(name: str, tally: Tally) -> dict[str, Any]:
    seen, counts = tally.seen[name], tally.counts
    of = "calls" if counts["calls"] else "events"
    return {"policy": name, "events": seen["events"], "calls": seen["calls"], "share": seen[of] / max(counts[of], 1)}


def _groups(tally: Tally) -> list[dict[str, Any]]:
    made = [{"policy": key[0], "what": key[1], "tool": key[2], **group} for key, group in tally.groups.items()]
    return sorted(made, key=lambda group: (not group["counts"], -group["count"]))


def _costs(tally: Tally) -> list[dict[str, Any]]:
    before, after = tally.spent["before"], tally.spent["after"]
    names = [name for name in {**after, **before} if name != OURSELVES]
    return [{"policy": name, "before": _cost(before.get(name)), "after": _cost(after.get(name))} for name in names]


def _cost(spent: Spent | None) -> dict[str, Any] | None:
    if spent is None:
        return None
    took = spent.nanoseconds.median
    return {
        "asked": spent.asked,
        "faults": spent.faults,
        "fuel": spent.fuel.median,
        "fuel_exact": spent.fuel.exact,
        "fuel_total": spent.fuel.total,
        "microseconds": None if took is None else took / 1000,
    }
