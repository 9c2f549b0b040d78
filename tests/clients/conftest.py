"""A running daemon for the clients' tests: real policies, HTTP on loopback, in a home of its own."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

WASMGUARD = [sys.executable, "-I", "-m", "wasmguard"]
PATIENCE = 30  # seconds for anything to happen


class Daemon:
    """`wasmguard serve --daemon --http` about one configuration, in a folder with a home of its own."""

    def __init__(self, folder):
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir(exist_ok=True)
        self.config = folder / "wasmguard.toml"
        self.environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        self.state = self.home / ".local/state/wasmguard"
        self.token_file = self.state / "token"
        self.process, self.url, self.token = None, "", ""

    def start(self, text, *arguments, modules=None):
        """Lock the configuration *text* and start; *modules* are guests beside it: name -> bytes. It answers then."""
        for name, code in (modules or {}).items():
            (self.folder / f"{name}.wasm").write_bytes(code)
        self.config.write_text(text, encoding="utf-8")
        self.run("lock")
        self._start("127.0.0.1:0", *arguments)

    @property
    def address(self):
        """`127.0.0.1:PORT`."""
        return self.url.removeprefix("http://")

    def run(self, *arguments):
        """What the command prints, for the same configuration and home: `run("stats", "--json")`."""
        done = subprocess.run(
            [*WASMGUARD, *arguments, "--config", str(self.config)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 4,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _start(self, http, *arguments):
        places = ["--home", str(self.home), "--socket", str(self.folder / "run/s")]
        command = [*WASMGUARD, "serve", "--daemon", "--config", str(self.config), *places, "--workers", "2"]
        self.process = subprocess.Popen(
            [*command, "--http", http, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert select.select([self.process.stderr], [], [], PATIENCE)[0], "the daemon says nothing"
        line = self.process.stderr.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line + self.process.stderr.read().decode()
        self.url = found[0]
        self.token = self.token_file.read_text(encoding="ascii").strip()
        assert self.status()["version"]

    def asked(self, path, body=None, seconds=PATIENCE):
        """The JSON that is answered at *path*: to a GET, or to a POST of *body*."""
        data = None if body is None else json.dumps(body).encode()
        shown = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, headers=shown)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=seconds) as answer:
            return json.load(answer)

    def status(self):
        """What `GET /v1/status` tells."""
        return self.asked("/v1/status")

    def records(self, kind=None):
        """The records that are written so far; of one *kind*."""
        with suppress(FileNotFoundError):
            lines = (self.state / "records.jsonl").read_text(encoding="utf-8").splitlines()
            return [said for said in map(json.loads, lines) if kind in (None, said["kind"])]
        return []

    def kill(self):
        """End it without a farewell: nobody listens there any more."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        while self._listens():  # its workers are ending, too
            assert time.monotonic() < end, "somebody still listens"
            time.sleep(0.01)

    def _listens(self):
        host, _, port = self.address.rpartition(":")
        with socket.socket() as channel:
            return channel.connect_ex((host, int(port))) == 0

    def restart(self, *arguments):
        """Start it again where it was, after `kill`."""
        self.process.stderr.close()
        self._start(self.address, *arguments)

    def close(self):
        """End it, and see that nothing is left."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=PATIENCE)
            self.process.stderr.close()
            self.process = None


@pytest.fixture(scope="session", autouse=True)
def _developing():
    """These tests start compilers and fetch packages: not what somebody wants who tries the tests of the guard."""
    if not find_spec("claude_agent_sdk"):
        pytest.skip("the clients of other languages are tested with the extra `sdk`: pip install -e '.[dev,sdk]'")


@pytest.fixture(scope="session")
def daemons():
    """Starts daemons: `daemons(text)` is a `Daemon` that answers. They end with the session."""
    started = []

    def start(text, *arguments, modules=None):
        started.append(Daemon(Path(tempfile.mkdtemp(prefix="wg-"))))  # sockets have short names
        started[-1].start(text, *arguments, modules=modules)
        return started[-1]

    yield start
    for daemon in started:
        try:
            daemon.close()
        finally:
            shutil.rmtree(daemon.folder)


@pytest.fixture
def daemon(daemons):
    """Starts daemons for one test: `daemon(text)`. They end with it."""
    started = []

    def start(text, *arguments, modules=None):
        started.append(daemons(text, *arguments, modules=modules))
        return started[-1]

    yield start
    for one in started:
        one.close()
