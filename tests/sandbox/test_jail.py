"""The jail, from inside: what a process that shut itself in can still do, and what becomes of it if it tries more."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.cells import PATIENT, REQUEST, ROOT, natively, processes
from wasmguard.errors import ModuleRefused
from wasmguard.limits import MIB, ROOMY
from wasmguard.sandbox import jail

FITTING = sys.platform == "linux" and os.uname().machine == "x86_64"
pytestmark = pytest.mark.skipif(not FITTING, reason="the filter is written for x86-64 Linux")
USERS = ["ourselves", "nobody"] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["ourselves"]
PROBES = Path(__file__).with_name("probes.py")


def outcomes(*given):
    """What became of the probes, by group and name."""
    command = [sys.executable, "-I", str(PROBES), *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("layers", ["all", "all beside"])
@pytest.mark.parametrize("user", USERS)
def test_what_a_cell_does_not_need_is_refused_and_what_nobody_tries_by_mistake_ends_it(user, layers):
    made = outcomes(user, layers)
    assert set(made["refused"].values()) == {"EPERM"}, made["refused"]
    assert set(made["killed"].values()) == {"signal 31"}, made["killed"]
    assert set(made["works"].values()) == {"works"}, made["works"]
    assert made["ends"].pop("thread") in ("signal 31", "RuntimeError")  # the latter if there is no room for its stack
    assert made["ends"] == {
        "abort": "signal 6",
        "fault": "signal 11",  # and not the kernel's and the handler's dance for ever
        "gigabyte": "ENOMEM",
        "object of a gigabyte": "MemoryError",
        "limit": "ValueError",
        "module": "ModuleNotFoundError",
    }


@pytest.mark.parametrize("layers", ["landlock", "landlock beside"])
def test_landlock_alone_keeps_every_thread_from_files(layers):
    """Also the clock, which the jail starts: Landlock holds for the threads that are started inside of it."""
    made = outcomes(USERS[-1], layers, "refused")["refused"]
    files = ("open", "openat", "creat", "environment")
    assert {made[name] for name in files} <= {"EACCES", "EMFILE"}, made  # nor are there descriptors for them


def test_the_filter_alone_keeps_from_files_and_sockets():
    made = outcomes(USERS[-1], "seccomp", "refused", "killed")
    assert set(made["refused"].values()) == {"EPERM"}
    assert set(made["killed"].values()) == {"signal 31"}


MISSING = """
import sys
sys.path.insert(0, {root!r})
from wasmguard.sandbox import jail
jail._landlock = jail._seccomp = lambda *_: 0
{more}
print(jail.enter(2**30, channel=3, follow=False, threads=lambda: None))
"""


@pytest.mark.parametrize(
    ("more", "why"), [("", "x86_64)"), ("jail.MAPPED = '/nowhere'", "; no bound on memory: /proc is not there")]
)
def test_a_layer_that_is_missing_makes_the_isolation_partial_and_is_named(more, why):
    program = MISSING.format(root=str(ROOT), more=more)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    report = eval(done.stdout)
    assert report["isolation"] == "partial"
    assert report["why"].startswith("no Landlock in this kernel (linux); no filter of system calls for this kernel")
    assert report["why"].endswith(why)


def test_every_step_of_the_filter_ends_or_goes_on_inside():
    """A jump behind the end would be refused by the kernel; one that is off by one would not."""
    steps = jail._filter(1, 3)
    for place, step in enumerate(steps):
        code, if_true, if_false = int.from_bytes(step[:2], "little"), step[2], step[3]
        assert len(step) == 8
        assert code in (0x20, 0x06, 0x15, 0x35, 0x45, 0x54)
        assert place + 1 + max(if_true, if_false) < len(steps) or code == 0x06
    assert steps[-1] == jail._give(jail.EPERM)


def test_no_call_is_both_allowed_and_deadly():
    special = {jail.MMAP, jail.MPROTECT, jail.MADVISE, jail.TGKILL, jail.SENDTO, jail.RECVFROM, jail.FUTEX}
    groups = [set(jail.ALLOWED.values()), set(jail.KILLED.values()), special]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert [len(jail.ALLOWED), len(jail.KILLED)] == [len(group) for group in groups[:2]]


LOOKING = """
import os, sys
sys.path.insert(0, {root!r})
from wasmguard.sandbox import jail
os.symlink("/nowhere", "link")
link, here = os.path.abspath("link"), os.open(".", os.O_RDONLY)
jail.enter(2**30, channel=3, follow=False, threads=lambda: None, looks={looks})
said = []
for look in (
    lambda: os.lstat(link),
    lambda: os.stat("/"),
    lambda: os.lstat("link", dir_fd=here),
    lambda: os.readlink(link),
    lambda: open("/etc/passwd"),
    lambda: os.listdir("/"),
    lambda: os.getcwd(),
):
    try:
        look()
        said.append("works")
    except OSError as error:
        said.append("refused")
os._exit(0 if said == {expected} else 1)
"""


@pytest.mark.parametrize("looks", [True, False])
def test_who_checks_grants_may_see_what_is_at_a_path_itself_and_nothing_else(looks, tmp_path):
    expected = ["works" if looks else "refused", *["refused"] * 6]
    program = LOOKING.format(root=str(ROOT), looks=looks, expected=expected)
    assert subprocess.run([sys.executable, "-I", "-c", program], check=False, cwd=tmp_path).returncode == 0


def test_the_filter_of_a_cell_is_not_the_one_that_looks():
    cell, looking = jail._filter(1, 3), jail._filter(1, 3, looks=True)
    assert looking[: len(cell) - 1] == cell[:-1]
    assert looking[-1] == cell[-1] == jail._give(jail.EPERM)
    for place, step in enumerate(looking):
        assert place + 1 + max(step[2], step[3]) < len(looking) or step[0] == 0x06


# --- a real cell ----------------------------------------------------------------------------------------------------
@pytest.fixture
def cell(assembled):
    """A cell that has answered, and its process."""
    mine = processes(2)
    spec, code = natively(assembled("pass"))
    guest = mine.load(spec, lambda: code)
    guest.evaluate(REQUEST)
    yield mine, Path(f"/proc/{mine.pids()[0]}")
    mine.close()


def test_a_cell_of_this_machine_is_fully_isolated(cell):
    report = cell[0].start()
    assert (report["isolation"], report["why"]) == ("full", "")
    assert report["landlock"] > 0 < report["seccomp"]
    assert {"RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC"} <= set(report["limits"])


def test_every_thread_of_a_cell_is_filtered_and_gains_nothing(cell):
    threads = [path.read_text() for path in cell[1].glob("task/*/status")]
    assert len(threads) == 2  # it and its clock
    for status in threads:
        assert "NoNewPrivs:\t1\n" in status
        assert "Seccomp:\t2\n" in status


def test_the_limits_of_a_cell_are_hard(cell):
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (cell[1] / "limits").read_text().splitlines()}
    for name in ("Max core file size", "Max file size", "Max processes", "Max open files", "Max locked memory"):
        assert limits[name] == ["0", "0"]
    soft, hard = limits["Max address space"]
    assert int(soft) == int(hard) < 2**30


@pytest.mark.skipif(USERS == ["ourselves"], reason="only root may look into a process that nobody may trace")
def test_a_cell_has_its_channel_and_no_more(cell):
    opened = {path.name: os.readlink(path) for path in (cell[1] / "fd").iterdir()}
    assert {opened.pop(number) for number in ("0", "1", "2")} == {os.devnull}
    assert opened.pop("3").startswith("socket:")
    assert all(target.startswith("/memfd:") for target in opened.values()), opened  # images of guests' memories
    assert (cell[1] / "environ").read_bytes() == b"MALLOC_ARENA_MAX=1\0"
    assert os.readlink(cell[1] / "cwd") == "/"


# --- traced ---------------------------------------------------------------------------------------------------------
TRACED = """
import pickle, sys
from tests.sandbox.cells import REQUEST, processes
from wasmguard.errors import GuestFault
for setup, loads in pickle.load(open(sys.argv[1], "rb")):
    cells = processes(2, **setup)
    guests = [cells.load(spec, lambda code=code: code) for spec, code in loads]
    said = [isolated["isolation"] for isolated in [cells.start()]]
    for guest in guests:
        for request in (b"", REQUEST, bytes(100_000)):
            try:
                said.append(guest.evaluate(request)[0])
            except GuestFault as fault:
                said.append(type(fault).__name__)
    assert "CellDied" not in said, said
    print(len(said))
    cells.close()
"""
NEEDED = {
    *("recvfrom", "sendto", "futex", "mmap", "munmap", "mprotect", "madvise", "brk", "clock_nanosleep", "sigaltstack"),
    *("rt_sigreturn", "exit_group", "exit", "getrandom", "restart_syscall", "clock_gettime", "resumed"),
}


@pytest.fixture(scope="module")
def natives(tmp_path_factory, assembled):
    """A file with every test guest that can be loaded, by engine."""
    roomy = {"kind": "component", "reservation": 32 * MIB, "stack": ROOMY.stack}
    loads = {"core": [], "component": []}
    for path in sorted((ROOT / "tests" / "guests").glob("*.wat")):
        try:
            spec, code = natively(assembled(path.stem), ROOMY if path.stem.startswith("component") else PATIENT)
        except ModuleRefused:
            continue
        loads[spec.kind].append((spec, code))
    assert len(loads["core"]) > 50
    assert len(loads["component"]) > 3
    file = tmp_path_factory.mktemp("natives") / "loads"
    file.write_bytes(pickle.dumps([({}, loads["core"]), (roomy, loads["component"])]))
    return file


def traced(trace):
    """What happened in jailed processes after their filter was there: each call and its result."""
    jailed, threads = set(), {}
    for line in trace.read_text().splitlines():
        pid, what = line.split(None, 1)
        if born := re.search(r"CLONE_THREAD.* = (\d+)$", what):
            threads[born[1]] = pid
        if re.match(r"(<\.\.\. )?seccomp\b.*= 0$", what):  # in two lines, if its clock called something meanwhile
            jailed |= {pid, *(thread for thread, of in threads.items() if of == pid)}
        elif pid in jailed and (name := re.match(r"(?:<\.\.\. )?(\w+)", what)):
            yield name[1], what


@pytest.mark.e2e
@pytest.mark.skipif(not shutil.which("strace"), reason="traces a cell: apt-get install strace")
def test_no_hostile_guest_makes_its_cell_call_anything_but_what_evaluations_need(natives, tmp_path):
    command = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), sys.executable, "-c", TRACED, str(natives)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    calls = list(traced(tmp_path / "trace"))
    assert len([name for name, _ in calls if name == "sendto"]) >= 200
    forbidden = re.compile(r"open|socket|connect|exec(?!it)|fork|clone|memfd|bind|accept")
    assert [what for name, what in calls if forbidden.match(name) and not name.startswith("exit")] == []
    assert {name for name, _ in calls} <= NEEDED
