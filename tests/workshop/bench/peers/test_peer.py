"""The small guard itself, and what is held against those who carry it out."""

from contextlib import nullcontext

import pytest

from tests.workshop.bench.peers.asking import EVENTS
from wasmguard.errors import HostError
from wasmguard.workshop.bench.peers import peer as module
from wasmguard.workshop.bench.peers.peer import Peer, denied, first_answer, needs_package, needs_program, program, wrong


def peer(**more):
    return Peer(name="it", about="", lacking=lambda: "", start=lambda _: nullcontext(denied), **more)


def test_the_small_guard_denies_what_it_says_and_nothing_else():
    stopped = [event.fields["tool_input"] for event in EVENTS if denied(event.fields)]
    assert all("rm -rf" in given.get("command", "") or given["file_path"].startswith("/etc") for given in stopped)
    assert len(stopped) == 7


@pytest.mark.parametrize("fields", [{}, {"tool_name": "Bash"}, {"tool_name": "Bash", "tool_input": {"command": 1}}])
def test_about_what_is_no_tool_call_it_has_no_opinion(fields):
    assert not denied(fields)


def test_a_right_answer_is_kept():
    assert [first_answer(peer(), lambda given: denied(given.fields), event) for event in EVENTS] == [
        denied(event.fields) for event in EVENTS
    ]


@pytest.mark.parametrize("event", EVENTS[:4], ids=range(4))
def test_a_wrong_answer_ends_it(event):
    with pytest.raises(HostError, match=r"^`it` gives a wrong answer about `Bash`: measure without it$"):
        first_answer(peer(), lambda given: not denied(given.fields), event)


def test_who_has_policies_of_its_own_may_answer_otherwise():
    assert first_answer(peer(own=True), lambda _: True, EVENTS[4])


def test_an_answer_that_comes_too_late_is_none(monkeypatch):
    times = iter([100.0, 110.1])
    monkeypatch.setattr(module, "perf_counter", lambda: next(times))
    with pytest.raises(HostError, match=r"^it took 10\.1 s about `Bash`, and may take 10$"):
        first_answer(peer(), lambda given: denied(given.fields), EVENTS[0])


def test_what_is_raised_about_a_wrong_answer_names_who_and_what():
    assert str(wrong(peer(), EVENTS[-2])) == "`it` gives a wrong answer about `Write`: measure without it"


def test_what_is_not_there_is_named():
    assert needs_program("sh", "no-such-program-anywhere")() == "`no-such-program-anywhere` is not on the path"
    assert (
        needs_package("no_such_package_anywhere")() == "the Python package `no_such_package_anywhere` is not installed"
    )
    assert needs_program("sh")() == needs_package("json")() == ""


def test_programs_beside_the_interpreter_come_first(tmp_path, monkeypatch):
    beside = tmp_path / "sh"
    beside.write_text("#!/bin/sh\n")
    beside.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(tmp_path / "python"))
    assert program("sh") == str(beside)
    assert program("no-such-program-anywhere") == ""
