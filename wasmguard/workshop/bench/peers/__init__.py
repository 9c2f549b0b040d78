"""What else is installed on this machine, asked about the same events in the same run: see `peers.peer`."""

from wasmguard.workshop.bench.peers.lineup import variants

__all__ = ["variants"]
