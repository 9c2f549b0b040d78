"""Crafted inputs: events as large or as deep as they say, beside plain ones that end alike."""

import json

import pytest

from wasmguard.agents import claude
from wasmguard.errors import EventError
from wasmguard.limits import DEFAULT
from wasmguard.workshop.bench.crafted import END, crafted


def test_every_input_is_much_larger_or_deeper_than_its_plain_one_and_ends_alike():
    seen = set()
    for one in crafted():
        raw = one.raw()
        assert one.name not in seen
        seen.add(one.name)
        assert len(raw) > 2 * len(one.plain) or b"[[[[[[[[" in raw, one.name
        plain = claude.parse(one.plain)
        assert (plain.name, plain.tool) == (one.event, one.tool)
        if one.tool == "Bash" and one.event == "PreToolUse":
            assert END in plain.input["command"]
            assert END.encode() in raw, one.name
            assert END.endswith("rm -rf / --no-preserve-root")
    assert len(seen) > 25


@pytest.mark.parametrize("one", list(crafted()), ids=lambda one: one.name)
def test_an_input_is_an_event_unless_it_is_there_to_be_none(one):
    raw = one.raw()
    if one.name == "100,000 levels of JSON":
        with pytest.raises(EventError, match="nested"):
            claude.parse(raw)
        return
    event = claude.parse(raw)
    assert (event.name, event.tool) == (one.event, one.tool)
    assert event.fields["session_id"] != json.loads(one.plain)["session_id"], "what is remembered must be another's"
    assert (len(raw) > DEFAULT.event) is one.name.startswith("a Write of 5 MB")
