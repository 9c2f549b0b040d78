"""The small guard as a hook in bash with jq: one call of jq that decides everything, which few such hooks manage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmguard.workshop.bench.peers.peer import Ask, Peer, needs_program, program
from wasmguard.workshop.bench.peers.spawn import asks, written

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = r"""
jq -c '
  def path: .tool_input.file_path // "" | tostring;
  select(
    (.tool_name == "Bash" and (.tool_input.command // "" | tostring | contains("rm -rf")))
    or ((.tool_name | . == "Write" or . == "Edit") and (path == "/etc" or (path | startswith("/etc/"))))
  )
  | {hookSpecificOutput: {hookEventName: "PreToolUse", permissionDecision: "deny", permissionDecisionReason: "no"}}
'
"""


@contextmanager
def started(folder: str) -> Iterator[Ask]:
    """See `Peer.start`."""
    yield asks([program("bash"), written(folder, "hook.sh", SOURCE)], folder)


PEERS = (
    Peer(
        name="bash and jq",
        about="spawn to exit; one call of jq",
        lacking=needs_program("bash", "jq"),
        start=started,
        spawned=True,
    ),
)
