"""The real Claude Agent SDK and its client, guarded: what lands on the disk, and what the model is told."""

import asyncio
import json
import time

import pytest

from tests.e2e.drive_sdk import folders, session
from wasmguard import Guard, Guards

sdk = pytest.importorskip("claude_agent_sdk", reason="the real client comes with the extra `sdk`")

pytestmark = [
    pytest.mark.e2e,
    # It warns that allowed tools bypass `can_use_tool`. They do; the hook they do not.
    pytest.mark.filterwarnings("ignore::claude_agent_sdk.CanUseToolShadowedWarning"),
]

END = [{"text": "end"}]
WRITE = [[{"tool": "Write", "input": {"file_path": "$DATA/x", "content": "hello"}}], END]
TWICE = [[{"tool": "Write", "input": {"file_path": f"$DATA/{name}", "content": "hello"}}] for name in "xy"] + [END]
REDIRECT = {"path-redirect": {"settings": '{ root = "$SANDBOX" }'}}
REDIRECT["path-redirect"]['grants.rewrite."Write.file_path"'] = '{ within = "$SANDBOX" }'
PERMITS = {"events": '["PermissionRequest"]', "grants.effects": '["deny", "ask", "allow"]'}
GRANTED = {**PERMITS, "grants.permissions": '["session"]'}
REQUEST = {"events": '["PermissionRequest"]'}


@pytest.fixture
def guarded(tmp_path, own_home, assembled):
    """Loads a guard: `guarded(deny={"events": '["Stop"]'})`, each name a guest of tests/guests or a built-in policy."""
    root, guards = folders(tmp_path.resolve() / "run"), []

    def load(isolation="thread", **policies):
        blocks = []
        for name, lines in policies.items():
            module = f"{name}.wasm"
            if name in ("path-redirect", "tool-gate"):
                module = f"builtin:{name}"
            else:
                (tmp_path / module).write_bytes(assembled(name))
            more = "\n".join(f"{key} = {value}" for key, value in lines.items())
            blocks.append(f'[[policy]]\nname = "{name.replace("_", "-")}"\nmodule = "{module}"\n{more}\n')
        config = tmp_path / f"{len(guards)}.toml"
        config.write_text("\n".join(blocks).replace("$SANDBOX", f"{root}/sandbox"), encoding="utf-8")
        guards.append(Guard.load(config, isolation=isolation))
        return guards[-1]

    load.root = root
    yield load
    for guard in guards:
        guard.close()


def runs(guarded, options, script=WRITE, **more):
    """The outcome of one session, which leaves nothing behind."""
    outcome = asyncio.run(session(more.pop("root", guarded.root), options, script, **more))
    assert not outcome.left_over
    return outcome


def base(**options):
    return sdk.ClaudeAgentOptions(**options)


ALLOWED = {"allowed_tools": ["Write"]}
FORMS = pytest.mark.parametrize("client", [False, True], ids=["query", "client"])
MODES = pytest.mark.parametrize("mode", ["default", "acceptEdits", "bypassPermissions"])


def listened(monkeypatch, guard):
    """Every event that *guard* is asked about from now on."""
    seen, decided = [], type(guard).adecide

    async def listening(self, event):
        seen.append(event)
        return await decided(self, event)

    monkeypatch.setattr(type(guard), "adecide", listening)
    return seen


class Human:
    """Answers with each of *said* in its turn, and remembers what it was asked."""

    def __init__(self, *said):
        self.said, self.asked = list(said), []

    async def __call__(self, tool, given, context):
        self.asked.append((tool, dict(given), context))
        said = self.said.pop(0)
        return said(given) if callable(said) else said


# What the policies decide


@FORMS
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_write_lands_where_the_policy_says(guarded, client, isolation):
    guard = guarded(isolation, **REDIRECT)
    outcome = runs(guarded, guard.options(base(**ALLOWED)), client=client)
    assert outcome.files() == {f"sandbox{guarded.root}/data/x": "hello"}


@FORMS
@MODES
def test_a_deny_holds_in_every_mode_and_its_reason_reaches_the_model(guarded, client, mode):
    outcome = runs(guarded, guarded(deny={}).options(base(permission_mode=mode, **ALLOWED)), client=client)
    assert not outcome.files()
    assert [error for _, error, _ in outcome.results] == [True]
    assert 'policy "deny" says (untrusted text): "no"' in outcome.told[0]


def test_without_a_verdict_the_options_are_as_they_were(guarded):
    outcome = runs(guarded, guarded(**{"pass": {}}).options(base(**ALLOWED)))
    assert outcome.files() == {"data/x": "hello"}


def test_an_interrupt_ends_the_run(guarded):
    outcome = runs(guarded, guarded(sdk_interrupt={}).options(base(**ALLOWED)), TWICE)
    assert not outcome.files()
    assert len(outcome.requests) == 1
    assert outcome.ended.terminal_reason == "hook_stopped"


def test_an_interrupt_on_a_permission_request_ends_the_run_too(guarded):
    outcome = runs(guarded, guarded(sdk_interrupt=REQUEST).options(base()), TWICE)
    assert not outcome.files()
    assert len(outcome.requests) == 1


def test_a_policy_that_fails_denies(guarded):
    outcome = runs(guarded, guarded(unreachable={}).options(base(**ALLOWED)))
    assert not outcome.files()
    assert "policy `unreachable`" in outcome.told[0]


REDACTS = {"events": '["PostToolUse"]', 'grants.rewrite_output."Bash"': '{ max = "64 KiB" }'}
ECHO = [[{"tool": "Bash", "input": {"command": "echo s3cret", "description": "d"}}], END]


def test_what_a_policy_takes_out_of_an_output_the_model_never_reads(guarded):
    outcome = runs(guarded, guarded(redacts=REDACTS).options(base(allowed_tools=["Bash"])), ECHO)
    assert "s3cret" not in json.dumps(outcome.requests[-1]["tool_results"])
    assert outcome.told == ["[redacted]"]


def test_a_hook_of_the_program_does_not_put_it_back(guarded):
    async def puts_back(given, _call, _context):
        return specific("PostToolUse", updatedToolOutput={**given["tool_response"], "stdout": "s3cret again"})

    options = base(allowed_tools=["Bash"], hooks=matched(puts_back, event="PostToolUse"))
    assert runs(guarded, guarded(redacts=REDACTS).options(options), ECHO).told == ["[redacted]"]


def test_where_the_guard_fails_the_output_is_withheld(guarded, monkeypatch):
    guard = guarded(redacts=REDACTS)
    decided = type(guard).adecide

    async def broken(self, event):
        if event.name == "PostToolUse":
            raise ZeroDivisionError("a bug")
        return await decided(self, event)

    monkeypatch.setattr(type(guard), "adecide", broken)
    outcome = runs(guarded, guard.options(base(allowed_tools=["Bash"])), ECHO)
    assert "s3cret" not in json.dumps(outcome.requests[-1]["tool_results"])


# Who is asked


@FORMS
@MODES
def test_a_yes_of_the_human_lets_an_ask_run(guarded, client, mode):
    human = Human(True)
    options = guarded(ask={}).options(base(permission_mode=mode, **ALLOWED), human=human)
    assert runs(guarded, options, client=client).files() == {"data/x": "hello"}
    [(tool, given, context)] = human.asked
    assert (tool, given["content"]) == ("Write", "hello")
    assert 'policy "ask" gave no reason' in context.decision_reason


def test_a_no_of_the_human_does_not(guarded):
    human = Human(sdk.PermissionResultDeny(message="not today"))
    outcome = runs(guarded, guarded(ask={}).options(base(**ALLOWED), human=human))
    assert (outcome.files(), outcome.told) == ({}, ["not today"])


def test_a_no_of_the_human_may_end_the_run(guarded):
    human = Human(sdk.PermissionResultDeny(message="stop", interrupt=True))
    outcome = runs(guarded, guarded(ask={}).options(base(**ALLOWED), human=human), TWICE)
    assert not outcome.files()
    assert len(outcome.requests) == 1


@MODES
def test_where_nobody_can_be_asked_an_ask_is_denied(guarded, mode):
    outcome = runs(guarded, guarded(ask={}).options(base(permission_mode=mode, **ALLOWED)))
    assert not outcome.files()
    assert "nobody is there to ask" in outcome.told[0]


@pytest.mark.parametrize(("unasked", "files"), [("deny", {}), ("pass", {"data/x": "hello"})])
def test_what_the_client_would_ask_anyway_is_denied_unless_the_owner_says_that_a_pass_is_enough(
    guarded, unasked, files
):
    assert runs(guarded, guarded(**{"pass": {}}).options(base(), unasked=unasked)).files() == files


def test_an_ask_is_never_a_pass(guarded):
    assert not runs(guarded, guarded(ask={}).options(base(), unasked="pass")).files()


def test_the_callback_of_the_options_is_the_human_if_no_other_is_given(guarded):
    human = Human(True)
    outcome = runs(guarded, guarded(ask={}).options(base(can_use_tool=human, **ALLOWED)))
    assert outcome.files() == {"data/x": "hello"}
    assert len(human.asked) == 1


def test_the_human_is_shown_the_rewritten_input(guarded):
    human = Human(True)
    guard = guarded(**REDIRECT, ask={})
    outcome = runs(guarded, guard.options(base(**ALLOWED), human=human))
    assert outcome.files() == {f"sandbox{guarded.root}/data/x": "hello"}
    assert human.asked[0][1]["file_path"] == f"{guarded.root}/sandbox{guarded.root}/data/x"


def test_what_the_human_changes_is_judged_again(guarded):
    gate = {"tool-gate": {"settings": '{ ask_tools = ["Write"], deny_extensions = [".exe"] }'}}

    def changed(given):
        return sdk.PermissionResultAllow(updated_input={**given, "file_path": given["file_path"] + ".exe"})

    human = Human(changed)
    outcome = runs(guarded, guarded(**gate).options(base(**ALLOWED), human=human))
    assert not outcome.files()
    assert ".exe" in outcome.told[0]


def test_a_harmless_change_of_the_human_runs(guarded):
    human = Human(lambda given: sdk.PermissionResultAllow(updated_input={**given, "content": "better"}))
    outcome = runs(guarded, guarded(ask={}).options(base(**ALLOWED), human=human))
    assert outcome.files() == {"data/x": "better"}


@pytest.mark.parametrize("said", [None, "yes", 1, {"behavior": "allow"}])
def test_nonsense_of_the_human_is_a_no(guarded, said):
    outcome = runs(guarded, guarded(ask={}).options(base(**ALLOWED), human=Human(said)))
    assert not outcome.files()
    assert "nobody could be asked" in outcome.told[0]


# Permission updates


def test_a_granted_permission_update_reaches_the_client_so_the_second_call_is_not_asked(guarded):
    outcome = runs(guarded, guarded(sdk_permits=GRANTED).options(base()), TWICE)
    assert outcome.files() == {"data/x": "hello", "data/y": "hello"}


def test_a_policy_is_asked_once_about_each_call_although_the_client_asks_thrice(guarded, monkeypatch):
    guard = guarded(sdk_permits=GRANTED)
    seen = listened(monkeypatch, guard)
    runs(guarded, guard.options(base()), TWICE)
    assert [event.name for event in seen if event.name in ("PreToolUse", "PermissionRequest")] == [
        "PreToolUse",
        "PermissionRequest",
        "PreToolUse",
    ]


@pytest.mark.parametrize("with_human", [False, True])
def test_a_permission_update_without_its_grant_denies(guarded, with_human):
    human = Human(True) if with_human else None
    outcome = runs(guarded, guarded(sdk_permits=PERMITS).options(base(), human=human))
    assert not outcome.files()
    assert "not name" in outcome.told[0] or "grants.permissions" in outcome.told[0]


def test_an_allow_on_permission_request_does_not_undo_an_ask_on_pre_tool_use(guarded):
    guard = guarded(ask={"events": '["PreToolUse"]'}, sdk_permits=GRANTED)
    assert not runs(guarded, guard.options(base())).files()
    human = Human(True)
    assert runs(guarded, guard.options(base(), human=human)).files() == {"data/x": "hello"}
    assert len(human.asked) == 1


def test_the_hooks_alone_do_not_undo_an_ask_either(guarded):
    guard = guarded(ask={"events": '["PreToolUse"]'}, sdk_permits=GRANTED)
    human = Human(False)
    assert not runs(guarded, base(hooks=guard.hooks(), can_use_tool=human)).files()
    assert len(human.asked) == 1


def test_an_allow_does_not_answer_what_the_settings_of_the_owner_ask(guarded):
    guard = guarded(allow={"events": '["PreToolUse"]', "grants.effects": '["deny", "ask", "allow"]'})
    settings = json.dumps({"permissions": {"ask": ["Write"]}})
    assert runs(guarded, guard.options(base())).files() == {"data/x": "hello"}
    (guarded.root / "data/x").unlink()
    assert not runs(guarded, guard.options(base(settings=settings))).files()


# What fails


def test_an_exception_inside_the_guard_blocks(guarded, monkeypatch):
    guard = guarded(**{"pass": {}})
    decided = type(guard).adecide

    async def broken(self, event):
        if event.name == "PreToolUse":
            raise ZeroDivisionError("a bug")
        return await decided(self, event)

    monkeypatch.setattr(type(guard), "adecide", broken)
    outcome = runs(guarded, guard.options(base(**ALLOWED)))
    assert not outcome.files()
    assert "internal error: ZeroDivisionError: a bug" in outcome.told[0]


def test_an_exception_in_the_callback_itself_blocks_by_the_clients_net(guarded, monkeypatch):
    options = guarded(**{"pass": {}}).options(base(**ALLOWED))
    ours = options.hooks["PreToolUse"][0].hooks[0]

    async def broken(_self, *_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(type(ours), "__call__", broken)
    assert not runs(guarded, options).files()


def test_a_closed_guard_blocks(guarded):
    guard = guarded(**{"pass": {}})
    options = guard.options(base(**ALLOWED))
    guard.close()
    outcome = runs(guarded, options)
    assert not outcome.files()
    assert not outcome.requests  # not even the prompt got through


def test_settings_of_the_project_do_not_switch_the_callbacks_off(guarded):
    options = guarded(deny={}).options(base(setting_sources=["project", "local"], **ALLOWED))
    (guarded.root / "project/.claude").mkdir()
    off = guarded.root / "project/.claude/settings.json"
    off.write_text('{"disableAllHooks": true}')
    outcome = runs(guarded, options)
    assert not outcome.files()
    assert 'policy "deny"' in outcome.told[0]


TOUCH = [[{"tool": "Bash", "input": {"command": "touch $DATA/x", "description": "d"}}], END]
SIMPLE = {"env": {"CLAUDE_CODE_SIMPLE": "1"}}


@pytest.mark.parametrize(
    "options",
    [
        {"extra_args": {"safe-mode": None}},
        {"settings": '{"disableAllHooks": true}'},
        SIMPLE,
        {"settings": json.dumps(SIMPLE)},
        {"setting_sources": ["user", "project", "local"]},  # each of which holds SIMPLE here
    ],
    ids=str,
)
def test_nothing_in_the_options_starts_a_client_without_hooks(guarded, options):
    for place in ("home/.claude/settings.json", "project/.claude/settings.json", "project/.claude/settings.local.json"):
        (guarded.root / place).parent.mkdir(exist_ok=True)
        (guarded.root / place).write_text(json.dumps(SIMPLE))
    outcome = runs(guarded, guarded(deny={}).options(base(allowed_tools=["Bash"], **options)), TOUCH)
    assert not outcome.files()
    assert 'policy "deny"' in outcome.told[0]


def test_the_client_itself_would_start_without_hooks(guarded):
    """Why the options are looked at: should this fail, a newer client has become safer."""
    options = base(allowed_tools=["Bash"], hooks=guarded(deny={}).hooks(), extra_args={"bare": None})
    assert runs(guarded, options, TOUCH).files() == {"data/x": ""}


# Tools by their other names

MONITOR = {"command": "touch $DATA/x", "description": "d", "timeout_ms": 1000, "persistent": False}
AGENT = {"description": "d", "prompt": "hi [[script:sub]]", "subagent_type": "general-purpose"}
BY_ANOTHER_NAME = pytest.mark.parametrize(
    ("line", "tool", "given"),
    [
        ({"matcher": '"Bash"'}, "Monitor", MONITOR),
        ({"tools": '["Bash"]'}, "Monitor", MONITOR),
        ({"matcher": '"^Task$"'}, "Agent", AGENT),
        ({"tools": '["Task"]'}, "Agent", AGENT),
    ],
    ids=str,
)


def called(guarded, options, tool, given):
    """The outcome of one call in the mode in which the client asks nobody."""
    options.permission_mode = "bypassPermissions"
    outcome = runs(guarded, options, [[{"tool": tool, "input": given}], END], scripts={"sub": [END]})
    assert not outcome.files()
    assert [error for _, error, _ in outcome.results] == [True]
    return outcome.told[0]


@BY_ANOTHER_NAME
def test_a_policy_is_asked_about_a_tool_by_its_other_names_too(guarded, line, tool, given):
    guard = guarded(deny={"events": '["PreToolUse"]', **line})
    assert 'policy "deny"' in called(guarded, guard.options(base()), tool, given)


@pytest.mark.parametrize(
    "named", [("Bash", "Monitor", MONITOR, "Bash"), ("Task", "Agent", AGENT, "Agent")], ids=["Monitor", "Agent"]
)
@pytest.mark.parametrize("is_guarded", [False, True])
def test_a_hook_of_the_program_is_asked_about_it_as_the_client_would(guarded, named, is_guarded):
    (matcher, tool, given, shown), seen = named, []

    async def theirs(given, _call, _context):
        seen.append((given["tool_name"], sorted(given["tool_input"])))
        return specific(permissionDecision="deny", permissionDecisionReason="not here")

    options = base(hooks=matched(theirs, matcher=matcher))
    options = guarded(**{"pass": {}}).options(options) if is_guarded else options
    assert "not here" in called(guarded, options, tool, given)
    assert seen == [(shown, ["command", "description"] if tool == "Monitor" else sorted(given))]


# Many at once


def test_two_sessions_share_one_guard(guarded):
    guard = guarded(**REDIRECT, ask={})
    roots = [folders(guarded.root / name) for name in "ab"]
    people = [Human(True), Human(False)]

    async def both():
        asked = [guard.options(base(**ALLOWED), human=human) for human in people]
        return await asyncio.gather(*(session(root, one, WRITE) for root, one in zip(roots, asked, strict=True)))

    first, second = asyncio.run(both())
    assert not first.left_over + second.left_over
    assert list((guarded.root / "sandbox").rglob("x")) == [guarded.root / f"sandbox{guarded.root}/a/data/x"]
    assert not first.files()
    assert not second.files()


def test_sub_agents_are_guarded_at_the_same_time(guarded, monkeypatch):
    call = {"description": "d", "subagent_type": "general-purpose"}
    spawn = [{"tool": "Agent", "input": {**call, "prompt": f"go [[script:{name}]]"}} for name in "abc"]
    scripts = {
        name: [[{"tool": "Write", "input": {"file_path": f"$DATA/{name}", "content": name}}], END] for name in "abc"
    }
    guard = guarded(**REDIRECT)
    options = guard.options(base(allowed_tools=["Write", "Agent"]))
    seen = listened(monkeypatch, guard)
    outcome = runs(guarded, options, [spawn, END], scripts=scripts)
    assert outcome.files() == {f"sandbox{guarded.root}/data/{name}": name for name in "abc"}
    agents = {event.fields["agent_id"] for event in seen if (event.name, event.tool) == ("PreToolUse", "Write")}
    assert len(agents) == 3
    for name in ("SubagentStart", "SubagentStop"):
        assert {event.fields["agent_id"] for event in seen if event.name == name} == agents


def test_a_session_that_is_interrupted_while_it_is_judged_ends_and_leaves_the_guard_whole(guarded):
    slow = {"limits": '{ fuel = 1_000_000_000, clock = "2 s" }'}
    guard = guarded(loop_evaluate=slow)

    async def interrupt(client):
        while guard.waiting == 0:
            await asyncio.sleep(0.01)
        await client.interrupt()

    guard.waiting = 0
    decided = guard.adecide

    async def adecide(event):
        guard.waiting += event.name == "PreToolUse"
        return await decided(event)

    guard.adecide = adecide
    begun = time.monotonic()
    outcome = runs(guarded, guard.options(base(**ALLOWED)), client=True, meanwhile=interrupt)
    assert not outcome.files()
    assert time.monotonic() - begun < 30
    del guard.adecide
    assert guard.decide({"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {}}).effect == 3


def test_several_guards_decide_as_one(guarded):
    both = Guards(guarded(**REDIRECT), guarded(deny={"tools": '["Bash"]'}))
    outcome = runs(guarded, both.options(base(**ALLOWED)))
    assert outcome.files() == {f"sandbox{guarded.root}/data/x": "hello"}


# Hooks that the program has already


def hook(answer):
    """A hook of the program's that answers so, and remembers what it was asked."""

    async def said(given, call, context):
        said.asked.append(given)
        return answer(given) if callable(answer) else answer

    said.asked = []
    return said


def specific(event="PreToolUse", **said):
    return {"hookSpecificOutput": {"hookEventName": event, **said}}


def moved(given, word="updatedInput"):
    path = given["tool_input"]["file_path"]
    return specific(permissionDecision="allow", **{word: {**given["tool_input"], "file_path": f"{path}.theirs"}})


def matched(said, matcher=None, event="PreToolUse", **more):
    return {event: [sdk.HookMatcher(matcher=matcher, hooks=[said], **more)]}


def test_a_rewrite_of_the_programs_own_hook_is_judged_by_the_policies(guarded):
    theirs = hook(moved)
    outcome = runs(guarded, guarded(**REDIRECT).options(base(hooks=matched(theirs), **ALLOWED)))
    assert outcome.files() == {f"sandbox{guarded.root}/data/x.theirs": "hello"}
    assert len(theirs.asked) == 1
    gate = {"tool-gate": {"settings": '{ deny_extensions = [".theirs"] }'}}
    denied = runs(guarded, guarded(**gate).options(base(hooks=matched(hook(moved)), **ALLOWED)))
    assert ".theirs" in denied.told[0]
    assert not (guarded.root / "data/x.theirs").exists()


@pytest.mark.parametrize(
    "answer",
    [
        specific(permissionDecision="deny", permissionDecisionReason="theirs"),
        {"decision": "block", "reason": "theirs"},
        None,
        {"decision": "deny"},
        lambda _: 1 / 0,
    ],
    ids=["deny", "the older word", "nothing", "nonsense", "raises"],
)
def test_a_deny_or_a_failure_of_the_programs_own_hook_denies(guarded, answer):
    options = guarded(**{"pass": {}}).options(base(hooks=matched(hook(answer)), **ALLOWED))
    outcome = runs(guarded, options)
    assert not outcome.files()
    assert "theirs" in outcome.told[0] or "a hook of this program" in outcome.told[0]


def test_the_words_of_older_sdks_are_understood(guarded):
    theirs = hook(lambda given: {"decision": "approve", **moved(given, "modifiedInput")})
    outcome = runs(guarded, guarded(**{"pass": {}}).options(base(hooks=matched(theirs), **ALLOWED)))
    assert outcome.files() == {"data/x.theirs": "hello"}


def test_hooks_of_the_program_beside_ours_run_as_before(guarded):
    theirs, post = hook({}), hook({})
    hooks = {
        **matched(theirs, event="Stop"),
        **matched(post, "Write", event="PostToolUse"),
        **matched(hook({}), "Bash"),
    }
    runs(guarded, guarded(**{"pass": {}}).options(base(hooks=hooks, **ALLOWED)))
    assert [given["hook_event_name"] for given in theirs.asked + post.asked] == ["Stop", "PostToolUse"]
    assert hooks["PreToolUse"][0].hooks[0].asked == []


def test_a_context_and_a_message_of_the_programs_own_hook_are_kept(guarded):
    theirs = hook({**specific("PostToolUse", additionalContext="from theirs"), "suppressOutput": True})
    outcome = runs(guarded, guarded(**REDIRECT).options(base(hooks=matched(theirs, event="PostToolUse"), **ALLOWED)))
    assert "from theirs" in json.dumps([request["last_text"] for request in outcome.requests])
    assert outcome.files()


# Events


def test_the_events_of_a_session_reach_the_policies(guarded, monkeypatch):
    guard = guarded(**{"pass": {}})
    seen = listened(monkeypatch, guard)
    script = [[{"tool": "Bash", "input": {"command": "false", "description": "d"}}], *WRITE]
    runs(guarded, guard.options(base(allowed_tools=["Write", "Bash"])), script)
    # SessionStart and SessionEnd happen where the client has no callbacks yet, or no more: it never asks about them.
    assert [(event.name, event.tool) for event in seen if event.name != "PostToolBatch"] == [
        ("UserPromptSubmit", None),
        ("PreToolUse", "Bash"),
        ("PostToolUseFailure", "Bash"),
        ("PreToolUse", "Write"),
        ("PostToolUse", "Write"),
        ("Stop", None),
    ]


@pytest.mark.parametrize(("policy", "compacted"), [("pass", True), ("deny", False)])
def test_a_compaction_is_judged(guarded, monkeypatch, policy, compacted):
    guard = guarded(**{policy: {"events": '["PreCompact"]'}})
    seen = listened(monkeypatch, guard)
    outcome = runs(guarded, guard.options(base()), [END, END], client=True, then="/compact")
    names = [event.name for event in seen]
    assert "PreCompact" in names
    assert any("summary" in text for request in outcome.requests for text in request["last_text"][-1:]) is compacted


def test_a_stop_that_is_denied_goes_on_working_and_one_that_fails_does_not(guarded):
    gate = {"tool-gate": {"settings": "{}"}}
    assert len(runs(guarded, guarded(unreachable={"events": '["Stop"]'}).options(base()), [END]).requests) == 1
    once = []

    async def said(given, _call, _context):
        once.append(given)
        return {} if given["stop_hook_active"] else {"decision": "block", "reason": "one more"}

    hooks = {"Stop": [sdk.HookMatcher(hooks=[said])]}
    assert len(runs(guarded, guarded(**gate).options(base(hooks=hooks)), [END, END]).requests) == 2
    assert len(once) == 2


def test_a_prompt_that_is_denied_never_reaches_the_model(guarded):
    gate = {"tool-gate": {"settings": '{ prompt_words = ["secret"] }'}}
    assert not runs(guarded, guarded(**gate).options(base()), [END], prompt="my secret").requests
    assert runs(guarded, guarded(**gate).options(base()), [END], prompt="my file").requests
