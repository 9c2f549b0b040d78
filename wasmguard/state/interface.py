"""What keeps the policies' memory promises, whichever it is.

1. One event is one turn. What a turn recalled stays what it recalled; what it commits counts only if nobody changed it
   in between, and then for all policies together. Who loses that race asks again; nobody's update is lost.
2. Only what was never written, was forgotten, or is older than its slot allows, is nothing. What is gone, damaged,
   foreign, too large or cannot be reached is a StateError: a lost budget is no new budget.
3. A store is made once, by its owner (`make`), and from then on only opened. One that is gone is not made again.
4. A store that is full takes no new key: taking an old one away would forgive somebody what it remembers.
5. Every wait ends. After `WAIT` seconds it is a StateError.
6. Threads and forked processes share a store; what one of them holds open, no other one uses.
7. What is remembered is bytes, and nobody looks inside.
"""

from __future__ import annotations

from wasmguard.errors import StateError
from wasmguard.limits import STATE
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Protocol
else:
    Protocol = object

WAIT = 2.0  # seconds for one read or write; a hook has 25 in all


class Slot(Value):
    """Where one policy remembers one thing."""

    policy: str
    scope: str
    """What it is remembered for, see `wasmguard.state.scope`."""
    key: str
    """Which one of those."""
    expires: int
    """Seconds after the last write until it is forgotten."""
    entries: int
    """The most keys of this policy, over all scopes."""


class Turn(Protocol):
    """One event's view of what policies remember."""

    def recall(self, policy: str) -> bytes | None:
        """What *policy* remembered before this turn; None for nothing. Asked again, the same again.

        Raises:
            StateError: if that cannot be known.
        """

    def commit(self, states: Mapping[str, bytes]) -> bool:
        """Keep *states*, new bytes by policy (empty: forget), all or none. False, and nothing is kept, if somebody
        changed one of them since it was recalled. A turn commits once.

        Raises:
            StateError: if it cannot be done. When the store stopped answering in the middle, it may have been done.
        """

    def end(self) -> None:
        """Let go of the store, without raising. Always called, and more than once does no harm."""


class Store(Protocol):
    """Where policies remember things."""

    place: str
    """Which store it is: the same text for whoever uses the same one."""

    def turn(self, slots: Sequence[Slot], *, alone: bool = False) -> Turn:
        """A new turn about *slots*, one for each policy. With *alone*, nobody else changes them from its first `recall`
        to its end."""

    def close(self) -> None:
        """Let go of everything that is open. Turns that are under way fail."""


def by_policy(slots: Iterable[Slot]) -> dict[str, Slot]:
    """*slots* by the name of their policy."""
    return {slot.policy: slot for slot in slots}


def bounded(state: bytes, policy: str) -> bytes:
    """*state*, if a policy may remember as much.

    Raises:
        StateError: if not.
    """
    if len(state) > STATE:
        raise StateError(
            f"`{policy}` would have remembered {len(state)} bytes: more than {STATE}: nobody wrote that here"
        )
    return state


def full(slot: Slot) -> StateError:
    """Why *slot* cannot be written to for the first time."""
    return StateError(
        f"`{slot.policy}` would have more than {slot.entries} keys: raise `state.entries`, or let them expire sooner"
        " (`grants.state.expires`)"
    )
