"""Documents that are unlike the sample: one policy, thirty, none, names without end, numbers without end."""

import copy
import json
from pathlib import Path

SAMPLE = json.loads((Path(__file__).parent / "sample.json").read_text(encoding="utf-8"))
LONG = "a-policy-whose-author-could-not-stop-naming-it-and-so-its-name-goes-on-and-on-80"


def sample():
    """The whole sample, free to be changed."""
    return copy.deepcopy(SAMPLE)


def renamed(document, change):
    """*document* with every policy's name changed, wherever it stands."""
    names = {policy["name"]: change(policy["name"]) for policy in document["policies"]}
    for policy in document["policies"]:
        policy["name"] = names[policy["name"]]
    for row in [*document["rows"], *(document["sizes"] or {"rows": []})["rows"]]:
        row["subject"] = names.get(row["subject"], row["subject"])
        row["id"] = f"{row['path']}/{row['subject']}"
    for entry in document["adversarial"] or []:
        entry["policy"] = names.get(entry["policy"], entry["policy"])
    return document


def many(count):
    """*count* policies with names of 40 characters, each a little slower than the one before."""
    document = sample()
    first = document["policies"][0]
    rows = {row["id"]: row for row in document["rows"]}
    pattern, sizes = rows["cell/path-redirect"], document["sizes"]["rows"][1]
    names = [f"policy-number-{index:02d}-with-a-name-of-40-chars" for index in range(count)]
    document["policies"] = [{**copy.deepcopy(first), "name": name, "module": f"{name}.wasm"} for name in names]
    for index, policy in enumerate(document["policies"]):
        policy["fuel"] = {key: value and value * (index + 1) for key, value in list(policy["fuel"].items())[:3]}
    kept = [row for row in document["rows"] if row["kind"] != "policy"]
    document["rows"] = [_slower(pattern, name, 1 + index / 9) for index, name in enumerate(names)] + kept
    document["sizes"]["rows"] = [_slower(sizes, name, 1 + index / 90) for index, name in enumerate(names)]
    return document


def one():
    """One policy, so no chain, and nothing else."""
    document = many(1)
    document["rows"] = [row for row in document["rows"] if row["path"] == "cell" and row["kind"] != "chain"]
    return {**document, "check": None, "compare": None, "adversarial": None, "missing": [], "measuring": None}


def nothing():
    """Ctrl-C at once."""
    absent = dict.fromkeys(("measuring", "sizes", "check", "compare", "adversarial"))
    return {**sample(), **absent, "complete": False, "seconds": 0.1, "rows": [], "policies": [], "missing": []}


def only_peers():
    """Others, and nothing of ours."""
    document = sample()
    document["rows"] = [row for row in document["rows"] if row["kind"] == "peer"]
    return {**document, "policies": [], "sizes": None, "check": None, "compare": None, "adversarial": None}


def long_names():
    """Names of 80 characters without a blank."""
    document = renamed(sample(), lambda name: name[:3] + LONG[3:])
    for row in document["rows"]:
        row["about"] = row["about"] and LONG
        if row["kind"] == "peer":
            row["subject"] = LONG
    return document


def huge():
    """A thousand years, all fuel there is, and modules of a terabyte."""
    document = sample()
    for row in [*document["rows"], *document["sizes"]["rows"]]:
        _scaled(row, 3e10 if row["kind"] == "chain" else 1e-3)
    for policy in document["policies"]:
        policy["fuel"] |= {"min": 0, "median": 10**15, "max": 2**63}
        policy["limits"]["fuel"] = 2**64
        policy |= {"bytes": 10**12, "memory": 2**40, "compile": 1e6, "load": 1e-9}
        policy["split"] = {part: value and value * 1e9 for part, value in policy["split"].items()}
    return document


ALL = {"sample": sample, "thirty": lambda: many(30), "one": one, "nothing": nothing, "peers": only_peers,
       "long": long_names, "huge": huge}  # fmt: skip


def _slower(row, name, factor):
    return _scaled({**copy.deepcopy(row), "subject": name, "id": f"{row['path']}/{name}"}, factor)


def _scaled(row, factor):
    for key in ("min", "median", "low", "high", "mean", "p90", "p99", "p999", "max"):
        row[key] = row[key] and row[key] * factor
    row["per_second"] /= factor
    row["histogram"] = [[edge * factor, count] for edge, count in row["histogram"]]
    for event in row["by_event"]:
        event |= {"min": event["min"] * factor, "median": event["median"] * factor}
    return row
