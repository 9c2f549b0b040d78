"""The hook command: one event on stdin, one answer on stdout, whatever happens in between.

Claude Code lets the tool run when a hook crashes, hangs, prints a stray byte or prints nothing, so the work is done
behind a wall. This process is the wall:

1. It takes standard output away from everything else: whatever anybody prints goes to standard error.
2. It reads the event, then forks. The child imports, loads, decides and sends one framed answer through a pipe.
3. A child that dies (a crash of the engine, no memory left, a bug), hangs, or sends half a frame has refused. Whatever
   happens to it after a whole one changes nothing: then it only ends its cells, while the wall goes on.
4. It writes one JSON object, in one piece, and exits with 0; or, where the agent could not read that, with 2, which
   blocks.
5. It answers for signals too. Only SIGKILL cannot be answered; for that, hooks are installed with `onFailure: "block"`.

Until the fork this module imports nothing of ours, so that even a broken installation refuses. Stop events are the
exception: what cannot be decided there is answered `{}`, or a failing guard would keep the agent running for ever.
"""

from __future__ import annotations

import gc
import os
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    Reply = tuple[int, bytes, bytes]  # exit code, standard output, standard error
else:
    import _signal as signal  # `signal` wraps it in enumerations, which cost the wall more than all the rest

LARGEST = 64 * 2**20  # bytes of an event, the hard maximum of `limits.event`; the plan's own limit is checked later
DEADLINE = 25  # seconds until the answer is "no": locking takes some, and hooks are installed with a timeout of 30
REFUSAL = 2  # seconds to say no; then it is said without naming the event
LOOK = 0.2  # seconds between two alarms: a signal that came just before a wait began is heard with the next one
DAEMON = 4  # seconds for each step of asking the daemon; one that takes longer is not waited for
PIPE = 1 << 20  # bytes for one read
ANSWERED, BLOCKED = 0, 2  # exit codes: 2 blocks whatever else was printed
NOTHING = b"{}\n"  # no opinion
STOPS = (b"Stop", b"SubagentStop", b"TaskCompleted", b"TeammateIdle")  # `event.STOPPING`
ANSWERABLE = (  # what ends a process by default, and can be answered
    *("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM"),
    *("SIGPROF", "SIGXCPU", "SIGIO", "SIGPWR", "SIGSTKFLT"),
)
SIGNALS = tuple(getattr(signal, name) for name in ANSWERABLE if hasattr(signal, name))

FALLBACK = (
    b'{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny",'
    b'"permissionDecisionReason":"wasmguard could not decide: reinstall it, or run '
    b'`wasmguard uninstall claude-code`"}}\n'
)
OUTPUT = b'"hook_event_name":"PostToolUse"'
_WHY = b'"wasmguard could not judge this output: reinstall it, or run `wasmguard uninstall claude-code`"'
ENDED = b'{"continue":false,"stopReason":%b,"decision":"block","reason":%b}\n' % (_WHY, _WHY)
"""For an output that may not be shown: the run ends before the model reads it."""


_until = 0.0
"""When the time to decide, or to say no, is used up, by the monotonic clock."""


class _Refused(Exception):
    """There is no decision, and why."""

    final = False
    """Whether nobody else may decide either: there is no time left, or we are told to go."""


def main(arguments: Sequence[str], event: bytes | None = None, socket: str | None = None) -> NoReturn:
    """Answer the event on stdin and end the process.

    A thin client that found no daemon at *socket* has read the *event* already; the daemon is started afterwards.
    """
    gc.disable()  # none of the processes here lives long enough to gain; a collection touches all that a fork shares
    out, raw, child = -1, bytearray(event or b""), 0
    told = [*arguments, *(() if socket is None else ("--socket", socket))]
    try:
        try:
            out = _own_stdout()
            _expect_signals()
            if event is None:
                _read(0, raw)
            reply = _by_daemon(told, bytes(raw)) if event is None else None
            if reply is None:
                reply, child = _supervised(lambda: _decided(told, bytes(raw)), out)
        except BaseException as error:  # noqa: BLE001  # every way out of here needs an answer
            _hurry()
            reply = _refusal(told, raw, _why(error))
        _finish(out, raw, reply, told, child)
    finally:
        os._exit(BLOCKED)  # a second failure, such as a signal while refusing


def _own_stdout() -> int:
    """A private descriptor of standard output, or -1 if it is closed; descriptor 1 is standard error from here on.

    Closed descriptors are filled first, or the next file that is opened would take their number and our answer.
    """
    closed = False
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            empty = os.open(os.devnull, os.O_RDWR)
            if empty != descriptor:
                os.dup2(empty, descriptor)
            closed = closed or descriptor == 1
    out = -1 if closed else os.dup(1)
    os.dup2(2, 1)
    return out


def _expect_signals() -> None:
    def refuse(number: int, _frame: object) -> None:
        late = number == getattr(signal, "SIGALRM", None)
        if late and monotonic() < _until:
            return
        refused = _Refused(f"no decision after {DEADLINE} s" if late else f"ended by signal {number}")
        refused.final = True
        raise refused

    for number in SIGNALS:
        signal.signal(number, refuse)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # whoever started us may have blocked them
    if hasattr(signal, "setitimer"):
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        _limit(left if 0 < left < DEADLINE else DEADLINE)  # a thin client may have started the clock


def _hurry() -> None:
    """A last deadline: to name the event in 64 MiB of hostile bytes takes seconds, and the first one is used up."""
    if hasattr(signal, "setitimer"):
        _limit(REFUSAL)


def _limit(seconds: float) -> None:
    """So many seconds are left. The alarm comes more often: between two instructions of Python a signal is noted, and
    its handler is called with the next; a wait that begins in between would go on until something else ends it."""
    global _until  # noqa: PLW0603  # one for each process
    _until = monotonic() + seconds
    signal.setitimer(signal.ITIMER_REAL, min(seconds, LOOK), LOOK)


def _read(descriptor: int, into: bytearray) -> None:
    """Read to the end. What came before a failure stays in *into*: it may name the event."""
    while part := os.read(descriptor, PIPE):
        into += part
        if len(into) > LARGEST:
            raise _Refused(f"the event is larger than {LARGEST >> 20} MiB: split what the tool call carries")


def _by_daemon(arguments: Sequence[str], raw: bytes) -> Reply | None:
    """What the daemon answers, if there is one. Whatever goes wrong with it: then we decide."""
    try:
        from wasmguard import link
        from wasmguard.serve.options import parsed, settled

        options = parsed(arguments)
        path = options.socket or link.socket_of(settled(options))
        if not os.path.lexists(path):
            return None
        reply = link.ask(path, link.EVENT, link.with_context(os.environ, raw, path), seconds=DAEMON)
        return _checked(reply)
    except (Exception, SystemExit) as error:
        if isinstance(error, _Refused) and error.final:
            raise
        return None


def _supervised(decide: Callable[[], Reply], out: int) -> tuple[Reply, int]:
    """What *decide* returns in a child process, which does not get *out*; see `_frame`.

    The child is returned too: it has said all that counts, but may not be gone yet.
    """
    if not hasattr(os, "fork"):
        return decide(), 0
    reading, writing = os.pipe()
    child, frame, wall = 0, bytearray(), os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # one that came now would leave the child alone, and us hanging
    try:
        child = os.fork()
        if child == 0:
            _work(decide, writing, out)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(writing)
        _read(reading, frame)
        if _is_whole(frame):
            return _unframed(frame), child
        _, status = os.waitpid(child, 0)
        child = 0
    except BaseException:
        if os.getpid() != wall:  # the child, before it came to its work: two answers would be none
            os._exit(70)  # EX_SOFTWARE
        if child:
            _end(child)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    raise _Refused(f"the deciding process {f'ended {_ending(status)}' if status else 'sent half an answer'}")


def _end(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):  # a signal came after it was waited for
        pass


def _work(decide: Callable[[], Reply], writing: int, out: int) -> NoReturn:
    """The child's life. It leaves without the interpreter's farewell, which could print or hang."""
    status = 70  # EX_SOFTWARE
    try:
        if out >= 0:
            os.close(out)  # if this process outlives its parent, nobody must wait for more output
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        _write(writing, _frame(*decide()))
        os.close(writing)  # the wall has its answer: nobody waits for what follows
        _leave()
        status = 0
    finally:
        os._exit(status)


def _frame(code: int, answer: bytes, complaint: bytes) -> bytes:
    """Exit code, both lengths, answer and complaint: half of it never passes for a whole."""
    return bytes([code]) + len(answer).to_bytes(8, "big") + len(complaint).to_bytes(8, "big") + answer + complaint


def _is_whole(frame: bytearray) -> bool:
    return len(frame) >= 17 and len(frame) == 17 + sum(_lengths(frame))


def _lengths(frame: bytearray) -> tuple[int, int]:
    return int.from_bytes(frame[1:9], "big"), int.from_bytes(frame[9:17], "big")


def _unframed(frame: bytearray) -> Reply:
    end = 17 + _lengths(frame)[0]
    return _checked((frame[0], bytes(frame[17:end]), bytes(frame[end:])))


def _checked(reply: Reply) -> Reply:
    code, answer, _ = reply
    if code not in (ANSWERED, BLOCKED) or not (answer.startswith(b"{") and answer.endswith(b"}\n")):
        raise _Refused("the deciding process sent no JSON object")
    return reply


def _decided(arguments: Sequence[str], raw: bytes) -> Reply:
    """The child's work: everything else is imported from here.

    The cell is forked first, so that it knows nothing of what is read later, and makes its engine meanwhile.
    """
    from wasmguard.sandbox.ahead import end_spare, fork_ahead

    fork_ahead()
    try:
        from wasmguard.serve.answer import decided

        return decided(arguments, raw)
    finally:
        end_spare()


def _leave() -> None:
    """The child's last work: the cells end while the wall writes the answer."""
    from wasmguard.serve.answer import leave

    leave()


def _refusal(arguments: Sequence[str], raw: bytearray, why: str) -> Reply:
    """What to print when there is no decision: the event's own form of deny, or `{}` where nothing can be stopped.

    A tool's output that might hold what a policy takes out is withheld. If nobody can say whether there is one, the run
    ends before the model reads it.
    """
    try:
        from wasmguard.serve.answer import refused

        return refused(arguments, bytes(raw), why)
    except BaseException as error:  # noqa: BLE001  # our own installation is broken, or there is no time
        stop = any(b'"hook_event_name":"%b"' % name in raw for name in STOPS)
        if stop and b'"tool_name"' not in raw:  # a tool input could contain that text
            return ANSWERED, NOTHING, b""
        if OUTPUT in raw and raw.count(OUTPUT[:17]) == 1:  # a tool input could have that key
            return ANSWERED, ENDED, b""
        repair = "reinstall it, or run `wasmguard uninstall claude-code`"
        broken = "" if isinstance(error, _Refused) else f": and its installation is broken: {repair}"
        return BLOCKED, FALLBACK, f"wasmguard: {why}{broken}\n".encode()


def _finish(out: int, raw: bytearray, reply: Reply, arguments: Sequence[str], child: int) -> NoReturn:
    code, answer, complaint = reply
    try:
        _write(out, answer)
    except BaseException:  # noqa: BLE001  # an answer that nobody can read is no answer
        _hurry()
        _, answer, complaint = _refusal(
            arguments, raw, "its answer cannot be written to standard output: give it a pipe"
        )
        code = ANSWERED if answer == NOTHING else BLOCKED  # where nothing can be stopped, silence says the same
    try:
        _write(2, complaint)
        os.close(out)  # the agent has its answer: nobody waits for what follows
        _start_daemon(arguments)
        if child:
            os.waitpid(child, 0)
    except BaseException:  # noqa: BLE001  # the answer is out: it stays what it is
        if child:
            _end(child)
    finally:
        os._exit(code)  # nothing may print any more


def _start_daemon(arguments: Sequence[str]) -> None:
    """Start the daemon that there was none of, if we were told where it listens."""
    from wasmguard.serve.options import parsed

    if socket := parsed(arguments).socket:
        from wasmguard.serve.start import start

        start(socket, arguments)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _why(error: BaseException) -> str:
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, OSError):
        why = (error.strerror or type(error).__name__).lower()
        return f"{why}: it cannot read the event or start a process: free memory, files and processes"
    return f"internal error: {type(error).__name__}"


def _ending(status: int) -> str:
    return f"by signal {status & 0x7F}" if status & 0x7F else f"with code {status >> 8}"
