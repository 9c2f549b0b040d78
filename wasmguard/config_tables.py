"""The tables of `wasmguard.toml` as the owner writes them. `wasmguard.config` loads them and says what they come to.

Unknown keys are refused, types are exact, every number stays below its hard maximum, and what this version cannot do is
refused by name. The docstrings are what an editor shows: they go into the JSON schema.
"""

from __future__ import annotations

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

from wasmguard import matcher as matchers
from wasmguard.agents.claude import KNOWN
from wasmguard.config_grants import GrantsConfig, plain
from wasmguard.config_limits import LimitsConfig, Timeout, bounded
from wasmguard.config_record import RecordConfig
from wasmguard.decision import OURSELVES
from wasmguard.guest.manifest import EventName, PolicyName, Table, ToolPattern
from wasmguard.limits import HARD_MAX
from wasmguard.text import one_line
from wasmguard.toml_errors import edits

_SHA256 = r"^[0-9a-f]{64}$"
SLIP = 2  # letters that a slip of the pen changes


def _matcher(text: str) -> str:
    matchers.check(text)
    return text


Matcher = Annotated[str, AfterValidator(_matcher)]


def known_event(name: str) -> str:
    """*name*, unless it is nearly that of an event that we know: then the policy would never be asked. Other names are
    another agent's business.

    Raises:
        ValueError: with the event that was meant.
    """
    if name not in KNOWN and (meant := [known for known in KNOWN if edits(name, known) <= SLIP]):
        nearest = min(meant, key=lambda known: edits(name, known))
        raise ValueError(f"unknown event `{name}`: did you mean `{nearest}`?")
    return name


KnownEvent = Annotated[EventName, AfterValidator(known_event)]


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

    events: Annotated[tuple[KnownEvent, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, examples=[["PreToolUse"]]
    )
    """The events that it is asked about; absent for those of `matchers`, or else those that its manifest names."""

    tools: Annotated[tuple[ToolPattern, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, examples=[["Write", "Edit"]]
    )
    """The tools that it is asked about, a trailing `*` for a prefix; absent for those that its manifest names."""

    matcher: Matcher | None = Field(default=None, examples=["Write|Edit"])
    """Instead of `tools`: names with `|` between them, or a regular expression, as in the agent's own settings."""

    matchers: Annotated[dict[KnownEvent, Matcher], Field(min_length=1)] | None = Field(
        default=None, examples=[{"PreToolUse": "Write|Edit", "PostToolUse": "*"}]
    )
    """The same for each event."""

    settings: dict[str, Annotated[Any, AfterValidator(plain)]] = Field(default={}, examples=[{"root": "/sandbox"}])
    """What the policy is told; its manifest says what it understands."""

    grants: GrantsConfig = Field(default=GrantsConfig(), examples=[{"effects": ["deny", "ask"]}])
    """What it may do beyond tightening."""

    on_fault: Literal["deny", "ask"] = Field(default="deny", examples=["deny"])
    """What counts when it fails. Nothing is looser than `ask`."""

    shadow: bool = Field(default=False, examples=[True])
    """Whether it is asked and recorded, but never obeyed."""

    shadow_of: PolicyName | None = Field(default=None, examples=["sandbox-writes"])
    """The policy that this is another version of: it is asked beside it, under the same terms where it says nothing
    else, and never obeyed."""

    timeout: Annotated[Timeout, AfterValidator(lambda clock: bounded(clock, HARD_MAX.clock))] | None = Field(
        default=None, examples=["1 s"]
    )
    """How long it may run for one event: another word for `limits.clock`, with its unit."""

    limits: LimitsConfig = Field(default=LimitsConfig(), examples=[{"profile": "roomy"}])
    """Its own limits, before those at the top."""

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        if sum(said is not None for said in (self.tools, self.matcher, self.matchers)) > 1:
            raise ValueError("`tools`, `matcher` and `matchers` say the same: keep one of them")
        if self.matchers and self.events and self.matchers.keys() != set(self.events):
            raise ValueError("`matchers` names other events than `events`: leave `events` out")
        if self.shadow_of is not None and "shadow" in self.model_fields_set and not self.shadow:
            raise ValueError("`shadow_of` says that it is never obeyed, `shadow = false` that it is: keep one of them")
        if self.timeout is not None and self.limits.clock is not None:
            raise ValueError("`timeout` and `limits.clock` say the same: keep one of them")
        return self

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


_STORE = r"^(?:sqlite|rediss?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?:/[0-9]{1,3})?)$"


_PREFIX = r"^[A-Za-z0-9_.:-]{1,64}$"
PORTS = 65_535
ENTRIES = 1_000_000


def _store(text: str) -> str:
    if any(sign in text for sign in "@?#") or "password" in text.lower():  # which is not repeated, then
        raise ValueError(
            "a password does not belong into this file: write it into another one, and name that as `password_file`"
        )
    if not (found := re.fullmatch(_STORE, text)):
        raise ValueError(f"`{one_line(text, 80)}` is no store: write `sqlite`, or `redis://host:6379/0`")
    if found["port"] and not 1 <= int(found["port"]) <= PORTS:
        raise ValueError(f"`{found['port']}` is no port: write a number from 1 to {PORTS}, like `redis://host:6379/0`")
    return text


def _prefix(text: str) -> str:
    if not re.fullmatch(_PREFIX, text):
        raise ValueError(f"`{one_line(text, 80)}` is no prefix: write letters, digits, `_`, `.`, `:` and `-`, 1 to 64")
    return text


class StateConfig(Table):
    """Where policies remember what they may (`grants.state`)."""

    model_config = ConfigDict(title="State")

    store: Annotated[
        str, AfterValidator(_store), WithJsonSchema({"type": "string", "pattern": _STORE.replace("?P<port>", "")})
    ] = Field(default="sqlite", examples=["sqlite", "redis://127.0.0.1:6379/0"])
    """A file in the state folder, or a Redis server where several machines share one budget."""

    prefix: Annotated[str, AfterValidator(_prefix), WithJsonSchema({"type": "string", "pattern": _PREFIX})] = Field(
        default="wasmguard", examples=["team-a"]
    )
    """What the keys in Redis begin with: configurations with the same one share what they remember."""

    password_file: str | None = Field(default=None, examples=["/home/you/.config/wasmguard/redis-password"])
    """A file of yours alone that holds the password for Redis, and before it, with a colon between, perhaps a user."""

    entries: Annotated[
        int,
        AfterValidator(lambda entries: bounded(entries, ENTRIES)),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": ENTRIES}),
    ] = Field(default=10_000, examples=[10_000])
    """For how many sessions, agents or projects a policy may remember something; one more is a fault."""

    @model_validator(mode="after")
    def _has_a_password_for_somebody(self) -> Self:
        if self.password_file is not None and self.store == "sqlite":
            raise ValueError("`password_file` is for a Redis server: leave it out, or name the server as `store`")
        return self


class File(Table):
    """The owner's configuration of wasmguard: who is asked about what, with which grants and limits."""

    model_config = ConfigDict(title="wasmguard.toml")

    isolation: Literal["process", "thread"] = Field(default="process", examples=["process"])
    """Where policies run: in jailed processes, or, faster and with one wall less, in the process that decides."""

    self_protection: bool = Field(default=True, examples=[True])
    """Whether tools are kept from the guard's own files and from the agent's settings that switch hooks off."""

    limits: LimitsConfig = Field(default=LimitsConfig(), examples=[{"profile": "tight"}])
    """How much each policy may use, unless it has limits of its own."""

    state: StateConfig = Field(default=StateConfig(), examples=[{"store": "sqlite"}])
    """Where policies remember things."""

    record: RecordConfig = Field(default=RecordConfig(), examples=[{"inputs": "full"}])
    """What is recorded of events and decisions."""

    policy: Annotated[tuple[PolicyConfig, ...], Field(strict=False), BeforeValidator(_many)] = ()
    """The policies, in the order in which they are asked."""
