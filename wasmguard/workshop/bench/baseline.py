"""Figures that were kept, and what got worse since.

1. Two documents are compared only if the same was measured: the same events, policies of the same names under the same
   limits, and one wasmtime, whose next version may count fuel otherwise. Else nothing is called better or worse.
2. Fuel is exact, so more than `FUEL` of it always fails, on any machine and under any load. So does a fault where there
   was an answer. Any other answer that changed is told, loudly: a policy may have been changed in order to change it.
3. Time is compared relative to its floor's, and what looks slower is measured again (`slowdown`).
4. On another machine times say nothing. What is exact is compared all the same.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmguard import wire
from wasmguard.errors import HostError, UsageError
from wasmguard.text import one_line
from wasmguard.workshop.bench import words
from wasmguard.workshop.bench.slowdown import SLOWER, times
from wasmguard.workshop.files import replace_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

FORMAT = 1
LARGEST = 256 * 2**20  # bytes of a file with figures: hundreds of policies have some
LIMIT = 2**63  # no size, fuel or time of ours is as much, nor below nothing
FUEL = 0.02  # share of fuel by which an event may grow: what a compiler's new version does to the same source


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
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for ever
        with open(number, "rb") as file:
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
    found: list[dict[str, Any]] = []
    if there != here:
        exact.notes.append(
            f"made on another machine (`{one_line(there, 100)}`, this is `{here}`): times are not compared"
        )
    else:
        found = list(times(document["rows"], baseline["rows"], again, exact.notes))
    slower = any(one["verdict"] == SLOWER for one in found)
    return {
        "baseline": path,
        "ok": not (exact.worse or slower),
        "fuel": exact.fuel,
        "time": found,
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
            self.notes.append(
                f"`{policy}` ANSWERS OTHERWISE than it did to {words.listed(changed)}: look whether it should"
            )
        if fails := _new_faults(now, before, names):
            self.worse = True
            self.notes.append(f"`{policy}` FAILS where it answered: {words.listed(fails)}")

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
        yield f"was made with other policies: {words.listed(had)} then, {words.listed(names)} now"
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
