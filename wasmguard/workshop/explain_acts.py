"""What an owner or the guard itself did, in words: records of acts, for `log` and `explain`.

What they hold of agents is cleaned as in `wasmguard.workshop.explain_words`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.workshop.columns import length_of
from wasmguard.workshop.explain_words import said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Body = Mapping[str, Any]

_ITS_OWN = {"v", "id", "time", "kind", "version", "engine", "plan", "config", "process"}  # of every act, or of no use


def act(body: Body) -> str:
    """What was done, besides its kind; where there are no words for it, the fields."""
    left = ((name, value) for name, value in body.items() if name not in _ITS_OWN and value not in (None, "", False))
    return in_words(body) or ", ".join(f"{said(name)} {said(value)}" for name, value in left)


def in_words(body: Body) -> str:
    """What was done, if there are words for it; else empty."""
    words = _WORDS.get(str(body.get("kind")))
    return words(body) if words else ""


def _allowed(body: Body) -> str:
    policies = body.get("policies")
    names = ", ".join(map(said, policies)) if isinstance(policies, list) else "?"
    return f"{said(body.get('tool', 'a call'))} once{_for(body, ' in')}, without {names} (record {_of(body, 'record')})"


def _acknowledged(body: Body) -> str:
    where = f" in session {said(body['session'])}" if body.get("session") else ""
    return f"the alarm {said(body.get('record') or body.get('mark', '?'))}{where}"


def _daemon(body: Body) -> str:
    plan = f", plan {said(body['digest'])[:12]}" if body.get("digest") else ""
    return f"{said(body['act'])}{plan}" if body.get("act") else ""


def _off(body: Body) -> str:
    where = f", at {said(body['terminal'])}" if body.get("terminal") else ""
    return f"{_for(body, 'for')}{where}" if _for(body, "for") else ""


def _reload(body: Body) -> str:
    old, new = said(body.get("old") or "none")[:12], said(body.get("new") or "none")[:12]
    return f"failed, {old} stays: {said(body['error'])}" if body.get("error") else f"{old} -> {new}"


def _lost(body: Body) -> str:
    why = f": {said(body['why'])}" if body.get("why") else ""
    return f"{_of(body, 'count')} records were not kept{why}"


def _for(body: Body, word: str) -> str:
    """How long it lasts, after *word*."""
    seconds = body.get("seconds")
    return f"{word} {length_of(seconds)}" if isinstance(seconds, int | float) else ""


def _of(body: Body, name: str) -> str:
    return said(body.get(name, "?"))


_WORDS: dict[str, Callable[[Body], str]] = {
    "acknowledged": _acknowledged,
    "allowed": _allowed,
    "daemon": _daemon,
    "damaged": lambda body: f"{_of(body, 'bytes')} bytes were no records",
    "lost": _lost,
    "off": _off,
    "reload": _reload,
    "retired": lambda body: f"records {_of(body, 'first')} to {_of(body, 'last')}: too old, or too many",
    "revoked": lambda body: f"the exception that came from record {_of(body, 'record')}",
}
