"""The file: made once, known again, and never an empty one in the place of one that is lost."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.state.turns import CONFIG, recall, remember, slot
from wasmguard import places
from wasmguard.errors import StateError
from wasmguard.state import make, opened, sqlite_file
from wasmguard.state.sqlite_file import File, path_of

SETTINGS = {"store": "sqlite"}


@pytest.fixture
def path(own_home):
    make(CONFIG, SETTINGS)
    return path_of(CONFIG)


@pytest.fixture
def store(path):
    store = opened(CONFIG, SETTINGS)
    yield store
    store.close()


def refused(store, match):
    """Both ways in are closed, more than once."""
    for _ in range(2):
        with pytest.raises(StateError, match=match):
            recall(store)
        with pytest.raises(StateError, match=match):
            remember(store, b"x", alone=True)


def refused_anew(match):
    store = opened(CONFIG, SETTINGS)
    refused(store, match)
    store.close()


def test_each_configuration_has_a_file_of_its_own_in_the_state_folder(own_home):
    assert path_of("/a/wasmguard.toml") != path_of("/b/wasmguard.toml")
    assert os.path.dirname(path_of("/a/x")) == os.path.join(places.state_dir(), "state")
    assert len(os.path.basename(path_of("/a/x"))) == 32 + len(".db")


def test_the_file_is_its_owners_alone_and_so_is_all_that_comes_with_it(store, path):
    remember(store, b"x")
    folder = os.path.dirname(path)
    assert {name.partition(".")[2] for name in os.listdir(folder)} == {"db", "db-wal", "db-shm"}
    assert {os.stat(os.path.join(folder, name)).st_mode & 0o777 for name in os.listdir(folder)} == {0o600}
    assert os.stat(folder).st_mode & 0o777 == 0o700


def test_making_leaves_one_whole_file_and_nothing_else(path):
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def test_of_many_that_make_it_at_the_same_time_one_wins(own_home):
    threads = [threading.Thread(target=make, args=(CONFIG, SETTINGS)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    path = path_of(CONFIG)
    assert [n for n in os.listdir(os.path.dirname(path)) if not n.endswith(("-wal", "-shm"))] == [
        os.path.basename(path)
    ]
    store = opened(CONFIG, SETTINGS)
    assert remember(store, b"x")
    store.close()


def test_a_new_file_does_not_take_up_the_log_of_an_older_one(path):
    """A process that was killed leaves its log behind."""
    before = "from tests.state.turns import *; import os; remember(opened(CONFIG, {'store': 'sqlite'}), b'old')"
    code = f"import sys; sys.path.insert(0, {os.getcwd()!r}); from wasmguard.state import opened; {before}; os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert os.path.exists(f"{path}-wal")
    os.unlink(path)
    make(CONFIG, SETTINGS)
    with contextlib.closing(opened(CONFIG, SETTINGS)) as store:
        assert recall(store) is None
        assert remember(store, b"new")


def test_a_folder_that_is_open_to_others_is_refused(store, path):
    remember(store, b"x")
    os.chmod(os.path.dirname(path), 0o755)
    refused_anew("is open to others")
    with pytest.raises(StateError, match="is open to others"):
        make(CONFIG, SETTINGS)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o400, 0o200, 0o700])
def test_a_file_with_another_mode_is_refused_and_so_is_one_that_is_read_only(store, path, mode):
    remember(store, b"x")
    os.chmod(path, mode)
    refused(store, f"has the mode {mode:o} instead of 600")
    refused_anew(f"has the mode {mode:o} instead of 600")
    os.chmod(path, 0o600)
    assert recall(store) == b"x"


def test_a_file_of_somebody_else_is_refused(store, path):
    if os.geteuid():
        pytest.skip("only root can give a file away")
    remember(store, b"x")
    os.chown(path, 12345, -1)
    refused(store, "belongs to user 12345")


def test_a_link_in_its_place_is_refused_wherever_it_leads(store, path):
    remember(store, b"x")
    store.close()
    shutil.move(path, path + ".moved")
    os.symlink(path + ".moved", path)
    refused_anew("is no regular file")
    with pytest.raises(StateError, match="is no regular file"):
        make(CONFIG, SETTINGS)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused_and_nobody_waits_for_it(own_home, path, kind):
    os.unlink(path)
    (os.mkdir if kind == "folder" else os.mkfifo)(path, 0o600)
    refused_anew("is no regular file")


def test_a_file_that_is_gone_while_we_run_is_an_error_and_not_made_again(store, path):
    remember(store, b"x")
    os.unlink(path)
    refused(store, "is gone: restore it and start anew what runs wasmguard")
    assert not os.path.lexists(path)
    refused_anew("is gone: restore it, or run `wasmguard lock`, which begins with nothing remembered")


def test_a_whole_folder_that_is_gone_is_an_error_and_not_made_again(store, path):
    remember(store, b"x")
    shutil.rmtree(os.path.dirname(path))
    refused(store, "is gone")
    refused_anew("is gone")
    assert not os.path.lexists(os.path.dirname(path))


@pytest.mark.parametrize("by", ["a new one", "a copy"])
def test_a_file_that_was_replaced_while_we_run_is_refused_until_we_start_anew(store, path, by):
    remember(store, b"x")
    shutil.copy2(path, path + ".copy")
    if by == "a new one":
        os.unlink(path)
        make(CONFIG, SETTINGS)
    else:
        os.replace(path + ".copy", path)
    refused(store, "was replaced")
    new = opened(CONFIG, SETTINGS)
    if by == "a new one":
        for end in ("-wal", "-shm"):
            os.path.lexists(path + end) and os.unlink(path + end)
        assert recall(new) is None  # the owner deleted it and locked again
    new.close()


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 5000])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_file_that_was_cut_off_is_refused(store, path, size, checkpoint):
    remember(store, b"x")
    if checkpoint:
        store.close()
        store = opened(CONFIG, SETTINGS)
        assert recall(store) == b"x"
    os.truncate(path, size)
    refused(store, "was cut off")
    store.close()
    os.truncate(path, size)
    refused_anew("is damaged|is not what wasmguard made|cannot be used|was cut off")


def overwritten(path, data):
    with open(path, "r+b") as file:
        file.write(data)


@pytest.mark.parametrize("what", ["zeros", "noise", "another database"])
def test_a_file_that_was_overwritten_while_we_run_is_refused(store, path, tmp_path, what):
    remember(store, b"x")
    store.close()
    store = opened(CONFIG, SETTINGS)
    assert recall(store) == b"x"
    size = os.stat(path).st_size
    with sqlite3.connect(tmp_path / "foreign.db") as foreign:
        foreign.execute("CREATE TABLE remembered (id INTEGER PRIMARY KEY)")
    foreign.close()
    data = {"zeros": bytes(size), "noise": os.urandom(size)}.get(what) or (tmp_path / "foreign.db").read_bytes()
    overwritten(path, data)
    refused(store, "is damaged|is not what wasmguard made|cannot be used")
    store.close()
    refused_anew("is damaged|is not what wasmguard made|cannot be used")


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA application_id = 1",
        "PRAGMA user_version = 2",
        "PRAGMA journal_mode = DELETE",
        "CREATE TABLE more (x)",
        "CREATE TRIGGER t AFTER UPDATE ON remembered BEGIN DELETE FROM remembered; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP INDEX names",
        "DROP TABLE swept",
    ],
)
def test_a_file_that_says_something_else_than_ours_is_refused(store, path, change):
    remember(store, b"x")
    store.close()
    outside = sqlite3.connect(path, isolation_level=None)
    outside.execute(change)
    outside.close()
    refused_anew("is not what wasmguard made")
    with pytest.raises(StateError, match="is not what wasmguard made"):
        make(CONFIG, SETTINGS)


@pytest.mark.parametrize("act", ["unlink", "replace"])
def test_a_log_that_is_gone_while_we_run_is_an_error(store, path, act):
    remember(store, b"x")
    os.unlink(path + "-wal")
    if act == "replace":
        open(path + "-wal", "xb").close()
    refused(store, "lost its write-ahead log")


def test_a_file_that_goes_away_while_it_is_being_opened_is_not_made(path, monkeypatch):
    monkeypatch.setattr(sqlite_file, "_private", os.unlink)
    with pytest.raises(StateError, match="unable to open"):
        File(path).connection()
    assert os.listdir(os.path.dirname(path)) == []


def test_an_empty_file_in_its_place_is_no_empty_state(own_home, path):
    os.unlink(path)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    refused_anew("was cut off")


def test_a_name_that_means_something_in_an_address_is_only_a_name(own_home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a?mode=memory#b%41 ü\udcff"))
    make(CONFIG, SETTINGS)
    store = opened(CONFIG, SETTINGS)
    assert remember(store, b"x")
    store.close()
    assert os.path.lexists(path_of(CONFIG))


def test_a_folder_where_nothing_can_be_made_is_an_error(own_home, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nobody")
    with pytest.raises(StateError, match="cannot make"):
        make(CONFIG, SETTINGS)


def test_what_was_seen_of_a_file_is_no_descriptor(path, monkeypatch):
    """Closing one would take SQLite's locks away."""
    monkeypatch.setattr(os, "open", None)
    File(path).seen()


@pytest.fixture
def whole(path):
    """The bytes of a file that remembers a few things."""
    store = opened(CONFIG, SETTINGS)
    for number in range(4):
        assert remember(store, b"state %d" % number, slot(key=f"session-{number}"))
    store.close()
    assert not os.path.lexists(path + "-wal")
    shutil.copy2(path, path + ".whole")
    return path + ".whole"


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.booleans(), st.integers(0, 2**16), st.integers(0, 7))
def test_a_bit_that_flipped_makes_no_other_state_and_no_empty_one(path, whole, anywhere, number, bit):
    with open(whole, "rb") as file:
        whole = file.read()
    places_of = range(len(whole)) if anywhere else [place for place, byte in enumerate(whole) if byte]
    damaged = bytearray(whole)
    damaged[places_of[number % len(places_of)]] ^= 1 << bit
    overwritten(path, damaged)
    store = opened(CONFIG, SETTINGS)
    for name in range(4):
        with contextlib.suppress(StateError):
            assert recall(store, slot(key=f"session-{name}")) == b"state %d" % name
    store.close()
    for end in ("-wal", "-shm"):
        if os.path.lexists(path + end):
            os.unlink(path + end)
    overwritten(path, whole)
