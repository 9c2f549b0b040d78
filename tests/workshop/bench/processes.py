"""What tests ask about the processes of this machine."""

import os
from time import monotonic, sleep

import pytest

knows_children = pytest.mark.skipif(
    not os.path.exists(f"/proc/self/task/{os.getpid()}/children"),
    reason="this kernel does not say which children a process has",
)


def alive(pid):
    """Whether there is such a process, and it is more than what nobody waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid):
    """All processes below *pid*."""
    found, parents = set(), {pid}
    while parents:
        children = set()
        for parent in parents:
            try:
                with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
                    children |= {int(word) for word in file.read().split()}
            except (FileNotFoundError, ProcessLookupError):
                continue
        found |= children
        parents = children
    return found


def gone(pids, seconds=10.0):
    """Those of *pids* that are still there after some seconds, as soon as there are none."""
    until = monotonic() + seconds
    while (left := {pid for pid in pids if alive(pid)}) and monotonic() < until:
        sleep(0.02)
    return not left
