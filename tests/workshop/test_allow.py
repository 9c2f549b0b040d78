"""`wasmguard allow`: one call, once, by its owner, who was shown all of it; and alarms that somebody has looked at."""

import json

import pytest

from tests.recorded import recorded, waiting
from wasmguard import Guard, alarm, audit, exceptions
from wasmguard import recorder as recorder_module
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.errors import HostError, UsageError
from wasmguard.event import Event
from wasmguard.lock import lock
from wasmguard.workshop import allow as workshop
from wasmguard.workshop import owner

pytestmark = pytest.mark.usefixtures("own_home")

GITHUB = "ghp_" + "a1B2" * 9


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """A terminal."""
    monkeypatch.setattr(owner.os, "isatty", lambda _descriptor: True)


@pytest.fixture
def denied(configured):
    """Records a decision, and returns its event and the id of its record."""
    made = lock(str(configured("deny")), repin=False).plan

    def keep(*verdicts, name="PreToolUse", record=(), **fields):
        given = {"tool_name": "Bash", "tool_input": {"command": "make"}, "cwd": "/w", "session_id": "s", **fields}
        event = Event(name=name, agent="claude", fields={"hook_event_name": name, **given}, time=1)
        said = verdicts or (Verdict(policy="gate", effect=Effect.DENY, reason="no"),)
        recorder = recorder_module.Recorder(made.replaced(record={**made.record, "inputs": "full", **dict(record)}))
        recorder.keep(event, settle(said), 1.0)
        recorder.close()
        return event, recorded("decision")[-1]["id"]

    keep.config = made.config
    return keep


class Person:
    """Answers with a word, and remembers what it was asked."""

    def __init__(self, word="allow"):
        self.word, self.asked = word, ""

    def __call__(self, question):
        self.asked = question
        return self.word


def allow(which, person=None, **options):
    given = {"environ": {}, "proc": "/nowhere", **options}
    return workshop.allow(which, ask=person or Person(), **given)


def taken(config, event, *carried):
    found = exceptions.found(config, event)
    return found if found is not None and found.covers(carried or ("gate",)) and exceptions.use(found) else None


def test_the_same_call_may_pass_once_and_that_is_on_the_record(denied):
    event, which = denied()
    said = allow(which[:8])
    assert which in said
    assert taken(denied.config, event).record == which
    assert taken(denied.config, event) is None
    (kept,) = recorded("allowed")
    assert (kept["record"], kept["policies"], kept["tool"], kept["seconds"]) == (which, ["gate"], "Bash", 600)


def test_the_real_guard_obeys_it_once(configured):
    fields = {"tool_name": "Bash", "tool_input": {"command": "make"}, "cwd": "/", "session_id": "s"}
    fields |= {"hook_event_name": "PreToolUse", "tool_use_id": "toolu_1"}
    with Guard.load(configured("deny"), isolation="thread") as guard:
        assert guard.decide(fields).effect is Effect.DENY
        allow(recorded("decision")[-1]["id"])
        assert guard.decide({**fields, "tool_input": {"command": "make install"}}).effect is Effect.DENY
        assert guard.decide({**fields, "cwd": "/tmp"}).effect is Effect.DENY
        assert guard.decide(fields).effect < Effect.ASK
        assert guard.decide(fields).effect is Effect.DENY


def test_the_owner_is_shown_all_of_it(denied):
    long = "echo " + "x" * 5_000 + " && rm -rf /"
    person = Person()
    allow(denied(tool_input={"command": long, "timeout": 5, "options": {"a": [1, None]}})[1], person)
    assert f'  command: "{long}"' in person.asked
    assert "  timeout: 5" in person.asked
    assert '  options: {"a": [1, null]}' in person.asked
    assert "Bash on PreToolUse, in /w" in person.asked
    assert "Set aside: `gate`, who denied it" in person.asked
    assert "For 10 minutes it may pass once" in person.asked


def test_what_is_shown_steers_no_terminal(denied):
    person = Person()
    evil = {"command": "ls\nrm -rf /\x1b[2J\u202e", "\x1b[31m\n": "x"}
    allow(denied(tool_input=evil, tool_name="B\x1b[0m\nash", cwd="/\u202e\n")[1], person)
    assert all(line.isprintable() for line in person.asked.split("\n"))
    assert r"ls\nrm -rf /" in person.asked
    assert len(person.asked.split("\n")) == 5


@pytest.mark.parametrize(
    ("inputs", "told"),
    [("redacted", "secrets in it are replaced"), ("digest", "not in the record: whatever has the digest")],
)
def test_what_the_record_does_not_hold_is_said(denied, inputs, told):
    person = Person()
    event, which = denied(tool_input={"command": f"push {GITHUB}"}, record={"inputs": inputs})
    allow(which, person)
    assert told in person.asked
    assert GITHUB not in person.asked
    assert taken(denied.config, event) is not None


def test_what_was_cut_is_said_and_bound_whole(denied):
    person = Person()
    event, which = denied(tool_input={"command": "x" * 100_000})
    allow(which, person)
    assert "long texts in it are cut" in person.asked
    assert taken(denied.config, event.with_input({"command": "x" * 99_999})) is None
    assert taken(denied.config, event) is not None


def test_all_who_carried_it_are_set_aside_and_nobody_else(denied):
    verdicts = [
        Verdict(policy="asks", effect=Effect.ASK, reason="sure?"),
        Verdict(policy="one", effect=Effect.DENY),
        Verdict(policy="shadow", effect=Effect.DENY, shadow=True),
        Verdict.failed("two", "trapped"),
    ]
    event, which = denied(*verdicts)
    allow(which)
    assert taken(denied.config, event, "one", "two").policies == ("one", "two")


def test_who_asked_can_be_set_aside_too(denied):
    event, which = denied(Verdict(policy="asks", effect=Effect.ASK))
    person = Person()
    allow(which, person)
    assert "`asks`, who asked about it" in person.asked
    assert taken(denied.config, event, "asks") is not None


@pytest.mark.parametrize("with_policy", [False, True])
def test_what_the_guard_itself_denied_cannot_be_allowed(denied, with_policy):
    more = [Verdict(policy="gate", effect=Effect.DENY)] if with_policy else []
    _, which = denied(*more, Verdict.failed("wasmguard", "the agent may not write there"))
    with pytest.raises(UsageError, match="wasmguard itself denied that"):
        allow(which)
    assert not exceptions.any_()


@pytest.mark.parametrize(
    ("verdict", "name"),
    [
        (Verdict(policy="gate"), "PreToolUse"),
        (Verdict(policy="gate", effect=Effect.ALLOW), "PreToolUse"),
        (Verdict(policy="gate", effect=Effect.DENY), "PostToolUse"),
        (Verdict(policy="gate", effect=Effect.DENY), "UserPromptSubmit"),
        (Verdict(policy="gate", effect=Effect.DENY), "Stop"),
    ],
)
def test_only_a_call_that_was_stopped_can_be(denied, verdict, name):
    _, which = denied(verdict, name=name)
    with pytest.raises(UsageError, match="no call that was denied"):
        allow(which)


def test_acts_and_nothing_at_all_cannot_be():
    audit.record("on")
    (act,) = recorded("on")
    with pytest.raises(UsageError, match="record `1` is no call that was denied"):
        allow("1")
    with pytest.raises(UsageError, match="no call that was denied"):
        allow(act["id"])
    with pytest.raises(UsageError, match="no record `ffffffffff`"):
        allow("ffffffffff")


def test_what_is_shown_counts_and_not_what_the_record_says_of_it(denied, monkeypatch):
    event, which = denied()
    (body,) = recorded("decision")
    body["fields"]["tool_input"]["command"] = "make tea"
    monkeypatch.setattr(workshop, "_recorded", lambda _which: body)
    person = Person()
    allow(which, person)
    assert "make tea" in person.asked
    assert taken(denied.config, event) is None
    assert taken(denied.config, event.with_input({"command": "make tea"})) is not None


def test_a_record_without_input_and_digest_is_refused(denied, monkeypatch):
    _, which = denied(record={"inputs": "digest"})
    (body,) = recorded("decision")
    monkeypatch.setattr(workshop, "_recorded", lambda _which: {**body, "digest": 7})
    with pytest.raises(UsageError, match="which input"):
        allow(which)


@pytest.mark.parametrize("word", ["", "y", "yes", "off", "ALLOW"])
def test_whoever_does_not_type_the_word_changed_nothing(denied, word):
    _, which = denied()
    with pytest.raises(UsageError, match="nothing changed"):
        allow(which, Person(word))
    assert not exceptions.any_()
    assert recorded("allowed") == []


def test_only_the_owner_may(denied, monkeypatch):
    _, which = denied()
    with pytest.raises(UsageError, match="`allow` does not work inside an agent"):
        allow(which, environ={"CLAUDECODE": "1"})
    monkeypatch.setattr(owner.os, "isatty", lambda _descriptor: False)
    with pytest.raises(UsageError, match="`allow` works only at a terminal"):
        allow(which)
    assert not exceptions.any_()


@pytest.mark.parametrize("duration", ["9h", "0m", "1d", "x"])
def test_it_is_for_a_while(denied, duration):
    _, which = denied()
    with pytest.raises(UsageError, match=r"like `10m`|8 hours"):
        allow(which, duration=duration)


def test_what_cannot_be_recorded_does_not_happen(denied, monkeypatch):
    _, which = denied()

    def fails(*_, **__):
        raise HostError("no room")

    monkeypatch.setattr(audit, "record", fails)
    with pytest.raises(HostError, match="no room"):
        allow(which)
    assert not exceptions.any_()


def test_what_was_recorded_and_did_not_happen_is_recorded_too(denied, monkeypatch):
    _, which = denied()

    def fails(_exception):
        raise HostError("no room")

    monkeypatch.setattr(exceptions, "add", fails)
    with pytest.raises(HostError, match="no room"):
        allow(which)
    assert [record["kind"] for record in recorded()][-2:] == ["allowed", "allow failed"]


def test_what_stands_is_listed_and_can_be_revoked(denied):
    assert workshop.listed() == ["no exception stands"]
    _, one = denied(tool_input={"command": "one"})
    _, two = denied(tool_input={"command": "two"}, cwd="/\x1b[0m")
    allow(one)
    allow(two)
    lines = workshop.listed()
    assert len(lines) == 2
    assert all("Bash in /" in line and "without gate" in line and line.isprintable() for line in lines)
    with pytest.raises(UsageError, match="no exception stands"):
        workshop.revoke("ffffff")
    assert workshop.revoke(one) == "revoked: 1"
    assert [line.split()[0] for line in workshop.listed()] == [two]
    assert workshop.revoke("all") == "revoked: 1"
    assert workshop.revoke("all") == "no exception stands"
    assert [record["record"] for record in recorded("revoked")] == [one, two]


# Alarms


def acknowledge(which, word="seen", **options):
    return workshop.acknowledge(which, ask=Person(word), **{"environ": {}, "proc": "/nowhere", **options})


def test_an_alarm_ends_when_its_owner_has_looked():
    alarm.raise_("claude", "s", "toolu_1", "the agent ran another input than the one that was granted")
    alarm.raise_("claude", "t", "toolu_2", "x")
    assert "toolu_1" in acknowledge("toolu_1")
    assert alarm.raised("claude", "s") is None
    assert alarm.raised("claude", "t") is not None
    (kept,) = recorded("acknowledged")
    assert (kept["record"], kept["session"]) == ("toolu_1", "s")


def test_one_that_cannot_be_read_is_called_by_its_mark():
    alarm.raise_("claude", "s", "toolu_1", "x")
    mark = alarm.mark_of("claude", "s")
    alarm._vault(alarm.folder()).write(mark, b"{}")
    assert mark in acknowledge(mark)
    assert alarm.raised("claude", "s") is None


@pytest.mark.parametrize("which", ["", "toolu_2", "toolu", "x"])
def test_no_other_alarm_ends(which):
    alarm.raise_("claude", "s", "toolu_1", "x")
    with pytest.raises(UsageError, match="no alarm stands"):
        acknowledge(which)
    assert alarm.raised("claude", "s") is not None


def test_only_the_owner_ends_one_and_on_the_record(monkeypatch):
    alarm.raise_("claude", "s", "toolu_1", "x")
    with pytest.raises(UsageError, match="inside an agent"):
        acknowledge("toolu_1", environ={"CLAUDECODE": "1"})
    with pytest.raises(UsageError, match="nothing changed"):
        acknowledge("toolu_1", "yes")

    def fails(*_, **__):
        raise HostError("no room")

    with monkeypatch.context() as full:
        full.setattr(audit, "record", fails)
        with pytest.raises(HostError, match="no room"):
            acknowledge("toolu_1")
    monkeypatch.setattr(owner.os, "isatty", lambda _descriptor: False)
    with pytest.raises(UsageError, match="only at a terminal"):
        acknowledge("toolu_1")
    assert alarm.raised("claude", "s") is not None
    assert waiting() == []


def test_the_question_is_clean_and_names_the_session():
    alarm.raise_("claude", "s\x1b[0m\n", "toolu_1", "it ran\u202e")
    person = Person("seen")
    workshop.acknowledge("toolu_1", ask=person, environ={}, proc="/nowhere")
    assert person.asked.isprintable()
    assert json.dumps(person.asked)
