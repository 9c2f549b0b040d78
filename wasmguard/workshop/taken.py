"""What Claude Code makes of what a hook said: not what the hook meant.

The rules of the client, measured with 2.1.329 and confirmed in its own texts. Whatever looks harmless here ("no
opinion", a failure) lets the tool run:

1. Exit code 2 blocks; standard output does not count, and standard error is the reason.
2. Any other code but 0 is a failure, unless standard output holds a whole object that denies.
3. Exit code 0: text that does not begin with `{` is no opinion. Nor is one that begins with it, does not parse and does
   not end with `}`: half an answer. Nor is anything whose first line takes the answer back (`{"async": true}`).
4. Everything else must parse and fit the schema, or it is a failure: `hookEventName` is there and right, the decision
   is one that there is, `updatedInput` is an object. Unknown keys do nothing.
5. Over HTTP, a status of 2xx with an object is an answer like one on standard output; an empty body is no opinion; all
   else is a failure, whatever the body says.
6. A failure blocks where the hook has `onFailure: "block"`, and only with clients that know that key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

NOTHING, ALLOWED, ASKED, DEFERRED, DENIED, FAILED = "no opinion", "allowed", "asked", "deferred", "denied", "failed"

BLANK = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
TRIMMED = BLANK + "\u205f\u3000\ufeff"  # what `String.prototype.trim` of JavaScript takes away (ECMA-262)

PERMISSIONS = {"allow": ALLOWED, "ask": ASKED, "deny": DENIED, "defer": DEFERRED}
DECISIONS = {"approve": ALLOWED, "block": DENIED}
BEHAVIORS = {"allow": ALLOWED, "deny": DENIED}
TEXTS = ("stopReason", "systemMessage", "decision", "reason")
TOP_LEVEL = {"continue": bool, "suppressOutput": bool, "hookSpecificOutput": dict, **dict.fromkeys(TEXTS, str)}
PERMISSION = ("permissionDecision", "permissionDecisionReason", "additionalContext")
SPECIFIC: dict[str, type] = {"updatedInput": dict, **dict.fromkeys(PERMISSION, str)}


class Taken(Value):
    """What the client does."""

    does: str
    """`no opinion`, `allowed`, `asked`, `deferred`, `denied` or `failed`."""
    why: str = ""
    """The reason as the model reads it; of a failure, what is wrong with the answer."""
    input: Mapping[str, Any] | None = None
    """The tool input from here on; None if it stays."""

    def blocks(self, *, on_failure: bool) -> bool:
        """Whether the call does not run; with *on_failure*, the hook says `onFailure: "block"` (rule 6)."""
        return self.does == DENIED or (on_failure and self.does == FAILED)


class _Unfit(Exception):
    """The client cannot use it, and why."""


def of_command(event: str, code: int | None, out: bytes, err: bytes) -> Taken:
    """What the client makes of a hook for *event* that ended with *code* and printed *out* and *err*. A *code* of None
    is a hook that was ended: a failure, whatever it printed before."""
    if code == 2:
        return Taken(does=DENIED, why=err.decode("utf-8", "replace").strip() or "No stderr output")
    if code is None:
        return Taken(does=FAILED, why="it gave no answer in time")
    try:
        taken = _read(event, out.decode("utf-8", "replace").strip(TRIMMED))
    except _Unfit as error:
        taken = Taken(does=FAILED, why=str(error))
    if code == 0 or taken.does == DENIED:
        return taken
    return Taken(does=FAILED, why=f"it ended with {f'signal {-code}' if code < 0 else f'code {code}'}")


def of_http(event: str, status: int | None, body: bytes) -> Taken:
    """What the client makes of a hook for *event* that answered a POST with *status* and *body*; a *status* of None is
    no answer at all."""
    text = body.decode("utf-8", "replace").strip(TRIMMED)
    if status is None:
        return Taken(does=FAILED, why="it gave no answer")
    if not 200 <= status < 300:
        return Taken(does=FAILED, why=f"it answered with status {status}")
    if not text:
        return Taken(does=NOTHING)
    try:
        return _told(event, _parsed(text))
    except _Unfit as error:
        return Taken(does=FAILED, why=str(error))


def _read(event: str, text: str) -> Taken:
    """Rules 3 and 4."""
    if not text.startswith("{"):
        return Taken(does=NOTHING, why="it printed text, no JSON object" if text else "it printed nothing")
    first, _, rest = text.partition("\n")
    if rest and _taken_back(first):
        return Taken(does=NOTHING, why="its first line takes the answer back (`async`)")
    try:
        answer = _parsed(text)
    except _Unfit:
        if text.endswith("}"):
            raise
        return Taken(does=NOTHING, why="it printed half an answer")
    return _told(event, answer)


def _taken_back(line: str) -> bool:
    try:
        return _parsed(line).get("async") is True
    except _Unfit:
        return False


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _Unfit("what it printed is no JSON") from None
    if not isinstance(value, dict):
        raise _Unfit("what it printed is no JSON object")
    return value


def _no_number(literal: str) -> NoReturn:
    raise ValueError(literal)


def _told(event: str, answer: dict[str, Any]) -> Taken:
    """Rule 4: what an object says."""
    if answer.get("async") is True:
        return Taken(does=NOTHING, why="it takes its answer back (`async`)")
    _typed(answer, TOP_LEVEL)
    said = answer.get("hookSpecificOutput", {})
    if "hookSpecificOutput" in answer and said.get("hookEventName") != event:
        raise _Unfit(f"its `hookEventName` is not `{event}`")
    if event == "PermissionRequest":
        return _behaving(said.get("decision"))
    does = _one_of(DECISIONS, answer.get("decision"))
    if event != "PreToolUse":
        return Taken(does=does, why=answer.get("reason", ""))
    _typed(said, SPECIFIC)
    permitted = _one_of(PERMISSIONS, said.get("permissionDecision"))
    if permitted != NOTHING:
        does = permitted
    reason = said.get("permissionDecisionReason", answer.get("reason", ""))
    return Taken(does=does, why=reason, input=None if does == DENIED else said.get("updatedInput"))


def _behaving(decision: object) -> Taken:
    if decision is None:
        return Taken(does=NOTHING)
    if not isinstance(decision, dict):
        raise _Unfit("its `decision` is no object")
    does = _one_of(BEHAVIORS, decision.get("behavior", ""))
    return Taken(does=does, why=str(decision.get("message", "")), input=decision.get("updatedInput"))


def _typed(given: dict[str, Any], types: Mapping[str, type]) -> None:
    for key, kind in types.items():
        if key in given and not isinstance(given[key], kind):
            raise _Unfit(f"its `{key}` has the wrong type")


def _one_of(known: dict[str, str], given: object) -> str:
    if given is None:
        return NOTHING
    if not isinstance(given, str) or given not in known:
        raise _Unfit(f"the client knows no decision `{given}`")
    return known[given]
