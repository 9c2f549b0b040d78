"""What answers at once."""

import http.client
import os
import subprocess
import sys
import textwrap
from time import monotonic, sleep

import pytest

from tests.workshop.bench.processes import knows_children
from wasmguard import link
from wasmguard.workshop.bench import echo


def test_a_frame_is_as_long_as_it_says():
    asked = link.question(link.EVENT, b"x" * 1000)
    assert echo.framed(asked[:23]) == 0
    assert echo.framed(asked[:24]) == echo.framed(asked) == len(asked)


@pytest.mark.parametrize("head", ["Content-Length: 5", "X: y\r\ncontent-length: 5\r\nZ: z"])
def test_a_request_is_as_long_as_it_says(head):
    asked = f"POST / HTTP/1.1\r\n{head}\r\n\r\n12345".encode()
    assert echo.posted(asked[:-6]) == 0
    assert echo.posted(asked[:-5]) == echo.posted(asked) == len(asked)


def test_frames_are_answered_each_over_its_own_connection(tmp_path):
    with echo.unix(str(tmp_path)) as path:
        for event in (b"", b"{}", b"x" * 5_000_000):
            payload = link.with_context({}, event, path)
            assert link.ask(path, link.EVENT, payload, seconds=30) == (link.ANSWERED, b"{}\n", b"")


def test_requests_are_answered_over_a_connection_that_is_kept_and_over_the_next():
    with echo.http() as address:
        for _ in range(2):
            client = http.client.HTTPConnection(address, timeout=30)
            for body in (b"{}", b"x" * 5_000_000, b"{}"):
                client.request("POST", "/v1", body)
                assert client.getresponse().read() == b"{}\n"
            client.close()


def test_a_question_in_pieces_is_one_question(tmp_path):
    asked = link.question(link.EVENT, b"x" * 100)
    with echo.unix(str(tmp_path)) as path, link_to(path) as channel:
        channel.settimeout(0.1)
        for piece in (asked[:10], asked[10:30], asked[30:60]):
            channel.sendall(piece)
            with pytest.raises(TimeoutError):
                channel.recv(1)
        channel.settimeout(30)
        channel.sendall(asked[60:])
        assert channel.recv(100) == echo.FRAME


def test_whoever_asked_half_a_question_does_not_stop_the_next(tmp_path):
    with echo.unix(str(tmp_path)) as path:
        for half in (b"", b"wg", link.question(link.EVENT, b"12345")[:-1]):
            with link_to(path) as channel:
                channel.sendall(half)
        assert link.ask(path, link.EVENT, b"\0\0\0\0", seconds=30)[1] == b"{}\n"


@knows_children
def test_it_ends_when_whoever_started_it_is_gone(tmp_path):
    program = """
        import os, sys
        from wasmguard.workshop.bench import echo
        with echo.unix(sys.argv[1]) as path:
            with open("/proc/self/task/%d/children" % os.getpid()) as file:
                os.write(1, file.read().encode())
            from wasmguard import link
            link.ask(path, link.EVENT, b"", seconds=30)
            os._exit(0)
    """
    command = [sys.executable, "-I", "-c", textwrap.dedent(program), str(tmp_path)]
    (pid,) = map(int, subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout.split())
    until = monotonic() + 20
    while os.path.exists(f"/proc/{pid}") and "State:\tZ" not in status(pid):
        assert monotonic() < until
        sleep(0.05)


def link_to(path):
    import socket

    channel = socket.socket(socket.AF_UNIX)
    channel.connect(path)
    return channel


def status(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return "State:\tZ"
