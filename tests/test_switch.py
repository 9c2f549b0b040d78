"""The switch: off only as long as a mark of ours says, and on when in doubt."""

import os

import pytest

from wasmguard import plan, switch, wire
from wasmguard.errors import HostError

pytestmark = pytest.mark.usefixtures("own_home")

NOW = 1_800_000_000


@pytest.fixture
def clock(monkeypatch):
    """Sets the clock."""

    def at(time):
        monkeypatch.setattr(switch, "time", lambda: float(time))

    at(NOW)
    return at


def mark(**times):
    plan.ledger().write(switch.NAME, wire.written(times).encode())


def mark_file():
    return os.path.join(plan.ledger().folder, switch.NAME)


def test_it_is_on_from_the_start():
    assert switch.off_until() is None


def test_it_is_off_from_its_start_to_its_end(clock):
    assert switch.switch_off(600) == NOW + 600
    assert switch.off_until() == NOW + 600
    clock(NOW + 599.9)
    assert switch.off_until() == NOW + 600
    clock(NOW + 600)
    assert switch.off_until() is None


def test_it_can_be_turned_on_early_and_twice(clock):
    switch.switch_off(600)
    switch.switch_on()
    assert switch.off_until() is None
    switch.switch_on()


def test_a_later_mark_takes_the_place_of_an_earlier_one(clock):
    switch.switch_off(600)
    switch.switch_off(60)
    assert switch.off_until() == NOW + 60


def test_a_clock_that_was_set_back_does_not_make_it_longer(clock):
    switch.switch_off(600)
    clock(NOW - 1)
    assert switch.off_until() is None


@pytest.mark.parametrize("seconds", [0, -1, switch.LONGEST + 1])
def test_there_is_a_longest_time(clock, seconds):
    with pytest.raises(ValueError, match="not between"):
        switch.switch_off(seconds)
    assert switch.off_until() is None


@pytest.mark.parametrize(
    "times",
    [
        {"start": NOW - 1, "end": NOW + switch.FORGED + 1},
        {"start": NOW - switch.LONGEST, "end": NOW + 1},
        {"start": NOW + 1, "end": NOW + 2},
        {"start": float(NOW), "end": NOW + 60},
        {"start": NOW, "end": True},
        {"start": None, "end": NOW + 60},
        {"end": NOW + 60},
        {},
    ],
)
def test_times_that_we_never_write_do_not_count(clock, times):
    mark(**times)
    assert switch.off_until() is None


def test_a_mark_that_was_changed_does_not_count(clock):
    switch.switch_off(600)
    with open(mark_file(), "r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data.replace(b'"end":1800000600', b'"end":1800009600'))
    assert switch.off_until() is None


def test_another_sealed_file_is_no_mark(clock):
    plan.ledger().write("other", wire.written({"start": NOW, "end": NOW + 60}).encode())
    os.rename(os.path.join(plan.ledger().folder, "other"), mark_file())
    assert switch.off_until() is None


def test_a_mark_under_another_key_does_not_count(clock, own_home):
    switch.switch_off(600)
    (key,) = own_home.rglob("key")
    key.write_bytes(bytes(32))
    assert switch.off_until() is None


def test_a_mark_that_others_could_have_written_does_not_count(clock):
    switch.switch_off(600)
    os.chmod(mark_file(), 0o666)
    assert switch.off_until() is None


def test_a_link_is_no_mark(clock, tmp_path):
    switch.switch_off(600)
    os.rename(mark_file(), tmp_path / "mark")
    os.symlink(tmp_path / "mark", mark_file())
    assert switch.off_until() is None


def test_anything_else_in_its_place_does_not_count(clock):
    os.makedirs(mark_file(), mode=0o700)
    assert switch.off_until() is None
    with pytest.raises(HostError, match="cannot be removed"):
        switch.switch_on()


def test_while_it_is_on_it_costs_one_look(monkeypatch):
    monkeypatch.setattr(switch, "_standing", lambda _now: pytest.fail("it read a mark that is not there"))
    assert switch.off_until() is None
