"""A warm decision, and the same through wasmtime's public API, in alternating blocks of one run.

    python benchmarks/decision.py [ROUNDS]

Every row is one small Write event through a fresh instance of a shipped policy.

* `thread`: `Guard.decide`: event checks, encoding, chain, evaluation, decoding, grants and path rules.
* `process`: the same with guests in a jailed process, as everybody gets it who does not say otherwise.
* `portable`: `thread` with `WASMGUARD_PORTABLE=1`, which evaluates through wasmtime-py's public API.
* `bare`: only encoding, evaluation and decoding through the public API, as one would write it first.

Medians and minima in microseconds. Blocks of 25 decisions take turns, so that the noise of the machine hits all alike
and caches are warm inside a block, as they are for events in a row.
"""

import json
import os
import statistics
import sys
import tempfile
from time import perf_counter_ns

import msgpack
import wasmtime

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
ROWS = {
    "tool-gate, passes": ("tool-gate", 'settings = { deny_commands = ["rm -rf"] }', "/home/dev/data/new.txt"),
    "path-redirect, passes": ("path-redirect", "", "/sandbox/home/dev/data/new.txt"),
    "path-redirect, rewrites": (
        "path-redirect",
        'grants.rewrite."Write.file_path" = { within = "/sandbox" }',
        "/home/dev/data/new.txt",
    ),
}
WARM_UP, BLOCK = 300, 25


def guard_of(folder: str, policy: str, more: str, isolation: str = "thread"):  # type: ignore[no-untyped-def]
    from wasmguard import Guard

    path = os.path.join(folder, f"{policy}-{len(more)}.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'[[policy]]\nname = "it"\nmodule = "builtin:{policy}"\n{more}\n')
    return Guard.load(path, isolation=isolation)


def public_of(policy: str):  # type: ignore[no-untyped-def]
    """The same evaluation through the public API: default allocator, fuel, epoch and memory limit as ours."""
    from wasmguard.guest.bundle import builtin_dir

    config = wasmtime.Config()
    config.consume_fuel = config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    with open(os.path.join(builtin_dir(), policy, "policy.wasm"), "rb") as file:
        module = wasmtime.Module(engine, file.read())
    linker = wasmtime.Linker(engine)

    def evaluate(event: dict) -> dict:  # type: ignore[type-arg]
        data = msgpack.packb({"abi": 1, "event": event, "settings": {}, "state": None})
        store = wasmtime.Store(engine)
        try:
            store.set_limits(memory_size=16 << 20)
            store.set_fuel(20_000_000)
            store.set_epoch_deadline(100)
            exports = linker.instantiate(store, module).exports(store)
            start = exports["wasmguard_alloc"](store, len(data))
            exports["memory"].write(store, data, start)
            packed = exports["wasmguard_evaluate"](store, start, len(data)) & (2**64 - 1)
            begin, size = packed >> 32, packed & (2**32 - 1)
            return msgpack.unpackb(exports["memory"].read(store, begin, begin + size))
        finally:
            store.close()

    return evaluate


def portable_of(folder: str, policy: str, more: str):  # type: ignore[no-untyped-def]
    os.environ["WASMGUARD_PORTABLE"] = "1"
    try:
        return guard_of(folder, policy, more)
    finally:
        del os.environ["WASMGUARD_PORTABLE"]


def block(call, event) -> list[float]:  # type: ignore[no-untyped-def]
    times = []
    for _ in range(BLOCK):
        begun = perf_counter_ns()
        call(event)
        times.append((perf_counter_ns() - begun) / 1000)
    return times


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    print(f"{rounds} decisions each, {len(json.dumps(EVENT))} bytes of event, median/min in microseconds")
    print(f"{'':24}{'thread':>12}{'process':>14}{'portable':>14}{'bare':>14}{'t/bare':>8}{'p-t us':>8}{'fuel':>7}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_CACHE_HOME": folder, "XDG_STATE_HOME": folder}
        for name, (policy, more, path) in ROWS.items():
            event = EVENT | {"tool_input": EVENT["tool_input"] | {"file_path": path}}
            guard, jailed = (guard_of(folder, policy, more, where) for where in ("thread", "process"))
            calls = [guard.decide, jailed.decide, portable_of(folder, policy, more).decide, public_of(policy)]
            for call in calls:
                for _ in range(WARM_UP // BLOCK):
                    block(call, event)
            taken: list[list[float]] = [[] for _ in calls]
            for _ in range(rounds // BLOCK):
                for times, call in zip(taken, calls, strict=True):
                    times.extend(block(call, event))
            thread, process, _, bare = medians = [statistics.median(times) for times in taken]
            fuel = sum(v.fuel for v in guard.decide(event).verdicts)
            cells = "".join(f"{m:8.1f}/{min(t):5.1f}" for m, t in zip(medians, taken, strict=True))
            print(f"{name:23}{cells}{thread / bare:8.2f}{process - thread:8.1f}{fuel:7_}")
            jailed.close()


if __name__ == "__main__":
    main()
