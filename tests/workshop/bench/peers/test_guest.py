"""The small guard as a guest: one text, three ways to ask it."""

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from tests.workshop.bench.peers.asking import EVENTS, given
from wasmguard.errors import GuestFault, InvalidAnswer
from wasmguard.sandbox.naive import Naive
from wasmguard.workshop.bench.peers.guest import ABI, asked, module, stops
from wasmguard.workshop.bench.peers.peer import denied

GUEST = Naive(module(ABI))
PARTS = ["rm", " ", "-", "r", "f", "rm -rf", "/", "etc", "/etc/", "é", "\n", "x" * 300]
TEXT = st.lists(st.sampled_from(PARTS), max_size=6).map("".join)
TREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=17) | st.dictionaries(TEXT, inner, max_size=17),
    max_leaves=10,
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_the_guest_says_what_the_small_guard_says(event):
    assert stops(GUEST.evaluate(asked(event))) is denied(event.fields)


@examples(
    tool=st.sampled_from(["Bash", "Write", "Edit", "Read", "Bas", "Bashes", ""]),
    command=TEXT,
    path=TEXT,
    more=st.dictionaries(TEXT, TREE, max_size=5),
)
def test_whatever_else_an_event_holds_changes_nothing(tool, command, path, more):
    event = given(tool, {**more, "command": command, "file_path": path}, more=more)
    assert stops(GUEST.evaluate(asked(event))) is denied(event.fields)


@pytest.mark.parametrize("cut", [0, 1, 7, 40, -1])
def test_half_a_request_is_no_pass(cut):
    with pytest.raises(GuestFault):
        GUEST.evaluate(asked(EVENTS[0])[:cut])


def test_more_than_a_request_is_no_pass():
    with pytest.raises(GuestFault):
        GUEST.evaluate(asked(EVENTS[4]) + b"\xc0")


def test_half_an_answer_is_none():
    with pytest.raises(InvalidAnswer):
        stops(GUEST.evaluate(asked(EVENTS[0]))[:-1])
