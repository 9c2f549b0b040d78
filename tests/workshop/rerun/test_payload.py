"""A line of JSON, as the event that a hook gets."""

import json

import pytest

from wasmguard.errors import EventError
from wasmguard.workshop.rerun.payload import event_of

STOP = {"hook_event_name": "Stop", "session_id": "s"}


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ({}, 0),
        ({"time": 5}, 5),
        ({"timestamp": "2026-11-21T21:30:18Z"}, 1795296618000),
        ({"time": "never", "timestamp": 7}, 7),
        ({"time": True}, 0),
    ],
)
def test_an_event_has_the_time_that_was_written_beside_it(said, time):
    event = event_of(json.dumps(STOP | said).encode())
    assert (event.name, event.time) == ("Stop", time)


@pytest.mark.parametrize("line", [b"", b"7", b"{", b"{}", b'{"hook_event_name": "Stop", "hook_event_name": "Stop"}'])
def test_what_the_guard_would_refuse_is_no_event(line):
    with pytest.raises(EventError):
        event_of(line)
