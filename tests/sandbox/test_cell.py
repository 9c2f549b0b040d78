"""Guests inside one process: which implementation runs them, and how many engines that takes."""

import pytest

from tests.sandbox.cells import PASS, REQUEST, natively
from wasmguard.errors import CacheError
from wasmguard.sandbox import cell as module
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.call import CoreGuest
from wasmguard.sandbox.cell import Cell
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.portable import ComponentGuest, PortableCoreGuest

SETUPS = {"core": Setup(), "component": Setup(kind="component")}


@pytest.fixture
def cell():
    return Cell(find(), SETUPS, 4, portable=False)


def test_a_core_module_runs_straight_or_through_the_public_api_and_a_component_always_through_that(cell, assembled):
    portable = Cell(find(), SETUPS, 4, portable=True)
    core, component = natively(assembled("pass")), natively(assembled("component_pass"))
    made = [(CoreGuest, cell.load(*core)), (PortableCoreGuest, portable.load(*core))]
    made += [(ComponentGuest, cell.load(*component)), (ComponentGuest, portable.load(*component))]
    for kind, guest in made:
        assert type(guest) is kind
        assert guest.evaluate(REQUEST)[0] == PASS


def test_cells_of_one_setup_share_their_engine(cell, assembled):
    again = Cell(find(), SETUPS, 4, portable=False)
    engines = {id(one.load(*natively(assembled("pass")))._engine) for one in (cell, again)}
    assert len(engines) == 1


def test_code_of_another_engine_is_not_loaded(cell, assembled):
    spec, _ = natively(assembled("pass"))
    _, foreign = natively(assembled("component_pass"))
    for code in (foreign, (b"",), (b"\x7fELF",)):
        with pytest.raises(CacheError, match="compiled for another engine"):
            cell.load(spec, code)


def test_the_clocks_of_all_its_engines_run_before_a_process_is_shut_in(cell, assembled):
    cell.load(*natively(assembled("pass")))
    cell.load(*natively(assembled("component_pass")))
    cell.start_clocks()
    clocks = [engine.clock for which, engine in module._ENGINES.items() if which[0] == find()]
    assert len(clocks) >= 2
    assert all(clock._alive for clock in clocks)


@pytest.mark.parametrize("name", ["pass", "wasi_write", "loop_start", "wasi_start"])
@pytest.mark.parametrize("portable", [False, True])
def test_to_warm_a_guest_runs_none_of_it(assembled, name, portable):
    """Not even a start function that never ends."""
    guest = Cell(find(), SETUPS, 4, portable=portable).load(*natively(assembled(name)))
    guest.warm()
