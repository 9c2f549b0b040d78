"""A whole hook, from spawn to exit, with a daemon and without: each command in turn, in one run.

    python benchmarks/clients.py [ROUNDS]

Each process gets one Write event of 399 bytes on its standard input, and its answer is checked. Milliseconds from
`posix_spawn` until its output has ended and it is gone; ratios of the medians, and of the minima in brackets.

* `native`, `thin`: the two clients (`wasmguard/serve/client.c`, `client.py`), answered by a daemon of one policy. They
  could not answer by themselves: what they would turn to without the daemon is not there.
* `alone`: the thin client without a daemon, which decides in its own process. None is started.
* `/bin/true`, bare Python and Node.js, which read nothing, for comparison.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import suppress
from time import monotonic, perf_counter_ns, sleep

from wasmguard import link
from wasmguard.errors import HostError
from wasmguard.workshop.hook_command import STEP

SERVE = os.path.join(os.path.dirname(link.__file__), "serve")
POLICY = '[[policy]]\nname = "it"\nmodule = "builtin:path-redirect"\n'
EVENT = {
    "session_id": "4bef8f8b-ce88-4ead-a908-16158175668b",
    "transcript_path": "/home/dev/.claude/projects/-home-dev-project/4bef8f8b-ce88-4ead-a908-16158175668b.jsonl",
    "cwd": "/home/dev/project",
    "permission_mode": "default",
    "hook_event_name": "PreToolUse",
    "tool_name": "Write",
    "tool_input": {"file_path": "/sandbox/home/dev/project/src/report.md", "content": "N\n"},
    "tool_use_id": "toolu_e99624c690ac40e599e81623",
}
RAW = json.dumps(EVENT, separators=(",", ":")).encode() + b"\n"
TRUE, NATIVE, BARE, THIN, ALONE, NODE = "/bin/true", "native", "python -I -S -c pass", "thin", "alone", "node -e 0"
BARS = [(NATIVE, TRUE, 2.5), (THIN, BARE, 1.35), (ALONE, BARE, 3.5), (NATIVE, NODE, 1.0), (THIN, NODE, 1.0)]
WARM_UP = 5


def commands(home: str, config: str, socket: str) -> dict[str, list[str]]:
    """The rows. What is not installed has none."""
    python = [sys.executable, "-I", "-S"]
    client = [*python, "-c", STEP, os.path.join(SERVE, "client.py")]
    native, node = os.path.join(SERVE, "wasmguard-client"), shutil.which("node")
    rows = {
        TRUE: ["/bin/true"],
        NATIVE: [native, socket, "/bin/false"],
        BARE: [*python, "-c", "pass"],
        THIN: [*client, socket, "--config", f"{config}.not-there", "--home", home],
        ALONE: [*client, f"{socket}.not-there", "--config", config, "--home", home],
        NODE: [node or "", "-e", "0"],
    }
    return {name: row for name, row in rows.items() if os.path.exists(row[0])}


def spawned(command: list[str], environment: dict[str, str], *, answers: bool) -> float:
    """Milliseconds of one process.

    Raises:
        RuntimeError: if it did not answer as it must.
    """
    begun = perf_counter_ns()
    (stdin, event), (answer, stdout) = os.pipe(), os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1)]
    process = os.posix_spawn(command[0], command, environment, file_actions=actions)  # the pipes close on exec
    os.close(stdin)
    os.close(stdout)
    with suppress(BrokenPipeError):  # some read nothing
        os.write(event, RAW)
    os.close(event)
    said = b""
    while part := os.read(answer, 65_536):
        said += part
    os.close(answer)
    _, status = os.waitpid(process, 0)
    taken = (perf_counter_ns() - begun) / 1e6
    if status or said != (b"{}\n" if answers else b""):
        raise RuntimeError(f"{command} ended with {status} and said {said!r}")
    return taken


def up(socket: str) -> None:
    """Wait for the daemon."""
    deadline = monotonic() + 30
    while True:
        try:
            link.ask(socket, link.STATUS, seconds=5)
        except HostError:
            if monotonic() > deadline:
                raise
            sleep(0.05)
        else:
            return


def measured(rounds: int, home: str) -> dict[str, list[float]]:
    """The times of all rows."""
    config, socket = os.path.join(home, "wasmguard.toml"), os.path.join(home, "socket")
    environment = {"HOME": home, "PATH": os.environ["PATH"], "WASMGUARD_DAEMON": "0"}
    with open(config, "w", encoding="utf-8") as file:
        file.write(POLICY)
    wasmguard, said = [sys.executable, "-I", "-m", "wasmguard"], ["--config", config]
    subprocess.run([*wasmguard, "lock", *said], env=environment, check=True, stdout=subprocess.DEVNULL)
    serve = [*wasmguard, "serve", "--daemon", *said, "--home", home, "--socket", socket]
    rows = commands(home, config, socket)
    taken: dict[str, list[float]] = {name: [] for name in rows}
    daemon = subprocess.Popen(serve, env=environment, stderr=subprocess.DEVNULL)
    try:
        up(socket)
        for number in range(WARM_UP + rounds):
            for name, command in rows.items():
                time = spawned(command, environment, answers=name in (NATIVE, THIN, ALONE))
                if number >= WARM_UP:
                    taken[name].append(time)
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)
    return taken


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as home:
        taken = measured(rounds, home)
    print(f"{rounds} interleaved rounds, {len(RAW)} bytes in, milliseconds\n{'':24}{'median':>8}{'min':>8}{'p90':>8}")
    for name, times in taken.items():
        print(f"{name:24}{statistics.median(times):8.2f}{min(times):8.2f}{statistics.quantiles(times, n=10)[8]:8.2f}")
    for name, other, bar in BARS:
        if not {name, other} <= taken.keys():
            print(f"{name} / {other}: not measured, one of them is not installed")
            continue
        ratio = statistics.median(taken[name]) / statistics.median(taken[other])
        least = min(taken[name]) / min(taken[other])
        print(f"{name} / {other}: {ratio:.2f} ({least:.2f}), the bar is {bar}{'' if ratio <= bar else ': MISSED'}")


if __name__ == "__main__":
    main()
