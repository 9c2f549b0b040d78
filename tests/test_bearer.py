"""The token of the HTTP port: private, made once, compared whole."""

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from wasmguard import bearer, places
from wasmguard.errors import CacheError, HostError

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def kept():
    """A token's file, made."""
    bearer.token(create=True)
    return Path(bearer.path())


def test_a_token_is_32_random_bytes_in_a_file_of_the_owners_alone(kept):
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", bearer.token())
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert kept.read_text(encoding="ascii") == bearer.token() + "\n"
    assert [path.name for path in kept.parent.iterdir()] == ["token"]


def test_another_user_has_another_token(kept, tmp_path):
    first = bearer.token()
    places.tell(state=str(tmp_path / "other"))
    try:
        assert bearer.token(create=True) != first
    finally:
        places.tell()


def test_a_token_that_is_there_stays(kept):
    first = bearer.token()
    assert bearer.token(create=True) == first


def test_without_one_nobody_makes_one_by_reading():
    with pytest.raises(
        HostError, match=r"there is no token at .*: run `wasmguard install claude-code --transport http`"
    ):
        bearer.token()
    assert not os.path.lexists(os.path.dirname(bearer.path()))


def test_of_many_who_make_it_at_once_one_wins():
    start, tokens = threading.Barrier(16), []

    def make():
        start.wait(timeout=10)
        tokens.append(bearer.token(create=True))

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 16
    assert set(tokens) == {bearer.token()}
    assert os.listdir(os.path.dirname(bearer.path())) == ["token"]


def test_who_comes_second_writes_over_nothing(kept):
    first = bearer.token()
    bearer._make(str(kept))
    assert bearer.token() == first
    assert os.listdir(kept.parent) == ["token"]


def test_a_token_that_others_could_read_is_not_used(kept):
    kept.chmod(0o640)
    for create in (False, True):
        with pytest.raises(HostError, match=r"open to others \(mode 640\): delete it"):
            bearer.token(create)


def test_a_link_is_not_followed(kept):
    kept.rename(kept.with_name("elsewhere"))
    kept.symlink_to("elsewhere")
    for create in (False, True):
        with pytest.raises(HostError, match="cannot be read"):
            bearer.token(create)


def test_a_link_to_nothing_is_not_written_through(kept, tmp_path):
    kept.unlink()
    kept.symlink_to(tmp_path / "made")
    with pytest.raises(HostError):
        bearer.token(create=True)
    assert not (tmp_path / "made").exists()


def test_a_pipe_in_its_place_holds_nobody_up(kept):
    kept.unlink()
    os.mkfifo(kept, 0o600)
    with pytest.raises(HostError, match="no regular file"):
        bearer.token()


def test_somebody_elses_token_is_not_used(kept, monkeypatch):
    monkeypatch.setattr("wasmguard.bearer.private_folder", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    with pytest.raises(HostError, match=f"belongs to user {os.getuid()}"):
        bearer.token()


def test_a_folder_that_is_open_to_others_keeps_no_token(kept):
    kept.parent.chmod(0o755)
    for create in (False, True):
        with pytest.raises(CacheError, match="open to others"):
            bearer.token(create)


@pytest.mark.parametrize("text", ["", "\n", "x" * 42, "x" * 44, "x" * 42 + "é", "x" * 21 + "\n" + "x" * 21, " " * 43])
def test_what_is_no_token_is_not_used_and_not_replaced(kept, text):
    kept.write_text(text, encoding="utf-8")
    for create in (False, True):
        with pytest.raises(HostError, match="holds no token: delete it and install again"):
            bearer.token(create)
    assert kept.read_text(encoding="utf-8") == text


def test_a_folder_that_cannot_be_written_is_an_error(kept, monkeypatch):
    kept.unlink()

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(HostError, match="cannot be written: no space left on device"):
        bearer.token(create=True)
    assert os.listdir(kept.parent) == []


def test_half_a_token_is_none(kept, monkeypatch):
    kept.unlink()
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:10]))
    with pytest.raises(HostError, match="cannot be written: half of it was"):
        bearer.token(create=True)
    assert os.listdir(kept.parent) == []


def test_only_the_whole_token_is_the_same():
    assert bearer.same("abc", "abc")
    assert bearer.same(b"abc", "abc")
    for other in ("", "ab", "abcd", "abd", "ABC", "abc ", "abc\n", "é", "\ud800", b"\xff", b""):
        assert not bearer.same(other, "abc")


def test_an_empty_token_is_nobodys():
    assert not bearer.same("", "")
    assert not bearer.same(b"", "")
