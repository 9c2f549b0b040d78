"""Parquet files of events, in batches: one row is one event, and its columns are the fields.

`tool_input` and `tool_response` are structs, or JSON as text. What is null is not there. `pyarrow` is an extra, and is
imported when a file needs it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wasmguard.errors import UsageError
from wasmguard.workshop.replay.lines import NAME, from_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.replay.past import Past

BATCH = 1_000  # rows
AS_TEXT = ("tool_input", "tool_response")


def pasts(path: str, shown: str) -> Iterator[Past]:
    """The rows of the file *path*, as what happened.

    Raises:
        UsageError: if there is no `pyarrow` here, or the file is nothing for it.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(f"`{shown}`: Parquet needs `pyarrow`: `pip install 'wasmguard[parquet]'`") from None
    try:
        with ParquetFile(path) as file:
            if NAME not in file.schema_arrow.names:
                raise UsageError(f"`{shown}`: it has no column `{NAME}`: one row is one event, its columns the fields")
            number = 0
            for batch in file.iter_batches(batch_size=BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield from_fields(_fields(row), f"{shown}:{number}")
    except (ArrowException, OSError) as error:
        why = str(error).partition("\n")[0][:200]
        raise UsageError(f"`{shown}`: it cannot be read as Parquet: {why}: pass another file") from None


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = _plain(row)
    for name in AS_TEXT:
        text = fields.get(name)
        if isinstance(text, str) and text[:1] in "{[":
            try:
                fields[name] = json.loads(text)
            except (ValueError, RecursionError):
                continue  # a text like any other; an input that is none makes no event
    return fields


def _plain(value: Any) -> Any:
    """*value* in JSON's own types; what else a column may hold (a date, bytes) as text."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
