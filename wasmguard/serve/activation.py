"""Started by systemd: the sockets that it gives, and what it wants to hear (sd_listen_fds(3), sd_notify(3)).

1. A socket that was given is held against the rules of our own (`serve.listening`): a Unix socket in a folder that is
   ours alone, closed to others; or a loopback address. What is neither is an error: somebody set up something else.
2. The variables are taken away: nobody whom we start shall believe that they are meant.
"""

from __future__ import annotations

import os
import socket as sockets
from contextlib import suppress
from typing import TYPE_CHECKING

from wasmguard.errors import HostError
from wasmguard.sandbox.cache import private_folder
from wasmguard.serve.listening import loopback

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from socket import socket

FIRST = 3  # SD_LISTEN_FDS_START
MOST = 16  # sockets; two are of use
FAMILIES = (sockets.AF_UNIX, sockets.AF_INET, sockets.AF_INET6)


def given(environ: MutableMapping[str, str] = os.environ) -> tuple[socket | None, socket | None]:
    """The Unix socket and the HTTP socket that systemd gave, each None if it gave none. Its variables are taken away.

    Raises:
        HostError: if it gave something else.
    """
    process, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if process != str(os.getpid()) or not count.isdecimal():
        return None, None
    if int(count) > MOST:
        raise HostError(f"`LISTEN_FDS` is {count}: at most two sockets are of use: repair the socket unit")
    unix: socket | None = None
    inet: socket | None = None
    for number in range(FIRST, FIRST + int(count)):
        made = _checked(number)
        if made.family == sockets.AF_UNIX and unix is None:
            unix = made
        elif made.family != sockets.AF_UNIX and inet is None:
            inet = made
        else:
            raise HostError("systemd gave two sockets of one kind: repair the socket unit")
    return unix, inet


def notify(text: str, path: str | None) -> None:
    """Tell the service manager at *path* (`NOTIFY_SOCKET`, sd_notify(3)), if there is one."""
    if not path or path[0] not in "/@":
        return
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        with suppress(OSError):  # it asked to be told: if it does not listen, that is all
            channel.sendto(text.encode(), "\0" + path[1:] if path[0] == "@" else path)


def _checked(number: int) -> socket:
    """The socket with that descriptor, if it is one that we may answer at."""
    try:
        os.set_inheritable(number, False)
        made = sockets.socket(fileno=number)
        listens = made.getsockopt(sockets.SOL_SOCKET, sockets.SO_ACCEPTCONN)
    except OSError as error:
        raise HostError(
            f"descriptor {number} from systemd is no socket: {(error.strerror or 'unknown').lower()}: repair the unit"
        ) from None
    if made.type != sockets.SOCK_STREAM or not listens or made.family not in FAMILIES:
        raise HostError(f"descriptor {number} from systemd does not listen: set `ListenStream=` in the socket unit")
    if made.family == sockets.AF_UNIX:
        _private(made)
    else:
        loopback(str(made.getsockname()[0]))
    made.setblocking(False)
    return made


def _private(made: socket) -> None:
    """Rule 1, for a socket that somebody else has bound."""
    path = made.getsockname()
    if isinstance(path, bytes) or not path.startswith("/"):
        raise HostError("the socket from systemd has no path, so anybody may ask: repair `ListenStream=`")
    private_folder(os.path.dirname(path))
    if os.lstat(path).st_mode & 0o077:
        raise HostError(f"`{path}` is open to others: set `SocketMode=0600` in the socket unit")
