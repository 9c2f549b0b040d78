"""A process that has loaded its guests shuts itself in, and cannot get out again.

Four layers, each useful alone. Where one is missing the cell is still a process of its own, and the report says so:

1. prctl: it cannot be traced or dumped, gains no privileges, and dies with the thread that started it, if asked to.
2. Landlock: no file, no TCP, no abstract Unix socket, no signal to the outside (kernel 5.13, 6.7, 6.12).
3. rlimits: no core file, no file growth, no new process, no new descriptor, no locked memory, a bound on address space.
4. seccomp: an allow list of system calls, on all threads; what nobody calls by mistake ends the process. It may receive
   and send on its channel, and nothing that can come along with that: no flag but those that are used, no address, no
   descriptor.

Landlock and seccomp overlap on purpose: Landlock does not forbid `socket` itself nor `stat`, and a filter cannot look
at paths. Order matters: import everything, load every module, *then* enter. Landlock holds for the thread that asks and
for those it starts later, so the clock starts inside of it; and before the limits, which allow no thread. Afterwards
nothing can be imported or opened, no thread can be started and no memory made executable.

There are two filters. A cell has the first. A process that decides recorded events again has the guests and the grants
in it; its own differs in one thing: it may ask what kind of file lies at a path, itself and not what a link there leads
to (`lstat`), because grants do (`wasmguard.guest.paths`). A guest that took it over would learn which files there are.

The filter is written for x86-64; system calls have other numbers elsewhere.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

try:
    import resource
except ImportError:  # no Unix
    resource = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38  # linux/prctl.h
SIGKILL = 9

# Landlock's calls have these numbers on every architecture.
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # by ABI: refer came with 2, truncate with 3; ioctl on devices with 5
ALL_FILE_RIGHTS = 16

SECCOMP, SET_MODE_FILTER, ALL_THREADS = 317, 1, 1  # seccomp(2) on x86-64
MAPPED = "/proc/self/statm"  # its first number: pages of address space
X86_64 = 0xC000003E  # AUDIT_ARCH_X86_64
X32 = 0x40000000  # calls of the x32 ABI: other numbers for the same things
ALLOW, KILL, EPERM = 0x7FFF0000, 0x80000000, 0x00050001

# fmt: off
ALLOWED = {
    "munmap": 11, "brk": 12, "rt_sigreturn": 15, "sigaltstack": 131, "clock_gettime": 228, "clock_nanosleep": 230,
    "restart_syscall": 219, "getrandom": 318, "exit": 60, "exit_group": 231,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "getpid": 39, "gettid": 186,  # a crash must come to its end
}
KILLED = {
    "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53, "accept4": 288,
    "fork": 57, "vfork": 58, "clone": 56, "clone3": 435, "execve": 59, "execveat": 322, "kill": 62, "ptrace": 101,
    "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166, "reboot": 169, "unshare": 272, "setns": 308,
    "init_module": 175, "finit_module": 313, "kexec_load": 246, "perf_event_open": 298, "bpf": 321,
    "process_vm_readv": 310, "process_vm_writev": 311, "io_uring_setup": 425, "pidfd_getfd": 438, "tkill": 200,
    "pidfd_send_signal": 424, "userfaultfd": 323, "memfd_create": 319, "keyctl": 250, "add_key": 248,
}
# fmt: on
"""What no cell calls by mistake: the process ends with SIGSYS, and its parent says so. The rest is refused (EPERM)."""

LSTAT, NEWFSTATAT = 6, 262
AT_FDCWD, NO_FOLLOW = 2**32 - 100, 0x100  # fcntl.h; AT_SYMLINK_NOFOLLOW
"""What `os.lstat` comes to, in one C library or the other."""

MMAP, MPROTECT, MADVISE, TGKILL, SENDTO, RECVFROM, FUTEX = 9, 10, 28, 234, 44, 45, 202
PROT_EXEC = 4
RECEIVE_FLAGS, SEND_FLAGS = (0, 0x40), (0,)  # MSG_DONTWAIT; never MSG_OOB, through which CVE-2025-38236 was reached
SIGABRT = 6
DONT_NEED = 4  # MADV_DONTNEED
FUTEX_COMMAND = 0x7F  # without the flags for private futexes and for the clock
FUTEX_COMMANDS = (0, 1, 9, 10)  # wait, wake, both with a bit set; none of those that know owners (CVE-2014-3153)


def enter(room: int, *, channel: int, follow: bool, threads: Callable[[], None], looks: bool = False) -> dict[str, Any]:
    """Shut this process in with all layers that the machine has. Cannot be undone.

    *room* is how many bytes of address space it may take on top of what it has; *channel* the one descriptor that it
    may talk through; *threads* starts those that it will need; with *follow* it dies when the thread that started it
    does; with *looks* it may see what kind of file is at a path. Returns the report that `wasmguard doctor` shows:
    `landlock` (its ABI, 0 without), `seccomp` (instructions of the filter, 0 without), `limits` (names), `isolation`
    (`full` or `partial`), `why` (what is missing).

    Raises:
        OSError: if a layer that is there refuses. Then no guest may run.
    """
    landlock = seccomp = 0
    linux = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    mapped = _opened(MAPPED)  # before Landlock closes the way there
    if linux:
        _harden(linux, follow=follow)
        landlock = _landlock(linux)
    threads()
    limits = _limit(room, mapped)
    if linux:
        seccomp = _seccomp(linux, channel, looks)
    missing = [] if landlock else [f"no Landlock in this kernel ({sys.platform})"]
    missing += [] if seccomp else [f"no filter of system calls for this kernel ({sys.platform}, {os.uname().machine})"]
    missing += [] if "RLIMIT_AS" in limits else ["no bound on memory: /proc is not there"]
    return {
        "landlock": landlock,
        "seccomp": seccomp,
        "limits": limits,
        "isolation": "partial" if missing else "full",
        "why": "; ".join(missing),
    }


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _limit(room: int, mapped: int | None) -> list[str]:
    """Hard limits; descriptors that are open stay so. Returns the names of those that are in force."""
    size = 0
    if mapped is not None:
        size = int(os.read(mapped, 100).split()[0]) * os.sysconf("SC_PAGE_SIZE")
        os.close(mapped)
    if resource is None:
        return []
    wanted = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NPROC": 0, "RLIMIT_MEMLOCK": 0, "RLIMIT_NOFILE": 0}
    wanted |= {"RLIMIT_AS": size + room} if size else {}
    held = []
    for name, most in wanted.items():
        what = getattr(resource, name, None)
        if what is None:
            continue
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(what, (limit, limit))
        except (OSError, ValueError):
            if sys.platform == "linux":
                raise
            continue  # macOS refuses some of them
        held.append(name)
    return held


def _harden(libc: ctypes.CDLL, *, follow: bool) -> None:
    wanted = {PR_SET_DUMPABLE: 0, PR_SET_NO_NEW_PRIVS: 1} | ({PR_SET_PDEATHSIG: SIGKILL} if follow else {})
    for option, value in wanted.items():
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option} was refused")


def _landlock(libc: ctypes.CDLL) -> int:
    """Deny everything that Landlock can deny. Its ABI, 0 where the kernel has none or it is switched off."""
    abi = libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(LANDLOCK_VERSION))
    if abi < 1:
        return 0
    files = (1 << FILE_RIGHTS.get(abi, ALL_FILE_RIGHTS)) - 1
    net = 0b11 if abi >= 4 else 0  # bind and connect TCP
    scope = 0b11 if abi >= 6 else 0  # abstract Unix sockets, signals
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    attributes = b"".join(part.to_bytes(8, sys.byteorder) for part in (files, net, scope))[:size]
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset was refused")
    try:  # no rule was added: nothing is allowed
        if libc.syscall(LANDLOCK_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)) != 0:
            raise OSError(ctypes.get_errno(), "landlock_restrict_self was refused")
    finally:
        os.close(ruleset)
    return int(abi)


def _seccomp(libc: ctypes.CDLL, channel: int, looks: bool) -> int:
    """Install the filter on all threads. The number of its instructions, 0 where there can be none."""
    if os.uname().machine != "x86_64" or sys.maxsize < 2**32:
        return 0
    steps = _filter(os.getpid(), channel, looks=looks)
    code = ctypes.create_string_buffer(b"".join(steps))
    program = _Program(len(steps), ctypes.addressof(code))
    if libc.syscall(SECCOMP, SET_MODE_FILTER, ctypes.c_ulong(ALL_THREADS), ctypes.byref(program)) == 0:
        return len(steps)
    if ctypes.get_errno() in (errno.ENOSYS, errno.EINVAL):  # a kernel that was built without
        return 0
    raise OSError(ctypes.get_errno(), "the filter of system calls was refused")


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _filter(pid: int, channel: int, *, looks: bool = False) -> list[bytes]:
    """Classic BPF over the call's number, architecture and arguments (`struct seccomp_data`)."""
    steps = [_load(4), _step(0x15, X86_64, 1, 0), _give(KILL)]
    steps += [_load(0), _step(0x35, X32, 0, 1), _give(KILL)]
    # first what every event takes
    steps += _on(RECVFROM, *_must(0, channel), *_must(3, *RECEIVE_FLAGS), _give(ALLOW))
    steps += _on(SENDTO, *_must(0, channel), *_must(3, *SEND_FLAGS), *_must(4, 0), *_must(4, 0, half=4), _give(ALLOW))
    steps += _on(FUTEX, *_must(1, *FUTEX_COMMANDS, mask=FUTEX_COMMAND), _give(ALLOW))
    for number in ALLOWED.values():
        steps += _on(number, _give(ALLOW))
    for number in KILLED.values():
        steps += _on(number, _give(KILL))
    for number in (MMAP, MPROTECT):  # in both the third argument is the protection
        steps += _on(number, _load(_argument(2)), _step(0x45, PROT_EXEC, 0, 1), _give(EPERM), _give(ALLOW))
    steps += _on(MADVISE, *_must(2, DONT_NEED, otherwise=EPERM), _give(ALLOW))
    # abort() signals its own process; nothing else may be signalled, nor itself in another way
    steps += _on(TGKILL, *_must(0, pid), *_must(2, SIGABRT), _give(ALLOW))
    if looks:
        steps += _on(LSTAT, _give(ALLOW))
        here, itself = _must(0, AT_FDCWD, otherwise=EPERM), _must(3, NO_FOLLOW, otherwise=EPERM)
        steps += _on(NEWFSTATAT, *here, *itself, _give(ALLOW))
    return [*steps, _give(EPERM)]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """`struct sock_filter`."""
    return code.to_bytes(2, "little") + bytes([if_true, if_false]) + value.to_bytes(4, "little")


def _load(offset: int) -> bytes:
    return _step(0x20, offset)  # BPF_LD | BPF_W | BPF_ABS, into the accumulator


def _give(action: int) -> bytes:
    return _step(0x06, action)  # BPF_RET


def _argument(index: int) -> int:
    return 16 + 8 * index  # where its low half stands


def _must(index: int, *values: int, mask: int = 0, half: int = 0, otherwise: int = KILL) -> list[bytes]:
    """Do *otherwise* unless the argument at *index* (its high half with *half*) is one of *values*."""
    steps = [_load(_argument(index) + half), *([_step(0x54, mask)] if mask else [])]  # BPF_ALU | BPF_AND
    for place, value in enumerate(values):
        steps.append(_step(0x15, value, len(values) - place, 0))
    return [*steps, _give(otherwise)]


def _on(number: int, *then: bytes) -> list[bytes]:
    """*then*, which gives an action on every way, for this call only."""
    return [_step(0x15, number, 0, len(then)), *then]  # BPF_JMP | BPF_JEQ
