"""What is given up: whole segments, the oldest first, and the chain says so."""

import os
from time import time_ns

import pytest

from tests.records.appended import append, decision, names, rows
from wasmguard import spool
from wasmguard.records import retention
from wasmguard.records.chain import checked
from wasmguard.records.drain import Drained, drained
from wasmguard.records.segment import path_of

DAY = 86_400_000
KEPT = {"segment": 1, "size": 2**40, "keep": 90}


def add(place, days_ago):
    now = time_ns() // 1_000_000 - days_ago * DAY
    append(decision(place, time=now))


def segments():
    return [name for name in names() if name.endswith(".db")]


def retired():
    return rows(
        "SELECT json_extract(body, '$.first'), json_extract(body, '$.last') FROM records WHERE body LIKE '%retired%'"
    )


def whole():
    return not list(checked())


def test_a_segment_whose_records_are_too_old_goes_and_a_record_says_so(own_home):
    for place, days in enumerate((200, 100, 10)):
        add(place, days)
        drained(KEPT | {"keep": 36_500})
    add(3, 0)
    drained(KEPT)
    assert [len(rows(f"SELECT 1 FROM lines WHERE call = 'toolu_{place}'")) for place in range(4)] == [0, 0, 1, 1]
    assert retired() == [(1, 1), (2, 2)]
    assert whole()


def test_when_all_are_too_large_the_oldest_go_but_never_the_last(own_home):
    for place in range(5):
        add(place, 0)
        drained(KEPT)
    size = sum(os.path.getsize(path_of(spool.folder(), number)) for number in range(1, 6))
    add(5, 0)
    drained(KEPT | {"size": size // 2})
    assert rows("SELECT min(seq) FROM records")[0][0] > 1
    assert whole()
    add(6, 0)
    drained(KEPT | {"size": 1})
    assert rows("SELECT 1 FROM lines WHERE call = 'toolu_6'") == [(1,)]
    assert whole()


def test_without_an_owners_word_everything_stays(own_home):
    add(0, 4_000)
    drained(KEPT | {"keep": 36_500})
    add(1, 0)
    drained()
    assert retired() == []


def test_a_segment_that_was_begun_long_ago_is_closed_so_that_it_can_grow_old(own_home):
    add(0, 30)
    drained(KEPT | {"segment": 2**30})
    assert segments() == ["000001.db", "000002.db"]
    add(1, 1)
    drained(KEPT | {"segment": 2**30})
    assert segments() == ["000001.db", "000002.db"]
    assert whole()


def test_who_is_killed_before_the_file_is_gone_leaves_that_to_the_next(own_home, monkeypatch):
    for place, days in enumerate((200, 0)):
        add(place, days)
        drained(KEPT | {"keep": 36_500})
    with monkeypatch.context() as patch:
        patch.setattr(retention, "remove", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        add(2, 0)
        with pytest.raises(KeyboardInterrupt):
            drained(KEPT)
    assert "000001.db" in segments()
    assert whole()
    add(3, 0)
    assert drained() == Drained(moved=1)
    assert "000001.db" not in segments()
    assert len(retired()) == 1
    assert whole()


def test_one_that_nobody_gave_up_is_missed_behind_those_that_were(own_home):
    for place, days in enumerate((200, 0, 0)):
        add(place, days)
        drained(KEPT | {"keep": 36_500})
    add(3, 0)
    drained(KEPT)
    assert segments()[0] == "000002.db"
    assert whole()
    os.unlink(path_of(spool.folder(), 2))
    assert not whole()


def test_a_record_that_comes_again_from_a_segment_that_is_there_is_known_after_others_went(own_home):
    for place, days in enumerate((200, 0, 0)):
        add(place, days)
        drained(KEPT | {"keep": 36_500})
    append(decision(1), decision(9))
    assert drained(KEPT).moved == 1
    assert whole()
