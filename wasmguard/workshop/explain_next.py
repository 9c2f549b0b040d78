"""What an owner can do after a decision: commands that are ready to be copied."""

from __future__ import annotations

from time import localtime, strftime
from typing import TYPE_CHECKING

from wasmguard.decision import OURSELVES, Effect
from wasmguard.errors import HostError
from wasmguard.event import TOOL_GATES
from wasmguard.workshop.columns import beside
from wasmguard.workshop.explain_words import WRONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.decision import Decision
    from wasmguard.records.query import Record

    Line = tuple[str, str]


def lines(record: Record, decision: Decision) -> Iterator[Line]:
    """Each command, and what it does: (style, text)."""
    body = record.body
    yield "title", "\nWhat you can do"
    if command := can_acknowledge(record):
        yield "wrong", f"  {command}"
        yield "plain", beside("", "an alarm stands: its session is denied until you have looked, and say so by this")
    if command := can_allow(record, decision):
        yield "plain", f"  {command}"
        yield "plain", beside("", "lets exactly this input through, once")
    elif decision.effect >= Effect.ASK and any(verdict.policy == OURSELVES for verdict in decision.verdicts):
        yield "plain", beside("", "wasmguard itself said no: an exception cannot set that aside, see why above")
    if body.get("inputs", "full") == "full" and body["kind"] == "decision":
        moment = strftime("%Y-%m-%dT%H:%M:%S", localtime(body["time"] / 1000))
        yield "plain", f"  wasmguard verify --since {moment}"
        yield "plain", beside("", "asks the same policies again, this decision and those since")
    else:
        yield "plain", "  wasmguard verify --chain"
        yield "plain", beside("", "shows that the record is as it was written")


def can_allow(record: Record, decision: Decision) -> str | None:
    """The command that would let it through once; None where nothing was stopped, or the guard itself stopped it."""
    policies = [verdict.policy for verdict in decision.because if verdict.policy != OURSELVES]
    stopped = decision.effect >= Effect.ASK and record.body.get("event") in TOOL_GATES
    return f"wasmguard allow {record.seq} --once" if stopped and policies else None


def can_acknowledge(record: Record) -> str | None:
    """The command that ends the alarm of this session; None if none stands, or nobody can tell."""
    from wasmguard import alarm

    body, other = record.body, record.joined
    wrong = body.get("executed") in WRONG or (other is not None and other.body.get("executed") in WRONG)
    if not body.get("session") or not (wrong or body.get("effect") == "deny"):
        return None
    try:
        session = (body.get("agent"), body["session"])
        found = [one for one in alarm.standing() if (one.agent, one.session) == session]
    except HostError:
        return None
    return f"wasmguard verify --acknowledge {found[0].id}" if found else None
