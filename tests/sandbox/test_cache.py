"""The private cache under tampering: whatever was changed, it is not read."""

import os

import pytest

from wasmguard.errors import CacheError
from wasmguard.sandbox import cache
from wasmguard.sandbox.cache import MAC, MAGIC, Vault


@pytest.fixture
def vault(tmp_path):
    vault = Vault(str(tmp_path / "cache" / "vault"), str(tmp_path / "state"))
    vault.write("a.code", b"native code")
    return vault


def path(vault, name="a.code"):
    return os.path.join(vault.folder, name)


def test_what_was_written_is_read(vault):
    assert vault.read("a.code") == b"native code"
    assert vault.has("a.code")
    assert not vault.has("b.code")


def test_another_process_of_the_same_user_reads_it(vault):
    assert Vault(vault.folder, vault.key_folder).read("a.code") == b"native code"


def test_files_are_ours_alone(vault):
    assert os.stat(vault.folder).st_mode & 0o777 == 0o700
    assert os.stat(path(vault)).st_mode & 0o777 == 0o600
    assert os.stat(os.path.join(vault.key_folder, "key")).st_mode & 0o777 == 0o600


def test_any_flipped_byte_is_noticed(vault):
    with open(path(vault), "rb") as file:
        sealed = bytearray(file.read())
    for place in range(len(sealed)):
        sealed[place] ^= 1
        with open(path(vault), "wb") as file:
            file.write(sealed)
        with pytest.raises(CacheError, match="not what was written"):
            vault.read("a.code")
        sealed[place] ^= 1


@pytest.mark.parametrize("keep", [0, 1, len(MAGIC), len(MAGIC) + MAC - 1, len(MAGIC) + MAC])
def test_a_truncated_file_is_noticed(vault, keep):
    os.truncate(path(vault), keep)
    with pytest.raises(CacheError, match="not what was written"):
        vault.read("a.code")


def test_bytes_added_at_the_end_are_noticed(vault):
    with open(path(vault), "ab") as file:
        file.write(b"\0")
    with pytest.raises(CacheError, match="not what was written"):
        vault.read("a.code")


def test_a_file_under_another_name_is_noticed(vault):
    os.rename(path(vault), path(vault, "b.code"))
    with pytest.raises(CacheError, match="not what was written"):
        vault.read("b.code")


def test_another_users_key_opens_nothing(vault, tmp_path):
    other = Vault(vault.folder, str(tmp_path / "other"))
    other.write("b.code", b"x")
    with pytest.raises(CacheError, match="not what was written"):
        other.read("a.code")


def test_a_damaged_key_is_named(vault):
    os.truncate(os.path.join(vault.key_folder, "key"), 5)
    with pytest.raises(CacheError, match="key` is damaged"):
        Vault(vault.folder, vault.key_folder).read("a.code")


def test_a_symbolic_link_is_not_followed(vault, tmp_path):
    os.rename(path(vault), tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", path(vault))
    with pytest.raises(CacheError, match="cannot read"):
        vault.read("a.code")


def test_a_linked_folder_is_not_followed(vault, tmp_path):
    os.rename(vault.folder, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", vault.folder)
    with pytest.raises(CacheError, match="cannot open"):
        vault.read("a.code")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o701])
def test_a_folder_that_is_open_to_others_is_refused(vault, mode):
    os.chmod(vault.folder, mode)
    for attempt in (lambda: vault.read("a.code"), lambda: vault.write("b.code", b"x")):
        with pytest.raises(CacheError, match="open to others"):
            attempt()


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_file_that_is_open_to_others_is_refused(vault, mode):
    os.chmod(path(vault), mode)
    with pytest.raises(CacheError, match="open to others"):
        vault.read("a.code")


def test_a_file_of_another_user_is_refused(vault, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CacheError, match="belongs to user"):
        vault.read("a.code")


def test_something_that_is_no_file_is_refused(vault):
    os.mkfifo(path(vault, "pipe"), 0o600)
    both_ends = os.open(path(vault, "pipe"), os.O_RDWR)  # or opening it to read would wait for a writer
    with pytest.raises(CacheError, match="no regular file"):
        vault.read("pipe")
    os.close(both_ends)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(vault, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CacheError, match="no space left on device"):
        vault.write("a.code", b"new")
    assert vault.read("a.code") == b"native code"
    assert os.listdir(vault.folder) == ["a.code"]


def test_a_folder_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    vault = Vault(str(tmp_path / "file" / "vault"), str(tmp_path / "state"))
    with pytest.raises(CacheError, match="not a directory"):
        vault.write("a", b"")


def test_a_file_larger_than_any_code_is_not_read(vault, monkeypatch):
    monkeypatch.setattr(cache, "LARGEST", -1000)
    with pytest.raises(CacheError, match="too large"):
        vault.read("a.code")


def test_of_two_that_make_a_key_at_once_one_wins(tmp_path, monkeypatch):
    """Both look, neither finds one, both write: what both sealed can be read."""
    first, second = (Vault(str(tmp_path / "vault"), str(tmp_path / "state")) for _ in range(2))
    link = os.link

    def beaten(*arguments, **options):
        monkeypatch.setattr(os, "link", link)
        second.write("b.code", b"second")
        return link(*arguments, **options)

    monkeypatch.setattr(os, "link", beaten)
    first.write("a.code", b"first")
    reader = Vault(first.folder, first.key_folder)
    assert (reader.read("a.code"), reader.read("b.code")) == (b"first", b"second")
    assert os.listdir(first.key_folder) == ["key"]
