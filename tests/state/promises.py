"""What every store promises (`wasmguard/state/interface.py`), as tests that each of them runs.

A subclass says how to make one: `settings`, a fixture. Two stores that are opened with the same settings are like those
of two processes.
"""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.state.turns import CONFIG, FORK, count, count_and_leave, recall, remember, slot, sum_of, turn_of
from wasmguard.errors import StateError
from wasmguard.limits import STATE
from wasmguard.state import exists, make, opened

ACTS = (["recall", "commit"], "ab", [b"", b"1", b"2"])  # of which policy, and what


class Promises:
    @pytest.fixture
    def store(self, settings):
        make(CONFIG, settings)
        store = opened(CONFIG, settings)
        yield store
        store.close()

    @pytest.fixture
    def other(self, store, settings):
        other = opened(CONFIG, settings)
        yield other
        other.close()

    def test_what_was_never_written_is_nothing(self, store):
        assert recall(store) is None

    def test_what_was_committed_is_recalled_by_everybody(self, store, other):
        assert remember(store, b"\0one\xff") is True
        assert recall(store) == b"\0one\xff"
        assert recall(other) == b"\0one\xff"

    def test_each_policy_scope_and_key_has_a_place_of_its_own(self, store):
        places = [slot(p, k, s) for p in ("a", "b") for k in ("", "k", "k:l") for s in ("session", "owner")]
        for number, place in enumerate(places):
            assert remember(store, b"%d" % number, place)
        assert [recall(store, place) for place in places] == [b"%d" % number for number in range(len(places))]

    @pytest.mark.parametrize(
        ("one", "two"),
        [(slot("a", "b:c", "session"), slot("a:session", "c", "b")), (slot("a", "%3a"), slot("a", ":"))],
    )
    def test_no_two_names_are_the_same_place(self, store, one, two):
        remember(store, b"x", one)
        assert recall(store, two) is None

    def test_a_turn_recalls_what_it_recalled(self, store, other):
        remember(store, b"one")
        with turn_of(store) as turn:
            assert turn.recall("budget") == b"one"
            remember(other, b"two")
            assert turn.recall("budget") == b"one"

    @pytest.mark.parametrize("before", [None, b"one"])
    @pytest.mark.parametrize("mine", [b"mine", b""])
    def test_a_race_is_lost_by_whoever_commits_later(self, store, other, before, mine):
        if before:
            remember(store, before)
        with turn_of(store) as turn:
            assert turn.recall("budget") == before
            assert remember(other, b"theirs")
            assert turn.commit({"budget": mine}) is False
        assert recall(store) == b"theirs"

    def test_what_was_forgotten_and_written_again_is_another(self, store, other):
        remember(store, b"one")
        with turn_of(store) as turn:
            turn.recall("budget")
            remember(other, b"")
            remember(other, b"one")
            assert turn.commit({"budget": b"two"}) is False
        assert recall(store) == b"one"

    def test_the_same_bytes_written_again_are_another(self, store, other):
        remember(store, b"one")
        with turn_of(store) as turn:
            turn.recall("budget")
            remember(other, b"one")
            assert turn.commit({"budget": b"two"}) is False

    def test_several_policies_are_committed_together_or_not_at_all(self, store, other):
        places = [slot("a"), slot("b"), slot("c")]
        with turn_of(store, *places) as turn:
            assert [turn.recall(p.policy) for p in places] == [None] * 3
            assert turn.commit({"a": b"1", "b": b"1", "c": b"1"})
        with turn_of(store, *places) as turn:
            assert [turn.recall(p.policy) for p in places] == [b"1"] * 3
            remember(other, b"2", slot("c"))
            assert turn.commit({"a": b"3", "b": b"", "c": b"3"}) is False
        assert [recall(store, place) for place in places] == [b"1", b"1", b"2"]

    def test_only_what_is_written_is_compared(self, store, other):
        with turn_of(store, slot("a"), slot("b")) as turn:
            turn.recall("a"), turn.recall("b")
            remember(other, b"x", slot("a"))
            assert turn.commit({"b": b"y"}) is True

    def test_forgetting_leaves_nothing(self, store):
        remember(store, b"one")
        assert remember(store, b"")
        assert recall(store) is None
        assert remember(store, b"")

    def test_a_turn_commits_once(self, store):
        with turn_of(store) as turn:
            turn.recall("budget")
            assert turn.commit({"budget": b"one"})
            assert turn.commit({"budget": b"two"}) is False

    def test_the_end_of_a_turn_without_a_commit_changes_nothing(self, store, other):
        remember(store, b"one")
        for alone in (False, True):
            with turn_of(store, alone=alone) as turn:
                turn.recall("budget")
            turn.end()
        assert remember(other, b"two")

    def test_what_has_expired_is_nothing(self, store):
        remember(store, b"one", slot(expires=1))
        remember(store, b"stays", slot(key="s2"))
        assert recall(store) == b"one"
        time.sleep(1.1)
        assert recall(store) is None
        assert recall(store, slot(key="s2")) == b"stays"
        assert remember(store, b"two", slot(expires=1))
        assert recall(store) == b"two"

    def test_every_write_starts_the_time_anew(self, store):
        remember(store, b"one", slot(expires=1))
        for _ in range(3):
            time.sleep(0.5)
            assert remember(store, b"one", slot(expires=1))
        assert recall(store) == b"one"

    def test_a_policy_that_is_full_can_take_no_new_key_but_change_the_old_ones(self, store):
        for number in range(3):
            remember(store, b"x", slot(key=str(number), scope=("session", "owner")[number % 2], entries=3))
        for _ in range(2):
            with pytest.raises(StateError, match=r"^`budget` would have more than 3 keys: raise"):
                remember(store, b"x", slot(key="new", entries=3))
        assert recall(store, slot(key="new")) is None
        assert remember(store, b"y", slot(key="0", entries=3))
        assert remember(store, b"x", slot("another", key="new", entries=3))
        assert remember(store, b"", slot(key="0", entries=3))
        assert remember(store, b"x", slot(key="new", entries=3))

    def test_what_has_expired_makes_room(self, store):
        for key in "ab":
            remember(store, b"x", slot(key=key, entries=2, expires=1))
        time.sleep(1.1)
        assert remember(store, b"x", slot(key="c", entries=2))
        assert remember(store, b"x", slot(key="d", entries=2))
        with pytest.raises(StateError, match="more than 2 keys"):
            remember(store, b"x", slot(key="e", entries=2))

    def test_a_policy_that_is_full_keeps_the_others_from_committing_with_it(self, store):
        remember(store, b"x", slot("a", key="old", entries=1))
        with turn_of(store, slot("a", entries=1), slot("b")) as turn:
            turn.recall("a"), turn.recall("b")
            with pytest.raises(StateError, match=r"^`a` would have more than 1 keys"):
                turn.commit({"b": b"y", "a": b"y"})
        assert recall(store, slot("b")) is None

    def test_the_most_bytes_are_kept_and_no_more(self, store):
        assert remember(store, b"\xff" * STATE)
        assert recall(store) == b"\xff" * STATE
        with pytest.raises(StateError, match="65537 bytes"):
            remember(store, b"x" * (STATE + 1))

    def test_nobody_comes_in_between_a_turn_alone(self, store, other):
        remember(store, b"one")
        turn = store.turn([slot()], alone=True)
        try:
            assert turn.recall("budget") == b"one"
            done = []
            outside = threading.Thread(target=lambda: done.append(remember(other, b"theirs")))
            outside.start()
            time.sleep(0.2)
            assert turn.commit({"budget": b"mine"}) is True
        finally:
            turn.end()
        outside.join(10)
        assert done == [False] or recall(store) == b"theirs"  # it lost, or began after us

    def test_a_turn_alone_that_ends_lets_the_next_one_in(self, store, other):
        for number in range(5):
            assert remember((store, other)[number % 2], b"%d" % number, alone=True)
        with turn_of(store, alone=True) as turn:
            turn.recall("budget")
        assert remember(other, b"x", alone=True)

    def test_threads_of_one_store_lose_no_update(self, store):
        threads = [threading.Thread(target=count, args=(store, 50)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sum_of(store) == 200

    def test_forked_processes_that_go_on_with_a_store_lose_no_update(self, store):
        count(store, 10)
        children = [FORK.Process(target=count_and_leave, args=(store, 100)) for _ in range(4)]
        for child in children:
            child.start()
        count(store, 100)
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0] * 4
        assert sum_of(store) == 510

    def test_a_store_that_was_closed_remembers_nothing_more(self, store):
        turn = store.turn([slot()])
        store.close()
        with pytest.raises(StateError, match="closed"):
            turn.recall("budget")
        turn.end()
        with pytest.raises(StateError, match="closed"):
            recall(store)
        store.close()

    def test_making_a_store_again_changes_nothing(self, store, settings):
        remember(store, b"one")
        make(CONFIG, settings)
        assert recall(store) == b"one"

    def test_a_store_that_was_never_made_is_an_error_and_not_made_by_asking(self, settings):
        assert exists(CONFIG, settings) is False
        store = opened(CONFIG, settings)
        for _ in range(2):
            with pytest.raises(StateError, match="wasmguard lock"):
                recall(store)
            with pytest.raises(StateError, match="wasmguard lock"):
                remember(store, b"x", alone=True)
        assert exists(CONFIG, settings) is False
        store.close()
        make(CONFIG, settings)
        assert exists(CONFIG, settings) is True

    def test_turns_that_overlap_are_as_good_as_one_after_another(self, store):
        """Three turns at a time against a model: what counts is how often each place was written."""

        @settings(max_examples=40, deadline=None)
        @given(st.lists(st.tuples(st.integers(0, 2), *map(st.sampled_from, ACTS)), max_size=30))
        def law(acts):
            for policy in "ab":
                remember(store, b"", slot(policy))
            states, writes, turns, seen = {"a": None, "b": None}, {"a": 0, "b": 0}, {}, {}
            for number, act, policy, new in acts:
                if number not in turns:
                    turns[number] = store.turn([slot("a"), slot("b")])
                    seen[number] = {name: (states[name], writes[name]) for name in "ab"}
                    assert [turns[number].recall(name) for name in "ab"] == [states["a"], states["b"]]
                state, write = seen[number][policy]
                assert turns[number].recall(policy) == state
                if act == "commit":
                    unchanged = write == writes[policy] or states[policy] is state is None
                    assert turns[number].commit({policy: new}) is unchanged
                    if unchanged and (new or states[policy]):
                        states[policy], writes[policy] = new or None, writes[policy] + 1
                    turns.pop(number).end()
            for turn in turns.values():
                turn.end()
            assert {policy: recall(store, slot(policy)) for policy in "ab"} == states

        law()
