"""How a program is asked, and what counts as its answer."""

import pytest

from wasmguard.errors import HostError
from wasmguard.workshop.bench.peers import spawn
from wasmguard.workshop.bench.peers.spawn import HOMES, asks, stops, written

DENY = b'{"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "%s"}}'


@pytest.fixture
def hook(tmp_path):
    def make(source, **more):
        return asks(["/bin/sh", written(str(tmp_path), "hook.sh", source)], str(tmp_path), **more)

    return make


@pytest.mark.parametrize(
    ("output", "code", "stopped"),
    [
        (b"", 0, False),
        (b"\n", 0, False),
        (b"{}", 0, False),
        (b'{"continue": true}', 0, False),
        (DENY % b"deny", 0, True),
        (DENY % b"ask", 0, True),
        (DENY % b"allow", 0, False),
        (b'{"decision": "block", "reason": "no"}', 0, True),
        (b'{"decision": "approve"}', 0, False),
        (b"", 2, True),
        (b"Traceback", 2, True),
    ],
)
def test_an_answer_is_read_as_the_agent_reads_it(output, code, stopped):
    assert stops(output, code) is stopped


@pytest.mark.parametrize(
    ("output", "code", "why"),
    [
        (b"", 1, "ended with code 1, which is no answer"),
        (DENY % b"deny", 127, "ended with code 127, which is no answer"),
        (b"", -9, "ended with code -9, which is no answer"),
        (b"Usage: it [options]", 0, "what it says is no answer: Usage: it [options]"),
        (b"[]", 0, "what it says is no answer: []"),
        (DENY % b"perhaps", 0, "what it says is no answer: perhaps"),
    ],
)
def test_what_is_no_answer_is_never_measured(output, code, why):
    with pytest.raises(HostError) as raised:
        stops(output, code)
    assert str(raised.value) == why


def test_a_program_gets_the_event_as_it_came(hook, event):
    one = event("Bash", {"command": "ls"})
    length = len(one.raw)
    ask = hook(f'test "$(wc -c)" -eq {length} || exit 1')
    assert ask(one) is False


def test_it_may_be_told_that_the_event_happens_in_its_folder(hook, event, tmp_path):
    ask = hook(f'grep -qF \'"cwd": "{tmp_path}"\' || exit 1; exit 2', there=True)
    assert [ask(event("Bash", {"command": "ls"}, cwd="/nowhere")) for _ in range(2)] == [True, True]


def test_it_gets_a_home_of_its_own_and_no_secrets(hook, event, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    seen = tmp_path / "seen"
    assert hook(f"env > '{seen}'")(event("Bash", {"command": "ls"})) is False
    variables = dict(line.split("=", 1) for line in seen.read_text().splitlines())
    assert {variables[name] for name in HOMES} == {str(tmp_path)}
    assert "ANTHROPIC_API_KEY" not in variables


def test_who_takes_too_long_gives_no_answer(hook, event, monkeypatch):
    monkeypatch.setattr(spawn, "PATIENCE", 0.3)
    with pytest.raises(HostError, match=r"has not ended after 0\.3 s"):
        hook("exec sleep 60")(event("Bash", {"command": "ls"}))


def test_what_cannot_be_started_says_so(event, tmp_path):
    with pytest.raises(HostError, match="cannot be run"):
        asks([str(tmp_path / "nothing")], str(tmp_path))(event("Bash", {"command": "ls"}))
