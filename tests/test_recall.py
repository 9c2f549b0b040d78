"""One event is one turn: what policies remember, and what becomes of it when somebody else was quicker."""

import pytest

from wasmguard import recall
from wasmguard.decision import Effect, Verdict
from wasmguard.errors import StateError
from wasmguard.event import Event
from wasmguard.recall import RACES, recalled

GONE = StateError("the store is gone: lock again")


class Turn:
    def __init__(self, store, slots, alone):
        self._store, self.alone, self.ended = store, alone, 0
        self._before = {slot: store.held.get(slot) for slot in slots}

    def recall(self, policy):
        if policy in self._store.unreadable:
            raise GONE
        return self._before[policy]

    def commit(self, states):
        if self._store.others and not self.alone:
            self._store.held.update(self._store.others.pop(0))
        if self._store.full is True or set(self._store.full or ()) & set(states):
            raise GONE
        if any(self._store.held.get(name) != self._before[name] for name in states):
            return False
        self._store.held.update(states)
        return True

    def end(self):
        self.ended += 1


class Store:
    """Remembers; *others* is what somebody else writes before each commit of ours."""

    def __init__(self, *, others=(), unreadable=(), full=False, gone=False, place="here", **held):
        self.place = place
        self.held, self.others, self.unreadable = dict(held), list(others), unreadable
        self.full, self.gone, self.turns = full, gone, []

    def turn(self, slots, *, alone=False):
        if self.gone:
            raise GONE
        self.turns.append(Turn(self, slots, alone))
        return self.turns[-1]


class Counts:
    """A policy that counts its events; above *most* it denies."""

    shadow, shadow_of = False, ""

    def __init__(self, name="counts", store=None, *, most=99, effect=Effect.DENY, moves=None, on_fault=Effect.DENY):
        self.name, self.store, self.most, self.effect, self.moves = name, store, most, effect, moves
        self.on_fault, self.given = on_fault, []

    def slot(self, _event, _environ):
        return self.name

    def ask(self, event, state=None):
        self.given.append(state)
        count = int(state or 0) + 1
        rewrite = {"to": self.moves} if self.moves else None
        effect = self.effect if count > self.most else Effect.PASS
        return Verdict(policy=self.name, effect=effect, state=str(count).encode(), rewrite=rewrite)

    def failed(self, _event, error):
        return Verdict.failed(self.name, str(error), self.on_fault)


def event(name="PreToolUse"):
    return Event(name=name, agent="claude", fields={"tool_name": "T", "tool_input": {"to": "here"}})


def ended(store):
    return all(turn.ended for turn in store.turns)


def test_a_policy_remembers_from_one_event_to_the_next():
    store = Store()
    policy = Counts(store=store, most=2)
    effects = [recalled([policy], event(), None).effect for _ in range(3)]
    assert effects == [Effect.PASS, Effect.PASS, Effect.DENY]
    assert (store.held, ended(store)) == ({"counts": b"3"}, True)


def test_an_event_that_takes_several_rounds_counts_once():
    store = Store()
    policy = Counts(store=store)
    decision = recalled([policy, Counts("moves", moves="there")], event(), None)
    assert decision.rewrite == {"to": "there"}
    assert (policy.given, store.held) == ([None, None], {"counts": b"1"})


def test_who_lost_a_race_decides_again_from_what_is_remembered_now():
    store = Store(others=[{"counts": b"5"}], counts=b"1")
    policy = Counts(store=store, most=5)
    assert recalled([policy], event(), None).effect is Effect.DENY
    assert (policy.given, store.held) == ([b"1", b"5"], {"counts": b"6"})


def test_who_lost_several_races_takes_the_turn_alone():
    store = Store(others=[{"counts": str(n).encode()} for n in range(100)])
    recalled([Counts(store=store)], event(), None)
    assert [turn.alone for turn in store.turns] == [False] * RACES + [True]
    assert ended(store)


def test_all_of_a_turn_is_kept_or_nothing():
    store = Store(others=[{"b": b"7"}])
    recalled([Counts("a", store), Counts("b", store)], event(), None)
    assert store.held == {"a": b"1", "b": b"8"}


def test_a_race_that_never_ends_is_a_fault(monkeypatch):
    monkeypatch.setattr(recall, "PATIENCE", 0.05)
    monkeypatch.setattr(recall, "RACES", 10**9)
    store = Store(others=[{"counts": str(n).encode()} for n in range(10**6)])
    decision = recalled([Counts(store=store, most=10**9)], event(), None)
    assert (decision.effect, decision.faulted, ended(store)) == (Effect.DENY, True, True)
    assert "use a store that is less busy" in decision.reason


@pytest.mark.parametrize("store", [Store(gone=True), Store(unreadable=("counts",)), Store(full=True)])
def test_what_cannot_be_read_or_kept_is_a_fault_and_no_amnesty(store):
    decision = recalled([Counts(store=store)], event(), None)
    assert (decision.effect, decision.faulted) == (Effect.DENY, True)
    assert decision.reason == "policy `counts`: the store is gone: lock again"
    assert ended(store)


@pytest.mark.parametrize("store", [Store(gone=True), Store(full=True)])
def test_its_owner_may_be_asked_instead(store):
    assert recalled([Counts(store=store, on_fault=Effect.ASK)], event(), None).effect is Effect.ASK


def test_a_fault_of_one_is_no_fault_of_another():
    store = Store(unreadable=("a",))
    decision = recalled([Counts("a", store, on_fault=Effect.ASK), Counts("b", store)], event(), None)
    assert [v.policy for v in decision.because] == ["a"]
    assert store.held == {"b": b"1"}


def test_a_rewrite_does_not_survive_that_its_decision_could_not_be_kept():
    decision = recalled([Counts(store=Store(full=True)), Counts("moves", moves="there")], event(), None)
    assert (decision.effect, decision.rewrite) == (Effect.DENY, None)


def test_a_shadowed_policy_remembers_and_its_faults_are_its_own():
    store = Store()
    shadow = Counts(store=store)
    shadow.shadow = True
    assert recalled([shadow], event(), None).effect is Effect.PASS
    assert store.held == {"counts": b"1"}
    real = Counts("real", store)
    store.full = ("counts",)
    decision = recalled([shadow, real], event(), None)
    assert (decision.effect, decision.because) == (Effect.PASS, ())
    assert store.held == {"counts": b"1", "real": b"1"}
    assert [(v.policy, v.shadow) for v in decision.verdicts if v.fault] == [("counts", True)]


def test_another_version_of_a_policy_remembers_under_its_own_name_what_that_policy_was_asked_about():
    store = Store(counts=b"4")
    version = Counts("next", store, moves="elsewhere")
    version.shadow, version.shadow_of = True, "counts"
    seen = []
    asked = version.ask
    version.ask = lambda event, state=None: (seen.append(event.input["to"]), asked(event, state))[1]
    decision = recalled([version, Counts("moves", moves="there"), Counts(store=store)], event(), None)
    assert (decision.rewrite, seen) == ({"to": "there"}, ["there"])
    assert store.held == {"counts": b"5", "next": b"1"}
    assert [(v.policy, v.of) for v in decision.verdicts if v.shadow] == [("next", "counts")]


def test_a_lost_race_asks_no_shadow_twice():
    store = Store(others=[{"counts": b"5"}])
    shadow = Counts("shadow")
    shadow.shadow = True
    recalled([Counts(store=store), shadow], event(), None)
    assert shadow.given == [None]


def test_a_shadow_that_breaks_in_its_turn_is_a_fault_of_its_own():
    store = Store()
    shadow = Counts("shadow", store)
    shadow.shadow, shadow.ask = True, None
    decision = recalled([shadow, Counts(store=store)], event(), None)
    assert (decision.effect, store.held) == (Effect.PASS, {"counts": b"1"})
    assert decision.verdicts[-1].fault == "internal error: TypeError: please report it"
    assert ended(store)


def test_turns_in_two_stores_are_taken_alone():
    """They cannot be kept in one step: nobody may come in between."""
    one, other = Store(), Store(others=[{"b": b"7"}])
    recalled([Counts("a", one), Counts("b", other)], event(), None)
    assert [turn.alone for turn in (*one.turns, *other.turns)] == [True, True]
    assert (one.held, other.held) == ({"a": b"1"}, {"b": b"1"})


def test_everybody_takes_two_stores_in_the_same_order():
    asked = []

    class Watched(Store):
        def turn(self, slots, *, alone=False):
            asked.append(self.place)
            return super().turn(slots, alone=alone)

    one, other = Watched(place="a"), Watched(place="b")
    recalled([Counts("x", one), Counts("y", other)], event(), None)
    recalled([Counts("y", other), Counts("x", one)], event(), None)
    assert asked == ["a", "b", "a", "b"]


def test_what_one_store_kept_and_another_did_not_is_a_fault_and_not_counted_twice():
    one, other = Store(place="a"), Store(place="b")

    class Lapsed(Turn):
        def commit(self, states):
            return False

    other.turn = lambda slots, alone=False: Lapsed(other, slots, alone)
    decision = recalled([Counts("x", one), Counts("y", other)], event(), None)
    assert (decision.effect, decision.faulted) == (Effect.DENY, True)
    assert one.held == {"x": b"1"}


def test_a_turn_is_ended_whatever_happens():
    store = Store()
    policy = Counts(store=store)
    policy.ask = None
    with pytest.raises(TypeError):
        recalled([policy], event(), None)
    assert ended(store)
