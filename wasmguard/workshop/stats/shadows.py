"""How far each shadow agrees with what was decided, and records to look at where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.records.counting import DIFFERED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

OUTCOMES = ("same", "stricter", "looser", "rewrite differs", "fault")
COMPARED = 5_000  # decisions, the newest, that are compared one by one where there are conditions
EXAMPLES = 3  # records of each outcome
LOOKED_AT = 300  # records that differ, the newest, in which examples are looked for


def shadowed(
    since: int | None = None, *, session: str | None = None, tool: str | None = None, policy: str | None = None
) -> dict[str, Any]:
    """Each shadow with how often it was asked and what came of it, and the numbers of some records where it differs.
    With a *session* or *tool* the newest `COMPARED` records are compared one by one; *policy* is the shadow.

    Raises:
        HostError: if the records cannot be read.
    """
    from wasmguard.records import query

    conditions = {name: value for name, value in (("session", session), ("tool", tool)) if value is not None}
    asked = conditions | ({"policy": policy} if policy is not None else {})
    wanted = {"since": since, "flags": DIFFERED, **conditions}
    newest = query.lines(newest=LOOKED_AT, **wanted)
    differing = [*query.records(after=newest[0].seq - 1, **wanted)] if newest else []
    numbers = _compared({"since": since, **conditions}) if conditions else _rolled_up(query.counts(since))
    rows = [_row(name, numbers[name], differing) for name in sorted(numbers) if policy is None or name == policy]
    newest_only = COMPARED if conditions else None
    return {"since": since, "conditions": asked, "of_newest": newest_only, "shadows": rows}


def _rolled_up(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    names = counts.get("shadow asked", {})
    return {
        name: {"asked": number, **{what: counts.get(f"shadow {what}", {}).get(name, 0) for what in OUTCOMES}}
        for name, number in names.items()
    }


def _compared(conditions: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What comes of comparing the newest decisions that fulfil *conditions*."""
    from wasmguard.records import query
    from wasmguard.shadowed import compared

    found: dict[str, dict[str, int]] = {}
    wanted = {"kind": "decision", **conditions}
    newest = query.lines(newest=COMPARED, **wanted)
    for record in query.records(after=newest[0].seq - 1, **wanted) if newest else ():
        for name, _, what in compared(record.body):
            numbers = found.setdefault(name, dict.fromkeys(("asked", *OUTCOMES), 0))
            numbers["asked"] += 1
            numbers[what] += 1
    return found


def _row(name: str, numbers: Mapping[str, int], differing: Any) -> dict[str, Any]:
    from wasmguard.shadowed import compared

    examples: dict[str, list[int]] = {}
    of = ""
    for record in reversed(differing):  # the newest first
        for shadow, whose, what in compared(record.body):
            if shadow == name and what != "same":
                of = of or whose or ""
                examples.setdefault(what, []).append(record.seq)
    asked = numbers["asked"]
    return {
        "policy": name,
        "of": of or None,
        **numbers,
        "agreement": numbers["same"] / asked if asked else None,
        "examples": {what: seqs[:EXAMPLES] for what, seqs in examples.items()},
    }
