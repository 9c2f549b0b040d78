"""`wasmguard allow`: the owner lets one very call pass that policies stopped. And: the owner has looked at an alarm.

1. Only the owner (`wasmguard.workshop.owner`), who is shown what exactly they allow, all of it, and types `allow`.
2. Only what policies carried. What the guard itself denied (its own protection, an alarm, a fault of its own), and what
   is no call of a tool, cannot be allowed.
3. Only this input. Where the record holds it, that one counts, which is shown, whatever else the record says of it.
   Where secrets in it were replaced, or it was cut or not kept, the record's digest of it counts, and that is said.
4. Only once, and for a while (`wasmguard.exceptions`).
5. Recorded before it takes effect. What cannot be recorded does not happen.
6. To revoke needs nothing, and is recorded after it took effect.
7. Alarms alike: who acknowledges one is the owner, at a terminal, and it is recorded before the session goes on.
"""

from __future__ import annotations

import json
import os
from time import time
from typing import TYPE_CHECKING, Any

from wasmguard import alarm, audit, exceptions, recorder
from wasmguard.decision import OURSELVES
from wasmguard.errors import HostError, UsageError
from wasmguard.event import TOOL_GATES
from wasmguard.exceptions import Exception_
from wasmguard.text import one_line
from wasmguard.workshop import owner
from wasmguard.workshop.columns import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wasmguard.workshop.owner import Ask

WORD = "allow"
SEEN = "seen"
ALL = "all"
LEAST = 6  # digits of an id that may stand for all of it
SHORT = 200  # characters of a name or path that is shown
CARRIED = {"deny": "denied it", "ask": "asked about it"}


def allow(
    which: str,
    duration: str = "10m",
    *,
    ask: Ask | None = None,
    environ: Mapping[str, str] = os.environ,
    proc: str = "/proc",
) -> str:
    """Let the call that the record *which* tells of pass, once, within *duration*. Returns what to tell the owner.
    *ask* as in `wasmguard.workshop.off`.

    Raises:
        UsageError: if it cannot be allowed, or nobody is there who could be the owner, or they did not type `allow`.
        HostError: if it cannot be recorded, or not be carried out.
    """
    seconds = owner.seconds_of(duration, exceptions.LONGEST)
    owner.check(WORD, environ, proc)
    body = _recorded(which)
    exception = _from(which, body, seconds)
    owner.agrees("\n".join((*shown(body, exception), "")) + f"For {owner.told(seconds)} it may pass once.", WORD, ask)
    start = int(time())  # the owner may have read for a while
    exception = exception.replaced(start=start, end=start + seconds)
    told = {key: getattr(exception, key) for key in ("config", "agent", "event", "tool", "cwd", "record")}
    who = {"terminal": owner.terminal(), "process": os.getpid()}
    audit.record("allowed", **told, input=exception.input, policies=list(exception.policies), seconds=seconds, **who)
    try:
        exception = exceptions.add(exception)
    except HostError:
        audit.record("allow failed", record=exception.record, process=os.getpid())
        raise
    until = clock(exception.end * 1000)
    return f"allowed once, until {until}, for the same input; `wasmguard allow --revoke {exception.record}` ends it"


def shown(body: Mapping[str, Any], exception: Exception_) -> Iterator[str]:
    """What the owner reads before they agree: everything that the exception is bound to, and the whole input."""
    names = ", ".join(f"`{one_line(name, SHORT)}`" for name in exception.policies)
    yield f"{_line(exception.tool)} on {exception.event}, in {_line(exception.cwd) or 'no folder'}; input:"
    given = _input(body)
    if given is None:
        yield f"  not in the record: whatever has the digest {body.get('digest')}"
    else:
        yield from (f"  {_line(key)}: {_whole(value)}" for key, value in given.items())
    if body.get("inputs") == recorder.REDACTED:
        yield "  (secrets in it are replaced here; what may pass is what the agent sent)"
    if body.get("inputs") == recorder.CUT:
        yield "  (long texts in it are cut here; what may pass is what the agent sent, all of it)"
    yield f"Set aside: {names}, who {CARRIED[body['effect']]}. All other policies judge it."


def listed() -> list[str]:
    """The exceptions that stand, a line for each.

    Raises:
        HostError: if nobody can tell which there are.
    """
    lines = []
    for found in exceptions.standing():
        until = clock(found.end * 1000)
        names = ", ".join(one_line(name, SHORT) for name in found.policies)
        lines.append(f"{found.record}  until {until}  {_line(found.tool)} in {_line(found.cwd)}, without {names}")
    return lines or ["no exception stands"]


def revoke(which: str) -> str:
    """End the exception that came from the record *which* (its id, or how that begins), or `all`. Returns what to tell
    the owner.

    Raises:
        UsageError: if there is none.
        HostError: if one cannot be removed, or (then it is) not be recorded.
    """
    chosen = [found for found in exceptions.standing() if which == ALL or _is_meant(which, found.record)]
    if not chosen and which != ALL:
        raise UsageError(f"no exception stands for `{one_line(which, 80)}`: see `wasmguard allow`")
    ended = [found for found in chosen if exceptions.revoke(found)]
    for found in ended:
        audit.record("revoked", record=found.record, process=os.getpid())
    return f"revoked: {len(ended)}" if ended else "no exception stands"


def acknowledge(
    which: str, *, ask: Ask | None = None, environ: Mapping[str, str] = os.environ, proc: str = "/proc"
) -> str:
    """The owner has looked at the alarm *which* (as its sentence calls it): its session may go on. Returns what to tell
    them; the rest as in `allow`."""
    owner.check("verify --acknowledge", environ, proc)
    found = next((a for a in alarm.standing() if which == a.mark or _is_meant(which, a.record)), None)
    if found is None:
        raise UsageError(f"no alarm stands for `{one_line(which, 80)}`: see `wasmguard log`")
    about = f"session {_line(found.session)}: " if found.session else ""
    more = f" (and {found.more} more)" if found.more else ""
    owner.agrees(f"{about}{one_line(found.why, SHORT)}{more}. The session will go on.", SEEN, ask)
    said = {"record": found.record, "session": found.session, "mark": found.mark, "more": found.more}
    audit.record("acknowledged", **said, terminal=owner.terminal(), process=os.getpid())
    alarm.end(found)
    return f"acknowledged: {found.id}; its session may go on"


def _recorded(which: str) -> dict[str, Any]:
    """The record that *which* names."""
    from wasmguard.records import query
    from wasmguard.records.drain import drained

    drained()
    found = query.record(which)
    if found is None:
        raise UsageError(f"no record `{one_line(which, 80)}`: see `wasmguard log`")
    return found.body


def _from(which: str, body: Mapping[str, Any], seconds: int) -> Exception_:
    """The exception that sets aside who carried the decision in *body*, which the owner calls *which*.

    Raises:
        UsageError: if there is nothing that can be allowed (rules 2 and 3).
    """
    record = one_line(which, 80)
    effect, event = body.get("effect"), body.get("event")
    if body.get("kind") != "decision" or event not in TOOL_GATES or effect not in CARRIED:
        raise UsageError(f"record `{record}` is no call that was denied or asked about: take one from `wasmguard log`")
    said = [verdict for verdict in body.get("verdicts") or () if not verdict.get("shadow")]
    names = tuple(dict.fromkeys(verdict["policy"] for verdict in said if verdict.get("effect", "pass") == effect))
    if not names or OURSELVES in names:
        raise UsageError(f"record `{record}`: wasmguard itself denied that, and no policy: it cannot be allowed")
    if body.get("inputs") == recorder.FULL and (given := _input(body)) is not None:
        bound = exceptions.exact(given)
    elif type(digest := body.get("digest")) is str and len(digest) == 32:
        bound = exceptions.as_sent(digest)
    else:
        raise UsageError(f"record `{record}` does not say which input it is about: it cannot be allowed")
    texts = {key: body.get(key, "") for key in ("config", "agent", "tool", "cwd", "id")}
    if not all(type(text) is str for text in texts.values()):
        raise HostError(f"record `{record}` is damaged: run `wasmguard verify`")
    record, start = texts.pop("id"), int(time())
    return Exception_(
        **texts, event=event, input=bound, policies=names, record=record, start=start, end=start + seconds
    )


def _input(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tool input in *body*, if it was kept."""
    fields = body.get("fields")
    given = fields.get("tool_input") if isinstance(fields, dict) else None
    return given if isinstance(given, dict) else None


def _is_meant(which: str, record: str) -> bool:
    return which == record if len(which) < LEAST else record.startswith(which)


def _line(text: str) -> str:
    return one_line(text, SHORT)


def _whole(value: Any) -> str:
    """*value* as JSON on one line: what is not on the screen was not allowed, so nothing of it is left out."""
    text = json.dumps(value, ensure_ascii=False)
    return one_line(text, len(text) + 1)
