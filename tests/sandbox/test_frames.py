"""The frames between the process that decides and its cell: what was written is read, and nothing else is."""

import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.sandbox import failure, frames

NUMBER = b"12345678"
U64 = st.integers(0, 2**64 - 1)


def reading(data):
    """Reads *data* piece by piece, as a channel would give it."""
    place = 0

    def exactly(size):
        nonlocal place
        place += size
        if place > len(data):
            raise ConnectionResetError
        return data[place - size : place]

    return exactly


def test_a_request_is_read_as_it_was_written():
    frame = frames.request(7, NUMBER, b"data")
    assert frames.asked(frame) == (7, 4, NUMBER)
    assert frame[frames.HEAD :] == b"data"
    assert frames.more(frame)


def test_a_request_may_say_that_the_next_one_is_not_worth_looking_for():
    frame = frames.request(7, NUMBER, b"data", more=False)
    assert frames.asked(frame) == (7, 4, NUMBER)
    assert not frames.more(frame)


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("guest", [0, 7, 2**30 - 1])
def test_a_request_says_whether_it_is_asked_at_once(more, at_once, guest):
    frame = frames.request(guest, NUMBER, b"data", more=more, at_once=at_once)
    assert frames.asked(frame) == (guest, 4, NUMBER)
    assert (frames.more(frame), frames.at_once(frame)) == (more, at_once)


def test_little_was_not_enough_only_for_who_was_given_little():
    frame = frames.failed(NUMBER, (failure.NOT_AT_ONCE, 11, 0, ""), 100)
    with pytest.raises(ValueError, match="no known kind"):
        frames.reply(frame, NUMBER, most=10, fuel=100)
    assert frames.reply(frame, NUMBER, most=10, fuel=100, at_once=True)[:3] == (failure.NOT_AT_ONCE, 100, 11)
    frame = frames.failed(NUMBER, (failure.NOT_AT_ONCE + 1, 0, 0, ""), 1)
    with pytest.raises(ValueError, match="no known kind"):
        frames.reply(frame, NUMBER, most=10, fuel=100, at_once=True)


def test_who_has_several_to_answer_does_not_look():
    watch = frames.Watch(50_000)
    assert watch.spin == 50_000
    watch.crowded = True
    assert watch.spin == 0
    assert frames.Watch(0).spin == 0


@pytest.mark.parametrize("spin", [0, 1, 100_000_000])
def test_what_is_there_is_found_by_looking_and_by_sleeping(spin):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x" * 100)
        look = frames.Look()
        assert frames.received(ours, 60, spin, look) == b"x" * 60
        assert frames.received(ours, 60, spin, look) == b"x" * 40
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            frames.looked(ours, 60, min(spin, 1_000))


def test_who_looked_in_vain_sleeps_through_more_and_more_waits(monkeypatch):
    looks, there = [], []

    def looked(*_):
        looks.append(True)
        if there:
            return b"x"
        raise BlockingIOError

    monkeypatch.setattr(frames, "looked", looked)
    look = frames.Look()

    def slept():
        """Waits until it looks again."""
        looks.clear()
        for waits in range(1000):
            with suppress(BlockingIOError):
                look.at(None, 1, 50)
            if looks:
                return waits
        raise AssertionError("it never looks again")

    assert [slept() for _ in range(9)] == [0, 1, 2, 4, 8, 16, 32, 64, 64]
    there.append(True)
    assert [slept() for _ in range(4)] == [64, 0, 0, 0]
    there.clear()
    assert [slept() for _ in range(3)] == [0, 1, 2]


def test_who_does_not_look_looks_in_vain_never():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        look = frames.Look()
        for _ in range(3):
            with pytest.raises(BlockingIOError):
                look.at(ours, 60, 0)
        theirs.send(b"x")
        assert look.at(ours, 60, 100_000_000) == b"x"


@given(st.binary(max_size=100), st.integers(0, 1000))
def test_an_answer_is_read_as_it_was_written(answer, fuel):
    frame = frames.answered(NUMBER, answer, fuel)
    assert frames.reply(frame, NUMBER, most=100, fuel=1000) == (frames.ANSWER, fuel, 0, 0, len(answer))
    assert frame[frames.REPLY :] == answer


@given(st.integers(1, failure.LAST), U64, U64, st.text(max_size=500), st.none() | st.integers(0, 1000))
def test_a_failure_is_read_as_it_was_written(kind, first, second, text, fuel):
    frame = frames.failed(NUMBER, (kind, first, second, text), fuel)
    said = text.encode("utf-8", "replace")
    assert frames.reply(frame, NUMBER, most=0, fuel=1000) == (kind, fuel, first, second, len(said))
    assert frame[frames.REPLY :] == said


def test_numbers_that_a_guest_made_fit_whatever_they_are():
    frame = frames.failed(NUMBER, (failure.RANGE, -1, 2**70, ""), 0)
    assert frames.reply(frame, NUMBER, most=0, fuel=0)[2:4] == (2**64 - 1, 0)


@given(st.binary(min_size=frames.REPLY, max_size=frames.REPLY))
def test_whatever_stands_in_a_head_it_is_held_against_its_limits(head):
    try:
        kind, fuel, _, _, length = frames.reply(head, head[1:9], most=100, fuel=1000)
    except ValueError:
        return
    assert kind <= failure.LAST
    assert length <= (100 if kind == frames.ANSWER else 2000)
    assert fuel is None or fuel <= 1000
    assert fuel is not None or kind != frames.ANSWER


@pytest.mark.parametrize(
    "frame",
    [
        frames.answered(b"another!", b"x", 1),
        frames.answered(NUMBER, b"x" * 11, 1),
        frames.answered(NUMBER, b"x", 101),
        frames.answered(NUMBER, b"x", frames.NO_FUEL),
        frames.failed(NUMBER, (failure.LAST + 1, 0, 0, ""), 1),
        frames.failed(NUMBER, (1, 0, 0, ""), 101),
        frames.failed(NUMBER, (5, 0, 0, "x" * 2001), 1),
    ],
)
def test_what_an_honest_cell_would_not_say_is_an_error(frame):
    with pytest.raises(ValueError, match=r"reply|fuel"):
        frames.reply(frame, NUMBER, most=10, fuel=100)


def test_a_report_is_read_as_it_was_written_and_cleaned():
    frame = frames.ready({"isolation": "full", "landlock": 7, "why": "a\x1b[31mb"}, ["", "no \u202eway\n"])
    report, why = frames.told(reading(frame), 2)
    assert report == {"isolation": "full", "landlock": 7, "why": "a\ufffd[31mb"}
    assert why == ["", "no \ufffdway "]


NO_REPORTS = [b"", b"{", b"[]", b"null", b"\xff", b"{}", b'{"report":{"a":1}}', b'{"report":[],"guests":[""]}']
NO_REPORTS += [b'{"report":{},"guests":[""]}', b'{"report":{"a":1},"guests":""}', b'{"report":{"a":1},"guests":[null]}']
NO_REPORTS += [b'{"report":{"a":1},"guests":["",""]}', b'{"report":{"error":1},"guests":[""]}', b"[" * 100_000]


@pytest.mark.parametrize("header", NO_REPORTS, ids=range(len(NO_REPORTS)))
def test_anything_else_is_no_report(header):
    with pytest.raises(ValueError, match=r"."):
        frames.told(reading(len(header).to_bytes(8, "big") + header), 1)


def test_a_header_that_is_too_long_is_not_even_read():
    with pytest.raises(ValueError, match="too long"):
        frames.told(reading((frames.LARGEST_REPORT + 1).to_bytes(8, "big")), 1)
