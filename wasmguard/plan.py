"""The plan: the owner's configuration, checked once and pinned, as plain data. All that the hot path reads.

`wasmguard lock` writes it (`wasmguard.lock`), a hook process reads it: no TOML, no pydantic, no module scan. It is
sealed like compiled code, because it says what a policy may do.

A plan counts only for what it was made from. It is stale when the bytes of the configuration changed, when wasmtime or
wasmguard was installed anew, or when its format is another. A changed *module* does not make it stale: those bytes are
refused until the owner locks again (`unchanged`).
"""

from __future__ import annotations

import os

from wasmguard import places, version, wire
from wasmguard.errors import BundleError, CacheError, ConfigError, HostError, ModuleChanged, PlanStale
from wasmguard.limits import HARD_MAX, Limits
from wasmguard.sandbox.cache import Vault, digest
from wasmguard.sandbox.isolation import Cells
from wasmguard.sandbox.spec import Spec
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wasmguard.sandbox.isolation import Guest

FORMAT = 5
ENDING = ".plan"
LARGEST_CONFIG = 2**20  # bytes of wasmguard.toml
LARGEST_MODULE = HARD_MAX.module


class PlannedPolicy(Value):
    """One policy as the owner set it up, ready to be asked."""

    name: str
    reference: str
    """What the owner wrote as `module`."""
    path: str
    """The module file, absolute."""
    sha256: str
    stamp: tuple[int, ...]
    """Size, modification time and inode of the module file when it was hashed."""
    kind: str
    """`core` or `component`."""
    manifest: str | None
    """A digest of its manifest, which says what it is asked about; None if it has none."""
    code: str
    """The name of its compiled code in the cache."""
    wasi: tuple[str, ...] = ()
    """The functions of WASI that it imports, in its order."""
    opa: tuple[str, ...] = ()
    """What a module of OPA imports, in its order; others have none."""
    entrypoint: str = ""
    """The entrypoint of a module of OPA that is asked: it says what a result means, see `wasmguard.guest.opa`."""
    inert: tuple[str, ...] = ()
    """The names of the code that meets those imports, see `wasmguard.sandbox.inert`."""
    events: tuple[str, ...]
    tools: tuple[str, ...] | None = None
    """Tool names, some with a trailing `*`; None for all."""
    matchers: Mapping[str, str] = {}
    """Instead of `tools`: matchers of tool names (`wasmguard.matcher`) by event, `*` for every other event."""
    reads: tuple[str, ...] | None = None
    """The event fields it is sent; None for all."""
    settings: Mapping[str, Any]
    grants: Mapping[str, Any]
    on_fault: str = "deny"
    shadow: bool = False
    shadow_of: str = ""
    """The policy of which a shadow is another version; empty for others."""
    limits: Mapping[str, int]
    answer: int
    """The most bytes of an answer."""


class Plan(Value):
    """A checked configuration, pinned by digests."""

    config: str
    """The configuration file, absolute."""
    digest: str
    """A digest of its bytes, see `digest_of`."""
    made: Mapping[str, Any]
    """What it was made with: format, wasmguard's version, wasmtime's library and its stamp."""
    setups: Mapping[str, Mapping[str, Any]]
    """The engine of each kind of module."""
    event: int
    """The most bytes of an event."""
    isolation: str
    """Where policies run: `process` or `thread`, see `wasmguard.sandbox.isolation`."""
    self_protection: bool
    """Whether the guard's files and the agent's settings are kept from tools."""
    state: Mapping[str, Any]
    """Where policies remember things, see `wasmguard.state`."""
    record: Mapping[str, Any]
    """What is recorded, as `wasmguard.config_record` has it."""
    policies: tuple[PlannedPolicy, ...]


def vault() -> Vault:
    """The private cache of this user: compiled code, which can be made again."""
    return Vault(os.path.join(places.cache_dir(), "vault"), places.state_dir())


def ledger() -> Vault:
    """Where plans are. Not in the cache: they remember the digests that were locked, and caches get emptied."""
    return Vault(os.path.join(places.state_dir(), "plans"), places.state_dir())


def read(config: str) -> Plan:
    """The plan of the configuration file *config*, if it still counts.

    Raises:
        ConfigError: if the configuration cannot be read.
        PlanStale: if there is none yet, or it was made from something else.
        CacheError: if it was tampered with.
    """
    config = os.path.abspath(config)
    now = digest_of(config)
    store = ledger()
    if not os.path.lexists(os.path.join(store.folder, _name(config))):
        raise PlanStale(f"`{config}` was never locked: run `wasmguard lock`")
    plan = _parsed(store.read(_name(config)))
    if plan is None or plan.made["version"] != version.__version__ or plan.config != config:
        raise PlanStale("the plan was made by another version of wasmguard: run `wasmguard lock`")
    if tuple(plan.made["stamp"]) != _stamp(plan.made["library"]):
        raise PlanStale("wasmtime was installed anew: run `wasmguard lock`")
    if plan.digest != now:
        raise PlanStale(f"`{config}` changed: run `wasmguard lock`")
    codes = [code for policy in plan.policies for code in (policy.code, *policy.inert)]
    if not all(os.path.lexists(os.path.join(vault().folder, code)) for code in codes):
        raise PlanStale("compiled modules are gone from the cache: run `wasmguard lock`")
    return plan


def file_of(config: str) -> str:
    """The file that holds the plan of *config*."""
    return os.path.join(ledger().folder, _name(os.path.abspath(config)))


def last(config: str) -> Plan | None:
    """The plan of *config* that was written last, whether it still counts or not; None if there is none to be
    trusted."""
    try:
        return _parsed(ledger().read(_name(os.path.abspath(config))))
    except CacheError:
        return None


def in_force() -> list[Plan]:
    """The plans that were written last, of all configurations."""
    store, found = ledger(), []
    for name in sorted(os.listdir(store.folder)) if os.path.isdir(store.folder) else ():
        if name.endswith(ENDING):
            try:
                found.append(_parsed(store.read(name)))
            except CacheError:
                continue
    return [plan for plan in found if plan is not None]


def write(plan: Plan) -> None:
    """Keep *plan*.

    Raises:
        CacheError: if it cannot be written.
    """
    ledger().write(_name(plan.config), written(plan))


def written(plan: Plan) -> bytes:
    """*plan* as it is kept."""
    data = plan.as_dict() | {"policies": [policy.as_dict() for policy in plan.policies]}
    return wire.written(data).encode()


def read_again(data: bytes) -> Plan | None:
    """The plan that was `written`; None if another version wrote it."""
    return _parsed(data)


def identity(plan: Plan) -> str:
    """What a record calls *plan*: a digest of all that decides, and of nothing that only says where it lies."""
    nowhere = {"path": "", "stamp": (), "code": "", "inert": ()}
    policies = [policy.as_dict() | nowhere for policy in plan.policies]
    decides = {"setups": plan.setups, "event": plan.event, "version": plan.made["version"], "policies": policies}
    return digest(wire.written(decides).encode())[:32]


def made_with(library: str) -> dict[str, Any]:
    """What a plan that is made now is made with."""
    from importlib.metadata import version as installed

    engine = f"wasmtime {installed('wasmtime')}"
    return {
        "format": FORMAT,
        "version": version.__version__,
        "engine": engine,
        "library": library,
        "stamp": list(_stamp(library)),
    }


def unchanged(policy: PlannedPolicy) -> None:
    """Check that the module file of *policy* still holds the bytes that were locked.

    What runs is the compiled code that was locked, so nothing else could run anyway; but an owner who sees other bytes
    in the file than those that decide would be misled. The file is read only if its stamp changed.

    Raises:
        ModuleChanged: if it holds other bytes.
        BundleError: if it is gone.
    """
    try:
        if places.stamp(os.stat(policy.path)) == tuple(policy.stamp):
            return
        with open(policy.path, "rb") as file:
            now = _sha256(file.read(LARGEST_MODULE + 1))
    except OSError as error:
        raise BundleError(
            f"module `{policy.path}` cannot be read: {(error.strerror or 'unknown').lower()}: restore it or lock again"
        ) from None
    if now != policy.sha256:
        raise ModuleChanged(
            f"module `{policy.path}` changed since it was locked ({policy.sha256[:12]} -> {now[:12]}):"
            " check it, then run `wasmguard lock`"
        )


def cells(plan: Plan, *, slots: int, isolation: str | None = None, processes: int | None = None) -> Cells:
    """What the policies of *plan* run in: at most *slots* at the same time, under *isolation* or the owner's word, in
    at most so many *processes* of each kind.

    Raises:
        HostError: if there is no such isolation here.
    """
    made_in = isolation or plan.isolation
    return Cells(
        plan.made["library"],
        plan.setups,
        slots=slots,
        event=plan.event,
        isolation=made_in,
        processes=processes,
    )


def guest(policy: PlannedPolicy, cells: Cells) -> Guest:
    """The guest of *policy* in *cells*. Raises as `Cells.guest`."""
    limits, wasi, opa = Limits(**policy.limits), tuple(policy.wasi), tuple(policy.opa)
    spec = Spec(kind=policy.kind, limits=limits, answer=policy.answer, wasi=wasi, opa=opa)
    made = cells.guest(policy.name, spec, lambda: _code(policy))
    if not policy.entrypoint:
        return made
    from wasmguard.guest.opa import Rego  # only owners of such a policy pay for it

    return Rego(made, policy.entrypoint)


def _code(policy: PlannedPolicy) -> tuple[bytes, ...]:
    """The native code of *policy*, verified, if its module is still the one that was locked."""
    unchanged(policy)
    cache = vault()
    return tuple(cache.read(code) for code in (policy.code, *policy.inert))


def _stamp(library: str) -> tuple[int, int, int]:
    """What tells one installation of wasmtime's *library* from the next, see `places.stamp`.

    Raises:
        HostError: if it cannot be seen.
    """
    try:
        seen = os.stat(library)
    except OSError as error:
        raise HostError(f"wasmtime's library `{library}` is gone: {error.strerror}: run `wasmguard lock`") from None
    return places.stamp(seen)


def _sha256(data: bytes) -> str:
    import hashlib  # loads OpenSSL: only when a file was written anew

    return hashlib.sha256(data).hexdigest()


def digest_of(config: str) -> str:
    """A digest of the configuration's bytes.

    Raises:
        ConfigError: if there is no such file, or it is too large to be a configuration.
    """
    try:
        with open(config, "rb") as file:
            data = file.read(LARGEST_CONFIG + 1)
    except FileNotFoundError:
        raise ConfigError(f"configuration `{config}`: does not exist: write it, or pass --config PATH") from None
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise ConfigError(f"configuration `{config}`: cannot be read: {why}: pass another with --config PATH") from None
    if len(data) > LARGEST_CONFIG:
        raise ConfigError(f"configuration `{config}` is over {LARGEST_CONFIG} bytes: pass the right file with --config")
    return digest(data)


def _parsed(data: bytes) -> Plan | None:
    """The plan in *data*; None if it has another format."""
    plan = wire.read(data.decode())
    if plan["made"]["format"] != FORMAT:
        return None
    try:
        return Plan(**plan | {"policies": tuple(PlannedPolicy(**policy) for policy in plan["policies"])})
    except TypeError:  # other fields, which only a version between two releases writes
        return None


def _name(config: str) -> str:
    return f"{digest(os.fsencode(config))[:32]}{ENDING}"
