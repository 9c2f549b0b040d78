"""What the tests of the SDK's callbacks share: a guard that answers as told, and the client's events."""

import asyncio

from wasmguard.decision import Effect, Verdict, settle

INPUT = {"file_path": "/etc/x", "content": "x"}
MOVED = {"file_path": "/sandbox/etc/x", "content": "x"}
BASE = {"session_id": "s", "transcript_path": "/t/s.jsonl", "cwd": "/w", "permission_mode": "default"}
UPDATE = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}
PASS, ALLOW, ASK, DENY = list(Effect)


def said(effect=PASS, policy="p", **more):
    """A decision that one policy carries."""
    return settle([Verdict(policy=policy, effect=effect, **more)])


def event(name="PreToolUse", tool="Write", tool_input=INPUT, **more):
    """The client's event in its own form."""
    call = {"tool_name": tool, "tool_input": tool_input} if "Tool" in name or name == "PermissionRequest" else {}
    return {**BASE, "hook_event_name": name, **call, **more}


class FakeGuard:
    """Decides each event by its name, with a decision, an exception, or a function of the event that may be async."""

    def __init__(self, default=None, **by_name):
        self.default, self.by_name, self.asked = default or said(), by_name, []

    async def adecide(self, event):
        self.asked.append(event)
        answer = self.by_name.get(event.name, self.default)
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            answer = answer(event)
            return await answer if asyncio.iscoroutine(answer) else answer
        return answer

    def may_rewrite_output(self, event):
        return False

    @property
    def names(self):
        return [event.name for event in self.asked]
