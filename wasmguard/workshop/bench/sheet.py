"""The rows of a benchmark as CSV (RFC 4180), one line for each: times in microseconds, sizes in bytes, plain numbers.

* `id`, `path`, `subject`, `kind`: whose times. `cell/tool-gate` is the policy `tool-gate` on the path `cell`; `kind` is
  `policy`, `chain`, `floor` or `peer`
* `floor`, `floor_median`: the id of the floor beside it, and its median
* `about`: what is in the time, in words
* `n`, `rounds`: decisions, and the rounds that they were measured in
* `min`, `median`, `low`, `high`, `mean`: `low` and `high` end the 95 % interval of the median, empty below 6 rounds
* `p90`, `p99`, `p999`, `max`: percentiles
* `per_second`: decisions, one after the other
* `rate_asked`, `rate_reached`, `rate_late`: of an open loop, events a second, and the share that began over 1 ms late
* `fuel_min`, `fuel_median`, `fuel_max`: of a policy, over the events; empty if the row is no policy's
* `memory`, `module`, `compile`, `load`: of a policy, its linear memory and its module; how long it took
  to compile and to load it

Names are somebody else's text, and a spreadsheet takes a cell that begins with one of `=`, `+`, `-`, `@` for a formula:
such a text gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from wasmguard.text import one_line
from wasmguard.workshop.bench.variant import POLICY

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS = ("id", "path", "subject", "kind", "floor", "about")
NUMBERS = ("n", "rounds", "min", "median", "low", "high", "mean", "p90", "p99", "p999", "max", "per_second")
RATES = ("asked", "reached", "late")
FUEL = ("min", "median", "max")
COLUMNS = (
    *TEXTS,
    "floor_median",
    *NUMBERS,
    *(f"rate_{key}" for key in RATES),
    *(f"fuel_{key}" for key in FUEL),
    *("memory", "module", "compile", "load"),
)
FORMULA = ("=", "+", "-", "@")
CAP = 300  # characters of a text


def sheet(document: Mapping[str, Any]) -> str:
    """The CSV of *document*: a header, and a line for each of its rows."""
    medians = {row["id"]: row["median"] for row in document["rows"]}
    policies = {policy["name"]: policy for policy in document["policies"]}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    for row in document["rows"]:
        line = {key: _defused(row[key]) for key in TEXTS} | {key: row[key] for key in NUMBERS}
        line["floor_median"] = medians.get(row["floor"])
        if row["rate"]:
            line |= {f"rate_{key}": row["rate"][key] for key in RATES}
        if row["kind"] == POLICY and row["subject"] in policies:
            line |= _exact(policies[row["subject"]])
        writer.writerow(line)
    return text.getvalue()


def _exact(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{f"fuel_{key}": policy["fuel"][key] for key in FUEL},
        "memory": policy["memory"],
        "module": policy["bytes"],
        "compile": round(policy["compile"] * 1e6, 3),
        "load": round(policy["load"] * 1e6, 3),
    }


def _defused(text: str) -> str:
    """*text* on one line, and no formula."""
    said = one_line(text, CAP)
    return f"'{said}" if said.startswith(FORMULA) else said
