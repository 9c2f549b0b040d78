"""The log: a line for each record that fits a terminal, and says what happened without a doubt."""

import json
import os

import pytest

from wasmguard.records.query import Record
from wasmguard.workshop import log
from wasmguard.workshop.explain_words import columns

MOMENT = 1_795_330_000_000  # Unix milliseconds


def body(tool="Bash", given=None, effect="pass", event="PreToolUse", **more):
    fields = {"hook_event_name": event, "tool_name": tool, "tool_input": given or {"command": "ls"}}
    return {
        "v": 1,
        "id": "01" * 10,
        "time": MOMENT,
        "kind": "decision",
        "way": "hook",
        "agent": "claude",
        "event": event,
        "tool": tool,
        "fields": fields,
        "effect": effect,
        "inputs": "full",
        **more,
    }


def told(*bodies):
    paper = log.Paper()
    records = [Record(seq=seq, hash="00" * 32, body=one) for seq, one in enumerate(bodies, 1)]
    lines = [line for record in records for line in paper.lines(record)]
    return ["".join(text for _, text in line).rstrip() for line in lines]


def by(policy="guard", effect="deny", **more):
    return [{"policy": policy, "effect": effect, **more}]


def test_a_line_has_the_time_the_number_the_effect_the_tool_and_what_it_was_about():
    date, line = told(body(given={"command": "git status"}))
    assert len(date) == len("2026-11-22")
    assert line[8:].split() == ["1", "pass", "Bash", "git", "status"]


def test_the_date_stands_where_the_day_changes_only():
    day = 86_400_000
    found = told(body(), body(), {**body(), "time": MOMENT + day}, {**body(), "time": MOMENT + day})
    assert [len(line) == 10 for line in found] == [True, False, False, True, False, False]


def test_pass_and_allow_are_told_apart_without_colour():
    assert told(body(effect="pass"))[1] != told(body(effect="allow"))[1]
    assert told(body(effect="allow"))[1].split()[2] == "allow"


@pytest.mark.parametrize("effect", ["deny", "ask"])
def test_who_carried_a_deny_or_an_ask_stands_below_it_in_quotes(effect):
    found = told(body(effect=effect, verdicts=by(effect=effect, reason='not "here"\nwasmguard: fine')))
    assert found[2].strip() == 'guard: "not \\"here\\" wasmguard: fine"'


def test_a_fault_is_told_in_our_words():
    assert told(body(effect="deny", verdicts=by(fault="out of fuel")))[2].strip() == "guard failed: out of fuel"
    ours = by("wasmguard", fault="no rest after 4 rounds")
    assert told(body(effect="deny", verdicts=ours))[2].strip() == "wasmguard: no rest after 4 rounds"


def test_what_nobody_could_be_asked_about_is_a_deny_where_that_stops_something():
    refused = {"time": MOMENT, "kind": "refused", "event": "PreToolUse", "why": "no configuration", "bytes": 3}
    found = told(refused)
    assert found[1].split()[2:] == ["deny", "PreToolUse"]
    assert found[2].strip() == "wasmguard: no configuration"
    assert told({**refused, "event": "Stop"})[1].split()[2:] == ["pass", "Stop"]
    assert told({"time": MOMENT, "kind": "refused", "why": "no event"})[1].split()[2:] == ["deny"]


def test_a_rewrite_shows_the_new_value():
    given = {"file_path": "/etc/x", "content": "a"}
    short = told(body("Write", given, rewrote=True, rewrite=given | {"file_path": "/sandbox/etc/x"}))
    assert short[1].endswith("/etc/x -> /sandbox/etc/x")
    assert len(short) == 2
    long = told(body("Write", given, rewrote=True, rewrite=given | {"file_path": "/sandbox/" + "a/" * 40}))
    assert (long[1].split()[-1], long[2].split()[0]) == ("/etc/x", "->")
    other = told(body("Write", given, rewrote=True, rewrite=given | {"content": "b"}))
    assert other[1].endswith("/etc/x -> content: b")
    unknown = body("Write", given, rewrote=True)
    assert told({**unknown, "fields": None, "digest": "ab" * 16})[2].strip() == "-> another input (not recorded)"


def test_a_result_says_how_the_call_ended():
    after = body("Write", {"file_path": "/x"}, event="PostToolUse", duration=13, executed="as granted")
    assert told(after)[1].endswith("PostToolUse Write 13 ms: /x")
    for ran in ("another", "denied"):
        assert told({**after, "executed": ran})[1].endswith("PostToolUse Write NOT AS GRANTED, 13 ms: /x")
    assert told({**after, "error": True})[1].endswith("PostToolUse Write failed, 13 ms: /x")


def test_events_without_a_tool_say_what_they_are_about():
    for fields, about in (
        ({"task_id": "1", "task_subject": "tidy up"}, "tidy up"),
        ({"old_cwd": "/a", "new_cwd": "/b"}, "/b"),
        ({"error": "unknown", "last_assistant_message": "API Error"}, "unknown"),
        ({"stop_hook_active": False, "last_assistant_message": "done"}, "done"),
        ({"tool_calls": [{"tool_name": "Bash"}, {"tool_name": "Read"}, 7]}, "Bash, Read"),
    ):
        record = {**body(), "event": "Some", "tool": None, "fields": {"hook_event_name": "Some", **fields}}
        assert told(record)[1].endswith(about), fields


def test_acts_are_lines_too():
    acts = [
        {"v": 1, "id": "00" * 10, "time": MOMENT, "kind": "off", "seconds": 600},
        {"v": 1, "id": "00" * 10, "time": MOMENT, "kind": "alarm", "session": "s1"},
        {"v": 1, "id": "00" * 10, "time": MOMENT, "kind": "lost", "count": 2, "why": "disk full"},
    ]
    found = told(*acts)
    assert found[1].split(maxsplit=3)[2:] == ["off", "for 10 min"]
    assert found[2].split(maxsplit=3)[2:] == ["alarm", "session s1"]
    assert found[3].endswith("lost             2 records were not kept: disk full")


EVIL = "\x1b[2Ja\u202eb\nc日本語" * 60


def test_no_line_is_wider_than_a_terminal_or_steers_it():
    hostile = [
        body(EVIL, {"command": EVIL}, "deny", verdicts=by(EVIL, reason=EVIL)),
        body(EVIL, {EVIL: EVIL}, "ask", verdicts=by(EVIL, "ask", fault=EVIL), rewrote=True, rewrite={EVIL: 1}),
        body("Write", {"file_path": "/" + EVIL}, rewrote=True, rewrite={"file_path": "/" + EVIL * 2}),
        body(EVIL, {"command": EVIL}, event="PostToolUse", duration=EVIL, executed="another"),
        {**body(), "event": EVIL, "fields": {"prompt": EVIL}},
        {"time": MOMENT, "kind": EVIL, EVIL: EVIL},
        {"time": MOMENT, "kind": "reload", "error": EVIL},
    ]
    found = told(*hostile)
    assert len(found) >= 9
    assert all(columns(line) <= 80 and line.isprintable() for line in found), found


def test_a_record_whose_verdicts_make_no_sense_is_told_all_the_same():
    found = told(body(effect="deny", verdicts=[{"effect": "deny"}]))
    assert found[1].split()[2] == "deny"
    assert "cannot be told" in found[2]


def test_json_is_the_record_with_its_number_and_hash():
    record = Record(seq=7, hash="ab" * 32, body=body(given={"command": "\ud800\n"}))
    line = log.as_data(record)
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {"seq": 7, "hash": "ab" * 32, **record.body}


def test_following_ends_when_nobody_reads_any_more(monkeypatch):
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        assert log._is_read(0.01)
        os.close(reader)
        assert not log._is_read(60.0)
