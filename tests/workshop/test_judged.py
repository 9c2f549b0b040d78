"""A case is held against what the policy says, key by key, and what differs is told."""

import signal
from types import SimpleNamespace

import pytest

from tests.workshop.trying import asks
from wasmguard.guest.codec import Answer
from wasmguard.workshop import judged as module
from wasmguard.workshop.cases import parsed
from wasmguard.workshop.judged import judged
from wasmguard.workshop.trial import Said, tried

CASE = '[[case]]\nname = "x"\ntool = "Write"\ninput = {{ file_path = "/etc/x" }}\n{}\n'


@pytest.fixture
def differences(bundled):
    """What differs between what a guest says and a case with these lines."""

    def of(guest, lines, more=""):
        (case,) = parsed(CASE.format(lines), "c.toml")
        with tried(str(bundled(guest, more=more))) as trial:
            return judged(trial, case).differences

    return of


@pytest.mark.parametrize(
    ("guest", "lines"),
    [
        ("pass", "quiet = true"),
        ("pass", 'effect = "pass"'),
        ("deny", 'effect = "deny"\nreason = "no"\nreason_matches = "^no$"'),
        ("rewrite_constant", 'effect = "pass"\nrewrite = { file_path = "/sandbox/moved" }'),
        ("indirect_null", 'effect = "trap"'),
        ("loop_evaluate", 'effect = "trap"'),
        ("component_error", 'effect = "trap"'),
        ("counts", 'effect = "pass"\nremembers = true'),
    ],
)
def test_what_is_expected_and_comes_is_no_difference(differences, guest, lines):
    assert differences(guest, lines, asks(state="{ max = 8 }")) == ()


@pytest.mark.parametrize(
    ("guest", "lines", "told"),
    [
        ("pass", 'effect = "deny"', ("effect", "deny", "pass")),
        ("deny", "quiet = true", ("effect", "pass", "deny")),
        ("deny", 'effect = "deny"\nreason = "yes"', ("reason", "… yes …", "no")),
        ("deny", 'effect = "deny"\nreason_matches = "^o"', ("reason", "/^o/", "no")),
        ("deny", 'effect = "deny"\ncontext = "c"', ("context", "… c …", "nothing")),
        ("deny", 'effect = "deny"\nnotes = ["n"]', ("notes", "… n …", "nothing")),
        ("deny", 'effect = "deny"\ninterrupt = true', ("interrupt", "true", "nothing")),
        ("deny", 'effect = "deny"\nrewrite = { a = 1 }', ("rewrite", '{"a": 1}', "nothing")),
        ("rewrite_constant", "quiet = true", ("rewrite", "nothing", '{"file_path": "/sandbox/moved"}')),
        ("sdk_permits", 'effect = "allow"', ("permissions", "nothing", '[{"type": "addRules"')),
        ("redacts", "quiet = true", ("output", "nothing", '{"stdout": "[redacted]"}')),
        ("deny", 'effect = "trap"', ("effect", "trap", 'deny, "no"')),
        ("indirect_null", 'effect = "deny"', ("effect", "deny", "a fault: trapped in ")),
        ("not_a_map", 'effect = "trap"', ("effect", "trap", "the answer")),
        ("counts", 'effect = "pass"\nremembers = false', ("remembers", "false", "true")),
        ("counts", 'effect = "pass"', ("state", "at most 0 bytes, as its manifest asks", "8 bytes")),
    ],
)
def test_what_differs_is_told_with_what_was_expected_and_what_came(differences, guest, lines, told):
    found = differences(guest, lines)
    assert any(one[:2] == told[:2] and one[2].startswith(told[2]) for one in found), found


def test_context_and_notes_are_held_against_what_came():
    def differences(lines):
        said = Said(answer=Answer(context="hear this", notes=("one", "two")), data=b"x")
        (case,) = parsed(CASE.format(lines), "c.toml")
        trial = SimpleNamespace(manifest=None, most_state=0, request=lambda *_: b"", ask=lambda _: said)
        return judged(trial, case).differences

    assert differences('effect = "pass"\ncontext = "this"\nnotes = ["two", "on"]') == ()
    assert differences("quiet = true") == (("context", "nothing", "hear this"),)
    assert differences('effect = "pass"\nnotes = []') == (("notes", "nothing", "one; two"),)
    assert differences('effect = "pass"\nnotes = ["three"]') == (("notes", "… three …", "one; two"),)


def test_events_before_are_asked_first_with_the_state_that_each_left(bundled):
    event = '{ hook_event_name = "PreToolUse", tool_name = "Write", tool_input = {} }'
    (case,) = parsed(CASE.format(f'effect = "pass"\nbefore = [{event}, {event}]\nremembers = true'), "c.toml")
    with tried(str(bundled("counts", more=asks(state="{ max = 8 }")))) as trial:
        made = judged(trial, case)
    assert made.ok
    assert [said.answer.state[0] for said in made.said] == [1, 2, 3]


def test_an_event_before_that_is_not_answered_fails_the_case(bundled):
    (case,) = parsed(CASE.format('effect = "trap"\nbefore = [{ a = 1 }]'), "c.toml")
    with tried(str(bundled("indirect_null"))) as trial:
        ((key, wanted, came),) = judged(trial, case).differences
    assert (key, wanted, came.startswith("trapped")) == ("before[0]", "an answer", True)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no alarms here")
def test_a_search_without_end_is_ended_and_is_a_difference(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    said = Said(answer=Answer(reason="a" * 100), data=b"x")
    trial = SimpleNamespace(manifest=None, most_state=0, request=lambda *_: b"", ask=lambda _: said)
    (case,) = parsed(CASE.format('effect = "pass"\nreason_matches = "(.*)*(.*)*(.*)*(.*)*z"'), "c.toml")
    before = signal.getsignal(signal.SIGALRM)
    ((key, _, came),) = judged(trial, case).differences
    assert (key, came) == ("reason", "no end of the search in 0 s: write a simpler expression")
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
