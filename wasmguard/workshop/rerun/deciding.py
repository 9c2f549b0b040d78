"""The policies of one plan, which decide again: each event by the same chain, in the same turns, as before an agent.

1. With given states a policy is asked with exactly those, and what it wants to remember is only told.
2. Without, they remember from event to event (`memory`).
3. The guard's own checks (self-protection, size) are no part of this: they look at the machine as it is now.
4. What makes it quick changes no decision: most events concern one policy, and most of its answers it gave before.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from wasmguard.chain import decided
from wasmguard.decision import settle
from wasmguard.errors import WasmguardError
from wasmguard.guest.codec import decode_answer, request
from wasmguard.policy import Encoder, Policy, SetAside
from wasmguard.recall import recalled
from wasmguard.workshop.rerun.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wasmguard.decision import Decision, Verdict
    from wasmguard.event import Event
    from wasmguard.plan import Plan
    from wasmguard.sandbox.isolation import Cells

ROUTES = 1000  # of events' names and tools, which come from outside
ANSWERS = 256  # of each policy that are known again
SHORT = 1024  # bytes of an answer that is


class Deciding:
    """A plan that is asked again."""

    def __init__(self, plan: Plan, cells: Cells) -> None:
        """Use the policies of *plan* in *cells*."""
        self.plan, self.memory = plan, Memory()
        self.places = {policy.name: place for place, policy in enumerate(plan.policies)}
        encoded = Encoder()
        self.policies = tuple(Again(planned, cells, encoded, self.memory) for planned in plan.policies)
        self._routes: dict[tuple[str, str | None], tuple[Policy, ...]] = {}

    def decision(
        self, event: Event, states: Mapping[str, bytes | None] | None, aside: frozenset[str] = frozenset()
    ) -> Decision:
        """What the policies amount to for *event*: see `Asked`."""
        concerned: Sequence[Policy | SetAside] = self._concerned(event)
        if aside:
            concerned = [SetAside(policy) if policy.name in aside else policy for policy in self._concerned(event)]
        if all(policy.store is None for policy in concerned):
            return decided(concerned, event) if len(concerned) != 1 else _alone(concerned[0], event)
        if states is None:
            self.memory.now = event.time
            return recalled(concerned, event, {})
        return decided([_Given(policy, states.get(policy.name)) for policy in concerned], event)

    def _concerned(self, event: Event) -> tuple[Policy, ...]:
        route = event.name, event.tool
        concerned = self._routes.get(route)
        if concerned is None:
            if len(self._routes) >= ROUTES:
                self._routes.clear()
            concerned = self._routes[route] = tuple(p for p in self.policies if p.judges(*route))
        return concerned


class Again(Policy):
    """A policy that is asked very often: an answer that says nothing about the event itself is read once."""

    _known: dict[bytes, Verdict] | None = None

    def ask(self, event: Event, state: bytes | None = None, *, at_once: bool = False) -> Verdict:
        """As `Policy.ask`."""
        guest = self._guest
        if guest is None or at_once:
            return super().ask(event, state, at_once=at_once)
        begun = perf_counter_ns()
        said: tuple[bytes, int] | WasmguardError
        try:
            said = guest.evaluate(request(self._encoded(event, self._reads), self._settings, state))
        except WasmguardError as error:
            said = error
        else:
            known = self._known.get(said[0]) if self._known else None
            if known is not None:
                microseconds = (perf_counter_ns() - begun) / 1000
                return known.replaced(fuel=said[1], microseconds=microseconds, given=state)
        self._guest = _Told(said)  # type: ignore[assignment]  # so that it is judged by the same lines as in front of an agent
        try:
            verdict = super().ask(event, state)
        finally:
            self._guest = guest
        if type(said) is tuple:
            self._learn(said[0], verdict)
        return verdict.replaced(microseconds=(perf_counter_ns() - begun) / 1000)

    def _learn(self, answer: bytes, verdict: Verdict) -> None:
        """Know *answer* again, if its *verdict* is the same for every event: it rewrites nothing."""
        if verdict.fault or verdict.rewrite is not None or verdict.output is not None or len(answer) > SHORT:
            return
        read = decode_answer(answer)
        if read.rewrite is not None or read.rewrite_output is not None:
            return
        if self._known is None or len(self._known) >= ANSWERS:
            self._known = {}
        self._known[answer] = verdict


class _Told:
    """A guest that was asked a moment ago."""

    def __init__(self, said: tuple[bytes, int] | WasmguardError) -> None:
        self._said = said

    def evaluate(self, _request: bytes, **_: Any) -> tuple[bytes, int]:
        if isinstance(self._said, WasmguardError):
            raise self._said
        return self._said


def _alone(policy: Policy | SetAside, event: Event) -> Decision:
    """What one policy amounts to, which is what `decided` makes of it."""
    if policy.shadow:
        return decided([policy], event)
    verdict = policy.ask(event)
    if verdict.rewrite is None and verdict.output is None:
        return settle((verdict,))
    return decided([_Said(policy, verdict)], event)


class _Said:
    """A policy that has said what it is asked first."""

    def __init__(self, policy: Policy | SetAside, said: Verdict) -> None:
        self.name, self.shadow, self.shadow_of = policy.name, policy.shadow, policy.shadow_of
        self._policy, self._said = policy, said
        self._again = False

    def ask(self, event: Event) -> Verdict:
        if self._again:
            return self._policy.ask(event)
        self._again = True
        return self._said


class _Given:
    """A policy with what it remembers at this moment."""

    def __init__(self, policy: Policy | SetAside, state: bytes | None) -> None:
        self.name, self.shadow, self.shadow_of = policy.name, policy.shadow, policy.shadow_of
        self._policy, self._state = policy, state

    def ask(self, event: Event) -> Verdict:
        policy = self._policy
        return policy.ask(event) if policy.store is None else policy.ask(event, self._state)
