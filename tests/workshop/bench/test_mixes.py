"""The events of a run are the same every time, are events, and can be told apart."""

import json

import pytest

from wasmguard.agents import claude
from wasmguard.errors import EventError, UsageError
from wasmguard.workshop.bench import mixes as module
from wasmguard.workshop.bench.mixes import MIX, REWRITES, SIZES, events

BASH = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "git status"}}
STOP = {"hook_event_name": "Stop"}


def names(source):
    return [one.name for one in events(str(source))[1]]


@pytest.mark.parametrize("source", [MIX, SIZES, REWRITES])
def test_what_comes_with_wasmguard_is_an_event_the_same_every_time_and_named_once(source):
    shown, given = events(source)
    assert shown == source
    assert all(claude.parse(one.raw).fields == one.fields for one in given)
    assert given == events(source)[1]
    assert len({one.name for one in given}) == len(given)


def test_the_mix_has_one_call_of_each_tool_and_other_events():
    assert {"Bash", "Read", "Write", "Edit", "WebFetch", "mcp__files__write_note", "Stop"} < set(names(MIX))
    assert {"UserPromptSubmit", "PostToolUse Bash"} < set(names(MIX))


@pytest.mark.parametrize("source", [MIX, REWRITES])
def test_what_was_recorded_names_no_machine(source):
    text = json.dumps([one.fields for one in events(source)[1]])
    home = text.replace("/home/dev/", "").replace("-home-dev-", "")
    assert not [word for word in ("/home/", "-home-", "/root", "/Users/", "/tmp") if word in home]
    assert len({one.fields["session_id"] for one in events(source)[1]}) == 1


def test_sizes_go_from_half_a_kilobyte_to_five_megabytes():
    given = events(SIZES)[1]
    assert [one.name for one in given] == ["Write 0.5 kB", "Write 5 kB", "Write 50 kB", "Write 500 kB", "Write 5 MB"]
    contents = [one.fields["tool_input"]["content"] for one in given]
    assert [len(content) for content in contents] == [500, 5_000, 50_000, 500_000, 5_000_000]
    assert all(content.isascii() and content.endswith("\n") for content in contents)


def test_rewrites_are_paths_that_are_absolute_relative_and_there_already():
    paths = [(f := one.fields["tool_input"]).get("file_path", f.get("notebook_path")) for one in events(REWRITES)[1]]
    assert any(path.startswith("/sandbox/") for path in paths)
    assert any(".." in path for path in paths)
    assert any(not path.startswith("/") for path in paths)


def test_a_file_holds_one_event_a_list_of_them_or_one_a_line(tmp_path):
    one, many, lines = (tmp_path / name for name in ("one.json", "many.json", "lines.jsonl"))
    one.write_text(json.dumps(BASH, indent=2))
    many.write_text(json.dumps([BASH, STOP]))
    lines.write_text(f"{json.dumps(BASH)}\n\n{json.dumps(STOP)}\r\n")
    assert events(str(one))[1][0].fields == BASH
    assert names(one) == ["Bash"]
    assert names(many) == names(lines) == ["Bash", "Stop"]


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name, command in (("b.json", "ls"), ("a.json", "pwd"), ("c.jsonl", "id")):
        (tmp_path / name).write_text(json.dumps(BASH | {"tool_input": {"command": command}}))
    (tmp_path / "README.md").write_text("no event")
    assert names(tmp_path) == ["Bash: pwd", "Bash: ls", "Bash: id"]


def test_a_thousand_lines_are_a_thousand_events_with_names_of_their_own(tmp_path):
    path = tmp_path / "day.jsonl"
    path.write_text(f"{json.dumps(BASH)}\n" * 1000)
    found = names(path)
    assert (len(found), len(set(found))) == (1000, 1000)
    assert found[:2] == ["Bash: git status", "Bash: git status (2)"]


def test_names_are_numbered_until_they_differ_and_have_no_escapes(tmp_path):
    path = tmp_path / "odd.json"
    calls = [BASH | {"tool_input": {"command": text}} for text in ("a", "a (2)", "a", "\x1b[31m" + "x" * 99)]
    path.write_text(json.dumps(calls))
    found = names(path)
    assert len(set(found)) == 4
    assert "\x1b" not in "".join(found)
    assert max(map(len, found)) < 60


@pytest.mark.parametrize("text", ["\\ud800", "ü", "\\u0000"])
def test_bytes_are_what_the_client_would_send(tmp_path, text):
    path = tmp_path / "e.json"
    path.write_text(json.dumps(BASH).replace("git status", text), encoding="utf-8")
    (given,) = events(str(path))[1]
    assert claude.parse(given.raw).fields == given.fields
    assert json.loads(given.raw) == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", json.dumps(STOP).encode() + b"\n{", r"a\.jsonl:2: the event is not strict JSON"),
        ("a.jsonl", json.dumps(STOP).encode() + b'\n\n{"x": 1}', r"a\.jsonl:3: the event needs `hook_event_name`"),
        ("a.json", b"{", r"a\.json: not JSON"),
        ("a.json", json.dumps(STOP).encode() * 2, r"a\.json: not JSON.*\.jsonl"),
        ("a.json", b'\n\n"\xff"', r"a\.json:3: not JSON"),
        ("a.json", b"\xff", r"a\.json:1: not JSON"),
        ("a.json", b"[" * 100_000, r"a\.json: nested too deep"),
        ("a.json", json.dumps([STOP, {"x": 1}]).encode(), r"a\.json: event 2: the event needs"),
        ("a.json", b'[{"hook_event_name": "Stop"}, 7]', r"a\.json: event 2: no JSON object: write one hook input"),
        ("a.json", b'{"hook_event_name": "Stop", "hook_event_name": "Stop"}', r"a\.json: .* twice"),
        ("a.json", b"7", r"a\.json: the event is a JSON `int`"),
    ],
)
def test_what_is_no_event_is_refused_with_its_file_and_line(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(EventError, match=said) as found:
        events(str(tmp_path / name))
    assert "\n" not in str(found.value)


def test_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 100)
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(STOP)}\n" * 3)
    (tmp_path / "b.jsonl").write_text(f"{json.dumps(STOP)}\n" * 3)
    assert len(events(str(tmp_path / "a.jsonl"))[1]) == 3
    with pytest.raises(EventError, match="more than 100 bytes in all"):
        events(str(tmp_path))
    (tmp_path / "c.jsonl").write_text(f"{json.dumps(STOP)}\n" * 9)
    with pytest.raises(EventError, match="more than 100 bytes"):
        events(str(tmp_path / "c.jsonl"))


@pytest.mark.parametrize("source", ["builtin:none", "not/there", "nothing.json", "empty"])
def test_what_is_not_there_is_refused_with_what_can_be_written(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing.json").write_text("[]")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=f"`--events {source}`: .*: (name|write) "):
        events(source)
