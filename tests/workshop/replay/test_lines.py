import json

from tests.workshop.replay.happened import payload, used
from wasmguard.workshop.replay.lines import Lines
from wasmguard.workshop.replay.past import NO_EVENT, NO_LINE
from wasmguard.workshop.replay.transcript import Met


def told(*lines):
    reader = Lines(Met())
    texts = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return [past for number, line in enumerate(texts, 1) for past in reader.pasts(line, f"f:{number}")]


def test_each_line_says_what_it_is():
    pasts = told(payload("/a"), used("/b"), payload("/c"), b"\n", used("/d", "toolu_2"))
    assert [past.event.input["file_path"] for past in pasts] == ["/a", "/b", "/c", "/d"]
    assert [past.where for past in pasts] == ["f:1", "f:2", "f:3", "f:5"]


def test_what_is_no_json_is_malformed_and_what_is_beside_it_is_not():
    pasts = told(payload("/a"), b'{"hook_event_name": "PreTool', b"\xff\xfe\n", [1], 5, {"a": 1}, payload("/b"))
    assert [past.why for past in pasts] == ["", NO_LINE, NO_LINE, NO_LINE, NO_LINE, NO_LINE, ""]


def test_deep_nesting_is_no_crash():
    assert told(b"[" * 100_000)[0].why == NO_LINE


def test_what_the_guard_would_refuse_is_no_event():
    twice = b'{"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {}, "tool_input": {"a": 1}}'
    pasts = told(twice, {"hook_event_name": "PreToolUse"}, {"hook_event_name": 5})
    assert [past.why for past in pasts] == [NO_EVENT] * 3


def test_a_line_may_say_when_it_was():
    pasts = told(payload(timestamp="2026-11-21T21:30:17.453Z"), payload(time=5), payload())
    assert [past.event.time for past in pasts] == [1_795_296_617_453, 5, 0]


def test_a_record_brings_its_decision():
    verdict = {"policy": "guard", "effect": "deny", "reason": "no"}
    body = {"v": 1, "id": "ab" * 10, "time": 5, "kind": "decision", "way": "hook", "agent": "claude"}
    body |= {"event": "PreToolUse", "tool": "Write", "inputs": "full", "fields": payload("/etc/x")}
    body |= {"effect": "deny", "verdicts": [verdict], "seq": 3, "hash": "00"}
    (past,) = told(body)
    assert past.where == "ab" * 10
    assert past.event.time == 5
    assert past.before.effect.name == "DENY"
    assert told({"kind": "off", "id": "cd" * 10, "time": 5}) == []
