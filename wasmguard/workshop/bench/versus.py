"""Two versions of one policy, on the same events in the same run.

Fuel, memory, sizes and answers are exact: any difference is one. Of times only a difference that noise does not explain
is called one (`noise.ratio`): both versions were asked in every round, so their ratio is taken round by round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench.noise import ratio
from wasmguard.workshop.bench.variant import PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SLOWER, FASTER, NEITHER = "slower", "faster", "no difference"
NOT_ASKED = "not asked"


def compared(document: Mapping[str, Any], before: str, after: str) -> dict[str, Any]:
    """How the policy *after* differs from the policy *before*, both of them subjects of *document*: its `compare`."""
    entries = {entry["name"]: entry for entry in document["policies"]}
    old, new = entries[before], entries[after]
    names = [event["name"] for event in document["events"]["list"]]
    return {
        "before": before,
        "after": after,
        "fuel": list(_fuel(names, old, new)),
        "answers": list(_answers(names, old, new)),
        "time": list(_times(document, before, after)),
        "bytes": [old["bytes"], new["bytes"]],
        "memory": [old["memory"], new["memory"]],
    }


def _fuel(names: list[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The fuel of both for each event that one of them is asked about; null for who is not, or was stopped by the
    clock."""
    for name, had, has in zip(names, old["fuel"]["events"], new["fuel"]["events"], strict=True):
        if had is not None or has is not None:
            yield {"event": name, "before": had, "after": has}


def _answers(names: list[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What both answer, in words, where they differ."""
    for place, name in enumerate(names):
        if old["decisions"][place] != new["decisions"][place]:
            had, has = old["answers"][place], new["answers"][place]
            yield {"event": name, "before": had or NOT_ASKED, "after": has or NOT_ASKED}


def _times(document: Mapping[str, Any], before: str, after: str) -> Iterator[dict[str, Any]]:
    """How many times the old one's time the new one takes, on each path on which both were asked about the same
    events."""
    rows = {row["id"]: row for row in document["rows"]}
    for path in PATHS:
        old, new = rows.get(f"{path}/{before}"), rows.get(f"{path}/{after}")
        if old is None or new is None or _events(old) != _events(new):
            continue
        rounds = min(len(old["pass_of_rounds"]), len(new["pass_of_rounds"]))  # Ctrl-C ends within one
        found = ratio(new["pass_of_rounds"][:rounds], old["pass_of_rounds"][:rounds])
        verdict = NEITHER
        if found["differs"] and found["ratio"] is not None:
            verdict = SLOWER if found["ratio"] > 1 else FASTER
        yield {"path": path, "ratio": found["ratio"], "low": found["low"], "high": found["high"], "verdict": verdict}


def _events(row: Mapping[str, Any]) -> list[int]:
    return [one["event"] for one in row["by_event"]]
