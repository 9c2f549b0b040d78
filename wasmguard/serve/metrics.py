"""What the workers tell (`wasmguard.serve.board`), in the text format of Prometheus (0.0.4)."""

from __future__ import annotations

from wasmguard.serve.board import bound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.serve.board import Board

EFFECTS = {"pass": "passed", "allow": "allowed", "ask": "asked", "deny": "denied"}
COUNTERS = {
    "rewritten": "Events whose tool input was rewritten.",
    "faulted": "Events for which a policy failed.",
    "elsewhere": "Events that a client of another version was told to decide itself.",
    "accepted": "Connections that were accepted.",
    "refused": "Connections of somebody else, or more than there may be.",
    "garbage": "Connections that were closed because of what came through them.",
    "overdue": "Connections that were closed because nothing came through them.",
    "restarts": "Workers that took the place of one that had ended.",
}
BOUNDS = (16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # buckets of the board: 2 us to 1 s


def text(board: Board) -> str:
    """All of it."""
    return "".join(f"{line}\n" for line in _lines(board))


def _lines(board: Board) -> Iterator[str]:
    said = board.summary()
    yield from _head("events_total", "counter", "Events that were decided, by their effect.")
    for effect, name in EFFECTS.items():
        yield f'wasmguard_events_total{{effect="{effect}"}} {said[name]}'
    for name, meaning in COUNTERS.items():
        yield from _head(f"{name}_total", "counter", meaning)
        yield f"wasmguard_{name}_total {said[name]}"
    yield from _head("clients", "gauge", "Connections that are open.")
    yield f"wasmguard_clients {said['clients']}"
    yield from _head("resident_bytes", "gauge", "Resident memory.")
    for part, kib in said["memory_kib"].items():
        yield f'wasmguard_resident_bytes{{part="{part}"}} {kib * 1024}'
    yield from _head("uptime_seconds", "gauge", "Since the daemon began.")
    yield f"wasmguard_uptime_seconds {said['seconds']:.0f}"
    yield from _times(board)


def _times(board: Board) -> Iterator[str]:
    times = board.times()
    name = "decision_seconds"
    yield from _head(name, "histogram", "From a whole question to its answer.")
    for place in BOUNDS:
        yield f'wasmguard_{name}_bucket{{le="{bound(place) / 1e6:.6g}"}} {sum(times[:place])}'
    yield f'wasmguard_{name}_bucket{{le="+Inf"}} {sum(times)}'
    yield f"wasmguard_{name}_sum {sum(seat.microseconds for seat in board.seats) / 1e6:.6f}"
    yield f"wasmguard_{name}_count {sum(times)}"


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP wasmguard_{name} {meaning}"
    yield f"# TYPE wasmguard_{name} {kind}"
