"""What is small enough for an event loop: counted before anybody copies it, and in doubt it is not."""

from collections import OrderedDict
from types import MappingProxyType

import pytest

from wasmguard.protection.size import COMMAND, TEXT, VALUES, is_small

ORDINARY = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls", "timeout": 1.5}}


def given(**tool_input):
    return ORDINARY | {"tool_input": tool_input}


@pytest.mark.parametrize(
    "fields",
    [ORDINARY, {}, given(x=[None, True, 1]), given(command="x" * (COMMAND - 100)), given(content="x" * 60_000)],
)
def test_an_ordinary_event_is(fields):
    assert is_small(fields)


@pytest.mark.parametrize(
    "fields",
    [
        given(x=[0] * VALUES),
        given(x=[[[[0] * 70] * 2] * 2]),
        given(x="y" * TEXT),
        given(x=["y" * 1_000] * 66),
        given(**{"y" * TEXT: 1}),
        given(command="y" * COMMAND),
        given(deep=[{"cmd": "y" * (COMMAND // 2)}, {"shell_command": "y" * (COMMAND // 2)}]),
        given(command=["ls", "-l"]),
    ],
    ids=["values", "boxes", "text", "texts", "key", "command", "commands", "listed"],
)
def test_what_is_more_is_not(fields):
    assert not is_small(fields)


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        "x",
        OrderedDict(),
        MappingProxyType({}),
        {1: 2},
        given(x=OrderedDict()),
        given(x=object()),
        given(x={1}),
    ],
    ids=repr,
)
def test_what_is_none_of_jsons_own_types_is_not(fields):
    assert not is_small(fields)


def test_what_contains_itself_ends():
    fields = {}
    fields["x"] = [fields, fields]
    assert not is_small(fields)
