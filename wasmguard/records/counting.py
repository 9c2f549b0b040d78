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
from wasmguard.shadowed import SAME, compared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Line = tuple[Any, ...]
    Alike = tuple[int, str, str, str, str, bool, bool, int]  # hour, kind, event, tool, effect, failed, rewrote, bucket

HOUR = 3_600_000  # milliseconds
REWROTE, FAULTED, ERROR, OUTPUT, ALARM, DIFFERED, EXCEPTION = (1 << bit for bit in range(7))
ALARMS = ("another", "denied")
"""What `executed` says of a call that ran with another input than the one that was granted, or though it was denied."""
BUCKETS, STEPS = 400, 16  # as in `wasmguard.serve.board`: 16 buckets an octave of microseconds
REASON = 160  # characters of a reason that count
REASONS = 200  # different reasons that are counted of one hour; the others are `OTHERS`
OTHERS = "…"
WORD = 1_000  # characters of a word, such as a session's name
MOST = 2**62  # integers above it count as none, and sums end there: SQLite has 63 bits
MET = 10_000  # lines' words together, whose numbers are remembered
WORDS = ("kind", "event", "tool", "effect", "policy", "session", "agent")
"""The columns of a line that are numbers of words."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\d(?:[\d_.,:]*\d)?')


class Words:
    """The numbers of the words of one segment: 1, 2, 3 … in the order in which they came."""

    def __init__(self, known: Iterable[tuple[str, int]] = ()) -> None:
        self.known: dict[str, int] = dict(known)
        self._met: dict[tuple[Any, ...], tuple[int | None, ...]] = {}

    def numbers(self, words: tuple[Any, ...]) -> tuple[int | None, ...]:
        """The number of each of *words*; None of what is no text."""
        try:
            if (found := self._met.get(words)) is None:
                if len(self._met) >= MET:
                    self._met.clear()
                found = self._met[words] = tuple(map(self._number, words))
        except TypeError:  # a list or a map, which is no word
            return tuple(map(self._number, words))
        return found

    def _number(self, word: Any) -> int | None:
        if not isinstance(word, str):
            return None
        number = self.known.get(word)
        return number if number is not None else self.known.setdefault(text(word), len(self.known) + 1)


def line(seq: int, id_: bytes, record: Mapping[str, Any], words: Words) -> Line:
    """The row of `lines` for *record*, whose id is *id_*; *words* gives each word its number."""
    get, said = record.get, verdicts(record)
    effect, call, fuel, flags, shadows = get("effect"), get("call"), 0, _flags(record), False
    for verdict in said:
        fuel += whole(verdict.get("fuel"))
        if verdict.get("shadow"):
            shadows = True
        elif verdict.get("fault"):
            flags |= FAULTED
    if shadows and any(how != SAME for _, _, how in compared(record)):
        flags |= DIFFERED
    policy = carrier(said, effect) if effect in _CARRIED else None
    return (
        seq,
        id_,
        whole(get("time")),
        *words.numbers((get("kind"), get("event"), get("tool"), effect, policy, get("session"), get("agent"))),
        text(call) if isinstance(call, str) else None,
        _microseconds(record["us"]) if "us" in record else None,
        min(MOST, fuel),
        flags,
    )


class Counts:
    """What some records count together."""

    def __init__(self) -> None:
        self._records: dict[Alike, int] = {}
        self._asked: dict[tuple[int, str, str], list[int]] = {}  # hour, policy, what it said: how often, and its fuel
        self._shadows: dict[tuple[int, str, str], int] = {}
        self._reasons: dict[tuple[int, str], int] = {}  # in the order in which they came
        self._patterns: dict[str, str] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Count *record* too."""
        get, hour = record.get, whole(record.get("time")) // HOUR
        took = bucket(_microseconds(record["us"])) if "us" in record else -1
        kind, event, tool, effect = get("kind"), get("event"), get("tool"), get("effect")
        if not (type(kind) is type(event) is type(tool) is type(effect) is str):
            kind, event, tool, effect = (_word(record, name) for name in ("kind", "event", "tool", "effect"))
        place = (hour, kind, event, tool, effect, get("error") is True, get("rewrote") is True, took)
        records = self._records
        records[place] = records.get(place, 0) + 1
        if kind == "decision":
            self._add_verdicts(record, hour)

    def _add_verdicts(self, record: Mapping[str, Any], hour: int) -> None:
        shadows, asked = False, self._asked
        for verdict in verdicts(record):
            policy = verdict.get("policy")
            if type(policy) is not str:
                policy = ""
            if verdict.get("shadow"):
                shadows, what = True, "shadow"
            else:
                what = self._said(verdict, hour, policy)
            if (found := asked.get((hour, policy, what))) is None:
                found = asked[hour, policy, what] = [0, 0]
            found[0] += 1
            found[1] += whole(verdict.get("fuel"))
        for shadow, _, how in compared(record) if shadows else ():
            for what in ("shadow asked", f"shadow {how}"):
                place = (hour, what, shadow)
                self._shadows[place] = self._shadows.get(place, 0) + 1

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
        for (hour, policy, said), (n, fuel) in self._asked.items():
            for what in _ASKED[said]:
                more(hour, what, policy, n)
            if fuel:
                more(hour, "policy fuel", policy, fuel)
        for (hour, what, policy), n in self._shadows.items():
            more(hour, what, policy, n)
        for (hour, reason), n in self._reasons.items():
            known = reasons(hour)
            if reason in known or len(known) < REASONS:
                known.add(reason)
                more(hour, "reason", reason, n)
            else:
                more(hour, "reason", OTHERS, n)
        return rows

    def _said(self, verdict: Mapping[str, Any], hour: int, policy: str) -> str:
        """What a verdict that counts said, a key of `_ASKED`; its reason is counted here."""
        why, what = verdict.get("fault"), "fault"
        if not why:
            what = verdict.get("effect", "pass")
            if what not in ("deny", "ask"):
                return "pass"
            why = verdict.get("reason")
        if why and isinstance(why, str):
            place = (hour, text(f"{policy}\t{self._pattern(why)}"))
            self._reasons[place] = self._reasons.get(place, 0) + 1
        return what

    def _pattern(self, why: str) -> str:
        if (known := self._patterns.get(why)) is None:
            known = self._patterns[why] = pattern(why)
        return known


_CARRIED = ("deny", "ask", "allow")
_ASKED = {
    "pass": ("policy asked",),
    "ask": ("policy asked", "policy ask"),
    "deny": ("policy asked", "policy deny"),
    "fault": ("policy asked", "policy fault"),
    "shadow": (),
}
"""What a verdict counts as."""


def _counted(alike: Alike) -> Iterator[tuple[str, str]]:
    """What such a record counts beside its verdicts: what, and whose name."""
    _, kind, event, tool, effect, failed, rewrote, took = alike
    yield "kind", kind
    if kind != "decision":
        return
    yield "effect", effect
    yield "event", event
    if tool and event == "PreToolUse":
        yield "tool", tool
        if effect in ("deny", "ask"):
            yield f"tool {effect}", tool
        if rewrote:
            yield "tool rewrote", tool
    elif tool and event in AFTER:
        yield "tool done", tool
        if failed:
            yield "tool error", tool
    if took >= 0:
        yield "us", str(took)


def verdicts(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The verdicts in *record*; what is none is left out."""
    said = record.get("verdicts")
    if type(said) is not list:
        return []
    if len(said) == 1 and type(said[0]) is dict:  # as a rule
        return said
    return [verdict for verdict in said if type(verdict) is dict]


def carrier(said: list[Mapping[str, Any]], effect: Any) -> str | None:
    """The policy that carried *effect*, as `wasmguard.decision.settle` finds it; None on a pass."""
    if effect not in _CARRIED:
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
        | ALARM * (get("kind") == "alarm" or get("executed") in ALARMS)
        | EXCEPTION * ("exception" in record and "stands" not in record)
    )


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


def _microseconds(value: Any) -> int:
    return round(value) if type(value) in (int, float) and 0 <= value < MOST else 0


def _word(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""
