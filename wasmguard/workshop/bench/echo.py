"""What answers at once: the floor of whatever asks over a socket, a child that decides nothing.

    python -I -m wasmguard.workshop.bench.echo unix|http DESCRIPTOR

It reads one whole question, says the same answer to each, and serves one connection after the other. The listening
socket is inherited, so it has clients before it runs. It ends when it is told to, or when its parent is gone.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from wasmguard import link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNIX, HTTP = "unix", "http"
BODY = b"{}\n"
FRAME = link.answered(link.ANSWERED, BODY)
MESSAGE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
ORPHANED = 1.0  # seconds between two looks for the parent, when nobody asks
LENGTH = b"\r\ncontent-length: "


@contextmanager
def unix(folder: str) -> Iterator[str]:
    """A floor that speaks the frames of `wasmguard.link`, at the path of a socket in *folder*."""
    path = os.path.join(folder, "echo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        with _served(UNIX, listener):
            yield path


@contextmanager
def http() -> Iterator[str]:
    """A floor that speaks HTTP, at `HOST:PORT`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        with _served(HTTP, listener):
            yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _served(kind: str, listener: socket.socket) -> Iterator[None]:
    listener.listen()
    command = [sys.executable, "-I", "-m", "wasmguard.workshop.bench.echo", kind, str(listener.fileno())]
    null = subprocess.DEVNULL
    child = subprocess.Popen(command, pass_fds=(listener.fileno(),), stdin=null, stdout=null, stderr=null)
    try:
        yield
    finally:
        child.kill()
        child.wait()


def serve(listener: socket.socket, whole: Callable[[bytes], int], answer: bytes) -> None:
    """Say *answer* to each question that comes to *listener*, as long as our parent is there. *whole* says how long a
    question is by how it begins, and 0 if it cannot tell yet."""
    parent = os.getppid()
    listener.settimeout(ORPHANED)
    while os.getppid() == parent:
        try:
            channel, _ = listener.accept()
        except TimeoutError:
            continue
        with channel, suppress(OSError):
            if channel.family != socket.AF_UNIX:
                channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while _read(channel, whole):
                channel.sendall(answer)


def framed(begin: bytes) -> int:
    """The length of a question in frames."""
    return link.QUESTION + int.from_bytes(begin[20 : link.QUESTION], "big") if len(begin) >= link.QUESTION else 0


def posted(begin: bytes) -> int:
    """The length of a request with a body."""
    head, end, _ = begin.partition(b"\r\n\r\n")
    if not end:
        return 0
    _, _, length = head.lower().partition(LENGTH)
    return len(head) + len(end) + int(length.partition(b"\r\n")[0] or 0)


def _read(channel: socket.socket, whole: Callable[[bytes], int]) -> bool:
    """Whether another whole question came."""
    begin, length = b"", 0
    while not length:
        part = channel.recv(link.PIECE)
        if not part:
            return False
        begin += part
        length = whole(begin)
    missing = length - len(begin)
    while missing > 0:
        part = channel.recv(min(link.PIECE, missing))
        if not part:
            return False
        missing -= len(part)
    return True


def main(kind: str, descriptor: str) -> None:
    """Serve at the listening socket that is inherited as *descriptor*."""
    with socket.socket(fileno=int(descriptor)) as listener:
        serve(listener, *((framed, FRAME) if kind == UNIX else (posted, MESSAGE)))


if __name__ == "__main__":
    main(*sys.argv[1:])
