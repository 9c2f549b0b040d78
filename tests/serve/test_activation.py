"""What systemd gives is held against the same rules, and what it wants to hear is said."""

import os
import socket
import subprocess
import sys

import pytest

from tests.serve.host import ROOT
from wasmguard.serve import activation

PROGRAM = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
count, *sources = map(int, sys.argv[1:])
high = [os.dup2(source, 50 + place) for place, source in enumerate(sources)]
for place, source in enumerate(high):
    os.dup2(source, 3 + place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES="x")
from wasmguard.errors import WasmguardError
from wasmguard.serve.activation import given
try:
    print(*(made and (made.getsockname() if made.family == 1 else made.getsockname()[0]) for made in given()))
except WasmguardError as error:
    print("error:", error)
print(*(name for name in os.environ if name.startswith("LISTEN_")))
"""


def given(*descriptors, count=None):
    """What a process makes of the *descriptors* that it was given."""
    command = [sys.executable, "-I", "-c", PROGRAM, str(len(descriptors) if count is None else count)]
    done = subprocess.run(
        [*command, *map(str, descriptors)],
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    said, left = done.stdout.splitlines()
    assert left == ""
    return said


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = tmp_path / "run"
    made.mkdir(0o700)
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def unix(folder):
    """A socket that listens, as a socket unit makes it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        os.chmod(folder / "s", 0o600)
        listener.listen()
        yield listener


@pytest.fixture
def inet():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_both_kinds_are_taken_in_any_order(unix, inet, folder):
    expected = f"{folder / 's'} 127.0.0.1"
    assert given(unix.fileno(), inet.fileno()) == expected
    assert given(inet.fileno(), unix.fileno()) == expected
    assert given(unix.fileno()) == f"{folder / 's'} None"


def test_what_is_meant_for_another_process_is_not_taken():
    environ = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "HOME": "/"}
    assert activation.given(environ) == (None, None)
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize("count", ["", "x", "-1", "²"])
def test_a_number_that_is_none_gives_nothing(count):
    assert activation.given({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}) == (None, None)


def test_a_socket_that_is_open_to_others_is_refused(unix, folder):
    os.chmod(folder / "s", 0o660)
    assert "set `SocketMode=0600`" in given(unix.fileno())


def test_a_socket_in_a_folder_that_is_open_to_others_is_refused(unix, folder):
    os.chmod(folder, 0o755)
    assert "open to others" in given(unix.fileno())


def test_an_address_that_others_can_reach_is_refused():
    with socket.create_server(("0.0.0.0", 0)) as listener:
        assert "not this machine alone" in given(listener.fileno())


def test_a_socket_without_a_path_is_refused():
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(b"\0wasmguard-test-%d" % os.getpid())
        listener.listen()
        assert "has no path" in given(listener.fileno())


def test_what_does_not_listen_is_refused(folder):
    with socket.socket(socket.AF_UNIX) as deaf, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        deaf.bind(str(folder / "deaf"))
        assert "does not listen" in given(deaf.fileno())
        assert "descriptor 3 from systemd" in given(other.fileno())


def test_what_is_no_socket_is_refused(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        assert "is no socket" in given(file.fileno())


def test_two_of_a_kind_or_too_many_are_refused(unix):
    assert "two sockets of one kind" in given(unix.fileno(), unix.fileno())
    assert "at most two" in given(unix.fileno(), count=1_000)


@pytest.mark.parametrize("abstract", [True, False])
def test_the_service_manager_is_told(folder, abstract):
    name = f"wasmguard-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}" if abstract else str(folder / "n"))
        manager.settimeout(10)
        activation.notify("READY=1", f"@{name}" if abstract else str(folder / "n"))
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("path", [None, "", "relative", "/nobody/is/here", "@nobody"])
def test_a_service_manager_that_is_not_there_is_no_error(path):
    activation.notify("READY=1", path)
