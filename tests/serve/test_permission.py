"""What "may this tool run?" comes to, for everything that the policies can say to both events."""

from itertools import product

import pytest

from wasmguard.decision import Effect, Verdict, refused, settle
from wasmguard.serve.permission import NOBODY, UNSAID, Asked, Permission, settled, steps, unattended

INPUT = {"file_path": "/etc/x", "content": "x"}
MOVED = {"file_path": "/sandbox/etc/x", "content": "x"}
FIELDS = {
    "session_id": "s",
    "cwd": "/w",
    "permission_mode": "default",
    "tool_use_id": "t1",
    "agent_id": "a1",
    "permission_suggestions": [{"type": "setMode", "mode": "acceptEdits", "destination": "session"}],
}
ASKED = Asked(tool="Write", input=INPUT, fields=FIELDS)
UPDATE = {"type": "setMode", "mode": "acceptEdits", "destination": "session"}
EFFECTS = list(Effect)
PASS, ALLOW, ASK, DENY = EFFECTS


def said(effect, policy="p", **more):
    """A decision that one policy carries."""
    if effect is not DENY:
        more.pop("interrupt", None)
    return settle([Verdict(policy=policy, effect=effect, **{"reason": f"{policy} said so", **more})])


class Policies:
    """Answers each event with its decision, and remembers what it was asked."""

    def __init__(self, **decisions):
        self.decisions, self.asked = decisions, []

    def __call__(self, event):
        self.asked.append(event)
        return self.decisions[event["hook_event_name"]]

    @property
    def names(self):
        return [event["hook_event_name"] for event in self.asked]


def asks(pre=PASS, request=PASS, **options):
    """The permission for one pair of answers, and the policies that gave them."""
    pre = said(pre, "first") if isinstance(pre, Effect) else pre
    request = said(request, "second") if isinstance(request, Effect) else request
    policies = Policies(PreToolUse=pre, PermissionRequest=request)
    return settled(policies, ASKED, **options), policies


@pytest.mark.parametrize(("pre", "request_", "rewrite"), list(product(EFFECTS, EFFECTS, [None, MOVED])))
def test_the_strictest_of_both_events_counts_and_a_deny_ends_the_asking(pre, request_, rewrite):
    permission, policies = asks(said(pre, "first", rewrite=rewrite), request_)
    assert permission.effect is max(pre, request_)
    assert policies.names == (["PreToolUse"] if pre is DENY else ["PreToolUse", "PermissionRequest"])
    assert permission.input == (rewrite if permission.effect is not DENY else None)


@pytest.mark.parametrize(("least", "request_"), list(product([PASS, ALLOW, ASK], EFFECTS)))
def test_a_call_that_the_hook_judged_is_not_judged_twice_but_its_effect_still_counts(least, request_):
    permission, policies = asks(DENY, request_, judged=True, least=least)
    assert permission.effect is max(PASS if least is ALLOW else least, request_)
    assert policies.names == ["PermissionRequest"]
    assert permission.input is None


def test_an_allow_on_pre_tool_use_answers_only_where_no_hook_of_ours_was_asked():
    assert asks(said(ALLOW))[0].effect is ALLOW
    assert asks(said(ALLOW, permissions=(UPDATE,)), hooked=True)[0] == Permission(effect=PASS)
    assert asks(said(ALLOW, rewrite=MOVED), hooked=True)[0].input == MOVED
    assert asks(said(ALLOW), said(ALLOW), hooked=True)[0].effect is ALLOW
    assert asks(said(ASK), said(ALLOW), hooked=True)[0].effect is ASK


@pytest.mark.parametrize("request_", EFFECTS)
def test_what_a_hook_said_and_nobody_knows_counts_as_ask(request_):
    permission, _ = asks(request=request_, judged=True)
    assert permission.effect is max(ASK, request_)


@pytest.mark.parametrize(("pre", "judged"), list(product([PASS, ALLOW, ASK], [False, True])))
def test_a_rewrite_on_permission_request_is_a_deny_that_says_so(pre, judged):
    permission, _ = asks(pre, said(ALLOW, "second", rewrite=MOVED, permissions=(UPDATE,)), judged=judged)
    assert (permission.effect, permission.input, permission.updates) == (DENY, None, ())
    assert "PermissionRequest cannot carry out a rewrite" in permission.message


def test_permission_request_is_about_the_rewritten_input():
    _, policies = asks(said(PASS, rewrite=MOVED))
    assert [event["tool_input"] for event in policies.asked] == [INPUT, MOVED]
    assert ASKED.input == INPUT


def test_the_events_carry_the_fields_that_the_client_sends_with_them():
    _, policies = asks()
    pre, request = policies.asked
    common = {key: FIELDS[key] for key in ("session_id", "cwd", "permission_mode", "agent_id")}
    call = {"tool_name": "Write", "tool_input": INPUT}
    assert pre == {**common, **call, "hook_event_name": "PreToolUse", "tool_use_id": "t1"}
    suggestions = FIELDS["permission_suggestions"]
    named = {"hook_event_name": "PermissionRequest", "permission_suggestions": suggestions}
    assert request == {**common, **call, **named}


def test_the_fields_cannot_pose_as_the_event_itself():
    fields = {"hook_event_name": "Stop", "tool_name": "Read", "tool_input": {}}
    policies = Policies(PreToolUse=said(PASS), PermissionRequest=said(PASS))
    settled(policies, ASKED.replaced(fields=fields))
    assert [(e["hook_event_name"], e["tool_name"], e["tool_input"]) for e in policies.asked] == [
        ("PreToolUse", "Write", INPUT),
        ("PermissionRequest", "Write", INPUT),
    ]


@pytest.mark.parametrize(("pre", "request_"), list(product(EFFECTS, EFFECTS)))
def test_permission_updates_go_with_an_allow_only(pre, request_):
    permission, _ = asks(said(pre, "first", permissions=(UPDATE,)), said(request_, "second", permissions=(UPDATE,)))
    allowed = [effect for effect in (pre, request_) if effect is ALLOW]
    expected = len(allowed) if max(pre, request_) is ALLOW else 0
    assert permission.updates == (UPDATE,) * expected


@pytest.mark.parametrize(("pre", "request_"), list(product(EFFECTS, EFFECTS)))
def test_interrupt_goes_with_the_deny_that_said_it(pre, request_):
    for where in ("first", "second"):
        first = said(pre, "first", interrupt=where == "first")
        permission, _ = asks(first, said(request_, "second", interrupt=where == "second"))
        carried = "first" if pre is DENY else "second" if request_ is DENY else None
        assert permission.interrupt is (carried == where)


def test_the_message_is_that_of_who_carried_the_effect():
    assert asks(ASK, PASS)[0].message == 'policy "first" says (untrusted text): "first said so"'
    assert [line.split('"')[1] for line in asks(ASK, ASK)[0].message.splitlines()] == ["first", "second"]
    assert '"second"' in asks(ASK, DENY)[0].message
    assert asks(PASS, PASS)[0].message == ""


def test_a_deny_never_goes_without_a_message():
    class Mute:
        effect, reason, rewrite, interrupt, permissions = DENY, " \n", None, False, ()

    assert asks(Mute())[0].message == UNSAID
    assert asks(request=Mute())[0].message == UNSAID
    assert asks(said(DENY, reason=""))[0].message


def test_a_refusal_of_ours_is_a_deny():
    permission, policies = asks(refused("broken"))
    assert (permission.effect, permission.message) == (DENY, "wasmguard: broken")
    assert policies.names == ["PreToolUse"]


def test_the_updates_and_the_input_are_copies():
    rewrite, update = dict(MOVED), dict(UPDATE)
    permission, _ = asks(said(ALLOW, rewrite=rewrite, permissions=(update,)))
    rewrite["file_path"], update["mode"] = "/etc/passwd", "bypassPermissions"
    assert (permission.input, permission.updates) == (MOVED, (UPDATE,))


def test_what_the_deciding_raises_is_the_callers():
    def broken(_event):
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        settled(broken, ASKED)


def test_the_steps_do_no_io_and_wait_for_each_decision():
    asking = steps(ASKED)
    assert next(asking)["hook_event_name"] == "PreToolUse"
    assert asking.send(said(PASS))["hook_event_name"] == "PermissionRequest"
    with pytest.raises(StopIteration) as end:
        asking.send(said(ALLOW))
    assert end.value.value.effect is ALLOW


@pytest.mark.parametrize(
    ("effect", "unasked", "expected"),
    [
        (PASS, "deny", DENY),
        (ALLOW, "deny", ALLOW),
        (ASK, "deny", DENY),
        (DENY, "deny", DENY),
        (PASS, "pass", ALLOW),
        (ALLOW, "pass", ALLOW),
        (ASK, "pass", DENY),
        (DENY, "pass", DENY),
    ],
)
def test_where_nobody_can_be_asked_only_an_allow_and_a_pass_that_is_enough_go_on(effect, unasked, expected):
    permission = unattended(Permission(effect=effect, message="m", input=MOVED), unasked)
    assert permission.effect is expected
    assert permission.message.startswith("m")
    if effect is not DENY:
        assert permission.input == (MOVED if expected is ALLOW else None)
        assert (NOBODY in permission.message) is (expected is DENY)


def test_by_default_nobody_there_is_a_deny():
    assert unattended(Permission(effect=PASS)).effect is DENY


@pytest.mark.parametrize("unasked", ["allow", "ask", "", "PASS", "Deny"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_no_other_word_says_what_happens_unasked(unasked, effect):
    with pytest.raises(ValueError, match="`unasked`"):
        unattended(Permission(effect=effect, message="m"), unasked)
