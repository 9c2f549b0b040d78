"""The public API as oracle: the direct call path and the portable one agree about every guest there is."""

import errno
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.cells import PASS, REQUEST, descriptors, natively, processes
from wasmguard.errors import CacheError, GuestFault, HostError, InvalidAnswer, ModuleRefused, Trapped
from wasmguard.limits import DEFAULT, ROOMY
from wasmguard.sandbox.bindings import Library, find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.compile import compiled
from wasmguard.sandbox.engine import Engine, Setup
from wasmguard.sandbox.inert import Inert
from wasmguard.sandbox.portable import ComponentGuest, PortableCoreGuest, PortableEngine
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.sandbox.wasi import compiled_inert

ROOT = Path(__file__).parents[2]
GUESTS = sorted(path.stem for path in (ROOT / "tests" / "guests").glob("*.wat"))
BUILT = sorted(path.parent.name for path in (ROOT / "build").glob("*/policy.wasm"))
PATIENT = DEFAULT.replaced(clock=2_000)  # so that fuel fires first on a busy machine too: the clock is not exact
REQUESTS = [
    b"",
    b"\x80",
    b"\xc1",
    b"\xdf\xff\xff\xff\xff",
    b"\x81" * 5000,
    b"\x84\xa3abi\x01\xa5event\x80\xa8settings\x80\xa5state\xc0",
    b"\x84" + b"x" * 70_000,
]


@pytest.fixture(scope="module")
def engines():
    return Engine(Library(find()), Setup(), 4), PortableEngine(Setup())


@pytest.fixture(scope="module")
def component_engine():
    return PortableEngine(Setup(kind="component"))


def outcome(guest, request):
    """Everything that may be compared: answer and fuel, or the fault's class, text and fuel."""
    try:
        return guest.evaluate(request)
    except GuestFault as fault:
        return type(fault), str(fault), fault.fuel


@pytest.fixture(scope="module")
def around():
    return compiled_inert(Setup(), DEFAULT)


def both(engines, code, inert=None):
    kinds = zip((CoreGuest, PortableCoreGuest), engines, strict=True)
    return [kind(engine, code, PATIENT, PATIENT.answer, inert) for kind, engine in kinds]


@pytest.mark.parametrize("name", GUESTS)
def test_both_paths_agree_about_every_test_guest(engines, assembled, around, name):
    try:
        module = assembled(name)
        shape = scan(module)
        check_abi(shape)
        code = compiled(module, Setup(), DEFAULT)
    except ModuleRefused:
        return  # neither path ever sees it
    if shape.kind == "core":
        inert = Inert(shim=around[0], fixup=around[1], imports=shape.wasi) if shape.wasi else None
        direct, portable = both(engines, code, inert)
        for request in REQUESTS:
            assert outcome(direct, request) == outcome(portable, request)


@pytest.mark.parametrize("name", BUILT)
def test_both_paths_agree_about_every_shipped_policy(engines, name):
    code = compiled((ROOT / "build" / name / "policy.wasm").read_bytes(), Setup(), DEFAULT)
    direct, portable = both(engines, code)
    for request in REQUESTS:
        assert outcome(direct, request) == outcome(portable, request)


def test_what_stands_around_a_policy_takes_none_of_its_room_on_either_path(engines, assembled, around):
    narrow = PATIENT.replaced(instances=1, memories=1, tables=0)
    code, names = compiled(assembled("wasi_write"), Setup(), DEFAULT), ("fd_write", "fd_write")
    inert = Inert(shim=around[0], fixup=around[1], imports=names)
    for kind, engine in zip((CoreGuest, PortableCoreGuest), engines, strict=True):
        assert kind(engine, code, narrow, 100, inert).evaluate(b"")[0] == b"\x81\xa6effect\xa4pass"


def component(component_engine, assembled, name):
    code = compiled(assembled(name), component_engine.setup, ROOMY)
    return ComponentGuest(component_engine, code, ROOMY, ROOMY.answer)


def test_a_component_is_answered(component_engine, assembled):
    answer, fuel = component(component_engine, assembled, "component_pass").evaluate(REQUESTS[-1])
    assert (answer, fuel > 0) == (b"\x81\xa6effect\xa4pass", True)


def test_the_error_arm_of_a_component_is_a_fault(component_engine, assembled):
    with pytest.raises(InvalidAnswer, match="reports an error"):
        component(component_engine, assembled, "component_error").evaluate(REQUESTS[-1])


def test_a_trap_in_a_component_is_a_fault_and_the_next_event_is_answered(component_engine, assembled):
    trapping = component(component_engine, assembled, "component_trap")
    for _ in range(3):
        with pytest.raises(Trapped, match="unreachable"):
            trapping.evaluate(REQUESTS[-1])
    assert component(component_engine, assembled, "component_pass").evaluate(b"x")[0]


# --- a component's code lies in a file in memory, and its memories start as images of that


def test_what_a_component_writes_into_its_memory_is_gone_at_the_next_event(component_engine, assembled):
    """Pages of an image are shared until they are written, by all guests of the same code too."""
    one, other = (component(component_engine, assembled, "component_counter") for _ in range(2))
    for guest in (one, other, one, other, one):
        assert guest.evaluate(REQUEST)[0] == PASS


def test_so_it_is_in_a_process_which_makes_no_file_any_more(assembled):
    spec, code = natively(assembled("component_counter"))
    cells = processes(1, kind="component")
    try:
        guests = [cells.load(spec, lambda: code) for _ in range(2)]
        said = [guest.evaluate(REQUEST) for _ in range(3) for guest in guests]
        assert len(cells.pids()) == 1
    finally:
        cells.close()
    assert {answer for answer, _ in said} == {PASS}
    assert len(set(said)) == 1


def test_no_descriptor_outlives_its_component(component_engine, assembled):
    gc.collect()
    before = descriptors()
    made = component(component_engine, assembled, "component_pass")
    assert len(descriptors() - before) == 1  # the engine's, from which it maps the images
    del made
    with pytest.raises(CacheError, match="compiled for another engine"):
        ComponentGuest(component_engine, b"no code", ROOMY, ROOMY.answer)
    gc.collect()
    assert descriptors() - before == set()


def test_nobody_can_change_the_file_that_memories_start_from(component_engine, assembled):
    gc.collect()
    before = descriptors()
    guest = component(component_engine, assembled, "component_pass")
    (kept,) = descriptors() - before
    with open(f"/proc/self/fd/{kept}", "r+b", buffering=0) as file:
        with pytest.raises(PermissionError):
            file.write(b"\x7fBAD")
        with pytest.raises(PermissionError):
            file.truncate(0)
    assert guest.evaluate(REQUEST)[0] == PASS


def test_a_file_that_nobody_can_make_or_open_is_said(component_engine, assembled, monkeypatch):
    gc.collect()
    before, made = descriptors(), os.open

    def refused(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def hidden(path, *flags, **more):
        return made("/no/such/place" if str(path).startswith("/proc/self/fd/") else path, *flags, **more)

    code = compiled(assembled("component_pass"), component_engine.setup, ROOMY)
    for broken, why in (("memfd_create", refused), ("open", hidden)):
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, why)
            with pytest.raises(HostError, match=r"cannot keep a component's code in memory: (too many|no such)"):
                ComponentGuest(component_engine, code, ROOMY, ROOMY.answer)
    assert descriptors() == before


def test_it_is_imported_where_there_are_neither_such_files_nor_locks():
    """On Windows nothing else runs a policy."""
    program = "import sys; sys.modules['fcntl'] = None; import wasmguard.sandbox.portable"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
