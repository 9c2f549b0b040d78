"""The callback on one event: always an answer that the client takes, and never a looser one than was decided."""

import asyncio
import json
from itertools import product
from types import SimpleNamespace

import pytest

from tests.serve.sdk_fakes import ALLOW, ASK, DENY, INPUT, MOVED, PASS, UPDATE, FakeGuard, event, said
from wasmguard.agents import claude
from wasmguard.decision import refused
from wasmguard.errors import EventError
from wasmguard.event import GATING, STOPPING
from wasmguard.guest.outputs import NOTICE
from wasmguard.serve import sdk_events
from wasmguard.serve.permission import Asked
from wasmguard.serve.sdk_calls import Calls
from wasmguard.serve.sdk_events import OnEvent, Policies
from wasmguard.serve.sdk_theirs import Theirs

CONTEXT = {"signal": None}
NAMES = sorted(set(claude.KNOWN) - {"WorktreeCreate"})


class Session:
    """The callbacks of one guard, as the client calls them."""

    def __init__(self, guard, *, elsewhere=False, **theirs):
        self.guard, self.policies, self.elsewhere = guard, Policies(guard, Calls()), elsewhere
        self.theirs = theirs

    def on(self, name):
        hooks = [SimpleNamespace(matcher=None, hooks=[hook], timeout=5) for hook in self.theirs.get(name, ())]
        return OnEvent(name, self.policies, Theirs(name, hooks), answers_elsewhere=self.elsewhere)

    async def asks(self, name="PreToolUse", call="t1", **more):
        needed = {"prompt": "p"} if name == "UserPromptSubmit" else {}
        return await self.on(name)(event(name, **needed, **more), call, CONTEXT)

    def says(self, *args, **more):
        return asyncio.run(self.asks(*args, **more))


def own(answer):
    """A hook of the program's own."""

    async def hook(*_given):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return hook


def specific(name="PreToolUse", **words):
    return {"hookSpecificOutput": {"hookEventName": name, **words}}


def decision_of(answer):
    return answer.get("hookSpecificOutput", {}).get("decision", {})


# Every event


@pytest.mark.parametrize("effect", list(said().effect.__class__))
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"PermissionRequest"}))
def test_the_answer_is_that_of_the_dialect(name, effect):
    guard = FakeGuard(said(effect, reason="because"))
    payload = event(name, **({"prompt": "p"} if name == "UserPromptSubmit" else {}))
    answer = asyncio.run(Session(guard).on(name)(payload, "t1", CONTEXT))
    assert answer == claude.render(claude.from_mapping(payload), said(effect, reason="because"))
    assert guard.names == [name]


@pytest.mark.parametrize(
    "broken",
    [
        ValueError("a bug"),
        RecursionError(),
        MemoryError(),
        TimeoutError(),
        asyncio.CancelledError(),
        None,
        "deny",
        SimpleNamespace(effect=None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", NAMES)
def test_whatever_goes_wrong_is_a_refusal_in_the_events_own_form(name, broken):
    guard = FakeGuard(broken if isinstance(broken, BaseException) else lambda _event: broken)
    answer = Session(guard).says(name)
    assert type(answer) is dict
    assert json.loads(json.dumps(answer)) == answer
    if name not in GATING or name in STOPPING:
        return
    said_no = {**answer, **answer.get("hookSpecificOutput", {}), **decision_of(answer)}
    assert "deny" in (said_no.get("permissionDecision"), said_no.get("behavior")) or said_no["decision"] == "block"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("payload", [None, [], "x", {}, {"hook_event_name": 1}, {"x": float("nan")}, {1: 2}], ids=str)
def test_an_event_that_cannot_be_read_is_refused_in_the_form_of_the_one_that_was_hooked(name, payload):
    answer = asyncio.run(Session(FakeGuard()).on(name)(payload, None, None))
    assert answer.keys() == claude.refusal(name, "why").keys()


def test_a_callback_is_asked_about_its_own_event_only():
    answer = asyncio.run(Session(guard := FakeGuard()).on("PreToolUse")(event("PostToolUse"), "t", CONTEXT))
    assert answer["hookSpecificOutput"]["permissionDecision"] == "deny"
    assert not guard.asked


def test_an_answer_that_cannot_be_rendered_is_a_refusal(monkeypatch):
    monkeypatch.setattr(claude, "render", lambda *_: 1 / 0)
    answer = Session(FakeGuard()).says()
    assert answer["hookSpecificOutput"]["permissionDecision"] == "deny"
    assert "ZeroDivisionError" in answer["hookSpecificOutput"]["permissionDecisionReason"]


def test_no_decision_in_time_is_a_deny(monkeypatch):
    monkeypatch.setattr(sdk_events, "DEADLINE", 0.01)

    async def hangs():
        await asyncio.sleep(60)

    answer = Session(FakeGuard(lambda _event: hangs())).says()
    assert "no decision after 0.01 s" in answer["hookSpecificOutput"]["permissionDecisionReason"]


@pytest.mark.parametrize("broken", [ValueError(), TimeoutError(), asyncio.CancelledError()], ids=repr)
def test_an_output_that_nobody_could_judge_is_withheld_where_the_guard_says_so(broken):
    guard = FakeGuard(broken)
    guard.unjudged = lambda event, why: refused(why).replaced(output="withheld")
    answer = Session(guard).says("PostToolUse", tool_response="secret")
    assert "secret" not in json.dumps(answer)
    assert answer == claude.render(
        claude.from_mapping(event("PostToolUse", tool_response="secret")),
        refused("x").replaced(output="withheld"),
    )


@pytest.mark.parametrize("may", [True, False, None])
@pytest.mark.parametrize("strange", [{"cwd": 7}, {"x": float("nan")}, {"x": b""}, {"hook_event_name": "Stop"}], ids=str)
def test_an_output_in_an_event_that_cannot_be_read_is_withheld_where_it_might_be_rewritten(strange, may):
    guard = FakeGuard()
    guard.may_rewrite_output = lambda _event: may
    if may is None:  # whoever does not say it

        class Silent:
            adecide = guard.adecide

        guard = Silent()
    given = event("PostToolUse", tool_response={"stdout": "s3cret"}, **strange)
    answer = asyncio.run(Session(guard).on("PostToolUse")(given, "t", CONTEXT))
    assert answer == ({} if may is False else specific("PostToolUse", updatedToolOutput={"stdout": NOTICE}))


def test_an_output_is_withheld_when_the_answer_cannot_be_said(monkeypatch):
    guard = FakeGuard()
    guard.may_rewrite_output = lambda _event: True
    session, given = Session(guard), event("PostToolUse", tool_response="s3cret")
    monkeypatch.setattr(session.policies.calls, "forget", lambda _call: 1 / 0)
    answer = asyncio.run(session.on("PostToolUse")(given, "t", CONTEXT))
    assert answer == specific("PostToolUse", updatedToolOutput=NOTICE)


def test_being_cancelled_goes_through_and_leaves_nothing_behind():
    async def run():
        async def hangs():
            await asyncio.sleep(60)

        session = Session(FakeGuard(lambda _event: hangs()))
        for name in ("PreToolUse", "PermissionRequest"):
            asking = asyncio.ensure_future(session.asks(name))
            await asyncio.sleep(0.01)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        calls = session.policies.calls
        assert not calls._turns
        assert not calls._judged
        assert not calls._permissions
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_many_at_once_get_each_its_own_answer():
    async def run():
        async def slowly(event):
            await asyncio.sleep(0.01)
            return said(DENY, reason=event.fields["tool_use_id"])

        session = Session(FakeGuard(slowly))
        numbers = range(300)
        answers = await asyncio.gather(*(session.asks(call=f"t{n}", tool_use_id=f"t{n}") for n in numbers))
        for number, answer in zip(numbers, answers, strict=True):
            assert f'"t{number}"' in answer["hookSpecificOutput"]["permissionDecisionReason"]

    asyncio.run(run())


# The program's own hooks


def test_a_deny_of_theirs_on_a_tools_gate_is_not_counted_by_the_policies():
    deny = own(specific(permissionDecision="deny", permissionDecisionReason="mine"))
    answer = Session(guard := FakeGuard(), PreToolUse=[deny]).says()
    assert answer["hookSpecificOutput"]["permissionDecisionReason"] == "mine"
    assert not guard.asked
    Session(guard, PostToolUse=[own({"decision": "block"})]).says("PostToolUse", tool_response="x")
    assert guard.names == ["PostToolUse"]


def test_the_policies_judge_what_their_hooks_left():
    session = Session(guard := FakeGuard(), PreToolUse=[own(specific(updatedInput=MOVED))])
    answer = session.says()
    assert guard.asked[0].input == MOVED
    assert answer["hookSpecificOutput"]["updatedInput"] == MOVED
    outputs = [own(specific("PostToolUse", updatedToolOutput="theirs"))]
    Session(guard, PostToolUse=outputs).says("PostToolUse", tool_response="x")
    assert guard.asked[1].output == "theirs"


@pytest.mark.parametrize(("theirs", "ours"), list(product(["allow", "ask", "deny"], [PASS, ALLOW, ASK, DENY])))
def test_their_word_never_loosens_that_of_the_policies(theirs, ours):
    hooks = [own(specific(permissionDecision=theirs))]
    answer = Session(FakeGuard(said(ours)), PreToolUse=hooks).says()
    order = ["allow", "ask", "deny"]
    expected = max(order.index(theirs), order.index(ours.name.lower()) if ours is not PASS else 0)
    assert answer["hookSpecificOutput"]["permissionDecision"] == order[expected]


@pytest.mark.parametrize("effect", [PASS, ALLOW, ASK, DENY])
def test_their_messages_are_kept_but_not_with_a_deny(effect):
    hooks = [own({"systemMessage": "hi", "suppressOutput": True, **specific(additionalContext="more", new=[1])})]
    answer = Session(FakeGuard(said(effect)), PreToolUse=hooks).says()
    assert ("systemMessage" in answer) is (effect is not DENY)
    assert ("additionalContext" in answer["hookSpecificOutput"]) is (effect is not DENY)
    assert ("new" in answer["hookSpecificOutput"]) is (effect is not DENY)


def test_a_rewrite_of_the_policies_voids_their_allow():
    hooks = [own(specific(permissionDecision="allow"))]
    answer = Session(FakeGuard(said(PASS, rewrite=MOVED)), PreToolUse=hooks).says()
    assert answer["hookSpecificOutput"] == {"hookEventName": "PreToolUse", "updatedInput": MOVED}


# PermissionRequest


@pytest.mark.parametrize(("pre", "request_"), list(product([PASS, ALLOW, ASK], [PASS, ALLOW, ASK, DENY])))
def test_an_allow_on_permission_request_does_not_undo_what_pre_tool_use_said(pre, request_):
    guard = FakeGuard(PreToolUse=said(pre), PermissionRequest=said(request_, reason="r", permissions=(UPDATE,)))
    session = Session(guard)
    session.says()
    answer = session.says("PermissionRequest")
    behavior = decision_of(answer).get("behavior")
    if request_ is DENY:
        assert behavior == "deny"
    else:  # an ALLOW that did not spare the question has not answered it
        assert behavior == ("allow" if request_ is ALLOW and pre is not ASK else None)
    assert guard.names == ["PreToolUse", "PermissionRequest"]
    if behavior == "allow":
        assert decision_of(answer)["updatedPermissions"] == [UPDATE]


def test_a_call_that_was_changed_behind_our_back_is_judged_again():
    guard = FakeGuard(PreToolUse=lambda event: said(DENY if event.input == MOVED else PASS))
    session = Session(guard)
    session.says()
    assert decision_of(session.says("PermissionRequest", tool_input=MOVED))["behavior"] == "deny"
    assert guard.names == ["PreToolUse", "PreToolUse"]


def test_a_call_that_nobody_judged_is_judged():
    guard = FakeGuard(PreToolUse=said(DENY, reason="no"))
    assert decision_of(Session(guard).says("PermissionRequest"))["behavior"] == "deny"


def test_the_rewritten_call_is_the_one_that_was_judged():
    guard = FakeGuard(PreToolUse=said(PASS, rewrite=MOVED))
    session = Session(guard)
    session.says()
    session.says("PermissionRequest", tool_input=MOVED)
    assert guard.names == ["PreToolUse", "PermissionRequest"]


@pytest.mark.parametrize(("effect", "elsewhere"), list(product([PASS, ALLOW, ASK, DENY], [False, True])))
def test_a_rewrite_that_comes_up_only_there_is_never_dropped(effect, elsewhere):
    guard = FakeGuard(PreToolUse=said(PASS, rewrite=MOVED), PermissionRequest=said(effect))
    answer = decision_of(Session(guard, elsewhere=elsewhere).says("PermissionRequest"))
    if effect is ALLOW:
        assert answer == {"behavior": "allow", "updatedInput": MOVED}
    elif effect is not DENY and elsewhere:
        assert answer == {}
    else:
        assert answer["behavior"] == "deny"


@pytest.mark.parametrize("ours", [PASS, ALLOW, ASK, DENY])
def test_an_allow_of_theirs_answers_a_permission_request_unless_a_policy_wants_somebody_asked(ours):
    allow = own(specific("PermissionRequest", decision={"behavior": "allow", "updatedPermissions": [UPDATE]}))
    answer = Session(FakeGuard(PermissionRequest=said(ours)), PermissionRequest=[allow]).says("PermissionRequest")
    expected = {PASS: "allow", ALLOW: "allow", ASK: None, DENY: "deny"}[ours]
    assert decision_of(answer).get("behavior") == expected
    assert ("updatedPermissions" in decision_of(answer)) is (expected == "allow")


def test_a_rewrite_of_theirs_on_permission_request_is_another_call_and_judged():
    allow = own(specific("PermissionRequest", decision={"behavior": "allow", "updatedInput": MOVED}))
    for ours, expected in ((PASS, "allow"), (ASK, "deny"), (DENY, "deny")):
        guard = FakeGuard(PreToolUse=lambda event, ours=ours: said(ours if event.input == MOVED else PASS))
        session = Session(guard, elsewhere=True, PermissionRequest=[allow])
        session.says()
        answer = decision_of(session.says("PermissionRequest"))
        assert answer["behavior"] == expected
        assert answer.get("updatedInput") == (MOVED if expected == "allow" else None)
        assert [event.input for event in guard.asked if event.name == "PreToolUse"] == [INPUT, MOVED]


def test_an_allow_of_theirs_does_not_cover_what_a_policy_then_rewrites():
    allow = own(specific("PermissionRequest", decision={"behavior": "allow"}))
    guard = FakeGuard(PreToolUse=said(PASS, rewrite=MOVED))
    assert decision_of(Session(guard, PermissionRequest=[allow]).says("PermissionRequest"))["behavior"] == "deny"


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_deny_of_theirs_on_permission_request_ends_the_asking(interrupt):
    deny = own(specific("PermissionRequest", decision={"behavior": "deny", "message": "m", "interrupt": interrupt}))
    answer = Session(guard := FakeGuard(), PermissionRequest=[deny]).says("PermissionRequest")
    assert decision_of(answer) == {"behavior": "deny", "message": "m", **({"interrupt": True} if interrupt else {})}
    assert not guard.asked


def test_both_who_ask_about_one_call_get_the_same_answer_worked_out_once():
    async def run():
        async def slowly(_event):
            await asyncio.sleep(0.02)
            return said(ALLOW, permissions=(UPDATE,))

        guard = FakeGuard(PermissionRequest=slowly)
        session = Session(guard, elsewhere=True)
        await session.asks()
        asked = Asked(tool="Write", input=INPUT, fields={"tool_use_id": "t1"})
        answer, permission = await asyncio.gather(session.asks("PermissionRequest"), session.policies.permission(asked))
        assert decision_of(answer)["behavior"] == "allow"
        assert (permission.effect, permission.updates) == (ALLOW, (UPDATE,))
        assert guard.names == ["PreToolUse", "PermissionRequest"]

    asyncio.run(run())


def test_if_the_first_who_asks_is_cancelled_the_other_one_is_answered():
    async def run():
        async def slowly(_event):
            await asyncio.sleep(0.05)
            return said(DENY)

        session = Session(FakeGuard(PermissionRequest=slowly), elsewhere=True)
        await session.asks()
        first = asyncio.ensure_future(session.asks("PermissionRequest"))
        await asyncio.sleep(0.01)
        asked = Asked(tool="Write", input=INPUT, fields={"tool_use_id": "t1"})
        second = asyncio.ensure_future(session.policies.permission(asked))
        await asyncio.sleep(0.01)
        first.cancel()
        assert (await asyncio.wait_for(second, 5)).effect is DENY

    asyncio.run(run())


@pytest.mark.parametrize("over", ["PostToolUse", "PostToolUseFailure"])
def test_a_call_that_is_over_is_forgotten(over):
    session = Session(FakeGuard())
    session.says()
    assert session.policies.calls.effect("t1", "Write", INPUT) is PASS
    session.says(over, tool_response="x", error="e")
    assert session.policies.calls.effect("t1", "Write", INPUT) is None


def test_a_call_that_was_denied_is_not_remembered():
    session = Session(FakeGuard(said(DENY)))
    session.says()
    assert not session.policies.calls._judged


def test_the_guard_reads_the_event_if_it_can():
    guard, read = FakeGuard(), []

    async def reads(payload):
        read.append(payload)
        return claude.from_mapping(payload)

    guard.read = reads
    assert Session(guard).says() == Session(FakeGuard()).says()
    assert len(read) == 1


@pytest.mark.parametrize("broken", [EventError("no thread"), RuntimeError(), asyncio.CancelledError()], ids=repr)
def test_an_event_that_the_guard_cannot_read_is_refused(broken):
    guard = FakeGuard()

    async def reads(_payload):
        raise broken

    guard.read = reads
    assert Session(guard).says()["hookSpecificOutput"]["permissionDecision"] == "deny"
    assert not guard.asked
