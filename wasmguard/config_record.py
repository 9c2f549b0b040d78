"""The table `[record]` of `wasmguard.toml` as the owner writes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from wasmguard import redact as secrets
from wasmguard.config_limits import Duration, Size, bounded
from wasmguard.guest.manifest import Table
from wasmguard.limits import GIB, HARD_MAX, KIB, MIB

DAY = 86_400  # seconds
KEEP = 3_650 * DAY  # the most: ten years
RECORDS = 1024 * GIB  # bytes, the most
PATTERNS = 64  # of the owner's own


def _pattern(text: str) -> str:
    secrets.check(text)
    return text


class RecordConfig(Table):
    """What is recorded of events and decisions, and how long that is kept."""

    model_config = ConfigDict(title="Record")

    on: bool = Field(default=True, examples=[True])
    """Whether events and decisions are recorded. What the owner does (`off`, `allow`, …) always is."""

    inputs: Literal["full", "redacted", "digest"] = Field(default="redacted", examples=["redacted"])
    """Events as they came, with the secrets in them replaced, or only a digest of each. What was not kept as it came
    cannot be decided again by `wasmguard verify`."""

    required: bool = Field(default=False, examples=[True])
    """Whether what cannot be recorded is denied."""

    largest: Annotated[Size, AfterValidator(lambda most: bounded(most, HARD_MAX.event))] = Field(
        default=64 * KIB, examples=["64 KiB"]
    )
    """How much of an event is kept; in a larger one long texts are cut."""

    redact: Annotated[
        tuple[Annotated[str, AfterValidator(_pattern)], ...], Field(strict=False, max_length=PATTERNS)
    ] = Field(default=(), examples=[["corp-[0-9a-f]{32}"]])
    """Regular expressions (Python's) for secrets of your own, beside the known ones. They cost time at every event."""

    keep: Annotated[Duration, AfterValidator(lambda seconds: bounded(seconds, KEEP))] = Field(
        default=90 * DAY, examples=["90 d"]
    )
    """How long records are kept."""

    size: Annotated[Size, AfterValidator(lambda most: bounded(most, RECORDS))] = Field(default=GIB, examples=["1 GiB"])
    """How much is kept of all records; the oldest go first."""

    segment: Annotated[Size, AfterValidator(lambda most: bounded(most, RECORDS))] = Field(
        default=64 * MIB, examples=["64 MiB"]
    )
    """The size of one file of records: whole files go."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.segment * 2 > self.size:
            raise ValueError("`segment` is more than half of `size`: whole files go, so write a smaller one")
        return self

    def planned(self) -> dict[str, Any]:
        """The same as plain data for the plan; `keep` in whole days."""
        return {**self.model_dump(), "redact": list(self.redact), "keep": -(-self.keep // DAY)}
