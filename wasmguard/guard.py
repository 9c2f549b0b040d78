"""The guard: what knows both the chain and the sandbox.

One event goes in, one decision comes out, whatever happens: everything that a guest, its files or its cache can cause
becomes a verdict of the policy it belongs to, and a bug of ours becomes a DENY in our own name.
"""

from __future__ import annotations

import os
from time import perf_counter_ns, time_ns

from wasmguard import places, plan
from wasmguard.agents import claude
from wasmguard.chain import decided
from wasmguard.decision import OURSELVES, Effect, Verdict, refused, settle
from wasmguard.errors import EventError, GuestFault, PlanStale, WasmguardError
from wasmguard.event import Event
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.guest.grants import Grants, answered
from wasmguard.protection.events import Protection
from wasmguard.sandbox.isolation import PROCESS
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self

    from wasmguard.decision import Decision
    from wasmguard.plan import Plan, PlannedPolicy
    from wasmguard.sandbox.isolation import Cells, Guest

    Encoding = Callable[[Event, frozenset[str] | None], bytes]


SLOTS = 64  # guests that may run at the same time; in threads each has 16 MiB of address space


class Guard:
    """A locked configuration, ready to decide. One guard serves many threads and sessions."""

    def __init__(self, locked: Plan, cells: Cells, *, eager: bool = True) -> None:
        """Use the plan *locked* and what its policies run in. `load` is the usual way here.

        With *eager*, processes load all policies at their start, else only those that the first event concerns.
        """
        self.plan, self.closed, self.cells = locked, False, cells
        self._protection = Protection.of(locked) if locked.self_protection else None
        encoded = _Encoder()
        self.policies = tuple(Policy(planned, cells, encoded) for planned in locked.policies)
        for policy in self.policies if eager else ():
            policy.prepare()
        self._routes: dict[tuple[str, str | None], tuple[Policy, ...]] = {}

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        slots: int = SLOTS,
        may_lock: bool = True,
        isolation: str | None = None,
    ) -> Self:
        """The guard of the configuration file *path*, or of the usual one. A file that was never locked is locked
        first. At most *slots* policies run at the same time. *isolation* is `process` or `thread` (see
        `wasmguard.sandbox.isolation`), by default what the owner wrote.

        Raises:
            ConfigError: if the configuration cannot be used.
            BundleError: if a policy's files cannot be used, or its bytes are not the ones that were locked.
            HostError: if the machine does not let us.
        """
        config = places.config_file(os.fspath(path) if path is not None else None)
        try:
            locked = plan.read(config)
        except PlanStale:
            if not may_lock:
                raise
            from wasmguard.lock import lock

            locked = lock(config, repin=False).plan
        return cls(locked, plan.cells(locked, slots=slots, isolation=isolation), eager=slots > 1)

    def decide(self, event: Event | Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Decision:
        """What may happen next. Never raises: what cannot be decided is denied.

        *event* is Claude Code's hook input as a mapping, or an `Event`; *environ* is the agent's environment, which
        says where its settings are; by default that of this process.
        """
        try:
            if isinstance(event, Event):
                event = event.replaced()  # what is encoded is kept by identity, and the caller's may change
            else:
                event = claude.from_mapping(event, time=time_ns() // 1_000_000)
            return self._decided(event, environ)
        except EventError as error:
            return refused(str(error))
        except Exception as error:  # noqa: BLE001  # a bug of ours must not let a tool run
            return refused(f"internal error: {type(error).__name__}: {one_line(str(error), 200)}: please report it")

    def _decided(self, event: Event, environ: Mapping[str, str] | None) -> Decision:
        """What the policies amount to; before them, and again about an input that they rewrote, the guard itself."""
        concerned, protection = self._concerned(event), self._protection
        if protection and (why := protection.refusal(event, environ)):
            return refused(why)
        decision = decided(concerned, event)
        rewrite = decision.rewrite
        if protection and rewrite is not None and (why := protection.refusal(event.with_input(rewrite), environ)):
            return settle([*decision.verdicts, Verdict.failed(OURSELVES, why)])
        return decision

    async def adecide(self, event: Event | Mapping[str, Any]) -> Decision:
        """`decide` in a thread, for callers whose event loop must go on."""
        from asyncio import to_thread

        return await to_thread(self.decide, event)

    def close(self) -> None:
        """Let go of the policies, and end the processes in which they ran. The guard cannot decide afterwards."""
        self.closed, self.policies = True, ()
        self._routes.clear()
        self.cells.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _concerned(self, event: Event) -> tuple[Policy, ...]:
        """The policies that are asked about *event*, in the owner's order."""
        policies, route = self.policies, (event.name, event.tool)
        if self.closed:  # looked at last: nobody left to ask must not become a pass
            raise EventError("the guard is closed: load another")
        concerned = self._routes.get(route)
        if concerned is None:
            if len(self._routes) > 1000:  # tool names come from outside
                self._routes.clear()
            concerned = self._routes[route] = tuple(p for p in policies if p.judges(*route))
            for policy in concerned:
                policy.prepare()
        return concerned


class Policy:
    """One planned policy, its guest loaded when it is first asked."""

    def __init__(self, planned: PlannedPolicy, cells: Cells, encoded: Encoding) -> None:
        self.name, self.shadow = planned.name, planned.shadow
        self._planned, self._cells, self._encoded = planned, cells, encoded
        self._grants = Grants.from_data(planned.grants)
        self._settings = encode_settings(planned.settings)
        self._reads = None if planned.reads is None else frozenset(planned.reads)
        self._on_fault = Effect.ASK if planned.on_fault == "ask" else Effect.DENY
        self._guest: Guest | None = None

    def judges(self, event: str, tool: str | None) -> bool:
        """Whether it is asked about events of this name and tool."""
        return event in self._planned.events and (
            tool is None or self._planned.tools is None or any(_matches(tool, t) for t in self._planned.tools)
        )

    def ask(self, event: Event) -> Verdict:
        """What it says about *event*. Whatever goes wrong on the way is a fault: DENY, or ASK if its owner said so."""
        begun, fuel, least = perf_counter_ns(), None, self._on_fault
        try:
            guest = self._guest or self._loaded()
            answer, fuel = guest.evaluate(request(self._encoded(event, self._reads), self._settings))
            said = decode_answer(answer)
            least = max(least, said.effect)  # a deny that also breaks its grants is no less than a deny
            verdict = answered(self.name, said, event, self._grants)
        except GuestFault as fault:
            verdict = Verdict.failed(self.name, str(fault), least)
            fuel = fault.fuel if fuel is None else fuel
        except WasmguardError as error:  # its files, its cache, or an event that cannot be encoded
            verdict = Verdict.failed(self.name, str(error), self._on_fault)
        return verdict.replaced(fuel=fuel, microseconds=(perf_counter_ns() - begun) / 1000)

    def prepare(self) -> None:
        """Say that it will be asked: a process loads all its guests before it is shut in."""
        if self._guest is None and self._cells.isolation == PROCESS:
            self._loaded()

    def _loaded(self) -> Guest:
        self._guest = guest = plan.guest(self._planned, self._cells)
        return guest


class _Encoder:
    """Encodes an event once for all policies that read the same fields of it."""

    def __init__(self) -> None:
        self._latest: tuple[Event | None, dict[frozenset[str] | None, bytes]] = None, {}

    def __call__(self, event: Event, reads: frozenset[str] | None) -> bytes:
        latest, parts = self._latest  # one read: another thread may replace the pair, never split it
        if latest is not event:
            parts = {}
            self._latest = event, parts
        if reads not in parts:
            parts[reads] = encode_event(event, reads)
        return parts[reads]


def _matches(tool: str, pattern: str) -> bool:
    return tool.startswith(pattern[:-1]) if pattern.endswith("*") else tool == pattern
