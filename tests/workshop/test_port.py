"""Who listens on a port."""

import os
import socket

import pytest

from wasmguard.workshop.port import owners_of

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="Linux says who listens")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(address, port, state, uid):
    return f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid} 0 1 1\n"


@pytest.fixture
def table(tmp_path):
    def write(*rows):
        path = tmp_path / "tcp"
        path.write_text(HEAD + "".join(rows))
        return (str(path), str(tmp_path / "none"))

    return write


def test_a_port_of_ours_is_ours():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        assert owners_of(url) == set()
        listener.listen()
        assert owners_of(url) == {os.geteuid()}


def test_who_listens_everywhere_listens_here_too(table):
    assert owners_of("http://127.0.0.1:8080/", table(row("00000000", 8080, "0A", 1000))) == {1000}


def test_connections_other_ports_and_other_addresses_do_not_count(table):
    rows = row("0100007F", 8080, "01", 1000), row("0100007F", 8081, "0A", 1000), row("0A00000A", 8080, "0A", 1000)
    assert owners_of("http://127.0.0.1:8080/", table(*rows, "cut off\n")) == set()


def test_of_two_who_share_it_both_are_named(table):
    rows = row("0100007F", 8080, "0A", 0), row("00000000", 8080, "0A", 1001)
    assert owners_of("http://127.0.0.1:8080/", table(*rows)) == {0, 1001}


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://[", "nothing"])
def test_a_url_that_is_none_has_no_owner(url):
    assert owners_of(url) == set()
