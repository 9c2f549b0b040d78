"""What a policy remembers things for: the key of an event in each scope.

1. `session`: the session. `agent`: the agent in its session, which is the main thread or one sub-agent. `project`: the
   folder where the agent keeps the project's transcripts, because it does not follow `cd`; else `$CLAUDE_PROJECT_DIR`,
   else the current folder. `owner`: one for everything.
2. What the event does not say is the empty text: one place that all such events share. Never a fresh one, or leaving
   something out would be the way to a new budget.
3. Two different inputs never have the same key: a name that is short and plain stands for itself, any other is hashed,
   and no hash looks like a plain name.
"""

from __future__ import annotations

import os

from wasmguard.errors import StateError
from wasmguard.sandbox.cache import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmguard.event import Event

SCOPES = ("session", "agent", "project", "owner")

LONGEST = 64  # characters of a plain name; a UUID has 36

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def key_of(scope: str, event: Event, environ: Mapping[str, str] | None) -> str:
    """Where *event* belongs in *scope*, as at most 200 plain characters. *environ* is the agent's environment, by
    default that of this process.

    Raises:
        StateError: if there is no such scope.
    """
    if scope == "session":
        return _named(_said(event, "session_id"))
    if scope == "agent":
        return f"{_named(_said(event, 'session_id'))}/{_named(_said(event, 'agent_id'))}"
    if scope == "project":
        return _project(event, os.environ if environ is None else environ)
    if scope == "owner":
        return ""
    raise StateError(f"`{scope}` is no scope: choose one of {', '.join(SCOPES)}")


def _project(event: Event, environ: Mapping[str, str]) -> str:
    transcript = _said(event, "transcript_path")
    if folder := os.path.dirname(transcript):
        return f"transcripts/{_named(folder)}"
    if folder := environ.get("CLAUDE_PROJECT_DIR", ""):
        return f"project/{_named(folder)}"
    return f"folder/{_named(_said(event, 'cwd'))}"


def _said(event: Event, field: str) -> str:
    said = event.fields.get(field)
    return said if isinstance(said, str) else ""


def _named(name: str) -> str:
    """*name*, or its hash if it is not short and plain (rule 3)."""
    if len(name) <= LONGEST and _PLAIN.issuperset(name):
        return name
    return "#" + digest(name.encode("utf-8", "surrogatepass"))[:32]
