"""Events posted to a URL, over one connection or over many."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from wasmguard import link
from wasmguard.errors import HostError
from wasmguard.workshop.bench import echo
from wasmguard.workshop.bench.posting import Posting

ANSWERED = (200, echo.BODY)


@pytest.fixture
def posting():
    """Posts to what answers at once, over a connection that is kept."""
    with echo.http() as address, closing(Posting(address, {}, kept=True)) as made:
        yield made


def test_a_new_connection_is_not_kept():
    with echo.http() as address, closing(Posting(address, {}, kept=False)) as posting:
        for _ in range(2):
            assert posting.post(b"{}") == ANSWERED
            assert posting._channel is None


def test_a_connection_that_was_closed_meanwhile_is_made_anew_as_agents_do(posting):
    assert posting.post(b"{}") == ANSWERED
    kept = posting._channel
    assert posting.post(b"x" * 1_000_000) == ANSWERED
    assert posting._channel is kept
    kept.shutdown(socket.SHUT_RDWR)
    assert posting.post(b"{}") == ANSWERED
    assert posting._channel is not kept


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "half an answer"),
        (b"HTTP/1.1 200 OK\r\n", "half an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{}\n", "half an answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}\n", "invalid literal"),
    ],
)
def test_half_an_answer_is_none(said, why):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(30)

        def answer():
            channel, _ = listener.accept()
            with channel:
                channel.recv(link.PIECE)
                channel.sendall(said)

        host, port = listener.getsockname()
        with ThreadPoolExecutor(1) as beside, closing(Posting(f"{host}:{port}", {}, kept=True)) as posting:
            beside.submit(answer)
            with pytest.raises(HostError, match=f"^no answer comes from `http://127.0.0.1:{port}`: {why}"):
                posting.post(b"{}")
            assert posting._channel is None


def test_where_nobody_listens_there_is_no_answer():
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(HostError, match=f"^no answer comes from `http://{address}`: connection refused$"):
            Posting(address, {}, kept=False).post(b"{}")
