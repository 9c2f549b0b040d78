"""What records cost from the decision on, and that nobody changes one unnoticed.

    python benchmarks/records.py [RECORDS]        drain so many (100,000) and check their chain; prints rates
    python benchmarks/records.py cost [CALLS]     what a record adds to a warm decision, the median of so many (3,000)
    python benchmarks/records.py make N FOLDER    a database of N records in FOLDER/records, to be asked questions

A record is an ordinary one, as a guard writes it (`wasmguard.recorder.Recorder`): a decision about a Write of 400
bytes, one verdict. `make` mixes in what else there is: other tools, denials, rewrites, faults, results, a hundred
sessions, over thirty days; the same again for the same N.

For `cost`, two guards that differ in `[record] on` alone take turns, 25 calls each: what a machine does meanwhile
happens to both.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from wasmguard import Guard, places, plan, recorder, spool
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.event import Event
from wasmguard.records import chain
from wasmguard.records.drain import drained

NOW = 1_795_000_000_000  # Unix milliseconds, in November 2026
DAYS = 30
PORTION = 100_000  # records in the spool before they are drained
TURN = 25  # calls of one guard before it is the other one's turn
TOOLS = ("Write", "Edit", "Bash", "Read", "Grep", "WebFetch")
LARGE = {"segment": 2**28, "size": 2**40, "keep": 36_500}  # so that nothing is given up
CONTENT = "x = 1\n" * 65


class Bodies:
    """Makes what a guard writes into the spool, for any time and place."""

    def __init__(self) -> None:
        kept = {"inputs": "full", "required": False, "largest": 2**16, "redact": [], "size": 2**30}
        made = {
            "record": kept,
            "config": "/home/dev/.config/wasmguard/wasmguard.toml",
            "made": {"engine": "wasmtime 50"},
        }
        plan.identity = lambda _: "0123456789abcdef0123456789abcdef"  # of no plan that is kept
        recorder.fresh_id, recorder.way = lambda: self._id, "daemon"
        self._recorder = recorder.Recorder(SimpleNamespace(**made))  # type: ignore[arg-type]  # what it looks at
        self._recorder._spool = SimpleNamespace(append=self._take)  # type: ignore[assignment]  # as above
        self._id = self._made = b""

    def body(
        self,
        place: int,
        at: int,
        verdict: Verdict | None = None,
        *,
        took: float = 62.25,
        more: dict[str, Any] | None = None,
        **fields: Any,
    ) -> bytes:
        """The record number *place*, about a Write at the time *at* (Unix milliseconds), unless *fields* say
        otherwise."""
        self._id = at.to_bytes(6, "big") + (place & 0xFFFFFFFF).to_bytes(4, "big")
        said = {**ordinary(place), **fields}
        event = Event(name=said["hook_event_name"], agent="claude", fields=said, time=at, checked=True)
        one = verdict or Verdict(policy="")
        one = one.replaced(policy="sandbox-writes", fuel=21_000 + place % 50, microseconds=took / 2, answer=bytes(16))
        self._recorder.keep(event, settle([one]), took, more)
        return self._made

    def _take(self, body: bytes) -> int:
        self._made = body
        return len(body)


def ordinary(place: int) -> dict[str, Any]:
    """A Write of 400 bytes, as an agent sends it."""
    return {
        "session_id": f"5f0c8f0e-2d6b-4a53-9f6c-{place % 100:012}",
        "transcript_path": "/home/dev/.claude/projects/-home-dev-project/5f0c8f0e.jsonl",
        "cwd": "/home/dev/project",
        "permission_mode": "default",
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "tool_input": {"file_path": f"/home/dev/project/src/module_{place % 1000}.py", "content": CONTENT},
        "tool_use_id": f"toolu_{place:024}",
    }


def mixed(count: int, seed: int = 1) -> Iterator[bytes]:
    """So many different records, oldest first; for the same numbers the same."""
    dice, bodies = random.Random(seed), Bodies()
    begin, step = NOW - DAYS * 86_400_000, DAYS * 86_400_000 / max(1, count)
    for place in range(count):
        at, tool = int(begin + place * step), dice.choices(TOOLS, (20, 25, 30, 15, 6, 4))[0]
        took = 30 * 2 ** abs(dice.gauss(0, 1.5))
        if place % 2:
            yield bodies.body(place, at, took=took, more={"executed": "as granted"}, **_result(place, tool, dice))
        else:
            yield bodies.body(place, at, _verdict(place, dice.random()), took=took, tool_name=tool)


def _result(place: int, tool: str, dice: random.Random) -> dict[str, Any]:
    """The fields of the result of the call before it."""
    name = "PostToolUseFailure" if dice.random() < 0.03 else "PostToolUse"
    call = {"tool_use_id": f"toolu_{place - 1:024}", "tool_name": tool}
    return {"hook_event_name": name, **call, "tool_response": "done", "duration_ms": dice.randrange(5, 3000)}


def _verdict(place: int, luck: float) -> Verdict:
    """What was said of it: one in seven is no plain pass."""
    if luck < 0.06:
        why = f'`/home/dev/secret_{place % 700}` is outside "/sandbox", line {place % 90}'
        return Verdict(policy="", effect=Effect.DENY, reason=why)
    if luck < 0.09:
        return Verdict(policy="", effect=Effect.ASK, reason="a human should look at this")
    if luck < 0.14:
        return Verdict(policy="", rewrite={"file_path": f"/sandbox/{place}", "content": CONTENT})
    return (
        Verdict(policy="", effect=Effect.DENY, fault="out of fuel (20,000,000)") if luck < 0.145 else Verdict(policy="")
    )


def make(count: int, folder: str) -> None:
    """A database of so many records in *folder*`/records`."""
    places.tell(state=os.path.abspath(folder))
    bodies, left = mixed(count), count
    while left:
        with spool.Spool() as waiting:
            for _ in range(min(PORTION, left)):
                waiting.append(next(bodies))
        left -= min(PORTION, left)
        drained(LARGE)
        print(f"{count - left:>10,} records", flush=True)


def measure(count: int) -> None:
    """Print how fast *count* ordinary records are appended, drained and checked."""
    with tempfile.TemporaryDirectory() as folder:
        places.tell(state=folder)
        made, done, moved, took = Bodies(), 0, 0, 0.0
        while done < count:
            bodies = [made.body(place, NOW + place) for place in range(done, min(count, done + PORTION))]
            done += len(bodies)
            if not moved:
                print(f"a record of {len(bodies[0]):,} bytes in the spool; load {os.getloadavg()[0]:.2f}")
            begun = time.perf_counter()
            with spool.Spool() as waiting:
                for body in bodies:
                    waiting.append(body)
            _told("appended", len(bodies), time.perf_counter() - begun)
            begun = time.perf_counter()
            moved += drained({**LARGE, "segment": 64 * 2**20}).moved
            took += time.perf_counter() - begun
            _told("drained", len(bodies), time.perf_counter() - begun)
        _told("all drained", moved, took)
        begun = time.perf_counter()
        flaws = list(chain.checked())
        _told("checked", done, time.perf_counter() - begun)
        where = spool.folder()
        size = sum(os.path.getsize(os.path.join(where, name)) for name in os.listdir(where))
        print(f"{size / done:,.0f} bytes a record in the database; flaws: {len(flaws)}; load {os.getloadavg()[0]:.2f}")
        if flaws or moved != count:
            sys.exit(str(flaws[0]) if flaws else f"{moved} of {count} records are there")


def cost(calls: int) -> None:
    """Print what a record adds to a warm decision, for each isolation: where it is written before the answer, and
    where the answer goes out first, as in a daemon."""
    for isolation in ("thread", "process"):
        for later in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                places.tell(**{name: os.path.join(folder, name) for name in ("home", "state", "cache", "runtime")})
                with _guard(folder, isolation, on=False) as off, _guard(folder, isolation, on=True) as on:
                    if later:
                        on.record_later()
                    times = _taking_turns(off, on, -(-calls // TURN))
                waiting = sum(1 for file in spool.taken() for _ in file.bodies())
            without, kept = (median(taken) / 1000 for taken in times)
            print(
                f"{isolation:>10}, written {'after' if later else 'before'} the answer: {without:6.1f} us without "
                f"records, {kept:6.1f} us with them: {kept - without:+5.1f} us; {len(times[1]):,} calls each, "
                f"{waiting:,} records; load {os.getloadavg()[0]:.2f}"
            )


def _taking_turns(off: Guard, on: Guard, turns: int) -> tuple[list[int], list[int]]:
    """Nanoseconds of the decisions of each, in turns of `TURN` calls; the first turn of each warms up."""
    times: tuple[list[int], list[int]] = ([], [])
    for turn in range(-2, 2 * turns):
        guard = (off, on)[turn % 2]
        for place in range(TURN):
            fields = {**ordinary(0), "tool_use_id": f"toolu_{turn * TURN + place:024}"}
            begun = time.perf_counter_ns()
            guard.decide(fields)
            took = time.perf_counter_ns() - begun
            guard.flush()
            if turn >= 0:
                times[turn % 2].append(took)
    return times


def _guard(folder: str, isolation: str, *, on: bool) -> Guard:
    """A guard with one policy that moves Writes, which records if it is *on*."""
    path = Path(folder) / f"{'on' if on else 'off'}.toml"
    path.write_text(
        f'isolation = "{isolation}"\n\n[record]\non = {str(on).lower()}\n\n'
        '[[policy]]\nname = "moves"\nmodule = "builtin:path-redirect"\nsettings = { root = "/sandbox" }\n'
        'grants.rewrite."Write.file_path" = { within = "/sandbox" }\n',
        encoding="utf-8",
    )
    guard = Guard.load(path)
    decision = guard.decide(ordinary(0))
    if decision.rewrite is None:
        sys.exit(f"the policy does not do what it should: {decision.effect.name}: {decision.reason}")
    return guard


def _told(what: str, records: int, took: float) -> None:
    print(f"{what:>12} {records:>9,} records: {records / took:>9,.0f} a second, {took / records * 1e6:5.1f} us each")


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] == ["make"]:
        make(int(given[1]), given[2])
    elif given[:1] == ["cost"]:
        cost(int(given[1]) if given[1:] else 3_000)
    else:
        measure(int(given[0]) if given else 100_000)
