"""What is measured: one way to one decision.

A variant knows how to decide about an event, and which of the run's events it is asked about. Everything that is
measured is one: a policy in a thread, the whole chain behind a daemon, another guard's command, and the floors that
the reader compares with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARY, CELL, SERVE, DAEMON, HTTP, NATIVE = "library", "cell", "serve", "daemon", "http", "native-client"
PATHS = (LIBRARY, CELL, SERVE, DAEMON, HTTP, NATIVE)
"""The ways in which users meet a decision: in their own process, there with policies in a jailed one, as a hook that is
a process of its own, as one that asks the daemon, over HTTP, and as a hook that is the native client."""

POLICY, CHAIN, FLOOR, PEER, OURS = "policy", "chain", "floor", "peer", "ours"
"""What a variant is: one policy, all of them, something that decides nothing, something that is not ours, and wasmguard
itself among those, at what they all do."""
BESIDE = PEER, OURS
"""The kinds of those that are measured beside each other, at what they all do."""

PARTS = ("encode", "instantiate", "evaluate", "decode", "gate", "carry")
"""The parts of a decision's time, in their order: see `split`."""


class Given(Value):
    """One event of the run."""

    name: str
    """For people: `Write`, `Write 500 kB`, `Bash: git status`."""
    fields: dict[str, Any]
    """As Claude Code sends it."""
    raw: bytes
    """The same as JSON, as it comes to a hook."""


class Variant(Value):
    """One way to one decision about each of some events."""

    path: str
    """One of `PATHS`, `floor` or `peer`."""
    subject: str
    """Whose time it is: a policy's name, `chain`, or what a floor or a peer is called."""
    kind: str
    events: tuple[int, ...]
    """The events that it is asked about, by their place in the run."""
    ask: Callable[[int], object]
    """Decide about the event at that place; what comes back is not looked at. Raises if there is no right answer."""
    reset: Callable[[], None] | None = None
    """What has to be done before each round, and is no part of it: what policies remember is forgotten."""
    spawned: bool = False
    """Whether each decision starts a process, which takes milliseconds: such are measured among themselves."""
    floor: str = ""
    """The id of the floor beside it."""
    about: str = ""
    """For people: what is in its time, in some words."""

    @property
    def id(self) -> str:
        """Its name in reports: `cell/no-destruction`."""
        return f"{self.path}/{self.subject}"
