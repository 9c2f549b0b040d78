"""A policy, ready to be asked: its guest in a cell, its settings and grants, and what becomes of its answer."""

from __future__ import annotations

from time import perf_counter_ns

from wasmguard import plan
from wasmguard.decision import Effect, Verdict
from wasmguard.errors import GuestFault, NotAtOnce, WasmguardError
from wasmguard.event import OTHER_NAMES, OUTPUTS
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.guest.grants import Grants, answered
from wasmguard.guest.outputs import withheld
from wasmguard.sandbox.isolation import PROCESS

try:  # as in `wasmguard.sandbox.cache`
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wasmguard.event import Event
    from wasmguard.plan import PlannedPolicy
    from wasmguard.sandbox.isolation import Cells, Guest
    from wasmguard.state.interface import Slot, Store

    Encoding = Callable[[Event, frozenset[str] | None], bytes]


class Policy:
    """One planned policy, its guest loaded when it is first asked."""

    def __init__(self, planned: PlannedPolicy, cells: Cells, encoded: Encoding, store: Store | None) -> None:
        """*store* is where it remembers what it may, if it may at all."""
        self.name, self.shadow, self.shadow_of = planned.name, planned.shadow, planned.shadow_of
        self.on_fault = Effect.ASK if planned.on_fault == "ask" else Effect.DENY
        self._planned, self._cells, self._encoded = planned, cells, encoded
        self._grants = Grants.from_data(planned.grants)
        self._settings = encode_settings(planned.settings)
        self._reads = None if planned.reads is None else frozenset(planned.reads)
        self._guest: Guest | None = None
        self.store = store if self._grants.state else None
        """Where it remembers something; None if it may not."""

    def judges(self, event: str, tool: str | None) -> bool:
        """Whether it is asked about events of this name and tool, which may be meant by another of its names: to be
        asked more often only tightens."""
        planned = self._planned
        if event not in planned.events or tool is None:
            return event in planned.events
        names = (tool, *OTHER_NAMES.get(tool, ()))
        matcher = planned.matchers.get(event, planned.matchers.get("*"))
        if matcher is not None:
            from wasmguard.matcher import matches

            return any(matches(matcher, name) for name in names)
        return planned.tools is None or any(_named(name, pattern) for pattern in planned.tools for name in names)

    def ask(self, event: Event, state: bytes | None = None, *, at_once: bool = False) -> Verdict:
        """What it says about *event*, remembering *state*. Whatever goes wrong on the way is a fault: DENY, or ASK if
        its owner said so.

        Raises:
            NotAtOnce: only with *at_once*, if that could take long.
        """
        begun, fuel, least, said, answer = perf_counter_ns(), None, self.on_fault, None, b""
        try:
            if at_once and self._guest is None:  # to load it takes milliseconds
                raise NotAtOnce
            guest = self._guest or self._loaded()
            asked = request(self._encoded(event, self._reads), self._settings, state)
            answer, fuel = guest.evaluate(asked, at_once=True) if at_once else guest.evaluate(asked)
            said = decode_answer(answer)
            least = max(least, said.effect)  # a deny that also breaks its grants is no less than a deny
            verdict = answered(self.name, said, event, self._grants)
        except GuestFault as fault:
            verdict = self._failed(event, str(fault), least, hides=said is not None and said.rewrite_output is not None)
            fuel = fault.fuel if fuel is None else fuel
        except WasmguardError as error:  # its files, its cache, or an event that cannot be encoded
            verdict = self._failed(event, str(error), self.on_fault)
        microseconds = (perf_counter_ns() - begun) / 1000
        return verdict.replaced(fuel=fuel, microseconds=microseconds, given=state, answer=_digest(answer))

    def failed(self, event: Event, error: WasmguardError) -> Verdict:
        """Its verdict when it could not even be asked about *event*."""
        return self._failed(event, str(error), self.on_fault)

    def slot(self, event: Event, environ: Mapping[str, str] | None) -> Slot:
        """Where it remembers what belongs to *event*."""
        from wasmguard.state.interface import Slot
        from wasmguard.state.scope import key_of

        grants = self._grants
        key = key_of(grants.scope, event, environ)
        return Slot(policy=self.name, scope=grants.scope, key=key, expires=grants.expires, entries=grants.entries)

    def may_rewrite_output(self, event: Event) -> bool:
        """Whether it might take something out of the output that *event* is about."""
        granted = self._grants.most_output(event.tool) is not None if event.tool else bool(self._grants.rewrite_output)
        return granted and not self.shadow and self.judges(event.name, event.tool)

    def prepare(self) -> None:
        """Say that it will be asked: a process loads all its guests before it is shut in."""
        if self._guest is None and self._cells.isolation == PROCESS:
            self._loaded()

    def _failed(self, event: Event, why: str, effect: Effect, *, hides: bool = False) -> Verdict:
        """A fault. An output that it was there to rewrite is withheld; so is one of another tool that it tried to
        rewrite (*hides*) while it may rewrite some: it has found what its owner wants hidden."""
        withholds = self.may_rewrite_output(event) or (hides and bool(self._grants.rewrite_output) and not self.shadow)
        output = withheld(event.output, event.tool) if withholds and event.name in OUTPUTS else None
        return Verdict.failed(self.name, why, effect, output=output)

    def _loaded(self) -> Guest:
        self._guest = guest = plan.guest(self._planned, self._cells)
        return guest


def _digest(answer: bytes) -> bytes:
    return blake2b(answer, digest_size=16).digest() if answer else b""


class AtOnce:
    """A policy that is asked at once or not at all."""

    def __init__(self, policy: Policy | SetAside, until: int) -> None:
        """At once is before *until*, in nanoseconds of `perf_counter_ns`: one guest may take some milliseconds, and
        there may be many."""
        self.name, self.shadow, self.shadow_of = policy.name, policy.shadow, policy.shadow_of
        self._policy, self._until = policy, until

    def ask(self, event: Event) -> Verdict:
        """As `Policy.ask`.

        Raises:
            NotAtOnce: if that could take long.
        """
        if perf_counter_ns() > self._until:
            raise NotAtOnce
        return self._policy.ask(event, at_once=True)


class SetAside:
    """A policy that its owner set aside for one event: asked and recorded, not obeyed."""

    shadow, shadow_of = True, ""

    def __init__(self, policy: Policy) -> None:
        self.name, self.store, self.on_fault = policy.name, policy.store, policy.on_fault
        self.ask, self.slot, self.failed = policy.ask, policy.slot, policy.failed


class Encoder:
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


def _named(tool: str, pattern: str) -> bool:
    return tool.startswith(pattern[:-1]) if pattern.endswith("*") else tool == pattern
