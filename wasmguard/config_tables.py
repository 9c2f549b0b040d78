"""The tables of `wasmguard.toml` as the owner writes them. `wasmguard.config` loads them and says what they come to.

Unknown keys are refused, types are exact, every number stays below its hard maximum, and what this version cannot do is
refused by name. The docstrings are what an editor shows: they go into the JSON schema.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from wasmguard.config_limits import LimitsConfig, Size, bounded
from wasmguard.decision import OURSELVES
from wasmguard.guest.grants import Constraint, Max, OneOf, Within
from wasmguard.guest.manifest import EventName, PolicyName, RewriteKey, Table, ToolPattern
from wasmguard.guest.paths import check_root
from wasmguard.limits import HARD_MAX, SAFE_INTEGER
from wasmguard.text import one_line

DESTINATIONS = ("userSettings", "projectSettings", "localSettings", "session", "cliArg")
DEPTH = 16  # levels of nesting in a setting
_ONE = {"type": ["string", "integer", "boolean"]}
_SHA256 = r"^[0-9a-f]{64}$"


def _root(folder: str) -> str:
    check_root(folder)
    return folder


def _plain(value: Any, depth: int = DEPTH) -> Any:
    """*value*, which has the same meaning in JSON, msgpack and every guest's language."""
    if not depth:
        raise ValueError(f"nested deeper than {DEPTH} levels: write it flatter")
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _plain(item, depth - 1)
    elif type(value) is int and abs(value) > SAFE_INTEGER:
        raise ValueError("an integer beyond 2**53, which not every guest can read: write it as a text")
    elif type(value) is float and not math.isfinite(value):
        raise ValueError(f"`{value}` is not finite: write a number")
    elif not isinstance(value, str | int | float):
        raise ValueError(f"`{value}` is a date or a time, which policies cannot read: write it in quotes")
    return value


def _one(value: Any) -> Any:
    if not isinstance(value, str | int):
        raise ValueError("no text, integer or boolean: write one of those")  # noqa: TRY004  # pydantic expects it
    return _plain(value)


class RewriteGrant(Table):
    """What one field of one tool's input may be rewritten to: exactly one of `within`, `max` and `one_of`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in ("within", "max", "one_of")]},
        title="Rewrite grant",
    )

    within: Annotated[str, AfterValidator(_root)] | None = Field(default=None, examples=["/sandbox"])
    """A path below this folder."""

    max: Annotated[Size, AfterValidator(lambda size: bounded(size, HARD_MAX.answer))] | None = Field(
        default=None, examples=["64 KiB"]
    )
    """Any value up to this size: a strong grant."""

    one_of: (
        Annotated[
            tuple[Annotated[Any, AfterValidator(_one), WithJsonSchema(_ONE)], ...], Field(strict=False, min_length=1)
        ]
        | None
    ) = Field(default=None, examples=[["python3", "node"]])
    """One of these texts, integers or booleans."""

    silent: bool = Field(default=False, examples=[False])
    """Whether a rewritten command goes ahead without being shown to a human. Not with `within`."""

    @model_validator(mode="after")
    def _has_one_constraint(self) -> Self:
        named = [name for name in ("within", "max", "one_of") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(
                'a rewrite has one constraint: write `within = "/folder"`, `max` or `one_of`, and only one'
            )
        if self.silent and self.within is not None:
            raise ValueError("`silent` says nothing about a path: leave it out")
        return self

    def constraint(self) -> Constraint:
        """The same for the gate."""
        if self.within is not None:
            return Within(root=self.within)
        if self.max is not None:
            return Max(bytes=self.max, silent=self.silent)
        return OneOf(values=self.one_of or (), silent=self.silent)


def _all_or_none(given: object) -> object:
    return list(DESTINATIONS) if given is True else [] if given is False else given


def _or_true(schema: dict[str, Any]) -> None:
    """Let an editor take `true` as well as the list."""
    schema["type"] = [schema["type"], "boolean"]


def _not_yet(_given: object) -> None:
    raise ValueError("this version of wasmguard cannot grant that: remove it")


_NotYet = Annotated[None, BeforeValidator(_not_yet)]


class GrantsConfig(Table):
    """What its owner lets a policy do beyond tightening. Nothing by default."""

    model_config = ConfigDict(title="Grants")

    effects: Annotated[tuple[Literal["deny", "ask", "allow"], ...], Field(strict=False)] = Field(
        default=("deny", "ask"), examples=[["deny", "ask"]]
    )
    """The effects that count. `deny` and `ask` always do; without `allow` an allow counts as no opinion."""

    rewrite: dict[RewriteKey, RewriteGrant] = Field(default={}, examples=[{"Write.file_path": {"within": "/sandbox"}}])
    """The fields of tool inputs that it may rewrite, each as `"Tool.field"`."""

    permissions: Annotated[
        tuple[Literal["userSettings", "projectSettings", "localSettings", "session", "cliArg"], ...],
        Field(strict=False, json_schema_extra=_or_true),
        BeforeValidator(_all_or_none),
    ] = Field(default=(), examples=[["session"]])
    """Where its permission updates may be written to; `true` for everywhere."""

    rewrite_output: SkipJsonSchema[_NotYet] = None
    state: SkipJsonSchema[_NotYet] = None


def _digest(text: str) -> str:
    if not re.fullmatch(_SHA256, text):
        raise ValueError("not a SHA-256 in 64 lower-case hexadecimal digits: remove it and run `wasmguard lock`")
    return text


class PolicyConfig(Table):
    """One policy: a module, under the name that its owner gives it."""

    model_config = ConfigDict(title="Policy")

    name: PolicyName = Field(examples=["sandbox-writes"])
    """What it is called in reasons, records and commands. Unique."""

    module: str = Field(examples=["builtin:path-redirect"])
    """`builtin:` and a name, a folder, or a `.wasm` file; relative to this file's folder."""

    sha256: Annotated[str, AfterValidator(_digest), WithJsonSchema({"type": "string", "pattern": _SHA256})] | None = (
        Field(default=None, examples=["0" * 64])
    )
    """Digest of the module file, written by `wasmguard lock`. Other bytes are refused."""

    events: Annotated[tuple[EventName, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, examples=[["PreToolUse"]]
    )
    """The events that it is asked about; absent for those that its manifest names."""

    tools: Annotated[tuple[ToolPattern, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, examples=[["Write", "Edit"]]
    )
    """The tools that it is asked about, a trailing `*` for a prefix; absent for those that its manifest names."""

    settings: dict[str, Annotated[Any, AfterValidator(_plain)]] = Field(default={}, examples=[{"root": "/sandbox"}])
    """What the policy is told; its manifest says what it understands."""

    grants: GrantsConfig = Field(default=GrantsConfig(), examples=[{"effects": ["deny", "ask"]}])
    """What it may do beyond tightening."""

    on_fault: Literal["deny", "ask"] = Field(default="deny", examples=["deny"])
    """What counts when it fails. Nothing is looser than `ask`."""

    shadow: bool = Field(default=False, examples=[True])
    """Whether it is asked and recorded, but never obeyed."""

    limits: LimitsConfig = Field(default=LimitsConfig(), examples=[{"profile": "roomy"}])
    """Its own limits, before those at the top."""

    @field_validator("name")
    @classmethod
    def _is_not_ours(cls, name: str) -> str:
        if name == OURSELVES:
            raise ValueError(f"`{OURSELVES}` is the name under which wasmguard itself speaks: write another")
        return name

    @field_validator("module")
    @classmethod
    def _names_something(cls, module: str) -> str:
        if not module or module != one_line(module, len(module)):
            raise ValueError("not a path: write `builtin:` and a name, a folder, or a `.wasm` file")
        return module


def _many(given: object) -> object:
    if isinstance(given, dict):
        raise ValueError("one table where a list of them belongs: write `[[policy]]`, in two pairs of brackets")  # noqa: TRY004  # as above
    return given


class File(Table):
    """The owner's configuration of wasmguard: who is asked about what, with which grants and limits."""

    model_config = ConfigDict(title="wasmguard.toml")

    isolation: Literal["process", "thread"] = Field(default="process", examples=["process"])
    """Where policies run: in jailed processes, or, faster and with one wall less, in the process that decides."""

    self_protection: bool = Field(default=True, examples=[True])
    """Whether tools are kept from the guard's own files and from the agent's settings that switch hooks off."""

    limits: LimitsConfig = Field(default=LimitsConfig(), examples=[{"profile": "tight"}])
    """How much each policy may use, unless it has limits of its own."""

    policy: Annotated[tuple[PolicyConfig, ...], Field(strict=False), BeforeValidator(_many)] = ()
    """The policies, in the order in which they are asked."""
