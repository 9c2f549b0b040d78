"""What policies remember, on a Redis server: for several machines that share one budget.

1. `<prefix>:store` is made once, by `make`. Where it is missing, the server lost what it kept: a StateError.
2. What is remembered is a random version and the state, under `<prefix>:state:<policy>:<scope>:<key>`, and expires by
   the server's clock. `<prefix>:index:<policy>` lists what must be there and until when: a key that is gone before its
   time is a StateError, and so is one that is not listed.
3. A commit is one script, so it is all or nothing: it compares the versions, counts, then writes.
4. A turn alone holds `<prefix>:lock:…` for each of its keys. A turn of somebody else that comes to such a key has lost
   its race. A lock that was never given back lapses after `LAPSE`; the versions are compared with locks as without.

Every configuration with this prefix shares these keys, wherever it is: a policy is known by its name. The server is one
server, not a cluster. It loses what its owner lets it lose: without `appendonly yes` a restart goes back to the last
snapshot, and a replica that takes over may lack the last writes; neither can be seen from here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from random import random
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from wasmguard.errors import StateError
from wasmguard.limits import STATE
from wasmguard.state.interface import WAIT, bounded, by_policy, full
from wasmguard.state.redis_server import Script, Server, call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wasmguard.state.interface import Slot

FORMAT = b"wasmguard state 1"
VERSION = 8  # bytes
LAPSE = 2.0  # seconds until the lock of a turn that never ended is nobody's


_TIME = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

# Keys: the mark; then of each slot its state, its index and its lock. Values: the mark, our token, how long locks hold,
# the largest state; then of each slot its name in the index. Answers: a word; then of each slot its value, nil for
# nothing, 0 if it is gone, or its size if it is too large.
RECALL = Script(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end\n"
    + _TIME
    + """
if ARGV[2] ~= '' then
  for i = 2, #KEYS, 3 do
    local holder = redis.call('GET', KEYS[i + 2])
    if holder and holder ~= ARGV[2] then return {'locked'} end
  end
  for i = 2, #KEYS, 3 do redis.call('SET', KEYS[i + 2], ARGV[2], 'PX', ARGV[3]) end
end
local found = {'found'}
for i = 2, #KEYS, 3 do
  local n = (i + 1) / 3
  local due = redis.call('ZSCORE', KEYS[i + 1], ARGV[4 + n])
  local size = redis.call('STRLEN', KEYS[i])
  if size > tonumber(ARGV[4]) then found[n + 1] = size
  elseif size > 0 and due then found[n + 1] = redis.call('GET', KEYS[i])
  elseif size > 0 or (due and tonumber(due) > now) then found[n + 1] = 0
  else found[n + 1] = false end
end
return found
"""
)

# Keys: as above. Values: the mark, our token; then of each slot the version it had, its new value, how long that
# counts, the most entries, its name in the index. An empty text is no version, and no value. Answers: a word, and for
# `full` which slot.
COMMIT = Script(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end\n"
    + _TIME
    + """
for i = 2, #KEYS, 3 do
  local holder, n = redis.call('GET', KEYS[i + 2]), (i - 2) / 3 * 5 + 2
  if holder and holder ~= ARGV[2] then return {'changed'} end
  if redis.call('GETRANGE', KEYS[i], 0, 7) ~= ARGV[n + 1] then return {'changed'} end
end
for i = 2, #KEYS, 3 do
  local n = (i - 2) / 3 * 5 + 2
  if ARGV[n + 1] == '' and ARGV[n + 2] ~= '' then
    local live = redis.call('ZCOUNT', KEYS[i + 1], string.format('(%.0f', now), '+inf')
    if live >= tonumber(ARGV[n + 4]) then return {'full', (i - 2) / 3} end
  end
end
for i = 2, #KEYS, 3 do
  local n = (i - 2) / 3 * 5 + 2
  if ARGV[n + 2] == '' then
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[i + 1], ARGV[n + 5])
  else
    local due = string.format('%.0f', now + tonumber(ARGV[n + 3]))
    redis.call('SET', KEYS[i], ARGV[n + 2])  -- first: a full server refuses only what begins with a write like this
    if ARGV[n + 1] == '' then redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', string.format('%.0f', now)) end
    redis.call('PEXPIREAT', KEYS[i], due)
    redis.call('ZADD', KEYS[i + 1], due, ARGV[n + 5])
  end
  if ARGV[2] ~= '' then redis.call('DEL', KEYS[i + 2]) end
end
return {'kept'}
"""
)

# Keys: locks. Value: our token.
UNLOCK = Script(
    "for _, lock in ipairs(KEYS) do if redis.call('GET', lock) == ARGV[1] then redis.call('DEL', lock) end end"
)


def make(settings: Mapping[str, Any]) -> None:
    """Make the store, if there is none.

    Raises:
        StateError: if it cannot be made, the server may throw it away, or there is one of another format.
    """
    server, mark = Server(settings), _mark(settings)
    try:
        server.ask(lambda connection: call(connection, "SET", mark, FORMAT, "NX"), harmless=True)
        if server.ask(lambda connection: call(connection, "GET", mark), harmless=True) != FORMAT:
            raise StateError(f"`{mark}` on `{server.name}` is not what wasmguard made: choose another `state.prefix`")
    finally:
        server.close()


def exists(settings: Mapping[str, Any]) -> bool:
    """Whether there is one.

    Raises:
        StateError: if nobody can tell.
    """
    server, mark = Server(settings), _mark(settings)
    try:
        return bool(server.ask(lambda connection: call(connection, "EXISTS", mark), harmless=True))
    finally:
        server.close()


class RedisStore:
    """The store on the server that *settings* name."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._server, self._prefix = Server(settings), _prefix(settings)
        self.place = f"{self._server.name} {self._prefix}"

    def turn(self, slots: Sequence[Slot], *, alone: bool = False) -> RedisTurn:
        return RedisTurn(self._server, self._prefix, slots, alone=alone)

    def close(self) -> None:
        self._server.close()


class RedisTurn:
    """One event's view of it. All slots are recalled at once, when the first is asked for."""

    def __init__(self, server: Server, prefix: str, slots: Sequence[Slot], *, alone: bool) -> None:
        self._server, self._prefix, self._slots = server, prefix, by_policy(slots)
        self._recalled: dict[str, Any] = {}
        self._token = os.urandom(16) if alone else b""
        self._locks: list[str] = []

    def recall(self, policy: str) -> bytes | None:
        found = self._found(policy)
        if found is None:
            return None
        if not isinstance(found, bytes):
            what = f"{found} bytes: more than {STATE}: nobody wrote that here" if found else "something that is gone"
            raise StateError(f"`{policy}` remembers {what}: restore what `{self._server.name}` kept")
        return bounded(found[VERSION:], policy)

    def commit(self, states: Mapping[str, bytes]) -> bool:
        slots = [self._slots[policy] for policy in states]
        values: list[Any] = [FORMAT, self._token]
        for slot in slots:
            state, before = bounded(states[slot.policy], slot.policy), self._found(slot.policy)
            self.recall(slot.policy)  # raises if there is nothing to compare with
            new = os.urandom(VERSION) + state if state else b""
            values += [(before or b"")[:VERSION], new, slot.expires * 1000, slot.entries, _entry(slot)]
        keys = self._keys(slots)
        said, *which = COMMIT.ask(self._server, keys, values)
        if said == b"full":
            raise full(slots[which[0]])
        if said == b"lost":
            raise self._lost()
        if said == b"kept":
            self._locks = [lock for lock in self._locks if lock not in keys]  # the script gave them back
        return bool(said == b"kept")

    def end(self) -> None:
        locks, self._locks = self._locks, []
        if locks:
            with suppress(StateError):  # then they lapse
                UNLOCK.ask(self._server, locks, [self._token], harmless=True)

    def _found(self, policy: str) -> Any:
        """What the server found for *policy*."""
        if not self._recalled:
            slots = list(self._slots.values())
            values = [FORMAT, self._token, int(LAPSE * 1000), VERSION + STATE, *map(_entry, slots)]
            keys = self._keys(slots)
            if self._token:
                self._locks = keys[3::3]
            self._recalled = dict(zip(self._slots, self._answer(keys, values), strict=True))
        return self._recalled[policy]

    def _answer(self, keys: list[str], values: list[Any]) -> list[Any]:
        until, pause = monotonic() + LAPSE + WAIT, 0.0002
        while True:
            said, *found = RECALL.ask(self._server, keys, values, harmless=True)
            if said == b"found" and len(found) == len(self._slots):
                return found
            if said != b"locked":
                raise self._lost()
            if monotonic() > until:
                raise StateError(f"`{self._server.name}` keeps its lock for somebody else: see who is that slow")
            sleep(pause * (0.5 + random()))  # noqa: S311  # so that they do not all come back at once
            pause = min(pause * 1.5, 0.005)

    def _keys(self, slots: Sequence[Slot]) -> list[str]:
        keys = [f"{self._prefix}:store"]
        for slot in slots:
            name = f"{_part(slot.policy)}:{_part(slot.scope)}:{_part(slot.key)}"
            keys += [f"{self._prefix}:state:{name}", f"{self._prefix}:index:{_part(slot.policy)}"]
            keys += [f"{self._prefix}:lock:{name}"]
        return keys

    def _lost(self) -> StateError:
        return StateError(
            f"`{self._server.name}` lost what it kept under `{self._prefix}`: restore it, or run `wasmguard lock`,"
            " which begins with nothing remembered"
        )


def _prefix(settings: Mapping[str, Any]) -> str:
    return str(settings.get("prefix") or "wasmguard")


def _mark(settings: Mapping[str, Any]) -> str:
    return f"{_prefix(settings)}:store"


def _entry(slot: Slot) -> str:
    return f"{_part(slot.scope)}:{_part(slot.key)}"


def _part(text: str) -> str:
    """*text* without the character that separates parts."""
    return text.replace("%", "%25").replace(":", "%3a")
