"""Children of the master: nothing that is the master's alone, and no life after it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.serve.daemons import alive, until
from tests.serve.host import ROOT
from wasmguard.errors import HostError
from wasmguard.serve.family import BROKEN, forked


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def said(work, pipe, *, close=()):
    """What *work* returns in a child, as text."""
    reading, writing = pipe
    assert ended(forked(lambda: os.write(writing, repr(work()).encode()), close=close)) == 0
    return eval(os.read(reading, 10_000))


def test_it_does_its_work_and_ends(pipe):
    assert said(os.getppid, pipe) == os.getpid()


@pytest.mark.parametrize("error", [RuntimeError("a bug"), HostError("no room"), SystemExit(0), KeyboardInterrupt()])
def test_whatever_its_work_raises_does_not_come_back_here(error, capfd):
    def fail():
        raise error

    here = os.getpid()
    assert ended(forked(fail, close=())) == BROKEN
    assert os.getpid() == here
    assert ("Traceback" in capfd.readouterr().err) is not isinstance(error, HostError)


def test_it_has_signals_as_any_program(pipe):
    def look():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1)}
        return [int(handler) for handler in handlers.values()], len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        assert said(look, pipe) == ([0, 0, 0], 0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_signals_are_as_they_were_here():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    ended(forked(lambda: None, close=()))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_it_is_in_a_group_of_its_own(pipe):
    assert said(lambda: os.getpgid(0) == os.getpid(), pipe)


def test_the_masters_descriptors_are_closed_there_and_open_here(pipe, tmp_path):
    with open(tmp_path / "lock", "wb") as lock:
        number = lock.fileno()
        assert said(lambda: os.path.exists(f"/proc/self/fd/{number}"), pipe)
        assert not said(lambda: os.path.exists(f"/proc/self/fd/{number}"), pipe, close=[number])
        os.fstat(number)


ORPHAN = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from wasmguard.serve.family import forked
print(forked(lambda: time.sleep(60), close=()), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of who was killed")
def test_it_dies_when_the_master_is_killed():
    with subprocess.Popen([sys.executable, "-I", "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as master:
        child = int(master.stdout.readline())
        time.sleep(0.1)
        assert alive(child)
        master.kill()
        until(lambda: not alive(child))


def test_it_does_nothing_if_the_master_had_gone_before(monkeypatch, pipe):
    reading, writing = pipe
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert ended(forked(lambda: os.write(writing, b"x"), close=())) == BROKEN
    os.set_blocking(reading, False)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
