"""Exceptions: one call, once, soon; whatever is wrong with one, it does not count."""

import os
import threading

import pytest

from wasmguard import exceptions, recorder
from wasmguard.errors import HostError
from wasmguard.event import Event
from wasmguard.exceptions import Exception_

pytestmark = pytest.mark.usefixtures("own_home")

NOW = 1_800_000_000
CONFIG = "/home/me/wasmguard.toml"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Sets the clock."""

    def at(time):
        monkeypatch.setattr(exceptions, "time", lambda: float(time))

    at(NOW)
    return at


def event(name="PreToolUse", agent="claude", **fields):
    said = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "cwd": "/task", "session_id": "s", **fields}
    return Event(name=name, agent=agent, fields={"hook_event_name": name, **said})


def exception(policies=("gate",), start=NOW, seconds=600, config=CONFIG, **changed):
    given = event(**changed)
    bound = {"agent": given.agent, "event": given.name, "tool": given.tool, "cwd": given.fields["cwd"]}
    return Exception_(
        **bound,
        config=config,
        input=exceptions.exact(given.input),
        policies=tuple(policies),
        record="0199aabb",
        start=start,
        end=start + seconds,
    )


def taken(carried=("gate",), config=CONFIG, **changed):
    found = exceptions.found(config, event(**changed))
    return found if found is not None and found.covers(set(carried)) and exceptions.use(found) else None


def file_of(made):
    return os.path.join(exceptions.folder(), made.mark)


def test_there_is_none_from_the_start():
    assert not exceptions.any_()
    assert taken() is None
    assert exceptions.standing() == []


def test_it_counts_once():
    exceptions.add(exception())
    assert exceptions.any_()
    assert exceptions.standing() == [exception()]
    found = taken()
    assert (found.policies, found.record) == (("gate",), "0199aabb")
    assert taken() is None
    assert not exceptions.any_()


def test_it_counts_in_another_session_and_call():
    exceptions.add(exception())
    assert taken(session_id="t", tool_use_id="toolu_9", permission_mode="plan") is not None


@pytest.mark.parametrize(
    "other",
    [
        {"config": "/other.toml"},
        {"agent": "codex"},
        {"name": "PermissionRequest"},
        {"tool_name": "Monitor"},
        {"cwd": "/task/sub"},
        {"cwd": None},
        {"tool_input": {"command": "ls "}},
        {"tool_input": {"command": "ls", "timeout": 1}},
        {"tool_input": {"command": True}},
        {"tool_input": {}},
        {"tool_input": None},
    ],
)
def test_it_is_for_one_very_call(other):
    exceptions.add(exception())
    assert taken(**other) is None
    assert taken() is not None


def test_the_order_of_keys_does_not_matter_where_the_owner_saw_the_input():
    exceptions.add(exception(tool_input={"a": 1, "b": {"c": 2, "d": 3.0}}))
    assert taken(tool_input={"b": {"d": 3, "c": 2}, "a": 1}) is not None


def test_one_by_the_digest_of_a_record_is_for_what_was_sent():
    sent = {"b": 1, "a": 2}
    digest = recorder.input_digest(event(tool_input=sent)).hex()
    exceptions.add(exception().replaced(input=exceptions.as_sent(digest)))
    assert taken(tool_input={"a": 2, "b": 1}) is None
    assert taken() is None
    assert taken(tool_input=sent) is not None


def test_it_is_not_used_up_in_vain():
    exceptions.add(exception())
    assert taken(carried=("gate", "other")) is None
    assert taken(carried=()) is None
    assert taken(carried=("gate",)) is not None


def test_it_never_sets_the_guard_itself_aside():
    for policies in ((), ("wasmguard",), ("gate", "wasmguard")):
        with pytest.raises(ValueError, match="an exception from"):
            exceptions.add(exception(policies=policies))
    exceptions.add(exception())
    assert taken(carried=("wasmguard",)) is None
    assert taken(carried=("gate", "wasmguard")) is None
    assert exceptions.any_()


def test_a_sealed_one_that_names_the_guard_does_not_count():
    made = exception(policies=("gate", "wasmguard"))
    said = {**made.as_dict(), "policies": list(made.policies)}
    exceptions._vault(exceptions.folder()).write(made.mark, exceptions.wire.written(said).encode())
    assert taken() is None
    assert not exceptions.any_()


@pytest.mark.parametrize("name", ["Stop", "UserPromptSubmit", "PostToolUse", "ConfigChange"])
def test_it_is_for_calls_of_tools_only(name):
    with pytest.raises(ValueError, match="an exception from"):
        exceptions.add(exception(name=name))
    assert taken(name=name) is None


def test_it_expires(clock):
    exceptions.add(exception())
    clock(NOW + 599.9)
    assert exceptions.standing() != []
    clock(NOW + 600)
    assert taken() is None
    assert not exceptions.any_()  # swept


def test_a_clock_that_was_set_back_does_not_make_it_longer(clock):
    exceptions.add(exception())
    clock(NOW - 1)
    assert taken() is None


@pytest.mark.parametrize("seconds", [0, -1, exceptions.LONGEST + 1])
def test_there_is_a_longest_time(seconds):
    with pytest.raises(ValueError, match="not between"):
        exceptions.add(exception(seconds=seconds))
    assert not exceptions.any_()


def test_a_forged_end_does_not_count():
    made = exception(seconds=exceptions.LONGEST + 1)
    said = {**made.as_dict(), "policies": list(made.policies)}
    exceptions._vault(exceptions.folder()).write(made.mark, exceptions.wire.written(said).encode())
    assert taken() is None


def changed(path):
    with open(path, "r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data.replace(b'"gate"', b'"safe"'))


def emptied(path):
    os.truncate(path, 0)


def opened(path):
    os.chmod(path, 0o666)


def linked(path):
    os.rename(path, os.path.join(exceptions.plan.ledger().folder, "elsewhere"))
    os.symlink("../elsewhere", path)


def of_another_call(path):
    other = exception(tool_input={"command": "rm"})
    exceptions.add(other)
    os.replace(file_of(other), path)


@pytest.mark.parametrize("how", [changed, emptied, opened, linked, of_another_call])
def test_one_that_was_tampered_with_does_not_count_and_is_swept(how):
    exceptions.add(exception())
    how(file_of(exception()))
    assert taken(carried=("gate",)) is None
    assert taken(carried=("safe",)) is None
    assert not exceptions.any_()


def test_the_list_sweeps_what_does_not_count(clock):
    exceptions.add(exception())
    exceptions.add(exception(tool_input={"command": "pwd"}))
    emptied(file_of(exception()))
    clock(NOW + 1)
    assert [found.mark for found in exceptions.standing()] == [exception(tool_input={"command": "pwd"}).mark]
    clock(NOW + 600)
    assert exceptions.standing() == []
    assert not exceptions.any_()


def test_what_nobody_asks_for_is_swept_by_the_way(clock, monkeypatch):
    exceptions.add(exception())
    clock(os.lstat(exceptions.folder()).st_mtime + exceptions.LONGEST + 1)
    assert taken(tool_input={"command": "pwd"}) is None
    assert not exceptions.any_()


def test_one_that_cannot_be_removed_does_not_count():
    exceptions.add(exception())
    os.unlink(file_of(exception()))
    os.mkdir(file_of(exception()), 0o700)
    assert taken() is None


def test_who_read_it_and_came_second_has_nothing(monkeypatch):
    exceptions.add(exception())

    def late(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(exceptions.os, "unlink", late)
    assert taken() is None


def test_of_those_who_come_together_one_has_it():
    exceptions.add(exception())
    found, ready = [], threading.Barrier(16)

    def comes():
        ready.wait(10)
        found.append(taken())

    coming = [threading.Thread(target=comes) for _ in range(16)]
    for thread in coming:
        thread.start()
    for thread in coming:
        thread.join(30)
    assert [one is not None for one in found].count(True) == 1


def test_one_for_the_same_call_also_sets_aside_whom_the_earlier_one_does_and_neither_gets_longer():
    exceptions.add(exception(seconds=60))
    assert exceptions.add(exception(seconds=600, policies=("other",))).policies == ("gate", "other")
    assert [(found.end, found.policies) for found in exceptions.standing()] == [(NOW + 60, ("gate", "other"))]


def test_what_no_record_can_say_was_never_allowed():
    exceptions.add(exception())
    assert taken(tool_input={"n": 2**80}) is None
    assert exceptions.any_()


def test_one_that_ended_while_it_was_thought_about_does_not_count(clock):
    exceptions.add(exception())
    found = exceptions.found(CONFIG, event())
    clock(NOW + 600)
    assert not exceptions.use(found)
    assert not exceptions.any_()


def test_a_later_one_takes_the_place_of_an_earlier_one():
    exceptions.add(exception(seconds=60))
    exceptions.add(exception(seconds=600, policies=("gate", "other")))
    assert [(found.end, found.policies) for found in exceptions.standing()] == [(NOW + 600, ("gate", "other"))]


def test_one_can_be_ended_before_it_is_used():
    exceptions.add(exception())
    assert exceptions.revoke(exception())
    assert not exceptions.revoke(exception())
    assert taken() is None


def test_there_are_not_endlessly_many(monkeypatch):
    monkeypatch.setattr(exceptions, "MOST", 2)
    exceptions.add(exception(tool_input={"command": "1"}))
    exceptions.add(exception(tool_input={"command": "2"}))
    with pytest.raises(HostError, match="--revoke all"):
        exceptions.add(exception(tool_input={"command": "3"}))


def test_without_any_it_costs_one_look(monkeypatch):
    looked = []
    monkeypatch.setattr(exceptions.os, "lstat", lambda path, real=os.lstat: looked.append(path) or real(path))
    where = exceptions.folder()
    assert not exceptions.any_(where)
    assert looked == [where]


def test_words_of_agents_may_be_any_text():
    odd = {"cwd": "/\ud800", "tool_name": "x\0y", "tool_input": {"a": "\ud800"}}
    exceptions.add(exception(**odd))
    assert taken(**odd) is not None
