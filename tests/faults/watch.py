"""Runs one hook, and says how it ended and whom it left behind: `watch.py REPORT SECONDS MARK SIGNAL COMMAND...`

Every process whose parent ends becomes a child of this one (PR_SET_CHILD_SUBREAPER), whatever session, group or
environment it has given itself. After the command has ended its descendants get a moment to notice; what is still there
then is written into the report, and ended. So is a command that is not done after SECONDS.

If SIGNAL is not 0, the first process that leaves its number in the MARK (`inject.Mark`) is sent it, as `kill` would.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
MOMENT = 2.0  # seconds: to notice that a socket has closed takes milliseconds, on a busy machine some more


def main():
    report, seconds, mark, number, command = (
        sys.argv[1],
        float(sys.argv[2]),
        sys.argv[3],
        int(sys.argv[4]),
        sys.argv[5:],
    )
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("cannot adopt the processes of others")
    process = os.posix_spawn(command[0], command, os.environ)
    empty = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # whoever reads them must see the command close them
        os.dup2(empty, standard)
    ending = os.pidfd_open(process)
    if number:
        seconds = strike(mark, number, ending, seconds)
    late = not select.select([ending], [], [], seconds)[0]
    if late:
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    ended = time.monotonic_ns()
    left = left_behind()
    said = {"code": None if late else os.waitstatus_to_exitcode(status), "ended": ended, "left": left}
    with open(report, "w", encoding="utf-8") as file:
        json.dump(said, file)


def strike(mark, number, ending, seconds):
    """Send *number* to the process in the *mark*, unless the command is done before. The seconds that are left."""
    until = time.monotonic() + seconds
    with open(mark, "rb") as file:
        while time.monotonic() < until and not select.select([ending], [], [], 0.002)[0]:
            if struck := int.from_bytes(os.pread(file.fileno(), 8, 16), sys.byteorder):
                os.kill(struck, number)
                break
    return max(0, until - time.monotonic())


def left_behind():
    """What each process is that did not end by itself; all of them have ended now."""
    until = time.monotonic() + MOMENT
    while time.monotonic() < until and alive():
        time.sleep(0.003)
    left, until = [], time.monotonic() + 10
    while alive() and time.monotonic() < until:
        for process in children():
            left.append(f"{process}: {described(process)}")
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)  # its children come to us
    return left


def alive():
    """Whether there are children that live; the others are buried."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def children():
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children", encoding="ascii") as file:
        return [int(number) for number in file.read().split()]


def described(process):
    """State and command line."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as stat, open(f"/proc/{process}/cmdline", "rb") as line:
            state = stat.read().rpartition(")")[2].split()[0]
            return f"{state} {line.read()[-200:].replace(bytes(1), b' ').decode('utf-8', 'replace')}"
    except OSError:
        return "has just ended"


if __name__ == "__main__":
    main()
