"""Records in words: nothing in a record steers a terminal, and what is cut is cut by its columns."""

from wasmguard.decision import Effect, Verdict
from wasmguard.workshop import explain_acts
from wasmguard.workshop import explain_words as words


def call(tool, given, **more):
    fields = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": given}
    return {"kind": "decision", "event": "PreToolUse", "tool": tool, "fields": fields, **more}


def test_a_call_is_told_by_its_most_telling_field():
    assert words.about(call("Bash", {"description": "say hello", "command": "echo hi"})) == "echo hi"
    assert words.about(call("Grep", {"path": "/src", "pattern": "x+"})) == "x+"
    assert words.about(call("mcp__a__b", {"n": 3, "name": "me"})) == "name: me"
    assert words.about(call("TodoWrite", {"todos": [1]})) == '{"todos": [1]}'
    assert words.about(call("Bash", {})) == ""


def test_an_event_without_a_tool_is_told_by_its_own_fields():
    fields = {"hook_event_name": "UserPromptSubmit", "session_id": "s", "prompt": "write\na poem"}
    assert words.about({"kind": "decision", "event": "UserPromptSubmit", "fields": fields}) == "write a poem"
    assert words.about({"kind": "decision", "event": "Stop", "fields": {"hook_event_name": "Stop"}}) == ""


def test_an_input_that_was_not_recorded_is_told_by_its_digest():
    body = {"kind": "decision", "tool": "Bash", "digest": "00112233445566778899"}
    assert words.about(body) == "input 001122334455… (not recorded)"


def test_nothing_of_an_agent_or_guest_steers_a_terminal():
    evil = "a\x1b[31mb\u202ec\ud800\nd"
    texts = [
        words.about(call("Bash", {"command": evil})),
        words.about(call("X", {evil: evil})),
        words.because(Verdict(policy="p", effect=Effect.DENY, reason=evil)),
        words.because(Verdict(policy="p", effect=Effect.DENY, fault=evil)),
        explain_acts.act({"kind": "new", "why": evil, evil: 1}),
        explain_acts.act({"kind": "reload", "error": evil, "old": evil}),
        words.result({"event": "PostToolUse", "duration": evil}),
    ]
    assert all(text.isprintable() for text in texts), texts


def test_a_guest_cannot_speak_in_our_voice():
    says = words.because(Verdict(policy="p", effect=Effect.DENY, reason='no" \nwasmguard: all is well'))
    assert says == 'p: "no\\"  wasmguard: all is well"'
    assert words.because(Verdict(policy="p", effect=Effect.DENY, fault="out of fuel")) == "p failed: out of fuel"
    assert words.because(Verdict(policy="wasmguard", effect=Effect.DENY, fault="no rest")) == "wasmguard: no rest"
    assert words.because(Verdict(policy="p", effect=Effect.DENY)) == "p gave no reason"


def test_text_is_cut_by_the_columns_that_it_takes():
    assert words.fitted("日本語", 6) == "日本語"
    assert words.fitted("日本語の", 6) == "日本…"
    assert words.fitted("/a/long/way/to/file.txt", 12, middle=True) == "/a/lo…le.txt"
    for room in range(30):
        assert words.columns(words.fitted("日本語/abc/日本語の文", room, middle=True)) <= room


def test_pieces_leave_nothing_out():
    for text in ("", "short", "x" * 100, "日本語" * 20, "e\u0301" * 50):
        found = list(words.pieces(text, 10))
        assert "".join(found) == text
        assert all(words.columns(piece) <= 10 for piece in found)
    assert list(words.pieces("日本", 1)) == ["日本"]


def test_a_result_says_whether_what_ran_was_what_was_granted():
    body = {"event": "PostToolUse", "duration": 12, "executed": "as granted"}
    assert words.result(body) == "12 ms, as granted"
    assert "NOT AS GRANTED" in words.result(body | {"executed": "another"})
    assert words.result({"event": "PostToolUseFailure", "error": True}) == "failed"
    assert words.result({"event": "PreToolUse", "duration": 12}) == ""
    assert words.result(body | {"executed": "unknown"}, briefly=True) == "12 ms"
    assert words.result(body | {"executed": "another"}, briefly=True) == "NOT AS GRANTED, 12 ms"


def test_only_fields_that_changed_are_changes():
    found = list(words.changes({"a": 1, "b": 2, "c": 3}, {"a": True, "b": 2, "d": 4}))
    assert found == [("a", 1, True), ("c", 3, None), ("d", None, 4)]
