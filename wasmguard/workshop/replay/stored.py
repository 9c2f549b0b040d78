"""The owner's records, as what happened and what was decided then.

1. What was recorded as a digest cannot be decided. What was recorded with secrets replaced, or cut, is not quite what
   was judged: it is decided, and the reader is told.
2. A decision of the guard itself, and one that the owner had allowed once, cannot be told from policies alone: what
   policies say now is counted, and not compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.agents import claude
from wasmguard.decision import OURSELVES
from wasmguard.errors import EventError, HostError
from wasmguard.event import Event
from wasmguard.records import said
from wasmguard.workshop.replay.past import CUT, DIGEST, EXCEPTED, NO_EVENT, ODD, OURS, REDACTED, UNASKED, Past

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def waiting() -> tuple[int, int]:
    """How many records there are, and the number of the last one; what waits to be recorded is recorded first."""
    from wasmguard.records import query
    from wasmguard.records.drain import drained

    drained()
    state = query.state()
    number, _, _ = str(state["head"]).partition(":")
    return int(state["records"]), int(number or 0)


def pasts(since: int | None, after: int, last: int) -> Iterator[Past]:
    """What was recorded since *since* (Unix milliseconds), behind the record *after* and up to *last*."""
    from wasmguard.records import query

    for record in query.records(after=after, since=since):
        if record.seq > last:
            return
        past = past_of(record.body, record.seq)
        if past is not None:
            yield past


def past_of(body: Mapping[str, Any], place: int = 0, *, strict: bool = False) -> Past | None:
    """What the record with this *body* tells; None if it is not about an event. With *strict*, its fields are looked
    at like an agent's: somebody else wrote them."""
    where, kind = str(body.get("id", "")), body.get("kind")
    if kind == "refused":
        return Past(where, why=UNASKED, place=place)
    if kind != "decision":
        return None
    fields, inputs = body.get("fields"), body.get("inputs")
    if type(fields) is not dict:
        return Past(where, why=DIGEST, place=place)
    time = body.get("time")
    time = time if type(time) is int else 0
    try:
        event = claude.from_mapping(fields, time=time) if strict else _event(body, fields, time)
        before = said.decision(body)
    except EventError:
        return Past(where, why=NO_EVENT, place=place)
    except (HostError, KeyError):
        return Past(where, why=ODD, place=place)
    why = ""
    if body.get("exception"):
        why = EXCEPTED
    elif any(verdict.policy == OURSELVES for verdict in before.because):
        why = OURS
    return Past(where, event, before, why, inputs if inputs in (REDACTED, CUT) else "", place)


def _event(body: Mapping[str, Any], fields: dict[str, Any], time: int) -> Event:
    """The event that was recorded: a dialect has read it then."""
    agent = body.get("agent", claude.name)
    return Event(name=fields["hook_event_name"], agent=agent, fields=fields, time=time, checked=True)
