"""Locking: from the owner's words to a plan that a hook process can trust.

1. The configuration is read once and checked; the policies' files are read once, and those very bytes are hashed,
   scanned and compiled.
2. A policy whose configuration pins a digest must have it, unless the owner locks again by hand (`repin`). When a hook
   process locks because the configuration changed, bytes that the last plan knew must still be the same: whoever
   changes a module cannot get it accepted by touching the configuration.
3. The scan and the ABI check come before the compiler, and the compiler runs in a child that may be killed.
4. Nothing is written before everything is right; then code, plan and pins, each whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import platform
from time import perf_counter

from wasmguard import config as owner
from wasmguard import kept, plan, wire
from wasmguard.config_shadows import under
from wasmguard.errors import BundleError, ConfigError, ModuleChanged, ModuleRefused
from wasmguard.guest.abi import OPA, VERSION
from wasmguard.guest.bundle import Bundle, open_bundle
from wasmguard.guest.grants import Grants, Max
from wasmguard.limits import HARD_MAX, KIB, MIB, ROOMY, Limits
from wasmguard.lock_notices import notices_of
from wasmguard.sandbox import bindings, opa, opa_entry
from wasmguard.sandbox.cache import digest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.scan import Shape, check_abi, scan
from wasmguard.sandbox.wasi import compiled_inert
from wasmguard.sandbox.wasi import digest as digest_of_inert
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Locked(Value):
    """What locking one policy came to, for people."""

    name: str
    reference: str
    sha256: str
    before: str | None
    """The digest it was pinned to; None if it was not pinned."""
    summary: str
    size: int
    seconds: float
    """Time in the compiler; 0 if the code was in the cache."""
    notices: tuple[str, ...]
    """What the owner should know: grants that are strong, missing or useless."""


class Outcome(Value):
    """A plan, and what led to it."""

    plan: plan.Plan
    policies: tuple[Locked, ...]
    modules: Mapping[str, bytes]
    """The modules by their SHA-256."""


def lock(path: str, *, repin: bool) -> Outcome:
    """Check and compile the configuration *path* and keep its plan; with *repin*, accept the modules' bytes as they are
    now and write their digests into the file.

    Raises:
        ConfigError: if the configuration cannot be used.
        BundleError: if a policy's files cannot be used.
        HostError: if the machine does not let us.
    """
    outcome = prepare(path, repin=repin)
    _make_store(outcome.plan, may_be_new=repin)
    if repin:
        pins = {policy.name: policy.sha256 for policy in outcome.policies}
        written = owner.write_pins(path, pins, outcome.plan.digest)  # refused if somebody saved the file meanwhile
        outcome = outcome.replaced(plan=outcome.plan.replaced(digest=written))
    kept.keep(outcome.plan, outcome.modules, plan.last(path))
    plan.write(outcome.plan)
    return outcome


def _make_store(made: plan.Plan, *, may_be_new: bool) -> None:
    """Make what policies remember things in, if there is none yet, and see that what is there can be used.

    One that was there and is gone is not made anew unless its owner locks by hand: whoever deletes it would have reset
    every budget.
    """
    if not _remembers(made):
        return
    from wasmguard.state import make

    before = plan.last(made.config)
    first = before is None or not _remembers(before) or before.state != made.state
    if first or may_be_new:
        make(made.config, made.state)


def _remembers(made: plan.Plan) -> bool:
    return any(policy.grants["state"] for policy in made.policies)


def prepare(path: str, *, repin: bool) -> Outcome:
    """The plan of the configuration *path*, with its code in the cache, but not yet in force. Raises like `lock`."""
    settings = owner.load(path)
    if not settings.policy:  # it would let everything pass: more likely an editor has not written it yet
        raise ConfigError(f"{settings.path}:1: `policy`: there is none: write a `[[policy]]`, or take the hook out")
    known = {} if repin else _known(settings)
    pins = _pins(settings, known)
    opened = _versions([_opened(settings, policy, pins.get(policy.name), repin=repin) for policy in settings.policy])
    for policy, bundle in opened:
        _same_manifest(policy.name, bundle, known.get(policy.name))
    found = [(policy, bundle, settings.limits_for(policy, bundle.manifest)) for policy, bundle in opened]
    shapes = [_checked(policy.name, bundle, limits) for policy, bundle, limits in found]
    setups = _setups([(shape.kind, limits) for shape, (_, _, limits) in zip(shapes, found, strict=True)])
    planned, told = [], []
    for (policy, bundle, limits), shape in zip(found, shapes, strict=True):
        grants = owner.grants_of(policy, bundle.manifest, settings.state.entries)
        setup = setups[shape.kind]
        code, seconds = _code(policy.name, bundle, setup, limits, again=repin)
        entry = _planned(settings, policy, bundle, kind=shape.kind, grants=grants, limits=limits, code=code)
        if _declared(bundle) == OPA:
            entry = _adapted(entry, shape, setup, limits, settings.isolation)
        elif shape.wasi:
            entry = entry.replaced(wasi=shape.wasi, inert=_inert(setup, limits))
        planned.append(entry)
        notices = notices_of(policy, bundle.manifest, grants, limits)
        told.append(_told(policy, bundle, notices, pins.get(policy.name), seconds))
    made = plan.Plan(
        config=os.path.abspath(path),
        digest=settings.digest,
        made=plan.made_with(bindings.find()),
        setups={kind: setup.as_dict() for kind, setup in setups.items()},
        event=max(limits.event for _, _, limits in found),
        isolation=settings.isolation,
        self_protection=settings.self_protection,
        state=settings.stored(),
        record=settings.record.planned(),
        policies=tuple(planned),
    )
    modules = {bundle.sha256: bundle.module for _, bundle, _ in found}
    return Outcome(plan=made, policies=tuple(told), modules=modules)


def _known(settings: owner.Config) -> dict[str, plan.PlannedPolicy]:
    """What the last plan saw under each policy's name, if it named the same module."""
    before = plan.last(settings.path)
    seen = {(policy.name, policy.reference): policy for policy in before.policies} if before else {}
    return {p.name: seen[p.name, p.module] for p in settings.policy if (p.name, p.module) in seen}


def _pins(settings: owner.Config, known: Mapping[str, plan.PlannedPolicy]) -> dict[str, str]:
    """The digest that each policy must have: the owner's word, else what the last plan saw."""
    written = {policy.name: policy.sha256 for policy in settings.policy if policy.sha256}
    return {name: policy.sha256 for name, policy in known.items()} | written


def _opened(
    settings: owner.Config, policy: owner.PolicyConfig, pin: str | None, *, repin: bool
) -> tuple[owner.PolicyConfig, Bundle]:
    try:
        bundle = open_bundle(policy.module, settings.base, HARD_MAX.module)
    except BundleError as error:
        raise type(error)(f"policy `{policy.name}`: {error}") from None
    if pin and pin != bundle.sha256 and not repin:
        raise ModuleChanged(
            f"policy `{policy.name}`: module `{policy.module}` is not the one that was locked ({pin[:12]} ->"
            f" {bundle.sha256[:12]}): check it, then run `wasmguard lock`"
        )
    return policy, bundle


def _versions(opened: list[tuple[owner.PolicyConfig, Bundle]]) -> list[tuple[owner.PolicyConfig, Bundle]]:
    """*opened*, other versions of a policy with what they take from it."""
    bases = {policy.name: bundle.manifest for policy, bundle in opened}
    made = []
    for policy, bundle in opened:
        if policy.shadow_of is not None:
            policy, manifest = under(policy, bundle.manifest, bases[policy.shadow_of])  # noqa: PLW2901  # one of both
            bundle = bundle.replaced(manifest=manifest)  # noqa: PLW2901
        made.append((policy, bundle))
    return made


def _same_manifest(name: str, bundle: Bundle, known: plan.PlannedPolicy | None) -> None:
    """A manifest says what its policy is asked about, so it is as fixed as the module."""
    if known is not None and known.manifest != _manifest_digest(bundle):
        raise ModuleChanged(
            f"policy `{name}`: the manifest of `{bundle.reference}` changed since it was locked: check it, then run"
            " `wasmguard lock`"
        )


def _manifest_digest(bundle: Bundle) -> str | None:
    return digest(bundle.manifest.model_dump_json().encode()) if bundle.manifest else None


def _checked(name: str, bundle: Bundle, limits: Limits) -> Shape:
    """What the module is, after scan and ABI check."""
    try:
        shape = scan(bundle.module, limits)
        check_abi(shape, limits, _declared(bundle))
    except ModuleRefused as error:
        raise ModuleRefused(f"policy `{name}`: module `{bundle.path}`: {error}{_needs(bundle, limits)}") from None
    return shape


def _needs(bundle: Bundle, limits: Limits) -> str:
    """What a refusal adds for a policy that has less than its author says it needs."""
    if bundle.manifest and bundle.manifest.limits == "roomy" and limits.module < ROOMY.module:
        return '; its manifest says that it needs `limits.profile = "roomy"`'
    return ""


def _setups(guests: list[tuple[str, Limits]]) -> dict[str, Setup]:
    """One engine for each kind of module, large enough for the largest limits of its policies."""
    return {
        kind: Setup(
            kind=kind,
            reservation=max(-(-limits.memory // (64 * KIB)) * 64 * KIB for limits in mine) if mine else 16 * MIB,
            stack=max(limits.stack for limits in mine),
            table_elements=max(limits.table_elements for limits in mine),
        )
        for kind in ("core", "component")
        if (mine := [limits for other, limits in guests if other == kind])
    }


def _code(name: str, bundle: Bundle, setup: Setup, limits: Limits, *, again: bool) -> tuple[str, float]:
    """The cache's name for the compiled module, and the seconds it took; 0 if it was there.

    What the compiler could not do within its limits it is not asked again, unless the owner locks by hand: a hook
    process would spend those seconds at every event.
    """
    declared, store = _declared(bundle), plan.vault()
    source = bundle.sha256 if declared == VERSION else f"{bundle.sha256} {declared}"  # checked against another ABI
    code = _name_of(source, setup)
    if store.has(code):
        return code, 0.0
    refused = _name_of(f"{source} {limits.as_dict()}", setup, "refused")
    why, begun = store.read(refused).decode() if not again and store.has(refused) else "", perf_counter()
    if not why:
        try:
            store.write(code, compiled(bundle.module, setup, limits, declared))
        except ModuleRefused as error:
            why = str(error)
            store.write(refused, why.encode())
    if why:
        raise ModuleRefused(f"policy `{name}`: module `{bundle.path}`: {why}{_needs(bundle, limits)}")
    return code, perf_counter() - begun


def _inert(setup: Setup, limits: Limits) -> tuple[str, str]:
    """The cache's names for the code that meets imports of WASI."""
    return _kept(digest_of_inert(), lambda: compiled_inert(setup, limits), setup)


def _kept(source: str, make: Callable[[], tuple[bytes, bytes]], setup: Setup) -> tuple[str, str]:
    """The cache's names for both modules around a policy, which *make* makes of *source* if they are not there."""
    shim, fixup = (_name_of(f"{source} {which}", setup) for which in ("shim", "fixup"))
    store = plan.vault()
    if not (store.has(shim) and store.has(fixup)):
        for name, code in zip((shim, fixup), make(), strict=True):
            store.write(name, code)
    return shim, fixup


def _adapted(
    policy: plan.PlannedPolicy, shape: Shape, setup: Setup, limits: Limits, isolation: str
) -> plan.PlannedPolicy:
    """The policy of OPA that *policy* is, with its entrypoint and the code around it: see `wasmguard.sandbox.opa`.

    To find the entrypoint the module has to run, in a cell: once in the life of the cache.
    """
    known, store = _name_of(f"{policy.sha256} {policy.code}", setup, "entry"), plan.vault()
    if not store.has(known):
        try:
            found = opa_entry.found(store.read(policy.code), shape, setup, limits, isolation)
        except ModuleRefused as error:
            raise ModuleRefused(f"policy `{policy.name}`: module `{policy.path}`: {error}") from None
        store.write(known, wire.written(found).encode())
    name, number = wire.read(store.read(known).decode())
    numbers = opa_entry.numbers(shape, number)
    source = digest("".join(opa.texts(**numbers)).encode())
    inert = _kept(source, lambda: opa_entry.compiled_around(numbers, setup, limits), setup)
    return policy.replaced(opa=shape.opa, entrypoint=name, inert=inert)


def _declared(bundle: Bundle) -> int | str:
    """The ABI that the module speaks, says its manifest."""
    return bundle.manifest.abi if bundle.manifest else VERSION


def _name_of(source: str, setup: Setup, what: str = "code") -> str:
    """The cache's name for what was made of *source*: other wasmtime, machine or settings, another name."""
    from importlib.metadata import version

    made = f"stripped {source} {version('wasmtime')} {platform.machine()} {setup.identity}"
    return f"{hashlib.sha256(made.encode()).hexdigest()[:40]}.{what}"


def _planned(  # noqa: PLR0913  # one argument for each thing that was checked
    settings: owner.Config,
    policy: owner.PolicyConfig,
    bundle: Bundle,
    *,
    kind: str,
    grants: Grants,
    limits: Limits,
    code: str,
) -> plan.PlannedPolicy:
    manifest = bundle.manifest
    texts = sum(c.bytes for c in grants.rewrite.values() if isinstance(c, Max))
    texts += max(grants.rewrite_output.values(), default=0) + grants.state
    named = manifest.tools if manifest else None
    matchers = _matchers(policy)
    return plan.PlannedPolicy(
        name=policy.name,
        reference=policy.module,
        path=bundle.path,
        sha256=bundle.sha256,
        stamp=bundle.stat,
        kind=kind,
        manifest=_manifest_digest(bundle),
        code=code,
        events=tuple(policy.events or policy.matchers or (manifest.events if manifest else ("PreToolUse",))),
        tools=None if matchers else _optional(policy.tools if policy.tools is not None else named),
        matchers=matchers,
        reads=_optional(manifest.reads if manifest else None),
        settings=manifest.settled(policy.settings, settings.where(policy)) if manifest else dict(policy.settings),
        grants=grants.as_data(),
        on_fault=policy.on_fault,
        shadow=policy.shadow,
        shadow_of=policy.shadow_of or "",
        limits=limits.as_dict(),
        answer=limits.answer + texts,
    )


def _matchers(policy: owner.PolicyConfig) -> dict[str, str]:
    """The owner's matchers by event; `*` stands for every other one."""
    if policy.matchers:
        return dict(policy.matchers)
    return {} if policy.matcher is None else {"*": policy.matcher}


def _optional(names: object) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)  # type: ignore[arg-type]  # lists of names, checked by pydantic


def _told(policy: owner.PolicyConfig, bundle: Bundle, notices: list[str], pin: str | None, seconds: float) -> Locked:
    return Locked(
        name=policy.name,
        reference=policy.module,
        sha256=bundle.sha256,
        before=pin,
        summary=bundle.manifest.summary if bundle.manifest else "",
        size=len(bundle.module),
        seconds=seconds,
        notices=tuple(notices),
    )
