"""What a replay has found so far, of bounded size however much there was.

Medians need no list of values: each value is counted, and once there are too many different ones, as times soon are,
they are counted in steps of at most 1.6 %. Sums of fuel are exact.
A tally can be written down and read again: a run that was interrupted goes on counting where it was.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from wasmguard.workshop.replay.compare import changed
from wasmguard.workshop.replay.example import example
from wasmguard.workshop.replay.past import NO_LINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wasmguard.decision import Decision, Verdict
    from wasmguard.event import Event
    from wasmguard.workshop.replay.compare import Change
    from wasmguard.workshop.replay.past import Past
    from wasmguard.workshop.rerun.asked import Quiet

EXAMPLES = 3  # of each group
TRIES = 100  # events of a group that may become one: if they are all alike, so are others
MALFORMED = 5  # places that are named
GROUPS = 1_000  # kinds of change; tool names come from outside
REST = "…"
CALL = "PreToolUse"
FINE = 6  # bits of a value that count, in steps
DIFFERENT = 4_096  # values that are counted one by one


class Steps:
    """How often a value came: exactly, or about."""

    def __init__(self, counts: Mapping[int, int] | None = None, total: int = 0, *, exact: bool = True) -> None:
        self.counts = dict(counts or {})
        self.total, self.exact = total, exact

    def add(self, value: int) -> None:
        self.total += value
        if not self.exact:
            value = _step(value)
        counts = self.counts
        counts[value] = counts.get(value, 0) + 1
        if self.exact and len(counts) > DIFFERENT:
            self.exact, self.counts = False, {}
            for each, count in counts.items():
                self.counts[_step(each)] = self.counts.get(_step(each), 0) + count

    @property
    def median(self) -> int | None:
        """The value in the middle, the lower of two; the middle of its step if it is not `exact`. None if there is
        none."""
        left = (sum(self.counts.values()) + 1) // 2
        for value in sorted(self.counts):
            left -= self.counts[value]
            if left <= 0:
                return value if self.exact else value + _width(value) // 2
        return None

    def data(self) -> dict[str, Any]:
        counts = {str(value): n for value, n in self.counts.items()}
        return {"counts": counts, "total": self.total, "exact": self.exact}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        counts = {int(value): n for value, n in data["counts"].items()}
        return cls(counts, data["total"], exact=data["exact"])


def _step(value: int) -> int:
    """The lowest value of the step that *value* is in."""
    shift = value.bit_length() - FINE - 1
    return value >> shift << shift if shift > 0 else value


def _width(value: int) -> int:
    """How many values the step has that *value* is in."""
    return 1 << max(value.bit_length() - FINE - 1, 0)


class Spent:
    """What one policy cost on one side, and how often it had no answer."""

    def __init__(self) -> None:
        self.asked = self.faults = 0
        self.fuel, self.nanoseconds = Steps(), Steps()

    def add(self, verdict: Verdict) -> None:
        self.asked_once(int(verdict.microseconds * 1000), verdict.fuel, faulted=bool(verdict.fault))

    def asked_once(self, nanoseconds: int, fuel: int | None, *, faulted: bool) -> None:
        self.asked += 1
        self.faults += faulted
        if fuel is not None:
            self.fuel.add(fuel)
        if nanoseconds:
            self.nanoseconds.add(nanoseconds)

    def data(self) -> dict[str, Any]:
        return {"asked": self.asked, "faults": self.faults} | {
            "fuel": self.fuel.data(),
            "nanoseconds": self.nanoseconds.data(),
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        made = cls()
        made.asked, made.faults = data["asked"], data["faults"]
        made.fuel, made.nanoseconds = Steps.of(data["fuel"]), Steps.of(data["nanoseconds"])
        return made


class Tally:
    """Everything that is counted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """`events`, `calls`, `decided`, `compared`; `decisions`, `rewrites`, `outputs`, `changed`, `words`; `first` and
        `last` are no counts but Unix milliseconds."""
        self.undecided: Counter[str] = Counter()
        self.where: dict[str, list[str]] = {}
        """The first places of each kind of what could not be decided, or not be compared."""
        self.altered: Counter[str] = Counter()
        self.seen: dict[str, Counter[str]] = {}
        """By policy, of the side that is tried: `events` and `calls`; those that anybody sees under the empty name."""
        self.effects: Counter[tuple[int, int]] = Counter()
        """Of all that was compared: the effects before and after, by their numbers."""
        self.groups: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.spent: dict[str, dict[str, Spent]] = {"before": {}, "after": {}}

    def undone(self, past: Past) -> None:
        """*past* cannot be decided."""
        if past.why == NO_LINE:
            self.counts["malformed"] += 1
        else:
            self.counts["events"] += 1
            self.undecided[past.why] += 1
        self._note(past)

    def done(self, past: Past, event: Event, before: Decision, after: Decision, asked: Sequence[str]) -> None:
        """*past*, with its *event*, was decided by both sides; on the tried one *asked* are concerned."""
        call = event.name == CALL
        self._count(call=call, asked=asked)
        if event.time:
            self._dates(event.time)
        if past.altered:
            self.altered[past.altered] += 1
        if before.verdicts:
            self._spend("before", before.verdicts)
        self._spend("after", after.verdicts)
        if past.why:
            self.undecided[past.why] += 1
            self._note(past)
            return
        self.counts["compared"] += 1
        self.effects[before.effect, after.effect] += 1
        change = changed(event, before, after)
        if change is not None:
            self._changed(change, past, event, before, after)

    def quiet(self, quiet: Quiet, asked: Sequence[str], policies: Mapping[str, Sequence[str]]) -> None:
        """An event about which all sides decided the same; *policies* are those of each side, and *asked* are concerned
        on the tried one."""
        self._count(call=quiet.name == CALL, asked=asked)
        if quiet.time:
            self._dates(quiet.time)
        for (side, names), costs in zip(policies.items(), quiet.spent, strict=True):
            spent = self.spent[side]
            for place, faulted, fuel, nanoseconds in costs:
                one = spent.get(names[place])
                if one is None:
                    one = spent[names[place]] = Spent()
                one.asked_once(nanoseconds, fuel, faulted=faulted)
        self.counts["compared"] += 1
        self.effects[quiet.effect, quiet.effect] += 1

    def _changed(self, change: Change, past: Past, event: Event, before: Decision, after: Decision) -> None:
        self.counts["changed"] += change.counts
        self.counts["decisions"] += change.effect
        self.counts["rewrites"] += change.rewrite
        self.counts["outputs"] += change.output
        self.counts["words"] += not change.counts
        group = self._group(change.policy, change.what, event.tool or event.name)
        group["count"] += 1
        group["counts"] = change.counts
        group["altered"] += bool(past.altered)
        if len(group["examples"]) < EXAMPLES and group["count"] <= TRIES:
            told = example(past, event, before, after)
            if all(told["input"] != other["input"] for other in group["examples"]):  # the same thrice shows nothing
                group["examples"].append(told)

    def data(self) -> dict[str, Any]:
        """All of it, in JSON's own types."""
        return {
            "counts": self.counts,
            "undecided": self.undecided,
            "where": self.where,
            "altered": self.altered,
            "seen": self.seen,
            "effects": [[*pair, count] for pair, count in self.effects.items()],
            "groups": [[*key, group] for key, group in self.groups.items()],
            "spent": {s: {name: one.data() for name, one in spent.items()} for s, spent in self.spent.items()},
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """The tally that was written down as *data*."""
        made = cls()
        made.counts, made.undecided = Counter(data["counts"]), Counter(data["undecided"])
        made.where, made.altered = dict(data["where"]), Counter(data["altered"])
        made.seen = {name: Counter(counts) for name, counts in data["seen"].items()}
        made.effects = Counter({(before, after): count for before, after, count in data["effects"]})
        made.groups = {(policy, what, tool): group for policy, what, tool, group in data["groups"]}
        made.spent = {s: {name: Spent.of(one) for name, one in spent.items()} for s, spent in data["spent"].items()}
        return made

    def _count(self, *, call: bool, asked: Sequence[str]) -> None:
        counts = self.counts
        counts["events"] += 1
        counts["decided"] += 1
        counts["calls"] += call
        for name in (*asked, "") if asked else ():
            seen = self.seen.get(name)
            if seen is None:
                seen = self.seen[name] = Counter()
            seen["events"] += 1
            seen["calls"] += call

    def _dates(self, time: int) -> None:
        counts = self.counts
        counts["last"] = max(counts["last"], time)
        if time < counts["first"] or not counts["first"]:
            counts["first"] = time

    def _spend(self, side: str, verdicts: Sequence[Verdict]) -> None:
        spent = self.spent[side]
        for verdict in verdicts:
            one = spent.get(verdict.policy)
            if one is None:
                one = spent[verdict.policy] = Spent()
            one.add(verdict)

    def _note(self, past: Past) -> None:
        places = self.where.setdefault(past.why, [])
        if len(places) < MALFORMED:
            places.append(past.where)

    def _group(self, policy: str, what: str, tool: str) -> dict[str, Any]:
        key = (policy, what, tool)
        if key not in self.groups and len(self.groups) >= GROUPS:
            key = (REST, what, REST)
        return self.groups.setdefault(key, {"count": 0, "altered": 0, "counts": True, "examples": []})
