"""What is watched runs in a jailed cell of its own, which is believed no more than it has to be."""

import os

import pytest

from tests.sandbox.cells import PASS, REQUEST, children, lying, natively, processes
from tests.sandbox.test_opa import INPUT
from tests.sandbox.test_opa import code as code_of_opa
from tests.sandbox.test_watched import BOTH, COMPONENTS, CORE, OPA, PATIENT, SETUPS, outcome
from wasmguard.errors import CellDied, NotAtOnce
from wasmguard.limits import KIB, MIB, ROOMY
from wasmguard.sandbox import process, watching
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.isolation import PROCESS, THREAD, Cells
from wasmguard.sandbox.spec import Spec
from wasmguard.sandbox.watched import NO_MEMORY
from wasmguard.sandbox.watching import WatchedCells, believed

DATA = {kind: setup.as_dict() for kind, setup in SETUPS.items()}
OF_COMPONENTS = ROOMY.replaced(memory=16 * MIB, stack=Setup().stack)


@pytest.fixture
def prepared(assembled):
    """What a cell is told about the guest of that name, and what fetches its code."""

    def prepare(name):
        if name.startswith("opa_"):
            native, imports = code_of_opa(assembled(name))
            return Spec(kind="core", limits=PATIENT, answer=PATIENT.answer, opa=imports), lambda: native
        limits = OF_COMPONENTS if name.startswith("component_") else PATIENT
        spec, native = natively(assembled(name), limits)
        return spec, lambda: native

    return prepare


@pytest.fixture
def cells():
    """Watched cells and ordinary ones, in processes that end with the test."""
    made = []

    def make(kind=WatchedCells, isolation=PROCESS):
        made.append(kind(find(), DATA, slots=4, event=MIB, isolation=isolation))
        return made[-1]

    yield make
    for each in made:
        each.close()


@BOTH
def test_it_says_in_a_cell_what_it_says_unwatched_and_never_runs_here(
    cells, prepared, never_here, monkeypatch, portable
):
    """Every kind of guest and of failure: answer, fault and fuel, and what was seen, also of what failed."""
    monkeypatch.setenv("WASMGUARD_PORTABLE", "1" if portable else "0")
    mine, plain = cells(), cells(Cells)
    names = (*CORE, *OPA, *COMPONENTS)
    pairs = {name: [each.guest(name, *prepared(name)) for each in (plain, mine)] for name in names}
    for name, (unwatched, watched) in pairs.items():
        request = INPUT if name in OPA else REQUEST
        said = outcome(unwatched, request)
        assert outcome(watched, request) == said, name
        (seen,) = mine.seen
        assert (seen.request, seen.fuel) == (request, said[-1])
        assert seen.nanoseconds > 0 < seen.carry
        mine.seen.clear()


@BOTH
def test_a_memory_is_seen_in_a_cell_as_it_is_here(cells, prepared, monkeypatch, portable):
    monkeypatch.setenv("WASMGUARD_PORTABLE", "1" if portable else "0")
    mine = cells()
    memories = {"pass": 1, "grow_then_answer": 2, "unreachable": 1, "loop_start": None}
    guests = [mine.guest(name, *prepared(name)) for name in memories]
    for (name, pages), guest in zip(memories.items(), guests, strict=True):
        outcome(guest, REQUEST)
        assert mine.seen[-1].memory == (None if pages is None else pages * 64 * KIB), name
        assert (mine.seen[-1].evaluate > 0) is (name != "loop_start")


@pytest.mark.parametrize("isolation", [PROCESS, THREAD])
def test_the_memory_that_a_component_needs_is_found_in_one_more_cell_which_ends(cells, prepared, isolation):
    mine, before = cells(isolation=isolation), children()
    for name in ("component_counter", "component_trap", "pass"):
        mine.guest(name, *prepared(name))
    assert [mine.least_memory(place, b"x") for place in range(3)] == [128 * KIB, None, None]
    assert mine.seen == [], "nobody is told of a try"
    assert children() == before


def test_the_memory_that_a_component_needs_is_found_without_running_it_here(cells, prepared, never_here):
    mine = cells()
    mine.guest("it", *prepared("component_counter"))
    assert mine.least_memory(0, b"x") == 128 * KIB


def test_a_watched_guest_is_never_asked_at_once(cells, prepared):
    guest = cells().guest("it", *prepared("pass"))
    assert guest.evaluate(REQUEST)[0] == PASS
    with pytest.raises(NotAtOnce):
        guest.evaluate(REQUEST, at_once=True)


def test_an_answer_may_be_as_long_as_that_of_an_unwatched_guest_and_no_longer(cells, prepared):
    spec, code = prepared("pass")
    exactly = spec.replaced(answer=len(PASS)), code
    too_long = spec.replaced(answer=len(PASS) - 1), code
    mine, plain = cells(), cells(Cells)
    assert mine.guest("it", *exactly).evaluate(REQUEST)[0] == PASS
    assert "invalid answer" in outcome(mine.guest("other", *too_long), REQUEST)[1]
    assert outcome(mine.guest("other", *too_long), REQUEST) == outcome(plain.guest("it", *too_long), REQUEST)


def test_only_who_watches_has_it_in_the_load_message(monkeypatch):
    """An ordinary cell loads what it always did: there is no word of its guests, or of ours, that changes that."""
    assert "watched" not in processes()._header
    told = []
    monkeypatch.setattr(process.frames, "message", lambda header, *_: told.append(header) or b"")
    monkeypatch.setattr(process, "_spawned", lambda **_: lying("os._exit(0)"))
    for made in (Cells, WatchedCells):
        mine = made(find(), DATA, slots=4, event=MIB, isolation=PROCESS)
        mine.guest("it", Spec(kind="core", limits=PATIENT, answer=9), lambda: (b"x",))
        mine.begin()
        mine.close()
    assert [header.get("watched") for header in told] == [None, "parts"]


def figures(instantiate=0, evaluate=0, memory=NO_MEMORY):
    return b"".join(number.to_bytes(8, "big") for number in (instantiate, evaluate, memory))


def test_what_was_seen_is_believed_up_to_the_round_trip_and_the_limit():
    seen = believed(b"r", figures(3, 4, 64 * KIB), 5, 10, 64 * KIB)
    assert (seen.instantiate, seen.evaluate, seen.carry, seen.fuel, seen.memory) == (3, 4, 3, 5, 64 * KIB)
    assert believed(b"r", figures(6, 4), None, 10, 0).memory is None


@pytest.mark.parametrize(
    "wrong",
    [b"", figures()[:-1], figures() + b"x", figures(6, 5), figures(2**64 - 1, 2**64 - 1), figures(memory=2 * 64 * KIB)],
    ids=["nothing", "less", "more", "longer", "forever", "memory"],
)
def test_figures_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="figures"):
        believed(b"r", wrong, 1, 10, 64 * KIB)


NO_FIGURES = "channel.sendall(head(number, length=13) + PASS)"
TOO_LONG = "channel.sendall(head(number, length=37) + bytes([255] * 24) + PASS)"
FAILS_WITHOUT = "channel.sendall(head(number, kind=1, length=4) + b'oops')"
FAILS_WITH_BLANKS = "channel.sendall(head(number, kind=1, length=48) + b' ' * 48)"


@pytest.mark.parametrize("lie", [NO_FIGURES, TOO_LONG, FAILS_WITHOUT, FAILS_WITH_BLANKS])
def test_a_cell_that_lies_about_what_was_seen_ends_and_its_evaluation_took_the_round_trip(
    cells, prepared, monkeypatch, lie
):
    program = f"ready()\nwhile True:\n    number = asked()\n    {lie}\n"
    monkeypatch.setattr(process, "_spawned", lambda **_: lying(program))
    mine = cells()
    guest = mine.guest("it", *prepared("pass"))
    with pytest.raises(CellDied, match="broke the protocol"):
        guest.evaluate(REQUEST)
    (seen,) = mine.seen
    assert (seen.evaluate, seen.carry, seen.fuel, seen.memory) == (0, 0, None, None)
    assert seen.instantiate > 0
    assert mine.pids() == []


def test_guests_are_watched_in_processes_wherever_there_are_any(monkeypatch):
    assert watching.isolation() == PROCESS
    monkeypatch.delattr(os, "fork")
    assert watching.isolation() == THREAD


@pytest.mark.parametrize("isolation", [PROCESS, THREAD])
def test_loading_is_timed_anew_each_time_and_changes_nothing(cells, prepared, isolation):
    mine = cells(isolation=isolation)
    guest = mine.guest("it", *prepared("pass"))
    assert [taken > 0 for taken in mine.load_times(3)] == [True] * 3
    assert mine.watched == [guest]
