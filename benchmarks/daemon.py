"""The daemon: how long an answer takes, how many it gives, and whether it keeps still under load.

    python benchmarks/daemon.py [ROUNDS] [--soak SECONDS]

Every row is one small Write event for one shipped policy (path-redirect) in a jailed process. Blocks of 25 take turns,
so that the noise of the machine hits all rows alike; medians, minima and the 99th percentile in microseconds.

* `in process`: `Guard.decide` with a jailed process, in this very process: what the daemon adds to.
* `unix`: one connection, one question after the other. `unix, new`: a connection for each event, as hooks make them.
* `http`: keep-alive, as agents do that can call a URL.
* `rewritten`: as `unix`, with an event whose path is rewritten: the policy is asked twice.

Then 32 clients at once, which wait for each answer, against a daemon with two workers on two cores, cells included.
They are this program's own: two processes on the other cores, 16 connections each; what share of a core each took is
printed, for a client that has no time left would be what is measured.

With `--soak`, 500 connections that say nothing and 50 busy clients (half of them with a connection for each event), and
the growth of resident memory of master, workers and cells.
"""

import argparse
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from time import perf_counter_ns

from given import EVENT

from wasmguard import bearer, link, places

POLICY = '[[policy]]\nname = "it"\nmodule = "builtin:path-redirect"\ngrants.rewrite."Write.file_path" = {}\n'
POLICY = POLICY.replace("{}", '{ within = "/sandbox" }')
PASSED = json.dumps(EVENT | {"tool_input": EVENT["tool_input"] | {"file_path": "/sandbox/new.txt"}}).encode()
REWRITTEN = json.dumps(EVENT).encode()
BLOCK, WARM_UP = 25, 300
GENERATORS, CLIENTS = 2, 16  # processes, and connections of each
RUN = (
    "import sys; from wasmguard import places; from wasmguard.serve.daemon import run; places.tell(home=sys.argv[1]);"
    "run(sys.argv[2], socket=sys.argv[3], http=('127.0.0.1', 0), workers=int(sys.argv[4]))"
)


class Daemon:
    """A daemon of its own, in a folder of its own."""

    def __init__(self, home: str, workers: int, cores: set[int]) -> None:
        self.config, self.path = os.path.join(home, "wasmguard.toml"), os.path.join(home, f"s{workers}")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(POLICY)
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        command = [sys.executable, "-c", RUN, home, self.config, self.path, str(workers)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        os.sched_setaffinity(0, everywhere)
        until = time.monotonic() + 60
        while not os.path.exists(self.path):
            if time.monotonic() > until or self._process.poll() is not None:
                sys.exit("the daemon does not begin")
            time.sleep(0.01)

    def status(self) -> dict:  # type: ignore[type-arg]
        return json.loads(link.ask(self.path, link.STATUS, seconds=30)[1])

    def pids(self) -> list[int]:
        said = self.status()
        return [said["master"], *(pid for row in said["workers"] for pid in (row["pid"], *row["cells"]))]

    def close(self) -> None:
        link.ask(self.path, link.STOP, seconds=30)
        self._process.wait(30)


def frame(event: bytes, path: str) -> bytes:
    return link.question(link.EVENT, link.with_context({"HOME": "/home/dev"}, event, path))


def connected(path: str) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(60)
    channel.connect(path)
    return channel


def unix(path: str, event: bytes):  # type: ignore[no-untyped-def]
    channel, asked = connected(path), frame(event, path)

    def ask() -> None:
        channel.sendall(asked)
        link.told(channel.recv(1 << 16))

    return ask


def unix_new(path: str, event: bytes):  # type: ignore[no-untyped-def]
    asked = frame(event, path)

    def ask() -> None:
        channel = connected(path)
        channel.sendall(asked)
        link.told(channel.recv(1 << 16))
        channel.close()

    return ask


def http(address: str, event: bytes):  # type: ignore[no-untyped-def]
    host, _, port = address.rpartition(":")
    channel = socket.create_connection((host, int(port)), timeout=60)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"POST /v1/hook/claude-code HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {bearer.token()}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(event)}\r\n\r\n"
    asked = head.encode() + event

    def ask() -> None:
        channel.sendall(asked)
        answer = channel.recv(1 << 16)
        if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"}\n"):
            sys.exit(f"no answer: {answer!r}")

    return ask


def in_process(config: str):  # type: ignore[no-untyped-def]
    from wasmguard import Guard

    guard, event = Guard.load(config, isolation="process"), json.loads(PASSED)
    return lambda: guard.decide(event)


def block(call) -> list[float]:  # type: ignore[no-untyped-def]
    times = []
    for _ in range(BLOCK):
        begun = perf_counter_ns()
        call()
        times.append((perf_counter_ns() - begun) / 1000)
    return times


def latencies(home: str, rounds: int) -> None:
    daemon = Daemon(home, 1, os.sched_getaffinity(0))
    rows = {
        "in process": in_process(daemon.config),
        "unix": unix(daemon.path, PASSED),
        "unix, new": unix_new(daemon.path, PASSED),
        "http": http(daemon.status()["http"], PASSED),
        "rewritten": unix(daemon.path, REWRITTEN),
    }
    taken: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range((WARM_UP + rounds) // BLOCK):
        for name, call in rows.items():
            times = block(call)
            if turn >= WARM_UP // BLOCK:
                taken[name] += times
    print(f"{'':12}{'median':>8}{'min':>8}{'p99':>8}   {rounds} round trips each, {len(PASSED)} bytes of event, us")
    for name, times in taken.items():
        print(f"{name:12}{statistics.median(times):8.0f}{min(times):8.0f}{sorted(times)[len(times) * 99 // 100]:8.0f}")
    print(f"the daemon's own view of all: p50 {daemon.status()['p50_us']} p99 {daemon.status()['p99_us']}")
    daemon.close()


def generated(path: str, clients: int, seconds: float, *, fresh: int = 0) -> tuple[int, int, float, float]:
    """Answers, errors, the longest wait in milliseconds and seconds of processor of one process of clients, of which
    *fresh* make a connection for each event."""
    asked, poll = frame(PASSED, path), select.epoll()
    channels: dict[int, socket.socket] = {}
    begun: dict[int, float] = {}
    count, errors, longest = 0, 0, 0.0

    def add() -> None:
        channel = connected(path)
        channels[channel.fileno()] = channel
        poll.register(channel, select.EPOLLIN)
        ask(channel)

    def ask(channel: socket.socket) -> None:
        begun[channel.fileno()] = time.monotonic()
        channel.sendall(asked)

    for _ in range(clients):
        add()
    short = set(list(channels)[:fresh])
    until = time.monotonic() + seconds
    while (now := time.monotonic()) < until:
        for number, _ in poll.poll(1):
            channel = channels[number]
            try:
                link.told(channel.recv(1 << 16))
                count += 1
                longest = max(longest, time.monotonic() - begun[number])
                if number not in short:
                    ask(channel)
                    continue
            except (OSError, ValueError):
                errors += 1
            channel.close()
            del channels[number]
            short.discard(number)
            add()
            short |= set(list(channels)[-1:]) if len(short) < fresh else set()
        errors += sum(now - since > 12 for since in begun.values())
    used = os.times()
    return count, errors, longest * 1000, used.user + used.system


def load(path: str, clients: int, seconds: float, cores: set[int], *, fresh: int = 0) -> list:  # type: ignore[type-arg]
    """What `generated` gives, of each of the processes."""
    reading, pids = [], []
    for _ in range(GENERATORS):
        near, far = os.pipe()
        if (pid := os.fork()) == 0:
            try:
                os.sched_setaffinity(0, cores)
                before = os.times()
                *said, used = generated(path, clients, seconds, fresh=fresh)
                os.write(far, json.dumps([*said, used - before.user - before.system]).encode())
            finally:
                os._exit(0)
        os.close(far)
        reading.append(near)
        pids.append(pid)
    said = [json.loads(os.read(near, 1 << 16) or b"[0, 1, 0, 0]") for near in reading]
    for near, pid in zip(reading, pids, strict=True):
        os.close(near)
        os.waitpid(pid, 0)
    return said


def processor(pids: list[int]) -> float:
    """Seconds of processor that they used."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def throughput(home: str, seconds: float) -> None:
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = set(cores[:2]), set(cores[2:]) or set(cores)
    daemon = Daemon(home, 2, ours)
    load(daemon.path, CLIENTS, 1, theirs)
    for _ in range(3):
        before = processor(pids := daemon.pids())
        said = load(daemon.path, CLIENTS, seconds, theirs)
        count, errors = sum(row[0] for row in said), sum(row[1] for row in said)
        each = (processor(pids) - before) / max(1, count) * 1e6
        busy = max(row[3] for row in said) / seconds
        print(
            f"{GENERATORS * CLIENTS} clients, daemon on cores {sorted(ours)}: {count / seconds:,.0f} decisions/s,"
            f" {each:.0f} us of processor each, errors {errors}, longest {max(row[2] for row in said):.0f} ms,"
            f" a generator took {busy:.0%} of a core"
        )
    daemon.close()


def soak(home: str, seconds: float) -> None:
    daemon = Daemon(home, len(os.sched_getaffinity(0)), os.sched_getaffinity(0))
    idle = [connected(daemon.path) for _ in range(500)]
    everywhere = os.sched_getaffinity(0)
    load(daemon.path, 25, 5, everywhere, fresh=12)
    before = daemon.status()["memory_kib"]
    said = load(daemon.path, 25, seconds, everywhere, fresh=12)
    after = daemon.status()
    asked = 0
    for channel in idle:
        channel.sendall(frame(PASSED, daemon.path))
        asked += link.told(channel.recv(1 << 16))[0] == link.ANSWERED
    count, errors = sum(row[0] for row in said), sum(row[1] for row in said)
    growth = {part: f"{(after['memory_kib'][part] - kib) / 1024:+.2f}" for part, kib in before.items()}
    print(
        f"{seconds:.0f} s, 500 idle and 50 busy clients: {count:,} answers, {errors} errors, longest"
        f" {max(row[2] for row in said):.0f} ms; idle ones answered after it: {asked}; MiB grown: {growth};"
        f" restarts {after['restarts']}, faulted {after['faulted']}"
    )
    daemon.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", nargs="?", type=int, default=3_000)
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": ""}
        places.tell(home=home)
        if given.rounds:
            latencies(home, given.rounds)
        throughput(home, given.seconds)
        if given.soak:
            soak(home, given.soak)


if __name__ == "__main__":
    main()
