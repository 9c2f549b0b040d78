"""One policy in every language: what each costs, in one run.

    python benchmarks/languages.py [ROUNDS] [--markdown]

The policy is `path-redirect` as `policies-src/languages/` has it. `shipped` is `builtin:path-redirect`, Rust without a
library.

* `bytes` of the module, `fuel` of a small Write that is moved, and `memory`: the least that decides it. These
  are exact: `tests/languages/test_table.py` holds the tables in README.md and policies-src/README.md against them.
* `us`: median and minimum of a warm `Guard.decide` about a small Write that stays where it is, with guests in this
  process: one evaluation in a fresh instance. (About one that is moved the policy is asked twice: again about where it
  goes.) Blocks of 25 decisions take turns, so that the noise of the machine hits all alike. `x C`: the medians' ratio
  in this run.
"""

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

from wasmguard.errors import GuestFault
from wasmguard.event import Event
from wasmguard.guest.bundle import builtin_dir, open_bundle
from wasmguard.guest.codec import encode_event, encode_settings, request
from wasmguard.limits import HARD_MAX, PROFILES
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.spec import Spec

PAGE = 64 * 1024  # bytes
WARM_UP, BLOCK = 50, 25
SHIPPED = "shipped"
COMPONENTS = "typescript", "python"
TITLES = {
    "c": "C",
    "cpp": "C++",
    "rust": "Rust",
    "zig": "Zig",
    "assemblyscript": "AssemblyScript",
    "go": "Go",
    "typescript": "TypeScript",
    "python": "Python",
    SHIPPED: "Rust, no library",
}
EVENT = {
    "session_id": "4bef8f8b-ce88-4ead-a908-16158175668b",
    "transcript_path": "/home/dev/.claude/projects/-home-dev-project/4bef8f8b-ce88-4ead-a908-16158175668b.jsonl",
    "cwd": "/home/dev/project",
    "permission_mode": "default",
    "hook_event_name": "PreToolUse",
    "tool_name": "Write",
    "tool_input": {"file_path": "/home/dev/data/new.txt", "content": "N\n"},
    "tool_use_id": "toolu_e99624c690ac40e599e81623",
}
STAYS = EVENT | {"tool_input": {"file_path": "/sandbox/home/dev/data/new.txt", "content": "N\n"}}


def place(language: str) -> Path:
    """The folder of its module and manifest."""
    built = Path(builtin_dir())
    return built / "path-redirect" if language == SHIPPED else built / "languages" / language


def exact(language: str) -> tuple[int, int, int]:
    """Bytes of the module, fuel of the event, and the least bytes of memory with which it is decided."""
    bundle = open_bundle(str(place(language)), "/", HARD_MAX.module)
    assert bundle.manifest
    limits = PROFILES[bundle.manifest.limits].replaced(clock=HARD_MAX.clock, compile_cpu=120, compile_wall=180)
    kind = "component" if bundle.module[4] == 13 else "core"
    setup = Setup(kind=kind, reservation=limits.memory, stack=limits.stack)
    code = compiled(bundle.module, setup, limits)
    cell = Cell(find(), {kind: setup}, 2, portable=False)
    reads = None if bundle.manifest.reads is None else frozenset(bundle.manifest.reads)
    event = Event(name="PreToolUse", agent="claude", fields=EVENT, time=0)
    asked = request(encode_event(event, reads), encode_settings(bundle.manifest.settled({}, "benchmark")), None)

    def fuel(pages: int) -> int:
        """Of the event with so much memory; 0 if that is not enough."""
        guest = cell.load(Spec(kind=kind, limits=limits.replaced(memory=pages * PAGE), answer=limits.answer), [code])
        try:
            answer, burned = guest.evaluate(asked)
        except GuestFault:
            return 0
        return burned if b"/sandbox/home/dev/data/new.txt" in answer else 0

    low, high = 0, limits.memory // PAGE  # not enough, enough
    burned = fuel(high)
    assert burned, language
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fuel(middle) else (middle, high)
    return len(bundle.module), burned, high * PAGE


def times(languages: list[str], rounds: int) -> dict[str, list[float]]:
    """Microseconds of each decision, of all languages in turns."""
    from wasmguard import Guard

    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_CACHE_HOME": folder, "XDG_STATE_HOME": folder}
        guards = {}
        for language in languages:
            path = Path(folder, f"{language}.toml")
            grant = 'grants.rewrite."Write.file_path" = { within = "/sandbox" }'
            profile = 'limits.profile = "roomy"' if language in COMPONENTS else ""
            module = f"module = {json.dumps(str(place(language)))}"
            path.write_text(f'[[policy]]\nname = "it"\n{module}\n{grant}\n{profile}\n', encoding="utf-8")
            guards[language] = Guard.load(str(path), isolation="thread")
        taken: dict[str, list[float]] = {language: [] for language in languages}
        for guard in guards.values():
            for _ in range(WARM_UP):
                assert guard.decide(EVENT).rewrite
                assert guard.decide(STAYS).rewrite is None
        for _ in range(rounds):
            for language, guard in guards.items():
                for _ in range(BLOCK):
                    begun = perf_counter_ns()
                    guard.decide(STAYS)
                    taken[language].append((perf_counter_ns() - begun) / 1000)
        for guard in guards.values():
            guard.close()
    return taken


def row(language: str, figures: tuple[int, int, int], taken: list[float], c: list[float]) -> list[str]:
    size, fuel, memory = figures
    middle = statistics.median(taken)
    ratio = middle / statistics.median(c)
    return [
        TITLES[language], f"{size:,}", f"{fuel:,}", f"{memory // 1024:,} KiB", f"{middle:,.0f} ({min(taken):,.0f})",
        f"{ratio:.2f}",
    ]  # fmt: skip


HEAD = ["language", "bytes", "fuel", "memory", "us", "x C"]


def main() -> None:
    """Print the table."""
    numbers = [word for word in sys.argv[1:] if word.isdigit()]
    languages = [name for name in TITLES if (place(name) / "policy.wasm").exists()]
    taken = times(languages, int(numbers[0]) if numbers else 40)
    table = [HEAD, *(row(name, exact(name), taken[name], taken["c"]) for name in languages)]
    if "--markdown" in sys.argv:
        table.insert(1, ["---", *["---:"] * (len(HEAD) - 1)])
        print("\n".join("| " + " | ".join(cells) + " |" for cells in table))
        return
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *others]))


if __name__ == "__main__":
    main()
