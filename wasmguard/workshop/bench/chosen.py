"""Which policies a run measures: what a person named, as tables of a configuration.

1. Nothing is a policy of the owner's unless it is in their configuration, and nothing is measured that was not named.
2. A file or folder of a name goes before a policy of the owner's that is called so.
3. A policy of the owner's keeps its settings, grants, limits and pin. One that is named by its files gets all that its
   manifest asks for.
"""

from __future__ import annotations

import os
import re
import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from wasmguard import config as owner
from wasmguard import places
from wasmguard.decision import OURSELVES
from wasmguard.errors import BundleError, ConfigError, UsageError
from wasmguard.guest.bundle import BUILTIN, MODULE, builtins, open_bundle
from wasmguard.limits import HARD_MAX, MIB, PROFILES
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.subject import is_stale, located
from wasmguard.workshop.trial import NAMELESS, made_up

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

TOML, WASM = ".toml", ".wasm"
CARRIED = 8 * MIB  # bytes of an event for policies without an owner: a Write of 5 MB has to come through
LONGEST_NAME = 64  # characters of a policy's name, see `wasmguard.guest.manifest`


class Chosen(Value):
    """The policies of a run."""

    policies: tuple[dict[str, Any], ...]
    """Their `[[policy]]` tables, with names that differ, and absolute paths."""
    shown: tuple[str, ...]
    """Their modules, as a person named them."""
    top: Mapping[str, Any]
    """What stands above them in the configuration."""
    notes: tuple[str, ...] = ()
    """What the reader should know, a sentence each."""


class _Owned(Value):
    """An owner's configuration."""

    top: Mapping[str, Any]
    """As written, but for where policies remember things."""
    tables: Mapping[str, dict[str, Any]]
    """Those of the policies, by name."""
    modules: Mapping[str, str]
    """What the owner wrote as `module`."""


def chosen(subjects: Sequence[str], config: str | None, profile: str) -> Chosen:
    """What *subjects* name; *config* is the owner's configuration, if it is not the usual one. Without subjects it is
    that configuration, or all builtin policies if there is none. With *profile*, all under its limits.

    Raises:
        UsageError: if a subject is nothing that is known.
        ConfigError: if the configuration cannot be used.
        BundleError: if a policy's files cannot be.
    """
    named = [subject for subject in subjects if subject.endswith(TOML) and not os.path.isdir(subject)]
    if named and (len(subjects) > 1 or config is not None):
        others = "`--config`" if len(subjects) == 1 else "the other subjects"
        raise UsageError(f"`{one_line(named[0], 200)}`: a configuration is measured alone: leave {others} out")
    path = places.config_file(named[0] if named else config)
    if named or (not subjects and _is_there(path, config)):
        return _owners(path, profile)
    if not subjects:
        subjects = [f"{BUILTIN}{name}" for name in builtins()]
    return _each(subjects, path, profile)


def _is_there(path: str, config: str | None) -> bool:
    """Whether there is an owner's configuration *path*, or there must be one, because somebody named it."""
    return config is not None or bool(os.environ.get("WASMGUARD_CONFIG")) or os.path.lexists(path)


def _owners(path: str, profile: str) -> Chosen:
    """All policies of the configuration *path*."""
    owned = _owned(path, profile, None)
    if not owned.tables:
        raise ConfigError(f"{path}:1: `policy`: there is none: write a `[[policy]]`, or name what is to be measured")
    modules, tables = tuple(owned.modules.values()), tuple(owned.tables.values())
    return Chosen(policies=tables, shown=modules, top=owned.top)


def _owned(path: str, profile: str, wanted: Collection[str] | None) -> _Owned:
    """The configuration *path*, to be copied elsewhere. The settings of the policies that are *wanted* (None for all)
    are looked at here: about the copy, nobody would know which line is meant."""
    checked = owner.load(path)
    for policy in checked.policy:
        if wanted is None or policy.name in wanted:
            _settled(checked, policy)
    with open(checked.path, "rb") as file:
        top = tomllib.load(file)
    top["state"] = {"store": "sqlite", "entries": checked.state.entries}
    listed = top.pop("policy", [])
    modules = {table["name"]: table["module"] for table in listed}
    tables = {table["name"]: table | {"module": _absolute(table["module"], checked.base)} for table in listed}
    if profile:
        top.pop("limits", None)
        for table in tables.values():
            table.pop("timeout", None)
            table["limits"] = {"profile": profile}
    return _Owned(top=top, tables=tables, modules=modules)


def _settled(checked: owner.Config, policy: owner.PolicyConfig) -> None:
    """Check the settings of *policy* against its manifest."""
    try:
        manifest = open_bundle(policy.module, checked.base, HARD_MAX.module).manifest
    except BundleError as error:
        raise type(error)(f"policy `{policy.name}`: {error}") from None
    if manifest:
        manifest.settled(policy.settings, checked.where(policy))


def _absolute(module: str, base: str) -> str:
    return module if module.startswith(BUILTIN) else os.path.abspath(os.path.join(base, places.expanded(module)))


def _each(subjects: Sequence[str], path: str, profile: str) -> Chosen:
    """The policies that *subjects* name, one by one; *path* is the owner's configuration, if there is one."""
    policies: list[dict[str, Any]] = []
    shown, notes, owned = [], [], _Owned(top={}, tables={}, modules={})
    for subject in subjects:
        if subject.startswith(BUILTIN) or os.path.lexists(subject):
            table, note = _from_files(subject, profile)
            shown.append(subject)
            notes.append(note)
        else:
            if not owned.tables and os.path.lexists(path):
                owned = _owned(path, profile, subjects)
            if subject not in owned.tables:
                raise _unknown(subject, path, owned.tables)
            table = owned.tables[subject]
            shown.append(owned.modules[subject])
        policies.append(table | {"name": _unique(table["name"], [OURSELVES, *(one["name"] for one in policies)])})
    notes = [note for note in notes if note]
    return Chosen(policies=tuple(policies), shown=tuple(shown), top=owned.top, notes=tuple(notes))


def _from_files(subject: str, profile: str) -> tuple[dict[str, Any], str]:
    """The table of the policy in the files that *subject* names, and what the reader should know."""
    found = located(subject)
    note = ""
    if found.project and is_stale(found):
        if not os.path.isfile(os.path.join(found.reference, MODULE)):
            raise UsageError(f"`{one_line(subject, 200)}` was never built: run `wasmguard build` there")
        note = f"`{one_line(subject, 200)}`: its sources are newer than what was built of them: run `wasmguard build`"
    if found.reference != (plain := one_line(found.reference, len(found.reference))):
        raise BundleError(f"`{plain}`: its name has characters that no configuration can hold: rename it")
    manifest = open_bundle(found.reference, "/", HARD_MAX.module).manifest
    asked = PROFILES[profile or (manifest.limits if manifest else "default")]
    name = manifest.name if manifest else _from_path(found.reference)
    return made_up(name, found.reference, manifest, profile, event=max(CARRIED, asked.event)), note


def _from_path(path: str) -> str:
    """A name for a module without a manifest: that of its file."""
    stem = os.path.splitext(os.path.basename(path))[0].lower()
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("._-")[:LONGEST_NAME] or NAMELESS


def _unique(name: str, taken: Sequence[str]) -> str:
    """*name*, or with a number if another one has it."""
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name[: LONGEST_NAME - 4]}-{number}"
    return made


def _unknown(subject: str, path: str, known: Collection[str]) -> UsageError:
    shown = one_line(subject, 200)
    if os.sep in subject or subject.endswith(WASM):
        return UsageError(f"`{shown}`: no such file or folder: name one that is there")
    every = (*known, *(f"{BUILTIN}{name}" for name in builtins()))
    alike = get_close_matches(subject[:LONGEST_NAME], [name.removeprefix(BUILTIN) for name in every], 1)
    meant = next((f": did you mean `{name}`?" for name in every if name.removeprefix(BUILTIN) in alike), "")
    there = f"no policy of that name in `{path}`" if known else "no configuration that could have a policy of that name"
    names = ", ".join(f"`{name}`" for name in every)
    what = meant or f": write {names}, or a bundle, a project, a `{WASM}` or a `{TOML}` file"
    return UsageError(f"`{shown}`: no such file, and {there}{what}")
