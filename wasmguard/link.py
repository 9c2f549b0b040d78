"""What a client and the daemon say to each other, and where they meet.

1. One question and one answer are one frame each, its length first: half a frame never passes for a whole one.
2. A question names wasmguard's version. A daemon of another version says `ELSEWHERE`: decide in your own process.
3. Both sides check that the other one is the same user, as the kernel knows it.
4. A connection may carry one question after the other.
5. A question about an event begins with its context: those variables of the hook's environment that say where the
   agent's settings are, and which folders its shell may mean (`CONTEXT`). Nothing else of it leaves the hook.
6. It also says by which path the client came (`SOCKET`). A daemon that listens elsewhere, and was reached because
   somebody made a link to it, has another configuration: it says `ELSEWHERE`.

The clients that a hook starts (`serve/client.py`, `serve/client.c`) import nothing of ours, so they spell these frames
out themselves; `tests/test_link.py` holds them together.
"""

from __future__ import annotations

import os
import sys

from wasmguard import places
from wasmguard.errors import HostError
from wasmguard.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Mapping

    Reply = tuple[int, bytes, bytes]  # code, answer, complaint

MAGIC = b"wg\x01"
EVENT, STATUS, STOP = 1, 2, 3
"""Kinds of questions: what to answer to an agent's event, how the daemon is, and to end."""
VERSION = 16  # bytes of a version, filled up with NUL
QUESTION = 24  # bytes before a question's payload: magic, kind, version, length in 4 bytes (big-endian)
ANSWER = 12  # bytes before an answer's payload: magic, code, lengths of the answer and of the complaint, 4 bytes each
ANSWERED, BLOCKED, ELSEWHERE = 0, 2, 3
"""Codes of answers: the exit codes of a hook, and that the daemon does not decide this."""
CONTEXT = (
    *("HOME", "USER", "TMPDIR", "CLAUDE_CONFIG_DIR", "CLAUDE_PROJECT_DIR"),
    *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"),
)
SOCKET = "SOCKET"
LARGEST_CONTEXT = 65_536  # bytes: ten paths
LARGEST = 64 * 2**20  # bytes of an event, as in `serve.hook`
LONGEST_PATH = 103  # bytes of a Unix socket's path (`struct sockaddr_un` on macOS; 107 on Linux)
PIECE = 1 << 18  # bytes that are read at once


def socket_of(config: str) -> str:
    """Where the daemon of the configuration file *config* listens, unless it was told otherwise: in the runtime folder,
    or in one of this user's below `/tmp` where that would make too long a path."""
    from wasmguard.sandbox.cache import digest

    name = f"{digest(os.fsencode(os.path.abspath(config)))[:16]}.sock"
    path = os.path.join(places.runtime_dir(), name)
    if len(os.fsencode(path)) < LONGEST_PATH:
        return path
    return f"/tmp/{places.OURS}-{os.geteuid()}/{name}"  # noqa: S108  # the daemon makes and checks a private folder


def question(kind: int, payload: bytes) -> bytes:
    """The frame that asks."""
    version = __version__.encode()[:VERSION].ljust(VERSION, b"\0")
    return b"".join((MAGIC, bytes([kind]), version, len(payload).to_bytes(4, "big"), payload))


def asked(head: bytes) -> tuple[int, bool, int]:
    """Kind, whether it is of our version, and the payload's length, from the *head* of a question.

    Raises:
        ValueError: if it is none, or too long.
    """
    length = int.from_bytes(head[20:QUESTION], "big")
    if len(head) < QUESTION or head[:3] != MAGIC or head[3] not in (EVENT, STATUS, STOP):
        raise ValueError("no question")
    if length > 4 + LARGEST_CONTEXT + LARGEST:
        raise ValueError("a question that is too long")
    return head[3], head[4:20].rstrip(b"\0") == __version__.encode()[:VERSION], length


def with_context(context: Mapping[str, str], event: bytes, socket: str) -> bytes:
    """The payload of a question about *event* to the daemon at *socket*: the context's length in 4 bytes, the context
    as `NAME=value` with a NUL after each, the event."""
    said = b"".join(os.fsencode(f"{name}={context[name]}") + b"\0" for name in CONTEXT if context.get(name))
    said += os.fsencode(f"{SOCKET}={socket}") + b"\0"
    return len(said).to_bytes(4, "big") + said + event


def without_context(payload: bytes) -> tuple[dict[str, str], bytes]:
    """The context and the event of a payload.

    Raises:
        ValueError: if it is none.
    """
    length = int.from_bytes(payload[:4], "big")
    if len(payload) < 4 + length or length > LARGEST_CONTEXT:
        raise ValueError("no context")
    pairs = (os.fsdecode(part).partition("=") for part in payload[4 : 4 + length].split(b"\0") if part)
    return {name: value for name, _, value in pairs if name in (*CONTEXT, SOCKET)}, payload[4 + length :]


def answered(code: int, answer: bytes, complaint: bytes = b"") -> bytes:
    """The frame that answers."""
    lengths = len(answer).to_bytes(4, "big") + len(complaint).to_bytes(4, "big")
    return b"".join((MAGIC, bytes([code]), lengths, answer, complaint))


def told(frame: bytes) -> Reply:
    """Code, answer and complaint of a whole answer.

    Raises:
        ValueError: if it is none, or half of one.
    """
    first, second = int.from_bytes(frame[4:8], "big"), int.from_bytes(frame[8:ANSWER], "big")
    if len(frame) < ANSWER or frame[:3] != MAGIC or len(frame) != ANSWER + first + second:
        raise ValueError("half an answer")
    if frame[3] not in (ANSWERED, BLOCKED, ELSEWHERE):
        raise ValueError("no answer")
    return frame[3], frame[ANSWER : ANSWER + first], frame[ANSWER + first :]


def ask(path: str, kind: int, payload: bytes = b"", *, seconds: float) -> Reply:
    """What the daemon at the socket *path* answers within *seconds* a step.

    Raises:
        HostError: if there is no daemon, it is somebody else's, or it does not answer.
    """
    import _socket

    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        channel.settimeout(seconds)
        channel.connect(path)
        if peer_of(channel) != os.geteuid():
            raise HostError(f"the daemon at `{path}` belongs to somebody else: remove its socket")
        channel.sendall(question(kind, payload))
        head = _exactly(channel.recv, ANSWER)
        rest = int.from_bytes(head[4:8], "big") + int.from_bytes(head[8:ANSWER], "big")
        return told(head + _exactly(channel.recv, rest))
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
        raise HostError(f"no daemon answers at `{path}`: {why}") from None
    finally:
        channel.close()


def peer_of(channel: socket) -> int:
    """The user on the other side of *channel*, as the kernel knows it.

    Raises:
        OSError: if it does not.
    """
    import _socket

    if sys.platform == "linux":  # struct ucred: pid, uid, gid
        return int.from_bytes(channel.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)[4:8], sys.byteorder)
    if sys.platform == "darwin":  # struct xucred: version, uid, ...; SOL_LOCAL 0, LOCAL_PEERCRED 1
        return int.from_bytes(channel.getsockopt(0, 1, 76)[4:8], sys.byteorder)
    raise OSError("this system does not say who is on the other side of a socket")


def _exactly(receive: Callable[[int], bytes], length: int) -> bytes:
    got = bytearray()
    while len(got) < length:
        part = receive(min(PIECE, length - len(got)))
        if not part:
            raise ValueError("half an answer")
        got += part
    return bytes(got)
