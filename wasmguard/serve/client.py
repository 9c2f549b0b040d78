"""The thin client of a hook: `python -I -S client.py SOCKET ARGUMENTS...`, or behind `-c` and a step that runs it, as
hooks are installed (`wasmguard.workshop.hook_command`).

A hook is a new process for every tool call, and Python compiles a script at each start. So this is only a step: the
client is `thin`, beside it, which Python keeps compiled. Here is what must be left when nothing else is.

Whatever is raised by the client, or by loading it, is a refusal: a deny on stdout, the reason on stderr, exit 2, which
blocks whatever was printed. Stop events are let go: a failing guard would keep the agent running for ever.
"""

import posix
import sys

REPAIR = "reinstall wasmguard, or run `wasmguard uninstall claude-code`"
DENY = (
    '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny",'
    f'"permissionDecisionReason":"wasmguard could not decide: {REPAIR}"}}}}\n'
)
REFUSAL = 2  # seconds to say no, and before that to hear to what
LARGEST = 2**26  # bytes of an event


def refuse(event: bytearray, why: str) -> None:
    """Say no to the *event*, as much of it as there is, and end the process."""
    code = 2
    try:
        signal = __import__("_signal")
        signal.signal(signal.SIGALRM, signal.default_int_handler)  # raises KeyboardInterrupt
        signal.alarm(REFUSAL)
        if not event:
            hear(event)
        signal.alarm(REFUSAL)
        names = b"Stop", b"SubagentStop", b"TaskCompleted", b"TeammateIdle"
        stop = any(b'"hook_event_name":"%b"' % name in event for name in names)
        if stop and b'"tool_name"' not in event:  # a tool input could contain that text
            code = 0
            posix.write(1, b"{}\n")
        else:
            posix.write(2, f"wasmguard: refused: {why}\n".encode("ascii", "replace"))
            posix.write(1, DENY.encode())
    finally:
        posix._exit(code)


def hear(event: bytearray) -> None:
    """Read the event that nobody has read yet, as far as that goes."""
    try:
        while len(event) < LARGEST and (part := posix.read(0, 2**16)):
            event.extend(part)
    except (OSError, KeyboardInterrupt):
        pass


if __name__ == "__main__":
    event = bytearray()
    try:
        try:
            client, *arguments = sys.argv[sys.argv[0] == "-c" :]
            sys.path.append(client.rpartition("/")[0])
            thin = __import__("thin")
            sys.path.pop()  # its neighbours have names that others have too
            thin.main(arguments, event)
        except SystemExit as error:  # it knows why
            refuse(event, str(error))
        except BaseException as error:  # noqa: BLE001  # every way out of here needs an answer
            refuse(event, f"{type(error).__name__}: {error}: {REPAIR}")
    finally:
        posix._exit(2)  # a second failure, such as a signal while refusing
