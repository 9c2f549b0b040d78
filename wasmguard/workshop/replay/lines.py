"""Lines of JSON, as what happened: inputs of hooks, lines of `wasmguard log --json`, or of transcripts.

Each line says by itself what it is. An input of a hook is held to the rules that the guard has for one: what it would
refuse is no event here either.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wasmguard.agents import claude
from wasmguard.errors import EventError
from wasmguard.workshop.replay.past import NO_EVENT, NO_LINE, Past
from wasmguard.workshop.replay.transcript import Met, Transcript
from wasmguard.workshop.rerun.payload import dated, event_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME = "hook_event_name"
KINDS = b'"kind"', b'"type"'
"""What every other kind of line has somewhere."""
ESCAPES = b"\\u00", b"\0"
"""With what their names may be written otherwise: a letter as an escape, or a text in another encoding."""


class Lines:
    """The lines of one file."""

    def __init__(self, met: Met) -> None:
        self._transcript = Transcript(met)
        self._payloads = True  # what the last line was: the next one is most likely the same

    def pasts(self, line: bytes, where: str) -> Iterable[Past]:
        """What *line* tells."""
        if self._payloads:
            try:
                return (Past(where, event_of(line)),)
            except EventError:
                pass
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            return () if not line.strip() else (Past(where, why=NO_LINE),)
        self._payloads = isinstance(data, dict) and NAME in data
        if self._payloads:  # its fields were no event above, or are looked at strictly now
            return (_strictly(line, where),)
        return self.told(data, where)

    def told(self, data: Any, where: str) -> Iterator[Past]:
        """What *data* tells, a line or a part of a file that was read already."""
        if not isinstance(data, dict):
            yield Past(where, why=NO_LINE)
        elif NAME in data:
            yield from_fields(data, where)
        elif isinstance(data.get("kind"), str):
            from wasmguard.workshop.replay.stored import past_of

            past = past_of(data, strict=True)
            if past is not None:
                yield past._replace(where=past.where or where)
        elif isinstance(data.get("type"), str):
            yield from self._transcript.pasts(data, where)
        else:
            yield Past(where, why=NO_LINE)


def is_payload(line: bytes) -> bool:
    """Whether *line* can be nothing but the input of a hook, or malformed: one thing that happened, whatever was on the
    lines before it."""
    first, second = KINDS
    escape, wide = ESCAPES
    return not (first in line or second in line or escape in line or wide in line or line.isspace())


def payload_of(line: bytes, where: str) -> Past:
    """What a line tells that `is_payload`."""
    return next(iter(Lines(Met()).pasts(line, where)), Past(where, why=NO_LINE))


def from_fields(fields: dict[str, Any], where: str) -> Past:
    """The event of these *fields*."""
    try:
        return Past(where, dated(claude.from_mapping(fields)))
    except EventError:
        return Past(where, why=NO_EVENT)


def _strictly(line: bytes, where: str) -> Past:
    try:
        return Past(where, event_of(line))
    except EventError:
        return Past(where, why=NO_EVENT)
