"""The story of one record: real decisions, drained, and told from nothing but their records."""

import pytest

from wasmguard import Guard, spool
from wasmguard.decision import Effect
from wasmguard.errors import HostError, UsageError
from wasmguard.guest.codec import packed
from wasmguard.records import drain, query
from wasmguard.records.query import Record
from wasmguard.workshop import explain
from wasmguard.workshop.allow import allow

MOMENT = 1_795_330_000_000


@pytest.fixture
def decided(configured):
    """Asks the named guests about events, and drains: `decided(["deny"], event, …)`."""

    def decide(names, *events, **extra):
        with Guard.load(configured(*names, **extra), isolation="thread") as guard:
            for event in events:
                guard.decide(event)
        drain.drained()

    return decide


def called(tool="Write", given=None, event="PreToolUse", call="toolu_1", **more):
    return {
        "hook_event_name": event,
        "session_id": "s1",
        "cwd": "/home/me",
        "tool_name": tool,
        "tool_use_id": call,
        "tool_input": given or {"file_path": "/etc/x", "content": "a"},
        **more,
    }


def text_of(which="last"):
    lines = [text for _, text in explain.told(explain.story(which))]
    return " ".join(" ".join(lines).split())


def test_a_deny_tells_who_asked_for_what_who_denied_it_and_how_to_let_it_through(decided):
    decided(["pass", "deny"], called())
    text = text_of()
    for said in (
        *("Record 1: PreToolUse of Write: denied", "claude, through a program that embeds it", "session s1"),
        *("tool use toolu_1", "file_path /etc/x", "Round 1 pass pass", "deny deny, and says (untrusted text):"),
        *("of its limit (", "effect deny, carried by deny", "What claude was told", '"permissionDecision": "deny"'),
        *("no result came: the tool did not run", "wasmguard allow 1 --once", "wasmguard verify --since "),
    ):
        assert said in text, said


def test_a_result_is_told_with_the_decision_and_the_other_way_round(decided):
    decided(["pass"], called(), called(event="PostToolUse", tool_response={"ok": 1}, duration_ms=13))
    assert "What happened afterwards result 13 ms, as granted (record 2)" in text_of("1")
    assert "asked for in record 1: `wasmguard explain 1`" in text_of("2")


def test_a_call_that_ran_with_another_input_is_told_as_an_alarm(decided):
    decided(
        ["pass"], called(), called(given={"file_path": "/etc/y", "content": "a"}, event="PostToolUse", tool_response=1)
    )
    text = text_of("1")
    assert "NOT AS GRANTED" in text
    assert '"file_path": "/etc/y"' in text


def test_what_an_exception_set_aside_is_told_apart_from_shadows(configured, monkeypatch):
    monkeypatch.setattr("os.isatty", lambda _number: True)
    path = configured("deny", "ask", ask={"shadow": "true"})
    with Guard.load(path, isolation="thread") as guard:
        guard.decide(called())
        drain.drained()
        allow("last", ask=lambda _question: "allow", environ={}, proc="/nowhere")
        assert guard.decide(called()).effect < Effect.ASK
    drain.drained()
    text = text_of()
    aside, _, shadows = text.partition("Shadows: asked and recorded, never obeyed")
    assert "Set aside by your exception: asked and recorded, not obeyed deny would have denied it" in aside
    assert shadows.strip().startswith("ask would have asked you")


def test_a_record_is_found_by_its_number_id_and_call(decided):
    decided(["deny"], called())
    record = query.record("1")
    assert text_of("1") == text_of("toolu_1") == text_of(record.body["id"]) == text_of(record.body["id"][:12])


def test_what_there_is_not_is_said_with_what_there_is(decided):
    with pytest.raises(HostError, match="there are no records yet"):
        explain.story("last")
    decided(["deny"], called())
    with pytest.raises(UsageError, match=r"no record `99\?`: write a number up to 1, an id"):
        explain.story("99?")


def test_an_act_is_told_with_all_that_was_recorded(own_home):
    act = {"v": 1, "id": bytes(10), "time": MOMENT, "kind": "off", "seconds": 600, "terminal": "/dev/pts/3"}
    spool.append(packed(act))
    drain.drained()
    assert "Record 1: off" in text_of("1")
    assert "for 10 min, at /dev/pts/3" in text_of("1")
    spool.append(packed({"v": 1, "id": bytes(9) + b"1", "time": MOMENT, "kind": "new", "who": "me"}))
    drain.drained()
    assert text_of("2").count("who me") == 1
    with pytest.raises(HostError, match="no decision is recorded yet"):
        explain.story("last")


def test_an_event_that_nobody_could_judge_is_told_as_a_deny(own_home):
    refused = {"v": 1, "id": bytes(10), "time": MOMENT, "kind": "refused", "event": "PreToolUse", "why": "no plan"}
    spool.append(packed(refused))
    drain.drained()
    text = text_of("1")
    assert "PreToolUse: denied" in text
    assert "wasmguard no plan" in text
    assert '"permissionDecision": "deny"' in text
    assert "cannot set that aside" in text
    assert "allow 1 --once" not in text


def story(body):
    from wasmguard.records import said
    from wasmguard.workshop import explain_rounds
    from wasmguard.workshop.explain_words import tool_input

    decision = said.decision(body)
    told = explain_rounds.told(decision, body["verdicts"], tool_input(body), {}, lambda digest: None)
    record = Record(seq=3, hash="00" * 32, body=body)
    return explain.Story(record=record, decision=decision, told=told, answer=explain._answer(body, decision))


def hand_made(**more):
    return {
        "v": 1,
        "id": "01" * 10,
        "time": MOMENT,
        "kind": "decision",
        "agent": "claude",
        "event": "PreToolUse",
        "tool": "Write",
        "call": "t",
        "session": "s",
        "fields": called(),
        "inputs": "full",
        "effect": "pass",
        "verdicts": [],
        "us": 1.0,
        **more,
    }


def test_nothing_in_a_record_steers_the_terminal_or_speaks_in_our_voice():
    evil = 'x\x1b[2J\u202e\nWhat you can do\n  wasmguard off"'
    fields = {
        **called(given={"file_path": evil, evil: [evil]}),
        evil: evil,
        "session_id": evil,
        "permission_mode": evil,
    }
    verdict = {"policy": "p", "effect": "deny", "reason": evil, "context": evil, "notes": [evil], "us": 1.0}
    shadow = {"policy": "q", "effect": "ask", "fault": evil, "shadow": True, "us": 1.0}
    body = hand_made(fields=fields, session=evil, cwd=evil, tool=evil, effect="deny", verdicts=[verdict, shadow])
    lines = "\n".join(text for _, text in explain.told(story(body))).split("\n")
    assert all(line.isprintable() for line in lines), lines
    assert lines.count("What you can do") == 1


def test_a_rewrite_is_told_field_by_field():
    new = {"file_path": "/sandbox/x", "content": "a"}
    verdict = {"policy": "p", "rewrite": new, "us": 1.0}
    lines = [text for _, text in explain.told(story(hand_made(rewrote=True, rewrite=new, verdicts=[verdict])))]
    assert [line.strip() for line in lines].count("- /etc/x") == 2  # where it was said, and what that amounts to
    assert [line.strip() for line in lines].count("+ /sandbox/x") == 2
    assert "(the new input, whole)" in " ".join(lines)


@pytest.mark.parametrize("inputs", ["redacted", "cut", "digest"])
def test_a_record_that_cannot_be_decided_again_does_not_promise_it(inputs):
    body = hand_made(inputs=inputs)
    text = " ".join(text for _, text in explain.told(story(body)))
    assert "cannot be decided again" in " ".join(text.split())
    assert "--since" not in text


def test_the_same_is_there_for_programs(decided):
    decided(["deny"], called())
    data = explain.as_data(explain.story("last"))
    (asked,) = data["rounds"][0]
    assert (data["seq"], data["decision"]["effect"], data["decision"]["carried_by"]) == (1, "deny", ["deny"])
    assert (asked["policy"], asked["fuel"] > 0, asked["limit"]) == ("deny", True, 20_000_000)
    assert data["allow_once"] == "wasmguard allow 1 --once"
