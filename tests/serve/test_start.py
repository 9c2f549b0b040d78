"""How a hook starts the daemon: once, with nothing of its own, and never to anybody's cost."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.serve.daemons import PASSED, REFUSED, Place, alive, until
from tests.serve.host import ROOT, SECRET
from tests.test_startup import HEAVY, loaded
from wasmguard import places
from wasmguard.serve import start as module
from wasmguard.serve.start import ATTEMPT, LARGEST_LOG, MOST, PAUSE, locked, note
from wasmguard.workshop.hook_command import STEP

CLIENT = [sys.executable, "-I", "-S", "-c", STEP, str(ROOT / "wasmguard/serve/client.py")]


class Hooks(Place):
    """A place where hooks start the daemon."""

    def arguments(self):
        return ["--config", str(self.config), "--home", str(self.home)]

    def hook(self, event=REFUSED, *, env=(), **options):
        """A hook, as the agent starts it; returns its answer."""
        command = [*CLIENT, self.socket, *self.arguments()]
        done = subprocess.run(
            command,
            input=event,
            capture_output=True,
            timeout=30,
            check=True,
            env={"PATH": os.environ["PATH"], "ANTHROPIC_API_KEY": SECRET, **dict(env)},
            cwd=self.home,
            **options,
        )
        assert b"daemon" not in done.stderr
        return json.loads(done.stdout)

    def started(self):
        """The daemon, after it answers."""
        return until(self.status)["master"]

    def attempts(self):
        with suppress(FileNotFoundError):
            return Path(note(self.socket)).read_bytes()
        return b""

    def start(self):
        """`start` in this process; the child that it made."""
        before = children()
        module.start(self.socket, self.arguments())
        return children() - before


def children():
    return {int(pid) for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()}


@pytest.fixture
def place(assembled, monkeypatch):
    for name in ("CLAUDECODE", "CLAUDE_PROJECT_DIR", "WASMGUARD_DAEMON"):
        monkeypatch.delenv(name, raising=False)
    made = Hooks(assembled)
    yield made
    places.tell()
    made.close()
    for pid in children():  # of tests that started one in this process
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


@pytest.fixture
def spawned(monkeypatch):
    """What would have been started."""
    made = []
    monkeypatch.setattr(os, "posix_spawn", lambda *given, **options: made.append((given, options)) or 1)
    return made


# --- a daemon, and just one -----------------------------------------------------------------------------------------
def test_the_first_hook_starts_it_and_the_next_is_answered_by_it(place):
    assert place.hook()["hookSpecificOutput"]["permissionDecision"] == "deny"
    place.started()
    assert place.status()["events"] == 0
    assert place.hook()["hookSpecificOutput"]["permissionDecision"] == "deny"
    assert place.status()["events"] == 1
    assert place.attempts() == b""


def test_many_hooks_at_once_start_one(place):
    hooks = [
        subprocess.Popen(
            [*CLIENT, place.socket, *place.arguments()], env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(8)
    ]
    answers = [hook.communicate(PASSED, timeout=60)[0] for hook in hooks]
    assert set(answers) == {b"{}\n"}
    master = place.started()
    assert [record["act"] for record in place.records("daemon")] == ["started"]
    assert place.status()["master"] == master


def test_it_lives_on_when_the_hook_and_its_group_are_gone(place):
    hook = subprocess.Popen(
        [*CLIENT, place.socket, *place.arguments()],
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    hook.communicate(PASSED, timeout=30)
    with suppress(ProcessLookupError):
        os.killpg(hook.pid, signal.SIGKILL)
    master = place.started()
    assert os.getsid(master) == master


def test_it_decides_with_the_folders_of_the_hook(place):
    place.hook(env={"XDG_STATE_HOME": "/tmp/of-a-project", "HOME": "/tmp/of-a-project"})
    master = place.started()
    said = Path(f"/proc/{master}/cmdline").read_bytes().split(b"\0")
    for name, value in (("--home", place.home), ("--state", place.state), ("--config", place.config)):
        assert said[said.index(name.encode()) + 1] == os.fsencode(value)
    assert place.status()["ends_after"] == 1800


# --- with nothing of the hook's -------------------------------------------------------------------------------------
def test_it_gets_nothing_that_the_hook_has(place):
    reading, writing = os.pipe()
    place.hook(pass_fds=(writing,))
    os.close(writing)
    master = place.started()
    assert select.select([reading], [], [], 15)[0]
    assert os.read(reading, 1) == b""  # nobody holds the other end any more
    os.close(reading)
    assert SECRET.encode() not in Path(f"/proc/{master}/environ").read_bytes()
    open_files = {file.name: os.readlink(file) for file in Path(f"/proc/{master}/fd").iterdir()}
    assert open_files["0"] == open_files["1"] == "/dev/null"
    assert open_files["2"] == str(place.state / "daemon.log")
    assert open_files["3"] == f"{place.socket}.lock"
    assert sum(name.startswith("pipe:") for name in open_files.values()) == 2  # its own


def test_no_descriptor_but_four_goes_on(place, spawned):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    place.start()
    ((_, options),) = spawned
    assert not os.get_inheritable(writing)
    assert [action[2] for action in options["file_actions"]] == [0, 1, 2, 3]
    assert options["setsid"]
    for descriptor in (reading, writing):
        os.close(descriptor)


# --- not now --------------------------------------------------------------------------------------------------------
def test_while_somebody_has_the_lock_there_is_nothing_to_do(place, spawned):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    lock = locked(place.socket)
    assert place.start() == set()
    os.close(lock)
    assert not spawned
    assert place.attempts() == b""


def test_the_lock_is_free_again_when_nothing_was_started(place, monkeypatch):
    def fail(*_, **__):
        raise OSError("no process left")

    monkeypatch.setattr(os, "posix_spawn", fail)
    place.start()
    lock = locked(place.socket)
    assert lock > 0
    os.close(lock)


@pytest.mark.parametrize(("attempts", "pause"), [(1, 0.2), (2, 0.4), (4, 1.6), (6, 6.4), (10, PAUSE), (MOST, PAUSE)])
def test_each_attempt_without_a_word_makes_the_pause_longer(place, spawned, attempts, pause):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    path = Path(note(place.socket))
    for age, starts in ((pause * 0.5, False), (pause + 0.1, True)):
        path.write_bytes(ATTEMPT * attempts)
        os.utime(path, (time.time() - age,) * 2)
        place.start()
        assert bool(spawned) is starts
    assert place.attempts() == ATTEMPT * min(attempts + 1, MOST)


def test_a_failure_with_a_reason_is_not_repeated_within_a_minute(place, spawned):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    path = Path(note(place.socket))
    for age, starts in ((1, False), (55, False), (65, True)):
        path.write_text("it is broken: repair it\n")
        os.utime(path, (time.time() - age,) * 2)
        place.start()
        assert bool(spawned) is starts


def test_a_note_from_the_future_does_not_count(place, spawned):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    path = Path(note(place.socket))
    path.write_text("it is broken: repair it\n")
    os.utime(path, (time.time() + 3600,) * 2)
    place.start()
    assert spawned


def test_a_broken_configuration_is_tried_once(place):
    place.config.write_text("broken = [")
    for _ in range(3):
        assert place.hook()["hookSpecificOutput"]["permissionDecision"] == "deny"
        until(lambda: b"not TOML" in place.attempts())
    assert (place.state / "daemon.log").read_text().count("not TOML") == 1
    assert place.status() is None


def test_an_installation_that_cannot_start_is_tried_ever_less(place, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for attempt in (1, 2, 3):
        (child,) = until(place.start)
        os.waitpid(child, 0)
        assert place.attempts() == ATTEMPT * attempt
    place.start()
    assert place.attempts() == ATTEMPT * 3


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_not_in_a_folder_that_is_open_to_others(place, spawned, mode):
    folder = os.path.dirname(place.socket)
    os.mkdir(folder)
    os.chmod(folder, mode)
    place.start()
    assert not spawned
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", [".lock", ".failed"])
def test_a_link_in_the_place_of_a_file_of_ours_is_not_followed(place, spawned, name):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    target = place.folder / "target"
    target.write_text("precious")
    os.symlink(target, place.socket + name)
    place.start()
    assert target.read_text() == "precious"
    assert not spawned


@pytest.mark.parametrize("name", [".lock", ".failed"])
def test_a_pipe_in_the_place_of_a_file_of_ours_is_not_waited_for(place, spawned, name):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    os.mkfifo(place.socket + name)
    place.start()
    assert not spawned


# --- whoever says so ------------------------------------------------------------------------------------------------
def test_the_owner_can_switch_it_off_with_a_variable(place, spawned, monkeypatch):
    monkeypatch.setenv("WASMGUARD_DAEMON", "0")
    place.start()
    assert not spawned


@pytest.mark.parametrize("name", ["CLAUDECODE", "CLAUDE_PROJECT_DIR"])
def test_in_an_agents_hook_that_variable_says_nothing(place, spawned, monkeypatch, name):
    monkeypatch.setenv("WASMGUARD_DAEMON", "0")
    monkeypatch.setenv(name, "1")
    place.start()
    assert spawned


# --- nothing is said ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [OSError("x"), MemoryError(), KeyboardInterrupt(), SystemExit(1)])
def test_it_never_raises_and_never_prints(place, monkeypatch, capfd, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(module, "_spawned", fail)
    place.start()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [[], ["--nonsense"], ["--config"], ["--home", "relative"]])
def test_arguments_that_nobody_knows_start_nothing(place, spawned, arguments):
    module.start(place.socket, arguments or ["--unknown", "x"])
    assert not spawned


def test_a_relative_socket_starts_nothing(place, spawned, monkeypatch):
    monkeypatch.chdir(place.folder)
    module.start("run/s", place.arguments())
    assert not spawned


# --- its log --------------------------------------------------------------------------------------------------------
def test_the_log_begins_anew_when_it_is_too_large(place):
    log = place.state / "daemon.log"
    log.write_bytes(b"x" * (LARGEST_LOG + 1))
    log.chmod(0o600)
    place.hook()
    place.started()
    assert log.stat().st_size < 1000
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["link", "open", "pipe"])
def test_a_log_that_is_not_ours_alone_is_not_written(place, how):
    log, target = place.state / "daemon.log", place.folder / "target"
    target.write_text("precious")
    if how == "link":
        log.symlink_to(target)
    elif how == "open":
        log.write_text("precious")
        log.chmod(0o644)
    else:
        os.mkfifo(log)
    place.hook()
    master = place.started()
    assert target.read_text() == "precious"
    assert how != "open" or log.read_text() == "precious"
    assert os.readlink(f"/proc/{master}/fd/2") == "/dev/null"


def test_a_lock_that_was_replaced_is_not_the_lock(place):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    lock = locked(place.socket)
    assert module.holds(lock, place.socket)
    os.unlink(f"{place.socket}.lock")
    assert not module.holds(lock, place.socket)
    other = locked(place.socket)
    assert module.holds(other, place.socket)
    assert not module.holds(lock, place.socket)
    assert locked(place.socket) == -1
    for descriptor in (lock, other):
        os.close(descriptor)


def test_nobody_is_left_after_stop(place):
    place.hook()
    master = place.started()
    workers, cells = place.team()
    place.close = lambda: None  # done here
    Place.close(place)
    assert not any(map(alive, (master, *workers, *cells)))


def test_a_hook_that_starts_it_loads_nothing_heavy():
    modules = loaded("import wasmguard.serve.start")
    assert not (HEAVY | {"json", "re", "signal", "socket", "contextlib", "functools", "enum"}) & modules
