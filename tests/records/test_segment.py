"""A segment: made whole, known again, appended to and nothing else."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.records.appended import append, changed, decision, names
from wasmguard import spool
from wasmguard.errors import HostError
from wasmguard.records import segment
from wasmguard.records.drain import drained
from wasmguard.records.segment import START, Meta, Segment, make, numbers, path_of

KEY = bytes(32)
META = Meta(number=1, first=1, before=START, head=0, hash=START)


@pytest.fixture
def folder(tmp_path):
    folder = str(tmp_path / "records")
    make(folder, KEY, META)
    return folder


def test_a_segment_says_where_it_stands_and_its_making_leaves_nothing_beside_it(folder):
    assert os.listdir(folder) == ["000001.db"]
    with Segment(path_of(folder, 1), KEY) as made:
        assert made.meta() == META
    assert os.stat(path_of(folder, 1)).st_mode & 0o777 == 0o600


def test_none_is_put_in_the_place_of_another(folder):
    with pytest.raises(HostError, match="cannot make"):
        make(folder, KEY, META)
    with Segment(path_of(folder, 1), KEY) as still:
        assert still.meta() == META


def test_what_a_killed_maker_left_is_no_segment_and_in_nobodys_way(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir(mode=0o700)
    for end in segment.ASIDE:
        (folder / (segment.NEW + end)).write_bytes(b"half")
    assert numbers(str(folder)) == []
    make(str(folder), KEY, META)
    assert os.listdir(folder) == ["000001.db"]


def test_the_log_of_a_file_that_is_gone_is_not_taken_for_the_new_ones(folder):
    path = path_of(folder, 1)
    os.unlink(path)
    for end in segment.ASIDE[1:]:
        with open(path + end, "wb") as file:
            file.write(b"old")
    make(folder, KEY, META)
    with Segment(path, KEY) as made:
        assert made.meta() == META


def test_segments_are_in_the_order_of_their_numbers_and_other_names_are_none(folder):
    for name in ("000010.db", "000002.db", "1000000.db", "2.db", "0000011.db", "x.db", "000003.db-wal", "٣٣٣٣٣٣.db"):
        shutil.copy(path_of(folder, 1), os.path.join(folder, name))
    assert numbers(folder) == [1, 2, 10, 1_000_000]


@pytest.mark.parametrize("table", ["records", "lines"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET seq = seq + 1"])
def test_records_and_lines_are_appended_and_nothing_else(own_home, table, statement):
    append(decision())
    drained()
    with (
        closing(sqlite3.connect(path_of(spool.folder(), 1))) as opened,
        pytest.raises(sqlite3.IntegrityError, match="append only"),
    ):
        opened.execute(statement.format(table))


def test_under_another_key_it_is_not_ours(folder):
    with Segment(path_of(folder, 1), b"k" * 32) as other, pytest.raises(HostError, match="says something else"):
        other.meta()


@pytest.mark.parametrize("name", [*Meta._fields, "mac"])
def test_all_that_it_says_of_itself_is_under_the_mac(folder, name):
    value = 7 if isinstance(META.as_dict().get(name), int) else b"\1" * 32
    changed(path_of(folder, 1), ("UPDATE meta SET value = ? WHERE name = ?", value, name))
    with Segment(path_of(folder, 1), KEY) as one, pytest.raises(HostError, match="says something else"):
        one.meta()


@pytest.mark.parametrize(
    "how", ["DELETE FROM meta WHERE name = 'head'", "UPDATE meta SET value = 2 WHERE name = 'format'"]
)
def test_one_that_does_not_say_all_of_it_is_refused(folder, how):
    changed(path_of(folder, 1), (how,))
    with Segment(path_of(folder, 1), KEY) as one, pytest.raises(HostError, match="does not say where it stands"):
        one.meta()


def test_one_under_another_number_is_refused(folder):
    os.rename(path_of(folder, 1), path_of(folder, 2))
    with Segment(path_of(folder, 2), KEY) as one, pytest.raises(HostError, match="says something else"):
        one.meta()


def test_a_schema_with_anything_more_or_less_is_refused(folder):
    changed(path_of(folder, 1), ("CREATE VIEW extra AS SELECT 1",))
    with pytest.raises(HostError, match="not what wasmguard made"):
        Segment(path_of(folder, 1), KEY)
    changed(path_of(folder, 1), ("DROP VIEW extra",), ("DROP TABLE blobs",))
    with pytest.raises(HostError, match="not what wasmguard made"):
        Segment(path_of(folder, 1), KEY)


def test_what_is_open_to_others_a_link_a_pipe_or_garbage_is_refused(folder, tmp_path):
    path = path_of(folder, 1)
    os.chmod(path, 0o640)
    with pytest.raises(HostError, match="open to others"):
        Segment(path, KEY)
    os.rename(path, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(HostError, match="no regular file"):
        Segment(path, KEY)
    os.unlink(path)
    os.mkfifo(path, 0o600)
    with pytest.raises(HostError, match="no regular file"):
        Segment(path, KEY)
    os.unlink(path)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        file.write(b"garbage" * 1000)
    with pytest.raises(HostError, match="damaged"):
        Segment(path, KEY)


def test_opening_makes_nothing(folder):
    with pytest.raises(HostError, match="cannot be seen"):
        Segment(path_of(folder, 2), KEY)
    assert os.listdir(folder) == ["000001.db"]


def test_a_drain_leaves_no_log_behind(own_home):
    append(decision())
    drained()
    assert names() == ["000001.db", "lock"]
