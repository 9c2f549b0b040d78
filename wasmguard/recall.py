"""What policies remember from one event to the next: one event is one turn.

1. A policy is given what it remembered before the event, also when it is asked about it again: an event that takes
   three rounds counts once.
2. What the policies want to remember is kept when everything is decided, all of it or nothing. If somebody else changed
   it meanwhile, everything is decided again from what is remembered now: verdicts are pure, and no update is lost.
3. Who has lost `RACES` races takes the turn alone. After `PATIENCE` seconds there is no decision: a fault.
4. What cannot be read or kept is a fault of the policy it belongs to: a lost budget is no new budget.
5. Shadowed policies remember too, each in a turn of its own: nobody obeys them, so what goes wrong there, such as a
   store that is full of their keys, is wrong about themselves only.
6. Turns in two stores cannot be kept in one step: they are taken alone, in the same order by everybody. If the second
   cannot be kept when the first was, that is a fault: to decide again would count twice.
"""

from __future__ import annotations

from time import monotonic

from wasmguard.chain import amounts_to, asked_once, course, watched
from wasmguard.decision import Verdict, settle
from wasmguard.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from wasmguard.chain import Asked
    from wasmguard.decision import Decision, Effect
    from wasmguard.event import Event
    from wasmguard.state.interface import Slot, Store, Turn

    class Stateful(Protocol):
        """A policy that may remember something, if it has a `store`."""

        @property
        def name(self) -> str: ...
        @property
        def shadow(self) -> bool: ...
        @property
        def shadow_of(self) -> str: ...
        @property
        def store(self) -> Store | None: ...
        @property
        def on_fault(self) -> Effect: ...
        def slot(self, event: Event, environ: Mapping[str, str] | None) -> Slot: ...
        def ask(self, event: Event, state: bytes | None = None) -> Verdict: ...
        def failed(self, event: Event, error: StateError) -> Verdict: ...


RACES = 3
PATIENCE = 5.0  # seconds; a hook has 25 in all


def recalled(policies: Sequence[Stateful], event: Event, environ: Mapping[str, str] | None) -> Decision:
    """What *policies* amount to for *event*, some of which remember something."""
    begun = monotonic()
    went = course((), event)

    def obeyed(asked: Sequence[Asked]) -> Decision:
        nonlocal went
        went = course(asked, event)
        return amounts_to(went)

    def once(shadow: Stateful) -> Sequence[Verdict]:
        seen = went.seen_by(shadow)
        return _recalled([shadow], seen, environ, lambda asked: settle(asked_once(p, seen) for p in asked)).verdicts

    decision = _recalled([policy for policy in policies if not policy.shadow], event, environ, obeyed)
    said = watched([policy for policy in policies if policy.shadow], once, begun)
    return decision.replaced(verdicts=(*decision.verdicts, *said))


def tried(policies: Sequence[Stateful], event: Event, environ: Mapping[str, str] | None) -> Decision:
    """What those of *policies* that are obeyed would amount to: nothing is kept, and no shadow is asked."""
    obeyed = [policy for policy in policies if not policy.shadow]
    turn = _Turn(_stores(obeyed), event, environ, alone=False)
    try:
        return amounts_to(course([_Asked(policy, turn) for policy in obeyed], event))
    finally:
        turn.end()


def _recalled(
    policies: Sequence[Stateful],
    event: Event,
    environ: Mapping[str, str] | None,
    decide: Callable[[Sequence[Asked]], Decision],
) -> Decision:
    """What *decide* makes of *policies* in one turn, kept (rules 2 and 3)."""
    stores = _stores(policies)
    races, until = 0, monotonic() + PATIENCE
    while True:
        turn = _Turn(stores, event, environ, alone=races >= RACES or len(stores) > 1)
        try:
            decision = decide([_Asked(policy, turn) for policy in policies])
            why = turn.kept(decision)
        except StateError as error:
            return _unkept(policies, decision, error)
        finally:
            turn.end()
        if why:
            return decision
        races += 1
        if monotonic() > until:
            late = StateError(f"others changed its `state` {races} times meanwhile: use a store that is less busy")
            return _unkept(policies, decision, late)


class _Turn:
    """One try: what was remembered before, from each of the *stores*."""

    def __init__(
        self,
        stores: Mapping[int, tuple[Store, list[Stateful]]],
        event: Event,
        environ: Mapping[str, str] | None,
        *,
        alone: bool,
    ) -> None:
        """With more than one store, nobody else may come in between: they cannot be changed at the same time."""
        self._turns: list[tuple[Turn, frozenset[str]]] = []
        self._before: dict[str, bytes | StateError | None] = {}
        try:
            for store, policies in stores.values():
                self._begin(store, policies, event, environ, alone=alone)
        except BaseException:
            self.end()
            raise

    def state(self, policy: str) -> bytes | None:
        """What *policy* remembered before the event.

        Raises:
            StateError: if that cannot be known.
        """
        before = self._before[policy]
        if isinstance(before, StateError):
            raise before
        return before

    def kept(self, decision: Decision) -> bool:
        """Keep what the policies want to remember; False if somebody changed it meanwhile.

        Raises:
            StateError: if it cannot be kept.
        """
        last, kept = {verdict.policy: verdict.state for verdict in decision.verdicts}, False
        for turn, names in self._turns:
            states = {name: state for name, state in last.items() if state is not None and name in names}
            if states and not turn.commit(states):
                if kept:
                    raise StateError("another store kept what belongs to this event, and this one did not: ask again")
                return False
            kept = kept or bool(states)
        return True

    def end(self) -> None:
        for turn, _ in self._turns:
            turn.end()

    def _begin(
        self,
        store: Store,
        policies: list[Stateful],
        event: Event,
        environ: Mapping[str, str] | None,
        *,
        alone: bool,
    ) -> None:
        names = [policy.name for policy in policies]
        try:
            turn = store.turn([policy.slot(event, environ) for policy in policies], alone=alone)
        except StateError as error:
            self._before.update(dict.fromkeys(names, error))
            return
        self._turns.append((turn, frozenset(names)))
        for name in names:
            try:
                self._before[name] = turn.recall(name)
            except StateError as error:
                self._before[name] = error


class _Asked:
    """A policy in one turn, for the chain."""

    def __init__(self, policy: Stateful, turn: _Turn) -> None:
        self.name, self.shadow, self.shadow_of = policy.name, policy.shadow, policy.shadow_of
        self._policy, self._turn = policy, turn

    def ask(self, event: Event) -> Verdict:
        if self._policy.store is None:
            return self._policy.ask(event)
        try:
            return self._policy.ask(event, self._turn.state(self.name))
        except StateError as error:
            return self._policy.failed(event, error)


def _stores(policies: Sequence[Stateful]) -> dict[int, tuple[Store, list[Stateful]]]:
    found: dict[int, tuple[Store, list[Stateful]]] = {}
    for policy in sorted(policies, key=lambda policy: policy.store.place if policy.store is not None else ""):
        if policy.store is not None:
            found.setdefault(id(policy.store), (policy.store, []))[1].append(policy)
    return found


def _unkept(policies: Sequence[Stateful], decision: Decision, error: StateError) -> Decision:
    """*decision*, but those who wanted to remember something have failed."""
    wanted = {verdict.policy for verdict in decision.verdicts if verdict.state is not None}
    failed = [
        Verdict.failed(policy.name, str(error), policy.on_fault, shadow=policy.shadow)
        for policy in policies
        if policy.name in wanted
    ]
    made = settle([*decision.verdicts, *failed])
    return made if decision.rewrite is not None else made.replaced(rewrite=None)
