"""Which record somebody means who names one.

Numbers and ids are ours. A `tool_use_id` is the agent's word, so it counts last: an agent cannot make one that stands
for another record.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wasmguard.errors import UsageError
from wasmguard.event import AFTER
from wasmguard.records.lines import chosen, lines

if TYPE_CHECKING:
    from wasmguard.records.lines import Line

LAST = "last"
ID = 20  # hexadecimal digits of a record's id
LEAST = 6  # digits that may stand for all of them
BEFORE = "PreToolUse"

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")  # an id begins with 0 until the year 2527
_DIGITS = re.compile(rf"[0-9a-f]{{{LEAST},{ID}}}")


def named(which: str) -> Line | None:
    """The line of the record that *which* names, as `wasmguard.records.query.record` has it; None if there is none.

    Raises:
        UsageError: if several ids begin so.
        HostError: if a segment cannot be read, or is damaged.
    """
    if which == LAST:
        return next(iter(lines(newest=1, kind="decision")), None)
    if _NUMBER.fullmatch(which):
        found = chosen("seq = ?", [int(which)])
        if found:
            return found[0]
    return _by_id(which.lower()) or _by_call(which)


def _by_id(digits: str) -> Line | None:
    if not _DIGITS.fullmatch(digits):
        return None
    ends = [bytes.fromhex(digits.ljust(ID, fill)) for fill in "0f"]
    found = chosen("id BETWEEN ? AND ?", ends, most=2)
    if len(found) > 1:
        some = " and ".join(f"`{line.id}`" for line in found[:2])
        raise UsageError(f"several records begin with `{digits}`, such as {some}: write more of the one that you mean")
    return found[0] if found else None


def _by_call(call: str) -> Line | None:
    """The decision about a call, before its result and before what else belongs to it."""
    found = [*lines(call=call)]
    gates = [line for line in found if line.event == BEFORE]
    others = [line for line in found if line.event not in AFTER]
    return next(reversed(gates or others or found), None)


def other(line: Line) -> Line | None:
    """The result of the call that *line* decided, or the decision whose result *line* is; None if there is none.

    Raises:
        HostError: if a segment cannot be read, or is damaged.
    """
    if line.call is None or line.kind != "decision":
        return None
    of_call = [*lines(call=line.call, session=line.session, kind="decision")]
    if line.event in AFTER:
        return next((o for o in reversed(of_call) if o.event == BEFORE and o.seq < line.seq), None)
    return next((o for o in of_call if o.event in AFTER and o.seq > line.seq), None)
