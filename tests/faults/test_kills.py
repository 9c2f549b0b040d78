"""Somebody kills the daemon, its workers and its cells at any moment, while hooks ask: every event is answered, none
passes that must be denied, soon the daemon answers again, and what was decided is on record but for what a killed
worker was about to write.

Some clients are hooks as the agent starts them, the native client too where it was built; others ask the daemon as the
clients do and become a hook when it gives no answer, which is many times the load. The daemon is started by nobody but
these hooks. Forty kills in the ordinary suite; `WASMGUARD_KILLS=200` for as many as one likes, `WASMGUARD_SEED` for
other moments.
"""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.recorded import recorded
from tests.serve.daemons import Place, until
from tests.serve.host import ROOT, wire
from wasmguard import link, places
from wasmguard.errors import HostError
from wasmguard.records import chain, query
from wasmguard.workshop.hook_command import STEP

KILLS = int(os.environ.get("WASMGUARD_KILLS", "40"))
SEED = int(os.environ.get("WASMGUARD_SEED", "1"))
NATIVE = ROOT / "wasmguard/serve/wasmguard-client"
HOOKS, ASKERS = 2, 2
WAITING = 1  # record that a worker has not written yet: the answer goes first
RECOVERED = 10.0  # seconds: the bar is one, on a machine that has nothing else to do
KINDS = ("master", "worker", "worker", "cell", "cell", "several")


class Load:
    """Clients that ask one event after the other, and what they were answered."""

    def __init__(self, place):
        self.place, self.over = place, threading.Event()
        self.counts, self.wrong, self.needless = Counter(), [], []
        self.answers = {}
        """Who answered each call: `hook`, `ask` (the daemon), or `ask, hook` (the daemon gave no answer)."""
        self.answered = 0.0
        """When the daemon last answered, by the monotonic clock."""
        python = [sys.executable, "-I", "-S", "-c", STEP, str(ROOT / "wasmguard/serve/client.py"), place.socket]
        arguments = ["--config", str(place.config), "--home", str(place.home)]
        native = [[str(NATIVE), place.socket, *python, *arguments]] if os.access(NATIVE, os.X_OK) else []
        self.commands = [[*python, *arguments], *native]
        work = [self.hook] * HOOKS + [self.ask] * ASKERS
        self.threads = [threading.Thread(target=self.asking, args=(way, place)) for place, way in enumerate(work)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def asking(self, way, number):
        count = number
        while not self.over.is_set():
            count += 1
            refused, call = count % 2, f"toolu_{number}_{count}"
            event = wire(tool_name="Refused" if refused else "Passed", tool_use_id=call)
            self.answers[call] = way.__name__
            code, out = way(event, count, call)
            if code != 0 or not out.endswith(b"}\n"):
                self.wrong.append((way.__name__, code, out))
                continue
            said = json.loads(out)
            denied = said.get("hookSpecificOutput", {}).get("permissionDecision") == "deny"
            if refused and not denied:
                self.wrong.append((way.__name__, "passed", out))
            self.counts["denied without need" if denied and not refused else "as it must be"] += 1
            if denied and not refused:
                self.needless.append(said["hookSpecificOutput"]["permissionDecisionReason"])

    def hook(self, event, count, call):
        """Exit code and standard output of a hook."""
        command = self.commands[count // 2 % len(self.commands)]
        done = subprocess.run(command, input=event, capture_output=True, timeout=60, check=False, env={})
        self.counts["hooks"] += 1
        if not done.stdout:
            self.wrong.append(("no answer", command[0], done.returncode, done.stderr))
        return done.returncode, done.stdout

    def ask(self, event, count, call):
        """The same from the daemon, or from a hook if it gives no answer."""
        try:
            reply = link.ask(self.place.socket, link.EVENT, link.with_context({}, event, self.place.socket), seconds=4)
            if reply[0] != link.ELSEWHERE:
                self.counts["asked"] += 1
                self.answered = time.monotonic()
                return reply[:2]
        except HostError:
            pass
        self.counts["fell back"] += 1
        self.answers[call] = "ask, hook"
        return self.hook(event, count, call)


class Killer:
    """Finds the processes of the daemon at a socket, and kills them."""

    def __init__(self, socket, chance):
        self._socket, self._chance = os.fsencode(socket), chance
        self.workers = 0
        """How many workers were killed."""

    def master(self):
        """The daemon's master, also if it has only just been started; 0 if there is none."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"--daemon" in words and self._socket in words and os.getsid(int(folder.name)) == int(folder.name):
                    return int(folder.name)  # the leader of a session; its workers are in it
        return 0

    def children(self, pid):
        with suppress(OSError):
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def kill(self, kind):
        """Kill one of *kind*; says whether there was one."""
        master = self.master()
        workers = self.children(master)
        cells = [cell for worker in workers for cell in self.children(worker)]
        chosen = {"master": [master] if master else [], "worker": workers, "cell": cells}
        if kind == "several":
            everybody = [*chosen["master"], *workers, *cells]
            victims = self._chance.sample(everybody, min(len(everybody), 3))
        else:
            victims = self._chance.sample(chosen[kind], min(len(chosen[kind]), 1))
        self.workers += len({*victims} & {*workers})
        for victim in victims:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        return bool(victims)


@pytest.fixture
def place(assembled):
    made = Place(assembled)
    places.tell(state=str(made.state))
    yield made
    made.close()
    places.tell()


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_whoever_is_killed_every_event_is_answered_and_none_passes(place, record_property):
    chance = random.Random(SEED)
    killer, kills, recoveries = Killer(place.socket, chance), Counter(), []
    with Load(place) as load:
        until(lambda: load.answered, 30)
        while sum(kills.values()) < KILLS:
            time.sleep(chance.choice((0, 0.02, 0.1, 0.2)) * chance.random())
            for kind in chance.choices(KINDS, k=chance.choice((1, 1, 1, 2))):
                kills[kind] += killer.kill(kind)
                time.sleep(0.1 * chance.random())
            begun = time.monotonic()
            until(lambda begun=begun: load.answered > begun, RECOVERED, 0.002)
            recoveries.append(time.monotonic() - begun)
    missing = unrecorded(load)
    said = {
        "kills": dict(kills),
        "events": dict(load.counts),
        "needless": Counter(load.needless),
        "records": query.state()["records"],
        "missing": [load.answers[call] for call in missing],
        "workers killed": killer.workers,
        "median": round(statistics.median(recoveries), 3),
        "slowest": [round(seconds, 2) for seconds in sorted(recoveries)[-5:]],
    }
    print(json.dumps(said))  # with `-s`
    for name, value in said.items():
        record_property(name, value)
    assert not load.wrong
    assert load.counts["asked"] > KILLS
    assert load.counts["denied without need"] <= KILLS // 10
    assert statistics.median(recoveries) < 1
    assert {load.answers[call] for call in missing} <= {"ask", "hook"}
    assert len(missing) <= WAITING * killer.workers
    assert list(chain.checked(str(place.state / "records"))) == []


def unrecorded(load):
    """The calls that were answered and of which no record tells. Whose first answer did not arrive may have two."""
    records = Counter(body["call"] for body in recorded("decision"))
    assert {call for call, many in records.items() if many > 1 + (load.answers[call] != "ask")} == set()
    assert set(records) <= set(load.answers)
    return sorted(set(load.answers) - set(records))
