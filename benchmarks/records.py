"""What records cost from the spool on, and that nobody changes one unnoticed.

    python benchmarks/records.py [RECORDS]        drain so many (100,000) and check their chain; prints rates
    python benchmarks/records.py make N FOLDER    a database of N records in FOLDER/records, to be asked questions

A record is an ordinary one: a decision about a Write of 400 bytes, one verdict. `make` mixes in what else there is:
other tools, denials, rewrites, faults, results, a hundred sessions, over thirty days; the same again for the same N.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from wasmguard import places, spool
from wasmguard.guest.codec import packed
from wasmguard.records import chain
from wasmguard.records.drain import drained

NOW = 1_795_000_000_000  # Unix milliseconds, in November 2026
DAYS = 30
PORTION = 100_000  # records in the spool before they are drained
TOOLS = ("Write", "Edit", "Bash", "Read", "Grep", "WebFetch")
LARGE = {"segment": 2**28, "size": 2**40, "keep": 36_500}  # so that nothing is given up


def ordinary(place: int, at: int) -> dict[str, Any]:
    """The record of a decision about a Write of 400 bytes."""
    fields = {
        "session_id": f"5f0c8f0e-2d6b-4a53-9f6c-{place % 100:012}",
        "transcript_path": "/home/dev/.claude/projects/-home-dev-project/5f0c8f0e.jsonl",
        "cwd": "/home/dev/project",
        "permission_mode": "default",
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "tool_input": {"file_path": f"/home/dev/project/src/module_{place % 1000}.py", "content": "x = 1\n" * 65},
        "tool_use_id": f"toolu_{place:024}",
    }
    return {
        "v": 1,
        "id": at.to_bytes(6, "big") + (place & 0xFFFFFFFF).to_bytes(4, "big"),
        "time": at,
        "kind": "decision",
        "way": "daemon",
        "agent": "claude",
        "event": "PreToolUse",
        "session": fields["session_id"],
        "call": fields["tool_use_id"],
        "tool": "Write",
        "cwd": fields["cwd"],
        "fields": fields,
        "inputs": "full",
        "digest": place.to_bytes(16, "big"),
        "effect": "pass",
        "verdicts": [{"policy": "sandbox-writes", "effect": "pass", "fuel": 21_000 + place % 50, "us": 31.5}],
        "us": 62.25,
        "plan": "0123456789abcdef0123456789abcdef",
        "config": "/home/dev/.config/wasmguard.toml",
        "version": "0.7.0",
        "engine": "46.0.1",
    }


def mixed(count: int, seed: int = 1) -> Iterator[bytes]:
    """So many different records, packed, oldest first; for the same numbers the same."""
    dice = random.Random(seed)
    begin, step = NOW - DAYS * 86_400_000, DAYS * 86_400_000 / max(1, count)
    for place in range(count):
        at = int(begin + place * step)
        record = ordinary(place, at)
        tool = dice.choices(TOOLS, (20, 25, 30, 15, 6, 4))[0]
        record["tool"] = record["fields"]["tool_name"] = tool
        record["us"] = 30 * 2 ** abs(dice.gauss(0, 1.5))
        (said,) = record["verdicts"]
        said["us"] = record["us"] / 2
        if place % 2:
            _result(record, place, dice)
        elif (luck := dice.random()) < 0.06:
            why = f'`/home/dev/secret_{place % 700}` is outside "/sandbox", line {place % 90}'
            record["effect"] = said["effect"] = "deny"
            said["reason"] = why
        elif luck < 0.09:
            record["effect"] = said["effect"] = "ask"
            said["reason"] = "a human should look at this"
        elif luck < 0.14:
            said["rewrite"] = record["rewrite"] = {**record["fields"]["tool_input"], "file_path": f"/sandbox/{place}"}
            record["rewrote"] = True
        elif luck < 0.145:
            record["effect"] = said["effect"] = "deny"
            said["fault"] = "out of fuel (20,000,000)"
        yield packed(record)


def _result(record: dict[str, Any], place: int, dice: random.Random) -> None:
    """Make *record* the result of the call before it."""
    failed = dice.random() < 0.03
    record["event"] = "PostToolUseFailure" if failed else "PostToolUse"
    record["call"] = f"toolu_{place - 1:024}"
    record["fields"] |= {"hook_event_name": record["event"], "tool_use_id": record["call"], "tool_response": "done"}
    record.update(error=failed, duration=dice.randrange(5, 3000), executed="as granted")


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
        bodies = [packed(ordinary(place, NOW + place)) for place in range(min(count, PORTION))]
        print(f"a record of {len(bodies[0]):,} bytes in the spool")
        begun = time.perf_counter()
        with spool.Spool() as waiting:
            for body in bodies:
                waiting.append(body)
        _told("appended", len(bodies), begun)
        done = 0
        while done < count:
            begun = time.perf_counter()
            moved = drained({**LARGE, "segment": 64 * 2**20}).moved
            _told("drained", moved, begun)
            done += moved
            if done < count:
                with spool.Spool() as waiting:
                    for place in range(done, min(count, done + PORTION)):
                        waiting.append(packed(ordinary(place, NOW + place)))
        begun = time.perf_counter()
        flaws = list(chain.checked())
        _told("checked", done, begun)
        where = spool.folder()
        size = sum(os.path.getsize(os.path.join(where, name)) for name in os.listdir(where))
        print(f"{size / done:,.0f} bytes a record in the database; flaws: {len(flaws)}")
        if flaws:
            sys.exit(str(flaws[0]))


def _told(what: str, records: int, begun: float) -> None:
    took = time.perf_counter() - begun
    print(f"{what:>10} {records:>9,} records: {records / took:>9,.0f} a second, {took / records * 1e6:5.1f} us each")


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] == ["make"]:
        make(int(given[1]), given[2])
    else:
        measure(int(given[0]) if given else 100_000)
