"""Whose turn it is: one caller for each place, and no way to lose one."""

import os
import signal
import sys
import threading
import time

import pytest

from wasmguard.errors import NotAtOnce
from wasmguard.sandbox import turns as turns_module
from wasmguard.sandbox.turns import Claim, Turns


class Interrupted(Exception):
    pass


def test_a_place_has_one_caller_at_a_time():
    turns, inside, most = Turns(3), [], []

    def work(_):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.002)
        inside.pop()

    threads = [threading.Thread(target=lambda: [turns.take(work) for _ in range(20)]) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 240
    assert max(most) == 3


def test_the_first_free_place_is_taken():
    """Where the cell is that was used last."""
    turns = Turns(3)
    assert len({id(turns.take(lambda place: place)) for _ in range(5)}) == 1


def test_a_turn_inside_a_turn_gets_a_place_of_its_own():
    turns, cell = Turns(1), Cell()

    def inner(place):
        place.cell = cell
        return place

    outer, within = turns.take(lambda place: (place, turns.take(inner)))
    assert outer is not within
    assert cell.ended == 1  # it is not kept
    assert list(turns.cells()) == []


class Cell:
    ended, killed, report = 0, False, ("ready",)

    def end(self, *, dying=False):
        self.ended += 1
        return "was ended"


def test_what_a_turn_raises_frees_its_place():
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            turns.take(lambda _: 1 / 0)
    assert turns.take(lambda _: "free") == "free"


def with_cell(size=1, report=("ready",)):
    """Turns of which the last one has a cell."""
    turns = Turns(size)
    turns._places[-1].cell = Cell()
    turns._places[-1].cell.report = report
    return turns


def test_who_asks_at_once_gets_the_free_place_whose_cell_is_ready():
    turns = with_cell(3)
    assert turns.take_ready(lambda place: place) is turns._places[2]
    assert turns.take_ready(lambda place: place) is turns._places[2]


@pytest.mark.parametrize("turns", [Turns(2), with_cell(2, report=())], ids=["no cell", "not ready"])
def test_who_asks_at_once_waits_for_no_cell(turns):
    with pytest.raises(NotAtOnce):
        turns.take_ready(lambda _: "a turn")
    assert turns.take(lambda _: "free") == "free"


def test_who_asks_at_once_waits_for_nobody():
    turns, inside, over = with_cell(), threading.Event(), threading.Event()
    busy = threading.Thread(target=lambda: turns.take(lambda _: (inside.set(), over.wait(30))))
    busy.start()
    try:
        assert inside.wait(30)
        begun = time.monotonic()
        with pytest.raises(NotAtOnce):
            turns.take_ready(lambda _: "a turn")
        assert time.monotonic() - begun < 5
    finally:
        over.set()
        busy.join()
    assert turns.take_ready(lambda _: "a turn") == "a turn"


def test_what_a_turn_at_once_raises_frees_its_place():
    turns = with_cell()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            turns.take_ready(lambda _: 1 / 0)
    assert turns.take(lambda _: "free") == "free"


@pytest.mark.parametrize("way", ["take", "take_ready"])
def test_no_moment_at_which_a_signal_raises_loses_a_place(way):
    """An exception before every single step of the interpreter, one after the other."""
    for step in range(1, 400):
        turns, left = with_cell(), [step]

        def raises(frame, what, argument, left=left):
            frame.f_trace_opcodes = True
            if frame.f_code.co_filename != turns_module.__file__:
                return None
            if what == "opcode":
                left[0] -= 1
                if left[0] == 0:
                    raise Interrupted
            return raises

        try:
            _traced(raises, lambda turns=turns: getattr(turns, way)(lambda _: None))
        except Interrupted:
            pass
        else:
            break
        assert all(not place.holders for place in turns._places), step
    else:
        raise AssertionError("it takes more steps than that")
    assert step > 20


def _traced(trace, work):
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)


def test_what_a_parent_had_claimed_is_free_after_a_fork(monkeypatch):
    turns = Turns(1)
    others = Claim()
    turns._places[0].holders[others.process] = others
    monkeypatch.setattr(os, "getpid", lambda: others.process + 1)
    assert turns.take(lambda _: "free") == "free"


def test_cells_end_when_turns_are_over_now_or_at_the_end_of_the_last():
    turns, cell = Turns(2), Cell()

    def work(place):
        place.cell = cell
        turns.close()
        return cell.ended

    assert turns.take(work) == 0
    assert cell.ended == 1
    assert turns.over
    turns.close()


def test_an_idle_cell_ends_when_turns_are_over():
    turns, cell = Turns(2), Cell()
    turns.take(lambda place: setattr(place, "cell", cell))
    assert list(turns.cells()) == [cell]
    turns.close()
    assert cell.ended == 1


def test_a_place_without_a_cell_has_nothing_to_end():
    assert Turns(1).take(lambda place: place.end()) == "is gone"


def test_signals_are_heard_while_a_caller_waits():
    turns, heard = Turns(1), []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(True))
    busy = threading.Thread(target=lambda: turns.take(lambda _: time.sleep(0.3)))
    try:
        busy.start()
        time.sleep(0.05)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        turns.take(lambda _: None)
    finally:
        busy.join()
        signal.signal(signal.SIGALRM, before)
    assert heard
