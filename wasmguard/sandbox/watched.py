"""Guests that are watched while they are asked: how long the parts of an evaluation take, and how much memory it needs.

For measuring only. What everybody else runs knows nothing of it: a watched guest is the same guest, of the same class,
which also looks at the clock between its steps. It runs in a cell of its own, which tells its parent what was seen:
`sandbox.watching` is who asks, and who is told.

1. An evaluation has two parts. `evaluate` goes from the guest's `alloc` (of a component: the call) until its answer is
   copied; `instantiate` is all the rest: store, limits, instance, exports, `_initialize`, and the teardown.
2. A look at the clock takes 0.1 us and a guest 10 us or more. Whoever needs the time itself asks an unwatched guest,
   and this one in which proportion it is spent.
3. A linear memory never shrinks: its size after the answer is the most that the evaluation had. How much a component
   has cannot be seen; what it needs is found by trying (`least_memory`).
4. A cell says it as `FIGURES` bytes before the answer, or, as hexadecimal digits, before the text of a failure. Both
   are its own words: whoever took it over says what he likes, within the bounds that the parent holds them to.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from wasmguard.guest import abi
from wasmguard.limits import KIB
from wasmguard.sandbox import bindings as c
from wasmguard.sandbox.call import IN_ALLOC, CoreGuest
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.failure import NOT_AT_ONCE, TEXT, Failed, Runs
from wasmguard.sandbox.opa_guest import OpaGuest
from wasmguard.sandbox.opa_portable import PortableOpaGuest
from wasmguard.sandbox.portable import IN_COMPONENT, ComponentGuest, PortableCoreGuest
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wasmguard.sandbox.bindings import Library
    from wasmguard.sandbox.spec import Spec

PAGE = 64 * KIB  # bytes: a memory grows by whole ones
NUMBER = 8  # bytes of a figure
FIGURES = 3 * NUMBER  # bytes of rule 4: instantiate, evaluate, memory
NO_MEMORY = 2**64 - 1  # none was seen


class Seen(Value):
    """What was seen of one evaluation."""

    request: bytes
    instantiate: int
    """Nanoseconds of rule 1; all of them if it never came to `alloc`."""
    evaluate: int
    """Nanoseconds of rule 1."""
    fuel: int | None = None
    """None if nobody could measure it: the clock ended it."""
    memory: int | None = None
    """Bytes of its linear memory at the end; None for a component, and where it never came to its first call."""
    carry: int = 0
    """Nanoseconds that it took longer for who asked a cell in another process."""

    @property
    def nanoseconds(self) -> int:
        """Both parts."""
        return self.instantiate + self.evaluate


class Watched(Runs):
    """What all kinds of watched guests share. One caller at a time."""

    tell: Callable[[Seen], object]
    """Who is told about each evaluation, after it."""

    _answering = _answered = _looked = 0  # nanoseconds of the clock; 0 for what did not happen
    _memory: int | None = None

    def run(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """See `Runs.run`."""
        self._answering, self._memory, fuel = 0, None, None
        self._answered = self._looked = begun = perf_counter_ns()
        try:
            answer, fuel = super().run(request, at_once=at_once)
        except Failed as failed:
            fuel = failed.fuel
            raise
        else:
            return answer, fuel
        finally:
            whole = perf_counter_ns() - begun - (self._looked - self._answered)
            evaluate = self._answered - self._answering if self._answering else 0
            parts = {"instantiate": whole - evaluate, "evaluate": evaluate}
            self.tell(Seen(request=request, **parts, fuel=fuel, memory=self._memory))

    def least_memory(self, request: bytes) -> int | None:
        """The least limit of its memory, in bytes, under which it answers *request* as it does under its own; None if
        it does not answer, or its memory is seen after each evaluation anyway."""
        return None

    def _asked(self, *given: Any, **named: Any) -> bytes:
        try:
            answer: bytes = super()._asked(*given, **named)  # type: ignore[misc]  # of the kind of guest
            return answer
        finally:
            self._answered = perf_counter_ns()
            self._memory = self._seen_memory(given[0])
            self._looked = perf_counter_ns()

    def _seen_memory(self, store: Any) -> int | None:
        """Bytes of the linear memory in *store*, while it is still there."""
        return None


class _Stamping(c.Library):
    """The same functions; one of them notes when the guest is called."""

    def __init__(self, library: Library) -> None:
        self.__dict__.update(vars(library))  # nothing is opened anew
        self.begun: list[int] = []
        note, call, now = self.begun.append, library.call, perf_counter_ns

        def noted(*given: Any) -> Any:
            note(now())
            return call(*given)

        self.call = noted


class _Direct(Watched, CoreGuest):
    """A core module straight over the C API."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._library = self._noted = _Stamping(self._library)

    def _asked(self, *given: Any, **named: Any) -> bytes:
        calls = self._noted.begun
        calls.clear()
        self._memory_at = given[1].externs[0] + c.EXTERN_OF
        try:
            return super()._asked(*given, **named)
        finally:  # where there is an `_initialize` it is called first
            self._answering = calls[self._initializes] if len(calls) > self._initializes else 0

    def _seen_memory(self, store: Any) -> int | None:
        if not self._noted.begun:  # the handle may be of an earlier store, and to use it would abort the process
            return None
        size: int = self._library.memory_size(store, self._memory_at)
        return size


class _DirectOpa(_Direct, OpaGuest):
    """A module of OPA straight over the C API."""


class _Public(Watched):
    """What runs through wasmtime's public API."""

    def _done(self, phase: int, call: Callable[[], Any]) -> Any:
        if phase in (IN_ALLOC, IN_COMPONENT):
            self._answering = perf_counter_ns()
        return super()._done(phase, call)  # type: ignore[misc]  # of the kind of guest


class _Portable(_Public, PortableCoreGuest):
    """A core module through the public API."""

    _instance: Any = None

    def _exchanged(self, store: Any, instance: Any, request: bytes) -> bytes:
        self._instance = instance
        return super()._exchanged(store, instance, request)

    def _seen_memory(self, store: Any) -> int | None:
        instance, self._instance = self._instance, None
        return None if instance is None else int(instance.exports(store)[abi.MEMORY].data_len(store))


class _PortableOpa(_Portable, PortableOpaGuest):
    """A module of OPA through the public API."""


class _Component(_Public, ComponentGuest):
    """A component."""

    def least_memory(self, request: bytes) -> int | None:
        own = self._limits
        try:
            expected = self._answer_of(request)
            low, high = 0, -(-own.memory // PAGE)  # pages: not enough, enough
            while expected is not None and high - low > 1:
                middle = (low + high) // 2
                self._limits = own.replaced(memory=middle * PAGE)
                low, high = (low, middle) if self._answer_of(request) == expected else (middle, high)
            return None if expected is None else high * PAGE
        finally:
            self._limits = own

    def _answer_of(self, request: bytes) -> bytes | None:
        try:
            return ComponentGuest.run(self, request)[0]  # nobody is told
        except Failed:
            return None


KINDS: Mapping[type[Runs], type[Watched]] = {
    CoreGuest: _Direct,
    OpaGuest: _DirectOpa,
    PortableCoreGuest: _Portable,
    PortableOpaGuest: _PortableOpa,
    ComponentGuest: _Component,
}


class WatchedCell(Cell):
    """A cell whose guests are watched."""

    def load(self, spec: Spec, code: Sequence[bytes]) -> Watched:
        """See `Cell.load`; who is told (`Watched.tell`) is to be set."""
        guest = self._plain(spec, code)
        if not isinstance(guest, Watched):
            raise TypeError(f"{type(guest).__name__} cannot be watched")
        return guest

    def _plain(self, spec: Spec, code: Sequence[bytes]) -> Runs:
        if spec.kind == "component":
            return _Component(self._engine(spec.kind), code[0], spec.limits, spec.answer)
        return super().load(spec, code)

    def _core(self, spec: Spec) -> Callable[..., Runs]:
        plain = super()._core(spec)
        return KINDS[plain] if isinstance(plain, type) else plain


class _Telling(Runs):
    """A watched guest that tells what was seen together with what it says: rule 4."""

    def __init__(self, guest: Watched, spec: Spec) -> None:
        super().__init__(spec.limits, spec.answer)
        self._guest, self._figures = guest, b""
        guest.tell = self._heard

    def warm(self) -> None:
        """See `Runs.warm`."""
        self._guest.warm()

    def run(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """See `Runs.run`; never at once."""
        if at_once:
            raise Failed(NOT_AT_ONCE)
        try:
            answer, fuel = self._guest.run(request)
        except Failed as failed:
            *numbers, text = failed.failure
            room = 4 * TEXT - 2 * FIGURES  # bytes of a text that is of the rarest characters
            text = text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
            failed.failure = (*numbers, self._figures.hex() + text)  # type: ignore[assignment]  # three numbers
            raise
        return self._figures + answer, fuel

    def run_at_once(self, request: bytes) -> tuple[bytes, int]:
        """See `Runs.run_at_once`."""
        return self.run(request, at_once=True)

    def _heard(self, seen: Seen) -> None:
        self._figures = _figures(seen.instantiate, seen.evaluate, seen.memory)


class _TellingLeast(_Telling):
    """A watched guest that tells the least memory that it needs for an answer, and no times."""

    def run(self, request: bytes, *, at_once: bool = False) -> tuple[bytes, int]:
        """See `Runs.run`."""
        said, fuel = super().run(request, at_once=at_once)
        return _figures(0, 0, self._guest.least_memory(request)) + said[FIGURES:], fuel


class _TellingCell(WatchedCell):
    """A cell that tells what was seen of each evaluation."""

    def load(self, spec: Spec, code: Sequence[bytes]) -> Runs:  # type: ignore[override]  # it stands around a watched one
        return _Telling(super().load(spec, code), spec)


class _LeastCell(WatchedCell):
    """A cell that tells the least memory for an answer."""

    def load(self, spec: Spec, code: Sequence[bytes]) -> Runs:  # type: ignore[override]  # as above
        return _TellingLeast(super().load(spec, code), spec)


PARTS, LEAST = "parts", "least"
TELLING: Mapping[str, type[Cell]] = {PARTS: _TellingCell, LEAST: _LeastCell}
"""What a cell in a process of its own is, by what its load message says of `watched`."""


def _figures(instantiate: int, evaluate: int, memory: int | None) -> bytes:
    numbers = (instantiate, evaluate, NO_MEMORY if memory is None else memory)
    return b"".join(number.to_bytes(NUMBER, "big") for number in numbers)
