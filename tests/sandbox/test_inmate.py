"""The cell's side: what it knows, what it runs, and that it runs it like any other cell."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
import wasmtime

from tests.sandbox.cells import PATIENT, REQUEST, ROOT, gone, natively, processes
from tests.serve.host import SECRET, Host, ended, wire
from wasmguard.errors import GuestFault, ModuleRefused, OutOfTime
from wasmguard.limits import MIB, ROOMY
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.inmate import BESIDE

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a process that nobody may trace")
GUESTS = sorted(path.stem for path in (ROOT / "tests" / "guests").glob("*.wat"))
PATIENT_TOO = ROOMY.replaced(clock=2_000)
ROOMY_SETUP = {"kind": "component", "reservation": 32 * MIB, "stack": ROOMY.stack}
LOOPS = """
[[policy]]
name = "loops"
module = "loops.wasm"
limits.fuel = 1_000_000_000
limits.clock = 2_000
"""


# --- what it knows --------------------------------------------------------------------------------------------------
def memory(pid):
    """Everything that a process has in its memory."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end, kind = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if kind[0] != "r" or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            file.seek(int(begin, 16))
            found.append(file.read(int(end, 16) - int(begin, 16)))
    return b"\n".join(found)


def jailed_below(pid, seconds=20):
    """The jailed process among the descendants of *pid*, and the others."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = [pid]
        for one in found:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        filtered = [one for one in found if "Seccomp:\t2" in Path(f"/proc/{one}/status").read_text()]
        if filtered:
            return filtered[0], [one for one in found if one not in filtered]
        time.sleep(0.002)
    raise AssertionError("no cell was started")


@ROOT_ONLY
@pytest.mark.parametrize("isolated", [True, False])
def test_a_cell_of_a_hook_knows_no_secret_of_its_host(tmp_path, assembled, isolated):
    """It is forked from a process that has them in its environment, and lives in the memory that this one had."""
    host = Host(tmp_path, LOOPS, loops=assembled("loop_evaluate"))
    (key,) = (path.read_bytes() for path in host.home.rglob("key"))
    before = ":" if isolated else 'set -- "$1" -P -c "$4" "$5" "$6" "$7"'  # as a hook that somebody starts without `-I`
    process = host.start(before=before)
    process.stdin.write(wire(tool_input={"file_path": "/x", "content": "x"}))
    process.stdin.close()
    process.stdin = None
    cell, others = jailed_below(process.pid)
    os.kill(cell, signal.SIGSTOP)
    known = memory(cell)
    theirs = b"\n".join(map(memory, others))
    opened = {path.name: os.readlink(path) for path in Path(f"/proc/{cell}/fd").iterdir()}
    environment = Path(f"/proc/{cell}/environ").read_bytes()
    os.kill(cell, signal.SIGCONT)
    assert b"out of" in ended(process).out
    assert gone(cell)
    assert SECRET.encode() in theirs  # so that we know how to look
    assert len(known) > 5 * MIB
    assert key not in known
    for secret in (SECRET.encode(), SECRET.encode()[8:], SECRET.encode("utf-16-le"), SECRET.encode("utf-32-le")):
        assert secret not in known
    assert not environment.strip(b"\0")
    assert set(opened) >= {"0", "1", "2", "3"}
    others_ = [target for number, target in opened.items() if number not in "0123"]
    assert all(target.startswith("/memfd:") for target in others_), opened


@ROOT_ONLY
def test_a_spawned_cell_knows_no_secret_of_its_host(assembled, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    os.environb[b"ANOTHER_KEY"] = SECRET[::-1].encode()
    try:
        mine = processes()
        spec, code = natively(assembled("pass"))
        mine.load(spec, lambda: code).evaluate(REQUEST)
        known = memory(mine.pids()[0])
        mine.close()
    finally:
        del os.environb[b"ANOTHER_KEY"]
    assert len(known) > 5 * MIB
    assert SECRET.encode() not in known
    assert SECRET[::-1].encode() not in known


# --- what it runs ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def loadable(assembled):
    """What can be loaded of the test guests: by kind, name to what a cell is told and the code."""
    made = {"core": {}, "component": {}}
    for name in GUESTS:
        try:
            spec, code = natively(assembled(name), PATIENT_TOO if name.startswith("component") else PATIENT)
        except ModuleRefused:
            continue
        made[spec.kind][name] = spec, code
    return made


def outcome(guest, request):
    """Everything that may be compared: answer and fuel, or the fault's class, text and fuel."""
    try:
        return guest.evaluate(request)
    except OutOfTime as fault:  # on the clock nobody can be exact
        return type(fault)
    except GuestFault as fault:
        return type(fault), str(fault), fault.fuel


@pytest.mark.parametrize(("kind", "setup"), [("core", {}), ("component", ROOMY_SETUP)])
@pytest.mark.parametrize("portable", [False, True])
def test_a_guest_says_in_a_process_what_it_says_in_a_thread(loadable, kind, setup, portable):
    """Answer, fault and fuel of every guest there is."""
    thread = Cell(find(), {kind: Setup(**setup)}, 4, portable=portable)
    mine = processes(portable=portable, **setup)
    pairs = {}
    for name, (spec, code) in loadable[kind].items():
        pairs[name] = thread.load(spec, code), mine.load(spec, lambda code=code: code)
    assert len(pairs) > 3
    for name, (near, far) in pairs.items():
        for request in (b"", REQUEST, b"\x84" + b"x" * 70_000):
            assert outcome(near, request) == outcome(far, request), name
    mine.close()


# --- what it takes --------------------------------------------------------------------------------------------------
CORE_ANSWER = """
(module (memory (export "memory") 128)
  (func (export "wasmguard_abi_1"))
  (func (export "wasmguard_alloc") (param i32) (result i32) (i32.const 65536))
  (func (export "wasmguard_evaluate") (param i32 i32) (result i64) (i64.const {packed})))"""
COMPONENT_ANSWER = """
(component
  (core module $m (memory (export "memory") 128)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "evaluate") (param i32 i32) (result i32)
      (i32.store (i32.const 20) (i32.const 65536)) (i32.store (i32.const 24) (i32.const {size})) (i32.const 16)))
  (core instance $i (instantiate $m))
  (func (export "evaluate") (param "request" (list u8)) (result (result (list u8) (error string)))
    (canon lift (core func $i "evaluate")
      (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"""


@pytest.mark.parametrize(("kind", "text"), [("core", CORE_ANSWER), ("component", COMPONENT_ANSWER)])
def test_the_largest_event_with_settings_and_state_may_have_a_large_answer(kind, text):
    """A rewritten output, and what the policy remembers, come on top of an ordinary answer."""
    size, event = 2 * MIB, 4 * MIB
    module = bytes(wasmtime.wat2wasm(text.format(size=size, packed=(65536 << 32) + size)))
    spec, code = natively(module, PATIENT.replaced(answer=size))
    mine = processes(1, event=event, kind=kind)
    guest = mine.load(spec, lambda: code)
    for asked in (b"x", bytes(event + BESIDE), b"x"):
        assert guest.evaluate(asked)[0] == asked[:1] * min(len(asked), size) + bytes(size - min(len(asked), size))
    mine.close()


def kibibytes(pid, what):
    """A line of a process's status, in KiB."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1])


def test_hostile_events_leave_nothing_in_the_parent_and_little_in_the_cell(loadable):
    """The bars are 5 MiB over 10,000 events and 64 MiB over the baseline: here with fewer events."""
    mine = processes()
    guests = [mine.load(spec, lambda code=code: code) for spec, code in loadable["core"].values()]
    mine.start()
    (pid,) = mine.pids()
    baseline, first = kibibytes(pid, "VmRSS"), 0
    for round_ in range(6):
        for guest in guests:
            outcome(guest, bytes(300_000) if round_ == 0 else REQUEST)
        first = first or kibibytes("self", "VmRSS")
    assert mine.pids() == [pid]
    assert kibibytes(pid, "VmHWM") - baseline <= 64 * 1024
    assert kibibytes("self", "VmRSS") - first <= 5 * 1024
    mine.close()
