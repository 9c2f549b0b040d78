"""Processes that are measured: what goes in and what comes out, and that they end."""

import os
from time import monotonic, sleep

import pytest

from tests.workshop.bench.processes import alive
from wasmguard.errors import HostError
from wasmguard.workshop.bench import spawning
from wasmguard.workshop.bench.spawning import spawned

SH = "/bin/sh"
LARGE = b"x" * 5_000_000


def test_a_process_gets_the_event_and_says_code_output_and_complaint():
    ended = spawned((SH, "-c", "cat; echo no >&2; exit 3"), {"PATH": os.defpath}, b'{"a":1}')
    assert (ended.code, ended.out, ended.err) == (3, b'{"a":1}', b"no\n")


def test_a_process_gets_no_other_environment_than_is_said(monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    assert b"SECRET" not in spawned((SH, "-c", "export -p"), {"HOME": "/x"}, b"").out


def test_five_megabytes_go_in_while_as_many_come_out():
    assert spawned(("/bin/cat",), {}, LARGE).out == LARGE


def test_who_reads_nothing_gets_no_event_and_that_is_no_error():
    assert spawned((SH, "-c", "exit 0"), {}, LARGE).code == 0


def test_a_complaint_that_fills_a_pipe_stops_nobody():
    ended = spawned((SH, "-c", "head -c 300000 /dev/zero >&2; echo {}"), {"PATH": os.defpath}, b"")
    assert (ended.out, len(ended.err)) == (b"{}\n", 300_000)


def test_a_complaint_made_after_the_answer_is_heard():
    assert spawned((SH, "-c", "exec >&-; sleep 0.05; echo no >&2"), {"PATH": os.defpath}, b"").err == b"no\n"


def written(path):
    """What the file *path* says, as soon as that is a whole line."""
    until = monotonic() + 30
    while not (path.exists() and path.read_text().endswith("\n")):
        assert monotonic() < until
        sleep(0.01)
    return path.read_text()


@pytest.mark.parametrize("first", ["", "exec >&- 2>&-;", "trap '' TERM;"])
def test_a_process_that_does_not_end_is_ended(tmp_path, first, monkeypatch):
    noted, pids, spawn = tmp_path / "noted", [], os.posix_spawn

    def begun(*given, **more):
        """The process once it is in its loop: its time counts from then."""
        pids.append(spawn(*given, **more))
        assert written(noted) == "begun\n"
        return pids[-1]

    monkeypatch.setattr(os, "posix_spawn", begun)
    monkeypatch.setattr(spawning, "TERM", 0.1)
    line = f"{first} echo begun > '{noted}'; while :; do read nothing < /dev/zero; done"
    with pytest.raises(HostError, match=r"has not ended after 0\.1 s"):
        spawned((SH, "-c", line), {"PATH": os.defpath}, b"", seconds=0.1)
    assert not alive(*pids)


def test_what_cannot_be_started_is_named():
    with pytest.raises(HostError, match=r"`/nowhere x` cannot be run: no such file"):
        spawned(("/nowhere", "x"), {}, b"")


def test_no_descriptor_stays_open():
    before = os.listdir("/dev/fd")
    for line in ("exit 0", "cat", "exec >&-; exec 2>&-; exit 1"):
        spawned((SH, "-c", line), {"PATH": os.defpath}, LARGE)
    with pytest.raises(HostError):
        spawned(("/nowhere",), {}, b"")
    assert os.listdir("/dev/fd") == before
