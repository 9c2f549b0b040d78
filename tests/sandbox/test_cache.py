"""The private cache under tampering: whatever was changed, it is not read."""

import fcntl
import os
import signal
import stat
from contextlib import contextmanager

import pytest

from wasmguard.errors import CacheError
from wasmguard.sandbox import cache
from wasmguard.sandbox.cache import MAC, MAGIC, Vault


@pytest.fixture
def vault(tmp_path):
    vault = Vault(str(tmp_path / "cache" / "vault"), str(tmp_path / "state"))
    vault.write("a.code", b"native code")
    return vault


class Listening:
    """An open file that notes how much of it is read."""

    def __init__(self, file, read):
        self.file, self.noted = file, read

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def read(self, most):
        data = self.file.read(most)
        self.noted.append(len(data))
        return data


class WaitedError(Exception):
    """Nothing that the cache would take for an error of the system."""


@contextmanager
def alarm(seconds):
    """Whoever waits is woken up: for what would hang for ever."""

    def woken(*_):
        raise WaitedError

    before = signal.signal(signal.SIGALRM, woken)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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


@pytest.mark.parametrize("planted", ["pipe", "folder", "socket"])
def test_something_that_is_no_file_is_refused_and_nobody_waits_for_it(vault, planted):
    os.remove(path(vault))
    if planted == "pipe":
        os.mkfifo(path(vault), 0o600)
    elif planted == "folder":
        os.mkdir(path(vault), 0o700)
    else:
        os.mknod(path(vault), 0o600 | stat.S_IFSOCK)
    with alarm(5), pytest.raises(CacheError, match=r"no regular file|cannot read"):
        vault.read("a.code")


def test_a_file_that_grows_while_it_is_read_is_read_no_further_than_it_was(vault, monkeypatch):
    seen = os.fstat

    def before_it_grew(file):
        found = seen(file)
        return os.stat_result((*found[:6], 5, *found[7:])) if stat.S_ISREG(found.st_mode) else found

    read = []
    opened = open
    monkeypatch.setattr(os, "fstat", before_it_grew)
    monkeypatch.setattr(cache, "open", lambda *a, **o: Listening(opened(*a, **o), read), raising=False)
    with pytest.raises(CacheError, match="not what was written"):
        Vault(vault.folder, vault.key_folder).read("a.code")
    assert max(read) == 6


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


# Who may replace our folder


@pytest.fixture
def deep(tmp_path):
    """A vault whose folder has parents of its own."""
    vault = Vault(str(tmp_path / "a" / "b" / "vault"), str(tmp_path / "state"))
    vault.write("a.code", b"native code")
    return vault


def refused_both_ways(vault, why):
    for attempt in (lambda: vault.read("a.code"), lambda: vault.write("a.code", b"x")):
        with pytest.raises(CacheError, match=why):
            attempt()


@pytest.mark.parametrize("name", ["a", "a/b"])
def test_no_folder_above_may_be_for_everybody_to_write(deep, tmp_path, name):
    (tmp_path / name).chmod(0o777)
    refused_both_ways(deep, f"/{name}` is open to others for writing")
    (tmp_path / name).chmod(0o1777)  # sticky: only owners rename what is in it
    assert deep.read("a.code") == b"native code"


def test_no_folder_above_may_be_for_another_group_to_write(deep, tmp_path, monkeypatch):
    (tmp_path / "a").chmod(0o775)
    assert deep.read("a.code") == b"native code"  # our own group: many systems give each user one
    as_seen(monkeypatch, tmp_path / "a", st_gid=4_321)
    refused_both_ways(deep, "/a` is open to others for writing")


@pytest.mark.parametrize("name", ["a", "a/b"])
def test_no_folder_above_may_belong_to_another_user(deep, tmp_path, monkeypatch, name):
    as_seen(monkeypatch, tmp_path / name, st_uid=4_321)
    refused_both_ways(deep, f"/{name}` belongs to user 4321")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["a", "a/b", "a/b/vault", "a/b/vault/a.code", "state", "state/key"])
def test_nothing_that_is_used_may_really_belong_to_another_user(deep, tmp_path, name):
    os.chown(tmp_path / name, 4_321, -1)
    with pytest.raises(CacheError, match="belongs to user 4321"):
        Vault(deep.folder, deep.key_folder).read("a.code")


def test_a_link_of_ours_may_lead_to_the_folder_but_not_one_of_somebody_else(deep, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("a/../a")
    (tmp_path / "link2").symlink_to(tmp_path / "link" / "b")
    through = Vault(str(tmp_path / "link2" / "vault"), deep.key_folder)
    assert through.read("a.code") == b"native code"
    as_seen(monkeypatch, tmp_path / "link", st_uid=4_321)
    refused_both_ways(through, "/link` belongs to user 4321")


def test_a_folder_behind_a_link_is_looked_at_like_any_other(deep, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "a").chmod(0o777)
    refused_both_ways(Vault(str(tmp_path / "link" / "vault"), deep.key_folder), "/a` is open to others for writing")


def test_links_in_a_circle_lead_nowhere(deep, tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    refused_both_ways(Vault(str(tmp_path / "one" / "vault"), deep.key_folder), r"more than 40 links|cannot make")


@pytest.mark.parametrize(("mapped", "safe"), [(b"0 0 4294967295", False), (b"1000 1000 1", True)])
def test_roots_folders_look_like_nobodys_in_a_user_namespace(deep, tmp_path, monkeypatch, mapped, safe):
    (tmp_path / "map").write_bytes(mapped)
    opened = open
    fake = {"/proc/self/uid_map": tmp_path / "map"}
    monkeypatch.setattr(cache, "open", lambda path, *a, **o: opened(fake.get(path, path), *a, **o), raising=False)
    as_seen(monkeypatch, tmp_path / "a", st_uid=65_534)
    if safe:
        assert deep.read("a.code") == b"native code"
    else:
        refused_both_ways(deep, "/a` belongs to user 65534")


def as_seen(monkeypatch, path, **changes):
    """Let `os.lstat` say something else about *path*, as only root could bring about."""
    lstat = os.lstat

    class Seen:
        def __init__(self, found):
            self.found = found

        def __getattr__(self, name):
            return changes.get(name, getattr(self.found, name))

    monkeypatch.setattr(os, "lstat", lambda asked, **o: Seen(lstat(asked)) if asked == str(path) else lstat(asked, **o))


def test_what_is_made_on_the_way_is_ours_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        Vault(str(tmp_path / "x" / "y" / "vault"), str(tmp_path / "z" / "state")).write("a", b"")
    finally:
        os.umask(before)
    for made in ("x", "x/y", "x/y/vault", "z", "z/state"):
        assert (tmp_path / made).stat().st_mode & 0o777 == 0o700


# Half a file


def test_a_file_is_on_the_disk_before_it_has_its_name(vault, monkeypatch):
    told = []
    for name in ("fsync", "replace", "link"):
        real = getattr(os, name)

        def spoken(*arguments, name=name, real=real, **options):
            told.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, spoken)
    vault.write("b.code", b"x")
    assert told == ["fsync", "replace", "fsync"]
    told.clear()
    Vault(vault.folder, vault.key_folder + "2").write("c.code", b"x")
    assert told == ["fsync", "link", "fsync", "fsync", "replace", "fsync"]


def test_what_a_killed_writer_left_is_in_nobodys_way(vault):
    for left in (".a.code.1.00000000", ".b.code.1.00000000"):
        with open(path(vault, left), "wb") as file:
            file.write(MAGIC)
    vault.write("a.code", b"new")
    vault.write("b.code", b"newer")
    assert (vault.read("a.code"), vault.read("b.code")) == (b"new", b"newer")


@pytest.mark.parametrize("planted", ["link", "pipe", "file"])
def test_a_temporary_file_that_was_planted_is_not_written_to(vault, tmp_path, monkeypatch, planted):
    monkeypatch.setattr(os, "urandom", lambda count: b"\0" * count)  # the worst case: its name was guessed
    temporary = path(vault, f".a.code.{os.getpid()}.00000000")
    if planted == "link":
        os.symlink(tmp_path / "theirs", temporary)
        with alarm(5), pytest.raises(CacheError, match="file exists"):
            vault.write("a.code", b"new")
        assert vault.read("a.code") == b"native code"
    else:
        os.mkfifo(temporary) if planted == "pipe" else os.close(os.open(temporary, os.O_CREAT, 0o666))
        with alarm(5):
            vault.write("a.code", b"new")  # nobody writes it any more, so it is cleared away first
        assert vault.read("a.code") == b"new"
    assert not (tmp_path / "theirs").exists()


def test_what_a_killed_writer_left_behind_is_cleared_away_and_what_is_being_written_is_not(vault):
    left, writing = path(vault, ".a.code.1.00000000"), path(vault, ".a.code.2.00000000")
    for name in (left, writing):
        with open(name, "wb") as file:
            file.write(MAGIC)
    with open(writing, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        vault.write("a.code", b"new")
        assert (os.path.exists(left), os.path.exists(writing)) == (False, True)


def test_a_hard_link_elsewhere_changes_nothing(vault, tmp_path):
    os.link(path(vault), tmp_path / "elsewhere")
    assert vault.read("a.code") == b"native code"
    with open(tmp_path / "elsewhere", "r+b") as file:
        file.write(b"!")
    with pytest.raises(CacheError, match="not what was written"):
        vault.read("a.code")
