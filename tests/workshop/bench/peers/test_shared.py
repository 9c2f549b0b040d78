"""Which events everybody is asked about, and what is told of the others."""

import os

import pytest

from tests.workshop.bench.peers.asking import EVENTS, given
from wasmguard.workshop.bench.peers.shared import shared


def named(name, tool="Bash", **tool_input):
    return given(tool, tool_input).replaced(name=name)


def test_of_ordinary_calls_none_is_left_out_and_nothing_is_left_behind(tmp_path, own_home):
    stop = given("Bash", {}).replaced(fields={"hook_event_name": "Stop"})
    assert shared([stop, *EVENTS], str(tmp_path)) == (dict(enumerate(EVENTS, 1)), [])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("tool_input", [{"command": 1}, {"command": ["rm -rf"]}, {"file_path": None}, None, "rm -rf"])
def test_a_broken_call_is_left_out_for_all(tmp_path, own_home, tool_input):
    broken = given("Bash", tool_input).replaced(name="broken")
    fine = named("fine", command="ls")
    assert shared([broken, fine], str(tmp_path)) == (
        {1: fine},
        ["peers: not asked about `broken`: its input is broken"],
    )


def test_what_only_wasmguard_denies_is_left_out_for_all(tmp_path, own_home):
    off, fine = named("off", command="wasmguard off"), named("fine", command="rm -rf build")
    notes = ["peers: not asked about `off`: wasmguard protects itself there"]
    assert shared([fine, off], str(tmp_path)) == ({0: fine}, notes)


def test_without_a_tool_call_nobody_is_asked(tmp_path):
    stop = given("Bash", {}).replaced(fields={"hook_event_name": "Stop"})
    notes = ["peers: no event is `PreToolUse`, and no other is known to all of them"]
    assert shared([stop], str(tmp_path)) == ({}, notes)
