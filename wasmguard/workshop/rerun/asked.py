"""What is decided again, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.decision import Decision
from wasmguard.event import Event
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping


class Asked(Value):
    """One event, to be decided by the policies of one plan."""

    key: int
    """The asker's number for it: its outcome has the same one."""

    plan: str
    """The name of a plan that the pool was given."""

    event: Event

    states: Mapping[str, bytes | None] | None = None
    """What each policy remembers at this moment, and nothing is kept of what it then wants to remember. None: what
    earlier events of this pool left."""

    aside: frozenset[str] = frozenset()
    """Policies that are asked and not obeyed, because their owner made an exception."""


class Outcome(Value):
    """What became of one event."""

    key: int

    decision: Decision
    """What the policies amount to, with `fuel`, `microseconds` and the digest of each `answer`. It comes from a process
    in which strangers' code ran: a claim, of the right types and no more than that."""

    fault: str = ""
    """Why nobody could decide it, although the policies could be loaded: the process died at it, or did not come to an
    end. Then the decision is a DENY in our own name."""
