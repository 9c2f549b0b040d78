"""The grants of `wasmguard.toml` as the owner writes them: what a policy may do beyond tightening."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from wasmguard.config_limits import Duration, Size, StateSize, bounded
from wasmguard.guest.grants import MONTH, Constraint, Max, OneOf, Within
from wasmguard.guest.manifest import Destination, OutputTool, RewriteKey, Scope, Table
from wasmguard.guest.paths import check_root
from wasmguard.limits import HARD_MAX, SAFE_INTEGER, STATE

DESTINATIONS = get_args(Destination)
DEPTH = 16  # levels of nesting in a setting
LONGEST = 10 * 365 * 86_400  # seconds: whoever wants more wants for ever
_ONE = {"type": ["string", "integer", "boolean"]}


def plain(value: Any, depth: int = DEPTH) -> Any:
    """*value*, which has the same meaning in JSON, msgpack and every guest's language.

    Raises:
        ValueError: if it has not.
    """
    if not depth:
        raise ValueError(f"nested deeper than {DEPTH} levels: write it flatter")
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            plain(item, depth - 1)
    elif type(value) is int and abs(value) > SAFE_INTEGER:
        raise ValueError("an integer beyond 2**53, which not every guest can read: write it as a text")
    elif type(value) is float and not math.isfinite(value):
        raise ValueError(f"`{value}` is not finite: write a number")
    elif not isinstance(value, str | int | float):
        raise ValueError(f"`{value}` is a date or a time, which policies cannot read: write it in quotes")
    return value


def _root(folder: str) -> str:
    check_root(folder)
    return folder


def _one(value: Any) -> Any:
    if not isinstance(value, str | int):
        raise ValueError("no text, integer or boolean: write one of those")  # noqa: TRY004  # pydantic expects it
    return plain(value)


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


class OutputGrant(Table):
    """How much of a tool's output may be replaced."""

    model_config = ConfigDict(title="Output grant")

    max: Annotated[Size, AfterValidator(lambda size: bounded(size, HARD_MAX.answer))] = Field(examples=["64 KiB"])
    """At most so much."""


def _sized(given: object) -> object:
    return given if isinstance(given, dict) else {"max": given}


def _or_a_size(schema: dict[str, Any]) -> None:
    """Let an editor take the size alone as well as the table."""
    if "$ref" in schema:
        schema["anyOf"] = [{"$ref": schema.pop("$ref")}, {"type": ["integer", "string"]}]


class StateGrant(Table):
    """What a policy may remember from one event to the next."""

    model_config = ConfigDict(title="State grant")

    max: Annotated[StateSize, AfterValidator(lambda size: bounded(size, STATE))] = Field(examples=["4 KiB"])
    """At most so much."""

    scope: Scope | None = Field(default=None, examples=["session"])
    """What it remembers it for: `session`, `agent` (each sub-agent for itself), `project`, or `owner`; absent for what
    its manifest says."""

    expires: Annotated[Duration, AfterValidator(lambda seconds: bounded(seconds, LONGEST))] = Field(
        default=MONTH, examples=["30 d"]
    )
    """When it is forgotten, counted from the last change; with its unit."""


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
        tuple[Destination, ...],
        Field(strict=False, json_schema_extra=_or_true),
        BeforeValidator(_all_or_none),
    ] = Field(default=(), examples=[["session"]])
    """Where its permission updates may be written to; `true` for everywhere."""

    rewrite_output: dict[OutputTool, OutputGrant] = Field(default={}, examples=[{"Bash": {"max": "64 KiB"}}])
    """The tools whose output it may rewrite before the model reads it."""

    state: Annotated[StateGrant, BeforeValidator(_sized)] | None = Field(
        default=None, examples=["4 KiB", {"max": "4 KiB", "scope": "session"}], json_schema_extra=_or_a_size
    )
    """What it may remember: a size, or a table."""
