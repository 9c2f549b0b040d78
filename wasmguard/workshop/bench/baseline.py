"""Figures that were kept, and what got worse since.

1. Two documents are compared only if the same was measured: the same events, policies of the same names under the same
   limits, and one wasmtime, whose next version may count fuel otherwise. Else nothing is called better or worse.
2. Fuel is exact, so more than `FUEL` of it always fails, on any machine and under any load. So does a fault where there
   was an answer. Any other answer that changed is told, loudly: a policy may have been changed in order to change it.
3. Time is compared between runs, so each time is taken relative to the floor that was measured beside it in the same
   rounds: what slows the machine down slows both. Least times count, because others' work only ever adds.
4. A row is slower only if its least time and the median of its rounds both are, by more than is allowed, and the 95 %
   intervals of both runs do not meet. Allowed is `TIME`, and as much as the floor itself was unrestful: its typical
   round above its least time, the mean of both runs. Of 1,200 comparisons of two runs of the same policies, 5 s each,
   on 4 cores under loads of 4 to 9, none came to 0.8 of what is allowed; by `TIME` alone 52 would have failed.
5. What looks slower is measured again, up to `AGAIN` times, and the smallest ratio counts: noise goes away, and what is
   slower stays so.
6. On another machine times say nothing. What is exact is compared all the same.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from wasmguard import wire
from wasmguard.errors import HostError, UsageError
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.bench.noise import independent, interval
from wasmguard.workshop.bench.variant import CHAIN, POLICY
from wasmguard.workshop.files import replace_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Rows = Mapping[str, Mapping[str, Any]]

FORMAT = 1
LARGEST = 256 * 2**20  # bytes of a file with figures: hundreds of policies have some
LIMIT = 2**63  # no size, fuel or time of ours is as much, nor below nothing
FUEL = 0.02  # share of fuel by which an event may grow: what a compiler's new version does to the same source
TIME = 0.25
"""Share of time by which a row may grow on a machine at rest."""
AGAIN = 2  # how often what looks slower is measured again
SLOWER, FASTER, SAME, NOISE = "slower", "faster", "same", "noise"


def saved(path: str, document: Mapping[str, Any]) -> None:
    """Keep the figures of *document* in the file *path*, whole or not at all; a link stays one.

    Raises:
        UsageError: if *path* is something else than a file.
        HostError: if it cannot be written.
    """
    shown, real = one_line(path, 200), os.path.realpath(path)
    if os.path.lexists(real) and not os.path.isfile(real):  # else what is there, a device even, would be replaced
        raise UsageError(f"`{shown}` is no file that figures could be kept in: name another one with `--save`")
    data = json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n"
    try:
        replace_files({Path(real): data.encode()})
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"figures cannot be kept in `{shown}`: {why}: name another file with `--save`") from None


def read(path: str) -> dict[str, Any]:
    """The document that was kept in the file *path*.

    Raises:
        UsageError: if there is none, or none that this version reads.
    """
    shown = one_line(path, 200)
    anew = "make a new one with `--save`"
    try:
        with open(
            os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb"
        ) as file:  # a pipe would wait for ever
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"baseline `{shown}`: is no file: name one that `--save` wrote")
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise UsageError(f"baseline `{shown}`: does not exist: make it with `--save {shown}`") from None
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise UsageError(f"baseline `{shown}`: cannot be read: {why}: name another file, or {anew}") from None
    if len(data) > LARGEST:
        raise UsageError(f"baseline `{shown}`: has over {LARGEST:_} bytes: name a file that `--save` wrote")
    try:
        document = wire.read_strictly(data.decode())
    except (ValueError, RecursionError, MemoryError):
        raise UsageError(f"baseline `{shown}`: is no JSON: name a file that `--save` wrote") from None
    if type(document) is not dict or "wasmguard_bench" not in document:
        raise UsageError(f"baseline `{shown}`: holds no figures of `wasmguard bench`: name a file that `--save` wrote")
    if document["wasmguard_bench"] != FORMAT:
        had = one_line(json.dumps(document["wasmguard_bench"]), 40)
        raise UsageError(f"baseline `{shown}`: has format {had}, and this version reads {FORMAT}: {anew}")
    if document.get("complete") is not True:
        raise UsageError(f"baseline `{shown}`: was interrupted: {anew}")
    try:
        _typed(document)
        _read_through(document)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, StopIteration):
        raise UsageError(f"baseline `{shown}`: is damaged: {anew}") from None
    return document


def comparable(document: Mapping[str, Any], baseline: Mapping[str, Any], path: str = "") -> None:
    """See that *document*, which needs no rows for that yet, measured what *baseline* did, which was kept in *path*.

    Raises:
        UsageError: if not.
    """
    if differs := list(_incomparable(document, baseline)):
        shown = one_line(path, 200)
        raise UsageError(f"baseline `{shown}`: {'; '.join(differs)}: make a new one with `--save {shown}`")


def held(
    document: Mapping[str, Any],
    baseline: Mapping[str, Any],
    again: Callable[[], Iterable[Mapping[str, Any]]] | None,
    path: str = "",
) -> dict[str, Any]:
    """What got worse in *document* since *baseline*, which was kept in *path*: the `check` of the document.

    *again* measures once more and returns new rows; it is called only if something looks slower.

    Raises:
        UsageError: if the two cannot be compared.
    """
    comparable(document, baseline, path)
    exact = _Exact()
    for now in document["policies"]:
        exact.compare(now, _entry(baseline, now["name"]), document["events"]["list"])
    there, here = baseline["machine"]["processor"], document["machine"]["processor"]
    times: list[dict[str, Any]] = []
    if there != here:
        exact.notes.append(
            f"made on another machine (`{one_line(there, 100)}`, this is `{here}`): times are not compared"
        )
    else:
        times = list(_times(document["rows"], baseline["rows"], again, exact.notes))
    slower = any(one["verdict"] == SLOWER for one in times)
    return {
        "baseline": path,
        "ok": not (exact.worse or slower),
        "fuel": exact.fuel,
        "time": times,
        "answers": exact.answers,
        "notes": exact.notes,
    }


# --- what is exact ---------------------------------------------------------------------------------------------------


class _Exact:
    """What changed in figures without noise, gathered policy by policy."""

    def __init__(self) -> None:
        self.worse = False
        self.fuel: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def compare(self, now: Mapping[str, Any], before: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> None:
        """Note what is different in the entry *now* of a policy from the entry *before*."""
        names, policy = [event["name"] for event in events], now["name"]
        changed = self._fuel(now, before, names)
        if changed and max(changed) > FUEL:
            self.worse = True
            self.notes.append(f"`{policy}` burns more: {max(changed):+.1%} fuel at the most")
        if changed and min(changed) < 0:
            self.notes.append(f"`{policy}` burns less: {min(changed):+.1%} fuel at the most")
        self._answers(now, before, names)
        self._sizes(now, before)

    def _fuel(self, now: Mapping[str, Any], before: Mapping[str, Any], names: list[str]) -> list[float]:
        """The changes of fuel, as shares; all that differ are kept."""
        changed = []
        for name, had, has in zip(names, before["fuel"]["events"], now["fuel"]["events"], strict=True):
            if had is None or has is None or had == has:
                continue
            changed.append((has - had) / max(had, 1))
            entry = {"policy": now["name"], "event": name, "before": had, "after": has, "change": round(changed[-1], 6)}
            self.fuel.append(entry)
        return changed

    def _answers(self, now: Mapping[str, Any], before: Mapping[str, Any], names: list[str]) -> None:
        """Answers that are others now, and faults that were none."""
        policy = now["name"]
        pairs = zip(names, before["decisions"], now["decisions"], strict=True)
        changed = [name for name, had, has in pairs if had != has]
        self.answers += [{"policy": policy, "event": name} for name in changed]
        if changed:
            self.notes.append(f"`{policy}` ANSWERS OTHERWISE than it did to {_listed(changed)}: look whether it should")
        if fails := _new_faults(now, before, names):
            self.worse = True
            self.notes.append(f"`{policy}` FAILS where it answered: {_listed(fails)}")

    def _sizes(self, now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        for key, what in (("memory", "memory"), ("bytes", "its module")):
            had, has = before[key], now[key]
            if had is not None and has is not None and had != has:
                grew = "more" if has > had else "less"
                self.notes.append(f"`{now['name']}` takes {grew} for {what}: {had:_} bytes then, {has:_} now")


def _new_faults(now: Mapping[str, Any], before: Mapping[str, Any], names: list[str]) -> list[str]:
    """The events that a policy fails at and had answered: then there is no fault, not even null."""
    triples = zip(names, before["faults"], now["faults"], strict=True)
    return [name for name, had, has in triples if has and had == ""]


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{one_line(name, 64)}`" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


# --- whether there is anything to compare ----------------------------------------------------------------------------


def _incomparable(document: Mapping[str, Any], baseline: Mapping[str, Any]) -> Iterator[str]:
    """What speaks against comparing, a clause each."""
    there, here = baseline["machine"]["wasmtime"], document["machine"]["wasmtime"]
    if there != here:
        yield f"was made with wasmtime {one_line(there, 40)} and this is {here}, which may count fuel otherwise"
    if baseline["events"]["digest"] != document["events"]["digest"]:
        yield f"was made with other events, of `{one_line(str(baseline['events']['source']), 100)}`"
    names, had = [one["name"] for one in document["policies"]], [one["name"] for one in baseline["policies"]]
    if set(names) != set(had):
        yield f"was made with other policies: {_listed(had)} then, {_listed(names)} now"
        return
    for now in document["policies"]:
        before = _entry(baseline, now["name"])
        if now["limits"] != before["limits"]:
            yield f"was made with other limits of `{now['name']}`"


def _entry(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next(entry for entry in document["policies"] if entry["name"] == name)


def _typed(document: Mapping[str, Any]) -> None:
    """See that what is compared, counted with and shown has the types that it must have.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: if not.
    """
    texts = [document["machine"][key] for key in ("processor", "wasmtime")]
    texts += [document["events"][key] for key in ("digest", "source")]
    numbers: list[Any] = []
    for entry in document["policies"]:
        numbers += [entry["bytes"], entry["memory"], *entry["fuel"]["events"]]
        texts += [entry["name"], *entry["decisions"], *entry["faults"]]
    for row in document["rows"]:
        texts += [row["id"], row["kind"], row["floor"]]
        numbers += [*row["quiet_of_rounds"], *(one[key] for one in row["by_event"] for key in ("event", "min"))]
    if not all(text is None or type(text) is str for text in texts):
        raise TypeError("a text that is none")
    if not all(number is None or (type(number) in (int, float) and 0 <= number < LIMIT) for number in numbers):
        raise TypeError("a number that none of ours is")


def _read_through(document: Mapping[str, Any]) -> None:
    """Touch all that is compared: a document that agrees with itself has it, a damaged one raises something."""
    held({**document, "rows": [*document["rows"]]}, document, None)


# --- times -----------------------------------------------------------------------------------------------------------


class _Relative(Value):
    """A row's times, as multiples of its floor's in the same rounds."""

    least: float
    """Of its least times to its floor's."""
    median: float
    low: float
    high: float
    """The 95 % interval of the median."""
    own: float
    """Its least time, the mean over its events, in microseconds."""
    unrest: float
    """By which share the floor's median round was above its least time."""


def _times(
    rows: Iterable[Mapping[str, Any]],
    before: Iterable[Mapping[str, Any]],
    again: Callable[[], Iterable[Mapping[str, Any]]] | None,
    notes: list[str],
) -> Iterator[dict[str, Any]]:
    """What became of each row's time."""
    now, then = _by_id(rows), _by_id(before)
    judged = [name for name, row in now.items() if row["kind"] in (POLICY, CHAIN)]
    if missing := [name for name in judged if name not in then]:
        notes.append(f"not in the baseline, so not compared: {_listed(missing)}")
    found = {name: _judged(name, now, then) for name in judged if name in then}
    for _ in range(AGAIN if again else 0):
        doubted = [name for name, one in found.items() if one["verdict"] == SLOWER]
        if not doubted or again is None:
            break
        new = _by_id(again())
        for name in doubted:
            found[name] = _better(found[name], _judged(name, new, then))
    yield from found.values()


def _judged(name: str, now: Rows, then: Rows) -> dict[str, Any]:
    """What the row *name* says about its time."""
    told = {"id": name, "before": None, "after": None, "ratio": None, "low": None, "high": None, "verdict": NOISE}
    if name not in now:
        return {**told, "why": "it was not measured"}
    if [one["event"] for one in now[name]["by_event"]] != [one["event"] for one in then[name]["by_event"]]:
        return {**told, "why": "it is asked about other events than it was"}
    before, after = _relative(name, then), _relative(name, now)
    if before is None or after is None:
        return {**told, "why": "too few rounds, or no floor beside it, to tell it from noise: measure longer"}
    ratio, low, high = after.least / before.least, after.low / before.high, after.high / before.low
    allowed = TIME + (before.unrest + after.unrest) / 2
    verdict, why = _verdict(sorted((ratio, after.median / before.median)), low, high, allowed)
    figures = {"before": before.own, "after": before.own * ratio, "ratio": ratio, "low": low, "high": high}
    return {**told, **{key: round(figure, 4) for key, figure in figures.items()}, "verdict": verdict, "why": why}


def _verdict(ratios: list[float], low: float, high: float, allowed: float) -> tuple[str, str]:
    """What a row's *ratios*, the smaller first, and the interval from *low* to *high* mean, and why."""
    least, most = ratios
    if least > 1 + allowed:
        return (SLOWER, f"by more than {allowed:.0%}, and than noise") if low > 1 else (NOISE, "the intervals meet")
    if most < 1 / (1 + allowed):
        return (FASTER, f"by more than {allowed:.0%}, and than noise") if high < 1 else (NOISE, "the intervals meet")
    if least > 1 + TIME or most < 1 / (1 + TIME):
        return NOISE, f"within {allowed:.0%}: the machine was not at rest"
    return SAME, f"within {TIME:.0%}"


def _better(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Whichever of two looks at the same row counts: the smaller ratio."""
    if other["ratio"] is None:
        return one
    if other["verdict"] != SLOWER:
        return {**other, "verdict": NOISE, "why": "not so when it was measured again"}
    smaller = min(one, other, key=lambda look: look["ratio"])
    return {**smaller, "why": "also when it was measured again"}


def _relative(name: str, rows: Rows) -> _Relative | None:
    """The row *name* relative to its floor; None if there is no floor, or no interval."""
    row = rows[name]
    floor = rows.get(row["floor"])
    if floor is None:
        return None
    pairs = list(zip(row["quiet_of_rounds"], floor["quiet_of_rounds"], strict=False))
    if not pairs or not all(ours > 0 and theirs > 0 for ours, theirs in pairs):
        return None
    shares = [ours / theirs for ours, theirs in pairs]
    around = interval(independent(shares))
    own, its = _least(row), _least(floor)
    if around is None or own <= 0 or its <= 0:
        return None
    unrest = max(median(floor["quiet_of_rounds"]) / its - 1, 0.0)
    return _Relative(least=own / its, median=median(shares), low=around[0], high=around[1], own=own, unrest=unrest)


def _least(row: Mapping[str, Any]) -> float:
    """The mean over events of the least time."""
    return fmean(one["min"] for one in row["by_event"])


def _by_id(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {row["id"]: row for row in rows}
