"""What a jailed process may try, as a program: `probes.py USER LAYERS [GROUP]`.

Each probe runs in a process of its own that has entered the jail. Printed is what became of it, as JSON by group:
`works`, the name of an errno, `signal N`, or an exception's name. USER: `ourselves` or `nobody`. LAYERS: `all`,
`landlock`, `seccomp` alone, or with ` beside`: from a thread that the jail started.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import sys
import threading
import time
from _socket import MSG_DONTWAIT, socketpair
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from wasmguard.sandbox import jail

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
ME, PASSWD, NEW = os.getpid(), b"/etc/passwd", b"/tmp/wasmguard-probe"
FOLDER, FILE, NULL = (os.open(path, os.O_RDONLY) for path in ("/etc", PASSWD, os.devnull))
PIPE = os.pipe()[1]
AREA = mmap.mmap(-1, 1 << 16)
HERE = ctypes.addressof(ctypes.c_char.from_buffer(AREA))
ZEROS = ctypes.create_string_buffer(4096)
HERE_DIRECTORY = -100  # AT_FDCWD

# System calls of x86-64 and their arguments. The files and processes that they name are there.
# fmt: off
REFUSED = {
    "open": (2, PASSWD, 0), "openat": (257, HERE_DIRECTORY, PASSWD, 0),
    "openat2": (437, FOLDER, b"passwd", ZEROS, 24), "creat": (85, NEW, 0o600), "read": (0, FILE, HERE, 100),
    "write": (1, PIPE, PASSWD, 5), "pread": (17, FILE, HERE, 9, 0), "readv": (19, FILE, ZEROS, 1),
    "writev": (20, PIPE, ZEROS, 1), "sendfile": (40, PIPE, FILE, 0, 10), "getdents": (217, FOLDER, HERE, 100),
    "stat": (4, PASSWD, ZEROS), "fstat": (5, FILE, ZEROS), "fstatat": (262, FOLDER, b"passwd", ZEROS, 0),
    "statx": (332, FOLDER, b"passwd", 0, 0, ZEROS), "access": (21, PASSWD, 0),
    "readlink": (89, b"/proc/self/exe", ZEROS, 100), "getcwd": (79, ZEROS, 100), "chdir": (80, b"/tmp"),
    "fchdir": (81, FOLDER), "unlink": (87, NEW), "rename": (82, NEW, PASSWD), "mkdir": (83, NEW, 0o700),
    "chmod": (90, NEW, 0o600), "symlink": (88, NEW, NEW), "link": (86, PASSWD, NEW), "truncate": (76, NEW, 0),
    "mknod": (133, NEW, 0o10600, 0), "inotify": (294, 0), "fanotify": (300, 0, 0), "close": (3, FILE),
    "dup": (32, FILE), "dup2": (33, FILE, 1), "pipe": (22, ZEROS), "eventfd": (290, 0, 0), "epoll": (291, 0),
    "poll": (7, ZEROS, 0, 0), "fcntl": (72, FILE, 0, 100), "flock": (73, FILE, 2),
    "terminal input": (16, 0, 0x5412, PASSWD), "ioctl": (16, FILE, 0x541B, ZEROS),
    "splice": (275, NULL, 0, PIPE, 0, 1, 0), "sendmsg": (46, PIPE, ZEROS, 0), "recvmsg": (47, PIPE, ZEROS, 0),
    "sendmmsg": (307, PIPE, ZEROS, 1, 0), "getsockopt": (55, PIPE, 1, 17, ZEROS, ZEROS), "shutdown": (48, PIPE, 2),
    "be dumpable": (157, 4, 1, 0, 0, 0), "get a name": (157, 15, PASSWD, 0, 0, 0),
    "another filter": (317, 1, 0, ZEROS), "setrlimit": (160, 9, ZEROS), "prlimit": (302, 0, 7, ZEROS, 0),
    "prlimit of another": (302, 1, 7, ZEROS, 0), "getppid": (110,), "getuid": (102,), "setuid": (105, 0),
    "capset": (126, ZEROS, ZEROS), "setpriority": (141, 0, 0, -20), "personality": (135, 0x0400000),
    "uname": (63, ZEROS), "sysinfo": (99, ZEROS), "arch_prctl": (158, 0x1002, 0), "modify_ldt": (154, 0, ZEROS, 16),
    "ioperm": (173, 0, 1, 1), "alarm": (37, 1), "setitimer": (38, 0, ZEROS, 0), "timer": (222, 0, 0, ZEROS),
    "signalfd": (289, -1, ZEROS, 8, 0), "sigqueue": (129, 1, 10, ZEROS), "pidfd": (434, 1, 0),
    "wait": (61, -1, 0, 1, 0), "settimeofday": (164, ZEROS, 0), "sethostname": (170, PASSWD, 4),
    "map code": (9, 0, 4096, 7, 0x22, -1, 0), "map code of a file": (9, 0, 4096, 5, 2, FILE, 0),
    "make code": (10, HERE, 4096, 5), "make code with a key": (329, HERE, 4096, 5, -1),
    "shmget": (29, 0, 4096, 0o1600), "mremap": (25, HERE, 4096, 8192, 1), "poison memory": (28, HERE, 4096, 100),
    "merge memory": (28, HERE, 4096, 12), "mlock": (149, HERE, 4096), "remap": (216, HERE, 4096, 0, 0, 0),
}
KILLED = {
    "socket": (41, 2, 1, 0), "socket unix": (41, 1, 1, 0), "socketpair": (53, 1, 1, 0, ZEROS),
    "connect": (42, PIPE, ZEROS, 16), "bind": (49, PIPE, ZEROS, 2), "listen": (50, PIPE, 1),
    "accept": (43, PIPE, 0, 0), "accept4": (288, PIPE, 0, 0, 0), "fork": (57,), "vfork": (58,),
    "clone": (56, 17, 0, 0, 0, 0), "clone a thread": (56, 0x10F00, 0, 0, 0, 0), "clone3": (435, ZEROS, 88),
    "execve": (59, b"/bin/true", 0, 0), "execveat": (322, FOLDER, b"/bin/true", 0, 0, 0), "ptrace": (101, 0, 0, 0, 0),
    "kill the parent": (62, ME, 0), "kill itself": (62, 0, 9), "tkill": (200, 1, 0),
    "abort the parent": (234, ME, ME, 6), "pidfd signal": (424, NULL, 0, 0, 0), "pidfd_getfd": (438, NULL, 0, 0),
    "read the parent": (310, ME, ZEROS, 1, ZEROS, 1, 0), "write the parent": (311, ME, ZEROS, 1, ZEROS, 1, 0),
    "memfd": (319, b"x", 0), "io_uring": (425, 8, ZEROS), "bpf": (321, 0, ZEROS, 0), "userfaultfd": (323, 0),
    "perf": (298, ZEROS, 0, -1, -1, 0), "keyctl": (250, 0, 0), "add_key": (248, PASSWD, PASSWD, PASSWD, 1, -2),
    "unshare": (272, 0x10000000), "setns": (308, FOLDER, 0), "mount": (165, 0, 0, 0, 0, 0), "umount": (166, ZEROS, 0),
    "chroot": (161, b"/"), "pivot_root": (155, ZEROS, ZEROS), "x32": (0x40000027,),
    "lock with an owner": (202, HERE, 6, 0, 0), "requeue to an owner": (202, HERE, 12, 1, 0, HERE, 0),
    "private lock with an owner": (202, HERE, 134, 0, 0), "send elsewhere": (44, PIPE, PASSWD, 5, 0, 0, 0),
    "receive elsewhere": (45, FILE, HERE, 5, 0, 0, 0),
}
WORKS = {
    "getpid": (39,), "wake": (202, HERE, 129, 1), "take room": (9, 0, 1 << 20, 3, 0x22, -1, 0),
    "give room back": (28, HERE, 4096, 4), "read only": (10, HERE, 4096, 1), "random": (318, ZEROS, 16, 0),
}
# fmt: on


def call(number, *arguments):
    """One system call."""
    given = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    if (result := LIBC.syscall(ctypes.c_long(number), *given)) < 0:
        raise OSError(ctypes.get_errno(), "was refused")
    return result


def calls(group):
    """The calls of a group, as probes."""
    return {name: lambda _, arguments=arguments: call(*arguments) for name, arguments in group.items()}


def itself(number):
    """A signal to this very thread."""
    return lambda _: call(234, os.getpid(), os.getpid(), number)


def silence(channel):
    """Receive as a cell does."""
    with suppress(BlockingIOError):
        channel.recv(1, MSG_DONTWAIT)


PROBES = {
    "refused": calls(REFUSED) | {"environment": lambda _: Path("/proc/self/environ").read_bytes()},
    "killed": calls(KILLED)
    | {
        "stop itself": itself(signal.SIGSTOP),
        "interrupt itself": itself(signal.SIGINT),
        "send to an address": lambda channel: call(44, channel.fileno(), PASSWD, 5, 0, ZEROS, 110),
        "send to a high address": lambda channel: call(44, channel.fileno(), PASSWD, 5, 0, 1 << 32, 110),
        "send out of band": lambda channel: call(44, channel.fileno(), PASSWD, 1, 1, 0, 0),
        "receive out of band": lambda channel: call(45, channel.fileno(), HERE, 1, 0x41, 0, 0),
        "peek": lambda channel: call(45, channel.fileno(), HERE, 1, 0x42, 0, 0),
    },
    "works": calls(WORKS)
    | {
        "memory": lambda _: bytearray(32 << 20),
        "sleep": lambda _: time.sleep(0.01),
        "send": lambda channel: channel.send(b""),
        "receive": silence,
    },
    "ends": {
        "thread": lambda _: threading.Thread(target=int).start(),
        "abort": lambda _: os.abort(),
        "fault": lambda _: ctypes.string_at(8),
        "gigabyte": lambda _: call(9, 0, 1 << 30, 3, 0x22, -1, 0),
        "object of a gigabyte": lambda _: bytearray(1 << 30),
        "limit": lambda _: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)),
        "module": lambda _: __import__("xml.dom.minidom"),
    },
}


def tried(probe, layers):
    """What becomes of *probe*."""
    ours, theirs = socketpair()
    pid = os.fork()
    if pid == 0:
        jailed(probe, layers, theirs)
    theirs.close()
    ours.settimeout(20)
    said = b""
    try:
        while part := ours.recv(100):
            said += part
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return f"signal {status & 0x7F}" if status & 0x7F else said.decode()


def jailed(probe, layers, channel):
    """Enter the jail, try it, and say what became of it."""
    wakes, done, said = threading.Event(), threading.Event(), [b"works"]

    def work():
        wakes.wait()
        try:
            probe(channel)
        except OSError as error:
            said[0] = errno.errorcode.get(error.errno, "?").encode()
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is told
            said[0] = type(error).__name__.encode()
        done.set()

    if layers.startswith("landlock"):
        jail._seccomp = lambda *_: 0
    if layers.startswith("seccomp"):
        jail._landlock = lambda *_: 0
    beside = layers.endswith("beside")
    start = threading.Thread(target=work, daemon=True).start if beside else int
    jail.enter(64 << 20, channel=channel.fileno(), follow=False, threads=start)
    wakes.set()
    if beside:
        done.wait()
    else:
        work()
    channel.sendall(said[0])
    os._exit(0)


def main(user, layers, *groups):
    """Try everything."""
    if user == "nobody":
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    made = {group: {name: tried(probe, layers) for name, probe in PROBES[group].items()} for group in groups or PROBES}
    print(json.dumps(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
