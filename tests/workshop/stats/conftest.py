"""Records of one's own, made up and drained."""

import os
from time import time_ns

import pytest

from wasmguard import spool
from wasmguard.guest.codec import packed


class KeptRecords:
    """Makes records and puts them where the drain finds them."""

    def __init__(self):
        self.now = time_ns() // 1_000_000

    def decision(self, tool, effect="pass", verdicts=(), event="PreToolUse", **more):
        """The record of a decision about *tool*, as the hook path writes it."""
        given = more.pop("given", {"command": "ls"})
        call, session = more.pop("call", "t"), more.pop("session", "s")
        fields = {"hook_event_name": event, "tool_name": tool, "tool_input": given, "tool_use_id": call}
        fields["session_id"] = session
        return {
            "v": 1,
            "id": os.urandom(10),
            "time": self.now,
            "kind": "decision",
            "way": "hook",
            "agent": "claude",
            "event": event,
            "tool": tool,
            "call": call,
            "session": session,
            "fields": fields,
            "inputs": "full",
            "digest": bytes(16),
            "effect": effect,
            "verdicts": [*verdicts],
            "us": 50.0,
            "plan": "ab" * 16,
            "config": "wasmguard.toml",
            "version": "0",
            **more,
        }

    def result(self, tool, **more):
        """The record of a call that came to a result."""
        return self.decision(tool, event="PostToolUse", **{"executed": "as granted", "duration": 3, **more})

    def act(self, kind, **fields):
        """The record of something that is no decision."""
        return {"v": 1, "id": os.urandom(10), "time": self.now, "kind": kind, **fields}

    def keep(self, bodies):
        """Put *bodies* through the spool into the database."""
        from wasmguard.records import drain

        with spool.Spool() as waiting:
            for body in bodies:
                waiting.append(packed(body))
        assert not drain.drained().left


@pytest.fixture
def kept_records(own_home):
    return KeptRecords()
