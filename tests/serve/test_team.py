"""Workers are replaced, soon but not too soon, and somebody is told if none can begin."""

import os
import signal
import time

import pytest

from tests.serve.daemons import alive, until
from wasmguard.errors import HostError
from wasmguard.serve import team as module
from wasmguard.serve.board import Board, Seat
from wasmguard.serve.team import HOPELESS, LONGEST_PAUSE, STILLBORN, Team


class Work:
    """What the workers of a test do: take their seats, unless they fail before."""

    def __init__(self, size=2):
        self.board, self.fails = Board(size), ()
        self.after = lambda: time.sleep(60)

    def __call__(self, number):
        if self.fails == "a bug":
            raise ZeroDivisionError("a bug")
        if number in self.fails:
            raise HostError(f"worker {number} has no cell")
        self.board.seats[number].take()
        self.after()

    def seat(self, number):
        return self.board.seats[number].pid


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def team(work):
    made = Team(2, work, lambda: (), work.seat)
    yield made
    made.end(1)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def lives(team, seconds=5.0):
    """Bury and staff for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not team.failure():
        team.bury()
        team.staff()
        time.sleep(team.pause(0.01))


def test_each_post_gets_a_worker(team):
    assert not team.seated()
    team.staff()
    team.staff()
    assert len(team.pids()) == 2
    until(team.seated)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_who_dies_is_replaced_and_the_other_stays(team, number):
    team.staff()
    first, second = team.pids()
    os.kill(first, number)
    until(lambda: (team.bury(), team.staff(), len(team.pids()) == 2 and first not in team.pids())[-1])
    assert second in team.pids()


def test_who_grew_old_is_replaced_at_once_and_who_died_young_after_a_pause(team, monkeypatch):
    team.staff()
    until(lambda: all(team._seat(number) for number in (0, 1)))
    for young, pause in ((10.0, 0.04), (10.0, 0.08), (0.0, 0.0)):
        monkeypatch.setattr(module, "YOUNG", young)
        os.kill(team.pids()[0], signal.SIGKILL)
        until(lambda: team.bury() or len(team.pids()) == 1)
        assert pause - 0.02 < team.pause(9) <= pause
        until(lambda: team.staff() or len(team.pids()) == 2)
        until(lambda: all(team._seat(number) in team.pids() for number in (0, 1)))


def test_the_pause_does_not_grow_for_ever(team, monkeypatch):
    team.staff()
    for _ in range(12):
        post = team._posts[0]
        os.kill(post.pid, signal.SIGKILL)
        until(lambda: team.bury() or len(team.pids()) == 1)
        assert team.pause(9) <= LONGEST_PAUSE
        post.due = 0
        team.staff()
    assert team.failure() == ""  # to be killed is no failure


def test_if_there_can_be_no_process_it_is_tried_again(team, monkeypatch, capfd):
    def fail(*_, **__):
        raise OSError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(module, "forked", fail)
        team.staff()
    assert team.pids() == []
    assert 0 < team.pause(9) <= LONGEST_PAUSE
    assert "cannot start a worker: resource temporarily unavailable" in capfd.readouterr().err
    lives(team, LONGEST_PAUSE + 0.2)
    assert team.seated()


def test_if_none_can_begin_it_is_told_why(work, team, capfd):
    work.fails = (0, 1)
    lives(team)
    assert team.failure() in ("worker 0 has no cell", "worker 1 has no cell")
    assert "a worker cannot begin: worker" in capfd.readouterr().err


def test_a_bug_is_told_too(work, team, capfd):
    work.fails = "a bug"
    lives(team)
    assert team.failure() == "internal error: ZeroDivisionError: a bug: please report it"
    capfd.readouterr()


def test_to_end_without_a_word_is_told(team, work, monkeypatch):
    monkeypatch.setattr(Seat, "take", lambda _: os._exit(3))
    lives(team)
    assert team.failure() == "it ends before it can answer"


def test_as_long_as_one_works_there_is_no_failure_and_the_other_is_tried_seldom(work, team, capfd):
    work.fails = (1,)
    lives(team, 1.0)
    assert team.failure() == ""
    assert team.seated()
    assert 3 <= capfd.readouterr().err.count("worker 1 has no cell") <= 7
    until(lambda: team.bury() or team.pause(60) <= HOPELESS)


def test_one_that_began_makes_up_for_those_that_did_not(work, team):
    team._stillborn = STILLBORN - 1
    work.after = lambda: os._exit(0)
    lives(team, 0.3)
    assert team.failure() == ""


def test_who_is_told_to_end_may_finish(team, work, tmp_path):
    def finish():
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.pause()
        time.sleep(0.3)
        (tmp_path / str(os.getpid())).touch()

    work.after = finish
    team.staff()
    until(lambda: all(map(work.seat, (0, 1))))
    time.sleep(0.1)
    pids = team.pids()
    team.end(10)
    assert sorted(os.listdir(tmp_path)) == sorted(map(str, pids))
    assert team.pids() == []


def test_who_does_not_end_is_killed(team, work):
    work.after = lambda: (signal.signal(signal.SIGTERM, signal.SIG_IGN), time.sleep(60))
    team.staff()
    until(lambda: all(map(work.seat, (0, 1))))
    time.sleep(0.1)
    pids, begun = team.pids(), time.monotonic()
    team.end(0.3)
    assert time.monotonic() - begun < 10
    assert not any(map(alive, pids))
