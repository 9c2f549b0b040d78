"""The daemon that answers what is measured.

1. It is this run's own, with a socket and a port of its own.
2. Every wait for it is bounded. It gets its end from us; if this process is killed, from its leash, which takes away
   the lock without which a daemon ends (`serve.daemon`, rule 3).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING

from wasmguard import link
from wasmguard.errors import HostError
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.bench.spawning import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DRAIN = 15.0  # seconds for the daemon, which gives its workers 10
LEASH = "import os,sys,signal;signal.signal(signal.SIGINT,signal.SIG_IGN);os.read(0,1) or os.unlink(sys.argv[1])"


class Daemon(Value):
    """A daemon that answers."""

    pid: int
    socket: str
    http: str
    """`HOST:PORT`."""


@contextmanager
def running(python: str, arguments: Sequence[str], environ: Mapping[str, str], folder: str) -> Iterator[Daemon]:
    """A daemon under *arguments* (configuration and folders, as a hook's) with a socket in the private *folder* and a
    port that is free; it has ended when this ends.

    Raises:
        HostError: if it does not answer, with what it said.
    """
    path, log = os.path.join(folder, "daemon"), os.path.join(folder, "daemon.log")
    command = [python, "-I", "-m", "wasmguard", "serve", "--daemon", *arguments]
    command += ["--socket", path, "--http", "127.0.0.1:0"]
    with open(log, "wb") as said:
        process = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
    try:
        with _leashed(f"{path}.lock"):
            yield _up(process, path, log)
    finally:
        _end(process)


def _up(process: subprocess.Popen[bytes], path: str, log: str) -> Daemon:
    """The daemon *process*, as soon as it answers at *path*.

    Raises:
        HostError: if it does not.
    """
    until = monotonic() + MOST
    while process.poll() is None and not os.path.lexists(path):
        if monotonic() > until:
            raise HostError(f"the daemon does not answer after {MOST:g} s{_told(log)}")
        sleep(0.005)
    if process.returncode is not None:
        raise HostError(f"the daemon ended with {process.returncode} before it answered{_told(log)}")
    said = json.loads(link.ask(path, link.STATUS, seconds=MOST)[1])
    return Daemon(pid=process.pid, socket=path, http=said["http"])


def _told(log: str) -> str:
    """What the daemon wrote, for the end of a message."""
    with open(log, encoding="utf-8", errors="replace") as file:
        said = " ".join(file.read(1 << 16).split())
    return f": {one_line(said, 400)}" if said else ": it wrote nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the daemon *process*, whose workers and cells end with it."""
    process.terminate()
    try:
        process.wait(DRAIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    except BaseException:  # a second Ctrl-C
        process.kill()
        process.wait()
        raise


@contextmanager
def _leashed(lock: str) -> Iterator[None]:
    """Rule 2: when this process is gone, so is the file *lock*."""
    leash = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LEASH, lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        leash.kill()
        leash.wait()
        if leash.stdin:
            leash.stdin.close()
