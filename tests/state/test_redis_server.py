"""The server: its address, its password, and all the ways in which it can be of no use."""

import os
import socket
import subprocess
import threading
import time

import pytest

from tests.state.server import RedisServer, needed
from tests.state.turns import CONFIG, recall, remember, slot, turn_of
from wasmguard.errors import StateError
from wasmguard.state import exists, make, opened

pytestmark = pytest.mark.e2e

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def installed():
    needed()


@pytest.fixture
def started(tmp_path):
    """Starts servers, and stops them in the end."""
    servers = []

    def start(**options):
        servers.append(RedisServer(tmp_path, **options))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


def settings_of(store, password_file=None):
    return {"store": store, "prefix": "test", "password_file": password_file, "entries": 100}


def ready(store, password_file=None):
    """An opened store whose server has everything it needs."""
    settings = settings_of(store, password_file and str(password_file))
    make(CONFIG, settings)
    return opened(CONFIG, settings)


def unusable(settings, match):
    """Nothing works, and every way of trying ends soon. What was said, all of it."""
    said, begun = [], time.monotonic()
    for act in (
        lambda: make(CONFIG, settings),
        lambda: exists(CONFIG, settings),
        lambda: recall(opened(CONFIG, settings)),
        lambda: remember(opened(CONFIG, settings), b"x", alone=True),
    ):
        with pytest.raises(StateError, match=match) as caught:
            act()
        said.append(str(caught.value))
        assert "\n" not in said[-1]
    assert time.monotonic() - begun < 30
    return said


@pytest.mark.parametrize(
    "address",
    [
        "redis://",
        "redis:///0",
        "redis://host/x",
        "redis://host/0/1",
        "redis://host:port/0",
        "redis://host:99999/0",
        "redis://host/0?ssl_cert_reqs=none",
        "redis://host/0#x",
        "redis://user:secret@host/0",
        "redis://[::1/0",
    ],
)
def test_what_is_no_address_is_an_error_that_does_not_repeat_it(address):
    for said in unusable(settings_of(address), "is no address of a Redis server"):
        assert "secret" not in said


def test_nobody_there_is_an_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"redis://127.0.0.1:{free.getsockname()[1]}"
        unusable(settings_of(address), f"`{address}` cannot be used")


ODD = [b"", b"HTTP/1.1 200 OK\r\n\r\n", b":x\r\n", b"$-5\r\n", b"*1\r\n:1\r\n", b"+OK\r\n"]


@pytest.mark.parametrize("answer", ODD)
def test_something_else_that_answers_is_an_error(answer):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answering():
            while True:
                try:
                    there, _ = listening.accept()
                    with there:
                        there.recv(4096)
                        for _ in range(10):
                            there.sendall(answer)
                except OSError:
                    if listening.fileno() < 0:
                        return

        thread = threading.Thread(target=answering, daemon=True)
        thread.start()
        unusable(settings_of(f"redis://127.0.0.1:{listening.getsockname()[1]}"), "`redis://127.0.0.1")
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_a_server_that_never_answers_is_an_error_in_bounded_time():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        unusable(settings_of(f"redis://127.0.0.1:{listening.getsockname()[1]}"), "does not answer within 2 seconds")


def test_a_server_that_stops_answering_in_the_middle_of_a_turn_is_an_error(started):
    server = started()
    store = ready(server.address)
    with turn_of(store) as turn:
        turn.recall("budget")
        server.pause()
        begun = time.monotonic()
        with pytest.raises(StateError, match="does not answer within 2 seconds"):
            turn.commit({"budget": b"x"})
        with pytest.raises(StateError, match="does not answer within 2 seconds"):
            recall(store)
        assert time.monotonic() - begun < 15
    server.pause(on=False)
    assert recall(store) in (None, b"x")  # what was asked may have been done
    store.close()


def test_a_server_that_was_started_anew_and_kept_nothing_is_an_error(started):
    server = started()
    store = ready(server.address)
    remember(store, b"x")
    server.stop()
    with pytest.raises(StateError, match="cannot be used"):
        recall(store)
    server.start()
    with pytest.raises(StateError, match="lost what it kept"):
        recall(store)
    store.close()


def test_a_server_that_was_started_anew_and_kept_everything_is_asked_again(started):
    server = started(appendonly="yes", appendfsync="always")
    store = ready(server.address)
    remember(store, b"x")
    server.stop()
    server.start()
    assert recall(store) == b"x"
    assert remember(store, b"y")
    store.close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"])
def test_a_server_that_may_throw_keys_away_is_refused(started, policy):
    server = started(maxmemory="100mb", maxmemory_policy=policy)
    unusable(settings_of(server.address), f"may throw state away .`maxmemory-policy` is `{policy}`")


def test_a_server_that_throws_nothing_away_is_good_enough(started):
    ready(started(maxmemory="100mb", maxmemory_policy="noeviction").address).close()
    ready(started(maxmemory="0", maxmemory_policy="allkeys-lru").address).close()


def test_a_server_that_throws_away_what_we_remember_after_all_is_noticed(started):
    """Its owner changed the policy while we were connected."""
    server = started()
    store = ready(server.address)
    with server.client() as client:
        for number in range(50):
            assert remember(store, os.urandom(60_000), slot(key=str(number)))
        client.config_set("maxmemory-policy", "volatile-random")
        client.config_set("maxmemory", "3mb")
        assert client.info("stats")["evicted_keys"] > 0
        client.config_set("maxmemory", "0")
    found = [told(lambda key=str(number): len(recall(store, slot(key=key)))) for number in range(50)]
    assert {said if said == 60_000 else "is gone" in said for said in found} == {60_000, True}
    store.close()


def told(act):
    """What *act* returns, or the error that it raises."""
    try:
        return act()
    except StateError as error:
        return str(error)


def test_a_server_that_is_full_writes_nothing_or_everything(started):
    server = started(maxmemory="4mb", maxmemory_policy="noeviction")
    store = ready(server.address)
    said = [told(lambda key=str(number): remember(store, os.urandom(60_000), slot(key=key))) for number in range(90)]
    written = said.index(next(one for one in said if one is not True))
    assert 0 < written < 90
    assert all("maxmemory" in one for one in said[written:])
    assert [recall(store, slot(key=str(number))) is not None for number in range(90)] == [one is True for one in said]
    store.close()


def test_a_copy_that_takes_no_writes_is_an_error(started):
    primary = started()
    copy = started(replicaof=("127.0.0.1", str(primary.port)))
    store = ready(primary.address)
    reading = opened(CONFIG, settings_of(copy.address))
    until = time.monotonic() + 20
    while not exists(CONFIG, settings_of(copy.address)):
        assert time.monotonic() < until
        time.sleep(0.05)
    with pytest.raises(StateError, match="read only replica"):
        remember(reading, b"x")
    store.close()
    reading.close()


def secret_in(path, text=SECRET, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("text", [SECRET, SECRET + "\n", f":{SECRET}", f"default:{SECRET}\n"])
def test_a_password_is_read_from_its_file(started, tmp_path, text):
    server = started(requirepass=SECRET)
    store = ready(server.address, secret_in(tmp_path / "secret", text))
    assert remember(store, b"x")
    store.close()


def test_a_user_of_the_servers_own_is_let_in_with_what_a_store_needs(started, tmp_path):
    server = started()
    with server.client() as client:
        client.acl_setuser(
            "guard",
            enabled=True,
            passwords=[f"+{SECRET}"],
            keys=["test:*"],
            commands=["+" + name for name in NEEDED],
        )
    store = ready(server.address, secret_in(tmp_path / "secret", f"guard:{SECRET}"))
    assert remember(store, b"x")
    assert remember(store, b"y", alone=True)
    assert recall(store) == b"y"
    assert remember(store, b"")
    store.close()


NEEDED = ["info", "get", "set", "exists", "eval", "evalsha", "time", "strlen", "getrange", "del", "pexpireat"]
NEEDED += ["zscore", "zcount", "zadd", "zrem", "zremrangebyscore"]


@pytest.mark.parametrize("text", ["wrong", "nobody:" + SECRET])
def test_a_wrong_password_is_an_error_that_does_not_tell_it(started, tmp_path, text):
    server = started(requirepass=SECRET)
    settings = settings_of(server.address, str(secret_in(tmp_path / "secret", text)))
    for said in unusable(settings, "see `state.password_file`"):
        assert text not in said
        assert SECRET not in said


def test_a_database_that_is_not_there_is_no_matter_of_the_password_alone(started, tmp_path):
    server = started(requirepass=SECRET)
    store = server.address.removesuffix("/0") + "/99"
    for said in unusable(settings_of(store, str(secret_in(tmp_path / "secret", SECRET))), "refuses our first commands"):
        assert "see its log, the database number and `state.password_file`" in said
        assert SECRET not in said


def test_a_servers_full_stop_is_not_doubled(started):
    for said in unusable(settings_of(started(requirepass=SECRET).address), "refuses us"):
        assert ".:" not in said


def test_a_missing_password_is_an_error(started):
    unusable(settings_of(started(requirepass=SECRET).address), "see `state.password_file`")


@pytest.mark.parametrize("text", ["", "\n", "two\nlines", "x" * 5000, "\0", "tab\there"])
def test_a_password_file_that_holds_no_password_is_an_error(tmp_path, text):
    settings = settings_of("redis://127.0.0.1:1", str(secret_in(tmp_path / "secret", text)))
    unusable(settings, "holds no password: write it on one line")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_password_that_others_can_read_is_an_error(tmp_path, mode):
    settings = settings_of("redis://127.0.0.1:1", str(secret_in(tmp_path / "secret", mode=mode)))
    unusable(settings, "must be a file of yours alone: `chmod 600` it")


@pytest.mark.parametrize("kind", ["missing", "link", "folder", "pipe"])
def test_what_is_no_password_file_is_an_error_and_nobody_waits_for_it(tmp_path, kind):
    path = tmp_path / "here"
    if kind == "link":
        path.symlink_to(secret_in(tmp_path / "secret"))
    elif kind == "folder":
        path.mkdir(0o700)
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    unusable(settings_of("redis://127.0.0.1:1", str(path)), f"`{path}` (cannot be read|must be a file of yours)")


@pytest.fixture
def certified(tmp_path, started):
    """A server that speaks TLS, and the authority that vouches for it as `localhost`."""
    run = lambda *words: subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True, timeout=60)  # noqa: E731
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = RedisServer(
        tmp_path,
        port=0,
        tls_port=port,
        tls_cert_file=tmp_path / "cert.pem",
        tls_key_file=tmp_path / "key.pem",
        tls_ca_cert_file=tmp_path / "cert.pem",
        tls_auth_clients="no",
    )
    server.port = 0
    server.start()
    yield port, tmp_path / "cert.pem"
    server.stop()


def test_tls_takes_only_a_certificate_that_is_trusted_for_that_host(certified, monkeypatch):
    port, authority = certified
    unusable(settings_of(f"rediss://localhost:{port}"), "certificate verify failed")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))  # what the system trusts
    unusable(settings_of(f"rediss://127.0.0.1:{port}"), "certificate verify failed")
    store = ready(f"rediss://localhost:{port}")
    assert remember(store, b"x")
    assert recall(store) == b"x"
    store.close()
