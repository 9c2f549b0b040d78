"""What is decided again, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from wasmguard.decision import Decision
from wasmguard.event import Event
from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Expected(Value):
    """What a decision is expected to come to, as its record says (`compared.came_out`)."""

    verdicts: Sequence[dict[str, Any]]
    effect: str
    rewrite: Mapping[str, Any] | None = None
    fuel: bool
    """Whether fuel must be the same, too."""


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

    expected: Expected | None = None
    """With this, nothing more is told than that it came out so, if it did."""


class Line(NamedTuple):
    """A line of JSON that may be an event (`payload`), to be decided by every plan of a pool whose policies remember
    nothing."""

    key: int
    line: bytes


class Outcome(Value):
    """What became of one event."""

    key: int

    decision: Decision
    """What the policies amount to, with `fuel`, `microseconds` and the digest of each `answer`. It comes from a process
    in which strangers' code ran: a claim, of the right types and no more than that."""

    fault: str = ""
    """Why nobody could decide it, although the policies could be loaded: the process died at it, or did not come to an
    end. Then the decision is a DENY in our own name."""

    same: bool = False
    """Whether it came to what was expected: a claim like the decision, which is left empty then."""


class Spent(NamedTuple):
    """What asking a policy cost."""

    policy: int
    """Its place in its plan."""
    faulted: bool
    fuel: int | None
    nanoseconds: int


class Quiet(NamedTuple):
    """Of an event about which all plans decide the same (an only one: PASS), and none rewrites anything: what is worth
    counting."""

    name: str
    tool: str | None
    time: int
    effect: int
    spent: tuple[tuple[Spent, ...], ...]
    """For each plan of the pool, in their order, what each verdict cost."""


class LineOutcome(NamedTuple):
    """What became of a line. All of it is a claim, as in `Outcome`."""

    key: int

    quiet: Quiet | None = None

    event: Event | None = None
    """The event if it is not quiet; None if there is none in the line."""

    decisions: tuple[Decision, ...] = ()
    """By each plan of the pool, in their order."""

    fault: str = ""
    """As in `Outcome`; there is no event then."""
