"""The daemon that is measured: it answers, and is gone with all that it started, whatever becomes of us."""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress

import pytest

from tests.workshop.bench.processes import alive, descendants, gone, knows_children
from wasmguard import link
from wasmguard.errors import HostError
from wasmguard.workshop.bench import daemon


@pytest.fixture
def folder(tmp_path_factory):
    """A private folder whose path is short enough for a socket."""
    made = tmp_path_factory.mktemp("d")
    made.chmod(0o700)
    return str(made)


@pytest.fixture
def arguments(configured, own_home):
    own_home.mkdir(exist_ok=True)
    return ["--config", str(configured("pass")), "--home", str(own_home)]


def started(arguments, folder):
    return daemon.running(sys.executable, arguments, {"PATH": os.defpath}, folder)


@knows_children
def test_a_daemon_answers_and_ends_with_all_that_it_started(arguments, folder):
    with started(arguments, folder) as answering:
        code, said, _ = link.ask(answering.socket, link.STATUS, seconds=30)
        pids = {answering.pid, *descendants(answering.pid)}
        assert (code, answering.http.split(":")[0]) == (link.ANSWERED, "127.0.0.1")
        assert b'"cells"' in said
        assert len(pids) >= 3, "master, worker, cell"
    assert not alive(answering.pid)
    assert gone(pids)


@knows_children
def test_a_daemon_ends_when_somebody_presses_ctrl_c(arguments, folder):
    with suppress(KeyboardInterrupt), started(arguments, folder) as answering:
        pids = {answering.pid, *descendants(answering.pid)}
        raise KeyboardInterrupt
    assert gone(pids)


def test_a_daemon_that_cannot_begin_says_why_in_one_line(arguments, folder, monkeypatch):
    begun = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: begun.append(popen(*a, **k)) or begun[-1])
    arguments[1] += ".none"
    with pytest.raises(HostError, match=r"^the daemon ended with 1 before it answered: .*\.none.*$") as raised:
        started(arguments, folder).__enter__()
    assert "\n" not in str(raised.value)
    assert begun
    assert gone({process.pid for process in begun}), "its leash, too"


def test_a_daemon_that_never_answers_is_ended(arguments, folder, monkeypatch):
    monkeypatch.setattr(daemon, "MOST", 0.01)
    with pytest.raises(HostError, match=r"^the daemon does not answer after 0\.01 s: it wrote nothing$"):
        started(arguments, folder).__enter__()


@knows_children
def test_a_daemon_ends_when_whoever_started_it_is_killed(arguments, folder, tmp_path):
    program = """
        import sys, time
        from wasmguard.workshop.bench import daemon
        with daemon.running(sys.executable, sys.argv[2:], {}, sys.argv[1]) as answering:
            print(answering.pid, flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-I", "-c", textwrap.dedent(program), folder, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        pids = {pid, *descendants(process.pid)}
        process.send_signal(signal.SIGKILL)
    assert len(pids) >= 4, "master, worker, cell, leash"
    assert gone(pids)
