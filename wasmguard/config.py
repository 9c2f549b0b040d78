"""The owner's `wasmguard.toml`: who is asked about what, with which grants and limits.

1. The file is read once: a regular file of ours or root's that not everybody may write, at most 1 MiB of UTF-8. It may
   be a symlink, because that is how people keep their dotfiles; relative paths in it start where the link is.
2. Nothing is ignored: what is unknown, mistyped, beyond a hard maximum or not in this version is refused.
3. Limits come in layers, a later one goes before an earlier one: `tight` where the policy's manifest asks for it, the
   profile under `[limits]`, single values there, and the policy's own `limits`, again profile first. A profile sets
   every value, so it replaces all that is below it.
4. A policy is granted what is written here and nothing else. `deny` and `ask` are no grants: it may always tighten.
5. All problems are told at once, each with its line and with what to write instead (`wasmguard.toml_errors`).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from wasmguard import places
from wasmguard.config_grants import StateGrant
from wasmguard.config_limits import LimitsConfig
from wasmguard.config_pins import write_pins
from wasmguard.config_record import RecordConfig
from wasmguard.config_shadows import astray, completed
from wasmguard.config_tables import File, PolicyConfig, StateConfig
from wasmguard.decision import Effect
from wasmguard.errors import ConfigError
from wasmguard.guest.bundle import OTHERS, read_once
from wasmguard.guest.grants import Grants
from wasmguard.guest.manifest import Manifest, TomlSchema
from wasmguard.limits import DEFAULT, TIGHT, Limits
from wasmguard.sandbox.cache import digest
from wasmguard.toml_errors import Problem, not_toml, problems, told
from wasmguard.toml_layout import Layout
from wasmguard.value import Value

__all__ = ["Config", "PolicyConfig", "grants_of", "load", "schema", "write_pins"]

SCHEMA_ID = "urn:wasmguard:wasmguard.toml:1"
LARGEST = 2**20  # bytes of wasmguard.toml; an ordinary one has 1 KiB


class Config(Value):
    """A configuration that has been read and checked."""

    path: str
    """The file, absolute."""
    digest: str
    """A digest of its bytes, by which a plan knows it again."""
    base: str
    """The folder that relative paths in it start from."""
    isolation: str
    """Where policies run: `process` or `thread`."""
    self_protection: bool
    """Whether the guard's files and the agent's settings are kept from tools."""
    limits: LimitsConfig
    state: StateConfig
    """Where policies remember things."""
    record: RecordConfig
    """What is recorded."""
    policy: tuple[PolicyConfig, ...]
    """The policies, in the order in which they are asked."""
    lines: Mapping[str, int]
    """For each policy, by name, the line of its settings."""

    def limits_for(self, policy: PolicyConfig | None, manifest: Manifest | None) -> Limits:
        """The limits of *policy* (rule 3); without one, those of a policy that has none of its own."""
        asked = manifest.limits if manifest else "default"
        limits = self.limits.over(TIGHT if asked == "tight" else DEFAULT)  # a manifest may ask for less, not take more
        if policy is None:
            return limits
        made = policy.limits.over(limits)
        return made if policy.timeout is None else made.replaced(clock=policy.timeout)

    def stored(self) -> dict[str, Any]:
        """Where policies remember things, as plain data for the plan."""
        file = self.state.password_file
        found = os.path.join(self.base, places.expanded(file)) if file else None
        return {**self.state.model_dump(), "password_file": found}

    def where(self, policy: PolicyConfig) -> str:
        """File, line and policy, for messages about its settings."""
        return f"{self.path}:{self.lines[policy.name]}: policy `{policy.name}`"


def load(path: str) -> Config:
    """The configuration file *path*.

    Raises:
        ConfigError: one line for each problem.
    """
    if not os.path.lexists(path):
        raise ConfigError(f"configuration `{path}`: does not exist: write it, or pass another with --config PATH")
    try:
        data, _ = read_once(path, LARGEST, follow=True, refused_mode=OTHERS)
    except ValueError as error:
        raise ConfigError(f"configuration `{path}`: {error}, or pass another with --config PATH") from None
    source = _decoded(path, data)
    file = _checked(path, source)
    layout, path = Layout(source), os.path.abspath(path)
    return Config(
        path=path,
        digest=digest(data),
        base=os.path.dirname(path),
        isolation=file.isolation,
        self_protection=file.self_protection,
        limits=file.limits,
        state=file.state,
        record=file.record,
        policy=file.policy,
        lines={policy.name: layout.line(("policy", at, "settings")) for at, policy in enumerate(file.policy)},
    )


def grants_of(policy: PolicyConfig, manifest: Manifest | None = None, entries: int = 10_000) -> Grants:
    """What *policy* is granted, for the gate; its *manifest* says what it remembers things for unless the owner does.
    There may be so many *entries* of that."""
    granted = policy.grants
    return Grants(
        effects=frozenset({Effect.PASS, *(Effect[name.upper()] for name in granted.effects)}),
        rewrite={key: grant.constraint() for key, grant in granted.rewrite.items()},
        permissions=frozenset(granted.permissions),
        rewrite_output={tool: grant.max for tool, grant in granted.rewrite_output.items()},
        **_remembered(granted.state, manifest, entries),
    )


def _remembered(state: StateGrant | None, manifest: Manifest | None, entries: int) -> dict[str, Any]:
    if state is None:
        return {}
    asked = manifest.asks.state if manifest else None
    scope = state.scope or (asked.scope if asked else "session")
    return {"state": state.max, "scope": scope, "expires": state.expires, "entries": entries}


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of `wasmguard.toml`, for editors."""
    made = File.model_json_schema(schema_generator=TomlSchema)
    return {"$schema": TomlSchema.schema_dialect, "$id": SCHEMA_ID, **made}


def _decoded(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8: save the file as UTF-8") from None


def _checked(path: str, source: str) -> File:
    try:
        file = File.model_validate(tomllib.loads(source))
    except ValidationError as error:
        raise ConfigError(told(path, source, problems(error.errors(include_url=False), schema()))) from None
    except (ValueError, RecursionError) as error:  # from `tomllib`, which raises ValueError for a huge integer
        raise ConfigError(not_toml(path, source, error)) from None
    if wrong := _twice(file) or astray(file.policy):
        raise ConfigError(told(path, source, wrong))
    return file.model_copy(update={"policy": completed(file.policy)})


def _twice(file: File) -> list[Problem]:
    """The names that an earlier policy has already."""
    names = [policy.name for policy in file.policy]
    return [
        (("policy", at, "name"), f"`{name}` is the name of `policy[{names.index(name)}]` already: write another")
        for at, name in enumerate(names)
        if names.index(name) != at
    ]
