"""Cells for tests: honest ones, ones that lie, and programs that embed them."""

import gc
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from wasmguard.limits import DEFAULT, MIB
from wasmguard.sandbox import compiler, process
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.child import Child, pair
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.sandbox.spec import Spec
from wasmguard.sandbox.wasi import compiled_inert

ROOT = Path(__file__).parents[2]
REQUEST = b"\x84" + b"\0" * 400
PASS = b"\x81\xa6effect\xa4pass"
PATIENT = DEFAULT.replaced(clock=2_000)  # so that fuel fires first on a busy machine too


def natively(module, limits=DEFAULT):
    """What a cell is told about a guest, and its native code. They are harmless to compile: no child does it."""
    shape = scan(module)
    check_abi(shape)
    setup = Setup(kind=shape.kind, reservation=max(limits.memory, 16 * MIB), stack=limits.stack)
    code = compiler._policy(module, setup)
    inert = around(setup) if shape.wasi else ()
    return Spec(kind=shape.kind, limits=limits, answer=limits.answer, wasi=shape.wasi), (code, *inert)


@cache
def around(setup):
    """The modules around a policy that imports WASI."""
    return compiled_inert(setup, DEFAULT)


def processes(size=2, *, event=4 * MIB, portable=False, **setup):
    """Cells for core modules, or for what *setup* says."""
    made = Setup(**setup)
    return process.Processes(find(), made.as_dict(), size, event=event, portable=portable)


def descriptors():
    """The descriptors that this process has open; not the one that reads the list."""
    return {number for number in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{number}")}


def running():
    """The descriptors and the children of this process: what something may leave behind."""
    gc.collect()  # what other tests dropped goes now, not in the middle of this one
    return descriptors(), children()


def left_since(before):
    """What is there now and was not *before*. What is gone since belonged to somebody else, who ended at last."""
    return tuple(now - then for now, then in zip(running(), before, strict=True))


def children():
    """The children of this process, zombies too."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


def state(pid):
    """The letter of a process's state; an empty text if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gone(pid, seconds=5.0):
    """Whether the process ends, or is nothing but a zombie, within so many seconds."""
    until = time.monotonic() + seconds
    while state(pid) not in ("", "Z", "X") or len(list(Path(f"/proc/{pid}/task").glob("*"))) > 1:  # its threads go last
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def lying(program):
    """What stands for `process._spawned`: a cell that speaks the protocol, and does what *program* says."""
    ours, theirs = pair()
    with open(os.devnull, "rb+") as empty:
        standard = [(os.POSIX_SPAWN_DUP2, empty.fileno(), number) for number in (0, 1)]
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", PRELUDE + program],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3), *standard],
        )
    theirs.close()
    return Child(pid, ours)


PRELUDE = f"""
import os, signal, sys, time
from _socket import socket
sys.path.insert(0, {str(ROOT)!r})
from wasmguard.sandbox import frames
channel = socket(fileno=3)
PASS = {PASS!r}

def exactly(size):
    data = b""
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data

def loaded():
    given = frames.header(exactly, 1 << 24)
    for guest in given["guests"]:
        for size in guest["sizes"]:
            exactly(size)
    return len(given["guests"])

def ready():
    guests = loaded()
    channel.sendall(frames.ready({{"isolation": "full"}}, [""] * guests))

def asked():
    guest, size, number = frames.asked(exactly(frames.HEAD))
    exactly(size)
    return number

def head(number, kind=0, fuel=1, first=0, second=0, length=len(PASS)):
    numbers = b"".join(n.to_bytes(8, "big") for n in (fuel, first, second))
    return bytes([kind]) + number + numbers + length.to_bytes(4, "big")

def passes(number):
    channel.sendall(head(number) + PASS)

"""


class Embedding:
    """Programs that embed a guard of the configuration *config*."""

    def __init__(self, config, home):
        self.config, self.home = config, home

    def run(self, program, *, before=(), timeout=60, **options):
        """What *program* prints; it finds `guard`, `decide` and `children` made."""
        text = EMBEDDING + program
        command = [*before, sys.executable, "-B", "-c", text, str(self.config)]
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, timeout=timeout, check=False, **options
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split()

    def environment(self):
        """A home of its own, and nothing else."""
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


EMBEDDING = """
import gc, os, signal, sys, threading, time
from wasmguard import Effect, Guard
from tests.sandbox.cells import children, descriptors, gone, state
guard = Guard.load(sys.argv[1])
EVENT = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": "/x"}, "cwd": "/"}

def decide(tool="Write"):
    decision = guard.decide({**EVENT, "tool_name": tool})
    assert not decision.reason.startswith("wasmguard"), decision.reason
    return decision

"""
