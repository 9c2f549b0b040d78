"""The segments that are there, read and nothing else."""

import os
import sqlite3
from pathlib import Path

import pytest

from tests.records.spooled import decision, kept, many
from wasmguard import spool
from wasmguard.errors import HostError
from wasmguard.records import found, query, segment
from wasmguard.records.found import Odd, asked, each, segments


@pytest.fixture(autouse=True)
def _home(own_home):
    return own_home


def number(connection):
    return connection.execute("SELECT count(*) FROM records").fetchone()[0]


def test_without_a_folder_there_are_no_segments():
    assert segments() == []


def test_segments_come_oldest_first():
    many(200)
    names = [os.path.basename(path) for path in segments()]
    assert names == sorted(names)
    assert len(names) > 2
    assert sum(each(number)) == 200
    assert list(each(number, newest=True)) == list(each(number))[::-1]


def test_what_is_no_segment_is_left_alone():
    kept(decision())
    for name in ("new.db", "x.db", "1.db", "000002.txt"):
        Path(spool.folder(), name).write_text("?")
    assert [os.path.basename(path) for path in segments()] == ["000001.db"]


def test_a_segment_that_is_gone_is_no_error():
    many(200)
    first, *others = segments()
    segment.remove(first)
    assert asked(first, number) is None
    assert len(list(each(number))) == len(others)


def test_a_segment_that_goes_while_it_is_read_is_no_error():
    kept(decision())
    (path,) = segments()

    def gone(connection):
        segment.remove(path)
        raise sqlite3.OperationalError("disk I/O error")

    assert asked(path, gone) is None


def test_retention_may_take_segments_away_between_two_pages(monkeypatch):
    made = many(200)
    monkeypatch.setattr(query, "PAGE", 10)
    seen = []
    for record in query.records():
        seen.append(record.body["id"])
        if len(seen) == 5:
            for path in segments()[:2]:
                segment.remove(path)
    assert 5 <= len(seen) < 200
    assert seen[-1] == made[-1]["id"].hex()


def test_nothing_can_be_written():
    kept(decision())
    (path,) = segments()
    for change in ("INSERT INTO words VALUES (99, 'x')", "CREATE TABLE more (x)", "DELETE FROM counts"):
        with pytest.raises(HostError):
            asked(path, lambda connection, change=change: connection.execute(change))
    assert asked(path, number) == 1


def overwritten(path):
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))


def beheaded(path):
    path.write_bytes(b"\xff" * 4096 + path.read_bytes()[4096:])


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [overwritten, beheaded, cut])
def test_a_damaged_segment_is_named_with_what_to_do(damage):
    kept(*(decision(call=str(place)) for place in range(50)))
    damage(Path(segments()[0]))
    for question in (lambda: [*query.records()], lambda: [*query.lines()], query.counts, query.state):
        with pytest.raises(HostError, match=r"000001\.db.*wasmguard verify"):
            question()


def test_a_file_that_is_no_database_is_named():
    kept(decision())
    Path(segments()[0]).write_bytes(b"nothing of ours" * 1000)
    with pytest.raises(HostError, match=r"000001\.db.*wasmguard verify"):
        query.state()


def test_an_empty_file_is_no_segment_without_records():
    kept(decision())
    Path(segments()[0]).write_bytes(b"")
    with pytest.raises(HostError, match="is not what wasmguard made"):
        query.lines(newest=1)


def test_a_segment_that_is_open_to_others_is_not_read():
    kept(decision())
    Path(segments()[0]).chmod(0o644)
    with pytest.raises(HostError, match="is open to others"):
        query.lines(newest=1)


def test_a_symbolic_link_is_no_segment(tmp_path):
    kept(decision())
    path = Path(segments()[0])
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(HostError, match="is no regular file"):
        query.lines(newest=1)


def test_what_is_odd_names_the_segment():
    kept(decision())

    def odd(connection):
        raise Odd("record 3 is none")

    with pytest.raises(HostError, match=r"000001\.db` is damaged: record 3 is none: run `wasmguard verify"):
        asked(segments()[0], odd)


def test_who_holds_a_segment_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(segment, "WAIT", 0.05)
    kept(decision())
    holder = sqlite3.connect(segments()[0], isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("INSERT INTO words VALUES (99, 'x')")
    try:
        with pytest.raises(HostError, match="held it"):
            query.lines(newest=1)
    finally:
        holder.close()


def test_records_are_read_while_others_are_written():
    kept(decision())
    writer = sqlite3.connect(segments()[0], isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO words VALUES (99, 'x')")
    try:
        assert len(query.lines(newest=5)) == 1
    finally:
        writer.close()


def test_what_was_committed_is_read_after_its_writer_was_killed():
    """The log that a killed writer leaves behind is read, though nobody may bring it home here."""
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            kept(decision())
            writer = sqlite3.connect(segments()[0], isolation_level=None)
            writer.execute("INSERT INTO words VALUES (99, 'only in the log')")
        finally:
            os._exit(0)  # no connection is closed
    os.waitpid(child, 0)
    (path,) = segments()
    assert os.path.getsize(path + "-wal")
    assert asked(path, lambda c: c.execute("SELECT word FROM words WHERE id = 99").fetchone()) == ("only in the log",)
    assert found.segments() == [path]
