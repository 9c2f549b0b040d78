"""`wasmguard verify`, as an owner types it."""

import json

import click
import pytest
from click.testing import CliRunner

from wasmguard.cli_desk import FrontDesk
from wasmguard.cli_verify import verify
from wasmguard.guard import Guard

WRITE = {"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "Write", "tool_input": {"file_path": "/x"}}


@pytest.fixture
def typed(own_home):
    """What a command line comes to."""
    desk = FrontDesk("wasmguard", sections={"Records": [verify]}, help="x")
    assert isinstance(desk, click.Group)
    return lambda *words: CliRunner().invoke(desk, ["verify", *words])


@pytest.fixture
def decided(configured):
    path = configured("deny")
    path.write_text('[record]\ninputs = "full"\n' + path.read_text())
    with Guard.load(path, isolation="thread") as guard:
        guard.decide(WRITE)


def test_it_says_how_much_came_out_again(typed, decided):
    done = typed()
    assert done.exit_code == 0, done.output
    assert "1 of 1 came out again to the byte" in done.output
    assert "\r" not in done.output


def test_programs_get_one_json_object(typed, decided):
    assert json.loads(typed("--json").output)["again"] == 1


def test_a_head_can_be_kept_and_expected(typed, decided):
    head = typed("--head").output.strip()
    assert typed("--chain", "--expect", head).exit_code == 0
    other = typed("--chain", "--expect", head.replace(head[-8:], "0" * 8))
    assert other.exit_code == 1
    assert "another hash" in other.output


def test_an_odd_head_and_odd_options_are_wrong_usage(typed):
    assert typed("--expect", "7").exit_code == 2
    assert typed("--acknowledge", "abc", "--chain").exit_code == 2
    assert typed("--jobs", "0").exit_code == 2
