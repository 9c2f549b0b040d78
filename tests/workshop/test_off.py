"""`wasmguard off`: a person at a terminal, for a while, on the record."""

import os

import pytest

from tests.recorded import waiting
from tests.workshop.test_owner import at_a_terminal
from wasmguard import audit, switch
from wasmguard.errors import HostError, UsageError
from wasmguard.workshop import off as workshop
from wasmguard.workshop import owner

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """A terminal."""
    monkeypatch.setattr(owner.os, "isatty", lambda _descriptor: True)


def off(duration="10m", word="off", environ=()):
    return workshop.off(duration, ask=lambda _question: word, environ=dict(environ), proc="/nowhere")


def records():
    return [record["kind"] for record in waiting()]


def test_it_is_off_for_the_time_and_on_the_record():
    said = off("10m")
    assert "10 minutes" in said
    assert switch.off_until() is not None
    assert records() == ["off"]


def test_on_ends_it_and_is_recorded():
    assert workshop.on() == "on, as it was"
    assert records() == []
    off()
    assert workshop.on() == "on"
    assert switch.off_until() is None
    assert records() == ["off", "on"]


@pytest.mark.parametrize("duration", ["9h", "0s", "1d", ""])
def test_a_while_is_at_most_eight_hours(duration):
    with pytest.raises(UsageError, match=r"like `10m`|8 hours"):
        off(duration)
    assert records() == []


def test_whoever_does_not_type_the_word_changed_nothing():
    with pytest.raises(UsageError, match="nothing changed"):
        off(word="yes")
    assert switch.off_until() is None
    assert records() == []


def test_only_the_owner_may(monkeypatch):
    with pytest.raises(UsageError, match="inside an agent"):
        off(environ={"CLAUDECODE": "1"})
    monkeypatch.setattr(owner.os, "isatty", lambda _descriptor: False)
    with pytest.raises(UsageError, match="only at a terminal"):
        off()
    assert switch.off_until() is None
    assert records() == []


def test_what_cannot_be_recorded_does_not_happen(monkeypatch):
    def fails(*_, **__):
        raise HostError("no room")

    monkeypatch.setattr(audit, "record", fails)
    with pytest.raises(HostError, match="no room"):
        off()
    assert switch.off_until() is None


def test_what_was_recorded_and_did_not_happen_is_recorded_too(monkeypatch):
    def fails(_seconds):
        raise HostError("no room")

    monkeypatch.setattr(switch, "switch_off", fails)
    with pytest.raises(HostError, match="no room"):
        off()
    assert records() == ["off", "off failed"]


def test_the_record_is_there_before_the_guard_is_off(monkeypatch):
    order = []
    monkeypatch.setattr(audit, "record", lambda kind, **_: order.append(kind))
    monkeypatch.setattr(switch, "switch_off", lambda seconds: order.append(seconds) or 0)
    off()
    assert order == ["off", 600]


def test_only_whose_folder_it_is_may(monkeypatch):
    audit.record("on")
    here = os.geteuid()
    with monkeypatch.context() as other:
        other.setattr(owner.os, "geteuid", lambda: here + 1)
        with pytest.raises(HostError, match=f"belongs to user {here}"):
            off()
    assert switch.off_until() is None


STATEMENT = "from wasmguard.workshop.off import off; print(off('10m', environ={}, proc='/nowhere'))"


def test_a_person_types_the_word_at_a_terminal():
    status, said = at_a_terminal(STATEMENT, b"off\n")
    assert status == 0, said
    assert "off until" in said
    assert switch.off_until() is not None
    assert waiting()[0]["terminal"].startswith("/dev/")


def test_a_person_types_something_else():
    status, said = at_a_terminal(STATEMENT, b"no\n")
    assert status != 0
    assert "nothing changed" in said
    assert switch.off_until() is None
