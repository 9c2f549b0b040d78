"""One cell process, as the one that decides sees it: one deadline, no signal, one end."""

import os
import signal
import threading
import time

import pytest

from tests.sandbox.cells import gone, left_since, lying, running, state
from wasmguard.sandbox.child import Child, pair

BOUND = 1.5  # seconds, where half of one is given


@pytest.fixture
def child():
    made = []

    def start(program):
        made.append(lying(program))
        made[-1].within(0.5)
        return made[-1]

    yield start
    for each in made:
        each.end()


def test_what_is_sent_comes_back(child):
    echo = child("channel.sendall(exactly(100_000)[::-1]); time.sleep(60)")
    echo.within(10)
    echo.send(bytes(50_000) + b"\1" * 50_000)
    assert echo.receive(100_000, 100_000) == b"\1" * 50_000 + bytes(50_000)


def test_no_more_is_read_than_may_come(child):
    talks = child("channel.sendall(b'x' * 1000); time.sleep(60)")
    talks.within(10)
    assert talks.receive(10, 20) == b"x" * 20


@pytest.mark.parametrize(
    "program",
    ["time.sleep(60)", "while True: channel.sendall(b'x'); time.sleep(0.04)", "while True: channel.sendall(b'x')"],
)
def test_one_deadline_holds_for_all_that_is_received(child, program):
    talks = child(program)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        talks.receive(10**9, 10**9)
    assert time.monotonic() - begun < BOUND


def test_one_deadline_holds_for_what_is_sent_and_received(child):
    slow = child("time.sleep(0.3); exactly(10**6); time.sleep(0.1)\nwhile True: channel.sendall(b'x'); time.sleep(0.1)")
    begun = time.monotonic()
    slow.send(bytes(10**6))
    with pytest.raises(TimeoutError):
        slow.receive(100, 100)
    assert time.monotonic() - begun < BOUND


def test_a_closed_channel_is_an_error_of_the_connection(child):
    closed = child("os._exit(0)")
    with pytest.raises(ConnectionError):
        closed.receive(1, 1)
    with pytest.raises(ConnectionError):
        closed.send(bytes(10**7))


@pytest.mark.parametrize(
    ("program", "how"),
    [
        ("os._exit(0)", "ended with code 0"),
        ("os._exit(9)", "ended with code 9"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "died by signal 11"),
        ("os.kill(os.getpid(), signal.SIGSYS)", "was ended by the kernel: it tried what its jail forbids"),
        ("channel.close(); time.sleep(60)", "was killed"),
        ("channel.close(); os.kill(os.getpid(), signal.SIGSTOP)", "was killed"),
    ],
)
def test_how_a_dying_cell_ended_can_be_told(child, program, how):
    dies = child(program)
    dies.within(10)
    with pytest.raises(ConnectionError):
        dies.receive(1, 1)
    if how != "was killed":
        time.sleep(0.2)
    assert dies.end(dying=True) == how
    assert dies.end() == how
    assert state(dies.pid) == ""


def test_ending_takes_the_process_and_its_descriptor_along():
    before = running()
    for _ in range(3):
        assert lying("time.sleep(60)").end() == "was killed"
        lying("time.sleep(60)")  # dropped, and nobody ended it
    assert left_since(before) == (set(), set())


def test_a_process_that_somebody_else_waited_for_is_gone(child):
    taken = child("os._exit(0)")
    os.waitpid(taken.pid, 0)
    assert taken.end() == "is gone"


def test_two_threads_may_end_it(child):
    ends, said = child("time.sleep(60)"), []
    threads = [threading.Thread(target=lambda: said.append(ends.end())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(said) <= {"was killed", "is gone"}
    assert state(ends.pid) == ""


def test_a_cell_is_killed_without_waiting_and_buried_when_it_is_ended(child):
    killed = child("time.sleep(60)")
    killed.kill()
    killed.kill()
    assert gone(killed.pid)
    assert state(killed.pid) == "Z"
    assert killed.end() == "was killed"
    assert not killed.killed  # by somebody else
    assert state(killed.pid) == ""
    killed.kill()


def test_who_kills_a_cell_that_is_dead_learns_how_it_died(child):
    dead = child("os.kill(os.getpid(), signal.SIGKILL)")
    assert gone(dead.pid)
    dead.kill()
    assert dead.end() == "died by signal 9"
    assert dead.killed
    taken = child("os._exit(0)")
    os.waitpid(taken.pid, 0)
    taken.kill()
    assert taken.end() == "is gone"


def test_a_process_of_somebody_elses_is_left_alone(child, monkeypatch):
    """After a fork: the parent still talks to it."""
    theirs = child("time.sleep(60)")
    assert theirs.usable
    monkeypatch.setattr(theirs, "_owner", os.getpid() + 1)
    assert not theirs.usable
    theirs.kill()
    assert theirs.end() == "belongs to another process"
    assert state(theirs.pid) in ("S", "R", "D")
    monkeypatch.undo()


def test_only_a_silent_living_cell_between_two_exchanges_is_usable():
    ours, theirs = pair()
    mine = Child(0, ours)
    mine.end = lambda **_: ours.close()
    assert mine.usable  # it gets ready: what it says is its report
    mine.report = {"isolation": "full"}
    assert mine.usable
    mine.clean = False
    assert not mine.usable
    mine.clean = True
    theirs.send(b"x")
    assert not mine.usable
    theirs.close()
    assert not mine.usable
    ours.close()


def test_signals_that_keep_coming_do_not_prolong_the_wait(child):
    silent = child("time.sleep(60)")
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    begun = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        with pytest.raises(TimeoutError):
            silent.receive(1, 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - begun < BOUND
