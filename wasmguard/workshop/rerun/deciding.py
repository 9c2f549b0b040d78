"""The policies of one plan, which decide again: each event by the same chain, in the same turns, as before an agent.

1. With given states a policy is asked with exactly those, and what it wants to remember is only told.
2. Without, they remember from event to event (`memory`).
3. The guard's own checks (self-protection, size) are no part of this: they look at the machine as it is now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.chain import decided
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


class Deciding:
    """A plan that is asked again."""

    def __init__(self, plan: Plan, cells: Cells) -> None:
        """Use the policies of *plan* in *cells*."""
        self.memory = Memory()
        encoded = Encoder()
        self.policies = tuple(Policy(planned, cells, encoded, self.memory) for planned in plan.policies)
        self._routes: dict[tuple[str, str | None], tuple[Policy, ...]] = {}

    def decision(
        self, event: Event, states: Mapping[str, bytes | None] | None, aside: frozenset[str] = frozenset()
    ) -> Decision:
        """What the policies amount to for *event*: see `Asked`."""
        concerned: Sequence[Policy | SetAside] = self._concerned(event)
        if aside:
            concerned = [SetAside(policy) if policy.name in aside else policy for policy in self._concerned(event)]
        if all(policy.store is None for policy in concerned):
            return decided(concerned, event)
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


class _Given:
    """A policy with what it remembers at this moment."""

    def __init__(self, policy: Policy | SetAside, state: bytes | None) -> None:
        self.name, self.shadow, self.shadow_of = policy.name, policy.shadow, policy.shadow_of
        self._policy, self._state = policy, state

    def ask(self, event: Event) -> Verdict:
        policy = self._policy
        return policy.ask(event) if policy.store is None else policy.ask(event, self._state)
