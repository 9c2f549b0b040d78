"""What tests of `wasmguard replay` have in common: events, transcripts, and a pool that needs no guest."""

import json

from wasmguard.decision import Effect, Verdict, settle
from wasmguard.errors import EventError
from wasmguard.event import Event
from wasmguard.workshop.rerun.asked import Asked, Line, LineOutcome, Outcome
from wasmguard.workshop.rerun.payload import event_of


def payload(path="/etc/x", *, tool="Write", name="PreToolUse", call="t1", session="s1", **more):
    """The input of a hook."""
    about = {"tool_name": tool, "tool_input": {"file_path": path, "content": "c"}, "tool_use_id": call}
    return {"session_id": session, "cwd": "/p", "hook_event_name": name, **about, **more}


def event(path="/etc/x", **more):
    fields = payload(path, **more)
    return Event(name=fields["hook_event_name"], agent="claude", fields=fields)


def used(path, call="toolu_1", **more):
    """A line of a transcript with one call."""
    part = {"type": "tool_use", "id": call, "name": "Write", "input": {"file_path": path, "content": "c"}}
    line = {"type": "assistant", "message": {"role": "assistant", "content": [{"type": "text", "text": "ok"}, part]}}
    return {**line, "sessionId": "s1", "cwd": "/p", "timestamp": "2026-11-21T21:30:17.453Z", **more}


def result(call="toolu_1", *, error=False, **more):
    """A line of a transcript with the result of a call."""
    part = {"type": "tool_result", "tool_use_id": call, "content": "done"} | ({"is_error": True} if error else {})
    line = {"type": "user", "message": {"role": "user", "content": [part]}, "toolUseResult": {"type": "create"}}
    return {**line, "sessionId": "s1", "cwd": "/p", "timestamp": "2026-11-21T21:30:18Z", **more}


def written(path, values):
    """A file of lines."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def said(effect="pass", policy="guard", **more):
    """A decision by one policy."""
    return settle([Verdict(policy=policy, effect=Effect[effect.upper()], **more)])


class Pool:
    """A pool whose policies are functions; it keeps *window* questions before it answers the first of them, and answers
    the last one first."""

    window = 8

    def __init__(self, plans, jobs):
        self.plans, self.jobs, self.keys, self.closed = plans, jobs, [], False
        type(self).last = self

    def outcomes(self, asked):
        waiting = []
        for one in asked:
            self.keys.append(one.key)
            waiting.append(one)
            if len(waiting) == self.window:
                yield from self._answered(waiting)
        yield from self._answered(waiting)

    def _answered(self, waiting):
        while waiting:
            one = waiting.pop()
            if isinstance(one, Line):
                yield self._of_line(one)
            else:
                yield Outcome(key=one.key, decision=self.decision(one), fault=self.fault(one))

    def _of_line(self, one):
        try:
            event = event_of(one.line)
        except EventError:
            return LineOutcome(one.key)
        if fault := self.fault(one):
            return LineOutcome(one.key, fault=fault)
        made = [self.decision(Asked(key=one.key, plan=plan, event=event)) for plan in self.plans]
        return LineOutcome(one.key, None, event, tuple(made))

    def decision(self, one):
        denied = one.plan == "after" and one.event.input.get("file_path", "").startswith("/etc/")
        return said("deny" if denied else "pass", "deny", reason="no", fuel=100, microseconds=5.0)

    def fault(self, one):
        return ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True
