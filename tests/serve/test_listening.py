"""Where a daemon listens: under its name when it is ready, on this machine, behind its lock."""

import os
import socket
import stat

import pytest

from wasmguard.errors import CacheError, HostError, UsageError
from wasmguard.link import LONGEST_PATH
from wasmguard.serve import listening
from wasmguard.serve.start import locked


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A socket's path that is short enough, in a folder that is ours alone."""
    folder = tmp_path / "run"
    folder.mkdir(0o700)
    monkeypatch.chdir(folder)  # so that tests can connect to `s`, however long the folder's name is
    return str(folder / "s")


@pytest.fixture
def door(path):
    lock = listening.claimed(path)
    made = listening.Door(path, lock)
    yield made
    made.close()
    os.close(lock)


def connects(name):
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(name)
        except OSError:
            return False
        return True


# --- the lock -------------------------------------------------------------------------------------------------------
def test_one_lock_for_one_socket(path):
    lock = listening.claimed(path)
    assert listening.claimed(path) is None
    os.close(lock)
    again = listening.claimed(path)
    assert again is not None
    os.close(again)


def test_a_lock_that_was_handed_over_counts(path):
    lock = locked(path)
    handed = os.dup(lock)
    os.close(lock)
    assert listening.claimed(path, handed) == handed
    assert not os.get_inheritable(handed)
    assert listening.claimed(path) is None
    os.close(handed)


def test_a_descriptor_of_the_lock_that_does_not_hold_it_is_no_lock(path):
    lock = locked(path)
    other = os.open(f"{path}.lock", os.O_RDWR)
    assert listening.claimed(path, other) is None
    os.close(lock)
    os.close(other)


@pytest.mark.parametrize("number", [0, 999])
def test_another_descriptor_is_no_lock(path, number):
    with pytest.raises(UsageError, match="is not the lock"):
        listening.claimed(path, number)


def test_a_folder_that_is_open_to_others_is_refused(path):
    os.chmod(os.path.dirname(path), 0o770)
    with pytest.raises(CacheError, match="open to others"):
        listening.claimed(path)


def test_the_folder_is_made(tmp_path):
    path = str(tmp_path / "new/run/s")
    lock = listening.claimed(path)
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    os.close(lock)


def test_a_lock_that_is_a_link_is_refused(path, tmp_path):
    os.symlink(tmp_path / "target", f"{path}.lock")
    with pytest.raises(HostError, match="cannot be used"):
        listening.claimed(path)


@pytest.mark.parametrize(("path", "why"), [("s", "not absolute"), ("/" + "x" * (LONGEST_PATH - 1), "is longer than")])
def test_a_path_that_can_be_no_sockets_is_refused(path, why):
    with pytest.raises(UsageError, match=why):
        listening.claimed(path)


# --- the Unix socket ------------------------------------------------------------------------------------------------
def test_it_has_no_name_before_it_is_opened(path, door):
    assert not os.path.lexists(path)
    assert not door.lost()
    door.open()
    assert connects("s")
    assert not connects("s~")
    assert not door.lost()


def test_it_is_closed_to_others(path, door):
    door.open()
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600


@pytest.mark.parametrize("name", ["s", "s~"])
def test_what_a_dead_daemon_left_is_replaced(path, name):
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(name)
    lock = listening.claimed(path)
    door = listening.Door(path, lock)
    door.open()
    assert connects("s")
    door.close()
    os.close(lock)


def test_closing_takes_its_names_away(path, door):
    door.close()
    assert os.listdir(os.path.dirname(path)) == ["s.lock"]


def test_closing_an_open_one_takes_its_name_away_too(path, door):
    door.open()
    door.close()
    assert os.listdir(os.path.dirname(path)) == ["s.lock"]


def test_closing_leaves_a_name_that_is_somebody_elses(path, door):
    door.open()
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("s")
        assert door.lost()
        door.close()
        assert os.path.lexists(path)


@pytest.mark.parametrize("name", ["s", "s.lock"])
def test_it_is_lost_with_its_name_or_its_lock(path, door, name):
    door.open()
    os.unlink(name)
    assert door.lost()


def test_a_socket_that_was_given_keeps_its_name(path):
    with socket.socket(socket.AF_UNIX) as given:
        given.bind("s")
        given.listen()
        lock = listening.claimed(path)
        door = listening.Door(path, lock, given)
        door.open()
        assert door.listener is given
        assert not door.lost()
        door.close()
        assert os.path.lexists(path)
        os.close(lock)


def test_a_folder_in_the_sockets_place_is_an_error(path):
    lock = listening.claimed(path)
    os.mkdir(f"{path}~")
    with pytest.raises(HostError, match="cannot listen"):
        listening.Door(path, lock)
    os.close(lock)


# --- HTTP -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("127.9.9.9:0", ("127.9.9.9", 0)),
        ("localhost:8787", ("127.0.0.1", 8787)),
        ("[::1]:8787", ("::1", 8787)),
        ("::1:8787", ("::1", 8787)),
    ],
)
def test_an_address_of_this_machine_is_taken(text, address):
    assert listening.address(text) == address


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", "::ffff:127.0.0.1", "127.1", "", "::2"],
)
def test_no_other_address_is_taken(host):
    with pytest.raises(UsageError, match="not this machine alone"):
        listening.address(f"{host}:80")
    with pytest.raises(UsageError, match="not this machine alone"):
        listening.http((host, 0))


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:x", "80", "127.0.0.1:١"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match="is no address"):
        listening.address(text)


def test_port_0_takes_one_that_is_free():
    with listening.http(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        assert port > 0
        socket.create_connection((host, port), timeout=5).close()
        with pytest.raises(HostError, match="cannot listen at"):
            listening.http((host, port))


def test_addresses_are_told_as_urls_have_them():
    assert listening.told("127.0.0.1", 80) == "127.0.0.1:80"
    assert listening.told("::1", 80) == "[::1]:80"
