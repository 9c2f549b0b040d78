"""Connections: one user at a time, none carried into another process."""

import os
import threading
import time

import pytest

from tests.state.turns import CONFIG, FORK, count, forked, recall, remember, slot, sum_of, turn_of
from wasmguard.errors import StateError
from wasmguard.state import make, opened, sqlite_pool
from wasmguard.state.sqlite_file import File, path_of
from wasmguard.state.sqlite_pool import IDLE, Pool

SETTINGS = {"store": "sqlite"}


@pytest.fixture
def path(own_home):
    make(CONFIG, SETTINGS)
    return path_of(CONFIG)


@pytest.fixture
def pool(path):
    pool = Pool(File(path))
    yield pool
    pool.close()


@pytest.fixture
def store(path):
    store = opened(CONFIG, SETTINGS)
    yield store
    store.close()


def open_files(path):
    """How many descriptors of the file this process has."""
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sum(os.path.lexists(link) and os.readlink(link) == path for link in links)


def test_two_users_at_a_time_have_two_connections_and_the_next_one_gets_one_of_them(pool):
    one, two = pool.take(), pool.take()
    assert one is not two
    pool.give(one)
    assert pool.take() is one
    pool.give(one), pool.give(two)


def test_a_connection_that_is_not_usable_is_closed(pool, path):
    pool.give(pool.take(), usable=False)
    assert open_files(path) == 0


def test_not_more_stay_open_than_a_few(pool, path):
    taken = [pool.take() for _ in range(IDLE + 3)]
    for connection in taken:
        pool.give(connection)
    again = [pool.take() for _ in range(IDLE + 1)]
    assert len(set(taken) & set(again)) == IDLE
    for connection in again:
        pool.give(connection)
    pool.close()
    assert open_files(path) == 0


def test_a_pool_that_was_closed_closes_what_comes_back(pool, path):
    connection = pool.take()
    pool.close()
    pool.give(connection)
    assert open_files(path) == 0
    with pytest.raises(StateError, match="closed"):
        pool.take()


def test_whatever_was_wrong_with_a_file_is_not_lent_out(pool, path):
    pool.give(pool.take())
    os.chmod(path, 0o644)
    for _ in range(3):
        with pytest.raises(StateError, match="mode"):
            pool.take()
    assert open_files(path) == 0
    os.chmod(path, 0o600)
    pool.give(pool.take())


def test_nothing_is_open_when_a_process_is_forked(store, path):
    remember(store, b"x")
    assert open_files(path) == 1
    assert forked(lambda: open_files(path)) == 0
    assert recall(store) == b"x"
    assert forked(lambda: (recall(store), remember(store, b"y"))) == (b"x", True)
    assert recall(store) == b"y"


def test_a_fork_waits_for_those_who_are_in_the_middle_of_something(store):
    def slow():
        with turn_of(store, alone=True) as turn:
            turn.recall("budget")
            began.set()
            time.sleep(0.3)
            turn.commit({"budget": b"done"})

    began = threading.Event()
    thread = threading.Thread(target=slow)
    thread.start()
    assert began.wait(10)
    assert forked(lambda: recall(store)) == b"done"
    thread.join(10)


def failure(act):
    try:
        return act()
    except StateError as error:
        return str(error)


def test_a_child_of_somebody_in_the_middle_of_a_turn_can_use_no_state_and_does_no_harm(store, path):
    other = opened(CONFIG, SETTINGS)
    with turn_of(store, alone=True) as turn:
        turn.recall("budget")

        def child():
            told = [failure(lambda: turn.recall("another")), failure(lambda: turn.commit({"budget": b"child"}))]
            turn.end()
            return [*told, failure(lambda: recall(store)), failure(lambda: recall(other))]

        told = forked(child)
        assert turn.commit({"budget": b"parent"}) is True
    assert all("fork" in word for word in told[1:]), told
    assert recall(store) == b"parent"
    other.close()


def test_a_child_of_a_fork_that_waited_in_vain_can_use_no_state(store, monkeypatch):
    monkeypatch.setattr(sqlite_pool, "WAIT", 0.1)
    leave, began = threading.Event(), threading.Event()

    def holds():
        with turn_of(store, alone=True) as turn:
            turn.recall("budget")
            began.set()
            leave.wait(30)

    thread = threading.Thread(target=holds)
    thread.start()
    assert began.wait(10)
    try:
        assert "forked" in forked(lambda: failure(lambda: recall(store)))
    finally:
        leave.set()
        thread.join(10)
    assert remember(store, b"x")


def test_a_child_of_a_fork_that_nobody_was_told_of_can_use_no_state(store, pool, monkeypatch):
    pool.give(pool.take())
    real = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: real + 1)
    with pytest.raises(StateError, match="forked"):
        pool.take()


def test_a_signal_that_forks_while_a_connection_is_taken_does_not_wait_for_itself(pool, monkeypatch):
    monkeypatch.setattr(sqlite_pool, "WAIT", 0.1)
    with pool._lock:
        assert "forked" in forked(lambda: failure(pool.take))


def test_threads_that_count_while_their_process_forks_again_and_again_lose_no_update(store):
    stop = threading.Event()
    counted = []

    def counting():
        times = 0
        while not stop.is_set():
            count(store, 1)
            times += 1
        counted.append(times)

    threads = [threading.Thread(target=counting) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = []
    try:
        for _ in range(20):
            children.append(FORK.Process(target=count, args=(store, 5)))
            children[-1].start()
            time.sleep(0.01)
    finally:
        stop.set()
        for process in (*threads, *children):
            process.join(60)
    assert [child.exitcode for child in children] == [0] * 20
    assert sum_of(store) == sum(counted) + 100


def test_a_turn_of_one_thread_may_end_in_another(store):
    turn = store.turn([slot()], alone=True)
    turn.recall("budget")
    thread = threading.Thread(target=lambda: (turn.commit({"budget": b"x"}), turn.end()))
    thread.start()
    thread.join(10)
    assert recall(store) == b"x"
    assert forked(lambda: recall(store)) == b"x"
