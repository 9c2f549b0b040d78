"""Numbers of a benchmark in words, and its one sentence: what a call costs.

Times come in microseconds and sizes in bytes, as in the document. Three digits are said of a time: more of them are
noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.text import one_line
from wasmguard.workshop.bench.variant import CELL, CHAIN, DAEMON, HTTP, LIBRARY, NATIVE, PEER, POLICY, SERVE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

TIMES = ((1_000_000.0, "s"), (1_000.0, "ms"), (1.0, "us"))
BINARY = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
DECIMAL = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
TOLD_FIRST = (CELL, LIBRARY, NATIVE, DAEMON, HTTP, SERVE)
"""Whose time is told if only one is: how most people run it comes first."""
AS_HOOK = (NATIVE, DAEMON, SERVE)
"""The paths of a hook, from the spawn of its process to its exit, in the order in which they are told."""
KEPT_UP = 0.98  # share of the events of an open loop that must have been reached in time
AT_LEAST = {"p90": 10, "p99": 100, "p999": 1_000}
"""How many times there must be for that percentile to be another than the longest of them."""
INSIDE = (CELL, LIBRARY)
ROUND_TRIP = "round trip"  # of the daemon, without the process that asks it
NAME = 100  # characters of a name that are shown at the most


def time(us: float, count: int = 3) -> str:
    """A time in the unit that suits it: `88 ns`, `0.82 us`, `181 us`, `1.18 ms`, `24.8 s`; with *count* digits."""
    if 0 < abs(us) < 0.0995:
        return f"{us * 1_000:.0f} ns"
    size, unit = next((pair for pair in TIMES if abs(us) >= 0.9995 * pair[0]), TIMES[-1])
    return f"{digits(us / size, count)} {unit}"


def within(low: float, high: float) -> str:
    """An interval, its unit said once where both have the same: `175 to 190 us`, `960 us to 1.1 ms`."""
    first, last = time(low), time(high)
    same = first.split()[1] == last.split()[1]
    return f"{first.split()[0] if same else first} to {last}"


def percentile(row: dict[str, Any], key: str = "p99") -> str:
    """The time at that percentile of *row*; `-` if there are too few times to say it."""
    return time(row[key]) if row["n"] >= AT_LEAST[key] else "-"


def digits(number: float, count: int = 3) -> str:
    """A number with *count* digits, and all of those before the point: `0.82`, `24.8`, `640`, `12,345`."""
    if not number:
        return "0"
    before = len(str(int(round(abs(number), count - 1))))  # 9.996 is said like 10
    return f"{number:,.{max(0, count - before)}f}"


def size(number: int) -> str:
    """Bytes of memory or of a module, in the units of the limits: `512 B`, `64 KiB`, `1.1 MiB`."""
    return _in_units(number, BINARY)


def payload(number: int) -> str:
    """Bytes of an event, in the units of their names: `508 B`, `51 kB`, `5.1 MB`."""
    return _in_units(number, DECIMAL)


def fuel(number: float | None) -> str:
    """Units of fuel, all digits below a million: `11,902`, `1.28 M`, `20 M`. `-` if there is none. Only a median of two
    is no whole number."""
    if number is None:
        return "-"
    if number < 1_000_000:
        return f"{number:,.0f}"
    said = digits(number / 1_000_000)
    return f"{said.rstrip('0').rstrip('.') if '.' in said else said} M"


def share(part: float) -> str:
    """A part of a whole in percent: `31 %`, `0.6 %`, `< 0.1 %`, `0 %`."""
    percent = 100 * part
    if abs(percent) < 0.05:
        return "< 0.1 %" if percent > 0 else "0 %"
    return f"{percent:.1f} %" if abs(percent) < 9.95 else f"{percent:,.0f} %"


def change(part: float) -> str:
    """How much more or less something became: `+10.1 %`, `-3.0 %`."""
    return f"{100 * part:+,.1f} %"


def ratio(number: float) -> str:
    """How many times as much something is: `1.6 x`, `0.25 x`, `37 x`."""
    return f"{digits(number, 2 if number >= 0.995 else 3)} x"


def name(text: str, cap: int = NAME) -> str:
    """A name that somebody else chose, on one line and without characters that steer a terminal."""
    return one_line(text, cap)


def listed(names: Sequence[str]) -> str:
    """Names that somebody else chose, the first five of them: "`a`, `b`", and how many more there are."""
    shown = ", ".join(f"`{name(one, 64)}`" for one in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def ours(row: Mapping[str, Any]) -> bool:
    """Whether a row is wasmguard's: its own paths are, and its places among the others (`peers`)."""
    return bool(row["kind"] != PEER)


def headline(document: dict[str, Any]) -> dict[str, Any] | None:
    """The row that the document is about: all policies, else one, as most people run them; None if there is none."""
    for kind in (CHAIN, POLICY):
        for path in TOLD_FIRST:
            for row in document["rows"]:
                if row["kind"] == kind and row["path"] == path:
                    return dict(row)
    return None


def hook(document: dict[str, Any]) -> dict[str, Any] | None:
    """The row of a hook that is a process, as it is with a client if one was measured; None if none was."""
    for path in AS_HOOK:
        for row in document["rows"]:
            if row["kind"] == CHAIN and row["path"] == path and row["subject"] != ROUND_TRIP:
                return dict(row)
    return None


def told_briefly(document: dict[str, Any]) -> str:
    """What a call costs, in one sentence without its full stop."""
    row = headline(document)
    if row is None:
        asked = any(sum(policy["effects"].values()) for policy in document["policies"])
        idle = document["complete"] and document["policies"] and not asked
        return "nothing was measured" + (": no policy is asked about any of these events" if idle else "")
    said = f"a call costs {time(row['median'])} at the median"
    if row["low"] is not None:
        said += f" ({_interval(row)})"
    if (rare := percentile(row)) != "-":
        said += f", {rare} at the 99th percentile"
    said += f", for {_whose(document, row)}"
    if row["path"] != CELL:
        said += f", by the path `{row['path']}`"
    if row["rate"]:
        said += _at_rate(row["rate"])
    whole = hook(document)
    if row["path"] in INSIDE and whole and not whole["rate"]:
        said += f"; {time(whole['median'])} with the process of a hook, by `{whole['path']}`"
    return said


def _at_rate(rate: dict[str, float]) -> str:
    """How often events came, and whether they were decided as fast as they came."""
    said = f", at {rate['asked']:,g} a second"
    if rate["reached"] >= KEPT_UP * rate["asked"]:
        return said
    return f"{said}, which is too many: {rate['reached']:,.0f} a second were decided, so each waited for those before"


def _interval(row: dict[str, Any]) -> str:
    """The interval of the median; its unit only if it is not the median's."""
    said, unit = within(row["low"], row["high"]), time(row["median"]).split()[1]
    return said.removesuffix(f" {unit}") if said.count(" ") == 3 else said


def _whose(document: dict[str, Any], row: dict[str, Any]) -> str:
    count = len(document["policies"])
    if row["kind"] == CHAIN and count > 1:
        return f"{count} policies"
    return "1 policy" if count == 1 else name(row["subject"])


def _in_units(number: int, units: tuple[tuple[int, str], ...]) -> str:
    for least, unit in units:
        if number >= least:
            said = digits(number / least, 2)
            return f"{said.removesuffix('.0')} {unit}"
    return f"{number} B"
