from tests.workshop.replay.happened import result, used
from wasmguard.workshop.replay.transcript import Met, Transcript, moment


def told(*lines, met=None):
    transcript = Transcript(met or Met())
    return [past for number, line in enumerate(lines, 1) for past in transcript.pasts(line, f"f:{number}")]


def test_a_call_is_what_its_hook_would_have_got():
    (past,) = told(used("/etc/x", permissionMode="plan"))
    assert past.where == "f:1"
    assert past.event.name == "PreToolUse"
    assert past.event.time == 1_795_296_617_453
    assert past.event.fields == {
        "session_id": "s1",
        "cwd": "/p",
        "permission_mode": "plan",
        "hook_event_name": "PreToolUse",
        "tool_name": "Write",
        "tool_input": {"file_path": "/etc/x", "content": "c"},
        "tool_use_id": "toolu_1",
    }


def test_a_result_belongs_to_its_call():
    _, past = told(used("/etc/x"), result())
    assert past.event.name == "PostToolUse"
    assert past.event.tool == "Write"
    assert past.event.output == {"type": "create"}


def test_a_result_that_is_an_error_is_a_failure():
    _, past = told(used("/etc/x"), result(error=True))
    assert past.event.name == "PostToolUseFailure"
    assert past.event.fields["error"] == "done"


def test_a_call_that_was_refused_has_no_result():
    assert len(told(used("/etc/x"), result(error=True, toolDenialKind="permission-rule"))) == 1


def test_a_result_without_its_call_is_nothing():
    assert told(result()) == []


def test_a_copy_of_a_session_counts_once():
    met = Met()
    assert len(told(used("/etc/x"), result(), met=met)) == 2
    assert told(used("/etc/x"), result(), met=met) == []


def test_calls_of_sub_agents_say_so():
    (past,) = told(used("/etc/x", agentId="a1", isSidechain=True))
    assert past.event.fields["agent_id"] == "a1"


def test_a_call_that_is_no_event_is_told_as_such():
    line = used("/etc/x")
    line["message"]["content"][1]["input"] = "text"
    (past,) = told(line)
    assert past.event is None
    assert "refuse" in past.why


def test_only_so_many_calls_are_known_again():
    met = Met(most=2)
    assert [met.again("k", call) for call in "abc"] == [False, False, False]
    assert met.again("k", "c")
    assert not met.again("k", "a")


def test_whatever_else_a_line_holds_is_no_event():
    assert told({"type": "summary"}, {"type": "user", "message": {"content": "hi"}}, {"type": "assistant"}) == []
    assert told({"type": "assistant", "message": {"content": ["x", {"type": "tool_use", "id": 5}]}})[0].event is None


def test_moments_are_milliseconds():
    assert moment("1970-01-01T00:00:01Z") == 1000
    assert moment(7) == 7
    assert [moment(said) for said in ("soon", None, True, -1, "9999-99")] == [0, 0, 0, 0, 0]
