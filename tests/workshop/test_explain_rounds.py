"""Rounds are found again in the list of verdicts: whom the chain asked, in which order, about which input."""

from wasmguard.chain import decided
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.event import Event
from wasmguard.workshop import explain_rounds as rounds


class Policy:
    def __init__(self, name, said, *, shadow=False, shadow_of=""):
        self.name, self.shadow, self.shadow_of, self._said = name, shadow or bool(shadow_of), shadow_of, said

    def ask(self, event):
        return Verdict(policy=self.name, **self._said(event))


def redirect(event):
    path = event.input["file_path"]
    return {} if path.startswith("/sandbox") else {"rewrite": {**event.input, "file_path": f"/sandbox{path}"}}


def told(decision, given, limits=None, kept=None):
    kept = kept or [{"policy": verdict.policy} for verdict in decision.verdicts]
    return rounds.told(decision, kept, given, limits or {}, lambda digest: b"1234")


def test_who_saw_another_input_is_in_the_next_round():
    given = {"file_path": "/etc/x"}
    event = Event(name="PreToolUse", agent="claude", fields={"tool_name": "Write", "tool_input": given})
    policies = [
        Policy("guard", lambda event: {}),
        Policy("redirect", redirect),
        Policy("last", lambda event: {}),
        Policy("watcher", lambda event: {"effect": Effect.DENY}, shadow=True),
        Policy("new-last", lambda event: {}, shadow_of="last"),
    ]
    decision = decided(policies, event)
    story = told(decision, given, kept=[{"policy": v.policy, "of": v.of} for v in decision.verdicts])
    names = [[(one.verdict.policy, one.before["file_path"]) for one in asked] for asked in story.rounds]
    assert names == [
        [("guard", "/etc/x"), ("redirect", "/etc/x"), ("last", "/sandbox/etc/x")],
        [("guard", "/sandbox/etc/x"), ("redirect", "/sandbox/etc/x")],
    ]
    assert [(one.verdict.policy, one.before["file_path"]) for one in story.shadows] == [
        ("watcher", "/etc/x"),
        ("new-last", "/sandbox/etc/x"),
    ]
    assert "instead of last: would have passed it" in next(rounds.lines(story.shadows[1]))[1]


def test_a_policy_that_is_asked_in_each_round_is_told_in_each_round():
    given = {"file_path": "/x"}
    turns = iter("abcd")
    event = Event(name="PreToolUse", agent="claude", fields={"tool_name": "Write", "tool_input": given})
    restless = Policy("restless", lambda event: {"rewrite": {"file_path": next(turns)}})
    story = told(decided([restless], event), given)
    assert [len(asked) for asked in story.rounds] == [1, 1, 1, 1]
    assert "no rest" in story.ourselves[0].fault


def test_what_was_used_is_told_with_its_share_of_the_limit():
    verdict = Verdict(policy="p", fuel=5_000, microseconds=42.0)
    kept = [{"policy": "p", "given": "00", "state": "11"}]
    (asked,) = told(settle([verdict]), {}, {"p": 20_000}, kept).rounds[0]
    assert rounds.used(asked) == (
        "5,000 fuel, 25 % of its limit (20,000); 42 us; it remembered 4 bytes;"
        " and remembers something else from then on"
    )
    (asked,) = told(settle([Verdict(policy="p")]), {}).rounds[0]
    assert rounds.used(asked) == "its fuel could not be measured; 0 us"


def test_a_shadow_is_told_by_what_it_would_have_done():
    verdict = Verdict(policy="p", effect=Effect.DENY, reason='not "here"', shadow=True)
    (asked,) = told(settle([verdict]), {}).shadows
    text = " ".join(" ".join(text for _, text in rounds.lines(asked)).split())
    assert 'would have denied it, and says (untrusted text): "not \\"here\\""' in text


def test_a_fault_is_told_in_our_voice_and_a_reason_in_quotes():
    failed = Verdict.failed("p", "out of fuel (20,000)")
    (asked,) = told(settle([failed]), {}).rounds[0]
    assert "failed, which counts as deny: out of fuel (20,000)" in next(rounds.lines(asked))[1].replace(
        "\n" + " " * 16, " "
    )
