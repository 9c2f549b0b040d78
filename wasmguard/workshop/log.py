"""`wasmguard log`: the records, a line each, oldest first.

1. A line has 80 columns: time, number, effect, tool or event, and what the call was about, cut to fit. What a deny or
   an ask was carried by stands below it, and so does a rewrite that has no room beside what it replaced.
2. `pass` is no opinion and `allow` is one: they are told apart in words, not by colour alone.
3. Acts are lines like decisions: an owner who turned the guard off wants to see when.
4. Nothing found says what that may come from.
"""

from __future__ import annotations

import json
import select
import sys
from typing import TYPE_CHECKING

from wasmguard.decision import Effect
from wasmguard.errors import WasmguardError
from wasmguard.workshop.columns import clock, day
from wasmguard.workshop.explain_acts import act
from wasmguard.workshop.explain_words import (
    ALARMING,
    DECIDED,
    WRONG,
    about,
    because,
    changes,
    columns,
    fitted,
    is_path,
    result,
    said,
    telling_field,
    tool_input,
)
from wasmguard.workshop.explain_words import effect as effect_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from wasmguard.records.query import Record

    Piece = tuple[str, str]
    Line = list[Piece]

WIDTH = 80  # columns
NUMBER, EFFECT, TOOL, LONG_TOOL = 5, 5, 10, 24  # columns at least, of the last at most
INDENT = 17  # of a second line: below the effect
KNOWN = 12  # names that are offered instead of one that has no records
EVERY = 0.5  # seconds between two looks of `follow`
LOOKS = {"deny": "deny", "ask": "rewrite", "allow": "pass", "pass": "plain"}
"""The style of each effect's word, as the front desk names styles."""


class Paper:
    """What lines are written on: it knows which day it is."""

    def __init__(self) -> None:
        self._day = ""

    def lines(self, record: Record) -> Iterator[Line]:
        """The lines of one record, as pieces of text and their styles."""
        body = record.body
        today = day(body["time"])
        if today != self._day:
            self._day = today
            yield [("title", today)]
        start = f"{clock(body['time'])} {record.seq:>{NUMBER}}  "
        if body["kind"] in DECIDED:
            yield from _decision(start, body)
        else:
            yield _act(start, body)


def found(newest: int | None, filters: Mapping[str, Any]) -> Iterator[Record]:
    """The *newest* records that *filters* let through, None for all of them, oldest first.

    Raises:
        WasmguardError: if the records cannot be read.
    """
    from wasmguard.records import query

    if newest is None:
        yield from query.records(**filters)
    elif lines := query.lines(newest=newest, **filters) if newest else []:
        yield from query.records(after=lines[0].seq - 1, **filters)


def follow(newest: int | None, filters: Mapping[str, Any]) -> Iterator[Record]:
    """As `found`, and then what comes, for ever; it ends when nobody reads standard output any more.

    Raises:
        WasmguardError: if the records cannot be read.
    """
    from wasmguard.records import drain, query

    drain.drained()
    last = max((line.seq for line in query.lines(newest=1)), default=0)
    for record in found(newest, filters):
        last = max(last, record.seq)
        yield record
    while _is_read(EVERY):
        drain.drained()
        for record in query.records(after=last, **filters):
            last = record.seq
            yield record


def as_data(record: Record) -> str:
    """One JSON object on one line: the record as it is in the chain, with its number and its hash."""
    return json.dumps({"seq": record.seq, "hash": record.hash, **record.body})


def nothing(filters: Mapping[str, Any]) -> str:
    """What it may come from that no record was found."""
    from wasmguard.records import query

    state = query.state()
    if not state["records"]:
        return (
            "there are no records yet: install the hooks (`wasmguard install claude-code`), let your agent use a tool,"
            " and see that `[record]` is `on = true`"
        )
    asked = {name: value for name, value in filters.items() if value is not None}
    since = asked.pop("since", None)
    if since is not None and state["last"] is not None and state["last"] < since:
        return f"no record is so new: the last one is of {day(state['last'])} {clock(state['last'])}: ask for more time"
    words = [f"{name} `{said(value)}`" for name, value in asked.items()]
    what = f" with {', '.join(words)}" if words else ""
    return f"no record{what} among {state['records']:,}{_known(asked)}"


def _known(asked: Mapping[str, Any]) -> str:
    """What there is instead of a tool or policy that has no records."""
    from wasmguard.records import query

    counts = query.counts()
    for name, several, source in (("tool", "tools", "tool"), ("policy", "policies", "policy asked")):
        known = sorted(counts.get(source, {}))
        if name in asked and asked[name] not in known:
            some = ", ".join(f"`{said(one)}`" for one in known[:KNOWN]) or "none"
            more = f" and {len(known) - KNOWN} more" if len(known) > KNOWN else ""
            return f": {several} with records are {some}{more}"
    return ": fewer conditions find more"


def _is_read(seconds: float) -> bool:
    """Wait so long; whether somebody still reads standard output then."""
    try:
        waiting = select.poll()
        waiting.register(sys.stdout.fileno(), 0)  # an error is all that is waited for
    except (AttributeError, OSError, ValueError):  # no such call, or no file behind it
        from time import sleep

        sleep(seconds)
        return True
    return not any(seen & (select.POLLERR | select.POLLNVAL) for _, seen in waiting.poll(int(seconds * 1000)))


def _act(start: str, body: Mapping[str, Any]) -> Line:
    kind = said(body["kind"])
    style = "wrong" if kind in ALARMING or body.get("error") else "note"
    head = fitted(kind, LONG_TOOL).ljust(EFFECT + 1 + TOOL) + " "
    rest = fitted(act(body), WIDTH - len(start) - columns(head))
    return [("plain", start), (style, head), ("plain", rest)]


def _decision(start: str, body: Mapping[str, Any]) -> Iterator[Line]:
    effect = effect_of(body)
    of_call = body.get("event") == "PreToolUse" and body.get("tool")
    name = said(of_call or body.get("event") or body.get("tool") or "")
    head = f" {fitted(name, LONG_TOOL, middle=True):<{TOOL}} "
    room = WIDTH - len(start) - EFFECT - columns(head)
    first: Line = [("plain", start), (LOOKS.get(effect, "plain"), f"{effect:<{EFFECT}}"), ("plain", head)]
    text, new = _text(body), _rewritten(body)
    look = "wrong" if body.get("executed") in WRONG else "plain"
    if new and columns(text) + 4 + columns(new) <= room:
        yield [*first, (look, text), ("rewrite", f" -> {new}")]
    else:
        yield [*first, (look, fitted(text, room, middle=is_path(text)))]
        if new:
            cut = fitted(new, WIDTH - INDENT - 3, middle=is_path(new))
            yield [("plain", " " * INDENT), ("rewrite", f"-> {cut}")]
    for why in _whys(body, effect):
        yield [("plain", " " * INDENT + fitted(why, WIDTH - INDENT))]


def _text(body: Mapping[str, Any]) -> str:
    """What the event was about, with how it ended if it tells of that."""
    text, ended = about(body), result(body, briefly=True)
    if not ended:
        return text
    tool = said(body["tool"]) if body.get("tool") else "tool"
    return f"{tool} {ended}" + (f": {text}" if text else "")


def _rewritten(body: Mapping[str, Any]) -> str:
    """The new value of what a rewrite changed; empty without one."""
    if not body.get("rewrote"):
        return "new output" if body.get("output") else ""
    before, after = tool_input(body), body.get("rewrite")
    if not isinstance(after, dict):
        return "another input (not recorded)"
    changed = [(field, new) for field, _, new in changes(before, after)]
    if [field for field, _ in changed] == [telling_field(before)]:
        return said(changed[0][1])
    return ", ".join(f"{said(field)}: {said(new)}" for field, new in changed)


def _whys(body: Mapping[str, Any], effect: str) -> Iterable[str]:
    """Who carried a deny or an ask, a policy each."""
    if body["kind"] == "refused":
        return [f"wasmguard: {said(body.get('why', 'nobody could be asked'))}"]
    if effect not in ("deny", "ask"):
        return ["an exception of yours was used"] if body.get("exception") and not body.get("stands") else []
    from wasmguard.records import said as records_said

    try:
        decision = records_said.decision(body)
    except WasmguardError as error:  # one odd record is no reason to hide the others
        return [f"who carried it cannot be told: {said(str(error))}"]
    whys = {verdict.policy: because(verdict) for verdict in decision.because if verdict.effect >= Effect.ASK}
    return whys.values()
