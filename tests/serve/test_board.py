"""What workers write down is what everybody reads, also if they die."""

import os
import re
import signal
import time
from contextlib import suppress

import pytest

from wasmguard.serve.board import BUCKETS, NUMBERS, Board, bound, bucket, quantile, resident


@pytest.fixture
def child():
    """Runs something in a child, which is killed at the end of the test at the latest."""
    pids = []

    def run(work):
        pid = os.fork()
        if pid == 0:
            try:
                work()
            finally:
                os._exit(0)
        pids.append(pid)
        return pid

    yield run
    for pid in pids:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def ended(pid):
    os.waitpid(pid, 0)


def test_what_a_worker_counts_its_master_reads(child):
    board = Board(2)

    def work():
        seat = board.seats[1]
        seat.take()
        seat.event("deny", 120.0, rewrote=False, faulted=True)
        seat.event("pass", 80.0, rewrote=True, faulted=False)
        seat.event("allow", 80.0, rewrote=False, faulted=False)
        seat.event("ask", 80.0, rewrote=False, faulted=False)
        seat.count("refused", 3)
        seat.clients = 7
        seat.cells([os.getpid()])

    pid = child(work)
    ended(pid)
    said = board.summary()
    counted = {"events": 4, "refused": 3, **dict.fromkeys(NUMBERS[1:7], 1)}
    assert {name: said[name] for name in NUMBERS if said[name]} == counted
    assert said["clients"] == board.clients() == 7
    assert said["workers"][1]["pid"] == pid
    assert said["workers"][1]["cells"] == [pid]
    assert said["workers"][0]["events"] == said["restarts"] == 0
    assert board.seats[1].microseconds == 360


def test_an_effect_that_nobody_knows_counts_as_a_denial():
    board = Board(1)
    board.seats[0].event("later", 1.0, rewrote=False, faulted=False)
    assert board.summary()["denied"] == 1


def test_who_takes_a_dead_workers_seat_goes_on_counting(child):
    board = Board(1)

    def work():
        board.seats[0].take()
        board.seats[0].clients = 5
        board.seats[0].event("deny", 50, rewrote=False, faulted=False)
        board.seats[0].write("last", {"time": 1, "event": "Stop"})

    for _ in range(3):
        ended(child(work))
    said = board.summary()
    assert (said["events"], said["restarts"], said["clients"]) == (3, 2, 5)
    board.seats[0].take()
    assert board.clients() == 0
    assert board.seats[0].pid == os.getpid()
    assert board.summary()["last"] == {"time": 1, "event": "Stop"}
    board.seats[0].leave()
    assert board.seats[0].pid == 0


def test_quantiles_are_right_within_five_percent():
    times = [0] * BUCKETS
    for microseconds in range(1, 10_001):
        times[bucket(microseconds)] += 1
    for share in (0.1, 0.5, 0.9, 0.99):
        assert quantile(times, share) == pytest.approx(10_000 * share, rel=0.05)
    assert quantile([0] * BUCKETS, 0.5) is None


@pytest.mark.parametrize("microseconds", [0.0, -1.0, 0.5, 1.0, 1e9, 1e300])
def test_every_time_has_a_bucket(microseconds):
    assert 0 <= bucket(microseconds) < BUCKETS
    assert bound(bucket(200.0)) <= 200 < bound(bucket(200.0) + 1)


def test_the_newest_note_of_all_workers_counts():
    board = Board(3)
    assert board.summary()["last"] is None
    board.seats[2].write("last", {"time": 5, "tool": "Write"})
    board.seats[0].write("last", {"time": 3, "tool": "Edit"})
    board.seats[0].write("reload", {"time": 9})
    assert board.summary()["last"] == {"time": 5, "tool": "Write"}
    assert board.summary()["reload"] == {"time": 9}


def test_a_note_of_any_text_survives_and_one_that_is_too_long_keeps_its_time():
    seat = Board(1).seats[0]
    seat.write("last", {"time": 1, "reason": "\U0001f600\0é" * 200})
    assert seat.note("last")["reason"] == "\U0001f600\0é" * 200
    seat.write("last", {"time": 2, "reason": "x" * 100_000})
    assert seat.note("last") == {"time": 2}


def test_no_reader_sees_half_a_note(child):
    """A writer without pause, its notes of different lengths, killed in the middle of it."""
    board = Board(1)

    def work():
        count = 0
        while True:
            count += 1
            board.seats[0].write("last", {"time": count, "text": chr(97 + count % 26) * (count % 3_000)})

    pid = child(work)
    until, seen = time.monotonic() + 0.5, 0
    while time.monotonic() < until:
        if note := board.seats[0].note("last"):
            assert re.fullmatch(r"(.?)\1*", note["text"])
            assert len(note["text"]) == note["time"] % 3_000
            seen += 1
    os.kill(pid, signal.SIGKILL)
    ended(pid)
    assert seen > 10
    assert board.seats[0].note("last")["time"] >= note["time"]


def test_a_writer_that_was_killed_in_the_middle_leaves_the_note_before():
    seat = Board(1).seats[0]
    seat.write("last", {"time": 1})
    seat.write("last", {"time": 2})
    memory = seat._note("last")
    begin = 8 + (8 + (len(memory) - 8) // 2 - 8)  # the place of the next one
    memory[begin : begin + 40] = b"\xff" * 40
    assert seat.note("last") == {"time": 2}


def test_a_daemon_is_idle_since_its_last_event(monkeypatch):
    board = Board(2)
    assert board.idle() < 60
    board.begun -= 100_000_000_000
    assert board.idle() > 99
    board.seats[1].event("pass", 1.0, rewrote=False, faulted=False)
    assert board.idle() < 60


def test_memory_is_that_of_the_processes():
    board = Board(1)
    board.seats[0].take()
    said = board.summary()["memory_kib"]
    assert said["master"] == pytest.approx(said["workers"], rel=0.1)
    assert said["cells"] == 0
    assert resident(2**22 + 1) == 0
