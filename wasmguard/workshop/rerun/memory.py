"""What policies remember while events are decided again: in this process, and gone with it.

It is a store like the others (`wasmguard.state.interface`), so that a turn is taken by the same code as in front of an
agent (`wasmguard.recall`). Its clock is that of the events: what was decided in a month is decided again in a second,
and what had expired in between has expired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.state.interface import bounded, by_policy, full

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wasmguard.state.interface import Slot

    Row = tuple[str, str, str, bytes, int]  # policy, scope, key, state, and the Unix milliseconds when it is forgotten


class Memory:
    """What the policies of one plan remember."""

    place = "memory"

    def __init__(self) -> None:
        self.now = 0
        """The time of the event that is decided, Unix milliseconds."""
        self._kept: dict[str, dict[tuple[str, str], tuple[bytes, int]]] = {}
        self._changed: list[Row] = []

    def turn(self, slots: Sequence[Slot], *, alone: bool = False) -> MemoryTurn:  # nobody else is here
        return MemoryTurn(self, slots)

    def close(self) -> None:
        self._kept.clear()

    def changes(self) -> list[Row]:
        """What changed since this was asked last: what another memory needs to know as much."""
        changed, self._changed = self._changed, []
        return changed

    def learn(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take over the changes of another memory."""
        for policy, scope, key, state, until in rows:
            kept = self._kept.setdefault(policy, {})
            if state:
                kept[scope, key] = state, until
            else:
                kept.pop((scope, key), None)

    def rows(self) -> list[Row]:
        """All that is remembered, for a memory that begins."""
        return [(policy, *name, *row) for policy, kept in self._kept.items() for name, row in kept.items()]

    def recall(self, slot: Slot) -> bytes | None:
        state, until = self._kept.get(slot.policy, {}).get((slot.scope, slot.key), (None, 0))
        return state if until > self.now else None

    def keep(self, slot: Slot, state: bytes) -> None:
        """Remember *state* (empty: forget). Raises StateError if there is no room for another key."""
        kept, name = self._kept.setdefault(slot.policy, {}), (slot.scope, slot.key)
        if state and name not in kept and len(kept) >= slot.entries:
            for old in [old for old, (_, until) in kept.items() if until <= self.now]:
                del kept[old]
            if len(kept) >= slot.entries:
                raise full(slot)
        row = (slot.policy, slot.scope, slot.key, bounded(state, slot.policy), self.now + slot.expires * 1000)
        self.learn([row])
        self._changed.append(row)


class MemoryTurn:
    """One event's view of it. Nobody else changes anything meanwhile."""

    def __init__(self, memory: Memory, slots: Sequence[Slot]) -> None:
        self._memory, self._slots = memory, by_policy(slots)

    def recall(self, policy: str) -> bytes | None:
        return self._memory.recall(self._slots[policy])

    def commit(self, states: Mapping[str, bytes]) -> bool:
        for policy, state in states.items():
            self._memory.keep(self._slots[policy], state)
        return True

    def end(self) -> None:
        """Nothing was held."""
