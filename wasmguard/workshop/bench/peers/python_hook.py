"""The small guard as a hook in Python, with nothing but the standard library: what most people write."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmguard.workshop.bench.peers.peer import Ask, Peer
from wasmguard.workshop.bench.peers.spawn import asks, written

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = """
import json, sys
event = json.load(sys.stdin)
tool, given = event["tool_name"], event["tool_input"]
path = given.get("file_path", "") if tool in ("Write", "Edit") else ""
if (tool == "Bash" and "rm -rf" in given.get("command", "")) or path == "/etc" or path.startswith("/etc/"):
    deny = {"hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": "not here"}
    print(json.dumps({"hookSpecificOutput": deny}))
"""


@contextmanager
def started(folder: str) -> Iterator[Ask]:
    """See `Peer.start`."""
    yield asks([sys.executable, written(folder, "hook.py", SOURCE)], folder)


PEERS = (
    Peer(
        name="Python hook",
        about="spawn to exit; six lines, standard library",
        lacking=lambda: "",
        start=started,
        spawned=True,
    ),
)
