"""The spool: a record that was appended is there, whatever becomes of whoever wrote or reads it."""

import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasmguard import spool
from wasmguard.errors import CacheError, HostError
from wasmguard.sandbox.cache import private_folder

pytestmark = pytest.mark.usefixtures("own_home")


def path():
    return os.path.join(spool.folder(), spool.NAME)


def taken():
    """All that waits, moved on."""
    found = []
    for file in spool.taken():
        found += [*file.bodies(), *file.finish()]
    return found


def test_what_was_appended_comes_once_and_in_order():
    for number in range(5):
        spool.append(b"record %d" % number)
    assert taken() == [b"record %d" % number for number in range(5)]
    assert taken() == []
    assert spool.waiting() == 0


def test_it_says_how_much_waits():
    first = spool.append(b"x" * 10)
    assert spool.append(b"x" * 10) == 2 * first == spool.waiting()


def test_it_is_the_owners_alone():
    old = os.umask(0)
    try:
        spool.append(b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path()).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(spool.folder()).st_mode) == 0o700


def test_one_that_others_may_read_is_not_written():
    spool.append(b"x")
    os.chmod(path(), 0o640)
    with pytest.raises(HostError, match="is open to others"):
        spool.append(b"y")


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_no_link_leads_a_record_elsewhere(tmp_path, make):
    private_folder(spool.folder())
    other = tmp_path / "home" / "other"
    other.touch(mode=0o600)
    make(other, path())
    with pytest.raises(HostError, match=r"cannot be written|has another name"):
        spool.append(b"x")
    assert other.read_bytes() == b""


def test_no_pipe_holds_it_up():
    private_folder(spool.folder())
    os.mkfifo(path(), 0o600)
    with pytest.raises(HostError):
        spool.append(b"x")


def test_a_folder_that_others_may_write_is_refused():
    spool.append(b"x")
    os.chmod(spool.folder(), 0o777)
    with pytest.raises(CacheError):
        spool.append(b"y")


def test_half_a_write_is_an_error(monkeypatch):
    written = os.write
    with monkeypatch.context() as patched:
        patched.setattr(spool.os, "write", lambda file, data: written(file, data[:-3]))
        with pytest.raises(HostError, match="took"):
            spool.append(b"torn")
    spool.append(b"whole")
    torn, whole = taken()
    assert isinstance(torn, spool.Damaged)
    assert whole == b"whole"


def test_a_full_disk_is_an_error_that_says_so(monkeypatch):
    def full(_file, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.os, "write", full)
    with pytest.raises(HostError, match="no space left on device: make room there"):
        spool.append(b"x")


def test_one_that_nobody_empties_is_full_some_day():
    with spool.Spool(most=1000) as small, pytest.raises(HostError, match="nobody empties it"):
        any(small.append(b"x" * 50) == 0 for _ in range(100))
    assert spool.waiting() < 1200


def test_a_writer_notices_that_its_file_was_taken_away():
    with spool.Spool() as writer:
        writer.append(b"before")
        assert taken() == [b"before"]
        writer.append(b"after")
    assert taken() == [b"after"]


def test_what_comes_while_a_file_is_read_comes_with_it_and_again_after_it():
    with spool.Spool() as writer:
        writer.append(b"one")
        (file,) = spool.taken()
        assert list(file.bodies()) == [b"one"]
        writer.append(b"two")  # into the file that was renamed
        assert list(file.finish()) == [b"two"]
        writer.append(b"three")
    assert taken() == [b"two", b"three"]  # at least once; whoever moves it on knows it by its id


def test_a_reader_that_dies_leaves_everything_for_the_next():
    spool.append(b"one")
    for file in spool.taken():
        assert list(file.bodies()) == [b"one"]
        break
    spool.append(b"two")
    assert taken() == [b"one", b"two"]


def test_any_byte_that_is_changed_is_found():
    for body in (b"first", b"second", b"third"):
        spool.append(body)
    with open(path(), "rb") as file:
        whole = file.read()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x20
        with open(path(), "wb") as file:
            file.write(changed)
        os.chmod(path(), 0o600)
        found = taken()
        assert sum(type(body) is bytes for body in found) == 2, place
        assert any(isinstance(body, spool.Damaged) for body in found), place


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=80) | st.just(spool.MAGIC * 3), max_size=8), st.binary(max_size=40))
def test_rubbish_between_records_costs_none_of_them(own_home, bodies, rubbish):
    taken()
    for body in bodies:
        spool.append(body)
        with open(path(), "ab") as file:
            file.write(rubbish)
    assert [body for body in taken() if type(body) is bytes] == bodies


def piped(path):
    os.mkfifo(path, 0o600)


def linked(path):
    os.symlink("/etc/passwd", path)


@pytest.mark.parametrize("make", [piped, linked, os.mkdir])
def test_what_is_no_file_in_a_files_place_is_an_error_and_holds_nobody_up(own_home, make):
    spool.append(b"x")
    make(os.path.join(spool.folder(), "spool.0000.taken"))
    with pytest.raises(HostError, match=r"^`.*spool.0000.taken` (is no regular|cannot be read)"):
        [body for file in spool.taken() for body in file.bodies()]


def test_a_large_file_of_rubbish_is_read_once(monkeypatch):
    """Each byte of it is looked at once: what is no frame is let go, and only counted."""
    spool.append(b"before")
    with open(path(), "ab") as file:
        file.write(bytes(32 * 2**20) + spool.MAGIC[:3])
    spool.append(b"after")
    most = 0
    for file in spool.taken():
        found = []
        for body in file.bodies():
            found.append(body)
            most = max(most, len(file._rest))
        found += file.finish()
        assert found == [b"before", spool.Damaged(bytes=32 * 2**20 + 3), b"after"]
        assert most <= 2 * spool.PIECE


def test_frames_with_a_wrong_mac_do_not_cost_more_and_more(monkeypatch):
    monkeypatch.setattr(spool, "FUTILE", 1000)
    head = spool.MAGIC + (600).to_bytes(4, "big") + bytes(16)
    spool.append(b"before")
    with open(path(), "ab") as file:
        file.write(head * 100 + bytes(600))
    before, *rest = taken()
    assert before == b"before"
    assert sum(damaged.bytes for damaged in rest) == len(head) * 100 + 600


def test_records_of_another_key_do_not_count():
    spool.append(b"mine")
    with open(path(), "rb") as file:
        forged = file.read()
    with open(path(), "ab") as file:
        file.write(forged[:8] + bytes(16) + forged[24:])
    mine, other = taken()
    assert mine == b"mine"
    assert isinstance(other, spool.Damaged)


def test_many_writers_and_readers_lose_nothing():
    found, done = [], threading.Event()

    def write(who):
        with spool.Spool() as writer:
            for number in range(300):
                writer.append(b"%d %d" % (who, number))

    def read():
        while not done.is_set():
            found.extend(taken())

    writers = [threading.Thread(target=write, args=(who,)) for who in range(3)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    found.extend(taken())
    assert set(found) == {b"%d %d" % (who, number) for who in range(3) for number in range(300)}


def test_it_loads_no_database():
    heavy = {"sqlite3", "_sqlite3", "re", "json"}
    code = f"import sys, wasmguard.spool, wasmguard.audit; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
