"""What is known of the tool calls of an SDK's sessions that are on their way.

The client asks about one call up to three times: PreToolUse, and where its own rules would ask somebody, at the same
time PermissionRequest and `can_use_tool`; whichever of the two answers first counts, and the other is cancelled
(measured with Claude Code 2.1.330). The tool use id says that it is one call, so a policy is asked and counts once:

1. What the policies on PreToolUse said is remembered with a digest of the input that they left. Only a question about
   exactly that tool and input finds it: who changed the input since (a hook of somebody's settings) made another call.
2. What PermissionRequest came to is worked out once, by whoever comes first; the other one waits for it. If the first
   is cancelled, the other one does it.
3. Memory is bounded, and holds no inputs: a call that a human denied never ends, and may have been a large one. What
   was forgotten is judged again, and so is an input so large that to digest it would hold up the event loop; nothing is
   ever allowed because it is not known.

Sessions share this: their tool use ids differ. Safe in several threads, each with its loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from wasmguard.decision import Effect
from wasmguard.protection.size import is_small
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any, TypeGuard

    from wasmguard.event import Event
    from wasmguard.serve.permission import Permission

MOST = 1024  # calls: a call is forgotten when it is over, so these are those that are on their way, or never came to it
MOST_PERMISSIONS = 128  # they may hold a rewritten input; one is needed until both who ask about it have asked

_OF_THE_CALL = frozenset({"hook_event_name", "tool_name", "tool_input", "tool_use_id", "permission_suggestions"})


class Judged(Value):
    """What the policies on PreToolUse said about a call."""

    fields: Mapping[str, Any]
    """What all events of this call carry."""
    left: bytes
    """The digest of the tool and of the input that they left."""
    effect: Effect


class Calls:
    """The calls that are on their way."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._lock = most, threading.Lock()
        self._judged: dict[str, Judged] = {}
        self._permissions: dict[str, tuple[bytes, Permission]] = {}
        self._turns: dict[str, _Turn] = {}

    def judged(self, call: object, event: Event, left: Mapping[str, Any], effect: Effect) -> None:
        """Remember that the policies on PreToolUse left the input of *event* as *left*, with *effect*."""
        if _is_id(call):
            fields = {key: value for key, value in event.fields.items() if key not in _OF_THE_CALL}
            judged = Judged(fields=fields, left=_digest(event.tool or "", left), effect=effect)
            self._keep(self._judged, call, judged, self._most)

    def fields(self, call: object) -> dict[str, Any]:
        """What all events of this call carry: session_id, cwd, …; empty if nobody knows."""
        known = self._judged.get(call) if _is_id(call) else None
        return dict(known.fields) if known else {}

    def knows(self, call: object) -> bool:
        """Whether the policies on PreToolUse were asked about this call, whatever its input was."""
        return _is_id(call) and call in self._judged

    def effect(self, call: object, tool: str, tool_input: Mapping[str, Any]) -> Effect | None:
        """What PreToolUse said about exactly this; None if nobody knows."""
        known = self._judged.get(call) if _is_id(call) else None
        return known.effect if known and known.left == _digest(tool, tool_input) else None

    def permission(self, call: object, tool: str, tool_input: Mapping[str, Any]) -> Permission | None:
        """What PermissionRequest came to about exactly this; None if nobody knows."""
        known = self._permissions.get(call) if _is_id(call) else None
        return known[1] if known and known[0] == _digest(tool, tool_input) else None

    def permitted(self, call: object, tool: str, tool_input: Mapping[str, Any], permission: Permission) -> None:
        """Remember what PermissionRequest came to."""
        if _is_id(call):
            kept = (_digest(tool, tool_input), permission)
            self._keep(self._permissions, call, kept, min(self._most, MOST_PERMISSIONS))

    def forget(self, call: object) -> None:
        """The call is over."""
        if _is_id(call):
            with self._lock:
                self._judged.pop(call, None)
                self._permissions.pop(call, None)

    @asynccontextmanager
    async def turn(self, call: object) -> AsyncIterator[None]:
        """One at a time for each call; who has no id waits for nobody."""
        if not _is_id(call):
            yield
            return
        with self._lock:
            turn = self._turns.setdefault(call, _Turn())
            turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            with self._lock:
                turn.wanted -= 1
                if not turn.wanted:
                    del self._turns[call]

    def _keep(self, where: dict[str, Any], call: str, value: object, most: int) -> None:
        with self._lock:
            where.pop(call, None)  # what is new stands last
            where[call] = value
            if len(where) > most:
                del where[next(iter(where))]


class _Turn:
    """Who is at work on one call, and how many want to be."""

    def __init__(self) -> None:
        self.lock, self.wanted = asyncio.Lock(), 0


_of_guards: WeakKeyDictionary[object, Calls] = WeakKeyDictionary()


def calls_of(guard: object) -> Calls:
    """The calls that all callbacks of *guard* share, as long as it lives."""
    try:
        return _of_guards.setdefault(guard, Calls())
    except TypeError:  # it cannot be a weak key: its callbacks share nothing, and judge twice
        return Calls()


def _digest(tool: str, tool_input: Mapping[str, Any]) -> bytes:
    """What only the same tool with the same input has, whatever the order of its keys; types count, as in JSON. A large
    input has another one every time (rule 3)."""
    if not is_small(tool_input):
        return os.urandom(32)
    text = json.dumps([tool, tool_input], sort_keys=True, separators=(",", ":"))  # ASCII: half a surrogate pair too
    return blake2b(text.encode(), digest_size=32).digest()


def _is_id(call: object) -> TypeGuard[str]:
    return type(call) is str and call != ""
