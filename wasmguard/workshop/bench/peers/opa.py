"""The small guard in Rego, as somebody who knows OPA writes a hook: `opa eval` with the event on its input.

Its policy builds the hook's whole answer, so nothing but OPA is started. Verified with OPA 1.22.2.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmguard.workshop.bench.peers.peer import Ask, Peer, needs_program, program
from wasmguard.workshop.bench.peers.spawn import asks, written

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = """
package guard

import rego.v1

default answer := {}

answer := {"hookSpecificOutput": {
	"hookEventName": "PreToolUse",
	"permissionDecision": "deny",
	"permissionDecisionReason": "not here",
}} if denied

denied if {
	input.tool_name == "Bash"
	contains(input.tool_input.command, "rm -rf")
}

denied if {
	input.tool_name in {"Write", "Edit"}
	in_etc(input.tool_input.file_path)
}

in_etc("/etc")

in_etc(path) if startswith(path, "/etc/")
"""


@contextmanager
def started(folder: str) -> Iterator[Ask]:
    """See `Peer.start`."""
    policy = written(folder, "guard.rego", SOURCE)
    command = [program("opa"), "eval", "--stdin-input", "--data", policy, "--format", "raw", "data.guard.answer"]
    yield asks(command, folder)


PEERS = (
    Peer(
        name="opa eval",
        about="spawn to exit; the policy as text",
        lacking=needs_program("opa"),
        start=started,
        spawned=True,
    ),
)
