"""Where a daemon listens, and that it alone does.

1. One daemon for a socket: it holds the lock beside it (`start.locked`) as long as it lives. Whatever lies in the
   socket's place was left by a daemon that is gone: only who has the lock may replace it.
2. The socket lies in a folder that is ours alone, and is closed to others itself. It gets its name when somebody is
   there to answer: a client that finds no socket decides by itself at once, one that waits for nobody waits.
3. HTTP is heard on loopback addresses and nowhere else.
4. Sockets that systemd gives (`serve.activation`) stay systemd's: their names are not removed.
"""

from __future__ import annotations

import ipaddress
import os
import socket as sockets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from wasmguard import link
from wasmguard.errors import HostError, UsageError
from wasmguard.sandbox.cache import private_folder
from wasmguard.serve.start import holds, locked

if TYPE_CHECKING:
    from socket import socket

    Address = tuple[str, int]

QUEUE = 1024  # connections that wait to be accepted; hundreds of clients may come at once


class Door:
    """The Unix socket of a daemon: bound under another name first, then under its own."""

    def __init__(self, path: str, lock: int, given: socket | None = None) -> None:
        """Listen for *path*, whose *lock* is held; at the socket *given* by systemd instead, if there is one.

        Raises:
            HostError: if the socket cannot be made.
        """
        self.path, self.lock, self._given = path, lock, given is not None
        self.listener = given or _bound(f"{path}~")
        self._name: tuple[int, int] | None = None

    def open(self) -> None:
        """Give the socket its name.

        Raises:
            HostError: if that cannot be.
        """
        if self._given or self._name:
            return
        try:
            seen = os.lstat(f"{self.path}~")
            os.rename(f"{self.path}~", self.path)
        except OSError as error:
            raise HostError(f"`{self.path}` cannot be made: {_why(error)}: remove it, or repair the folder") from None
        self._name = seen.st_dev, seen.st_ino

    def lost(self) -> bool:
        """Whether nobody finds it any more: its name, or that of its lock, is gone or somebody else's."""
        if not holds(self.lock, self.path):
            return True
        return self._name is not None and self._name != _named(self.path)

    def close(self) -> None:
        """Stop listening, and take the names away that are ours. The lock stays."""
        self.listener.close()
        if self._given or (self._name and self._name != _named(self.path)):
            return
        with suppress(OSError):
            os.unlink(self.path if self._name else f"{self.path}~")


def claimed(path: str, lock: int | None = None) -> int | None:
    """A descriptor that holds the lock of the socket *path*: *lock*, if a hook gave us one. None if somebody else
    holds it.

    Raises:
        UsageError: if *path* can be no socket's, or *lock* is not its lock.
        HostError: if the lock cannot be had.
    """
    if not os.path.isabs(path):
        raise UsageError(f"`--socket {path}` is not absolute: write the whole path")
    if len(os.fsencode(path)) >= link.LONGEST_PATH:  # with the `~`
        raise UsageError(f"`--socket {path}` is longer than {link.LONGEST_PATH - 1} bytes: name a shorter one")
    private_folder(os.path.dirname(path))
    if lock is not None and not holds(lock, path):
        raise UsageError(f"`--lock {lock}` is not the lock of `{path}`: leave the option out")
    try:
        held = locked(path) if lock is None else _adopted(lock)
    except OSError as error:
        raise HostError(f"`{path}.lock` cannot be used: {_why(error)}: remove it") from None
    return None if held < 0 else held


def address(text: str) -> Address:
    """The loopback address that *text* (`HOST:PORT`, `[::1]:PORT`) names.

    Raises:
        UsageError: if it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise UsageError(f"`--http {text}` is no address: write HOST:PORT, like `127.0.0.1:8787`")
    return loopback(host.removeprefix("[").removesuffix("]")), int(port)


def loopback(host: str) -> str:
    """*host* as a number, if it is one of this machine's own.

    Raises:
        UsageError: if others could reach it.
    """
    try:
        number = ipaddress.ip_address("127.0.0.1" if host.lower() == "localhost" else host)
    except ValueError:
        number = None
    if number is None or not number.is_loopback or getattr(number, "ipv4_mapped", None):
        raise UsageError(f"`--http {host}` is not this machine alone, and the guard is nobody else's: use `127.0.0.1`")
    return str(number)


def http(at: Address) -> socket:
    """A socket that listens at *at*; port 0 takes one that is free.

    Raises:
        UsageError: if it is no loopback address.
        HostError: if it is taken.
    """
    host, port = loopback(at[0]), at[1]
    listener = sockets.socket(sockets.AF_INET6 if ":" in host else sockets.AF_INET, sockets.SOCK_STREAM)
    try:
        listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(QUEUE)
    except (OSError, OverflowError) as error:
        listener.close()
        why = _why(error) if isinstance(error, OSError) else "no such port"
        raise HostError(f"cannot listen at `{told(host, port)}`: {why}: pass another port with --http") from None
    listener.setblocking(False)
    return listener


def told(host: str, port: int) -> str:
    """An address as people and URLs write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _adopted(lock: int) -> int:
    """*lock* if it holds what it is the lock of, else -1."""
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return -1
    os.set_inheritable(lock, False)
    return lock


def _bound(path: str) -> socket:
    """A socket that listens at *path*, closed to others. The folder is ours alone, the lock is held."""
    listener = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(QUEUE)
    except OSError as error:
        listener.close()
        raise HostError(f"cannot listen at `{path}`: {_why(error)}: remove it, or repair the folder") from None
    listener.setblocking(False)
    return listener


def _named(path: str) -> tuple[int, int] | None:
    """Which socket has the name *path* now."""
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    return (seen.st_dev, seen.st_ino) if stat.S_ISSOCK(seen.st_mode) else None


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
