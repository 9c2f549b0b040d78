"""A plan of another day, made loadable now.

1. Code in the cache is used as it is while wasmtime is the one that it was made with: the cache authenticates it.
2. Otherwise the modules are taken from what is kept (`wasmguard.kept`), or from the owner's file if that still has the
   same bytes, checked and compiled as `wasmguard lock` does, and the code is kept in the cache under names of its own.
3. Nothing else of the plan changes: it decides what it decided, and its identity is the same.
"""

from __future__ import annotations

import hashlib
import os
import platform
from typing import TYPE_CHECKING

from wasmguard import kept
from wasmguard import plan as plans
from wasmguard.errors import BundleError, ModuleRefused
from wasmguard.guest.abi import OPA, VERSION
from wasmguard.limits import Limits
from wasmguard.sandbox import bindings, opa_entry
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.isolation import PROCESS, THREAD
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.sandbox.wasi import compiled_inert

if TYPE_CHECKING:
    from wasmguard.plan import Plan, PlannedPolicy


def usable(plan: Plan) -> Plan:
    """*plan* with code that this machine can run.

    Raises:
        BundleError: if a module is not kept any more, or cannot be compiled.
        HostError: if the compiler cannot be run here.
    """
    made = plans.made_with(bindings.find())
    same = _known(plan.made) == _known(made)
    policies = tuple(policy if same and _cached(policy) else _again(policy, plan) for policy in plan.policies)
    return plan.replaced(made={**plan.made, "library": made["library"], "stamp": made["stamp"]}, policies=policies)


def _known(made: object) -> object:
    """What says whether code was made by the wasmtime that is installed."""
    return (made["library"], list(made["stamp"])) if isinstance(made, dict) else None


def _cached(policy: PlannedPolicy) -> bool:
    cache = plans.vault()
    return all(cache.has(name) for name in (policy.code, *policy.inert))


def _again(policy: PlannedPolicy, plan: Plan) -> PlannedPolicy:
    """*policy* with code made of its module."""
    setup, limits = Setup(**plan.setups[policy.kind]), Limits(**policy.limits)
    count = 3 if policy.wasi or policy.opa else 1
    about = f"again {policy.sha256} {policy.entrypoint} {plans.made_with(bindings.find())['stamp']}"
    name = hashlib.sha256(f"{about} {platform.machine()} {setup.identity}".encode()).hexdigest()[:40]
    names = tuple(f"{name}.{number}" for number in range(count))
    cache = plans.vault()
    if not all(map(cache.has, names)):
        try:
            codes = _compiled(policy, _module(policy), setup, limits)
        except ModuleRefused as error:
            raise ModuleRefused(f"policy `{policy.name}`: {error}") from None
        for each, code in zip(names, codes, strict=True):
            cache.write(each, code)
    return policy.replaced(code=names[0], inert=names[1:])


def _compiled(policy: PlannedPolicy, module: bytes, setup: Setup, limits: Limits) -> tuple[bytes, ...]:
    declared = OPA if policy.entrypoint else VERSION
    shape = scan(module, limits)
    check_abi(shape, limits, declared)  # two readers agree, as the call path wants it
    code = compiled(module, setup, limits, declared)
    if policy.entrypoint:
        isolation = PROCESS if hasattr(os, "fork") else THREAD
        entry, number = opa_entry.found(code, shape, setup, limits, isolation)
        if entry != policy.entrypoint:
            raise ModuleRefused(f"its entrypoint was `{policy.entrypoint}`, and is found no more")
        return code, *opa_entry.compiled_around(opa_entry.numbers(shape, number), setup, limits)
    return (code, *compiled_inert(setup, limits)) if policy.wasi else (code,)


def _module(policy: PlannedPolicy) -> bytes:
    for path in (kept.module_of(policy.sha256), policy.path):
        try:
            with open(path or "", "rb") as file:
                module = file.read(plans.LARGEST_MODULE + 1)
        except OSError:
            continue
        if hashlib.sha256(module).hexdigest() == policy.sha256:
            return module
    raise BundleError(f"policy `{policy.name}`: its module `{policy.sha256[:12]}` is not kept any more")
