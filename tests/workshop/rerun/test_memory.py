"""A memory that lasts as long as the process, by the clock of the events."""

import pytest

from wasmguard.errors import StateError
from wasmguard.state.interface import Slot
from wasmguard.workshop.rerun.memory import Memory


def slot(key="k", **more):
    return Slot(**{"policy": "p", "scope": "session", "key": key, "expires": 10, "entries": 2} | more)


def kept(memory, state, **more):
    memory.turn([slot(**more)]).commit({"p": state})


def recalled(memory, **more):
    return memory.turn([slot(**more)]).recall("p")


def test_it_remembers_by_policy_scope_and_key_and_empty_bytes_forget():
    memory = Memory()
    kept(memory, b"one")
    assert recalled(memory) == b"one"
    assert recalled(memory, key="other") is recalled(memory, scope="agent") is None
    kept(memory, b"")
    assert recalled(memory) is None


def test_it_forgets_by_the_time_of_the_events():
    memory = Memory()
    memory.now = 1_000
    kept(memory, b"one")
    memory.now = 10_999
    assert recalled(memory) == b"one"
    memory.now = 11_000
    assert recalled(memory) is None


def test_who_is_full_takes_no_new_key_until_an_old_one_has_expired():
    memory = Memory()
    kept(memory, b"1", key="a")
    kept(memory, b"2", key="b")
    with pytest.raises(StateError, match="more than 2 keys"):
        kept(memory, b"3", key="c")
    kept(memory, b"4", key="b")
    memory.now = 10_000
    kept(memory, b"3", key="c")
    assert recalled(memory, key="c") == b"3"


def test_another_memory_can_go_on_where_it_was():
    memory, other = Memory(), Memory()
    kept(memory, b"1", key="a")
    kept(memory, b"2", key="b")
    other.learn(memory.changes())
    kept(memory, b"", key="a")
    other.learn(memory.changes())
    assert memory.changes() == []
    assert other.rows() == memory.rows() == [("p", "session", "b", b"2", 10_000)]
