"""Who is asked about what, by a plan: known without asking anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from wasmguard.policy import Encoder, Policy

if TYPE_CHECKING:
    from wasmguard.event import Event
    from wasmguard.plan import Plan

MOST = 1000  # tool names come from outside


class Routes:
    """The policies of a plan, by event and tool."""

    def __init__(self, plan: Plan) -> None:
        nowhere = cast("Any", None)  # they are asked who they judge, and never loaded
        self._policies = [Policy(planned, nowhere, Encoder(), None) for planned in plan.policies]
        self._remembering = {policy.name for policy in plan.policies if policy.grants["state"]}
        self._known: dict[tuple[str, str | None], tuple[tuple[str, ...], bool]] = {}

    @property
    def stateful(self) -> bool:
        """Whether a policy remembers something."""
        return bool(self._remembering)

    def asked(self, event: Event) -> tuple[str, ...]:
        """The names of those that are asked about *event*, in the owner's order."""
        return self._route(event)[0]

    def by_name(self, name: str, tool: str | None) -> tuple[str, ...]:
        """The names of those that are asked about such an event, as `asked`."""
        found = self._known.get((name, tool))
        return (self._found((name, tool)) if found is None else found)[0]

    def remembers(self, event: Event) -> bool:
        """Whether one of those may remember something of it."""
        return self._route(event)[1]

    def _route(self, event: Event) -> tuple[tuple[str, ...], bool]:
        route = (event.name, event.tool)
        found = self._known.get(route)
        return self._found(route) if found is None else found

    def _found(self, route: tuple[str, str | None]) -> tuple[tuple[str, ...], bool]:
        if len(self._known) >= MOST:
            self._known.clear()
        names = tuple(policy.name for policy in self._policies if policy.judges(*route))
        found = self._known[route] = names, not self._remembering.isdisjoint(names)
        return found
