"""The chain: whatever somebody changes in a database, it is found."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.appended import append, changed, decision, rows
from wasmguard import spool
from wasmguard.errors import HostError
from wasmguard.records.chain import canonical, checked, head, link
from wasmguard.records.drain import drained
from wasmguard.records.segment import START, Segment, path_of

SMALL = {"segment": 1, "size": 2**40, "keep": 36_500}  # a segment for each drain

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_canonical_json_is_ascii_and_says_the_same(value):
    body = canonical(value)
    assert body.isascii()
    assert canonical(json.loads(body)) == body
    assert json.loads(body) == value


def test_keys_of_a_record_are_sorted_and_those_of_what_was_judged_stand_as_they_came():
    record = {"z": 1, "fields": {"b": {"y": 1, "x": 2}, "a": 3}, "verdicts": [{"us": 1, "policy": "p"}]}
    assert canonical(record) == b'{"fields":{"b":{"y":1,"x":2},"a":3},"verdicts":[{"policy":"p","us":1}],"z":1}'


def test_bytes_are_hexadecimal_and_lone_surrogates_are_escaped():
    assert canonical({"b": b"\x00\xff", "a": "\ud800é"}) == b'{"a":"\\ud800\\u00e9","b":"00ff"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {b"key": 1}, {1, 2}])
def test_what_json_cannot_say_is_an_error(value):
    with pytest.raises(ValueError):  # noqa: PT011  # of several kinds
        canonical({"x": value})


def test_each_hash_is_of_the_one_before_the_number_and_the_record(own_home):
    append(decision(1), decision(2))
    drained()
    hash_ = START
    for seq, kept, body in rows("SELECT seq, hash, body FROM records ORDER BY seq"):
        hash_ = sha256(hash_ + seq.to_bytes(8, "big") + body.encode()).digest()
        assert hash_ == kept
    assert head() == (2, hash_.hex())
    assert link(START, 1, b"{}") == sha256(bytes(32) + b"\0\0\0\0\0\0\0\1{}").digest()


def test_without_a_database_the_head_is_zeros_and_nothing_is_broken(own_home):
    assert head() == (0, "00" * 32)
    assert list(checked()) == []


@pytest.fixture
def segments(own_home):
    """Three segments with two records each, which are whole."""
    for place in range(3):
        append(decision(2 * place), decision(2 * place + 1, effect="pass", verdicts=[{"policy": "a", "us": 1.0}]))
        drained(SMALL)
    assert list(checked()) == []
    assert head()[0] == 6
    return [path_of(spool.folder(), number) for number in (1, 2, 3)]


def what():
    return [(flaw.segment, flaw.seq, flaw.what) for flaw in checked()]


def test_it_tells_how_far_it_is(segments, monkeypatch):
    monkeypatch.setattr("wasmguard.records.chain.STEP", 2)
    told = []
    assert not list(checked(said=told.append))
    assert told == [2, 4, 6]


def test_every_byte_of_every_body_counts(segments):
    before = START
    for seq, kept, body in rows("SELECT seq, hash, body FROM records ORDER BY seq"):
        data = body.encode()
        for at in range(len(data)):
            assert link(before, seq, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) != kept
        before = kept


@pytest.mark.parametrize("seq", [1, 4, 6])
def test_a_flipped_byte_is_found_in_the_database(segments, seq):
    path = segments[(seq - 1) // 2]
    ((body,),) = rows("SELECT body FROM records WHERE seq = ?", seq)
    for at in range(seq, len(body), 97):
        flipped = body[:at] + chr(ord(body[at]) ^ 1) + body[at + 1 :]
        changed(path, ("UPDATE records SET body = ? WHERE seq = ?", flipped, seq))
        assert (os.path.basename(path), seq, "the record was changed") in what()
    changed(path, ("UPDATE records SET body = ? WHERE seq = ?", body, seq))
    assert not what()
    changed(path, ("UPDATE records SET body = ? WHERE seq = ?", body.encode(), seq))  # the same bytes, but no text
    assert what()


COLUMNS = [
    ("records", "hash", b"\1" * 32),
    ("records", "hash", "text"),
    ("lines", "id", b"0123456789"),
    *(("lines", name, 77) for name in ("time", "kind", "event", "tool", "effect", "policy", "session", "agent")),
    *(("lines", name, 77) for name in ("call", "us", "fuel", "flags")),
    *(("lines", name, None) for name in ("policy", "call", "us")),
    ("lines", "seq", 99),
    ("records", "seq", 99),
    ("words", "word", "other"),
    ("words", "id", 99),
    ("counts", "n", 99),
    ("counts", "hour", 99),
    ("counts", "what", "other"),
    ("counts", "name", "other"),
    ("blobs", "data", b"other"),
    ("blobs", "digest", b"\1" * 32),
    ("meta", "value", 99),
]


@pytest.mark.parametrize(("table", "column", "value"), COLUMNS)
def test_every_column_of_every_table_counts(segments, table, column, value):
    with closing(sqlite3.connect(segments[1])) as opened:
        key = {"counts": "what = 'effect' AND name = 'deny'"}.get(table)
        if key is None:
            name = opened.execute(f"SELECT name FROM pragma_table_info('{table}') WHERE pk").fetchone()[0]
            key = f"{name} = (SELECT min({name}) FROM {table})"
    changed(segments[1], (f"UPDATE {table} SET {column} = ? WHERE {key}", value))
    assert {flaw.segment for flaw in checked()} >= {"000002.db"}


@pytest.mark.parametrize("table", ["records", "lines", "words", "counts", "blobs", "meta"])
def test_rows_that_are_gone_are_missed(segments, table):
    rowid = "rowid" if table != "counts" else "what"
    changed(segments[1], (f"DELETE FROM {table} WHERE {rowid} = (SELECT min({rowid}) FROM {table})",))
    assert {flaw.segment for flaw in checked()} >= {"000002.db"}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO lines SELECT 99, x'00', time, kind, event, tool, effect, policy, session, agent, call, us, fuel,"
        " flags FROM lines LIMIT 1",
        "INSERT INTO words VALUES (99, 'more')",
        "INSERT INTO counts VALUES (1, 'more', 'x', 1)",
        "INSERT INTO blobs VALUES (x'00', x'00')",
        "INSERT INTO meta VALUES ('more', 1)",
        "INSERT INTO records VALUES (99, x'00', '{}')",
        "INSERT INTO records VALUES (-1, x'00', '{}')",
    ],
)
def test_rows_that_are_new_are_found(segments, statement):
    changed(segments[1], (statement,))
    assert {flaw.segment for flaw in checked()} >= {"000002.db"}


def test_records_that_changed_places_are_found(segments):
    swap = "UPDATE {0} SET seq = CASE seq WHEN 3 THEN -4 WHEN 4 THEN -3 END"
    back = "UPDATE {0} SET seq = -seq"
    changed(segments[1], *((text.format(table),) for table in ("records", "lines") for text in (swap, back)))
    assert ("000002.db", 3, "the record was changed") in what()


@pytest.mark.parametrize("seq", [5, 6])
def test_a_tail_that_was_cut_off_is_found_and_nothing_is_appended_to_what_is_left(segments, seq):
    changed(segments[2], ("DELETE FROM records WHERE seq >= ?", seq), ("DELETE FROM lines WHERE seq >= ?", seq))
    assert any("records at its end are gone" in why for _, _, why in what())
    append(decision(99))
    with pytest.raises(HostError, match="does not end where it ended"):
        drained()
    assert spool.waiting()


def test_a_chain_that_was_hashed_anew_does_not_have_the_mac(segments):
    (body,), (hash_,) = (
        rows(f"SELECT {name} FROM records WHERE seq = ?", seq)[0] for name, seq in (("body", 6), ("hash", 5))
    )
    forged = body.replace("pass", "deny")
    new = link(hash_, 6, forged.encode())
    changed(
        segments[2],
        ("UPDATE records SET body = ?, hash = ? WHERE seq = 6", forged, new),
        ("UPDATE meta SET value = ? WHERE name = 'hash'", new),
    )
    assert any("says something else than wasmguard wrote" in why for _, _, why in what())
    with pytest.raises(HostError, match="says something else"):
        head()


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_segment_that_is_gone_is_missed(segments, gone):
    os.unlink(segments[gone])
    assert any("gone" in why for _, _, why in what())


def test_without_its_newest_segment_nothing_is_appended(segments):
    os.unlink(segments[2])
    append(decision(99))
    with pytest.raises(HostError, match="is gone, the newest records"):
        drained(SMALL)
    assert spool.waiting()


def test_a_segment_in_the_place_of_another_and_an_old_copy_are_found(segments):
    shutil.copy(segments[1], segments[1] + ".kept")
    shutil.copy(segments[0], segments[1])
    assert what()
    os.replace(segments[1] + ".kept", segments[1])
    assert not what()


def test_an_old_copy_of_a_segment_that_has_a_follower_is_found(own_home):
    append(decision(1))
    drained()
    path = path_of(spool.folder(), 1)
    shutil.copy(path, path + ".kept")
    append(decision(2))
    drained()
    append(decision(3))
    drained(SMALL)
    os.replace(path + ".kept", path)
    assert ("000002.db", 3, "it does not go on where the segment before it ended") in what()


def test_the_bytes_of_the_file_count(segments):
    with open(segments[1], "rb") as file:
        data = file.read()
    for at in range(100, len(data), 4999):
        with open(segments[1], "r+b") as file:
            file.seek(at)
            file.write(bytes([data[at] ^ 0xFF]))
        if not list(checked()):  # no page that is used has that byte, or nothing reads it: then all says what it said
            with Segment(segments[1], spool.key()) as segment:
                assert segment.execute("SELECT count(*) FROM records").fetchone() == (2,)
        with open(segments[1], "wb") as file:
            file.write(data)


def test_it_may_be_looked_at_while_records_are_appended(segments):
    looking = checked()
    append(decision(50))
    drained(SMALL)
    assert list(looking) == []
