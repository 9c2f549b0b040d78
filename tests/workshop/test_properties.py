"""What must hold for every policy: one that is honest holds it all, and each of the others breaks what it must."""

import pytest

from tests.workshop.trying import asks
from wasmguard.workshop.cases import parsed
from wasmguard.workshop.judged import judged
from wasmguard.workshop.properties import Sample, made_up, properties
from wasmguard.workshop.trial import tried

CASE = """\
[[case]]
name = "x"
effect = "pass"
{more}
[case.event]
hook_event_name = "{event}"
tool_name = "Write"
tool_input = {{ file_path = "/x" }}
tool_response = {{ stdout = "a" }}
"""


@pytest.fixture
def broken(bundled):
    """The names of the properties that a guest breaks, with what is told of each."""

    def of(guest, more="", event="PreToolUse", case=""):
        cases = parsed(CASE.format(event=event, more=case), "c.toml")
        with tried(str(bundled(guest, more=more))) as trial:
            held = list(properties(trial, [judged(trial, one) for one in cases]))
        return {one.name: " ".join(one.flaws) for one in held if not one.ok}

    return of


@pytest.mark.parametrize("policy", ["budget", "workflow-log"])
def test_an_honest_policy_breaks_none(own_home, policy):
    with tried(f"builtin:{policy}") as trial:
        held = list(properties(trial, []))
    assert [one for one in held if not one.ok] == []
    assert {one.name for one in held if not one.tried} <= {"it uses no grant that its manifest does not ask for"}


def test_who_does_not_read_what_it_is_asked_is_found(broken):
    names = set(broken("pass"))
    assert sum("never answered" in name for name in names) == 5
    assert len(names) == 5


def test_each_malformed_request_is_tried(broken):
    told = broken("pass")
    assert "nothing at all: pass" in told["a malformed request is never answered"]
    assert "`abi` twice: pass" in told["a request that says something twice is never answered"]
    assert "and " in told["a request that was cut or goes on is never answered"]


def test_a_fault_that_is_no_refusal_is_no_way_to_meet_a_malformed_request(broken):
    assert sum("never answered" in name for name in broken("not_a_map")) == 5


def test_who_never_answers_breaks_what_must_be_answered(broken):
    assert {name for name in broken("indirect_null") if "is answered" in name} == {
        "a content of 300_000 characters is answered",
        "any unicode is answered",
    }


UNASKED = "it uses no grant that its manifest does not ask for"


@pytest.mark.parametrize(
    ("guest", "event", "asked"),
    [
        ("allow", "PreToolUse", {"effects": '["allow"]'}),
        ("rewrite_constant", "PreToolUse", {"rewrite": '["Write.file_path"]'}),
        ("counts", "PreToolUse", {"state": "{ max = 8 }"}),
        ("redacts", "PostToolUse", {"rewrite_output": '["Write"]'}),
    ],
)
def test_a_grant_that_is_used_is_asked_for(broken, guest, event, asked):
    assert UNASKED in broken(guest, event=event)
    assert UNASKED not in broken(guest, asks(**asked), event=event)


def test_what_an_owner_sets_may_need_a_grant_more(broken):
    """`tools` of path-redirect names the tools whose paths it moves, and each needs a grant."""
    setting = '[settings.tools]\ntype = "strings"\n'
    assert UNASKED in broken("rewrite_constant", setting)
    assert UNASKED not in broken("rewrite_constant", setting, case='settings = { tools = ["Write"] }')
    assert UNASKED in broken("allow", setting, case='settings = { tools = ["Write"] }')


def test_an_event_that_it_does_not_declare_is_passed(broken):
    assert (
        "SessionStart: deny, no" in broken("deny")["it has no opinion about an event that its manifest does not name"]
    )


def test_another_answer_to_the_same_request_is_found(bundled, monkeypatch):
    (case,) = parsed(CASE.format(event="PreToolUse", more=""), "c.toml")
    with tried(str(bundled("pass"))) as trial:
        known = judged(trial, case)
        other = known.replaced(said=(known.said[0].replaced(data=b"\x81"),))
        first = next(iter(properties(trial, [other])))
    assert not first.ok
    assert first.flaws[0].startswith("c.toml:1: the second answer is another one")


def test_a_request_is_put_together_from_its_parts(own_home):
    """Else every property about malformed requests would hold of anything."""
    with tried("builtin:budget") as trial:
        fields = made_up("PreToolUse", trial)
        whole = trial.request(fields, {})
        sample = Sample(fields=fields, event=trial.event(fields), settings=b"\x80", whole=whole)
        assert whole == b"\x84" + b"".join(sample.parts)
        assert trial.ask(sample.whole).answer is not None
