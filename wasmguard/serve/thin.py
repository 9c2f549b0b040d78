"""What a hook does that has a daemon: carry the event there, and the answer back. `client` starts it.

It imports nothing of ours, and nothing that Python has not loaded already but for `_socket`.

1. Only a whole answer counts: of this protocol, with both lengths right, one JSON object and its newline, from the same
   user as the kernel knows it. It is written as it came, and its code is the exit code.
2. Whatever is wrong with the daemon (none there, another version, half an answer, silence for `DAEMON` seconds), the
   event is decided in this process: `wasmguard.serve.hook` gets the arguments, the event and the socket, and starts a
   daemon afterwards.
3. Whatever else goes wrong is raised, and `client` refuses. So are signals that would end the process, and the
   deadline: `SECONDS` after the start, which is before the agent loses patience (30 s).
4. A clock that runs at the start was set by the native client (`client.c`), which became this process because the
   daemon gave it no answer: the rest of that time is ours, and the daemon is not asked again.
5. With a standard descriptor closed nothing is opened here, or it would take that number: `hook` knows what to do.

The frames are those of `wasmguard.link`, spelled out; `tests/serve/test_client.py` holds them together.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal  # without its enumerations

MAGIC, EVENT, VERSION = b"wg\x01", b"\x01", b"0.1.0"
CONTEXT = (
    *(b"HOME", b"USER", b"TMPDIR", b"CLAUDE_CONFIG_DIR", b"CLAUDE_PROJECT_DIR"),
    *(b"XDG_CONFIG_HOME", b"XDG_CACHE_HOME", b"XDG_STATE_HOME", b"XDG_RUNTIME_DIR"),
)
LARGEST_CONTEXT, LARGEST = 2**16, 2**26  # bytes; the second is for an event and for an answer
SECONDS = 27  # from the start to an answer
DAEMON = 4  # seconds for each step of asking the daemon
PIECE = 2**16  # bytes that are read at once: what fits into a pipe
ENDING = (  # signals that end a process by default
    *("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM"),
    *("SIGPROF", "SIGXCPU", "SIGIO", "SIGPWR", "SIGSTKFLT"),
)


def main(arguments: list[str], event: bytearray) -> "NoReturn":
    """Answer the event on standard input, which is put into *event*, and end the process.

    Raises:
        SystemExit: if it cannot be answered, and why.
    """
    asked = expect_signals()
    if not arguments:
        raise SystemExit("usage: client.py SOCKET ARGUMENTS")
    path, *rest = arguments
    try:
        _ = posix.fstat(0), posix.fstat(1), posix.fstat(2)
    except OSError:
        decide(path, rest, None)
    while len(event) <= LARGEST and (part := posix.read(0, PIECE)):
        event.extend(part)
    reply = None if asked or len(event) > LARGEST else ask(path, event)
    if not reply:
        decide(path, rest, bytes(event))
    code, answer, complaint = reply
    try:
        write(1, answer)
    except OSError:
        raise SystemExit("its answer cannot be written to standard output: give it a pipe") from None
    try:
        write(2, complaint)
    finally:
        posix._exit(code)


def expect_signals() -> bool:
    """Answer signals from here on, start the clock, and say whether it was running (rule 4)."""

    def end(number: int, _frame: object) -> "NoReturn":
        raise SystemExit(f"no answer after {SECONDS} s" if number == signal.SIGALRM else f"ended by signal {number}")

    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    for number in numbers:
        signal.signal(number, end)
    left, _ = signal.setitimer(signal.ITIMER_REAL, SECONDS)
    if left:
        signal.setitimer(signal.ITIMER_REAL, min(left, SECONDS))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)  # whoever started us may have blocked them
    return left > 0


def ask(path: str, event: bytearray) -> "tuple[int, bytes, bytes] | None":
    """What the daemon at *path* answers to *event*, or None if that is nothing to go by."""
    try:
        import _socket

        channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        for option in (_socket.SO_SNDTIMEO, _socket.SO_RCVTIMEO):  # the first is for connecting too; struct timeval
            channel.setsockopt(_socket.SOL_SOCKET, option, DAEMON.to_bytes(8, sys.byteorder) + bytes(8))
        channel.connect(path)
        if sys.platform == "linux":  # struct ucred: pid, uid, gid
            peer = channel.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        else:  # macOS, struct xucred: version, uid, ...; SOL_LOCAL 0, LOCAL_PEERCRED 1
            peer = channel.getsockopt(0, 1, 76)
        environ = posix.environ
        context = b"".join([b"%b=%b\0" % (name, environ[name]) for name in CONTEXT if environ.get(name)])
        context += b"SOCKET=%b\0" % path.encode(sys.getfilesystemencoding(), "surrogateescape")
        if int.from_bytes(peer[4:8], sys.byteorder) != posix.geteuid() or len(context) > LARGEST_CONTEXT:
            return None
        lengths = (4 + len(context) + len(event)).to_bytes(4, "big") + len(context).to_bytes(4, "big")
        channel.sendall(b"".join((MAGIC, EVENT, VERSION.ljust(16, b"\0"), lengths, context, event)))
        frame, end, whole = bytearray(), 0, 12
        while len(frame) < whole <= LARGEST:
            part = channel.recv(PIECE)
            if not part:
                return None
            frame.extend(part)
            if len(frame) >= 12:
                end = 12 + int.from_bytes(frame[4:8], "big")
                whole = end + int.from_bytes(frame[8:12], "big")
    except (OSError, ValueError, ImportError):
        return None
    answer = bytes(frame[12:end])
    json = answer.startswith(b"{") and answer.endswith(b"}\n")
    right = json and len(frame) == whole and frame[:3] == MAGIC and frame[3] in (0, 2)
    return (frame[3], answer, bytes(frame[end:])) if right else None


def decide(path: str, arguments: list[str], event: bytes | None) -> "NoReturn":
    """Decide in this process (rule 2). *event* is None if it has not been read."""
    folder = __file__.rpartition("/wasmguard/serve/")[0]
    sys.path.append(folder)
    try:
        _ = posix.stat(folder + "/msgpack"), posix.stat(folder + "/wasmtime")
    except OSError:  # installed in place, or in several folders: only `site` knows which, and takes milliseconds
        out = posix.dup(1)
        posix.dup2(posix.open("/dev/null", posix.O_RDWR), 1)  # it runs what others wrote, which may print
        import site

        site.main()
        posix.dup2(out, 1)
    from wasmguard.serve import hook

    hook.main(arguments, event, path)


def write(descriptor: int, data: bytes) -> None:
    """Write all of *data*."""
    while data:
        data = data[posix.write(descriptor, data) :]
