"""The guard: what knows both the chain and the sandbox.

One event goes in, one decision comes out, whatever happens: everything that a guest, its files or its cache can cause
becomes a verdict of the policy it belongs to, and a bug of ours becomes a DENY in our own name.

Several guards decide as one: see `wasmguard.guards`.
"""

from __future__ import annotations

import os
from time import perf_counter_ns, time_ns

from wasmguard import draining, exceptions, places, plan
from wasmguard.agents import claude
from wasmguard.chain import decided
from wasmguard.decision import OURSELVES, Effect, Verdict, refused, settle
from wasmguard.enforcement import Enforcement
from wasmguard.errors import EventError, NotAtOnce, PlanStale, WasmguardError
from wasmguard.event import AFTER, OUTPUTS, TOOL_GATES, Event
from wasmguard.guest.outputs import NOTICE, withheld
from wasmguard.policy import AtOnce, Encoder, Policy, SetAside
from wasmguard.protection.events import Protection
from wasmguard.protection.size import is_small
from wasmguard.recorder import Recorder
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Self

    from wasmguard.decision import Decision
    from wasmguard.plan import Plan
    from wasmguard.sandbox.isolation import Cells
    from wasmguard.soon import Soon
    from wasmguard.state.interface import Store


AT_ONCE = 5_000_000  # nanoseconds after which no other policy is asked at once
SLOTS = 64  # guests that may run at the same time; in threads each has 16 MiB of address space


class Decides:
    """What a guard is to those who ask it."""

    policies: tuple[Policy, ...] = ()
    """In the owner's order."""
    closed = False

    _soon: Soon | None = None
    _recorder: Recorder | None = None
    """Who keeps a record of each decision; None if nobody does."""
    _waiting: list[tuple[Event, Decision, float, Mapping[str, Any]]] | None = None
    """Records that wait for `flush`; None if none does."""
    _enforcement: Enforcement | None = None
    """Who knows what was granted."""
    _small: Event | None = None
    """The event that was read last, if it is small: nobody needs to measure it again."""

    def decide(self, event: Event | Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Decision:
        """What may happen next. Never raises: what cannot be decided is denied.

        *event* is Claude Code's hook input as a mapping, or an `Event`; *environ* is the agent's environment, which
        says where its settings are; by default that of this process.
        """
        return self._answer(event, environ, at_once=False)

    def decide_at_once(
        self, event: Event | Mapping[str, Any], environ: Mapping[str, str] | None = None
    ) -> Decision | None:
        """As `decide`, but None if that could take longer than an event loop may wait: then ask in a thread."""
        try:
            if event is not self._small and not is_small(event.fields if isinstance(event, Event) else event):
                return None
            return self._answer(event, environ, at_once=True)
        except NotAtOnce:
            return None

    async def adecide(self, event: Event | Mapping[str, Any]) -> Decision:
        """As `decide`, for who has an event loop that must go on: small decisions come at once, others by a thread."""
        return await self._sooner().decided(event)

    async def read(self, payload: Mapping[str, Any]) -> Event:
        """The event in Claude Code's hook input, for who has an event loop: a large one is read by a thread.

        Raises:
            EventError: if there is none, or no thread to read it.
        """
        if is_small(payload):
            self._small = event = claude.from_mapping(payload, time=time_ns() // 1_000_000)
            return event
        return await self._sooner().read(payload)

    async def breathe(self) -> None:
        """Wait until the event loop, which may have made many decisions in this round, has time for another one."""
        await self._sooner().breathe()

    def unjudged(self, event: Event | Mapping[str, Any], why: str) -> Decision:
        """The DENY in our own name when nobody could judge *event*, which may be a mapping that is none. An output that
        a policy might have rewritten is withheld. Never raises."""
        refusal, output = refused(why), NOTICE
        try:
            read = event if isinstance(event, Event) else claude.unread(event, event.get("hook_event_name"))
            if not self.may_rewrite_output(read):
                return refusal
            output = withheld(read.output, read.tool)
        except Exception:  # noqa: BLE001  # a mapping of the caller's own kind may raise anything, depth does too
            return refusal.replaced(output=output)
        return refusal.replaced(output=output)

    def may_rewrite_output(self, event: Event) -> bool:
        """Whether *event* has an output that some policy might take something out of; who is closed does not know."""
        return event.name in OUTPUTS and (self.closed or any(p.may_rewrite_output(event) for p in self.policies))

    def close(self) -> None:
        """Let go of the policies. The guard cannot decide afterwards."""
        self.closed = True
        if self._soon is not None:
            self._soon.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def asked_by(self, way: str) -> None:
        """Say in records who asks: `hook` or `daemon`; by default it is a program that embeds the guard."""
        if self._recorder is not None:
            self._recorder.way = way

    def record_later(self) -> None:
        """From now on a decision is recorded when `flush` is called, at the latest with the next one: for a single
        thread that sends the answer first, and whose events nobody changes. Not where there must be a record before
        that, and not what was denied, or done: that is written down at once."""
        if self._recorder is not None and not self._recorder.required:
            self._waiting = []

    def flush(self) -> None:
        """Record what waits for it. Never raises."""
        while self._waiting:
            try:
                self._write(*self._waiting.pop(0))
            except Exception as error:  # noqa: BLE001  # as in `_kept`
                if self._recorder is None or not self._recorder.told:
                    _tell(_why(error))

    def _stop_recording(self) -> None:
        self.flush()
        for held in (self._recorder, self._enforcement):
            if held is not None:
                held.close()

    def _sooner(self) -> Soon:
        if self._soon is None:
            from wasmguard.soon import Soon

            self._soon = Soon(self)
        return self._soon

    def _answer(
        self, event: Event | Mapping[str, Any], environ: Mapping[str, str] | None, *, at_once: bool
    ) -> Decision:
        begun = perf_counter_ns()
        try:
            if isinstance(event, Event):
                event = event.replaced()  # what is encoded is kept by identity, and the caller's may change
            else:
                event = claude.from_mapping(event, time=time_ns() // 1_000_000)
        except EventError as error:
            return self._unread(event, str(error))
        except Exception as error:  # noqa: BLE001  # a mapping of the caller's own kind may raise anything
            return self._unread(event, f"the event cannot be read: {type(error).__name__}: pass a dict")
        used: dict[str, Any] = {}
        try:
            decision = self._decided(event, environ, at_once=at_once, used=used)
        except NotAtOnce:
            raise
        except EventError as error:
            decision = self.unjudged(event, str(error))
        except Exception as error:  # noqa: BLE001  # a bug of ours must not let a tool run
            bug = f"{type(error).__name__}: {one_line(str(error), 200)}"
            decision = self.unjudged(event, f"internal error: {bug}: please report it")
        return self._kept(event, decision, begun, used) if self._recorder is not None else decision

    def _unread(self, event: Event | Mapping[str, Any], why: str) -> Decision:
        """The DENY of what is no event, recorded as far as it can be."""
        if self._recorder is not None:
            from wasmguard import audit

            audit.quietly("refused", why=self._recorder.clean(why))
        return self.unjudged(event, why)

    def _kept(self, event: Event, decision: Decision, begun: int, used: Mapping[str, Any]) -> Decision:
        """*decision*, recorded; or a DENY, if it cannot be and the owner says that it must."""
        recorder = self._recorder
        if recorder is None:
            return decision
        took = (perf_counter_ns() - begun) / 1000
        if self._waiting is not None and event.name not in AFTER and decision.effect is not Effect.DENY:
            self.flush()
            self._waiting.append((event, decision, took, used))
            return decision
        try:
            self.flush()  # the call may be the one that was granted last
            self._write(event, decision, took, used)
        except Exception as error:  # noqa: BLE001  # a bug of ours is no reason to answer more loosely, or not at all
            return self._unkept(event, decision, error)
        return decision

    def _write(self, event: Event, decision: Decision, took: float, used: Mapping[str, Any]) -> None:
        """Write down what was granted, or look at what was done, and record it."""
        noted = self._enforcement.noted(event, decision) if self._enforcement is not None else None
        more = {**used, **noted} if noted else used
        if self._recorder is not None and self._recorder.keep(event, decision, took, more) > draining.SOON:
            draining.begin()

    def _unkept(self, event: Event, decision: Decision, error: Exception) -> Decision:
        recorder = self._recorder
        why = _why(error)
        if recorder is not None and recorder.required and decision.effect is not Effect.DENY:
            if self._enforcement is not None:
                self._enforcement.refused(event)
            return self.unjudged(event, why)
        if recorder is None or not recorder.told:
            _tell(why)
        return decision

    def _decided(
        self, event: Event, environ: Mapping[str, str] | None, *, at_once: bool, used: dict[str, Any]
    ) -> Decision:
        """What the policies amount to; before them, and again about an input that they rewrote, the guard itself.

        An exception that the owner made for this very input is used up where it helps, and then in *used*.
        """
        concerned = self._concerned(event)
        until = perf_counter_ns() + AT_ONCE if at_once else 0
        if why := self._refusal(event, environ, until):
            return refused(why)
        if self._enforcement is not None and (why := self._enforcement.refusal(event)):
            return refused(why)
        remembers = not at_once and any(policy.store is not None for policy in concerned)
        found = self._exception(event) if remembers else None  # before who remembers is asked in earnest, which counts
        if found is None:
            decision = self._asked(concerned, event, environ, until)
            found = self._exception(event) if decision.effect >= Effect.ASK and not remembers else None
        if found is not None:
            if at_once:
                raise NotAtOnce
            from wasmguard.excepted import excepted

            decision = excepted(found, concerned, event, environ, used)
        rewrite = decision.rewrite
        if rewrite is None:
            return decision
        if at_once and not is_small(rewrite):
            raise NotAtOnce
        if why := self._refusal(event.with_input(rewrite), environ, until):
            return settle([*decision.verdicts, Verdict.failed(OURSELVES, why)])
        return decision

    def _asked(
        self, concerned: Sequence[Policy | SetAside], event: Event, environ: Mapping[str, str] | None, until: int
    ) -> Decision:
        """What those *concerned* amount to; at once if there is an *until*."""
        if any(policy.store is not None for policy in concerned):
            if until:
                raise NotAtOnce
            from wasmguard.recall import recalled

            return recalled(concerned, event, environ)
        return decided([AtOnce(p, until) for p in concerned] if until else concerned, event)

    def _exception(self, event: Event) -> exceptions.Exception_ | None:
        """What the owner allowed for this very event, once."""
        if self._recorder is None or event.name not in TOOL_GATES or not exceptions.any_():
            return None
        return exceptions.found(self._recorder.config, event)

    def _concerned(self, event: Event) -> tuple[Policy, ...]:
        """The policies that are asked about *event*, in the owner's order.

        Raises:
            EventError: if nobody can be asked any more.
        """
        raise EventError("the guard is closed: load another")

    def _refusal(self, event: Event, environ: Mapping[str, str] | None, until: int) -> str:
        """Why the guard itself denies *event*; empty if it does not.

        Raises:
            NotAtOnce: if that takes until *until*, in nanoseconds of `perf_counter_ns`; never if that is 0.
            EventError: as above.
        """
        raise EventError("the guard is closed: load another")


class Guard(Decides):
    """A locked configuration, ready to decide. One guard serves many threads, event loops and sessions."""

    def __init__(self, locked: Plan, cells: Cells, *, eager: bool = True) -> None:
        """Use the plan *locked* and what its policies run in. `load` is the usual way here.

        With *eager*, processes load all policies at their start, else only those that the first event concerns.
        """
        self.plan, self.cells = locked, cells
        self._protection = Protection.of(locked) if locked.self_protection else None
        self._store = _store(locked)
        self._recorder = Recorder(locked) if locked.record["on"] else None
        self._enforcement = Enforcement(locked.config)
        encoded = Encoder()
        self.policies = tuple(Policy(planned, cells, encoded, self._store) for planned in locked.policies)
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

    def close(self) -> None:
        """Let go of the policies, and end the processes in which they ran. The guard cannot decide afterwards."""
        super().close()
        self.policies = ()
        self._routes.clear()
        self.cells.close()
        if self._store is not None:
            self._store.close()
        self._stop_recording()

    def _concerned(self, event: Event) -> tuple[Policy, ...]:
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

    def _refusal(self, event: Event, environ: Mapping[str, str] | None, until: int) -> str:
        return self._protection.refusal(event, environ, until) if self._protection else ""


def _why(error: Exception) -> str:
    if isinstance(error, WasmguardError):
        return str(error)
    return f"the decision cannot be recorded: internal error: {type(error).__name__}: please report it"


def _tell(why: str) -> None:
    """Tell whoever reads standard error; nobody has to."""
    try:
        os.write(2, f"wasmguard: {one_line(why, 1_000)}\n".encode("utf-8", "replace"))
    except OSError:
        return


def _store(locked: Plan) -> Store | None:
    """Where the policies of *locked* remember what they may; None if none may."""
    if not any(policy.grants["state"] for policy in locked.policies):
        return None
    from wasmguard.state import opened

    return opened(locked.config, locked.state)
