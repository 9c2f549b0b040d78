"""Bytes in bulk, into a component and out of it."""

import pytest

from tests.sandbox.cells import natively, processes
from wasmguard.errors import InvalidAnswer
from wasmguard.limits import DEFAULT, MIB
from wasmguard.sandbox import inmate, lift
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.portable import ComponentGuest, PortableEngine

PASS = b"\x81\xa6effect\xa4pass"
PATIENT = DEFAULT.replaced(clock=2_000)


@pytest.fixture(scope="module")
def guest(assembled):
    engine = PortableEngine(Setup(kind="component"))

    def load(name, most=DEFAULT.answer):
        _, (code, *_) = natively(assembled(name), PATIENT)
        return ComponentGuest(engine, code, PATIENT, most)

    return load


@pytest.mark.parametrize("size", [0, 1, 255, 65_536, 4 * MIB])
def test_a_request_of_any_size_goes_in(guest, size):
    assert guest("component_pass").evaluate(bytes(range(256)) * (size // 256) + bytes(size % 256))[0] == PASS


def test_an_answer_is_measured_before_anything_is_made_of_it(guest):
    assert guest("component_pass", len(PASS)).evaluate(b"")[0] == PASS
    with pytest.raises(InvalidAnswer, match=r"13 bytes \(limit 12\)"):
        guest("component_pass", len(PASS) - 1).evaluate(b"")


def test_the_error_arm_is_a_fault_with_its_text(guest):
    with pytest.raises(InvalidAnswer, match="the policy reports an error"):
        guest("component_error").evaluate(b"")


def test_a_cell_has_room_for_what_a_byte_becomes():
    assert 2 * lift.VALUE < inmate.CONVERTED


def test_the_largest_usual_event_fits_a_cell_of_components(assembled):
    spec, code = natively(assembled("component_pass"), PATIENT)
    cells = processes(1, kind="component")
    try:
        loaded = cells.load(spec, lambda: code)
        for _ in range(3):
            assert loaded.evaluate(bytes(4 * MIB))[0] == PASS
    finally:
        cells.close()
