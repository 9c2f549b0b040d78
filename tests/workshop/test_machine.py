"""What this machine gives, and what lies open on it."""

import errno
import json
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from tests.workshop.guarded import Owner, told
from wasmguard import audit, link, spool
from wasmguard.errors import HostError
from wasmguard.records.drain import drained
from wasmguard.workshop import machine


@pytest.fixture
def owner(tmp_path, monkeypatch):
    owner = Owner(tmp_path, monkeypatch)
    owner.locks()
    return owner


@pytest.mark.parametrize(
    ("version", "mark", "word"),
    [
        ("50.0.1", "ok", "GHSA-43j2-gcp4-m22g"),
        ("50.0.2", "ok", "none of the advisories known on 20"),
        ("49.0.0", "wrong", "known ways out"),
        ("43.0.1", "wrong", "known ways out"),
    ],
)
def test_the_engine_is_held_against_a_dated_table(monkeypatch, version, mark, word):
    monkeypatch.setattr(machine, "version", lambda _: version)
    found = [finding for finding in machine.versions() if finding.about == "wasmtime"]
    assert (found[0].mark, word in found[0].sentence) == (mark, True)
    assert all("2026" in finding.sentence for finding in found)


def test_an_advisory_that_nothing_shields_from_is_wrong(monkeypatch):
    bare = machine.advisories.TABLE[0].replaced(shield="")
    monkeypatch.setattr(machine.advisories, "TABLE", (bare,))
    monkeypatch.setattr(machine, "version", lambda _: "50.0.1")
    assert told(machine.versions(), "wasmtime", "wrong")


def test_files_that_are_ours_alone_are_fine(owner):
    (finding,) = machine.private_files()
    assert finding.mark == "ok"


def test_where_nothing_is_yet_nothing_is_said(tmp_path, monkeypatch):
    Owner(tmp_path, monkeypatch)
    assert list(machine.private_files()) == []


@pytest.mark.parametrize("name", [".local/state/wasmguard", ".local/state/wasmguard/plans", ".cache/wasmguard/vault"])
def test_a_folder_that_is_open_to_others_is_wrong(owner, name):
    (owner.home / name).chmod(0o755)
    (finding,) = machine.private_files()
    assert (finding.mark, "chmod 700" in finding.todo) == ("wrong", True)


@pytest.mark.parametrize("name", ["key", "token", "installed.json"])
def test_a_file_that_is_open_to_others_or_a_link_is_wrong(owner, name):
    path = owner.home / ".local/state/wasmguard" / name
    path.write_bytes(b"x" * 32)
    path.chmod(0o644)
    assert "mode 644" in told(machine.private_files(), mark="wrong")[0]
    path.chmod(0o600)
    assert told(machine.private_files(), mark="wrong") == []
    path.rename(owner.root / "elsewhere")
    path.symlink_to(owner.root / "elsewhere")
    assert "symbolic link" in told(machine.private_files(), mark="wrong")[0]


def test_what_belongs_to_somebody_else_is_told(owner, monkeypatch):
    path = owner.root / "x"
    path.touch(0o600)
    monkeypatch.setattr(machine.os, "geteuid", lambda: 4711)
    assert machine.open_to_others(str(path)) == f"belongs to user {os.getuid()}"


# --- records --------------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(owner):
    """The folder of records, with one in it and one on its way there."""
    audit.record("mark")
    drained()
    audit.record("mark")
    return Path(spool.folder())


def test_records_that_can_be_written_are_fine_and_none_is_written_for_it(folder):
    before = spool.waiting()
    (finding,) = machine.records()
    assert (finding.mark, finding.data["records"]) == ("ok", 1)
    assert spool.waiting() == before
    assert {path.name for path in folder.iterdir()} <= {"000001.db", "000001.db-shm", "000001.db-wal", "lock", "spool"}


def test_where_no_record_is_yet_nothing_is_said(tmp_path, monkeypatch):
    Owner(tmp_path, monkeypatch)
    assert list(machine.records()) == []


def opened(folder):
    folder.chmod(0o755)


def spool_opened(folder):
    (folder / "spool").chmod(0o644)


def spool_led_away(folder):
    (folder / "spool").rename(folder / "elsewhere")
    (folder / "spool").symlink_to("elsewhere")


def spool_in_the_way(folder):
    (folder / "spool").unlink()
    (folder / "spool").mkdir(0o700)


@pytest.mark.parametrize("breaks", [opened, spool_opened, spool_led_away, spool_in_the_way])
def test_where_no_record_can_be_written_that_is_wrong(folder, breaks):
    breaks(folder)
    (finding,) = machine.records()
    assert finding.mark == "wrong"
    assert finding.sentence.startswith("cannot be written: ")
    with pytest.raises(HostError):  # it is so
        audit.record("mark")


def test_a_full_disk_is_wrong(folder, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", full)
    assert told(machine.records(), "records", "wrong") == ["cannot be written: no space left on device"]


def test_a_database_that_cannot_be_read_is_wrong(folder):
    for path in folder.glob("*.db*"):
        path.write_bytes(b"no database" * 1000)
    assert told(machine.records(), "records", "wrong")


def test_records_that_are_missing_or_that_nobody_moves_on_are_noted(folder, monkeypatch):
    assert told(machine.records(), mark="note") == []
    audit.record("lost", count=7, why="no room")
    drained()
    assert "7 are missing" in told(machine.records(), "records", "note")[0]
    monkeypatch.setattr(machine, "WAITING", 0)
    audit.record("mark")
    assert "nobody moves them on" in told(machine.records(), "records", "note")[1]


class Daemon:
    """Says *reply* to the first who asks at `path`."""

    def __init__(self, folder, reply):
        self.path, self._reply = f"{folder}/d.sock", reply
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        os.chmod(self.path, 0o600)
        self._listener.listen()
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self):
        channel, _ = self._listener.accept()
        with channel:
            channel.recv(link.QUESTION)
            channel.sendall(self._reply)

    def close(self):
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def daemon():
    made = []
    with tempfile.TemporaryDirectory(prefix="wasmguard-") as folder:  # pytest's names are too long for a socket

        def start(code, status):
            said = status if isinstance(status, bytes) else json.dumps(status).encode()
            made.append(Daemon(folder, link.answered(code, said)))
            return made[0].path

        yield start
        for one in made:
            one.close()


def test_no_daemon_is_no_fault(owner):
    (finding,) = machine.daemon(str(owner.root / "none.sock"), str(owner.config))
    assert (finding.mark, finding.data["up"]) == ("ok", False)


def test_a_socket_that_nobody_can_listen_at_is_noted(owner):
    (finding,) = machine.daemon(f"/tmp/{'x' * link.LONGEST_PATH}.sock", str(owner.config))
    assert (finding.mark, "too long" in finding.sentence) == ("note", True)


def test_a_daemon_that_is_up_is_told(owner, daemon):
    from wasmguard import plan

    digest = plan.read(str(owner.config)).digest
    (finding,) = machine.daemon(daemon(0, {"version": "1", "digest": digest}), str(owner.config))
    assert (finding.mark, finding.data["up"]) == ("ok", True)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"digest": "other"}, "another state"),
        ({"digest": "other", "followed": {"error": "line 3: no"}}, "line 3: no"),
    ],
)
def test_a_daemon_that_decides_with_something_else_is_wrong(owner, daemon, status, why):
    (finding,) = machine.daemon(daemon(0, status), str(owner.config))
    assert (finding.mark, why in finding.sentence) == ("wrong", True)
    assert ("wasmguard stop" in finding.todo) == ("followed" not in status)  # a new one could not even begin


def test_a_daemon_of_another_version_is_noted(owner, daemon):
    (finding,) = machine.daemon(daemon(link.ELSEWHERE, b""), str(owner.config))
    assert finding.mark == "note"


@pytest.mark.parametrize("said", [b"", b"x", b"[]", b"\xff"])
def test_a_daemon_that_talks_nonsense_is_told(owner, daemon, said):
    (finding,) = machine.daemon(daemon(0, said), str(owner.config))
    assert "does not say how it is" in finding.sentence


def test_a_socket_that_is_open_to_others_is_wrong(owner, daemon):
    path = daemon(0, {})
    os.chmod(path, 0o666)
    (finding,) = machine.daemon(path, str(owner.config))
    assert (finding.mark, "mode 666" in finding.sentence) == ("wrong", True)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(path)
        channel.sendall(link.question(link.STATUS, b""))
        channel.recv(1)


def test_what_steers_the_hook_is_noted(monkeypatch):
    for name in machine.STEERING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp")
    assert told(machine.environment(), "environment", "note")[0].startswith("`LD_LIBRARY_PATH` is set")
