"""Being the owner: a person at a terminal that no agent sits at."""

import os
import pty
import sys
from contextlib import suppress

import pytest

from wasmguard.errors import UsageError
from wasmguard.workshop import owner

HOUR = 3600


@pytest.fixture
def terminal(monkeypatch, tmp_path):
    """A terminal, and nobody above us. Returns where the processes are shown."""
    monkeypatch.setattr(owner.os, "isatty", lambda _descriptor: True)
    proc = tmp_path / "proc"
    process(proc, os.getpid(), 1)
    process(proc, 1, 0)
    return proc


def process(proc, number, parent, *variables, name="sh"):
    folder = proc / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"{number} ({name}) S {parent} 1 1 0")
    (folder / "environ").write_bytes(b"".join(variable.encode() + b"\0" for variable in ("A=b", *variables)))


def check(proc, environ=()):
    owner.check("off", dict(environ), str(proc))


@pytest.mark.parametrize(
    ("duration", "seconds"), [("1s", 1), ("90s", 90), ("10m", 600), ("1h", 3600), ("8h", 28_800), ("480m", 28_800)]
)
def test_a_duration_is_a_number_and_a_unit(duration, seconds):
    assert owner.seconds_of(duration, 8 * HOUR) == seconds


@pytest.mark.parametrize(
    "duration", ["", "m", "10", "10d", "-1m", "1.5h", "1h30m", " 1h", "1h ", "\u0661m", "1e3s", "9" * 99]
)
def test_what_is_no_duration_says_how_to_write_one(duration):
    with pytest.raises(UsageError, match="like `10m`"):
        owner.seconds_of(duration, 8 * HOUR)


@pytest.mark.parametrize("duration", ["0s", "0h", "9h", "481m", "28801s"])
def test_a_duration_has_its_bounds(duration):
    with pytest.raises(UsageError, match="8 hours"):
        owner.seconds_of(duration, 8 * HOUR)


@pytest.mark.parametrize(
    ("seconds", "told"), [(1, "1 second"), (90, "90 seconds"), (60, "1 minute"), (7200, "2 hours")]
)
def test_a_time_is_told_in_the_largest_unit_that_fits(seconds, told):
    assert owner.told(seconds) == told


@pytest.mark.parametrize("word", ["", "y", "yes", "on", "OFF", "offf"])
def test_whoever_does_not_type_the_word_has_not_agreed(word):
    with pytest.raises(UsageError, match="nothing changed"):
        owner.agrees("Sure?", "off", lambda _question: word)


def test_whoever_types_it_has():
    owner.agrees("Sure?", "off", lambda question: " off\n" if question == "Sure? Type `off` to go on: " else "")


@pytest.mark.parametrize("descriptor", [0, 2])
def test_it_is_only_at_a_terminal(terminal, monkeypatch, descriptor):
    monkeypatch.setattr(owner.os, "isatty", lambda given: given != descriptor)
    with pytest.raises(UsageError, match="`off` works only at a terminal"):
        check(terminal)


@pytest.mark.parametrize(
    "name", ["CLAUDECODE", "CLAUDE_PROJECT_DIR", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID", "AI_AGENT"]
)
def test_no_variable_of_an_agent_is_there(terminal, name):
    with pytest.raises(UsageError, match=rf"`\${name}` is set"):
        check(terminal, {"HOME": "/x", name: "1"})


def test_variables_that_people_set_are_no_agents(terminal):
    check(terminal, {"CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CONFIG_DIR": "/x", "CLAUDE_CODE_SSE_PORT": "1"})


def test_no_process_above_was_started_by_an_agent(terminal):
    process(terminal, os.getpid(), 70)
    process(terminal, 70, 60, name="a) S 1 (b")
    process(terminal, 60, 1, "CLAUDECODE=1")
    with pytest.raises(UsageError, match="process 60"):
        check(terminal)
    process(terminal, 60, 1, "XCLAUDECODE=1", "X=CLAUDECODE=1")
    check(terminal)


def test_processes_that_one_may_not_see_are_passed(terminal):
    process(terminal, os.getpid(), 70)
    process(terminal, 70, 60)
    (terminal / "70/environ").unlink()
    process(terminal, 60, 1, "CLAUDECODE=1")
    with pytest.raises(UsageError, match="process 60"):
        check(terminal)
    (terminal / "70/stat").write_text("garbage")
    check(terminal)


def test_a_circle_of_processes_ends(terminal):
    process(terminal, os.getpid(), os.getpid())
    check(terminal)


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


@pytest.mark.parametrize(("typed", "status"), [(b"off\n", 0), (b"no\n", 1)])
def test_a_person_types_the_word_at_a_terminal(typed, status):
    statement = "from wasmguard.workshop import owner as o; o.check('off', {}, '/nowhere'); o.agrees('Sure?', 'off');"
    status_was, said = at_a_terminal(statement + "print(o.terminal())", typed)
    assert bool(status_was) == bool(status), said
    assert ("/dev/" if status == 0 else "nothing changed") in said


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="needs /proc")
def test_an_agent_at_a_terminal_is_seen_by_what_it_left_above(monkeypatch):
    monkeypatch.setenv("CLAUDECODE", "1")
    inner = "from wasmguard.workshop import owner; owner.check('off', {})"
    outer = "import os, subprocess, sys; env = {k: v for k, v in os.environ.items() if k != 'CLAUDECODE'}; "
    outer += f"sys.exit(subprocess.run([sys.executable, '-c', {inner!r}], env=env).returncode)"
    status, said = at_a_terminal(outer, b"off\n")
    assert status != 0
    assert "inside an agent (process" in said
