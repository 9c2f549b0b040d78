"""Who would take a refusal for a fast answer is told, once, and why."""

import json

from wasmguard.agents import claude
from wasmguard.decision import Effect, Verdict, settle
from wasmguard.workshop.bench import caveats, inside
from wasmguard.workshop.bench.variant import CHAIN, POLICY, Given, Variant

FAULT = "out of time (limit 1 ms)"


def given(*names):
    fields = {"hook_event_name": "Stop"}
    return [Given(name=name, fields=fields, raw=json.dumps(fields).encode()) for name in names]


EVENTS = given("a", "b", "c")


class Failing:
    """Stands in for a guard whose policy fails at every event but the first."""

    def __init__(self):
        self.asked = 0

    def decide(self, fields):
        assert claude.from_mapping(fields)
        self.asked += 1
        return settle([Verdict(policy="it", effect=Effect.PASS) if self.asked == 1 else Verdict.failed("it", FAULT)])


def variant(kind=POLICY, subject="it"):
    ask = inside._Asking(Failing(), EVENTS)
    made = Variant(path="cell", subject=subject, kind=kind, events=(0, 1, 2), ask=ask)
    for place in made.events:
        ask(place)
    return made


def entry(faults, fuel, decisions=("x", "x", "x")):
    return {"name": "it", "faults": [*faults], "decisions": [*decisions], "fuel": {"events": [*fuel]}}


def test_a_policy_that_fails_is_named_with_the_events_and_the_reason():
    (said,) = caveats.of_policy(entry(("", FAULT, FAULT), (5, None, 7)), EVENTS)
    assert said == f"`it` fails at 2 of 3 events (`b`, `c`): {FAULT}: there its times are those of a refusal"


def test_an_event_that_the_guard_refuses_by_itself_was_shown_to_no_policy():
    (said,) = caveats.of_policy(entry(("", "", ""), (5, None, 7)), EVENTS)
    assert "`it` is never asked about 1 of 3 events (`b`)" in said


def test_there_is_nothing_to_say_of_a_policy_that_answers_or_is_not_concerned():
    assert not list(caveats.of_policy(entry(("", None, ""), (5, None, 7), ("x", None, "x")), EVENTS))


def test_what_fails_only_while_it_is_timed_is_told():
    (said,) = caveats.of_times([variant()], EVENTS, [entry(("", "", ""), (5, 6, 7))])
    assert said.startswith(f"`cell/it` failed at 2 of 3 events (`b`, `c`) when it was timed: {FAULT}")


def test_what_always_fails_is_not_told_twice_nor_again_of_the_chain():
    always = entry(("", FAULT, FAULT), (5, None, None))
    assert not list(caveats.of_times([variant(), variant(CHAIN, "chain")], EVENTS, [always]))
    once = list(caveats.of_times([variant(), variant(CHAIN, "chain")], EVENTS, [entry(("", "", ""), (5, 6, 7))]))
    assert len(once) == 1


def test_what_only_the_chain_fails_at_is_told():
    (said,) = caveats.of_times([variant(CHAIN, "chain")], EVENTS, [entry(("", "", ""), (5, 6, 7))])
    assert said.startswith("`cell/chain`")


def test_an_event_that_hooks_refuse_for_its_size_is_told_where_there_are_hooks():
    assert not list(caveats.too_long(EVENTS, 1000, ["serve"]))
    assert not list(caveats.too_long(EVENTS, 5, []))
    (said,) = caveats.too_long(EVENTS, 5, ["serve", "http"])
    assert said.startswith("3 of 3 events (`a`, `b`, `c`): more than the limit of 5 bytes: on `serve`, `http`")


def test_many_events_are_not_listed_all():
    many = given(*"abcdefgh")
    (said,) = caveats.of_policy(entry([FAULT] * 8, [1] * 8, ["x"] * 8), many)
    assert "8 of 8 events (`a`, `b`, `c` and 5 more)" in said
