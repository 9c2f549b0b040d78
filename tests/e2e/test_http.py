"""URL hooks in the real Claude Code: the daemon's HTTP port, as the client calls it. The disk is the witness.

What a client of another version does differently shows here first: what it sends is compared with what was recorded.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import END, PYTHON, REDIRECT, WRITE, WRITES
from tests.e2e.drive_claude import run
from wasmguard.link import ANSWERED, ELSEWHERE
from wasmguard.serve.http import HttpTalk

pytestmark = pytest.mark.e2e

WIRE = Path(__file__).parents[1] / "wire" / "claude" / "2.1.329"
BASHES = ("--allowedTools", "Bash")
PASS, DENY = b"{}\n", b"""{"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny"}}\n"""

NO_TOUCH = """
[[policy]]
name = "no-touch"
module = "builtin:tool-gate"
events = ["PreToolUse"]
settings = { deny_commands = ["touch"] }
"""


def in_sandbox(outcome, size=5):
    return {f"sandbox{outcome.root}/data/x": size}


def hook(url, shown, **changes):
    """A URL hook entry that shows *shown*."""
    said = {"Authorization": f"Bearer {shown}", "X-Home": "${HOME}"}
    entry = {"type": "http", "url": url, "headers": said, "allowedEnvVars": ["HOME"], "timeout": 10}
    return {**entry, "onFailure": "block", **changes}


@pytest.fixture
def daemon(owner):
    """Locks a configuration and starts the real daemon; its URL and its token."""
    started = []

    def start(text):
        owner.locks(text)
        places = ["--home", f"{owner.root}/home", "--socket", f"{owner.root}/run/s"]
        process = subprocess.Popen(
            [*PYTHON, "serve", "--daemon", "--config", str(owner.config), *places, "--http", "127.0.0.1:0"],
            env={"HOME": f"{owner.root}/home", "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        assert select.select([process.stderr], [], [], 30)[0], "the daemon says nothing"
        line = process.stderr.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line + process.stderr.read().decode()
        token = (owner.root / "home/.local/state/wasmguard/token").read_text(encoding="ascii").strip()
        return found[0] + "/v1/hook/claude-code", token, process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stderr.close()


def got(url, token, path):
    """The JSON at *path* of the daemon."""
    request = urllib.request.Request(
        url.replace("/v1/hook/claude-code", path), headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@contextmanager
def scripted(reply, token="t" * 43):
    """A server that answers each question as *reply* says, one connection at a time; its URL and what it received."""
    heard = []
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve():
        with suppress(OSError):  # the end: the listener is closed
            while True:
                channel, _ = listener.accept()
                with channel:
                    heard.append(bytearray())
                    channel.settimeout(20)
                    talked(channel)

    def talked(channel):
        talk = HttpTalk(token, port, lambda: 1_000_000)
        with suppress(OSError):
            while not talk.over and (data := channel.recv(65_536)):
                heard[-1] += data
                talk.received(data)
                if question := talk.question():
                    talk.answer(question, *reply(question))
                channel.sendall(talk.out)
                talk.out.clear()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/v1/hook/claude-code", heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=30)
        assert not thread.is_alive()


# The real daemon


def test_a_write_lands_in_the_sandbox(owner, daemon):
    url, token, _ = daemon(REDIRECT)
    outcome = owner.runs(WRITE, *WRITES, hook=hook(url, token))
    assert outcome.files() == in_sandbox(outcome)
    assert [call.is_error for call in outcome.calls] == [False]


def test_a_write_of_300_kilobytes_lands_there_whole(owner, daemon):
    url, token, _ = daemon(REDIRECT)
    script = [[{"tool": "Write", "input": {"file_path": "$DATA/x", "content": "@@REP:é:150000"}}], END]
    outcome = owner.runs(script, *WRITES, hook=hook(url, token))
    assert outcome.files() == in_sandbox(outcome, 300_000)


def test_a_deny_is_obeyed_even_where_a_failure_would_not_block(owner, daemon):
    url, token, _ = daemon(NO_TOUCH)
    script = [[{"tool": "Bash", "input": {"command": "touch $DATA/created", "description": "d"}}], END]
    outcome = owner.runs(script, *BASHES, hook=hook(url, token, onFailure="continue"))
    assert outcome.files() == {}
    (call,) = outcome.calls
    assert call.is_error
    assert "no-touch" in call.result


def test_many_events_go_over_one_connection(owner, daemon):
    url, token, _ = daemon(NO_TOUCH)
    script = [[{"tool": "Bash", "input": {"command": f"echo {n}", "description": "d"}}] for n in range(8)]
    outcome = owner.runs([*script, END], *BASHES, hook=hook(url, token))
    assert [call.result for call in outcome.calls] == [str(n) for n in range(8)]
    status = got(url, token, "/v1/status")
    assert status["events"] == 8
    assert status["accepted"] == 2  # the client, and this


def test_the_agents_settings_are_protected_over_http_too(owner, daemon):
    url, token, _ = daemon(NO_TOUCH)
    script = [[{"tool": "Write", "input": {"file_path": "$HOME/.claude/settings.json", "content": "{}"}}], END]
    outcome = owner.runs(script, "--permission-mode", "bypassPermissions", hook=hook(url, token))
    (call,) = outcome.calls
    assert call.is_error
    assert "the agent may not write" in call.result
    assert not (owner.root / "home/.claude/settings.json").exists()


def test_a_daemon_that_was_killed_blocks(owner, daemon):
    url, token, process = daemon(REDIRECT)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    outcome = owner.runs(WRITE, *WRITES, hook=hook(url, token))
    assert outcome.files() == {}
    assert [call.is_error for call in outcome.calls] == [True]


@pytest.mark.parametrize("shown", ["", "x" * 43, "$WASMGUARD_TOKEN"])
def test_without_the_token_nothing_runs(owner, daemon, shown):
    url, _, _ = daemon(REDIRECT)
    outcome = owner.runs(WRITE, *WRITES, hook=hook(url, shown))
    assert outcome.files() == {}
    assert "HTTP 401" in outcome.calls[0].result


# The client: what it sends, and what it makes of answers


def headers_of(data):
    lines = data.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def test_the_client_sends_what_was_recorded(owner):
    variables = {"X-Claude-Config-Dir": "CLAUDE_CONFIG_DIR", "X-Claude-Project-Dir": "CLAUDE_PROJECT_DIR"}
    said = {"Authorization": f"Bearer {'t' * 43}"} | {name: f"${{{value}}}" for name, value in variables.items()}
    with scripted(lambda _: (ANSWERED, PASS, b"")) as (url, heard):
        entry = hook(url, "", headers={**said, "X-Home": "${HOME}"}, allowedEnvVars=["HOME", *variables.values()])
        owner.runs(WRITE, *WRITES, hook=entry)
    head, _, body = bytes(heard[0]).partition(b"\r\n\r\n")
    recorded = (WIRE / "http-request.txt").read_text(encoding="ascii")
    changing = {"$TOKEN": "t" * 43, "$LENGTH": str(len(body)), "$PORT": url.split(":")[2].split("/")[0]}
    for name, value in {**changing, "/home/user": f"{owner.root}/home"}.items():
        recorded = recorded.replace(name, value)
    assert head.decode("ascii").replace("\r\n", "\n") + "\n" == recorded
    assert json.loads(body)["tool_name"] == "Write"


@pytest.mark.parametrize("scope", ["flag", "user", "project"])
def test_variables_come_from_settings_of_any_scope(owner, scope):
    """So a project can set whatever a header is filled with: that must never open anything."""
    with scripted(lambda _: (ANSWERED, PASS, b"")) as (url, heard):
        entry = hook(url, "${WASMGUARD_TOKEN}", allowedEnvVars=["WASMGUARD_TOKEN"])
        settings = {"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [entry]}]}, "env": {"WASMGUARD_TOKEN": "t" * 43}}
        outcome = run(WRITE, root=owner.root, settings=settings, scope=scope, arguments=WRITES)
    assert headers_of(heard[0])["authorization"] == f"Bearer {'t' * 43}"
    assert "data/x" in outcome.files()


def test_a_variable_that_is_not_allowed_is_empty(owner):
    with scripted(lambda _: (ANSWERED, PASS, b"")) as (url, heard):
        outcome = owner.runs(WRITE, *WRITES, hook=hook(url, "${HOME}", allowedEnvVars=[]))
    assert headers_of(heard[0])["authorization"] == "Bearer"
    assert outcome.files() == {}


def test_a_header_keeps_a_byte_for_each_character_and_loses_the_rest(owner):
    with scripted(lambda _: (ANSWERED, PASS, b"")) as (url, heard):
        entry = hook(url, "", headers={"Authorization": f"Bearer {'t' * 43}", "X-Home": "/hé日本"})
        owner.runs(WRITE, *WRITES, hook=entry)
    assert headers_of(heard[0])["x-home"] == "/hé"


def test_a_daemon_that_is_ending_blocks(owner):
    with scripted(lambda _: (ELSEWHERE, b"", b"")) as (url, _):
        outcome = owner.runs(WRITE, *WRITES, hook=hook(url, "t" * 43))
    assert outcome.files() == {}
    assert "HTTP 503" in outcome.calls[0].result


def test_half_an_answer_blocks(owner, monkeypatch):
    monkeypatch.setattr("wasmguard.serve.http._message", lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}")
    with scripted(lambda _: (ANSWERED, PASS, b"")) as (url, _):
        outcome = owner.runs(WRITE, *WRITES, hook=hook(url, "t" * 43, timeout=1))
    assert outcome.files() == {}
    assert [call.is_error for call in outcome.calls] == [True]


def test_a_deny_that_fits_another_event_blocks(owner):
    """What is said about an event without a name (exit code 2 of a command) is a PreToolUse deny."""
    with scripted(lambda _: (ANSWERED, DENY, b"")) as (url, _):
        outcome = owner.runs(WRITE, *WRITES, hook=hook(url, "t" * 43), events=("UserPromptSubmit",))
    assert outcome.calls == []
    assert outcome.files() == {}
