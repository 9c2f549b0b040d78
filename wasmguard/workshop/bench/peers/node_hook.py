"""The small guard as a hook in JavaScript without any package."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmguard.workshop.bench.peers.peer import Ask, Peer, needs_program, program
from wasmguard.workshop.bench.peers.spawn import asks, written

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = """
const { tool_name: tool, tool_input: given = {} } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const { command = '', file_path: path = '' } = given;
const stops = tool === 'Bash' ? command.includes('rm -rf')
  : (tool === 'Write' || tool === 'Edit') && (path === '/etc' || path.startsWith('/etc/'));
if (stops) {
  const deny = { hookEventName: 'PreToolUse', permissionDecision: 'deny', permissionDecisionReason: 'no' };
  console.log(JSON.stringify({ hookSpecificOutput: deny }));
}
"""


@contextmanager
def started(folder: str) -> Iterator[Ask]:
    """See `Peer.start`."""
    yield asks([program("node"), written(folder, "hook.cjs", SOURCE)], folder)


PEERS = (
    Peer(
        name="Node hook",
        about="spawn to exit; no packages",
        lacking=needs_program("node"),
        start=started,
        spawned=True,
    ),
)
