"""One event whose decision changed, short enough to be shown. Its texts are strangers': they are cleaned here."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from wasmguard.decision import Effect
from wasmguard.text import one_line
from wasmguard.value import same
from wasmguard.wire import written
from wasmguard.workshop.replay.compare import left, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmguard.decision import Decision
    from wasmguard.event import Event
    from wasmguard.workshop.replay.past import Past

INPUT = 300  # characters of an input
WORD = 72  # of one of its fields
VALUE = 120  # of a field in a diff
REASON = 300
FIELDS = 8  # of an input, or of a diff
ABOUT = ("prompt", "reason", "error", "message", "source")
"""What an event without a tool is about, if it has such a field."""


def example(past: Past, event: Event, before: Decision, after: Decision) -> dict[str, Any]:
    """What is told about *past* with its *event*: where it is, what it was, and both decisions."""
    return {
        "where": one_line(past.where, VALUE),
        "event": one_line(event.name, VALUE),
        "tool": one_line(event.tool or "", VALUE),
        "input": short(event),
        "altered": past.altered,
        "before": _side(event, before),
        "after": _side(event, after),
    }


def short(event: Event) -> str:
    """What the event is about, on one line, short fields first."""
    if event.tool is None:
        about = {name: event.fields[name] for name in ABOUT if name in event.fields}
    else:
        about = dict(event.input)
    parts = [
        f"{one_line(name, WORD)}: {one_line(_value(value), WORD)}" for name, value in islice(about.items(), 10 * FIELDS)
    ]
    parts = sorted(parts, key=len)[:FIELDS]  # records are sorted by name: a path tells more than a content
    return one_line(", ".join(parts) + (", …" if len(about) > FIELDS else ""), INPUT)


def _side(event: Event, decision: Decision) -> dict[str, Any]:
    rewrite = left(event, decision) if decision.effect is not Effect.DENY else None
    told: dict[str, Any] = {"effect": word(decision.effect), "reason": one_line(decision.reason, REASON)}
    if rewrite is not None:
        told["rewrite"] = _diff(event.input, rewrite)
    if decision.output is not None:
        told["output"] = _value(decision.output)
    return told


def _diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[list[str]]:
    """Field, old value, new value, of the fields that differ."""
    names = [name for name in {**old, **new} if name not in old or name not in new or not same(old[name], new[name])]
    return [
        [one_line(name, VALUE), *(_value(side[name]) if name in side else "" for side in (old, new))]
        for name in names[:FIELDS]
    ]


def _value(value: Any) -> str:
    """A value as JSON; a long text is cut before it is written."""
    if isinstance(value, str):
        value = value[: VALUE * 2]
    try:
        text = written(value, ascii_only=False)
    except (ValueError, TypeError, RecursionError):
        text = type(value).__name__
    return one_line(text, VALUE)
