"""The limits of `wasmguard.toml` as the owner writes them: "16 MiB", "100 ms", or a profile's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator

from wasmguard.guest.manifest import Table
from wasmguard.limits import GIB, HARD_MAX, KIB, MIB, PROFILES, Limits
from wasmguard.toml_errors import written

_SIZES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": KIB, "MiB": MIB, "GiB": GIB}
_MILLISECONDS = {"ms": 1, "s": 1000}
_SECONDS = {"s": 1, "min": 60}
_LONG = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def _quantity(units: Mapping[str, int], example: str, *, bare: bool = True) -> BeforeValidator:
    """A text like *example*, or, if it may stand *bare*, an integer in the first unit."""
    words = [f"`{unit}`" for unit in units]
    advice = f'write it like `"{example}"`, in {", ".join(words[:-1])} or {words[-1]}'
    form = re.compile(rf"([0-9]{{1,12}}) ?({'|'.join(units)})")

    def parsed(given: object) -> int:
        match = form.fullmatch(given) if isinstance(given, str) else None
        if match:
            return int(match[1]) * units[match[2]]
        if type(given) is not int:  # `true` is an int to Python
            raise ValueError(f"`{written(given)}` cannot be read: {advice}")
        if not bare:
            raise ValueError(f"`{written(given)}` has no unit: {advice}")
        return given

    return BeforeValidator(parsed)


def _quantity_schema(units: Mapping[str, int], *, bare: bool = True) -> WithJsonSchema:
    text = {"type": "string", "pattern": rf"^[0-9]{{1,12}} ?({'|'.join(units)})$"}
    return WithJsonSchema({**text, "type": ["integer", "string"], "minimum": 1} if bare else text)


Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1})]
Size = Annotated[int, _quantity(_SIZES, "16 MiB"), _quantity_schema(_SIZES)]
StateSize = Annotated[int, _quantity(_SIZES, "4 KiB"), _quantity_schema(_SIZES)]
Milliseconds = Annotated[int, _quantity(_MILLISECONDS, "100 ms"), _quantity_schema(_MILLISECONDS)]
Timeout = Annotated[int, _quantity(_MILLISECONDS, "1 s", bare=False), _quantity_schema(_MILLISECONDS, bare=False)]
Duration = Annotated[int, _quantity(_LONG, "30 d", bare=False), _quantity_schema(_LONG, bare=False)]
Seconds = Annotated[int, _quantity(_SECONDS, "10 s"), _quantity_schema(_SECONDS)]


def bounded(value: int, most: int) -> int:
    """*value*, which is positive and at most *most*."""
    if not 1 <= value <= most:
        raise ValueError(f"{value:_} is not between 1 and the hard maximum {most:_}: write a number in between")
    return value


class LimitsConfig(Table):
    """How much a policy may use. What is not written here comes from the profile."""

    model_config = ConfigDict(title="Limits")

    profile: Literal["tight", "default", "roomy"] | None = Field(default=None, examples=["tight"])
    """Values for all limits: `tight` suits C, Rust and Zig, `roomy` is for interpreters and components."""

    fuel: Count | None = Field(default=None, examples=[20_000_000])
    """What a policy may burn for one event, in units of about one instruction."""

    clock: Milliseconds | None = Field(default=None, examples=["100 ms"])
    """How long a policy may run for one event; a plain number counts milliseconds."""

    memory: Size | None = Field(default=None, examples=["16 MiB"])
    """Linear memory."""

    stack: Size | None = Field(default=None, examples=["256 KiB"])
    """WebAssembly stack."""

    table_elements: Count | None = Field(default=None, examples=[10_000])
    """Entries of each table."""

    module: Size | None = Field(default=None, examples=["4 MiB"])
    """Size of the module file."""

    event: Size | None = Field(default=None, examples=["4 MiB"])
    """Size of an event as it arrives."""

    answer: Size | None = Field(default=None, examples=["64 KiB"])
    """Size of an answer, on top of what its text grants allow."""

    compile_cpu: Seconds | None = Field(default=None, examples=["15 s"])
    """Processor time of the compiler; a plain number counts seconds."""

    compile_wall: Seconds | None = Field(default=None, examples=["9 s"])
    """Time until the compiler is killed; a plain number counts seconds."""

    compile_memory: Size | None = Field(default=None, examples=["512 MiB"])
    """Address space of the compiler."""

    @field_validator("*")
    @classmethod
    def _is_below_the_hard_maximum(cls, value: Any, info: ValidationInfo) -> Any:
        return bounded(value, getattr(HARD_MAX, str(info.field_name))) if isinstance(value, int) else value

    def over(self, limits: Limits) -> Limits:
        """*limits* with these in front of them."""
        below = PROFILES[self.profile] if self.profile else limits
        return below.replaced(**self.model_dump(exclude={"profile"}, exclude_none=True))
