"""How far guests are kept away: in processes, or in this very one."""

import os
import time

import pytest

from tests.sandbox.cells import PASS, REQUEST, children, natively
from wasmguard.errors import CacheError, HostError, NotAtOnce
from wasmguard.limits import DEFAULT
from wasmguard.sandbox import isolation
from wasmguard.sandbox.bindings import find
from wasmguard.sandbox.engine import Setup
from wasmguard.sandbox.isolation import PROCESS, THREAD, Cells

SETUPS = {"core": Setup().as_dict(), "component": Setup(kind="component").as_dict()}


@pytest.fixture
def cells():
    made = []

    def make(how, slots=4):
        made.append(Cells(find(), SETUPS, slots=slots, event=DEFAULT.event, isolation=how))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def native(assembled):
    def of(name):
        spec, code = natively(assembled(name))
        return spec, lambda: code

    return of


@pytest.mark.parametrize("how", [PROCESS, THREAD])
def test_a_guest_is_answered_under_either_isolation(cells, native, how):
    mine = cells(how)
    assert mine.guest("one", *native("pass")).evaluate(REQUEST)[0] == PASS
    assert mine.guest("other", *native("component_pass")).evaluate(REQUEST)[0] == PASS
    assert len(mine.pids()) == (2 if how == PROCESS else 0)


@pytest.mark.parametrize("how", [PROCESS, THREAD])
def test_a_guest_is_asked_at_once_under_either_isolation(cells, native, how):
    guest = cells(how).guest("one", *native("pass"))
    with pytest.raises(NotAtOnce):
        guest.evaluate(REQUEST, at_once=True)
    said = guest.evaluate(REQUEST)
    for _ in range(100):  # the clock may be first, or the machine busy
        try:
            assert guest.evaluate(REQUEST, at_once=True) == said
            break
        except NotAtOnce:
            time.sleep(0.1)
    else:
        raise AssertionError("never at once")


def test_each_kind_of_module_has_processes_of_its_own_and_a_report(cells, native):
    mine = cells(PROCESS)
    mine.guest("one", *native("pass"))
    mine.guest("other", *native("component_pass"))
    assert set(mine.start()) == {"core", "component"}
    assert len(set(mine.pids())) == 2


def test_a_thread_starts_no_process_and_reports_none(cells, native):
    before = children()
    mine = cells(THREAD)
    mine.guest("one", *native("pass")).evaluate(REQUEST)
    mine.begin()
    assert (mine.start(), mine.pids(), children()) == ({}, [], before)


def test_a_name_is_loaded_once(cells, native):
    for how in (PROCESS, THREAD):
        mine = cells(how)
        assert mine.guest("one", *native("pass")) is mine.guest("one", *native("deny"))


def test_processes_begin_before_anybody_is_asked(cells, native):
    mine = cells(PROCESS)
    guest = mine.guest("one", *native("pass"))
    assert mine.pids() == []
    mine.begin()
    (pid,) = mine.pids()
    assert guest.evaluate(REQUEST)[0] == PASS
    assert mine.pids() == [pid]


def test_what_cannot_be_loaded_says_so_at_once_in_a_thread_and_when_asked_in_a_process(cells, native):
    spec, _ = native("pass")
    with pytest.raises(CacheError, match="another engine"):
        cells(THREAD).guest("one", spec, lambda: (b"junk",))
    guest = cells(PROCESS).guest("one", spec, lambda: (b"junk",))
    with pytest.raises(HostError, match="another engine"):
        guest.evaluate(REQUEST)


def test_closed_cells_leave_no_process(cells, native):
    before = children()
    mine = cells(PROCESS)
    for name in ("pass", "component_pass"):
        mine.guest(name, *native(name)).evaluate(REQUEST)
    mine.close()
    assert children() == before


def test_a_system_without_processes_says_what_else_there_is(cells, monkeypatch):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(HostError, match='isolation = "thread"'):
        cells(PROCESS)
    cells(THREAD)


@pytest.mark.parametrize(
    ("variable", "platform", "portable"),
    [(None, "linux", False), (None, "darwin", False), ("1", "linux", True), ("0", "linux", False), (None, "aix", True)],
)
def test_the_portable_implementation_is_the_owners_wish_or_where_no_other_was_tried(
    monkeypatch, variable, platform, portable
):
    monkeypatch.delenv("WASMGUARD_PORTABLE", raising=False)
    if variable:
        monkeypatch.setenv("WASMGUARD_PORTABLE", variable)
    monkeypatch.setattr(isolation.sys, "platform", platform)
    assert isolation.wants_portable() is portable
