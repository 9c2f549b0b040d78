"""Frames between clients and the daemon."""

import os
import socket
import threading
from contextlib import suppress

import pytest

from wasmguard import link
from wasmguard.errors import HostError
from wasmguard.version import __version__


def test_a_question_says_what_it_is_and_how_long():
    frame = link.question(link.EVENT, b"payload")
    assert link.asked(frame[: link.QUESTION]) == (link.EVENT, True, 7)
    assert frame[link.QUESTION :] == b"payload"


def test_a_question_of_another_version_says_so():
    frame = bytearray(link.question(link.STATUS, b""))
    frame[4:20] = b"9.9.9".ljust(16, b"\0")
    assert link.asked(bytes(frame)) == (link.STATUS, False, 0)


@pytest.mark.parametrize("place", range(4))
def test_another_protocol_or_kind_is_no_question(place):
    frame = bytearray(link.question(link.EVENT, b""))
    frame[place] ^= 0x40
    with pytest.raises(ValueError, match="no question"):
        link.asked(bytes(frame))


def test_a_question_that_is_too_long_or_cut_off_is_none():
    frame = link.question(link.EVENT, b"")
    with pytest.raises(ValueError, match="too long"):
        link.asked(frame[:20] + (2**32 - 1).to_bytes(4, "big"))
    with pytest.raises(ValueError, match="no question"):
        link.asked(frame[:-1])


def test_only_variables_that_name_folders_go_along():
    said = {"HOME": "/home/u", "CLAUDE_PROJECT_DIR": "/p", "ANTHROPIC_API_KEY": "secret"}
    payload = link.with_context(said, b"{}", "/s")
    assert b"secret" not in payload
    assert link.without_context(payload) == ({"HOME": "/home/u", "CLAUDE_PROJECT_DIR": "/p", "SOCKET": "/s"}, b"{}")


def test_a_path_of_any_bytes_survives():
    strange = os.fsdecode(b"/home/\xff\xe9")
    assert link.without_context(link.with_context({"HOME": strange}, b"x", strange)) == (
        {"HOME": strange, "SOCKET": strange},
        b"x",
    )


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", b"\0\0\0\5abcd", b"\xff\xff\xff\xff"])
def test_a_payload_without_a_whole_context_is_none(payload):
    with pytest.raises(ValueError, match="no context"):
        link.without_context(payload)


@pytest.mark.parametrize("code", [link.ANSWERED, link.BLOCKED, link.ELSEWHERE])
def test_an_answer_comes_back_whole(code):
    assert link.told(link.answered(code, b"{}\n", b"why\n")) == (code, b"{}\n", b"why\n")


def test_no_part_of_an_answer_is_an_answer():
    frame = link.answered(link.ANSWERED, b"{}\n", b"why\n")
    for end in range(len(frame)):
        with pytest.raises(ValueError, match="half"):
            link.told(frame[:end])
    with pytest.raises(ValueError, match="half"):
        link.told(frame + b"x")


def test_a_code_that_nobody_knows_is_no_answer():
    with pytest.raises(ValueError, match="no answer"):
        link.told(link.answered(1, b"{}\n"))


@pytest.fixture
def served(tmp_path):
    """Answers one question at a socket with given bytes."""
    path, threads = str(tmp_path / "s"), []

    def serve(answer):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()

        def work():
            channel, _ = listener.accept()
            with listener, channel, suppress(ConnectionError):
                channel.recv(1 << 16)
                channel.sendall(answer)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return path

    yield serve
    for thread in threads:
        thread.join()


def test_the_daemon_is_asked_and_answers(served):
    path = served(link.answered(link.ANSWERED, b"x" * 1_000_000))
    assert link.ask(path, link.STATUS, seconds=5) == (link.ANSWERED, b"x" * 1_000_000, b"")


def test_a_daemon_that_breaks_off_has_not_answered(served):
    with pytest.raises(HostError, match="half an answer"):
        link.ask(served(link.answered(link.ANSWERED, b"{}\n")[:-1]), link.STATUS, seconds=5)


def test_nobody_there_is_an_error(tmp_path):
    with pytest.raises(HostError, match="no daemon answers"):
        link.ask(str(tmp_path / "nobody"), link.STATUS, seconds=5)


def test_somebody_elses_daemon_is_not_asked(served, monkeypatch):
    path = served(b"")
    monkeypatch.setattr(link, "peer_of", lambda _: os.geteuid() + 1)
    with pytest.raises(HostError, match="belongs to somebody else"):
        link.ask(path, link.STATUS, seconds=5)


def test_the_kernel_says_who_is_there():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert link.peer_of(ours) == os.geteuid()


def test_each_configuration_has_a_socket_of_its_own(own_home):
    first, second = link.socket_of("/a/wasmguard.toml"), link.socket_of("/b/wasmguard.toml")
    assert first != second
    assert first.endswith(".sock")
    assert __version__ not in first  # a daemon of another version is found, and told to go


def test_a_socket_has_a_path_that_a_system_takes(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    for length in range(1, 200):
        monkeypatch.setenv("HOME", "/" + "h" * length)
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        path = link.socket_of("/c/wasmguard.toml")
        assert len(path) <= link.LONGEST_PATH
        assert path.startswith(("/h", f"/tmp/wasmguard-{os.geteuid()}/"))
