"""What a decision costs inside an event loop, and how long the loop is held up.

    python benchmarks/sdk.py [ROUNDS]

A small PreToolUse event of Write, and one of Bash (whose command the self-protection reads too), as Claude Code sends
them, through the shipped policy `tool-gate`, in threads and in jailed processes. Blocks of 25 take turns; medians and
minima in microseconds.

* `decide`: `Guard.decide`, as any other program calls it.
* `adecide`: `await Guard.adecide`: at once if that is short, else in a thread.
* `callback`: the hook that `wasmguard.serve.sdk.hooks` gives the SDK, called as the SDK calls it, on events whose tool
  use ids differ, as they do.
* `in a thread`: `await asyncio.to_thread(Guard.decide)`, what a callback would do that never tries at once.

`at once` is the share of `Guard.decide_at_once` that needed no thread.

Then 1,000 begin at the same time on one loop: how long they all take, and the longest time that a task which only
sleeps a millisecond at a time had to wait for its turn: with nothing else to do, beside 1,000 tasks that only take
three turns each, which is what any such crowd costs a loop, and beside the decisions. `at work` is the
processor time that the loop's thread took meanwhile: on a machine that others use too, the rest of a wait is theirs.

At last one large event at a time, the same way: they are read, protected from and encoded by a thread.
"""

import asyncio
import gc
import os
import statistics
import sys
import tempfile
from functools import partial
from itertools import count
from time import perf_counter, perf_counter_ns, thread_time

from given import EVENT, guard_of

BASH = {"tool_name": "Bash", "tool_input": {"command": "ls -la /home/dev/project", "description": "List files"}}
RECORDED = {"Write": EVENT, "Bash": EVENT | BASH}
SETTINGS = 'settings = { deny_commands = ["rm -rf"] }'
WARM_UP, BLOCK, TOGETHER = 300, 25, 1_000
CALLS = count()
DENIED: list[str] = []


def recorded(tool: str = "Write") -> dict:  # type: ignore[type-arg]
    """The event, of another call each time."""
    return RECORDED[tool] | {"tool_use_id": f"toolu_{next(CALLS):024}"}


def passes(decision) -> None:  # type: ignore[no-untyped-def]
    if decision.effect:
        DENIED.append(decision.reason)


class Asked:
    """One guard, and the ways to ask it."""

    def __init__(self, folder: str, isolation: str) -> None:
        from wasmguard.serve.sdk import hooks

        self.guard, self.isolation = guard_of(folder, "tool-gate", SETTINGS, isolation), isolation
        (self.hook,) = hooks(self.guard)["PreToolUse"][0].hooks

    async def decide(self, tool: str) -> None:
        passes(self.guard.decide(recorded(tool)))

    async def adecide(self, tool: str = "Write") -> None:
        passes(await self.guard.adecide(recorded(tool)))

    async def callback(self, tool: str = "Write") -> None:
        event = recorded(tool)
        said = await self.hook(event, event["tool_use_id"], {"signal": None})
        if "permissionDecision" in str(said):
            DENIED.append(str(said))

    async def in_a_thread(self, tool: str = "Write") -> None:
        passes(await asyncio.to_thread(self.guard.decide, recorded(tool)))


async def block(ask) -> list[float]:  # type: ignore[no-untyped-def]
    times = []
    for _ in range(BLOCK):
        begun = perf_counter_ns()
        await ask()
        times.append((perf_counter_ns() - begun) / 1000)
    return times


async def alone(guards: list[Asked], rounds: int) -> None:
    """One decision after the other."""
    rows = [(asked, tool) for asked in guards for tool in RECORDED]
    ways = "decide", "adecide", "callback", "in_a_thread"
    calls = [partial(getattr(asked, how), tool) for asked, tool in rows for how in ways]
    for call in calls:
        for _ in range(WARM_UP // BLOCK):
            await block(call)
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds // BLOCK):
        for times, call in zip(taken, calls, strict=True):
            times.extend(await block(call))
    print(f"{'':16}{'decide':>16}{'adecide':>16}{'callback':>16}{'in a thread':>16}{'at once':>10}")
    for place, (asked, tool) in enumerate(rows):
        cells = "".join(f"{statistics.median(times):9.1f}/{min(times):6.1f}" for times in taken[4 * place :][:4])
        at_once = sum(asked.guard.decide_at_once(recorded(tool)) is not None for _ in range(1_000))
        print(f"{asked.isolation + ', ' + tool:16}{cells}{at_once / 10:9.1f}%")


async def held_up(during) -> tuple[float, ...]:  # type: ignore[no-untyped-def]
    """How long *during* takes, how late a task that sleeps for a millisecond at a time is meanwhile, and the most that
    the loop's thread worked between two of its turns; all in ms."""
    late, worked, over = [0.0], [0.0], False

    async def beat() -> None:
        while not over:
            begun, busy = perf_counter(), thread_time()
            await asyncio.sleep(0.001)
            late.append(perf_counter() - begun - 0.001)
            worked.append(thread_time() - busy)

    beating = asyncio.ensure_future(beat())
    await asyncio.sleep(0.01)
    late[:], worked[:] = [0.0], [0.0]
    begun = perf_counter()
    await during()
    took = perf_counter() - begun
    over = True
    await beating
    return took * 1000, max(late) * 1000, max(worked) * 1000


async def together(guards: list[Asked], rounds: int) -> None:
    """Many at the same time."""

    def of(ask):  # type: ignore[no-untyped-def]
        async def all_of_them() -> None:
            await asyncio.gather(*(ask() for _ in range(TOGETHER)))

        return all_of_them

    async def nothing() -> None:
        await asyncio.sleep(0.2)

    async def turns() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    rows = {"nothing": nothing, "tasks of nothing": of(turns)}
    rows |= {
        f"{asked.isolation}, {how}": of(getattr(asked, how)) for asked in guards for how in ("callback", "adecide")
    }
    rows |= {f"{asked.isolation}, in a thread": of(asked.in_a_thread) for asked in guards}
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, ask in rows.items():
            found[name].append(await held_up(ask))
    print(f"\n{TOGETHER} at the same time, {rounds} times: median/max in milliseconds")
    print(f"{'':24}{'all':>16}{'longest wait':>16}{'at work':>16}")
    for name, both in found.items():
        cells = "".join(f"{statistics.median(one):9.1f}/{max(one):6.1f}" for one in zip(*both, strict=True))
        print(f"{name:24}{cells}")


LARGE = {
    "100,000 numbers": ("mcp__a__b", {"x": list(range(100_000))}),
    "60 KB of commands": ("Bash", {"command": "echo " + "a/b " * 15_000}),
    "2,000 paths": ("mcp__a__b", {"x": [f"/a/b{n}/c" for n in range(1_999)]}),
    "2,000 paths upwards": ("mcp__a__b", {"x": ["../x/" * 400 + str(n) for n in range(1_999)]}),
    "10 MB of content": ("Write", {"file_path": "/x", "content": "a" * 10_000_000}),
}


async def large(guards: list[Asked], rounds: int) -> None:
    """One large event at a time. What is refused is refused for its size."""
    print(f"\none large event, {rounds} times: median/max in milliseconds")
    print(f"{'':32}{'all':>16}{'longest wait':>16}{'at work':>16}")
    for asked in guards:
        for name, (tool, tool_input) in LARGE.items():
            event = recorded() | {"tool_name": tool, "tool_input": tool_input}
            found = [await held_up(partial(asked.hook, event, "t", {"signal": None})) for _ in range(rounds)]
            cells = "".join(f"{statistics.median(one):9.1f}/{max(one):6.1f}" for one in zip(*found, strict=True))
            print(f"{asked.isolation + ', ' + name:32}{cells}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    print(f"{rounds} decisions each, median/min in microseconds")
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"XDG_CACHE_HOME": folder, "XDG_STATE_HOME": folder}
        guards = [Asked(folder, isolation) for isolation in ("thread", "process")]
        gc.collect()
        asyncio.run(alone(guards, rounds))
        asyncio.run(together(guards, max(5, rounds // 200)))
        asyncio.run(large(guards, max(5, rounds // 200)))
        for asked in guards:
            asked.guard.close()
    for why in dict.fromkeys(DENIED):
        print(f"{DENIED.count(why)} denied: {why}")


if __name__ == "__main__":
    main()
