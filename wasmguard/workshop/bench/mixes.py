"""The events of a run: what comes with wasmguard, or what somebody recorded.

1. They are the same bytes every time: no id, name or time of today. What is recorded is kept as it was, and whatever
   all runs have in common is in `events/`.
2. They are held to what an agent's dialect demands: what no policy would ever be asked about is nothing to measure.
3. Every event has a name of its own, by which two runs are compared.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from wasmguard import wire
from wasmguard.agents import claude
from wasmguard.errors import EventError, UsageError
from wasmguard.text import one_line
from wasmguard.workshop.bench.variant import Given

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BUILTIN = "builtin:"
MIX, SIZES, REWRITES = "builtin:mix", "builtin:sizes", "builtin:rewrites"
RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "events")
LARGEST = 64 * 2**20  # bytes of a file, and of all files of a folder: the hard maximum of one event
NEWLINE = b"\n"
LINES, ONE = ".jsonl", ".json"
SIZED = {"0.5 kB": 500, "5 kB": 5_000, "50 kB": 50_000, "500 kB": 500_000, "5 MB": 5_000_000}  # bytes of content
SHOWN = 40  # characters of what tells one call of a tool from the next


def events(source: str) -> tuple[str, list[Given]]:
    """What *source* is called in reports, and its events: `builtin:mix`, `builtin:sizes`, `builtin:rewrites`, a file of
    JSON (one hook input, or a list of them) or JSON lines, or a folder of such files.

    Raises:
        UsageError: if there is no such thing, or no event in it.
        EventError: if a file holds something else, or too much.
    """
    if source == SIZES:
        return source, list(_sizes())
    if source in (MIX, REWRITES):
        return source, _named(_recorded(source))
    if source.startswith(BUILTIN):
        known = f"`{MIX}`, `{SIZES}`, `{REWRITES}`"
        raise UsageError(f"`--events {one_line(source, 200)}`: not known: write {known}, a file or a folder")
    found = list(_read(source))
    if not found:
        raise UsageError(f"`--events {one_line(source, 200)}`: no event in it: write one hook input a line, or a list")
    return source, _named(found)


def _recorded(source: str) -> Iterator[dict[str, Any]]:
    return _in_file(os.path.join(RECORDED, f"{source.removeprefix(BUILTIN)}{ONE}"))


def _sizes() -> Iterator[Given]:
    """Writes of source code, from small to large."""
    write = next(fields for fields in _recorded(MIX) if fields.get("tool_name") == "Write")
    text = "".join(map(_function, range(SIZED["5 MB"] // len(_function(0)) + 1)))
    for shown, size in SIZED.items():
        content = text[: size - 1] + "\n"
        fields = write | {"tool_input": {"file_path": "/home/dev/project/src/report.py", "content": content}}
        yield Given(name=f"Write {shown}", fields=fields, raw=_raw(fields))


def _function(number: int) -> str:
    """Some source code; no two are alike."""
    return (
        f"def total_{number}(rows: list[dict[str, float]], least: float = {number % 97}.5) -> float:\n"
        f'    """The sum of column {number % 13} over all rows that are not below *least*."""\n'
        f"    values = [row['c{number % 13}'] for row in rows if row['c{number % 13}'] >= least]\n"
        f"    return sum(values) / (len(values) or 1)  # {number * 2_654_435_761 % 2**32:08x}\n\n\n"
    )


def _read(source: str) -> Iterator[dict[str, Any]]:
    """The events in the file or folder *source*."""
    if not os.path.isdir(source):
        if not os.path.isfile(source):
            known = f"`{MIX}`, `{SIZES}`, `{REWRITES}`"
            raise UsageError(f"`--events {one_line(source, 200)}`: no such file or folder: name one, or write {known}")
        yield from _in_file(source)
        return
    files = [os.path.join(source, name) for name in sorted(os.listdir(source)) if name.endswith((ONE, LINES))]
    files = [path for path in files if os.path.isfile(path)]
    if sum(map(os.path.getsize, files)) > LARGEST:
        raise EventError(f"`{one_line(source, 200)}`: more than {LARGEST:_} bytes in all: take some files out")
    for path in files:
        yield from _in_file(path)


def _in_file(path: str) -> Iterator[dict[str, Any]]:
    """The events in the file *path*, in its order."""
    shown, raw = one_line(path, 200), _bytes(path)
    if path.endswith(LINES):
        for number, line in enumerate(raw.split(NEWLINE), 1):
            if line.strip():
                yield _checked(line, f"{shown}:{number}")
        return
    if not isinstance(listed := _document(raw, shown), list):
        yield _checked(raw, shown)
        return
    for number, fields in enumerate(listed, 1):
        yield _strict(fields, f"{shown}: event {number}")


def _bytes(path: str) -> bytes:
    shown = one_line(path, 200)
    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise EventError(f"`{shown}`: cannot be read: {why}: make it readable, or name another") from None
    if len(raw) > LARGEST:
        raise EventError(f"`{shown}`: more than {LARGEST:_} bytes: take some events out")
    return raw


def _document(raw: bytes, where: str) -> Any:
    try:
        return wire.read_strictly(raw.decode())
    except RecursionError:
        raise EventError(f"{where}: nested too deep to be read: take that event out") from None
    except ValueError as error:
        line = f":{raw.count(NEWLINE, 0, error.start) + 1}" if isinstance(error, UnicodeDecodeError) else ""
        why = f"{one_line(str(error), 200)}: write one hook input, or a list of them; one a line belongs in `*{LINES}`"
        raise EventError(f"{where}{line}: not JSON: {why}") from None


def _checked(raw: bytes, where: str) -> dict[str, Any]:
    """The event in *raw*, as its fields were written."""
    try:
        claude.parse(raw.strip())
    except EventError as error:
        raise EventError(f"{where}: {error}") from None
    fields: dict[str, Any] = wire.read(raw.decode("utf-8-sig"))
    return fields


def _strict(fields: Any, where: str) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise EventError(f"{where}: no JSON object: write one hook input, or a list of them")
    try:
        claude.from_mapping(fields)
    except EventError as error:
        raise EventError(f"{where}: {error}") from None
    return fields


def _named(found: Iterable[dict[str, Any]]) -> list[Given]:
    """*found* with names, which are short where they can be, and never twice."""
    listed = list(found)
    plain = [_plain(fields) for fields in listed]
    often, numbers, taken = Counter(plain), Counter[str](), set[str]()
    given = []
    for fields, short in zip(listed, plain, strict=True):
        base = name = f"{short}: {told}" if often[short] > 1 and (told := _told(fields)) else short
        while name in taken:
            numbers[base] += 1
            name = f"{base} ({numbers[base] + 1})"
        taken.add(name)
        given.append(Given(name=name, fields=fields, raw=_raw(fields)))
    return given


def _plain(fields: dict[str, Any]) -> str:
    """The tool of a call that is about to be made, else the event, and of which tool."""
    event, tool = str(fields["hook_event_name"]), fields.get("tool_name")
    words = [tool] if event == "PreToolUse" and tool else [event, *([tool] if isinstance(tool, str) else [])]
    return one_line(" ".join(words), SHOWN)


def _told(fields: dict[str, Any]) -> str:
    """What tells it from other calls of its tool."""
    given = fields.get("tool_input")
    values = list(given.values()) if isinstance(given, dict) else [fields.get("prompt")]
    return next((one_line(value, SHOWN) for value in values if isinstance(value, str) and value), "")


def _raw(fields: dict[str, Any]) -> bytes:
    """*fields* as Claude Code writes them."""
    try:
        return wire.written(fields, ascii_only=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which it writes as an escape
        return wire.written(fields).encode()
