"""Records: one line each, in a file that is the owner's alone."""

import json
import os
import stat
import threading

import pytest

from wasmguard import audit
from wasmguard.errors import HostError

pytestmark = pytest.mark.usefixtures("own_home")


def lines():
    with open(audit.path()) as file:
        return [json.loads(line) for line in file]


def test_a_record_is_one_line_with_its_kind_and_time():
    audit.record("off", seconds=600, text="a\nb\u202e\ud800")
    audit.record("on")
    (first, second) = lines()
    assert (first["kind"], first["seconds"], first["text"]) == ("off", 600, "a\nb\u202e\ud800")
    assert second["kind"] == "on"
    assert 0 <= second["time"] - first["time"] < 60_000
    with open(audit.path(), "rb") as file:
        assert file.read().isascii()


def test_the_file_is_the_owners_alone():
    old = os.umask(0)
    try:
        audit.record("on")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(audit.path()).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(audit.path())).st_mode) == 0o700
    os.chmod(audit.path(), 0o640)
    with pytest.raises(HostError, match="chmod 600"):
        audit.record("on")


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_no_link_leads_a_record_elsewhere(make, tmp_path):
    other = tmp_path / "other"
    other.write_text("")
    other.chmod(0o600)
    os.makedirs(os.path.dirname(audit.path()), mode=0o700)
    make(other, audit.path())
    with pytest.raises(HostError):
        audit.record("on")
    assert other.read_text() == ""


def test_no_pipe_and_no_folder_holds_it_up():
    os.makedirs(os.path.dirname(audit.path()), mode=0o700)
    os.mkfifo(audit.path(), 0o600)
    with pytest.raises(HostError):
        audit.record("on")
    os.unlink(audit.path())
    os.mkdir(audit.path())
    with pytest.raises(HostError):
        audit.record("on")


def test_half_a_record_is_an_error(monkeypatch):
    monkeypatch.setattr(audit.os, "write", lambda _file, line: len(line) - 1)
    with pytest.raises(HostError, match="make room"):
        audit.record("on")


def test_a_full_disk_is_an_error(monkeypatch):
    def full(_file, _line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit.os, "write", full)
    with pytest.raises(HostError, match="no space left on device"):
        audit.record("on")


def test_what_json_cannot_say_is_refused_before_anything_is_written():
    with pytest.raises(TypeError):
        audit.record("on", what=object())
    assert not os.path.exists(audit.path())


def test_lines_of_many_writers_are_whole():
    def write():
        for _ in range(50):
            audit.record("on", text="x" * 2_000)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines()) == 400
