"""`wasmguard off`: a person at a terminal, for a while, on the record."""

import json
import os
import pty
import sys
from contextlib import suppress

import pytest

from wasmguard import audit, switch
from wasmguard.errors import HostError, UsageError
from wasmguard.workshop import off as workshop

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def terminal(monkeypatch, tmp_path):
    """A terminal, and nobody above us. Returns where the processes are shown."""
    monkeypatch.setattr(workshop.os, "isatty", lambda _descriptor: True)
    proc = tmp_path / "proc"
    process(proc, os.getpid(), 1)
    process(proc, 1, 0)
    return proc


def process(proc, number, parent, *variables, name="sh"):
    folder = proc / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"{number} ({name}) S {parent} 1 1 0")
    (folder / "environ").write_bytes(b"".join(variable.encode() + b"\0" for variable in ("A=b", *variables)))


def typed(word="off"):
    return lambda _question: word


def off(proc, duration="10m", ask=None, environ=()):
    return workshop.off(duration, ask=ask or typed(), environ=dict(environ), proc=str(proc))


def records():
    if not os.path.exists(audit.path()):
        return []
    with open(audit.path()) as file:
        return [json.loads(line)["kind"] for line in file]


def test_it_is_off_for_the_time_and_on_the_record(terminal):
    said = off(terminal, "10m")
    assert "10 minutes" in said
    assert switch.off_until() is not None
    assert records() == ["off"]


def test_on_ends_it_and_is_recorded(terminal):
    assert workshop.on() == "on, as it was"
    assert records() == []
    off(terminal)
    assert workshop.on() == "on"
    assert switch.off_until() is None
    assert records() == ["off", "on"]


@pytest.mark.parametrize(
    ("duration", "seconds"), [("1s", 1), ("90s", 90), ("10m", 600), ("1h", 3600), ("8h", 28_800), ("480m", 28_800)]
)
def test_a_duration_is_a_number_and_a_unit(duration, seconds):
    assert workshop.seconds_of(duration) == seconds


@pytest.mark.parametrize(
    "duration", ["", "m", "10", "10d", "-1m", "1.5h", "1h30m", " 1h", "1h ", "\u0661m", "1e3s", "9" * 99]
)
def test_what_is_no_duration_says_how_to_write_one(terminal, duration):
    with pytest.raises(UsageError, match="like `10m`"):
        off(terminal, duration)
    assert records() == []


@pytest.mark.parametrize("duration", ["0s", "0h", "9h", "481m", "28801s"])
def test_a_duration_has_its_bounds(terminal, duration):
    with pytest.raises(UsageError, match="8 hours"):
        off(terminal, duration)


@pytest.mark.parametrize("word", ["", "y", "yes", "on", "OFF", "offf"])
def test_whoever_does_not_type_the_word_changed_nothing(terminal, word):
    with pytest.raises(UsageError, match="nothing changed"):
        off(terminal, ask=typed(word))
    assert switch.off_until() is None
    assert records() == []


@pytest.mark.parametrize("descriptor", [0, 2])
def test_it_works_only_at_a_terminal(terminal, monkeypatch, descriptor):
    monkeypatch.setattr(workshop.os, "isatty", lambda given: given != descriptor)
    with pytest.raises(UsageError, match="only at a terminal"):
        off(terminal, ask=lambda _question: pytest.fail("asked"))


@pytest.mark.parametrize(
    "name", ["CLAUDECODE", "CLAUDE_PROJECT_DIR", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID", "AI_AGENT"]
)
def test_no_variable_of_an_agent_is_there(terminal, name):
    with pytest.raises(UsageError, match=rf"`\${name}` is set"):
        off(terminal, environ={"HOME": "/x", name: "1"})
    assert switch.off_until() is None


def test_variables_that_people_set_are_no_agents(terminal):
    assert off(
        terminal, environ={"CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CONFIG_DIR": "/x", "CLAUDE_CODE_SSE_PORT": "1"}
    )


def test_no_process_above_was_started_by_an_agent(terminal):
    process(terminal, os.getpid(), 70)
    process(terminal, 70, 60, name="a) S 1 (b")
    process(terminal, 60, 1, "CLAUDECODE=1")
    with pytest.raises(UsageError, match="process 60"):
        off(terminal)
    process(terminal, 60, 1, "XCLAUDECODE=1", "X=CLAUDECODE=1")
    assert off(terminal)


def test_processes_that_one_may_not_see_are_passed(terminal):
    process(terminal, os.getpid(), 70)
    process(terminal, 70, 60)
    (terminal / "70/environ").unlink()
    process(terminal, 60, 1, "CLAUDECODE=1")
    with pytest.raises(UsageError, match="process 60"):
        off(terminal)
    (terminal / "70/stat").write_text("garbage")
    assert off(terminal)


def test_a_circle_of_processes_ends(terminal):
    process(terminal, os.getpid(), os.getpid())
    assert off(terminal)


def test_what_cannot_be_recorded_does_not_happen(terminal, monkeypatch):
    def fails(*_, **__):
        raise HostError("no room")

    monkeypatch.setattr(audit, "record", fails)
    with pytest.raises(HostError, match="no room"):
        off(terminal)
    assert switch.off_until() is None


def test_what_was_recorded_and_did_not_happen_is_recorded_too(terminal, monkeypatch):
    def fails(_seconds):
        raise HostError("no room")

    monkeypatch.setattr(switch, "switch_off", fails)
    with pytest.raises(HostError, match="no room"):
        off(terminal)
    assert records() == ["off", "off failed"]


def test_the_record_is_there_before_the_guard_is_off(terminal, monkeypatch):
    order = []
    monkeypatch.setattr(audit, "record", lambda kind, **_: order.append(kind))
    monkeypatch.setattr(switch, "switch_off", lambda seconds: order.append(seconds) or 0)
    off(terminal)
    assert order == ["off", 600]


def test_only_whose_folder_it_is_may(terminal, monkeypatch):
    audit.record("on")
    here = os.geteuid()
    with monkeypatch.context() as other:
        other.setattr(workshop.os, "geteuid", lambda: here + 1)
        with pytest.raises(HostError, match=f"belongs to user {here}"):
            off(terminal)
    assert switch.off_until() is None


def at_a_terminal(statement, answer):
    """What a fresh interpreter prints that runs *statement* at a pseudo terminal where *answer* is typed."""
    child, master = pty.fork()
    if child == 0:  # pragma: no cover
        os.execv(sys.executable, [sys.executable, "-c", statement])
    said = b""
    with suppress(OSError):  # the end of a terminal is an error
        while piece := os.read(master, 4096):
            said += piece
            if b"to go on: " in said and answer:
                os.write(master, answer)
                answer = b""
    os.close(master)
    return os.waitpid(child, 0)[1], said.decode()


STATEMENT = "from wasmguard.workshop.off import off; print(off('10m', environ={}, proc='/nowhere'))"


def test_a_person_types_the_word_at_a_terminal():
    status, said = at_a_terminal(STATEMENT, b"off\n")
    assert status == 0, said
    assert "off until" in said
    assert switch.off_until() is not None
    with open(audit.path()) as file:
        assert json.loads(file.read())["terminal"].startswith("/dev/")


def test_a_person_types_something_else():
    status, said = at_a_terminal(STATEMENT, b"no\n")
    assert status != 0
    assert "nothing changed" in said
    assert switch.off_until() is None


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="needs /proc")
def test_an_agent_at_a_terminal_is_seen_by_what_it_left_above(monkeypatch):
    monkeypatch.setenv("CLAUDECODE", "1")
    inner = "from wasmguard.workshop.off import off; off('10m', environ={})"
    outer = "import os, subprocess, sys; env = {k: v for k, v in os.environ.items() if k != 'CLAUDECODE'}; "
    outer += f"sys.exit(subprocess.run([sys.executable, '-c', {inner!r}], env=env).returncode)"
    status, said = at_a_terminal(outer, b"off\n")
    assert status != 0
    assert "inside an agent (process" in said
    assert switch.off_until() is None
