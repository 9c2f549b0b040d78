"""A redis-server of a test's own, on a free port of the loopback interface."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

try:
    import redis
except ImportError:
    redis = None


class RedisServer:
    """Runs from `start` to `stop`, in *folder*, with *options* of its configuration."""

    def __init__(self, folder, **options):
        self.folder, self.options = folder, options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    @property
    def address(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.folder}
        words = [
            word
            for name, value in (options | self.options).items()
            for word in (f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else (str(value),)))
        ]
        self.process = subprocess.Popen(
            ["redis-server", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        until = time.monotonic() + 20
        while True:
            try:
                self._answers()
            except OSError:
                assert time.monotonic() < until, "redis-server does not start"
                assert self.process.poll() is None, "redis-server ended"
                time.sleep(0.02)
            else:
                return self

    def _answers(self):
        """Pass if it answers; raise OSError if it does not, or is still reading what it kept."""
        with socket.create_connection(("127.0.0.1", self.port or self.options["tls_port"]), 1) as channel:
            if self.port:
                channel.settimeout(1)
                channel.sendall(b"PING\r\n")
                if channel.recv(100).startswith(b"-LOADING"):
                    raise OSError("it is still reading")

    def pause(self, on=True):
        os.kill(self.process.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def stop(self):
        if self.process is not None:
            self.pause(on=False)
            self.process.kill()
            self.process.wait(20)
            self.process = None

    def client(self, **options):
        return redis.Redis(port=self.port, **options)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def needed():
    """Skip the test if there is no Redis here."""
    if redis is None:
        pytest.skip("the package `redis` is not installed: `pip install 'wasmguard[redis]'`")
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: `apt-get install redis-server`")
