"""Looking paths up ends: what was made to take minutes is refused, and what a loop cannot wait for is not begun."""

import os
from time import perf_counter_ns, thread_time

import pytest

from tests.protection.house import House
from wasmguard.errors import NotAtOnce
from wasmguard.protection import timed
from wasmguard.protection.paths import Protected
from wasmguard.protection.timed import Timed, TooLong


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return House(tmp_path_factory.mktemp("paths"))


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    return Protected([str(tmp_path_factory.mktemp("guard") / "wasmguard.toml")], [])


REFUSED = "than can be looked up: split it"


def test_many_long_paths_upwards_are_refused_within_a_moment(house, monkeypatch):
    monkeypatch.setattr(timed, "LONGEST_LOOK", 1_000.0)
    begun = thread_time()
    assert REFUSED in house.tool("mcp__a__b", {"x": ["../x/" * 400 + str(n) for n in range(1_999)]})
    assert thread_time() - begun < 2


def test_many_ordinary_paths_are_not(house):
    assert not house.tool("mcp__a__b", {"x": [f"/usr/src/{'folder/' * 16}../{n}" for n in range(1_999)]})


@pytest.mark.parametrize(
    ("tool", "tool_input"),
    [
        ("mcp__a__b", {"x": [f"n{n}/y" for n in range(1_999)]}),
        ("mcp__a__delete", {"x": [f"n{n}/y" for n in range(1_999)]}),
        ("Bash", {"command": "rm n/y;" * 3_000}),
    ],
    ids=["texts", "taken", "command"],
)
def test_what_takes_long_for_other_reasons_is_refused(house, monkeypatch, tool, tool_input):
    monkeypatch.setattr(timed, "LONGEST_LOOK", 0.001)
    assert REFUSED in house.tool(tool, tool_input)


def test_who_has_no_time_left_looks_nothing_up(protected):
    late = Timed(protected, perf_counter_ns() - 1)
    for look in (late.found, late.above):
        with pytest.raises(NotAtOnce):
            look("x", os.getcwd())


def test_a_path_that_alone_could_take_long_is_not_looked_up_at_once(protected):
    soon = Timed(protected, perf_counter_ns() + 10**12)
    assert soon.found("x", "/") == ""
    for path, cwd in (("x/" * 300, "/"), ("x", "/x" * 300)):
        with pytest.raises(NotAtOnce):
            soon.found(path, cwd)
    assert Timed(protected, 0).found("x/" * 300, "/") == ""


def test_the_time_counts_for_one_event_only(protected, monkeypatch):
    monkeypatch.setattr(timed, "LONGEST_LOOK", -1.0)
    one = Timed(protected, 0)
    one.found("a", "/")
    one.found("b", "/")
    with pytest.raises(TooLong):
        one.found("c", "/")
    assert Timed(protected, 0).found("d", "/") == ""


def test_it_is_the_same_protection(protected):
    (known, *_) = protected.known
    assert Timed(protected, 0).found(known, "/") == protected.found(known, "/") != ""
    assert Timed(protected, 0).above(os.path.dirname(known), "/") == protected.above(os.path.dirname(known), "/") != ""
