"""What `wasmguard lock` finds out of a module of OPA by looking, and the code that it puts around it.

It looks once, in a cell and under the policy's limits, because the module's own code has to run for that. Refused are a
version of OPA's ABI that is not known, functions that a host would have to lend (`http.send`, but also `sprintf`: OPA
compiles in what its C library has), and a module without exactly one of the known entrypoints.
"""

from __future__ import annotations

from wasmguard import wire
from wasmguard.errors import GuestFault, ModuleRefused
from wasmguard.guest.opa import ANSWER, ENTRYPOINTS
from wasmguard.sandbox import bindings, opa
from wasmguard.sandbox.compile import in_child
from wasmguard.sandbox.core_module import Memory
from wasmguard.sandbox.isolation import Cells
from wasmguard.sandbox.spec import Spec
from wasmguard.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from wasmguard.limits import Limits
    from wasmguard.sandbox.engine import Setup
    from wasmguard.sandbox.isolation import Guest
    from wasmguard.sandbox.scan import Shape

LISTED = 8  # names in a message
LARGEST = 2**31 - 1  # of an entrypoint's number


def found(code: bytes, shape: Shape, setup: Setup, limits: Limits, isolation: str) -> tuple[str, int]:
    """Name and number of the entrypoint that is asked of the module of this *shape*, whose native *code* was compiled
    for engines of *setup*.

    Raises:
        ModuleRefused: if there is not exactly one, or the module wants what is not there.
        HostError: if it cannot be run here.
    """
    around = compiled_around(numbers(shape, None), setup, limits)
    spec = Spec(kind=setup.kind, limits=limits, answer=limits.answer, opa=shape.opa)
    cells = Cells(bindings.find(), {setup.kind: setup.as_dict()}, slots=1, event=limits.event, isolation=isolation)
    try:
        return _entry(cells.guest("looked at", spec, lambda: (code, *around)))
    finally:
        cells.close()


def numbers(shape: Shape, entrypoint: int | None) -> dict[str, Any]:
    """What `opa.texts` takes for a module of this *shape*."""
    memory = shape.memory or Memory(minimum=0)
    return {"minimum": memory.minimum, "maximum": memory.maximum, "entrypoint": entrypoint}


def _entry(guest: Guest) -> tuple[str, int]:
    try:
        version, _ = guest.evaluate(opa.LOOK_VERSION)
        _check_version(version)
        wanted = _names(guest.evaluate(opa.LOOK_BUILTINS)[0], "builtins")
        there = _names(guest.evaluate(opa.LOOK_ENTRYPOINTS)[0], "entrypoints")
    except GuestFault as fault:
        raise ModuleRefused(f"cannot say what it is: {fault}") from None
    if wanted:
        raise ModuleRefused(f"calls {_listed(wanted)}, which `opa build -t wasm` does not compile in: do without")
    known = [name for name in ENTRYPOINTS if name in there]
    if not known:
        has = _listed(there) or "none"
        raise ModuleRefused(
            f"has none of the entrypoints {_listed(ENTRYPOINTS)}, but {has}: build it with `-e {ANSWER}`"
        )
    if len(known) > 1:
        raise ModuleRefused(f"has the entrypoints {_listed(known)}: build it with one of them")
    return known[0], there[known[0]]


def compiled_around(given: Mapping[str, int | None], setup: Setup, limits: Limits) -> tuple[bytes, bytes]:
    """The native code of both modules of `wasmguard.sandbox.opa` with the numbers in *given*, for engines of *setup*.

    Raises:
        ModuleRefused: if the compiler needs more than *limits* allow.
        HostError: if the compiler cannot be run here.
    """
    both = in_child("opa inert", wire.written({**given}).encode(), setup, limits)
    size = int.from_bytes(both[:8], "little")
    return both[8 : 8 + size], both[8 + size :]


def _check_version(said: bytes) -> None:
    version, minor = int.from_bytes(said[:4], "little"), int.from_bytes(said[4:], "little")
    if version != opa.VERSION or minor < opa.MINOR:
        known = f"{opa.VERSION}.{opa.MINOR} and later {opa.VERSION}.x"
        raise ModuleRefused(
            f"speaks version {version}.{minor} of OPA's ABI (known: {known}): build it with a current OPA"
        )


def _names(said: bytes, what: str) -> dict[str, int]:
    try:
        names = wire.read(said.decode())
    except (ValueError, RecursionError):
        names = None
    if type(names) is not dict or not all(type(n) is int and 0 <= n <= LARGEST for n in names.values()):
        raise ModuleRefused(f"does not name its {what}: build it with `opa build -t wasm`")
    return names


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(f"`{one_line(name, 60)}`" for name in names[:LISTED]) + more
