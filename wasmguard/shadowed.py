"""What shadows said, against what they are there to be compared with.

1. Another version of a policy (`shadow_of`) is compared with the first verdict of that policy: both judged the very
   same event. A policy that was not asked, because of a DENY before it, is nothing to compare with.
2. Any other shadow is compared with the effect of the decision, and its rewrite, if it wants one, with the decision's.
3. A shadow that could not answer is a fault, whatever its owner wants a fault to count as.
"""

from __future__ import annotations

from wasmguard.value import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SAME, STRICTER, LOOSER, REWRITE, FAULT = "same", "stricter", "looser", "rewrite differs", "fault"
OUTCOMES = (SAME, STRICTER, LOOSER, REWRITE, FAULT)

_ORDER = {"pass": 0, "allow": 1, "ask": 2, "deny": 3}
_UNKNOWN = 3  # what is no effect counts as the strictest one


def compared(body: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """For each shadow in the recorded decision *body* that can be compared: its name, the policy that it is another
    version of, or nothing, and one of `OUTCOMES`.

    Rewrites are told apart as far as they were recorded: with `inputs = "digest"` there are none.
    """
    said = body.get("verdicts")
    verdicts = [verdict for verdict in said if isinstance(verdict, dict)] if isinstance(said, list) else []
    first: dict[str, Mapping[str, Any]] = {}
    for verdict in verdicts:
        first.setdefault(_text(verdict, "policy"), verdict)
    found = []
    for verdict in verdicts:
        of = _text(verdict, "of")
        if not verdict.get("shadow") or (not of and body.get("exception")):  # the owner set that one aside, once
            continue
        if of and of not in first:
            continue
        found.append((_text(verdict, "policy"), of, _outcome(verdict, first[of] if of else None, body)))
    return found


def _outcome(shadow: Mapping[str, Any], obeyed: Mapping[str, Any] | None, body: Mapping[str, Any]) -> str:
    if shadow.get("fault"):
        return FAULT
    mine, other = _effect(shadow), _effect(body if obeyed is None else obeyed)
    if mine != other:
        return STRICTER if mine > other else LOOSER
    if obeyed is None:
        wants = shadow.get("rewrite")
        return SAME if wants is None or same(wants, body.get("rewrite")) else REWRITE
    alike = all(same(shadow.get(key), obeyed.get(key)) for key in ("rewrite", "output"))
    return SAME if alike else REWRITE


def _effect(said: Mapping[str, Any]) -> int:
    effect = said.get("effect", "pass")
    return _ORDER.get(effect, _UNKNOWN) if isinstance(effect, str) else _UNKNOWN


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""
