"""Who listens on a port of this machine: another user who took it first would read every event, and decide about it."""

from __future__ import annotations

from urllib.parse import urlsplit

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTENING = "0A"  # TCP_LISTEN, include/net/tcp_states.h
HERE = ("0100007F", "00000000", "00000000000000000000000001000000", "0" * 32, "0000000000000000FFFF00000100007F")
"""127.0.0.1, any address, ::1, any address of IPv6, and 127.0.0.1 as IPv6 maps it: as the kernel writes them."""


def owners_of(url: str, tables: tuple[str, ...] = TABLES) -> set[int]:
    """The users whose programs listen where *url* leads on the loopback; empty if nobody does, or nobody says (Linux
    does)."""
    try:
        port = urlsplit(url).port or 80
    except ValueError:
        return set()
    return {owner for table in tables for owner in _listening(table, port)}


def _listening(table: str, port: int) -> set[int]:
    try:
        with open(table, encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return set()
    wanted = {f"{address}:{port:04X}" for address in HERE}
    return {int(row[7]) for row in rows if len(row) > 7 and row[1] in wanted and row[3] == LISTENING}
