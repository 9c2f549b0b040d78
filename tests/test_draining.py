"""Moving records on: a process that nobody waits for."""

import os
import sys
from time import monotonic, sleep

import pytest

from tests.recorded import recorded, waiting
from wasmguard import Guard, audit, draining, places, spool
from wasmguard.records import segment

pytestmark = pytest.mark.usefixtures("own_home")

PATIENCE = 60  # seconds against hanging


@pytest.fixture(autouse=True)
def began(monkeypatch):
    """Nobody has begun yet."""
    monkeypatch.setattr(draining, "_began", -draining.PAUSE)
    monkeypatch.setattr(draining, "_child", 0)


@pytest.fixture
def started(monkeypatch):
    """The commands that were started, instead of starting them."""
    commands = []

    def spawn(_path, command, environ, **_):
        commands.append((command, environ))
        return 0

    monkeypatch.setattr(draining.os, "posix_spawn", spawn)
    return commands


def test_what_waits_is_moved_into_the_database():
    audit.record("off", why="a test")
    draining.begin()
    last = monotonic() + PATIENCE
    while spool.waiting() and monotonic() < last:
        sleep(0.02)
    assert os.waitpid(draining._child, 0)[1] == 0
    assert not waiting()
    assert [body["why"] for body in recorded("off")] == ["a test"]


def test_a_guard_whose_spool_is_long_has_it_moved_as_its_owner_says(configured, tmp_path, monkeypatch):
    config = configured("pass")
    monkeypatch.setattr(draining, "SOON", 5 * 2**20)  # more than one batch
    config.write_text(f'[record]\nsegment = "1 MiB"\n\n{config.read_text()}')
    places.tell(state=str(tmp_path / "told"))
    try:
        with Guard.load(config) as guard:
            event = {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"content": "x" * 60_000}}
            while not draining._child:
                guard.decide(event)
        assert spool.folder() == str(tmp_path / "told" / "records")
        assert os.waitpid(draining._child, 0)[1] == 0
        assert spool.waiting() < 2**20
        assert recorded("decision")
        assert len(segment.numbers(spool.folder())) > 1  # after a batch of 4 MiB the first one is full
    finally:
        places.tell()


def test_it_begins_once_in_a_while(started):
    draining.begin()
    draining.begin()
    assert len(started) == 1


def test_it_begins_again_whoever_buried_the_last_one(started, monkeypatch):
    monkeypatch.setattr(draining, "_child", os.getpid())  # nobody's child that we know
    draining.begin()
    assert len(started) == 1


def test_it_is_told_where_the_records_are_and_nothing_else(started, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    draining.begin()
    ((command, environ),) = started
    assert os.path.join(command[-1], "records") == spool.folder()
    assert set(environ) <= {"HOME", "TMPDIR"}


def test_it_never_raises(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    draining.begin()


def test_a_system_without_sessions_is_no_error(monkeypatch):
    def spawn(*_, **__):
        raise NotImplementedError("setsid")

    monkeypatch.setattr(draining.os, "posix_spawn", spawn)
    draining.begin()


def test_where_no_process_can_be_started_that_way_readers_do_it(monkeypatch, started):
    monkeypatch.delattr(draining.os, "posix_spawn")
    draining.begin()
    assert not started
