"""A settings file on the disk: replaced as a whole or not at all."""

import errno
import os
import stat
import tempfile

import pytest

from wasmguard import places
from wasmguard.errors import HostError
from wasmguard.workshop import settings_file
from wasmguard.workshop.settings_file import LARGEST, backup, by_root, read, remove, write

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def path(tmp_path):
    (tmp_path / "settings.json").write_bytes(b"old\r\n\xef\xbb\xbf")
    return tmp_path / "settings.json"


def test_it_is_read_and_replaced_byte_for_byte(path):
    file = read(str(path))
    assert file.text == "old\r\n\ufeff"
    assert write(file, "new\r\n", mode=0o600) == []
    assert path.read_bytes() == b"new\r\n"
    assert os.listdir(path.parent) == ["settings.json"]


def test_mode_and_owner_stay(path):
    path.chmod(0o640)
    before = path.stat()
    write(read(str(path)), "new", mode=0o600)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_link_stays_and_what_it_leads_to_is_replaced(path, tmp_path):
    (tmp_path / "dotfiles").mkdir()
    os.rename(path, tmp_path / "dotfiles" / "mine.json")
    path.symlink_to("dotfiles/mine.json")
    write(read(str(path)), "new", mode=0o600)
    assert path.is_symlink()
    assert (tmp_path / "dotfiles" / "mine.json").read_text() == "new"


def test_a_new_file_and_its_folder_are_made_and_told(tmp_path):
    path = tmp_path / ".claude" / "settings.json"
    assert write(read(str(path)), "new", mode=0o640) == ["file", "folder"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    remove(read(str(path)), folder=True)
    assert not path.parent.exists()


def test_a_folder_in_which_something_else_is_stays(tmp_path):
    path = tmp_path / ".claude" / "settings.json"
    write(read(str(path)), "new", mode=0o600)
    (path.parent / "other").touch()
    remove(read(str(path)), folder=True)
    assert os.listdir(path.parent) == ["other"]


def test_what_somebody_else_changed_meanwhile_is_not_replaced_nor_removed(path):
    file = read(str(path))
    path.write_text("theirs")
    with pytest.raises(HostError, match="changed by somebody else just now"):
        write(file, "ours", mode=0o600)
    with pytest.raises(HostError, match="changed by somebody else just now"):
        remove(file, folder=False)
    assert path.read_text() == "theirs"
    assert os.listdir(path.parent) == ["settings.json"]


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path):
    file = read(str(tmp_path / "settings.json"))
    (tmp_path / "settings.json").write_text("theirs")
    with pytest.raises(HostError, match="changed by somebody else"):
        write(file, "ours", mode=0o600)


@pytest.mark.parametrize("step", ["fsync", "replace", "fchmod"])
def test_what_fails_on_the_way_leaves_everything_as_it_was(path, monkeypatch, step):
    def fail(*_):
        raise OSError(28, "No space left on device")

    file = read(str(path))
    monkeypatch.setattr(settings_file.os, step, fail)
    with pytest.raises(HostError, match="no space left on device"):
        write(file, "new", mode=0o600)
    assert path.read_bytes() == file.data
    assert os.listdir(path.parent) == ["settings.json"]


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path, monkeypatch):
    file = read(str(tmp_path / ".claude" / "settings.json"))
    monkeypatch.setattr(settings_file.os, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(13, "No")))
    with pytest.raises(HostError):
        write(file, "new", mode=0o600)
    assert not (tmp_path / ".claude").exists()


def test_what_the_owner_closed_to_himself_is_not_replaced(path, monkeypatch):
    monkeypatch.setattr(settings_file.os, "access", lambda *_: False)
    with pytest.raises(HostError, match="permission denied") as raised:
        write(read(str(path)), "new", mode=0o600)
    assert isinstance(raised.value.__cause__, PermissionError)


def test_what_is_no_settings_file_is_not_read(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b" " * (LARGEST + 1))
    (tmp_path / "latin").write_bytes(b'{"a": "\xe9"}')
    for name in ("folder", "pipe", "large"):
        with pytest.raises(HostError):
            read(str(tmp_path / name))
    with pytest.raises(HostError, match=r"not in UTF-8 \(byte 7\): save it in UTF-8"):
        _ = read(str(tmp_path / "latin")).text
    assert read(str(tmp_path / "none" / "x")).data is None


def test_a_copy_is_the_owners_alone_and_every_copy_has_its_own_name(path):
    kept = {backup(read(str(path)), "user") for _ in range(3)}
    assert len(kept) == 3
    for copy in kept:
        assert copy.startswith(f"{places.state_dir()}/backups/user-")
        assert os.stat(copy).st_mode & 0o777 == 0o600
        assert read(copy).data == path.read_bytes()
    assert backup(read(str(path) + "-none"), "user") == ""


def test_root_is_told_what_to_do(path, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told = by_root(read(str(path)), "new").split()
    assert told[:5] == ["sudo", "install", "-D", "-m", "644"]
    assert told[6] == str(path)
    assert read(told[5]).text == "new"
    assert by_root(read(str(path)), None) == f"sudo rm {path}"


@pytest.mark.parametrize(
    ("number", "todo"), [(errno.EACCES, "writable"), (errno.EPERM, "writable"), (errno.ENOSPC, "room"), (errno.EIO, "")]
)
def test_what_cannot_be_written_or_removed_says_what_to_do(path, monkeypatch, number, todo):
    def fails(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fails)
    monkeypatch.setattr(os, "unlink", fails)
    with pytest.raises(HostError, match=f"cannot be removed: .*{todo}.*, then repeat"):
        remove(read(str(path)), folder=False)
    monkeypatch.undo()
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(HostError, match=f"cannot be written: .*{todo}.*, then repeat"):
        write(read(str(path)), "new", mode=0o600)
