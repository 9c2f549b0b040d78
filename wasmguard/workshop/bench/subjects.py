"""What is measured, as plans in a home of their own.

1. Home, cache and state are in a temporary folder for as long as a bench is open. The owner's configuration is read,
   and what is measured is a copy of it: with the same policies, settings, grants and limits, but what policies remember
   is in a file there. So neither the owner's store nor a Redis server is ever asked.
2. Everything is compiled anew, as `wasmguard lock` does it, and refused for the same reasons.
3. A policy that is named by its files gets all that its manifest asks for (`wasmguard.workshop.trial`).
4. Each policy also has a plan of its own, with a store of its own: alone it remembers nothing of the others' calls.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wasmguard import plan
from wasmguard.agents.claude import KNOWN
from wasmguard.errors import BundleError
from wasmguard.guest.bundle import MANIFEST, MODULE, open_bundle
from wasmguard.limits import HARD_MAX
from wasmguard.lock import prepare
from wasmguard.own_home import home_in
from wasmguard.sandbox.assemble import assembled
from wasmguard.value import Value
from wasmguard.workshop.bench.chosen import chosen
from wasmguard.workshop.trial import spelled
from wasmguard.workshop.undisturbed import passing_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wasmguard.guest.bundle import Bundle
    from wasmguard.lock import Locked
    from wasmguard.plan import Plan, PlannedPolicy
    from wasmguard.workshop.bench.chosen import Chosen

NULL = "null policy"
NULL_TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "null.wat")
TOML = ".toml"
ENGINE = {"memory": "reservation", "stack": "stack", "table_elements": "table_elements"}
"""What the limits of policies say about their engine, see `wasmguard.sandbox.engine.Setup`."""
ELSEWHERE = ("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
"""What also says where files of the owner are: a configuration, and the socket of a daemon."""


class Target(Value):
    """One policy that is measured."""

    name: str
    """In reports, and in its plan."""
    shown: str
    """Its module, as a person named it."""
    reference: str
    """The same as `module` of a configuration, absolute."""
    planned: PlannedPolicy
    bundle: Bundle
    told: Locked
    """What locking it came to: its size, its seconds in the compiler."""
    plan: Plan
    """This policy alone. It is written, so that a hook with `plan.config` finds it."""


class Bench(Value):
    """What a run measures."""

    home: str
    """The folder that is home, cache and state meanwhile."""
    config: str
    """The configuration of `plan`, for hooks and daemons."""
    plan: Plan
    """All policies. It is written."""
    targets: tuple[Target, ...]
    """Each of them, in the same order."""
    null: Plan
    """One policy that passes everything and looks at nothing. It is written."""
    stateful: bool
    """Whether one of the policies may remember something."""
    notes: tuple[str, ...] = ()
    """What the reader should know about what is measured, a sentence each."""


@contextmanager
def opened(subjects: Sequence[str], config: str | None, profile: str) -> Iterator[Bench]:
    """What *subjects* name, ready to be measured: a configuration, or policies by their files or by their names in the
    owner's configuration, which is the file *config* or the usual one. Without subjects it is that configuration, or
    all builtin policies if there is none. With *profile*, all under its limits.

    Raises:
        UsageError: if a subject is nothing that is known.
        WasmguardError: if `wasmguard lock` would refuse it.
    """
    wanted = chosen(subjects, config, profile)
    with passing_folder("wgb-") as folder, home_in(folder):  # short: a socket's path has 107 bytes
        os.environ.update(dict.fromkeys(ELSEWHERE, folder))
        os.environ.pop("WASMGUARD_CONFIG", None)
        yield _made(wanted, folder)


def forgotten(locked: Plan) -> Callable[[], None] | None:
    """What makes the policies of *locked* forget everything; None if they remember nothing."""
    if not any(policy.grants["state"] for policy in locked.policies):
        return None
    from wasmguard.state.sqlite_file import File, path_of, patiently

    path = path_of(locked.config)

    def forget() -> None:
        connection = File(path).connection()
        try:
            patiently(lambda: connection.execute("DELETE FROM remembered"))
        finally:
            connection.close()

    return forget


def _made(wanted: Chosen, folder: str) -> Bench:
    """The plans of what is *wanted*, in *folder*."""
    config = _config(folder, "wasmguard", wanted.policies, wanted.top)
    outcome = prepare(config, repin=False)
    _kept(outcome.plan)
    planned = outcome.plan.policies
    took = {policy.code: told.seconds for policy, told in zip(planned, outcome.policies, strict=True) if told.seconds}
    targets = tuple(
        Target(
            name=policy.name,
            shown=shown,
            reference=policy.reference,
            planned=policy,
            bundle=_bundle(policy),
            told=told.replaced(seconds=took[policy.code]),  # of two with the same bytes, one was compiled
            plan=_alone(outcome.plan, policy, _config(folder, f"{number}", [table], wanted.top)),
        )
        for number, (policy, told, shown, table) in enumerate(
            zip(planned, outcome.policies, wanted.shown, wanted.policies, strict=True), 1
        )
    )
    return Bench(
        home=folder,
        config=config,
        plan=outcome.plan,
        targets=targets,
        null=_null(folder, outcome.plan, wanted.top),
        stateful=any(policy.grants["state"] for policy in planned),
        notes=wanted.notes,
    )


def _config(folder: str, name: str, policies: Sequence[Mapping[str, Any]], top: Mapping[str, Any]) -> str:
    """A configuration in *folder*, and its path."""
    path = os.path.join(folder, f"{name}{TOML}")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(spelled(policies, **{**top, "record": {"on": False}}))  # a run would leave gigabytes
    return path


def _kept(made: Plan) -> Plan:
    """*made*, in force: with a store, if it needs one."""
    if any(policy.grants["state"] for policy in made.policies):
        from wasmguard.state import make

        make(made.config, made.state)
    plan.write(made)
    return made


def _alone(whole: Plan, policy: PlannedPolicy, config: str) -> Plan:
    """The plan of *policy* alone, with the engines of the *whole* plan, so that its code is the same."""
    return _kept(whole.replaced(config=config, digest=plan.digest_of(config), policies=(policy,)))


def _bundle(policy: PlannedPolicy) -> Bundle:
    bundle = open_bundle(policy.reference, "/", HARD_MAX.module)
    if bundle.sha256 != policy.sha256:
        raise BundleError(f"`{bundle.path}`: it was replaced meanwhile: try again")
    return bundle


def _null(folder: str, whole: Plan, top: Mapping[str, Any]) -> Plan:
    """A plan of the null policy, as much like the *whole* plan as it can be: with the same engine, and the same
    protection by the guard itself."""
    bundle = os.path.join(folder, "null")
    os.mkdir(bundle, 0o700)
    with open(NULL_TEXT, encoding="utf-8") as file:
        module = assembled(file.read())
    manifest = {"abi": 1, "name": "null", "version": "1.0.0", "summary": "Passes everything", "events": [*KNOWN]}
    manifest["reads"] = ["hook_event_name"]
    for name, data in ((MODULE, module), (MANIFEST, spelled([], **manifest).encode())):
        with open(os.open(os.path.join(bundle, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    setup = whole.setups.get("core")
    engine = {limit: setup[field] for limit, field in ENGINE.items()} if setup else {}
    limits = {"profile": "default", "event": whole.event, **engine}
    config = _config(folder, "null", [{"name": "null", "module": bundle, "limits": limits}], top)
    return _kept(prepare(config, repin=False).plan)
