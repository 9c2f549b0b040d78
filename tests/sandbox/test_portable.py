"""The public API as oracle: the direct call path and the portable one agree about every guest there is."""

from pathlib import Path

import pytest

from wasmguard.errors import GuestFault, InvalidAnswer, ModuleRefused, Trapped
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
