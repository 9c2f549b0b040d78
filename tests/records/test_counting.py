"""What is counted of a record, and its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.appended import HOUR, NOW, append, decision, rows
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.records import counting
from wasmguard.records.chain import checked
from wasmguard.records.counting import Counts, Words, carrier, line, pattern
from wasmguard.records.drain import drained
from wasmguard.serve import board
from wasmguard.shadowed import compared


def counted(*records):
    counts = Counts()
    for record in records:
        counts.add(record)
    hours = {}
    return {(what, name): n for (_, what, name), n in counts.rows(lambda hour: hours.setdefault(hour, set())).items()}


def result(**changed):
    return decision(1, event="PostToolUse", effect="pass", verdicts=[], **changed)


def test_a_decision_counts_its_effect_event_tool_and_time():
    said = counted(decision(1), decision(2, effect="pass", tool="Bash", verdicts=[]))
    assert said["kind", "decision"] == 2
    assert (said["effect", "deny"], said["effect", "pass"]) == (1, 1)
    assert said["event", "PreToolUse"] == 2
    assert (said["tool", "Write"], said["tool", "Bash"], said["tool deny", "Write"]) == (1, 1, 1)
    assert {name for what, name in said if what.startswith("tool ")} == {"Write"}
    assert said["us", str(board.bucket(62))] == 2


def test_what_was_asked_and_what_was_rewritten_counts_for_its_tool_before_it_ran():
    said = counted(decision(1, effect="ask"), decision(2, effect="pass", rewrote=True), result(rewrote=True))
    assert {what: n for (what, name), n in said.items() if name == "Write"} == {
        "tool": 2,
        "tool ask": 1,
        "tool rewrote": 1,
        "tool done": 1,
    }


def test_a_result_counts_as_done_or_as_an_error_and_not_as_another_call():
    said = counted(result(), result(error=True), result(error=False))
    assert (said["tool done", "Write"], said["tool error", "Write"]) == (3, 1)
    assert ("tool", "Write") not in said


def test_other_kinds_count_as_nothing_else():
    assert counted({"kind": "off", "time": NOW, "effect": "deny"}) == {("kind", "off"): 1}


def test_each_policy_counts_how_often_it_was_asked_and_what_it_said():
    fault = {"policy": "b", "effect": "deny", "fault": "out of fuel (20,000)", "fuel": 7}
    ask = {"policy": "a", "effect": "ask", "reason": "sure?"}
    said = counted(decision(1), decision(2, verdicts=[fault, ask]))
    assert (said["policy asked", "a"], said["policy asked", "b"]) == (2, 2)
    assert (said["policy fuel", "a"], said["policy fuel", "b"]) == (5, 13)
    assert (said["policy deny", "b"], said["policy fault", "b"], said["policy ask", "a"]) == (1, 1, 1)
    assert said["reason", "b\tout of fuel (…)"] == 1
    assert said["reason", "a\tsure?"] == 1


def test_a_reason_is_counted_without_what_differs_from_call_to_call():
    assert pattern('`/a/b` is outside "/x \\" y", line 12, not 1_000.5') == "… is outside …, line …, not …"
    assert len(pattern("x" * 1000)) == counting.REASON


def test_at_most_so_many_reasons_of_an_hour_are_told_apart_the_same_in_one_batch_and_in_many(own_home, monkeypatch):
    monkeypatch.setattr(counting, "REASONS", 3)
    letters = "abcabdaefc"
    for place, letter in enumerate(letters):
        append(decision(place, verdicts=[{"policy": "p", "effect": "deny", "reason": letter}]))
        if place % 3 == 2:
            drained()
    drained()
    assert dict(rows("SELECT name, n FROM counts WHERE what = 'reason'")) == {
        "p\ta": 3,
        "p\tb": 2,
        "p\tc": 2,
        counting.OTHERS: 3,
    }
    assert not list(checked())


@pytest.mark.parametrize(
    ("shadow", "changed", "how"),
    [
        ({"effect": "deny"}, {"effect": "pass"}, "stricter"),
        ({"effect": "pass"}, {"effect": "deny"}, "looser"),
        ({"effect": "pass", "rewrite": {"a": 1}}, {"effect": "pass"}, "rewrite differs"),
        ({"effect": "deny", "fault": "x"}, {"effect": "deny"}, "fault"),
        ({"effect": "pass", "of": "a"}, {}, "same"),
        ({"effect": "pass", "of": "c"}, {}, ""),
        ({"effect": "pass"}, {"exception": "00"}, ""),
    ],
)
def test_a_shadow_is_counted_as_what_comes_of_comparing_it(shadow, changed, how):
    record = decision(1, **changed)
    record["verdicts"].append({"policy": "s", "shadow": True, "fuel": 9, **shadow})
    assert [outcome for _, _, outcome in compared(record)] == ([how] if how else [])
    wanted = {"policy fuel": 9} | ({"shadow asked": 1, f"shadow {how}": 1} if how else {})
    assert {what: n for (what, name), n in counted(record).items() if name == "s"} == wanted
    assert bool(line(1, b"", record, Words())[-1] & counting.DIFFERED) == (how not in ("same", ""))


VERDICTS = st.lists(
    st.builds(
        Verdict,
        policy=st.sampled_from("abc"),
        effect=st.sampled_from(Effect),
        rewrite=st.none() | st.just({"x": 1}),
        shadow=st.booleans(),
    ),
    max_size=5,
)


@given(VERDICTS)
def test_who_carried_the_effect_is_the_first_of_those_that_settling_finds(verdicts):
    settled = settle(verdicts)
    said = [
        {"policy": v.policy, "effect": v.effect.name.lower(), "rewrite": v.rewrite, "shadow": v.shadow}
        for v in verdicts
    ]
    wanted = settled.because[0].policy if settled.because else None
    assert carrier(said, settled.effect.name.lower()) == wanted


def test_an_allow_before_a_rewrite_did_not_carry_anything():
    said = [{"policy": "a", "effect": "allow"}, {"policy": "b", "effect": "allow", "rewrite": {"x": 1}}]
    assert carrier(said, "allow") == "b"
    assert carrier([{**verdict, "effect": "deny"} for verdict in said], "deny") == "a"


@given(st.floats(0, 1e9))
def test_times_are_counted_where_the_daemon_counts_them(microseconds):
    assert counting.bucket(microseconds) == board.bucket(microseconds)
    assert (counting.BUCKETS, counting.STEPS) == (board.BUCKETS, board.STEPS)


@pytest.mark.parametrize(
    ("changed", "flag"),
    [
        ({"rewrote": True}, counting.REWROTE),
        ({"verdicts": [{"policy": "a", "fault": "x"}]}, counting.FAULTED),
        ({"error": True}, counting.ERROR),
        ({"output": True}, counting.OUTPUT),
        ({"executed": "another"}, counting.ALARM),
        ({"executed": "denied"}, counting.ALARM),
        ({"kind": "alarm"}, counting.ALARM),
        ({"exception": "00"}, counting.EXCEPTION),
        ({"verdicts": [{"policy": "a", "fault": "x", "shadow": True}]}, counting.DIFFERED),
        ({"executed": "as granted"}, 0),
    ],
)
def test_flags_say_what_is_special(changed, flag):
    assert line(1, b"", decision(1, **changed), Words())[-1] == flag


def test_a_line_says_in_short_what_the_record_says():
    words = Words()
    said = line(3, b"id", decision(1), words)
    assert said == (3, b"id", NOW + 1, 1, 2, 3, 4, 5, 6, 7, "toolu_1", 62, 11, 0)
    assert list(words.known) == ["decision", "PreToolUse", "Write", "deny", "b", "s1", "claude"]
    assert NOW // HOUR == 500_000


def test_words_are_numbered_as_they_come_and_what_is_no_text_has_no_number(monkeypatch):
    monkeypatch.setattr(counting, "MET", 1)
    words = Words([("a", 1)])
    for _ in range(2):
        assert words.numbers(("b", "a", None, "b", 1, True)) == (2, 1, None, 2, None, None)
        assert words.numbers((["a"], "c")) == (None, 3)
        assert words.numbers(("\ud800", "?")) == (4, 4)
    assert words.known == {"a": 1, "b": 2, "c": 3, "?": 4}
