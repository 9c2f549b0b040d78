"""`can_use_tool`: the policies answer, a human answers what they leave open, and nothing else lets a tool run."""

import asyncio
from itertools import product

import pytest

from tests.serve.sdk_fakes import ALLOW, ASK, DENY, INPUT, MOVED, PASS, UPDATE, FakeGuard, event, said
from wasmguard.agents import claude
from wasmguard.errors import HostError
from wasmguard.limits import ROUNDS

sdk = pytest.importorskip("claude_agent_sdk", reason="needs the extra `sdk`")

from wasmguard.serve.permission import NOBODY, UNSAID  # noqa: E402  # what follows imports the SDK
from wasmguard.serve.sdk_calls import Calls  # noqa: E402
from wasmguard.serve.sdk_events import Policies  # noqa: E402
from wasmguard.serve.sdk_human import CanUseTool, granted  # noqa: E402

pytestmark = pytest.mark.e2e  # where the SDK is missing it is skipped, and CI skips nothing

Allow, Deny, Update = sdk.PermissionResultAllow, sdk.PermissionResultDeny, sdk.PermissionUpdate


class Human:
    """Answers with each of *said* in its turn."""

    def __init__(self, *said):
        self.said, self.asked, self.contexts = list(said), [], []

    async def __call__(self, tool, tool_input, context):
        self.asked.append(dict(tool_input))
        self.contexts.append(context)
        await asyncio.sleep(0)
        said = self.said.pop(0)
        if isinstance(said, BaseException):
            raise said
        return said(tool_input) if callable(said) else said


def context(**more):
    return sdk.ToolPermissionContext(**{"tool_use_id": "t1", **more})


def asks(guard, human=None, *, unasked="deny", tool_input=INPUT, calls=None, **more):
    """What one question of the client is answered."""
    callback = CanUseTool(Policies(guard, calls or Calls()), human, unasked)
    return asyncio.run(callback("Write", tool_input, context(**more)))


def both(pre=PASS, request=PASS, **more):
    return FakeGuard(PreToolUse=said(pre, "first", reason="one", **more), PermissionRequest=said(request, "second"))


EFFECTS = [PASS, ALLOW, ASK, DENY]


@pytest.mark.parametrize(("pre", "request_", "answer"), list(product(EFFECTS, EFFECTS, [None, True, False])))
def test_a_human_answers_what_the_policies_leave_open_and_nothing_else(pre, request_, answer):
    human = None if answer is None else Human(answer)
    result = asks(both(pre, request_), human)
    effect = max(pre, request_)
    open_ = effect in (PASS, ASK)
    assert isinstance(result, Allow) is (effect is ALLOW or (open_ and bool(answer)))
    if human:
        assert len(human.asked) == (1 if open_ else 0)
    if isinstance(result, Deny):
        assert result.message
        assert (NOBODY in result.message) is (open_ and answer is None)


@pytest.mark.parametrize("effect", EFFECTS)
def test_where_nobody_can_be_asked_a_pass_is_enough_only_if_the_owner_says_so(effect):
    assert isinstance(asks(both(effect)), Allow) is (effect is ALLOW)
    assert isinstance(asks(both(effect), unasked="pass"), Allow) is (effect in (PASS, ALLOW))


@pytest.mark.parametrize("unasked", ["pass", "deny"])
def test_where_somebody_can_be_asked_somebody_is(unasked):
    assert isinstance(asks(both(PASS), Human(False), unasked=unasked), Deny)


def test_the_human_is_shown_the_rewritten_input_and_the_yes_is_for_that():
    human = Human(True)
    result = asks(both(PASS, rewrite=MOVED), human)
    assert human.asked == [MOVED]
    assert result.updated_input == MOVED


def test_an_input_that_stays_is_not_said_again():
    assert asks(both(PASS), Human(True)).updated_input is None
    assert asks(both(ALLOW)).updated_input is None
    assert asks(both(ALLOW, rewrite=MOVED)).updated_input == MOVED


def test_what_the_human_changes_is_judged_again_by_all_policies():
    changed = {**INPUT, "content": "y"}
    for judged, expected in ((PASS, Allow), (ALLOW, Allow), (ASK, Allow), (DENY, Deny)):
        guard = FakeGuard(PreToolUse=lambda event, to=judged: said(to if event.input == changed else ASK))
        human = Human(Allow(updated_input=changed))
        result = asks(guard, human)
        assert isinstance(result, expected)
        assert len(human.asked) == 1
        assert guard.names == ["PreToolUse", "PermissionRequest"] * 2 if expected is Allow else True
        if expected is Allow:
            assert result.updated_input == changed


def test_a_policy_on_permission_request_judges_it_too():
    guard = FakeGuard(PermissionRequest=lambda event: said(PASS if event.input == INPUT else DENY))
    assert isinstance(asks(guard, Human(Allow(updated_input=MOVED))), Deny)


def test_what_the_human_changes_in_place_counts_as_changed():
    def spoils(tool_input):
        tool_input["file_path"] = "/etc/shadow"
        return True

    guard = FakeGuard(PreToolUse=lambda event: said(DENY if event.input != INPUT else PASS))
    assert isinstance(asks(guard, Human(spoils)), Deny)
    assert asks(FakeGuard(), Human(spoils)).updated_input == {**INPUT, "file_path": "/etc/shadow"}
    assert INPUT["file_path"] == "/etc/x"


def test_what_the_human_changes_deep_inside_counts_too():
    def spoils(tool_input):
        tool_input["edits"][0]["to"] = "evil"
        return True

    tool_input = {"edits": [{"to": "good"}]}
    result = asks(guard := FakeGuard(), Human(spoils), tool_input=tool_input)
    assert result.updated_input == {"edits": [{"to": "evil"}]}
    assert guard.asked[-1].input == {"edits": [{"to": "evil"}]}
    assert tool_input == {"edits": [{"to": "good"}]}


def test_what_the_policies_make_of_the_changed_input_is_shown_to_the_human_again():
    def policies(event):
        return said(PASS, rewrite={**MOVED, "content": "y"}) if event.input.get("content") == "y" else said(ASK)

    guard = FakeGuard(PreToolUse=lambda event: policies(event) if event.input["file_path"] == "/etc/x" else said(PASS))
    human = Human(Allow(updated_input={**INPUT, "content": "y"}), True)
    result = asks(guard, human)
    assert human.asked == [INPUT, {**MOVED, "content": "y"}]
    assert result.updated_input == {**MOVED, "content": "y"}


def test_without_rest_the_answer_is_no():
    counted = iter(range(100))

    def changes(tool_input):
        return Allow(updated_input={**tool_input, "content": f"human {next(counted)}"})

    guard = FakeGuard(PreToolUse=lambda event: said(PASS, rewrite={**event.input, "content": f"{next(counted)}"}))
    human = Human(*[changes] * 50)
    result = asks(guard, human)
    assert isinstance(result, Deny)
    assert len(human.asked) == ROUNDS


class Unsendable(Update):
    """As the SDK's own, where a field is missing."""

    def to_dict(self):
        raise ValueError("no mode")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        1,
        0,
        "yes",
        {"behavior": "allow"},
        [True],
        ...,
        ValueError("x"),
        KeyError(),
        RecursionError(),
        Allow(updated_input="x"),
        Allow(updated_input=[]),
        Allow(updated_input={1: 2}),
        Allow(updated_input={"x": float("nan")}),
        Allow(updated_permissions=7),
        Allow(updated_permissions=[UPDATE]),
        Allow(updated_permissions=[Unsendable(type="setMode")]),
    ],
    ids=repr,
)
def test_nonsense_of_the_human_is_a_no(answer):
    result = asks(both(ASK), Human(answer))
    assert isinstance(result, Deny)
    assert result.message.strip()


def test_who_is_no_coroutine_function_has_not_agreed():
    for plain in (lambda *_: True, lambda *_: Allow(), lambda: True):
        assert isinstance(asks(both(ASK), plain), Deny)


def test_a_no_of_the_human_keeps_its_words():
    result = asks(both(ASK), Human(Deny(message="not now", interrupt=True)))
    assert (result.message, result.interrupt) == ("not now", True)
    assert asks(both(ASK), Human(Deny())).message == UNSAID
    assert asks(both(ASK), Human(Deny(message=7, interrupt="x"))) == Deny(message=UNSAID, interrupt=False)
    assert asks(both(ASK), Human(False)).message == "refused by the user"


def test_an_interrupt_of_a_policy_ends_the_run():
    assert asks(both(DENY, interrupt=True)).interrupt
    assert not asks(both(DENY)).interrupt
    changed = Human(Allow(updated_input=MOVED))
    guard = FakeGuard(PreToolUse=lambda event: said(DENY, interrupt=True) if event.input == MOVED else said(ASK))
    assert asks(guard, changed).interrupt


def test_the_human_reads_why_somebody_is_asked():
    human = Human(True, True)
    asks(both(ASK), human)
    assert human.contexts[0].decision_reason == 'policy "first" says (untrusted text): "one"'
    asks(both(ASK), human, decision_reason="the client's words")
    assert human.contexts[1].decision_reason.splitlines()[-1] == "the client's words"
    human = Human(True)
    asks(both(PASS), human, decision_reason="the client's words", agent_id="a")
    assert human.contexts[0] == context(decision_reason="the client's words", agent_id="a")


def test_the_events_carry_what_is_known_of_the_call():
    calls = Calls()
    calls.judged("t1", claude.from_mapping(event(prompt_id="p")), MOVED, PASS)
    suggestions = [Update(type="setMode", mode="acceptEdits", destination="session")]
    asks(guard := FakeGuard(), calls=calls, agent_id="a", suggestions=suggestions)
    pre, request = guard.asked
    assert pre.fields["tool_use_id"] == "t1"
    for one in (pre, request):
        known = {key: one.fields[key] for key in ("session_id", "cwd", "prompt_id", "agent_id", "permission_mode")}
        assert known == {
            "session_id": "s",
            "cwd": "/w",
            "prompt_id": "p",
            "agent_id": "a",
            "permission_mode": "default",
        }
    assert request.fields["permission_suggestions"] == [UPDATE]


def test_a_call_that_the_hook_judged_is_not_judged_twice():
    calls = Calls()
    calls.judged("t1", claude.from_mapping(event()), INPUT, PASS)
    asks(guard := FakeGuard(), calls=calls)
    assert guard.names == ["PermissionRequest"]
    asks(guard, calls=calls, tool_input=MOVED)
    assert guard.names == ["PermissionRequest", "PreToolUse", "PermissionRequest"]


@pytest.mark.parametrize("judged", [PASS, ALLOW, ASK])
def test_what_the_hook_said_still_counts(judged):
    calls = Calls()
    calls.judged("t1", claude.from_mapping(event()), INPUT, judged)
    assert isinstance(asks(FakeGuard(), calls=calls, unasked="pass"), Allow) is (judged is not ASK)
    calls.forget("t1")
    calls.judged("t1", claude.from_mapping(event()), INPUT, judged)
    assert isinstance(asks(FakeGuard(PermissionRequest=said(ALLOW)), calls=calls), Allow) is (judged is not ASK)


# Permission updates

RULE = {"type": "addRules", "rules": [{"toolName": "Write"}], "behavior": "allow", "destination": "session"}
UPDATES = [
    UPDATE,
    RULE,
    {**RULE, "type": "removeRules", "rules": [{"toolName": "Bash", "ruleContent": "npm test"}]},
    {"type": "addDirectories", "directories": ["/srv"], "destination": "localSettings"},
    {"type": "setMode", "mode": "plan", "destination": "cliArg"},
    {**UPDATE, "since": "a later client"},
]


@pytest.mark.parametrize("update", UPDATES, ids=str)
def test_a_granted_update_is_sent_word_for_word(update):
    result = asks(FakeGuard(PermissionRequest=said(ALLOW, permissions=(update,))))
    assert [one.to_dict() for one in result.updated_permissions] == [update]
    assert all(isinstance(one, Update) for one in result.updated_permissions)


def test_an_update_that_this_sdk_cannot_send_denies():
    with pytest.raises(HostError, match="`addRules`"):
        granted([{"type": "addRules", "rules": [{"tool": "Write"}]}])
    with pytest.raises(HostError):
        granted([{}])
    result = asks(FakeGuard(PermissionRequest=said(ALLOW, permissions=(RULE, {"type": "x", "rules": [7]}))))
    assert isinstance(result, Deny)
    assert "cannot send the permission update `x`" in result.message


@pytest.mark.parametrize("effect", EFFECTS)
def test_updates_of_policies_go_with_their_allow_only(effect):
    result = asks(FakeGuard(PermissionRequest=said(effect, permissions=(RULE,))), Human(True))
    assert bool(getattr(result, "updated_permissions", None)) is (effect is ALLOW)


def test_updates_of_the_human_are_sent_as_they_are():
    updates = [Update(type="setMode", mode="acceptEdits", destination="session")]
    assert asks(both(ASK), Human(Allow(updated_permissions=updates))).updated_permissions == updates


# Whatever goes wrong


@pytest.mark.parametrize(
    "broken", [ValueError("a bug"), asyncio.CancelledError(), TimeoutError(), MemoryError()], ids=repr
)
def test_an_exception_in_the_guard_is_a_no(broken):
    for unasked, human in (("deny", None), ("pass", None), ("deny", Human(True))):
        assert isinstance(asks(FakeGuard(broken), human, unasked=unasked), Deny)


@pytest.mark.parametrize(
    ("tool", "tool_input", "said_context"),
    [
        (None, INPUT, context()),
        ("", INPUT, context()),
        (7, INPUT, context()),
        ("Write", None, context()),
        ("Write", [], context()),
        ("Write", {1: 2}, context()),
        ("Write", {"x": ...}, context()),
        ("Write", INPUT, None),
        ("Write", INPUT, ...),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_read_is_a_no(tool, tool_input, said_context):
    callback = CanUseTool(Policies(FakeGuard(said(ALLOW)), Calls()), Human(True), "pass")
    assert isinstance(asyncio.run(callback(tool, tool_input, said_context)), Deny)


def test_being_cancelled_goes_through_while_a_human_is_asked():
    async def run():
        async def forever(*_):
            await asyncio.sleep(60)

        callback = CanUseTool(Policies(both(ASK), Calls()), forever)
        asking = asyncio.ensure_future(callback("Write", INPUT, context()))
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(run())


def test_a_human_who_is_cancelled_by_somebody_else_has_not_agreed():
    assert isinstance(asks(both(ASK), Human(asyncio.CancelledError())), Deny)


@pytest.mark.parametrize("unasked", ["allow", "", None])
def test_no_other_word_says_what_happens_unasked(unasked):
    with pytest.raises(ValueError, match="`unasked`"):
        CanUseTool(Policies(FakeGuard(), Calls()), None, unasked)


def test_a_human_can_be_called():
    with pytest.raises(TypeError, match="`human` is a `bool`"):
        CanUseTool(Policies(FakeGuard(), Calls()), True)
