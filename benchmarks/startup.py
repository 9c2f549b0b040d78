"""A whole hook process beside the bare interpreter, spawned turn by turn in one run.

    python benchmarks/startup.py [ROUNDS]

Each hook process gets one small Write event on stdin and decides it without a daemon, under a locked plan with one
policy. Milliseconds from spawn to exit; `ratio` is the median over that of `python -I -S -c pass`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from time import perf_counter

from given import EVENT

IMPORTS = ("json", "ctypes", "msgpack", "dataclasses", "typing", "wasmtime", "pydantic", "click")
BARE = "python -I -S -c pass"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        environment = {"HOME": folder, "XDG_CACHE_HOME": folder, "XDG_STATE_HOME": folder, "PATH": os.environ["PATH"]}
        config = os.path.join(folder, "wasmguard.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write('[[policy]]\nname = "it"\nmodule = "builtin:tool-gate"\n')
        script = os.path.join(os.path.dirname(sys.executable), "wasmguard")
        subprocess.run([script, "lock", "--config", config], env=environment, check=True, capture_output=True)
        spawned = {
            BARE: [sys.executable, "-I", "-S", "-c", "pass"],
            "wasmguard serve": [script, "serve", "--config", config],
            "python -I -m wasmguard serve": [sys.executable, "-I", "-m", "wasmguard", "serve", "--config", config],
            **{f"import {name}": [sys.executable, "-I", "-c", f"import {name}"] for name in IMPORTS},
        }
        taken: dict[str, list[float]] = {name: [] for name in spawned}
        for _ in range(rounds):
            for name, command in spawned.items():
                taken[name].append(
                    spawn(command, environment, answers="wasmguard" in command[-1] or "serve" in command)
                )
    bare = statistics.median(taken[BARE])
    print(f"{rounds} interleaved rounds, milliseconds\n{'':32}{'median':>8}{'min':>8}{'ratio':>8}")
    for name, times in taken.items():
        print(f"{name:32}{statistics.median(times):8.1f}{min(times):8.1f}{statistics.median(times) / bare:8.2f}")


def spawn(command: list[str], environment: dict[str, str], *, answers: bool) -> float:
    begun = perf_counter()
    done = subprocess.run(command, input=json.dumps(EVENT).encode(), env=environment, capture_output=True, check=True)
    taken = (perf_counter() - begun) * 1000
    assert not answers or done.stdout == b"{}\n", done
    return taken


if __name__ == "__main__":
    main()
