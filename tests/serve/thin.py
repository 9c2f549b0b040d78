"""The thin clients as processes, and a daemon that answers whatever a test wants."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress

from tests.serve.host import ROOT, SECRET, Answer, send
from wasmguard import link
from wasmguard.version import __version__
from wasmguard.workshop.hook_command import STEP

SERVE = ROOT / "wasmguard" / "serve"
BARE = ("-ffreestanding", "-nostdlib", "-static", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns")
SANITIZED = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DAEMONS_OWN = b'{"from":"the daemon"}\n'


def compiled(folder, *flags, source=SERVE / "client.c", name="wasmguard-client"):
    """The native client, built with this machine's C compiler; None where that cannot be done."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    path = folder / name
    version = f'-DWASMGUARD_VERSION="{__version__}"'
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", version, *flags, f"-I{SERVE}"]
    done = subprocess.run([*command, "-o", path, source], capture_output=True, text=True, check=False)
    if done.returncode and not flags:
        raise AssertionError(done.stderr)
    return path if done.returncode == 0 else None


class Process(subprocess.Popen):
    """A process that does not outlive its test."""

    def __exit__(self, *failure):
        self.kill()  # nothing, to one that has ended
        super().__exit__(*failure)


class Client:
    """A client, its command line ended by what a daemon-less hook needs."""

    def __init__(self, kind, native, script, host):
        self.kind, self.native, self.script, self.host = kind, native, script, host

    def command(self, path, config=None):
        """What `install` writes."""
        options = ["--config", str(config or self.host.config), "--home", str(self.host.home)]
        python = [sys.executable, "-I", "-S", "-c", STEP, str(self.script), str(path), *options]
        return python if self.native is None else [str(self.native), str(path), *python]

    def start(self, path, *, command=None, environ=None, redirected="", **options):
        """The client's process."""
        command = command or self.command(path)
        if redirected:
            command = ["sh", "-c", f'exec "$@" {redirected}', "sh", *command]
        environ = {"HOME": str(self.host.home), "ANTHROPIC_API_KEY": SECRET, **(environ or {})}
        return Process(
            command,
            env={"PATH": os.environ["PATH"], "WASMGUARD_DAEMON": "0", **environ},
            cwd=self.host.folder,
            bufsize=0,
            **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | options,
        )

    def __call__(self, path, raw, **options):
        """The answer to *raw*."""
        with self.start(path, **options) as process:
            send(process, raw)
            return ended(process)


def ended(process):
    """What *process* answered. Unlike `communicate` this does not mind descriptors that were not asked for."""
    try:
        out, err = process.communicate(timeout=40)
    except BaseException:
        process.kill()
        raise
    return Answer(process.returncode, out or b"", err or b"")


class Daemon:
    """Hears whole questions at a socket and lets `act(channel, question)` do the rest; to the kernel it is *user*."""

    def __init__(self, path, act, user=None):
        self.path, self.act, self.questions = path, act, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        own = os.geteuid()
        os.seteuid(own if user is None else user)
        self.listener.listen(16)  # a peer is who listened
        os.seteuid(own)
        self.thread = threading.Thread(target=self._work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        self.path.unlink()

    def _work(self):
        with suppress(OSError):  # the end
            while True:
                channel, _ = self.listener.accept()
                with channel, suppress(OSError):
                    self.questions.append(question_on(channel))
                    self.act(channel, self.questions[-1])


def question_on(channel):
    """The frame of one question."""
    frame, whole = bytearray(), link.QUESTION
    while len(frame) < whole:
        part = channel.recv(1 << 20)
        if not part:
            break
        frame += part
        if len(frame) >= link.QUESTION:
            whole = link.QUESTION + link.asked(bytes(frame[: link.QUESTION]))[2]
    return bytes(frame)


def saying(frame):
    """Answers *frame* and closes."""
    return lambda channel, _: channel.sendall(frame)


def silent(channel, _):
    """Says nothing until the client has gone."""
    channel.recv(1)
