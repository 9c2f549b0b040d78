"""A plain Python function, called as an agent's SDK calls a hook: no process, no JSON, no isolation. The least that any
guard in Python can take."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench.peers.peer import Ask, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.bench.variant import Given

DENY = {"hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": "not here"}


def callback(event: dict[str, Any]) -> dict[str, Any]:
    """What a hook of the SDK returns about *event*."""
    given = event["tool_input"]
    if event["tool_name"] == "Bash":
        stops = "rm -rf" in given.get("command", "")
    elif event["tool_name"] in ("Write", "Edit"):
        path = given.get("file_path", "")
        stops = path == "/etc" or path.startswith("/etc/")
    else:
        stops = False
    return {"hookSpecificOutput": DENY} if stops else {}


@contextmanager
def started(_folder: str) -> Iterator[Ask]:
    """See `Peer.start`."""

    def ask(given: Given) -> bool:
        return "hookSpecificOutput" in callback(given.fields)

    yield ask


PEERS = (
    Peer(
        name="Python callback", about="a function in the same process, no isolation", lacking=lambda: "", start=started
    ),
)
