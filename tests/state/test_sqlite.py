"""The store in a file: the promises of every store, and what SQLite needs for them."""

import random
import resource
import sqlite3
import subprocess
import sys
import time

import pytest

from tests.state.promises import Promises
from tests.state.turns import CONFIG, FORK, forked, recall, remember, slot, sum_of, turn_of
from wasmguard.errors import StateError
from wasmguard.state import make, opened, sqlite
from wasmguard.state.sqlite_file import path_of

SETTINGS = {"store": "sqlite", "prefix": "wasmguard", "password_file": None, "entries": 100}


@pytest.fixture
def settings(own_home):
    return SETTINGS


@pytest.fixture
def store(settings):
    make(CONFIG, settings)
    store = opened(CONFIG, settings)
    yield store
    store.close()


@pytest.fixture
def outside(store):
    """Somebody else's connection to the file."""
    outside = sqlite3.connect(path_of(CONFIG), isolation_level=None, timeout=0)
    yield outside
    outside.close()


class TestPromises(Promises):
    """In a file."""


def test_time_is_that_of_the_recall(store, monkeypatch):
    now = time.time()
    remember(store, b"one", slot(expires=10))
    monkeypatch.setattr(sqlite, "time", lambda: now + 9.9)
    assert recall(store) == b"one"
    monkeypatch.setattr(sqlite, "time", lambda: now + 11)
    assert recall(store) is None
    monkeypatch.setattr(sqlite, "time", lambda: now)
    assert recall(store) == b"one"  # nobody wrote meanwhile, so it is still there


def test_what_has_expired_is_taken_away_when_something_new_comes(store, outside, monkeypatch):
    now = time.time()
    for key in "abc":
        remember(store, b"x", slot(key=key, expires=10))
    monkeypatch.setattr(sqlite, "time", lambda: now + sqlite.SWEEP + 11)
    remember(store, b"x", slot(key="d"))
    assert outside.execute("SELECT key FROM remembered").fetchall() == [("d",)]


def test_a_clock_that_was_set_back_stops_no_sweep(store, outside, monkeypatch):
    now = time.time()
    monkeypatch.setattr(sqlite, "time", lambda: now + 10**6)
    remember(store, b"x", slot(key="a", expires=1))
    monkeypatch.setattr(sqlite, "time", lambda: now)
    remember(store, b"x", slot(key="b", expires=1))
    assert outside.execute("SELECT at / 1000 FROM swept").fetchall() == [(int(now),)]


def test_an_expired_row_that_was_swept_meanwhile_is_a_lost_race(store, outside, monkeypatch):
    now = time.time()
    remember(store, b"x", slot(expires=1))
    monkeypatch.setattr(sqlite, "time", lambda: now + 5)
    with turn_of(store) as turn:
        assert turn.recall("budget") is None
        outside.execute("DELETE FROM remembered")
        assert turn.commit({"budget": b"y"}) is False


def test_readers_wait_for_nobody(store, outside):
    remember(store, b"one")
    outside.execute("BEGIN IMMEDIATE")
    assert recall(store) == b"one"
    outside.execute("ROLLBACK")


@pytest.mark.parametrize("alone", [False, True])
def test_who_is_kept_waiting_for_ever_is_told_so_in_the_end(store, outside, alone):
    remember(store, b"one")
    outside.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(StateError, match="somebody held it for 2 seconds"):
        remember(store, b"two", alone=alone)
    assert 1.5 < time.monotonic() - begun < 10
    outside.execute("ROLLBACK")
    assert remember(store, b"two", alone=alone)


@pytest.mark.parametrize(
    "change",
    [
        "state = x'00'",
        "version = version + 2",
        "until = until + 1",
        "crc = crc + 1",
        "crc = 'x'",
        "state = 'text'",
        "version = 'text', state = 1.5",
    ],
)
def test_a_row_that_somebody_changed_is_no_row_of_ours(store, outside, change):
    remember(store, b"one")
    outside.execute(f"UPDATE remembered SET {change}")
    with pytest.raises(StateError, match=r"what `budget` remembered in `.*` is damaged"):
        recall(store)


def test_a_row_that_was_moved_to_another_place_is_no_row_of_ours(store, outside):
    remember(store, b"one")
    remember(store, b"two", slot(key="s2"))
    (one, two) = [id for (id,) in outside.execute("SELECT id FROM remembered ORDER BY key")]
    outside.execute("DELETE FROM remembered WHERE id = ?", (one,))
    outside.execute("UPDATE remembered SET id = ? WHERE id = ?", (one, two))
    with pytest.raises(StateError, match="is damaged"):
        recall(store)
    with pytest.raises(StateError, match="is damaged"):
        recall(store, slot(key="s2"))


def test_a_row_that_is_too_large_is_refused(store, outside):
    remember(store, b"one")
    outside.execute("UPDATE remembered SET state = zeroblob(100_000_000)".replace("_", ""))
    with pytest.raises(StateError, match="too big"):
        recall(store)


def test_one_damaged_row_is_the_fault_of_its_policy_alone(store, outside):
    remember(store, b"one", slot("a"))
    remember(store, b"one", slot("b"))
    outside.execute("UPDATE remembered SET crc = 0 WHERE policy = 'a'")
    for alone in (False, True):
        with turn_of(store, slot("a"), slot("b"), alone=alone) as turn:
            with pytest.raises(StateError, match=r"^what `a` remembered"):
                turn.recall("a")
            assert turn.recall("b") == b"one"
            assert turn.commit({"b": b"one"})


def test_a_disk_without_room_is_an_error_and_leaves_what_was(store):
    """A limit on the size of files is what a full disk looks like to SQLite."""
    names, old = "abcdef", bytes(60_000)
    for key in names:
        remember(store, old, slot(key=key))

    def crowded():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        told = {}
        for key in names:
            try:
                told[key] = remember(store, b"x" * 60_000, slot(key=key))
            except StateError as error:
                told[key] = str(error)
        return told, [recall(store, slot(key=key)) for key in names]

    told, then = forked(crowded)
    assert any("cannot be used" in str(said) for said in told.values())
    expected = [b"x" * 60_000 if told[key] is True else old for key in names]
    assert then == expected
    assert [recall(store, slot(key=key)) for key in names] == expected
    assert remember(store, b"again")


KILLS = 100


class Counter:
    """A child that counts at a place of its own and tells every commit, until it is killed."""

    def __init__(self, store, key):
        self.here, there = FORK.Pipe(duplex=False)
        self.child = FORK.Process(target=self.counting, args=(store, slot(key=key), there))
        self.child.start()
        assert self.here.poll(60), "it says nothing"

    @staticmethod
    def counting(store, place, there):
        while True:
            before = int.from_bytes(recall(store, place) or b"", "big")
            if remember(store, (before + 1).to_bytes(8, "big"), place):
                there.send(before + 1)

    def killed(self):
        """The first and the last number that it told."""
        self.child.kill()
        self.child.join(60)
        first = last = self.here.recv()
        try:
            while True:
                last = self.here.recv()
        except (EOFError, OSError):  # at the end, or in the middle of a word
            return first, last


def test_writers_that_are_killed_lose_no_update_that_they_told_of(store):
    """Two at a time, so that some die alone and some while another one writes."""
    dice, told = random.Random(5), {"a": 0, "b": 0}
    counters = {key: Counter(store, key) for key in told}
    for number in range(KILLS):
        key = "ab"[number % 2]
        time.sleep(dice.random() * 0.01)
        first, last = counters[key].killed()
        assert first in (told[key] + 1, told[key] + 2)  # one before it may have been killed before it could tell
        told[key] = last
        counters[key] = Counter(store, key)
    for key, counter in counters.items():
        _, told[key] = counter.killed()
        assert int.from_bytes(recall(store, slot(key=key)), "big") in (told[key], told[key] + 1)
    assert sum(told.values()) > 2 * KILLS


def test_a_turn_alone_whose_process_is_killed_keeps_nobody_out(store):
    here, there = FORK.Pipe(duplex=False)

    def stays():
        store.turn([slot()], alone=True).recall("budget")
        there.send("in")
        time.sleep(60)

    child = FORK.Process(target=stays)
    child.start()
    assert here.poll(60)
    child.kill()
    child.join(60)
    assert remember(store, b"one", alone=True)


COUNTING = """
from tests.state.turns import CONFIG, count_and_leave
from wasmguard.state import opened
count_and_leave(opened(CONFIG, {"store": "sqlite"}), 200)
"""


def test_processes_that_were_started_lose_no_update(store):
    children = [subprocess.Popen([sys.executable, "-c", COUNTING]) for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    assert sum_of(store) == 800


def test_what_somebody_brings_from_the_log_into_the_file_is_read_anew(store, outside):
    for number in range(5):
        remember(store, b"%d" % number)
        assert outside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0] == 0
        assert recall(store) == b"%d" % number
