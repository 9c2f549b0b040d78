"""Processes that are measured, and the daemon beside them."""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from time import monotonic, sleep

import pytest

from wasmguard import link
from wasmguard.errors import HostError
from wasmguard.workshop.bench import running
from wasmguard.workshop.bench.running import spawned

SH = "/bin/sh"
LARGE = b"x" * 5_000_000


def alive(pid):
    """Whether there is such a process, and it is more than what nobody waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid):
    """All processes below *pid*."""
    found, parents = set(), {pid}
    while parents:
        children = set()
        for parent in parents:
            try:
                with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
                    children |= {int(word) for word in file.read().split()}
            except (FileNotFoundError, ProcessLookupError):
                continue
        found |= children
        parents = children
    return found


def gone(pids, seconds=10.0):
    """Those of *pids* that are still there after some seconds, as soon as there are none."""
    until = monotonic() + seconds
    while (left := {pid for pid in pids if alive(pid)}) and monotonic() < until:
        sleep(0.02)
    return not left


def told(path):
    until = monotonic() + 10
    while not (path.exists() and path.read_text().endswith("\n")):
        assert monotonic() < until
        sleep(0.01)
    return [int(word) for word in path.read_text().split()]


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


def daemon(arguments, folder):
    return running.daemon(sys.executable, arguments, {"PATH": os.defpath}, folder)


def test_a_process_gets_the_event_and_says_code_output_and_complaint():
    ended = spawned((SH, "-c", "cat; echo no >&2; exit 3"), {"PATH": os.defpath}, b'{"a":1}')
    assert (ended.code, ended.out, ended.err) == (3, b'{"a":1}', b"no\n")


def test_a_process_gets_no_other_environment_than_is_said(monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    assert b"SECRET" not in spawned((SH, "-c", "export -p"), {"HOME": "/x"}, b"").out


def test_five_megabytes_go_in_while_as_many_come_out():
    assert spawned(("/bin/cat",), {}, LARGE).out == LARGE


def test_who_reads_nothing_gets_no_event_and_that_is_no_error():
    assert spawned((SH, "-c", "exit 0"), {}, LARGE).code == 0


def test_a_complaint_that_fills_a_pipe_stops_nobody():
    ended = spawned((SH, "-c", "head -c 300000 /dev/zero >&2; echo {}"), {"PATH": os.defpath}, b"")
    assert (ended.out, len(ended.err)) == (b"{}\n", 300_000)


def test_a_complaint_made_after_the_answer_is_heard():
    assert spawned((SH, "-c", "exec >&-; sleep 0.05; echo no >&2"), {"PATH": os.defpath}, b"").err == b"no\n"


@pytest.mark.parametrize("first", ["", "exec >&- 2>&-;", "trap '' TERM;"])
def test_a_process_that_does_not_end_is_ended(tmp_path, first, monkeypatch):
    monkeypatch.setattr(running, "TERM", 0.2)
    noted = tmp_path / "pid"
    line = f"{first} echo $$ > '{noted}'; while :; do read nothing < /dev/zero; done"
    with pytest.raises(HostError, match=r"has not ended after 0\.3 s"):
        spawned((SH, "-c", line), {"PATH": os.defpath}, b"", seconds=0.3)
    assert not alive(*told(noted))


def test_what_cannot_be_started_is_named():
    with pytest.raises(HostError, match=r"`/nowhere x` cannot be run: no such file"):
        spawned(("/nowhere", "x"), {}, b"")


def test_no_descriptor_stays_open():
    before = os.listdir("/dev/fd")
    for line in ("exit 0", "cat", "exec >&-; exec 2>&-; exit 1"):
        spawned((SH, "-c", line), {"PATH": os.defpath}, LARGE)
    with pytest.raises(HostError):
        spawned(("/nowhere",), {}, b"")
    assert os.listdir("/dev/fd") == before


def test_a_daemon_answers_and_ends_with_all_that_it_started(arguments, folder):
    with daemon(arguments, folder) as answering:
        code, said, _ = link.ask(answering.socket, link.STATUS, seconds=30)
        pids = {answering.pid, *descendants(answering.pid)}
        assert (code, answering.http.split(":")[0]) == (link.ANSWERED, "127.0.0.1")
        assert b'"cells"' in said
        assert len(pids) >= 3, "master, worker, cell"
    assert not alive(answering.pid)
    assert gone(pids)


def test_a_daemon_ends_when_somebody_presses_ctrl_c(arguments, folder):
    with suppress(KeyboardInterrupt), daemon(arguments, folder) as answering:
        pids = {answering.pid, *descendants(answering.pid)}
        raise KeyboardInterrupt
    assert gone(pids)


def test_a_daemon_that_cannot_begin_says_why_in_one_line(arguments, folder, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    arguments[1] += ".none"
    with pytest.raises(HostError, match=r"^the daemon ended with 1 before it answered: .*\.none.*$") as raised:
        daemon(arguments, folder).__enter__()
    assert "\n" not in str(raised.value)
    assert started
    assert gone({process.pid for process in started}), "its leash, too"


def test_a_daemon_that_never_answers_is_ended(arguments, folder, monkeypatch):
    monkeypatch.setattr(running, "MOST", 0.01)
    with pytest.raises(HostError, match=r"^the daemon does not answer after 0\.01 s: it wrote nothing$"):
        daemon(arguments, folder).__enter__()


def test_a_daemon_ends_when_whoever_started_it_is_killed(arguments, folder, tmp_path):
    program = """
        import sys, time
        from wasmguard.workshop.bench import running
        with running.daemon(sys.executable, sys.argv[2:], {}, sys.argv[1]) as daemon:
            print(daemon.pid, flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-I", "-c", textwrap.dedent(program), folder, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        pids = {pid, *descendants(process.pid)}
        process.send_signal(signal.SIGKILL)
    assert len(pids) >= 4, "master, worker, cell, leash"
    assert gone(pids)
