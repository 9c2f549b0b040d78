"""A policy's `manifest.toml`: what its author says about it. Hostile input; it asks, and only the owner's file gives.

1. It has at most 64 KiB, and no line with more than 100 dots: `tomllib` is quadratic in the parts of a dotted key (one
   of 32,000 parts takes 8 s).
2. Unknown keys are refused, types are exact: `true` is no integer, "1" is no number.
3. Names have a form; every other text is cleaned and cut where it enters.
4. The owner's settings are checked against what is declared here: no unknown one, none of another type, none missing.
   What the owner leaves out has its default, or is absent.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from wasmguard.errors import BundleError, ConfigError
from wasmguard.guest.abi import OPA, VERSION
from wasmguard.limits import KIB, SAFE_INTEGER, STATE
from wasmguard.text import lines, one_line
from wasmguard.toml_errors import LONGEST_LINE, closest, not_toml, problems, shown, told, written

LARGEST = 64 * KIB  # bytes of a manifest; ours have 1 KiB
DOTS = 100  # dots on one line
SUMMARY = 200  # characters of a summary

_POLICY = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_VERSION = r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$"
_EVENT = r"^[A-Z][A-Za-z]{1,63}$"
_TOOL = r"^(?:[A-Za-z0-9_.:/-]{1,128}\*?|\*)$"
_OUTPUT = r"^(?:[A-Za-z0-9_:/-]{1,128}\*?|mcp__[A-Za-z0-9_.:/-]{1,123}\*?|\*)$"  # a server's tool may have a dot
_FIELD = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
_REWRITE = r"^[A-Za-z0-9_.:/-]{1,128}\*?\.[^.\s\"*]{1,128}$"
_SETTING = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"


def _fits(pattern: str, words: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"`{written(text)}` is not {words}")
        return text

    return AfterValidator(check)


def _form(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


PolicyName = Annotated[
    str,
    _fits(_POLICY, "a name: write lower-case letters, digits, `.`, `_` and `-`, at most 64"),
    _form(_POLICY),
]
EventName = Annotated[
    str, _fits(_EVENT, "the name of an event: write it as the agent does, like `PreToolUse`"), _form(_EVENT)
]
ToolPattern = Annotated[
    str, _fits(_TOOL, "the name of a tool: write it as the agent does, or its beginning and one `*`"), _form(_TOOL)
]
OutputTool = Annotated[
    str, _fits(_OUTPUT, "the name of a tool: write it without a field, or its beginning and one `*`"), _form(_OUTPUT)
]
RewriteKey = Annotated[
    str,
    _fits(_REWRITE, 'a tool and one of its fields: write them in quotes, like `"Write.file_path"`'),
    _form(_REWRITE),
]
_EventField = Annotated[str, _fits(_FIELD, "the name of an event's field: write one like `tool_name`"), _form(_FIELD)]
_SettingName = Annotated[
    str, _fits(_SETTING, "a name: write letters, digits, `_` and `-`, at most 64"), _form(_SETTING)
]
_Version = Annotated[str, _fits(_VERSION, 'a version: write one like `"0.1.0"`'), _form(_VERSION)]
_Text = Annotated[str, AfterValidator(lambda text: one_line(text, SUMMARY))]


def _known_abi(given: object) -> object:
    if given != OPA and (type(given) is not int or given != VERSION):
        advice = (
            f'"{OPA}"` for what `opa build` makes' if type(given) is str and given != str(VERSION) else f"{VERSION}`"
        )
        raise ValueError(f"ABI `{written(given)}` is not known: write `abi = {advice}")
    return given


class Table(BaseModel):
    """A table in a TOML file of ours: no unknown keys, exact types, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class TomlSchema(GenerateJsonSchema):
    """JSON schema of a TOML file, which has no null: an optional key is left out."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default") is None or isinstance(made["default"], dict):  # a table left out is no default to show
            made.pop("default", None)
        return made

    def dict_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        return made | {"additionalProperties": False} if "patternProperties" in made else made


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "string": (lambda value: type(value) is str, "text: write it in quotes"),
    "boolean": (lambda value: type(value) is bool, "boolean: write `true` or `false`"),
    "integer": (lambda value: type(value) is int and abs(value) <= SAFE_INTEGER, "integer: write digits, up to 2**53"),
    "strings": (lambda value: type(value) is list and {*map(type, value)} <= {str}, 'list of texts: write `["one"]`'),
}


class Setting(Table):
    """One thing that the owner may set for a policy."""

    type: Literal["string", "boolean", "integer", "strings"] = Field(examples=["string"])
    """What it is; `strings` is a list of strings."""

    default: Any = Field(default=None, examples=["/sandbox"])
    """What it is when the owner says nothing. Without it, it is then absent."""

    required: bool = Field(default=False, examples=[True])
    """Whether the owner must set it."""

    summary: _Text = Field(default="", examples=["Absolute path of the folder that writes are moved into"])
    """What it means, in one sentence."""

    @field_validator("default")
    @classmethod
    def _fits_its_type(cls, default: Any, info: ValidationInfo) -> Any:
        if misfit := _misfit(info.data.get("type"), default):
            raise ValueError(misfit)
        texts = default if isinstance(default, list) else [default] if isinstance(default, str) else []
        if any(lines(text, len(text)) != text for text in texts):
            raise ValueError("it has a character that does not show itself: leave it out")
        return default

    @field_validator("required")
    @classmethod
    def _has_no_default_then(cls, required: bool, info: ValidationInfo) -> bool:
        if required and info.data.get("default") is not None:
            raise ValueError("a required setting cannot have a default: remove one of them")
        return required


Scope = Literal["session", "agent", "project", "owner"]
Destination = Literal["userSettings", "projectSettings", "localSettings", "session", "cliArg"]


class AsksState(Table):
    """What a policy remembers."""

    max: int = Field(ge=1, le=STATE, examples=[4096])
    """Bytes, at the most."""

    scope: Scope = Field(default="session", examples=["session"])
    """What it remembers them for: a session, one agent in it, a project, or for its owner at all."""


class Asks(Table):
    """The grants that a policy works with. Only its owner gives them."""

    effects: Annotated[tuple[Literal["deny", "ask", "allow"], ...], Field(strict=False)] = Field(
        default=(), examples=[["deny"]]
    )
    """The effects that it answers with."""

    rewrite: Annotated[tuple[RewriteKey, ...], Field(strict=False)] = Field(default=(), examples=[["Write.file_path"]])
    """The fields that it rewrites, each as `Tool.field`."""

    rewrite_output: Annotated[tuple[OutputTool, ...], Field(strict=False)] = Field(default=(), examples=[["Bash"]])
    """The tools whose output it rewrites."""

    permissions: Annotated[tuple[Destination, ...], Field(strict=False)] = Field(default=(), examples=[["session"]])
    """Where it writes permissions to."""

    state: AsksState | None = Field(default=None, examples=[{"max": 4096, "scope": "session"}])
    """What it remembers from one event to the next."""


class Manifest(Table):
    """What a policy's author says about it."""

    abi: Annotated[Literal[1, "opa"], BeforeValidator(_known_abi)] = Field(examples=[1])
    """The version of the guest ABI that the module speaks; `opa` for one that `opa build -t wasm` made."""

    name: PolicyName = Field(examples=["path-redirect"])
    """Its author's name for it. The owner may call it something else."""

    version: _Version = Field(examples=["0.1.0"])
    """Its version."""

    summary: _Text = Field(examples=["Moves the paths that tools write to into one folder"])
    """What it does, in one sentence."""

    language: _Text = Field(default="", examples=["rust"])
    """What it is written in."""

    license: _Text = Field(default="", examples=["Apache-2.0"])
    """Its licence, as an SPDX identifier."""

    events: Annotated[tuple[EventName, ...], Field(strict=False, min_length=1)] = Field(examples=[["PreToolUse"]])
    """The events that it can judge. The owner may choose fewer."""

    tools: Annotated[tuple[ToolPattern, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, examples=[["Write", "Edit"]]
    )
    """The tools that it is asked about unless the owner names others; absent for all."""

    reads: Annotated[tuple[_EventField, ...], Field(strict=False)] | None = Field(
        default=None, examples=[["tool_name", "tool_input"]]
    )
    """The event fields that it is sent; absent for all."""

    limits: Literal["tight", "default", "roomy"] = Field(default="default", examples=["tight"])
    """The limit profile that it needs."""

    asks: Asks = Field(default=Asks(), examples=[{"effects": ["deny"]}])
    """The grants that it works with."""

    settings: dict[_SettingName, Setting] = Field(default={}, examples=[{"root": {"type": "string"}}])
    """What the owner may set."""

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """The manifest with the text *text*, which was read from *source*.

        Raises:
            BundleError: one line for each problem.
        """
        _check_size(text, source)
        try:
            return cls.model_validate(tomllib.loads(text))
        except ValidationError as error:
            found = problems(error.errors(include_url=False), cls.model_json_schema(schema_generator=TomlSchema))
            raise BundleError(told(source, text, found)) from None
        except (ValueError, RecursionError) as error:  # from `tomllib`, which raises ValueError for a huge integer
            raise BundleError(not_toml(source, text, error)) from None

    def settled(self, settings: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The settings that the policy is sent: the owner's *settings*, checked, and defaults for the rest.

        Raises:
            ConfigError: one line for each problem, each beginning with *where*.
        """
        found = [
            one_line(f"{where}: `{shown(('settings', name))}`: {flaw}", LONGEST_LINE)
            for name in {**self.settings, **settings}
            if (flaw := self._flaw(name, settings))
        ]
        if found:
            raise ConfigError("\n".join(found))
        defaults = {name: setting.default for name, setting in self.settings.items() if setting.default is not None}
        return {**defaults, **settings}

    def _flaw(self, name: str, settings: Mapping[str, Any]) -> str:
        """What is wrong with one setting of the owner's, or with its absence; empty if nothing is."""
        setting = self.settings.get(name)
        if setting is None:
            return f"the policy has no such setting: {closest(name, self.settings)}"
        if name in settings:
            return _misfit(setting.type, settings[name])
        return f"missing: add it to `settings` of the policy: {setting.summary}" if setting.required else ""


def _misfit(kind: str | None, value: Any) -> str:
    """Why *value* is not of the type *kind*; empty if it is, or if there is no such type."""
    if kind is None or _KINDS[kind][0](value):
        return ""
    return f"`{written(value)}` is no {_KINDS[kind][1]}"


def _check_size(text: str, source: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise BundleError(f"{source}: more than {LARGEST} bytes: write a shorter manifest")
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > DOTS:
            raise BundleError(f"{source}:{number}: more than {DOTS} dots: write shorter lines")
