"""What the real client does with our answers to its events: every rule of the dialect that is not about a tool's input.

A hook says through the dialect what a table decides (`deciding`); what counts is what reached the model, as the mock of
the API heard it, and how the run ended. Of a compaction, the instructions are in what the model is asked.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

import pytest

from tests.e2e.drive_claude import clean_environment
from tests.e2e.mcp_server import PICTURE, SECRET
from tests.e2e.mock_api import MockAPI
from wasmguard.agents import claude
from wasmguard.event import AFTER

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
END = [{"text": "end"}]
FREE = ("--permission-mode", "bypassPermissions")
SERVER = {"mcpServers": {"s": {"command": sys.executable, "args": ["-I", str(HERE / "mcp_server.py")]}}}
MCP = ("--mcp-config", json.dumps(SERVER))
GONE = "[gone]"
INSTRUCTIONS = "Additional Instructions:"


def bash(command, **more):
    return {"tool": "Bash", "input": {"command": command, "description": "d", **more}}


@pytest.fixture
def decides(owner):
    """Runs the client with hooks that decide what a table says."""

    def runs(table, script, *arguments, events=None, **options):
        path = owner.root / "guard" / "table.json"
        path.write_text(json.dumps(table), encoding="utf-8")
        command = {"command": sys.executable, "args": ["-I", str(HERE / "deciding.py"), str(path)]}
        hook = {"type": "command", **command, "onFailure": "block", "timeout": 30}
        events = events or {name.partition(":")[0] for name in table}
        outcome = owner.runs(script, *arguments, events=sorted(events), hook=hook, **options)
        log = Path(f"{path}.log")
        outcome.events = [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []
        return outcome

    return runs


def heard(outcome, script="main"):
    """What the model was told beside the results of its calls, request by request."""
    return ["\n".join(request["last_text"]) for request in outcome.requests if request["script"] == script]


def turns(outcome, script="main"):
    return len(heard(outcome, script))


def reason(text="because"):
    return f'policy "written-down" says (untrusted text): "{text}"'


def context(text="remember"):
    return f'policy "written-down" adds (untrusted text): "{text}"'


# What a tool gave back.

NOTEBOOK = {
    "cells": [{"cell_type": "code", "id": "c1", "metadata": {}, "outputs": [], "source": f"print('{SECRET}')"}],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
AGENT = {
    "tool": "Agent",
    "input": {"description": "d", "prompt": "go on [[script:sub]]", "subagent_type": "general-purpose"},
}
CALLS = [
    bash(f"echo {SECRET}; echo {SECRET} >&2"),
    {"tool": "Read", "input": {"file_path": "$DATA/a.txt"}},
    {"tool": "Read", "input": {"file_path": "$DATA/n.ipynb"}},
    {"tool": "Read", "input": {"file_path": "$DATA/p.png"}},
    {"tool": "Edit", "input": {"file_path": "$DATA/a.txt", "old_string": "two", "new_string": SECRET}},
    {"tool": "Write", "input": {"file_path": "$DATA/b.txt", "content": SECRET}},
    {"tool": "Grep", "input": {"pattern": "sk-live", "path": "$DATA", "output_mode": "content"}},
    {"tool": "Grep", "input": {"pattern": "sk-live", "path": "$DATA", "output_mode": "count"}},
    {"tool": "Grep", "input": {"pattern": "sk-live", "path": "$DATA"}},
    {"tool": "Glob", "input": {"pattern": "*.txt", "path": "$DATA"}},
    {"tool": "NotebookEdit", "input": {"notebook_path": "$DATA/n.ipynb", "cell_id": "c1", "new_source": SECRET}},
    {"tool": "TaskCreate", "input": {"subject": SECRET, "description": SECRET}},
    {"tool": "TaskGet", "input": {"taskId": "1"}},
    {"tool": "TaskUpdate", "input": {"taskId": "1", "status": "in_progress"}},
    {"tool": "TaskList", "input": {}},
    {"tool": "CronCreate", "input": {"cron": "0 0 1 1 *", "prompt": SECRET}},
    {"tool": "CronList", "input": {}},
    {"tool": "WebSearch", "input": {"query": SECRET}},
    {"tool": "Skill", "input": {"skill": "simplify"}},
    AGENT,
    *({"tool": f"mcp__s__{name}", "input": {}} for name in ("text", "many", "picture", "structured")),
]
TOOLS = sorted({call["tool"] for call in CALLS if "mcp__" not in call["tool"]})
QUIET = {"Edit", "Write", "Glob", "TaskUpdate", "CronCreate", "Skill", "Agent"}  # they do not repeat a secret


@pytest.fixture
def every_tool(owner, decides):
    """Runs the client with a call of every tool whose output can be replaced."""
    (owner.root / "data" / "a.txt").write_text(f"one {SECRET}\ntwo\n", encoding="utf-8")
    (owner.root / "data" / "n.ipynb").write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    (owner.root / "data" / "p.png").write_bytes(base64.b64decode(PICTURE))

    def runs(output):
        script = [*([call] for call in CALLS), END]
        arguments = (*FREE, *MCP, "--tools", ",".join(TOOLS))
        outcome = decides({"PostToolUse": {"output": output}}, script, *arguments, scripts={"sub": [END]})
        assert [call.name for call in outcome.calls] == [call["tool"] for call in CALLS]
        assert len(outcome.events) == len(CALLS), "every call was made, and its hook asked"
        return outcome

    return runs


def leaks(outcome):
    """The tools whose results told the model the secret."""
    results = {part["tool_use_id"]: part for request in outcome.requests for part in request["tool_results"]}
    names = {call.id: call.name for call in outcome.calls}
    return [names[key] for key, part in results.items() if SECRET in json.dumps(part["content"])]


def test_a_text_is_taken_out_of_the_output_of_every_tool(every_tool):
    outcome = every_tool((SECRET, GONE))
    assert leaks(outcome) == []
    quiet = {call.name for call in outcome.calls if GONE not in call.result}
    assert quiet == QUIET | {"Read", "Grep"}, "of the picture, and of names of files"


def test_the_output_of_every_tool_can_be_withheld_and_what_is_a_picture_stays_one(every_tool):
    """With anything else in a picture's place the API would refuse this conversation from then on."""
    outcome = every_tool("withheld")
    assert leaks(outcome) == []
    assert {call.name for call in outcome.calls if "[withheld by wasmguard" not in call.result} <= {"Read", "Agent"}
    parts = [part for request in outcome.requests for part in request["tool_results"]]
    blocks = [block for part in parts if isinstance(part["content"], list) for block in part["content"]]
    for picture in (block["source"] for block in blocks if block["type"] == "image"):
        assert picture["media_type"] == "image/png"
        assert base64.b64decode(picture["data"], validate=True).startswith(b"\x89PNG")


def test_every_tool_that_is_said_to_be_replaceable_was_tried():
    tried = {"mcp__*" if call["tool"].startswith("mcp__") else call["tool"] for call in CALLS}
    assert tried == claude.REPLACEABLE


def test_what_a_call_that_failed_said_cannot_be_replaced(decides):
    """Known, and told to owners: who must not show a secret looks at the call before it is made."""
    script = [[bash(f"echo {SECRET}; exit 3")], [{"tool": "mcp__s__fails", "input": {}}], END]
    outcome = decides({name: {"output": (SECRET, GONE)} for name in AFTER}, script, *FREE, *MCP)
    assert [event["hook_event_name"] for event in outcome.events] == ["PostToolUseFailure"] * 2
    assert leaks(outcome) == ["Bash", "mcp__s__fails"]


# After a call.

ECHO = [[bash(f"echo {SECRET}")], [bash("echo again")], END]
FAILS = [[bash("exit 3")], END]


@pytest.mark.parametrize("effect", ["deny", "ask"])
def test_a_deny_after_a_call_is_a_message_and_the_run_goes_on(decides, effect):
    outcome = decides({"PostToolUse": {"effect": effect, "reason": "because", "output": (SECRET, GONE)}}, ECHO, *FREE)
    assert [call.result for call in outcome.calls] == [GONE, "again"]
    assert reason() in heard(outcome)[1]
    assert turns(outcome) == 3


def test_an_interrupt_after_a_call_ends_the_run_before_the_model_reads_anything(decides):
    said = {"effect": "deny", "reason": "because", "interrupt": True, "output": (SECRET, GONE)}
    outcome = decides({"PostToolUse": said}, ECHO, *FREE)
    assert turns(outcome) == 1
    assert outcome.result["terminal_reason"] == "hook_stopped"
    assert SECRET not in (outcome.root / "out.jsonl").read_text().partition('"tool_result"')[2]


def test_a_fault_after_a_call_withholds_and_says_nothing(decides):
    outcome = decides({"PostToolUse": {"effect": "deny", "fault": "out of fuel", "output": "withheld"}}, ECHO, *FREE)
    assert leaks(outcome) == []
    assert "out of fuel" not in json.dumps(outcome.requests)
    assert turns(outcome) == 3


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"effect": "deny", "reason": "because"}, reason()),
        ({"effect": "deny", "reason": "because", "interrupt": True}, reason()),
        ({"context": "remember"}, context()),
    ],
)
def test_after_a_call_that_failed_the_model_is_told(decides, said, words):
    outcome = decides({"PostToolUseFailure": said}, FAILS, *FREE)
    assert words in heard(outcome)[1]
    assert turns(outcome) == 2


def test_a_denied_batch_never_reaches_the_model(decides):
    outcome = decides({"PostToolBatch": {"effect": "deny", "reason": "because"}}, ECHO, *FREE)
    assert (turns(outcome), outcome.result["terminal_reason"]) == (1, "hook_stopped")


def test_a_batch_has_a_context(decides):
    outcome = decides({"PostToolBatch": {"context": "remember"}}, ECHO, *FREE)
    assert [context() in text for text in heard(outcome)] == [False, True, True]


# Stops.


def test_an_agent_goes_on_once_where_the_policy_looks_at_what_the_client_says(decides):
    outcome = decides({"Stop": {"effect": "deny", "reason": "more", "once": True}}, [END, [{"text": "more"}]])
    assert [event["stop_hook_active"] for event in outcome.events] == [False, True]
    assert reason("more") in heard(outcome)[1]
    assert outcome.result["result"] == "more"


@pytest.mark.parametrize("name", ["Stop", "SubagentStop"])
def test_the_client_gives_in_to_a_policy_that_never_lets_an_agent_stop(decides, name):
    script = [END] if name == "Stop" else [[AGENT], [{"sleep": 2}, *END], END]
    said = {name: {"effect": "deny", "reason": "more"}}
    outcome = decides(said, script, *FREE, scripts={"sub": [END]})
    assert [event["stop_hook_active"] for event in outcome.events] == [False] + [True] * 8
    assert outcome.returncode == 0


@pytest.mark.parametrize(
    "said", [{"effect": "deny", "reason": "r", "interrupt": True}, {"context": "remember"}, {"effect": "allow"}]
)
def test_an_interrupt_a_context_and_an_allow_let_an_agent_stop(decides, said):
    outcome = decides({"Stop": said}, [END])
    assert (turns(outcome), len(outcome.events), outcome.returncode) == (1, 1, 0)
    assert outcome.result["terminal_reason"] == ("stop_hook_prevented" if "interrupt" in said else "completed")


def test_a_sub_agent_that_is_interrupted_stops_and_its_parent_goes_on(decides):
    script = [[AGENT], [{"sleep": 1.5}, *END], END]
    said = {"SubagentStop": {"effect": "deny", "reason": "r", "interrupt": True}}
    outcome = decides(said, script, *FREE, scripts={"sub": [END]})
    assert (turns(outcome, "sub"), len(outcome.events)) == (1, 1)
    assert outcome.result["result"] == "end"


# Tasks.

TASKS = [
    [{"tool": "TaskCreate", "input": {"subject": "t", "description": "d"}}],
    [{"tool": "TaskUpdate", "input": {"taskId": "1", "status": "completed"}}],
    [{"tool": "TaskList", "input": {}}],
    END,
]


@pytest.mark.parametrize(
    ("name", "list_of_tasks"), [("TaskCreated", "No tasks found"), ("TaskCompleted", "#1 [pending] t")]
)
def test_a_task_is_neither_made_nor_completed_when_denied(decides, name, list_of_tasks):
    said = {name: {"effect": "deny", "reason": "because"}}
    outcome = decides(said, TASKS, *FREE, "--tools", "TaskCreate,TaskUpdate,TaskList")
    assert reason() in outcome.calls[name == "TaskCompleted"].result
    assert outcome.calls[2].result == list_of_tasks


# Prompts, sessions, permissions.


def test_a_context_reaches_the_model_where_the_table_of_events_says_so(decides):
    names = ("UserPromptSubmit", "SessionStart", "SubagentStart")
    script = [[AGENT], [{"sleep": 1.5}, *END], END]
    outcome = decides({name: {"context": name} for name in names}, script, *FREE, scripts={"sub": [END]})
    assert context("UserPromptSubmit") in heard(outcome)[0]
    assert context("SessionStart") in heard(outcome)[0]
    assert context("SubagentStart") in heard(outcome, "sub")[0]


@pytest.fixture
def hello(owner):
    commands = owner.root / "project" / ".claude" / "commands"
    commands.mkdir(parents=True)
    (commands / "hello.md").write_text("Say hello to $ARGUMENTS\n", encoding="utf-8")


@pytest.mark.usefixtures("hello")
def test_a_denied_command_is_never_expanded(decides):
    said = {"UserPromptExpansion": {"effect": "deny", "reason": "because"}}
    outcome = decides(said, [END], prompt="/hello bob")
    assert turns(outcome) == 0
    assert reason() in outcome.result["result"]


@pytest.mark.usefixtures("hello")
def test_a_command_has_a_context(decides):
    outcome = decides({"UserPromptExpansion": {"context": "remember"}}, [END], prompt="/hello bob")
    assert context() in heard(outcome)[0]


WRITES = [[{"tool": "Write", "input": {"file_path": f"$DATA/{name}", "content": "x"}}] for name in "ab"]
RULE = {"type": "addRules", "rules": [{"toolName": "Write"}], "behavior": "allow", "destination": "session"}


def test_an_allowed_permission_and_its_updates_reach_the_client(decides):
    outcome = decides({"PermissionRequest": {"effect": "allow", "permissions": [RULE]}}, [*WRITES, END])
    assert outcome.files() == {"data/a": 1, "data/b": 1}
    assert len(outcome.events) == 1, "the second call was allowed by the update"


def test_a_permission_that_is_denied_with_an_interrupt_ends_the_run(decides):
    said = {"PermissionRequest": {"effect": "deny", "reason": "because", "interrupt": True}}
    outcome = decides(said, [*WRITES, END])
    assert (outcome.files(), turns(outcome)) == ({}, 1)
    assert outcome.result["terminal_reason"] == "aborted_tools"


@pytest.mark.parametrize("name", ["Elicitation", "ElicitationResult"])
def test_a_denied_question_of_a_server_is_declined(decides, name):
    ask = [[{"tool": "mcp__s__asks", "input": {}}], END]
    outcome = decides({name: {"effect": "deny", "reason": "because"}}, ask, *FREE, *MCP)
    assert "answered: decline" in outcome.calls[0].result
    assert len(outcome.events) == 1


def test_without_a_decision_nobody_answers_a_question_of_a_server(decides):
    ask = [[{"tool": "mcp__s__asks", "input": {}}], END]
    outcome = decides({"Elicitation": {}, "ElicitationResult": {}}, ask, *FREE, *MCP)
    assert "answered: cancel" in outcome.calls[0].result


# Compaction.


def instructions(requests):
    """What the model was asked to mind while it summarised, each request's."""
    asked = ["\n".join(request["last_text"]) for request in requests]
    found = [text.partition(INSTRUCTIONS)[2].partition("REMINDER:")[0] for text in asked if "<summary>" in text]
    return [text.replace("[[script:main]]", "").strip() for text in found]


@pytest.fixture
def compacts(owner, decides):
    """Runs a session, and compacts it."""
    owner.runs([[{"text": "first"}]])

    def runs(table, **options):
        return decides(table, [[{"text": "<summary>s</summary>"}]], "--continue", prompt="/compact", **options)

    return runs


def test_a_context_reaches_the_compaction(compacts):
    outcome = compacts({"PreCompact": {"context": "keep the list"}})
    said = instructions(outcome.requests)
    assert said
    assert all(json.loads(text) == {"systemMessage": context("keep the list")} for text in said)


def test_a_denied_compaction_does_not_happen(compacts):
    outcome = compacts({"PreCompact": {"effect": "deny", "reason": "because"}})
    assert instructions(outcome.requests) == []
    assert reason() in outcome.result["result"]


# Callbacks of the SDK.


def talk(root, table, *prompts, model=""):
    """What the mock was asked, and the results, in one session of the SDK whose hooks decide what *table* says."""
    from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, HookMatcher

    from tests.e2e.deciding import decided

    async def hook(payload, _id, _context):
        return decided(claude.from_mapping(payload), table)

    async def session(url):
        hooks = {name: [HookMatcher(hooks=[hook], timeout=30)] for name in table}
        environment = clean_environment(root, url)
        options = ClaudeAgentOptions(cwd=root / "project", env=environment, hooks=hooks, setting_sources=[])
        results = []
        async with ClaudeSDKClient(options) as sdk:
            for prompt in prompts:
                await sdk.query(prompt)
                *_, last = [message async for message in sdk.receive_response()]
                results.append(last.result)
                if model:
                    await sdk.set_model(model)
        return results

    with MockAPI({"main": [[{"text": "<summary>s</summary>"}]]}) as api:
        results = asyncio.run(asyncio.wait_for(session(api.url), 60))
        return api.requests, results


def test_a_context_of_a_callback_reaches_the_compaction_as_it_is(owner):
    table = {"PreCompact": {"context": "keep the list"}}
    requests, _ = talk(owner.root, table, "hello [[script:main]]", "/compact")
    said = instructions(requests)
    assert said
    assert set(said) == {context("keep the list")}


def test_no_opinion_of_a_callback_is_no_instruction(owner):
    requests, _ = talk(owner.root, {"PreCompact": {}}, "hello [[script:main]]", "/compact")
    assert set(instructions(requests)) == {""}


def test_a_compaction_that_a_callback_denies_says_why(owner):
    table = {"PreCompact": {"effect": "deny", "reason": "because"}}
    requests, results = talk(owner.root, table, "hello [[script:main]]", "/compact")
    assert instructions(requests) == []
    assert reason() in results[1]


@pytest.mark.parametrize("effect", ["deny", "ask"])
def test_another_model_is_refused_by_name_and_where_nobody_can_be_asked(owner, effect):
    table = {"PreModelSwitch": {"effect": effect, "reason": "because"}}
    with pytest.raises(Exception, match='blocked by a PreModelSwitch hook: policy "written-down" says'):
        talk(owner.root, table, "hello [[script:main]]", model="claude-haiku-4-5")
