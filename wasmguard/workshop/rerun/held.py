"""Guests in this very process, made of code that was handed over: for a process that has no files.

It takes the place of `wasmguard.sandbox.isolation.Cells`, with `thread` for isolation: the process around it is jailed.
Everything is loaded before the jail closes; what could not be loaded says why whenever it is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard import plan as plans
from wasmguard.errors import HostError, WasmguardError
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.failure import Runs
from wasmguard.sandbox.isolation import THREAD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wasmguard.plan import Plan
    from wasmguard.sandbox.spec import Spec

SLOTS = 2  # of an engine's pool; one guest runs at a time. One slot: no pool


class Held:
    """What the guests of one plan run in."""

    isolation = THREAD

    def __init__(self, plan: Plan, codes: Mapping[str, bytes], *, portable: bool) -> None:
        """Make the guests of *plan* of *codes*, native code by its name in the plan."""
        self._cell = Cell(plan.made["library"], _setups(plan), SLOTS, portable=portable)
        self._codes = {policy.name: [codes[name] for name in (policy.code, *policy.inert)] for policy in plan.policies}
        self._guests: dict[str, Runs | str] = {}
        for policy in plan.policies:
            try:
                plans.guest(policy, self)  # type: ignore[arg-type]  # it is all of `Cells` that is used there
            except WasmguardError:
                continue  # said again when it is asked

    def guest(self, name: str, spec: Spec, _code: Callable[[], Sequence[bytes]]) -> Runs:
        """The guest *name*.

        Raises:
            HostError: if it could not be loaded.
        """
        if name not in self._guests:
            self._guests[name] = self._loaded(name, spec)
        made = self._guests[name]
        if isinstance(made, str):
            raise HostError(made)
        return made

    def unloaded(self) -> list[str]:
        """Why guests could not be loaded, one sentence each."""
        return [f"policy `{name}`: {made}" for name, made in self._guests.items() if isinstance(made, str)]

    def start_clocks(self) -> None:
        """As `Cell.start_clocks`."""
        self._cell.start_clocks()

    def _loaded(self, name: str, spec: Spec) -> Runs | str:
        try:
            made = self._cell.load(spec, self._codes[name])
            made.warm()
        except HostError as error:
            return str(error)
        return made


def _setups(plan: Plan) -> dict[str, Setup]:
    made: dict[str, Any] = {kind: Setup(**setup) for kind, setup in plan.setups.items()}
    return made
