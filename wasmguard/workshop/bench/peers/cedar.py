"""The small guard as Cedar policies, asked through cedarpy: as text, which it parses for every event, and parsed once.

Cedar's data have no null and no fractions, so a request carries the two fields that the policies look at. A program
that forwards whole inputs has to convert them first, and takes longer.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from wasmguard.workshop.bench.peers.peer import Ask, Peer, needs_package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.bench.variant import Given

POLICIES = """
permit (principal, action, resource);
forbid (principal, action == Action::"Bash", resource)
when { context has command && context.command like "*rm -rf*" };
forbid (principal, action in [Action::"Write", Action::"Edit"], resource)
when { context has file_path && (context.file_path == "/etc" || context.file_path like "/etc/*") };
"""
READS = ("command", "file_path")


@contextmanager
def _started(_folder: str, *, parsed: bool) -> Iterator[Ask]:
    import cedarpy

    policies: Any = cedarpy.PolicySet.from_str(POLICIES) if parsed else POLICIES
    entities: Any = cedarpy.Entities.from_json_str("[]") if parsed else []
    agent, resource = {"type": "Agent", "id": "claude"}, {"type": "Machine", "id": "here"}
    permitted, forbidden = cedarpy.Decision.Allow, cedarpy.Decision.Deny

    def ask(given: Given) -> bool:
        tool_input = given.fields["tool_input"]
        request = {
            "principal": agent,
            "action": {"type": "Action", "id": given.fields["tool_name"]},
            "resource": resource,
            "context": {name: tool_input[name] for name in READS if name in tool_input},
        }
        result = cedarpy.is_authorized(request, policies, entities)
        if result.decision not in (permitted, forbidden) or result.diagnostics.errors:
            raise ValueError(f"cedar could not decide: {result.diagnostics.errors}")
        return bool(result.decision is forbidden)

    yield ask


_NEEDS = needs_package("cedarpy")
_ABOUT = "in process; two fields of each event"

PEERS = (
    Peer(
        name="cedarpy, parsed",
        about=f"policies parsed once; {_ABOUT}",
        lacking=_NEEDS,
        start=partial(_started, parsed=True),
    ),
    Peer(
        name="cedarpy, text",
        about=f"policies parsed for each event; {_ABOUT}",
        lacking=_NEEDS,
        start=partial(_started, parsed=False),
    ),
)
