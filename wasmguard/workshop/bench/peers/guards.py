"""Guards of others that are installed here, each started as its own documents or installer start it as a hook.

They decide by policies of their own, most of them many, so these rows say what somebody pays who uses one, not who is
the fastest at the small guard. Each has a home without settings: the policies that it is shipped with.

Left out (`UNMEASURED`): cupcake needs a project with its policies set up and `opa` beside it, agentjail a daemon that
watches its owner's agents, and the licence of dcg keeps some from executing and benchmarking it, which nobody should do
unasked by starting ours.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from wasmguard.workshop.bench.peers.peer import Ask, Peer, needs_program, program
from wasmguard.workshop.bench.peers.spawn import asks

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = {
    "cc-safety-net": ("hook", "--coding-cli"),  # 2.4.5: `cc-safety-net hook --help`
    "nah": ("_claude-hook",),  # 0.11.0: what `nah install claude` writes, nah/hook_command.py
}


@contextmanager
def started(folder: str, *, name: str) -> Iterator[Ask]:
    """See `Peer.start`: the guard *name*."""
    yield asks([program(name), *COMMANDS[name]], folder, there=True)


PEERS = tuple(
    Peer(
        name=name,
        about="spawn to exit; policies of its own, as it is shipped",
        lacking=needs_program(name),
        start=partial(started, name=name),
        spawned=True,
        own=True,
    )
    for name in COMMANDS
)
UNMEASURED = {
    "dcg": "its licence keeps some from executing and benchmarking it, so it is not started here",
    "cupcake": "needs a project with its policies set up, which a bench does not make",
    "agentjail": "asks a daemon of its owner's, which a bench leaves alone",
}
