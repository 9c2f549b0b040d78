"""The events that everybody is asked about: those about which the small guard has the only word.

1. Before a tool runs: no other event is known to all.
2. What the small guard reads is text, or not there: what a broken call comes to is decided by chance, not by a guard.
3. Wasmguard does not protect itself there: that it denies before a policy is asked, and nobody else does.

One event that is not so would make a wrong answer of everybody's, or of ours, so it is left out for all.
"""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from wasmguard.decision import OURSELVES
from wasmguard.guard import Guard
from wasmguard.own_home import home_in
from wasmguard.sandbox.isolation import THREAD
from wasmguard.workshop.bench.peers.ours import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmguard.workshop.bench.variant import Given

EVENT = "PreToolUse"
READ = ("command", "file_path")
"""The fields of an input that the small guard reads."""


def shared(given: Sequence[Given], home: str) -> tuple[dict[int, Given], list[str]]:
    """Those of *given* that everybody is asked about, by their places, and what is told of the others that come before
    a tool runs. What is written for it is in *home*, and gone at the end."""
    calls = {place: one for place, one in enumerate(given) if one.fields.get("hook_event_name") == EVENT}
    if not calls:
        return {}, [f"peers: no event is `{EVENT}`, and no other is known to all of them"]
    plain = {place: one for place, one in calls.items() if _is_plain(one)}
    ours = set(_protected(plain, home))
    notes = [
        f"peers: not asked about `{one.name}`: its input is broken" for one in calls.values() if not _is_plain(one)
    ]
    notes += [
        f"peers: not asked about `{plain[place].name}`: wasmguard protects itself there" for place in sorted(ours)
    ]
    return {place: one for place, one in plain.items() if place not in ours}, notes


def _is_plain(one: Given) -> bool:
    tool_input = one.fields.get("tool_input")
    return isinstance(tool_input, dict) and all(isinstance(tool_input.get(name, ""), str) for name in READ)


def _protected(calls: dict[int, Given], home: str) -> Iterator[int]:
    """The places of those *calls* that wasmguard denies without a policy."""
    with TemporaryDirectory(prefix="shared-", dir=home, ignore_cleanup_errors=True) as folder:
        with home_in(os.path.realpath(folder)):
            guard = Guard.load(locked(folder), isolation=THREAD)
        with guard:
            for place, one in calls.items():
                if any(verdict.policy == OURSELVES for verdict in guard.decide(one.fields).because):
                    yield place
