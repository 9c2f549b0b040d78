"""The guard of one configuration in a process that lives on: it follows the plan.

1. Before an event the plan's file and the configuration are looked at, twice a second the modules too. If one of them
   is another file now, the plan is read again. Events that follow each other at once share a look.
2. A plan that counts comes into force between two events, whole, with new cells. One that does not count, or cannot be
   read, changes nothing: the last good one stays, it is told why, and tried again.
3. A module whose bytes changed is refused from then on, as a one-shot hook would refuse it.
"""

from __future__ import annotations

import os
from functools import partial
from time import monotonic, perf_counter_ns, time_ns

from wasmguard import places, plan, switch
from wasmguard.agents import claude, sdk
from wasmguard.decision import OURSELVES
from wasmguard.errors import PlanStale, WasmguardError
from wasmguard.guard import Guard
from wasmguard.recorder import DAEMON
from wasmguard.serve import callback
from wasmguard.serve.answer import ANSWERED, PASSED, parsed_event, refusal, unjudged
from wasmguard.serve.hidden import nobody_knows
from wasmguard.text import one_line
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from wasmguard.decision import Decision
    from wasmguard.event import Event
    from wasmguard.plan import Plan
    from wasmguard.serve.answer import Reply

SLOTS = 2  # an engine with a pool: this process decides many events
FRESH = 0.005  # seconds that a look is shared: a hook takes longer to start, and two `stat` are a tenth of an answer
MODULES = 0.5  # seconds between two looks at the modules' files
AGAIN = 2.0  # seconds until what did not come into force is tried again: a machine may have no process left for a while
REASON = 200  # characters that are kept of a reason


class Told(Value):
    """What a decision came to, for whoever asks how things are."""

    time: int = 0
    """Unix milliseconds."""
    event: str = ""
    tool: str = ""
    effect: str = "pass"
    rewrote: bool = False
    faulted: bool = False
    policy: str = ""
    """Who carried it."""
    reason: str = ""
    microseconds: float = 0.0


class Reload(Value):
    """The last time that the plan changed, or should have."""

    time: int = 0
    """Unix milliseconds; 0 if it never did."""
    old: str = ""
    new: str = ""
    """Digests of the configuration before and after."""
    error: str = ""
    """Why the old one stays; empty if it does not."""


class Standing:
    """Answers events under the configuration *config* as it is now."""

    def __init__(self, config: str) -> None:
        """Load the guard, and start its cells.

        Raises:
            WasmguardError: if there can be none.
        """
        self._files, self._mark = (config, plan.file_of(config)), switch.mark()
        self.last, self.reload = Told(), Reload()
        _ensure_locked(config)
        self._seen = self._looked()
        self._guard = self._loaded(plan.read(config))
        self._modules = self._module_stamps()
        self._fresh = self._next = self._again = 0.0  # when to look at the files, at the modules; when to try again

    @property
    def plan(self) -> Plan:
        """What decides now."""
        return self._guard.plan

    def reply(self, raw: bytes, context: Mapping[str, str]) -> Reply:
        """Code, answer and complaint for the event *raw* of an agent with the variables *context*. Never raises."""
        return self._walled(self._decided, self._unjudged, raw, context)

    def permission(self, raw: bytes, context: Mapping[str, str]) -> Reply:
        """The same for the question *raw* of an SDK's callback (`serve.callback`). Never raises; what goes wrong is a
        deny."""
        return self._walled(self._permitted, _refused, raw, context)

    def _walled(
        self,
        answering: Callable[[bytes, Mapping[str, str]], tuple[bytes, dict[str, Any]]],
        refusing: Callable[[bytes, str], Reply],
        raw: bytes,
        context: Mapping[str, str],
    ) -> Reply:
        begun = perf_counter_ns()
        try:
            self.follow()
            answer, told = answering(raw, context)
            reply = ANSWERED, answer, b""
        except Exception as error:  # noqa: BLE001  # a bug of ours, or no memory left, is no reason to be silent
            bug = f"internal error: {type(error).__name__}: {one_line(str(error), 200)}: please report it"
            why = str(error) if isinstance(error, WasmguardError) else bug
            reply = refusing(raw, why)
            told = {"effect": "deny", "faulted": True, "policy": OURSELVES, "reason": one_line(why, REASON)}
        microseconds = (perf_counter_ns() - begun) / 1000
        self.last = Told(time=time_ns() // 1_000_000, microseconds=microseconds, **told)
        return reply

    def pids(self) -> list[int]:
        """The cells."""
        return self._guard.cells.pids()

    def flush(self) -> None:
        """Record what was decided; the answer is out. Never raises."""
        self._guard.flush()

    def close(self) -> None:
        """End the cells."""
        self._guard.close()

    def _decided(self, raw: bytes, context: Mapping[str, str]) -> tuple[bytes, dict[str, Any]]:
        """The answer, and what is told of it."""
        if switch.off_until(self._mark) is not None:
            return PASSED, {"reason": "the guard is off"}
        event = parsed_event(raw, self.plan.event)
        decision = self._guard.decide(event, context)
        return claude.encode(claude.render(event, decision)), _told(event, decision)

    def _unjudged(self, raw: bytes, why: str) -> Reply:
        try:
            return unjudged(self._guard, raw, why)
        except Exception:  # noqa: BLE001  # what went wrong may do so again
            return refusal(raw, why, nobody_knows)

    def _permitted(self, raw: bytes, context: Mapping[str, str]) -> tuple[bytes, dict[str, Any]]:
        off = switch.off_until(self._mark) is not None
        decide = None if off else partial(self._guard.decide, environ=context)
        answer, told = callback.answered(raw, self.plan.event, decide)
        return sdk.encode(answer), {**told, "reason": one_line(told["reason"], REASON)}

    def follow(self) -> None:
        """See whether there is another plan to go by (rules 1 to 3).

        Raises:
            Exception: if there is, and it cannot be gone by; the old one stays.
        """
        now = monotonic()
        if now < self._fresh:
            return
        self._fresh, seen = now + FRESH, self._looked()
        if seen != self._seen:
            self._seen, self._again = seen, 0.0
            self._reloaded()
        elif self._again and now >= self._again:
            self._reloaded()
        elif now >= self._next:
            if (modules := self._module_stamps()) != self._modules:
                self._swapped(self.plan)
                self._modules = modules
            self._next = now + MODULES

    def _reloaded(self) -> None:
        old, tried, self._again = self.plan.digest, self._again, monotonic() + AGAIN
        try:
            read = plan.read(self._files[0])
            if read != self.plan:
                self._swapped(read)
        except WasmguardError as error:
            self._again = monotonic() + AGAIN
            if not tried or str(error) != self.reload.error:
                self.reload = Reload(time=time_ns() // 1_000_000, old=old, new=old, error=str(error))
            return
        self._modules, self._again = self._module_stamps(), 0.0
        if self.plan.digest != old or self.reload.error:
            self.reload = Reload(time=time_ns() // 1_000_000, old=old, new=self.plan.digest)

    def _swapped(self, read: Plan) -> None:
        """Put *read* into force; only when its cells are ready."""
        before, self._guard = self._guard, self._loaded(read)
        before.close()

    def _loaded(self, read: Plan) -> Guard:
        guard = Guard(read, plan.cells(read, slots=SLOTS, processes=1))
        guard.asked_by(DAEMON)
        guard.record_later()
        try:
            guard.cells.start()
        except BaseException:
            guard.close()
            raise
        return guard

    def _looked(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(_stamp, self._files))

    def _module_stamps(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_stamp(policy.path) for policy in self.plan.policies)


def _ensure_locked(config: str) -> None:
    """Lock what was never locked.

    Raises:
        WasmguardError: if it cannot be.
    """
    try:
        plan.read(config)
    except PlanStale:
        from wasmguard.lock import lock

        lock(config, repin=False)


def _refused(_: bytes, why: str) -> Reply:
    """The answer to a question of a callback that cannot be decided."""
    return ANSWERED, sdk.encode(sdk.refusal(f"wasmguard: {why}")), b""


def _stamp(path: str) -> tuple[int, ...]:
    """What tells one file from the next; empty if there is none."""
    try:
        return places.stamp(os.stat(path))
    except OSError:
        return ()


def _told(event: Event, decision: Decision) -> dict[str, Any]:
    told = {
        "event": event.name,
        "tool": event.tool or "",
        "effect": decision.effect.name.lower(),
        "rewrote": decision.rewrite is not None,
    }
    if because := decision.because:
        faulted = decision.faulted and because[0].policy != OURSELVES  # self-protection is no failure
        told |= {"policy": because[0].policy, "faulted": faulted, "reason": one_line(decision.reason, REASON)}
    return told
