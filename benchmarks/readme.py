"""The numbers in README.md and policies-src/README.md: `wasmguard bench` measures them, this puts them there.

    python benchmarks/readme.py                         measures for four minutes and rewrites the marked sections
    python benchmarks/readme.py --from COST LANGUAGES   the same from two outputs of `wasmguard bench --json`

Every section stands between `<!-- bench:NAME -->` and `<!-- /bench -->`, and names the command and the machine.
`tests/languages/test_table.py` holds what is exact in it (bytes, fuel, memory) against the modules.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from wasmguard.workshop.bench.words import time

ROOT = Path(__file__).parents[1]
WASMGUARD = [sys.executable, "-I", "-m", "wasmguard"]
COST = ["wasmguard/workshop/recorded/wasmguard.toml", "--path", "all", "--peers", "--seconds", "60"]
SHIPPED, BUILT = "builtin:path-redirect", "build/languages/"
TITLES = {
    "build/languages/c": "C",
    "build/languages/cpp": "C++",
    "build/languages/rust": "Rust",
    "build/languages/zig": "Zig",
    "build/languages/assemblyscript": "AssemblyScript",
    "build/languages/go": "Go",
    "build/languages/typescript": "TypeScript",
    "build/languages/python": "Python",
    SHIPPED: "Rust, no library",
}
EVENT = "benchmarks/write.json"
LANGUAGES = [*TITLES, "--path", "library", "--events", EVENT, "--seconds", "60"]
HEAD = ["language", "bytes", "fuel", "memory", "us", "x C"]
WAITS = {
    "native-client/native client": "a hook: native client and daemon, spawn to exit",
    "daemon/python client": "a hook: Python client and daemon, spawn to exit",
    "serve/chain": "a hook that finds no daemon, spawn to exit",
    "http/keep-alive": "a hook that is a URL, connection kept",
    "cell/chain": "`Guard.decide`, policies in a jailed process",
    "library/chain": "`Guard.decide`, policies in the same process",
}


def measured(arguments: list[str]) -> dict:  # type: ignore[type-arg]
    """The document of `wasmguard bench` with these *arguments*."""
    done = subprocess.run([*WASMGUARD, "bench", *arguments, "--json"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def figures(document: dict, name: str) -> str:  # type: ignore[type-arg]
    """Median and, in brackets, minimum of a row."""
    row = next(row for row in document["rows"] if row["id"] == name)
    return f"{time(row['median'])} ({time(row['min'])})"


def waits(document: dict) -> list[str]:  # type: ignore[type-arg]
    """What an agent waits for, each row beside its floor."""
    rows = {row["id"]: row for row in document["rows"]}
    lines = ["| a call, through two policies | median (least) | beside it |", "|---|---|---|"]
    for name, title in WAITS.items():
        if name in rows:
            floor = rows[rows[name]["floor"]]
            beside = f"{rows[name]['median'] / floor['median']:.2g} x {_called(floor)}, {time(floor['median'])}"
            lines.append(f"| {title} | {figures(document, name)} | {beside} |")
    return lines


def peers(document: dict) -> list[str]:  # type: ignore[type-arg]
    """The same small guard as others carry it out."""
    lines = ["| the same small guard, in the same run | median (least) |", "|---|---|"]
    found = [row for row in document["rows"] if row["kind"] in ("peer", "ours")]
    found.sort(key=lambda row: row["median"])
    return lines + [f"| {row['subject']} | {figures(document, row['id'])} |" for row in found]


def languages(document: dict) -> list[str]:  # type: ignore[type-arg]
    """One policy in every language."""
    rows = {row["subject"]: row for row in document["rows"] if row["path"] == "library"}
    entries = {entry["module"]: entry for entry in document["policies"]}
    c = rows[entries["build/languages/c"]["name"]]["median"]
    lines = ["| " + " | ".join(HEAD) + " |", "| --- | " + " | ".join(["---:"] * (len(HEAD) - 1)) + " |"]
    for module, title in TITLES.items():
        entry, row = entries[module], rows[entries[module]["name"]]
        cells = [title, f"{entry['bytes']:,}", f"{entry['fuel']['median']:,}", f"{entry['memory'] // 1024:,} KiB"]
        cells += [f"{row['median']:,.0f} ({row['min']:,.0f})", f"{row['median'] / c:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def machine(document: dict, arguments: list[str]) -> str:  # type: ignore[type-arg]
    """The command, and where it ran."""
    said, count = document["machine"], len(document["events"]["list"])
    virtual = "virtual, " if said["virtual"] else ""
    load = said["load_before"][0]
    text = f"`wasmguard bench {' '.join(arguments)}`, {document['seconds']:.0f} s in all: "
    text += f"{count} event{'s' * (count != 1)}, {said['processor']}, {virtual}"
    text += f"{said['usable']} cores, load {load:.1f} before, {said['python']}, wasmtime {said['wasmtime']}."
    return "\n".join(wrapped(text))


def wrapped(text: str) -> list[str]:
    """*text* on lines of 120 characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= 120:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def put(path: Path, name: str, lines: list[str]) -> None:
    """Make *lines* the section *name* of *path*."""
    text = path.read_text(encoding="utf-8")
    section = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench -->)", re.DOTALL)
    new, count = section.subn(lambda found: found[1] + "\n" + "\n".join(lines) + "\n\n" + found[2], text)
    if count != 1:
        sys.exit(f"{path}: no section `<!-- bench:{name} -->`, or several: write it there")
    path.write_text(new, encoding="utf-8")


def _called(floor: dict) -> str:  # type: ignore[type-arg]
    name = floor["subject"]
    return f"`{name}`" if name.startswith("/") else f"the {name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="kept", nargs=2, type=Path, metavar=("COST", "LANGUAGES"))
    given = parser.parse_args()
    if given.kept:
        cost, spoken = (json.loads(path.read_text(encoding="utf-8")) for path in given.kept)
    else:
        cost, spoken = (measured(arguments) for arguments in (COST, LANGUAGES))
    readme, authors = ROOT / "README.md", ROOT / "policies-src/README.md"
    put(readme, "cost", [*waits(cost), "", *peers(cost), "", machine(cost, COST)])
    names = ",".join(module.removeprefix(BUILT) for module in TITLES if module != SHIPPED)
    short = [f"{BUILT}{{{names}}}", *LANGUAGES[len(TITLES) - 1 :]]  # as a shell takes it
    put(readme, "languages", [*languages(spoken), "", machine(spoken, short)])
    put(authors, "languages", [*languages(spoken), "", machine(spoken, short)])


if __name__ == "__main__":
    main()
