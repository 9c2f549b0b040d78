"""What remembering costs, and that nothing is lost: everything is counted, and the sums must be exact.

    python benchmarks/state.py [TIMES] [--store sqlite|redis]

For each store (Redis if redis-server is installed: one of its own, on a free port, `appendonly yes`):

* a turn (recall, commit) of one process by itself: median and minimum in microseconds, and turns a second;
* the same of 4 processes, each in a session of its own;
* 8 processes that count TIMES (10,000) each at one key, through `Store`, then through `Guard.decide` with the policy
  `tests/guests/counts.wat`: a turn that loses a race is taken again;
* stateful decisions a second: one process, and 4 in sessions of their own.

Exits 1 if a sum is wrong.
"""

import argparse
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty

CONTEXT = multiprocessing.get_context("spawn")  # as agents and their hooks are: not forked from one another
GUEST = os.path.join(os.path.dirname(__file__), "..", "tests", "guests", "counts.wat")
EVENT = {
    "transcript_path": "/home/dev/.claude/projects/-home-dev-project/x.jsonl",
    "cwd": "/home/dev/project",
    "permission_mode": "default",
    "hook_event_name": "PreToolUse",
    "tool_name": "Write",
    "tool_input": {"file_path": "/home/dev/data/new.txt", "content": "N\n"},
}
RACES = 3  # lost, before a turn is taken alone: as `wasmguard.recall` does
WARM_UP = 100


def counter(config: str, settings: dict, session: str) -> Callable[[], int]:  # type: ignore[type-arg]
    """Counts one more through the store, and returns how many races it lost."""
    from wasmguard.state import opened
    from wasmguard.state.interface import Slot

    store = opened(config, settings)
    slots = [Slot(policy="counts", scope="session", key=session, expires=86_400, entries=1000)]

    def count() -> int:
        lost = 0
        while True:
            turn = store.turn(slots, alone=lost >= RACES)
            try:
                before = int.from_bytes(turn.recall("counts") or b"", "little")
                if turn.commit({"counts": (before + 1).to_bytes(8, "little")}):
                    return lost
            finally:
                turn.end()
            lost += 1

    return count


def decider(config: str, _settings: dict, session: str) -> Callable[[], int]:  # type: ignore[type-arg]
    """Counts one more by a decision."""
    from wasmguard import Effect, Guard

    guard, event = Guard.load(config, isolation="thread"), EVENT | {"session_id": session}

    def decide() -> int:
        decision = guard.decide(event)
        if decision.effect is not Effect.PASS:
            raise SystemExit(f"not counted: {decision.reason}")
        return 0

    return decide


def work(make, config, settings, session, times, ready, go, told) -> None:  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    count = make(config, settings, session)
    for _ in range(WARM_UP):
        count()
    ready.put(True)
    go.wait()
    taken, lost = [], 0
    for _ in range(times):
        begun = time.perf_counter_ns()
        lost += count()
        taken.append((time.perf_counter_ns() - begun) / 1000)
    told.put((statistics.median(taken), min(taken), max(taken), lost))


def together(make, config, settings, sessions, times):  # type: ignore[no-untyped-def]
    """What a process for each of *sessions* took. Their sums are checked."""
    before = {session: total(config, settings, session) for session in sessions}
    ready, told, go = CONTEXT.Queue(), CONTEXT.Queue(), CONTEXT.Event()
    processes = [
        CONTEXT.Process(target=work, args=(make, config, dict(settings), session, times, ready, go, told))
        for session in sessions
    ]
    for process in processes:
        process.start()
    for _ in processes:
        heard(ready, processes)
    begun = time.perf_counter()
    go.set()
    rows = [heard(told, processes) for _ in processes]
    seconds = time.perf_counter() - begun
    for process in processes:
        process.join(60)
    for session in set(sessions):
        expected = before[session] + sessions.count(session) * (times + WARM_UP)
        if (found := total(config, settings, session)) != expected:
            print(f"WRONG: {found} instead of {expected}")
            sys.exit(1)
    return rows, len(processes) * times / seconds


def heard(queue, processes):  # type: ignore[no-untyped-def]
    """The next word in *queue*, unless one of *processes* has failed: then all are ended."""
    while True:
        try:
            return queue.get(timeout=1)
        except Empty:
            if any(process.exitcode for process in processes):
                for process in processes:
                    process.kill()
                sys.exit(1)


def total(config: str, settings: dict, session: str) -> int:  # type: ignore[type-arg]
    from wasmguard.state import opened
    from wasmguard.state.interface import Slot

    store = opened(config, settings)
    turn = store.turn([Slot(policy="counts", scope="session", key=session, expires=86_400, entries=1000)])
    try:
        return int.from_bytes(turn.recall("counts") or b"", "little")
    finally:
        turn.end()
        store.close()


@contextmanager
def redis(folder: str) -> Iterator[str]:
    """The address of a server that runs meanwhile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(30)


def printed(name: str, made: tuple) -> None:  # type: ignore[type-arg]
    rows, speed = made
    medians, least, most, lost = zip(*rows, strict=True)
    print(
        f"  {name:<46} {speed:>7.0f}/s   median {statistics.median(medians):>7.0f} us   min {min(least):>5.0f} us"
        f"   max {max(most) / 1000:>5.0f} ms   races lost {sum(lost)}",
        flush=True,
    )


def measure(folder: str, store: str, times: int) -> None:
    import wasmtime

    from wasmguard.lock import lock

    module = os.path.join(folder, "counts.wasm")
    with open(GUEST, encoding="utf-8") as source, open(module, "wb") as made:
        made.write(wasmtime.wat2wasm(source.read()))
    path = os.path.join(folder, f"{store.partition(':')[0]}.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'[state]\nstore = "{store}"\n[[policy]]\nname = "counts"\nmodule = "counts.wasm"\n')
        file.write('grants.state = { max = 8, scope = "session" }\nlimits.clock = "2 s"\n')  # a busy machine
    settings = lock(path, repin=True).plan.state
    for name, how in (("turn", counter), ("decision", decider)):
        printed(f"{name}s of one process", together(how, path, settings, ["alone"], times))
        printed(f"{name}s of 4, a session each", together(how, path, settings, list("abcd"), times))
        made_by = f"{name}s of 8, one key, exactly {8 * (times + WARM_UP):_}"
        printed(made_by, together(how, path, settings, [name] * 8, times))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("times", nargs="?", type=int, default=10_000)
    parser.add_argument("--store", choices=("sqlite", "redis"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_CACHE_HOME": folder, "XDG_STATE_HOME": folder, "HOME": folder}
        if asked.store != "redis":
            print("SQLite")
            measure(folder, "sqlite", asked.times)
        if asked.store == "sqlite":
            return
        if shutil.which("redis-server") is None:
            print("Redis: redis-server is not installed")
            return
        with redis(folder) as address:
            print("Redis")
            measure(folder, address, asked.times)


if __name__ == "__main__":
    main()
