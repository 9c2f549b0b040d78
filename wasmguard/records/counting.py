"""What is counted of a record, and its line: all that is said about it in short.

Everything here comes from the record alone, as its canonical JSON has it, so that `wasmguard.records.chain` can make it
again and find what somebody changed. Words and names are as agents and guests wrote them, but for lone surrogates,
which SQLite does not take, and for their length.
"""

from __future__ import annotations

import re
from math import log2
from typing import TYPE_CHECKING, Any

from wasmguard.event import AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Line = tuple[Any, ...]
    Alike = tuple[int, str, str, str, str, bool, int]  # hour, kind, event, tool, effect, failed, bucket

HOUR = 3_600_000  # milliseconds
REWROTE, FAULTED, ERROR, OUTPUT, ALARM, DIFFERED, EXCEPTION = (1 << bit for bit in range(7))
BUCKETS, STEPS = 400, 16  # as in `wasmguard.serve.board`: 16 buckets an octave of microseconds
REASON = 160  # characters of a reason that count
REASONS = 200  # different reasons that are counted of one hour; the others are `OTHERS`
OTHERS = "…"
WORD = 1_000  # characters of a word, such as a session's name
MOST = 2**62  # integers above it count as none, and sums end there: SQLite has 63 bits
WORDS = ("kind", "event", "tool", "effect", "policy", "session", "agent")
"""The columns of a line that are numbers of words."""

EFFECTS = {"allow": 0, "pass": 1, "ask": 2, "deny": 3}
"""How strict an effect is for the agent's user: a pass asks what the agent would have asked, an allow does not."""
_RANKS = {"pass": 0, "allow": 1, "ask": 2, "deny": 3}  # `wasmguard.decision`, rule 1

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\d(?:[\d_.,:]*\d)?')


def line(seq: int, id_: bytes, record: Mapping[str, Any], number: Callable[[str], int]) -> Line:
    """The row of `lines` for *record*, whose id is *id_*; *number* gives each word its number."""
    said, get = verdicts(record), record.get
    effect, fuel, flags = get("effect"), 0, _flags(record)
    for verdict in said:
        fuel += whole(verdict.get("fuel"))
        if verdict.get("shadow"):
            flags |= DIFFERED * (agreement(verdict, record, said) not in ("same", ""))
        elif verdict.get("fault"):
            flags |= FAULTED
    words = (get("kind"), get("event"), get("tool"), effect, carrier(said, effect), get("session"), get("agent"))
    call = get("call")
    return (
        seq,
        id_,
        whole(get("time")),
        *[number(word) if isinstance(word, str) else None for word in words],
        text(call) if isinstance(call, str) else None,
        _microseconds(get("us")) if "us" in record else None,
        min(MOST, fuel),
        flags,
    )


class Counts:
    """What some records count together."""

    def __init__(self) -> None:
        self._records: dict[Alike, int] = {}
        self._verdicts: dict[tuple[int, str, str], int] = {}
        self._reasons: dict[tuple[int, str], int] = {}  # in the order in which they came
        self._patterns: dict[str, str] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Count *record* too."""
        get, hour = record.get, whole(record.get("time")) // HOUR
        took = bucket(_microseconds(record["us"])) if "us" in record else -1
        kind, event, tool, effect = get("kind"), get("event"), get("tool"), get("effect")
        if not (type(kind) is type(event) is type(tool) is type(effect) is str):
            kind, event, tool, effect = (_word(record, name) for name in ("kind", "event", "tool", "effect"))
        place = (hour, kind, event, tool, effect, get("error") is True, took)
        self._records[place] = self._records.get(place, 0) + 1
        if kind == "decision":
            said, counts = verdicts(record), self._verdicts
            for verdict in said:
                policy = verdict.get("policy")
                if type(policy) is not str:
                    policy = ""
                if fuel := whole(verdict.get("fuel")):
                    counts[hour, "policy fuel", policy] = counts.get((hour, "policy fuel", policy), 0) + fuel
                for what in _compared(verdict, record, said) or self._said(verdict, hour, policy):
                    counts[hour, what, policy] = counts.get((hour, what, policy), 0) + 1

    def rows(self, reasons: Callable[[int], set[str]]) -> dict[tuple[int, str, str], int]:
        """How much there is of each: hour, what, whose name. *reasons* are those that an hour has so far, and grow:
        only `REASONS` of each hour are told apart."""
        rows: dict[tuple[int, str, str], int] = {}

        def more(hour: int, what: str, name: str, n: int) -> None:
            place = (hour, what, text(name))
            rows[place] = min(MOST, rows.get(place, 0) + n)

        for alike, n in self._records.items():
            for what, name in _counted(alike):
                more(alike[0], what, name, n)
        for (hour, what, policy), n in self._verdicts.items():
            more(hour, what, policy, n)
        for (hour, reason), n in self._reasons.items():
            known = reasons(hour)
            if reason in known or len(known) < REASONS:
                known.add(reason)
                more(hour, "reason", reason, n)
            else:
                more(hour, "reason", OTHERS, n)
        return rows

    def _said(self, verdict: Mapping[str, Any], hour: int, policy: str) -> tuple[str, ...]:
        """What a verdict that counts is counted as; its reason is counted here."""
        effect, why, what = verdict.get("effect"), verdict.get("fault"), "policy fault"
        if not why:
            if effect not in ("deny", "ask"):
                return ("policy asked",)
            why, what = verdict.get("reason"), f"policy {effect}"
        if why and isinstance(why, str):
            place = (hour, text(f"{policy}\t{self._pattern(why)}"))
            self._reasons[place] = self._reasons.get(place, 0) + 1
        return "policy asked", what

    def _pattern(self, why: str) -> str:
        if (known := self._patterns.get(why)) is None:
            known = self._patterns[why] = pattern(why)
        return known


def _compared(verdict: Mapping[str, Any], record: Mapping[str, Any], said: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """What *verdict* is counted as, if it is a shadow's."""
    if not verdict.get("shadow"):
        return ()
    how = agreement(verdict, record, said)
    return ("shadow asked", f"shadow {how}") if how else ("shadow asked",)


def _counted(alike: Alike) -> Iterator[tuple[str, str]]:
    """What such a record counts beside its verdicts: what, and whose name."""
    _, kind, event, tool, effect, failed, took = alike
    yield "kind", kind
    if kind != "decision":
        return
    yield "effect", effect
    yield "event", event
    if tool and event == "PreToolUse":
        yield "tool", tool
        if effect == "deny":
            yield "tool deny", tool
    elif tool and event in AFTER:
        yield "tool done", tool
        if failed:
            yield "tool error", tool
    if took >= 0:
        yield "us", str(took)


def verdicts(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The verdicts in *record*; what is none is left out."""
    said = record.get("verdicts")
    return [verdict for verdict in said if type(verdict) is dict] if type(said) is list else []


def carrier(said: list[Mapping[str, Any]], effect: Any) -> str | None:
    """The policy that carried *effect*, as `wasmguard.decision.settle` finds it; None on a pass."""
    if effect not in ("deny", "ask", "allow"):
        return None
    obeyed = [verdict for verdict in said if not verdict.get("shadow")]
    last = max((place for place, v in enumerate(obeyed) if v.get("rewrite") is not None), default=0)
    for place, verdict in enumerate(obeyed):
        if verdict.get("effect", "pass") == effect and (place >= last or effect != "allow"):
            return _word(verdict, "policy")
    return None


def _flags(record: Mapping[str, Any]) -> int:
    """What is special about *record*, beside its verdicts."""
    get = record.get
    return (
        REWROTE * (get("rewrote") is True)
        | ERROR * (get("error") is True)
        | OUTPUT * (get("output") is True)
        | ALARM * (get("kind") == "alarm" or get("executed") == "another")
        | EXCEPTION * ("exception" in record)
    )


def agreement(shadow: Mapping[str, Any], record: Mapping[str, Any], said: list[Mapping[str, Any]]) -> str:
    """How *shadow*, a verdict that nobody obeyed, compares: with the first verdict of the policy that it is a version
    `of`, who was asked about the same input; else with what the decision would have been, had it been obeyed.

    `fault`, `stricter`, `looser`, `rewrite differs` or `same`; empty if there is nothing to compare it with.
    """
    if shadow.get("fault"):
        return "fault"
    would = _effect(shadow)
    other = next((v for v in said if not v.get("shadow") and v.get("policy") == shadow.get("of")), None)
    if other is None and "of" in shadow:  # the other one was not asked: somebody had denied before
        return ""
    if other is None:
        other, decided = record, _effect(record)
        would = max(would, decided, key=_RANKS.__getitem__)
        differs = _changes(shadow) and would != "deny"  # it would have rewritten what the others left
    else:
        decided = _effect(other)
        differs = any(shadow.get(key) != other.get(key) for key in ("rewrite", "output"))
    strict, than = EFFECTS[would], EFFECTS[decided]
    if strict != than:
        return "stricter" if strict > than else "looser"
    return "rewrite differs" if differs else "same"


def bucket(microseconds: float) -> int:
    """Where a time is counted, as `wasmguard.serve.board.bucket`."""
    return min(BUCKETS - 1, int(log2(microseconds) * STEPS)) if microseconds > 1 else 0


def pattern(reason: str) -> str:
    """*reason* without what differs from call to call: what is quoted, and numbers."""
    return text(_QUOTED.sub("…", reason[: 4 * REASON])[:REASON])


def text(word: str) -> str:
    """*word* as SQLite takes it."""
    return word[:WORD] if word.isascii() else word[:WORD].encode(errors="replace").decode()


def whole(value: Any) -> int:
    """*value* if it is a whole number that can be kept and summed, else 0."""
    return value if type(value) is int and 0 <= value < MOST else 0


def _changes(verdict: Mapping[str, Any]) -> bool:
    return verdict.get("rewrite") is not None or verdict.get("output") is not None


def _effect(said: Mapping[str, Any]) -> str:
    """The effect of a verdict or a decision; what is none counts as the strictest."""
    effect = said.get("effect", "pass")
    return effect if isinstance(effect, str) and effect in EFFECTS else "deny"


def _microseconds(value: Any) -> int:
    return round(value) if type(value) in (int, float) and 0 <= value < MOST else 0


def _word(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""
