"""The master moves records on: soon, by a child, and whatever becomes of that child nothing is lost."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.recorded import recorded
from tests.serve.daemons import PASSED, REFUSED, Place, alive, until
from tests.serve.host import HERE
from wasmguard import audit, places, plan, spool
from wasmguard.lock import lock
from wasmguard.records import drain, query, retention
from wasmguard.serve import recording
from wasmguard.serve.recording import Moving


@pytest.fixture
def moving(own_home, monkeypatch):
    monkeypatch.setattr(recording, "PAUSE", 0.01)
    monkeypatch.setattr(recording, "AGAIN", 0.02)
    made = Moving(lambda: ())
    yield made
    made.end()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def looks(moving, condition):
    """Look as the master does, until *condition* holds."""

    def step():
        moving.look()
        return condition()

    return until(step)


def in_database(kind="mark"):
    """What the database holds already; nothing is moved for it."""
    return [record.body["number"] for record in query.records(kind=kind)]


def begun(moving):
    """The child that moves records, as soon as there is one."""
    return looks(moving, lambda: moving._child)


def stuck(*_):
    time.sleep(60)


# --- what it does ---------------------------------------------------------------------------------------------------
def test_what_waits_is_moved_on(moving):
    for number in range(3):
        audit.record("mark", number=number)
    looks(moving, lambda: in_database() == [0, 1, 2])
    looks(moving, lambda: not moving._child)
    assert spool.waiting() == 0


def test_where_nothing_waits_nobody_is_started(moving):
    for _ in range(5):
        moving.look()
        time.sleep(0.015)
    assert moving._child == 0
    assert not Path(spool.folder()).exists()


def test_one_is_at_it_at_a_time(moving, monkeypatch):
    monkeypatch.setattr(drain, "drained", stuck)
    audit.record("mark", number=0)
    child = begun(moving)
    for _ in range(5):
        moving.look()
        time.sleep(0.015)
    assert moving._child == child


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hangs"])
def test_one_that_is_gone_or_hangs_is_replaced_and_nothing_is_lost(moving, monkeypatch, number):
    monkeypatch.setattr(recording, "LONGEST", 0.3)
    for mark in range(3):
        audit.record("mark", number=mark)
    with monkeypatch.context() as patched:
        patched.setattr(drain, "drained", stuck)
        child = begun(moving)
    os.kill(child, number)
    looks(moving, lambda: in_database() == [0, 1, 2])
    assert not alive(child)


def test_one_that_is_killed_while_it_writes_loses_nothing_and_writes_nothing_twice(moving, monkeypatch):
    monkeypatch.setattr(drain, "ROWS", 50)
    numbers = []
    for _ in range(8):
        for _ in range(100):
            numbers.append(len(numbers))
            audit.record("mark", number=numbers[-1])
        child = begun(moving)
        time.sleep(0.004 * (len(numbers) // 100))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        looks(moving, lambda: not moving._child)
    looks(moving, lambda: len(in_database()) >= len(numbers))
    assert sorted(in_database()) == numbers


def test_what_cannot_be_moved_stays_is_said_and_tried_again(moving, capfd):
    audit.record("mark", number=0)
    os.mkdir(os.path.join(spool.folder(), drain.LOCK))
    said = []

    def complained():
        said.append(capfd.readouterr().err)
        return "".join(said).count("records stay where they are: ") >= 2

    looks(moving, complained)
    assert spool.waiting()
    os.rmdir(os.path.join(spool.folder(), drain.LOCK))
    looks(moving, lambda: in_database() == [0])


def test_where_no_process_is_left_it_is_tried_again(moving, monkeypatch):
    audit.record("mark", number=0)
    with monkeypatch.context() as patched:
        patched.setattr(recording, "forked", lambda *_, **__: os.close(-1))
        for _ in range(5):
            moving.look()
            time.sleep(0.015)
        assert moving._child == 0
    looks(moving, lambda: in_database() == [0])


def test_what_another_configuration_keeps_is_not_given_up(configured, tmp_path):
    """The database is one for all: a daemon whose owner keeps little leaves others theirs."""
    for name, days in (("short", 1), ("long", 60)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "wasmguard.toml").write_text(f'[record]\nkeep = "{days} d"\n' + configured("pass").read_text())
        (folder / "pass.wasm").write_bytes((tmp_path / "pass.wasm").read_bytes())
        lock(str(folder / "wasmguard.toml"), repin=False)
    assert len(plan.in_force()) == 2
    assert retention.wanted()["keep"] == 60


def test_who_ends_leaves_none_behind(moving, monkeypatch):
    monkeypatch.setattr(drain, "drained", stuck)
    audit.record("mark", number=0)
    child = begun(moving)
    moving.end()
    assert not alive(child)
    assert spool.waiting()


# --- the daemon -----------------------------------------------------------------------------------------------------
@pytest.fixture
def place(assembled):
    made = Place(assembled)
    places.tell(state=str(made.state))
    yield made
    made.close()
    places.tell()


HASTY = f"{HERE}; from wasmguard.serve import recording; recording.PAUSE = 0.05; recording.AGAIN = 0.1"
HASTY += "; from wasmguard.__main__ import main; main()"


def decisions():
    return [record.body["effect"] for record in query.records(kind="decision")]


def test_what_a_daemon_decided_is_in_the_database_soon(place):
    place.up()
    for event in (PASSED, REFUSED, PASSED):
        assert place.ask(event)[0] == 0
    until(lambda: len(decisions()) == 3)
    assert sorted(decisions()) == ["deny", "pass", "pass"]
    assert {record.body["way"] for record in query.records(kind="decision")} == {"daemon"}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_master_itself_never_opens_a_database(place):
    master = place.up(program=HASTY)
    for _ in range(3):
        before = len(decisions())
        place.ask()
        until(lambda before=before: len(decisions()) > before)
    loaded = Path(f"/proc/{master.pid}/maps").read_text()
    assert "libpython" in loaded or "python3" in loaded
    assert "sqlite" not in loaded
    assert not [name for name in os.listdir(f"/proc/{master.pid}/fd") if _leads_to(master.pid, name).endswith(".db")]


def _leads_to(pid, name):
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/fd/{name}")
    return ""


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_whoever_moves_records_for_a_daemon_may_be_killed(place):
    """Each child that is seen is killed, for a while; then everything that was answered is there, once."""
    master = place.up(program=HASTY)
    asked, killed = 0, 0
    until_ = time.monotonic() + 1.5
    while time.monotonic() < until_:
        asked += place.ask()[0] == 0
        workers = set(place.team()[0])
        for child in Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split():
            if int(child) not in workers and int(child) not in place.seen:
                with suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
                    killed += 1
    assert killed
    until(lambda: len(decisions()) >= asked)
    assert len(recorded("decision")) == asked
