"""Files are replaced together, whole, or none of them is."""

import os

import pytest

from wasmguard.workshop.files import replace_files


def seen(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_files_are_made_and_replaced_and_others_may_read_them_only(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o600)
    replace_files({tmp_path / "a": b"new", tmp_path / "b": b""})
    assert seen(tmp_path) == {"a": b"new", "b": b""}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


@pytest.mark.parametrize("at", [1, 2])
def test_none_is_replaced_before_all_are_written(tmp_path, monkeypatch, at):
    (tmp_path / "a").write_bytes(b"old")
    calls = []

    def full(_):
        calls.append(1)
        if len(calls) == at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_files({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert seen(tmp_path) == {"a": b"old"}


def test_a_folder_in_the_place_of_a_file_leaves_the_others_as_they_were(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_files({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert seen(tmp_path) == {"a": b"old"}
    assert len(list(tmp_path.iterdir())) == 2
