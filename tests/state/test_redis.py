"""The store on a Redis server: the promises of every store, kept by a real one."""

import threading
import time

import pytest

from tests.state.promises import Promises
from tests.state.server import RedisServer, needed
from tests.state.turns import CONFIG, FORK, count, forked, recall, remember, slot, sum_of, turn_of
from wasmguard.errors import StateError
from wasmguard.limits import STATE
from wasmguard.state import exists, make, opened

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    needed()
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def client(server):
    client = server.client()
    yield client
    client.flushall()
    client.close()


@pytest.fixture
def settings(server, client):
    client.flushall()
    return {"store": server.address, "prefix": "test", "password_file": None, "entries": 100}


@pytest.fixture
def store(settings):
    make(CONFIG, settings)
    store = opened(CONFIG, settings)
    yield store
    store.close()


class TestPromises(Promises):
    """On a server."""


def test_a_server_that_lost_everything_is_an_error_and_not_an_empty_state(store, client, settings):
    remember(store, b"x")
    client.flushall()
    for _ in range(2):
        with pytest.raises(StateError, match="lost what it kept under `test`"):
            recall(store)
        with pytest.raises(StateError, match="lost what it kept"):
            remember(store, b"y", alone=True)
    assert client.keys() == []
    assert exists(CONFIG, settings) is False


def test_a_server_that_loses_everything_in_the_middle_of_a_turn_keeps_nothing_new(store, client):
    with turn_of(store) as turn:
        turn.recall("budget")
        client.flushall()
        with pytest.raises(StateError, match="lost what it kept"):
            turn.commit({"budget": b"x"})
    assert client.keys() == []


@pytest.mark.parametrize("which", ["test:state:budget:session:s1", "test:index:budget"])
def test_a_key_that_is_gone_before_its_time_is_an_error(store, client, which):
    remember(store, b"x")
    assert client.delete(which) == 1
    with pytest.raises(StateError, match=r"^`budget` remembers something that is gone"):
        recall(store)
    with turn_of(store, slot(), slot("another")) as turn:
        assert turn.recall("another") is None
        assert turn.commit({"another": b"x"})
        with pytest.raises(StateError, match="something that is gone"):
            turn.commit({"budget": b"x"})


def test_a_value_that_is_too_large_is_refused_and_not_even_sent(store, client):
    remember(store, b"x")
    client.set("test:state:budget:session:s1", bytes(8 + STATE + 1))
    with pytest.raises(StateError, match="65545 bytes"):
        recall(store)


@pytest.mark.parametrize("which", ["test:store", "test:state:budget:session:s1", "test:index:budget"])
def test_keys_of_somebody_else_are_an_error(store, client, which):
    client.delete(which)
    client.hset(which, "a", "b")
    with pytest.raises(StateError, match="wrong kind of value"):
        remember(store, b"x")


def test_a_mark_of_another_format_is_an_error_and_not_written_over(settings, client):
    client.set("test:store", "wasmguard state 99")
    with pytest.raises(StateError, match=r"is not what wasmguard made: choose another `state\.prefix`"):
        make(CONFIG, settings)
    with pytest.raises(StateError, match="lost what it kept"):
        recall(opened(CONFIG, settings))
    assert client.get("test:store") == b"wasmguard state 99"


def test_configurations_share_what_has_the_same_prefix_and_nothing_else(store, settings):
    remember(store, b"x")
    same, other = opened("/another/machine.toml", settings), {**settings, "prefix": "test:state"}
    assert recall(same) == b"x"
    make(CONFIG, other)
    elsewhere = opened(CONFIG, other)
    assert recall(elsewhere) is None
    for one in (same, elsewhere):
        one.close()


def test_everything_that_is_remembered_expires_by_itself(store, client):
    remember(store, b"x", slot(expires=5))
    remember(store, b"y", slot(key="s2", expires=5), alone=True)
    lasting = {key for key in client.scan_iter() if client.ttl(key) < 0}
    assert lasting == {b"test:store", b"test:index:budget"}
    assert 0 < client.pttl("test:state:budget:session:s1") <= 5000


def test_what_has_expired_leaves_the_index_when_something_new_comes(store, client):
    remember(store, b"x", slot(expires=1))
    time.sleep(1.1)
    remember(store, b"y", slot(key="s2"))
    assert client.zrange("test:index:budget", 0, -1) == [b"session:s2"]


def test_forgetting_leaves_no_key(store, client):
    remember(store, b"x")
    remember(store, b"", alone=True)
    assert client.keys() == [b"test:store"]


def test_a_turn_alone_whose_process_is_killed_keeps_the_others_out_for_a_moment_only(store):
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
    assert remember(store, b"one") is False
    assert remember(store, b"one", alone=True) is True
    assert remember(store, b"two") is True


def test_a_turn_alone_that_took_too_long_is_alone_no_more_but_overwrites_nobody(store, client):
    with turn_of(store, alone=True) as turn:
        turn.recall("budget")
        assert client.delete("test:lock:budget:session:s1") == 1  # as if it had lapsed
        assert remember(store, b"theirs")
        assert turn.commit({"budget": b"mine"}) is False
    assert recall(store) == b"theirs"


def test_a_turn_that_ends_takes_no_lock_of_somebody_else_away(store, client):
    with turn_of(store, alone=True) as turn:
        turn.recall("budget")
        client.set("test:lock:budget:session:s1", "another's")
    assert client.get("test:lock:budget:session:s1") == b"another's"


def test_a_lock_that_somebody_keeps_for_ever_is_an_error_in_the_end(store, client):
    client.set("test:lock:budget:session:s1", "another's")
    begun = time.monotonic()
    with pytest.raises(StateError, match="keeps its lock for somebody else"):
        remember(store, b"x", alone=True)
    assert time.monotonic() - begun < 15
    assert remember(store, b"x") is False


def test_turns_alone_about_other_things_do_not_wait(store):
    with turn_of(store, slot("a"), alone=True) as turn:
        turn.recall("a")
        assert remember(store, b"x", slot("b"), alone=True)
        assert turn.commit({"a": b"x"})


def test_scripts_that_the_server_forgot_are_sent_again(store, client):
    remember(store, b"x")
    client.script_flush()
    assert recall(store) == b"x"
    client.script_flush()
    assert remember(store, b"y", alone=True)


def test_a_writer_that_is_killed_loses_no_update_that_it_told_of(store):
    told = 0
    for number in range(20):
        here, there = FORK.Pipe(duplex=False)

        def counting(there=there):
            while True:
                count(store, 1)
                there.send(sum_of(store))

        child = FORK.Process(target=counting)
        child.start()
        there.close()
        assert here.poll(60)
        time.sleep(number / 2000)
        child.kill()
        child.join(60)
        try:
            while True:
                told = here.recv()
        except (EOFError, OSError):
            pass
        assert sum_of(store) in (told, told + 1)


def test_a_forked_child_has_connections_of_its_own(store):
    remember(store, b"x")
    with turn_of(store, alone=True) as turn:
        turn.recall("budget")
        assert forked(lambda: (recall(store), remember(store, b"y"))) == (b"x", False)
        assert turn.commit({"budget": b"z"})
    assert recall(store) == b"z"


def test_threads_that_count_while_their_process_forks_lose_no_update(store):
    threads = [threading.Thread(target=count, args=(store, 100)) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = [FORK.Process(target=count, args=(store, 20)) for _ in range(5)]
    for child in children:
        child.start()
    for process in (*threads, *children):
        process.join(60)
    assert sum_of(store) == 400
