"""Daemons as processes, for tests: each in a folder of its own whose name is short, for sockets have short names."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.recorded import recorded_in
from tests.serve.host import SERVE, Host, wire
from wasmguard import link
from wasmguard.errors import HostError
from wasmguard.serve.start import locked

PATIENCE = 15  # seconds for anything to happen
CONFIG = """
[[policy]]
name = "passes"
module = "passes.wasm"
tools = ["Passed"]

[[policy]]
name = "refuses"
module = "denies.wasm"
tools = ["Refused"]
"""
PASSED, REFUSED = wire(tool_name="Passed"), wire(tool_name="Refused")


def until(condition, seconds=PATIENCE, pause=0.01):
    """What *condition* returns, as soon as it is true; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not (met := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(pause)
    return met


def alive(pid):
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Place:
    """A host with a socket, and the daemons that tests start there."""

    def __init__(self, assembled, text=CONFIG):
        self.folder = Path(tempfile.mkdtemp(prefix="wg-"))
        self.host = Host(self.folder, text, passes=assembled("pass"), denies=assembled("deny"))
        self.config, self.home = self.host.config, self.host.home
        self.state = self.home / ".local/state/wasmguard"
        self.socket = str(self.folder / "run/s")
        self.processes, self.seen = [], set()

    def daemon(self, *arguments, config=None, env=(), before=":", program=SERVE, **options):
        """A daemon in the foreground, not waited for; *before* is shell, *program* what Python runs."""
        said = ["--config", str(config or self.config), "--home", str(self.home), "--socket", self.socket]
        command = [sys.executable, "-I", "-c", program, "serve", "--daemon", "--workers", "2"]
        process = subprocess.Popen(
            ["sh", "-c", f'{before}; exec "$@"', "sh", *command, *said, *arguments],
            env={"PATH": os.environ["PATH"], **dict(env)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.processes.append(process)
        return process

    def up(self, *arguments, **options):
        """A daemon that answers."""
        process = self.daemon(*arguments, **options)
        until(lambda: self.status() or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        return process

    def status(self):
        """What the daemon tells; None if there is none."""
        with suppress(HostError):
            said = json.loads(link.ask(self.socket, link.STATUS, seconds=PATIENCE)[1])
            self.seen |= {said["master"], *(w["pid"] for w in said["workers"] if w["pid"])}
            self.seen |= {pid for worker in said["workers"] for pid in worker["cells"]}
            return said
        return None

    def team(self):
        """The daemon's workers that are there, and their cells."""
        workers = self.status()["workers"]
        return [w["pid"] for w in workers if w["pid"]], [pid for w in workers for pid in w["cells"]]

    def ask(self, event=REFUSED, seconds=PATIENCE):
        """Code and answer to *event*."""
        code, answer, _ = link.ask(self.socket, link.EVENT, link.with_context({}, event, self.socket), seconds=seconds)
        return code, answer

    def records(self, kind):
        """The records of *kind*."""
        return recorded_in(self.state, kind)

    def written(self, text):
        """A changed configuration, in place at once."""
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config)

    def _stopped(self):
        """Tell whoever listens to end; whether nobody does, or is about to."""
        self.status()
        with suppress(HostError):
            link.ask(self.socket, link.STOP, seconds=PATIENCE)
        foreground = any(process.poll() is None for process in self.processes)
        lock = Path(f"{self.socket}.lock")
        if foreground or lock.is_symlink() or not lock.is_file():  # those are ended by signals; here nobody can begin
            return True
        lock = locked(self.socket)
        if lock >= 0:
            os.close(lock)
        return lock >= 0

    def close(self):
        """End everybody; nobody who was ever seen may be left."""
        until(self._stopped)
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        try:
            until(lambda: not any(map(alive, self.seen)))
        finally:
            for pid in filter(alive, self.seen):
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder)
