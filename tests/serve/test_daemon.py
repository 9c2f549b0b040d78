"""The daemon as a process: who it lets in, whom it replaces, what it follows, and how it ends."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.serve.daemons import CONFIG, PASSED, REFUSED, Place, alive, until
from tests.serve.host import HERE, SECRET, SERVE, wire
from wasmguard import link
from wasmguard.serve import daemon

LOOPING = """
[[policy]]
name = "loops"
module = "loops.wasm"
tools = ["Looped"]
limits.fuel = 1_000_000_000
limits.clock = 400
"""

NO_GUARD = """
from wasmguard.errors import HostError
from wasmguard.serve import daemon
def broken(config):
    raise HostError("no cell here")
daemon.Standing = broken
"""


@pytest.fixture
def place(assembled):
    made = Place(assembled)
    yield made
    made.close()


def denied(answer):
    return answer[0] == 0 and json.loads(answer[1])["hookSpecificOutput"]["permissionDecision"] == "deny"


# --- beginning ------------------------------------------------------------------------------------------------------
def test_it_answers_and_says_where(place):
    process = place.up()
    assert denied(place.ask(REFUSED))
    assert place.ask(PASSED) == (0, b"{}\n")
    said = place.status()
    assert (said["master"], said["socket"], said["http"]) == (process.pid, place.socket, "")
    assert said["config"] == str(place.config)
    process.terminate()
    assert process.communicate(timeout=20)[1].startswith(f"wasmguard: listening at {place.socket}\n")
    assert process.returncode == 0


def test_only_its_owner_can_reach_it(place):
    place.up(before="umask 000")
    assert stat.S_IMODE(os.lstat(place.socket).st_mode) == 0o600
    assert stat.S_IMODE(os.lstat(f"{place.socket}.lock").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(place.socket)).st_mode) == 0o700


def test_it_does_not_listen_in_a_folder_that_is_open_to_others(place):
    os.mkdir(os.path.dirname(place.socket))
    os.chmod(os.path.dirname(place.socket), 0o755)
    process = place.daemon()
    assert "is open to others" in process.communicate(timeout=20)[1]
    assert process.returncode == 1


def test_a_second_one_says_that_there_is_one_and_the_first_goes_on(place):
    first = place.up()
    second = place.daemon()
    said = second.communicate(timeout=20)[1]
    assert said.startswith(f"wasmguard: a daemon already listens at `{place.socket}`: ")
    assert second.returncode == 1
    assert place.status()["master"] == first.pid


def test_a_second_one_that_a_hook_started_says_nothing(place):
    place.up()
    lock = os.open(f"{place.socket}.lock", os.O_RDWR)
    os.set_inheritable(lock, True)
    second = place.daemon("--lock", str(lock), pass_fds=(lock,))
    os.close(lock)
    assert second.communicate(timeout=20)[1] == ""
    assert second.returncode == 0
    assert not os.path.lexists(f"{place.socket}.failed")


def test_the_socket_of_one_that_was_killed_is_replaced(place):
    first = place.up()
    workers, _ = place.team()
    first.kill()
    first.wait()
    until(lambda: not any(map(alive, workers)))  # they die with their master
    assert os.path.lexists(place.socket)
    second = place.up()
    assert place.status()["master"] == second.pid
    assert denied(place.ask())


def test_a_hooks_lock_is_taken_over_and_never_free(place):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    lock = os.open(f"{place.socket}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    process = place.daemon("--lock", str(lock), pass_fds=(lock,))
    os.close(lock)
    other = os.open(f"{place.socket}.lock", os.O_RDWR)
    while not place.status():
        assert process.poll() is None
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    assert denied(place.ask())


def test_a_descriptor_that_is_not_the_lock_is_refused(place):
    process = place.daemon("--lock", "0")
    assert "`--lock 0` is not the lock" in process.communicate(timeout=20)[1]
    assert process.returncode == 2


def test_nobody_but_the_master_holds_the_lock(place):
    master = place.up()
    workers, cells = until(lambda: all(len(pids) == 2 for pids in place.team()) and place.team())

    def holders():
        lock = os.stat(f"{place.socket}.lock").st_ino
        for pid in (master.pid, *workers, *cells):
            files = Path(f"/proc/{pid}/fd").glob("*")
            if any(os.stat(file).st_ino == lock for file in files if os.path.exists(file)):
                yield pid

    assert list(holders()) == [master.pid]


def test_secrets_and_the_folder_are_left_behind(place):
    process = place.up(env={"ANTHROPIC_API_KEY": SECRET, "LD_PRELOAD": ""}, cwd=place.home)
    workers, cells = place.team()
    assert {os.readlink(f"/proc/{pid}/cwd") for pid in (process.pid, *workers)} == {"/"}
    assert {os.readlink(f"/proc/{pid}/fd/0") for pid in (process.pid, *workers, *cells)} == {"/dev/null"}
    for pid in (process.pid, *workers):
        assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text())
    for pid in cells:
        assert SECRET.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert "ANTHROPIC_API_KEY" not in os_environ(place)


def os_environ(place):
    """The names in the environment of a daemon whose guard cannot begin, and says them."""
    broken = NO_GUARD.replace('"no cell here"', '" ".join(os.environ)').replace("from", "import os\nfrom", 1)
    given = {"ANTHROPIC_API_KEY": SECRET, "XDG_STATE_HOME": "/x"}
    program, place.socket = f"{HERE}\n{broken}\nfrom wasmguard.__main__ import main; main()", f"{place.socket}2"
    names = place.daemon(program=program, env=given).communicate(timeout=30)[1].split()
    place.socket = place.socket[:-1]
    assert "XDG_STATE_HOME" in names
    return names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("broken = [", "not TOML"),
        ('[[policy]]\nname = "x"\nmodule = "gone.wasm"\n', "gone.wasm"),
        (None, "does not exist"),
    ],
)
def test_a_broken_configuration_ends_it_at_once_and_says_why(place, text, why):
    config = place.folder / "broken.toml"
    if text is not None:
        config.write_text(text)
    process = place.daemon(config=config)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert why in said
    assert not os.path.lexists(place.socket)
    assert not os.path.lexists(f"{place.socket}.failed")  # a person has read it


def test_a_hook_is_left_a_note_that_says_why(place):
    place.config.write_text("broken = [")
    os.makedirs(os.path.dirname(place.socket), 0o700)
    lock = os.open(f"{place.socket}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    process = place.daemon("--lock", str(lock), pass_fds=(lock,))
    os.close(lock)
    process.communicate(timeout=20)
    assert process.returncode == 1
    note = Path(f"{place.socket}.failed")
    assert "not TOML" in note.read_text()
    assert stat.S_IMODE(note.stat().st_mode) == 0o600


def test_the_note_goes_when_one_listens(place):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    Path(f"{place.socket}.failed").write_text("...")
    place.up()
    assert not os.path.lexists(f"{place.socket}.failed")


def test_a_configuration_that_was_never_locked_is_locked_first(place, assembled):
    config = place.host.configured("new", CONFIG, passes=assembled("pass"), denies=assembled("deny"))
    place.up(config=config)
    assert denied(place.ask())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--http", "0.0.0.0:0"), "not this machine alone"),
        (("--http", "192.168.0.1:80"), "not this machine alone"),
        (("--http", "example.com:80"), "not this machine alone"),
        (("--http", "8080"), "is no address"),
        (("--http", "127.0.0.1:65536"), "is no address"),
        (("--workers", "0"), "1 to 64"),
        (("--socket", "/" + "x" * 200), "longer than"),
    ],
)
def test_what_cannot_be_meant_is_refused(place, arguments, why):
    process = place.daemon(*arguments)
    assert why in process.communicate(timeout=20)[1]
    assert process.returncode == 2


# --- workers --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_worker_that_dies_is_replaced(place, number):
    process = place.up()
    for _ in range(3):
        workers = until(lambda: len(place.team()[0]) == 2 and place.team()[0])
        os.kill(workers[0], number)
        until(lambda old=workers[0]: old not in place.team()[0] and len(place.team()[0]) == 2)
        assert denied(place.ask())
    assert process.poll() is None
    assert place.status()["restarts"] == 3


def test_all_workers_may_die_at_once(place):
    place.up()
    workers, _ = place.team()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert denied(place.ask())  # the question waits for the next one
    until(lambda: len(place.team()[0]) == 2 and not set(workers) & set(place.team()[0]))


def test_a_cell_that_dies_is_replaced(place):
    place.up()
    for _ in range(10):
        for pid in until(lambda: place.team()[1]):
            with suppress(ProcessLookupError):  # what is told about cells may be a second old
                os.kill(pid, signal.SIGKILL)
        assert denied(place.ask())
        assert place.ask(PASSED) == (0, b"{}\n")
    assert place.status()["faulted"] == 0


def test_if_no_worker_can_begin_it_ends_and_says_why(place):
    process = place.daemon(program=f"{HERE}\n{NO_GUARD}\nfrom wasmguard.__main__ import main; main()")
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert said.endswith("wasmguard: no worker can begin: no cell here\n")
    assert os.listdir(os.path.dirname(place.socket)) == ["s.lock"]


# --- following the configuration ------------------------------------------------------------------------------------
def test_a_changed_configuration_comes_into_force_and_is_recorded(place):
    place.up()
    old = place.status()["digest"]
    assert place.ask(PASSED) == (0, b"{}\n")
    place.written(CONFIG.replace('tools = ["Refused"]', 'tools = ["Refused", "Passed"]'))
    until(lambda: place.status()["followed"])
    assert denied(place.ask(PASSED))
    followed = place.status()["followed"]
    assert (followed["old"], followed["error"]) == (old, "")
    assert followed["new"] != old
    said = [record for record in place.records("reload") if abs(record["time"] / 1000 - time.time()) < 60]
    assert [(record["old"], record["new"], record["error"]) for record in said] == [(old, followed["new"], "")]


def test_a_broken_configuration_changes_nothing_and_is_told_once(place):
    place.up()
    old = place.status()["digest"]
    place.written("broken = [")
    until(lambda: (place.status()["followed"] or {}).get("error"))
    time.sleep(1.2)  # it looks twice a second
    assert denied(place.ask(REFUSED))
    assert place.ask(PASSED) == (0, b"{}\n")
    told = [record for record in place.records("reload") if "not TOML" in record["error"]]
    assert len(told) == 1
    assert told[0]["old"] == told[0]["new"] == old
    place.written(CONFIG + "# repaired\n")
    until(lambda: not place.status()["followed"]["error"])
    assert denied(place.ask(REFUSED))


def test_a_configuration_that_is_gone_for_a_moment_changes_nothing(place):
    place.up()
    text = place.config.read_text()
    place.config.unlink()
    until(lambda: place.status()["followed"])
    assert "does not exist" in place.status()["followed"]["error"]
    assert denied(place.ask(REFUSED))
    place.written(text)
    until(lambda: not place.status()["followed"]["error"])


def test_changed_module_bytes_do_not_come_into_force_with_a_changed_configuration(place):
    place.up()
    passes = place.config.with_name("passes.wasm").read_bytes()
    place.config.with_name("denies.wasm").write_bytes(passes)
    place.written(CONFIG + "# touched\n")
    until(lambda: place.status()["followed"])
    assert "is not the one that was locked" in place.status()["followed"]["error"]
    assert denied(place.ask(REFUSED))


# --- http -----------------------------------------------------------------------------------------------------------
def test_over_http_the_token_opens_and_nothing_else_does(place):
    place.up("--http", "127.0.0.1:0")
    at = place.status()["http"]
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d+", at)
    token = (place.state / "token").read_text().strip()

    def post(token):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"http://{at}/v1/hook/claude-code", data=REFUSED, headers=headers)
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return json.load(answer)

    assert post(token)["hookSpecificOutput"]["permissionDecision"] == "deny"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        post(token[::-1])


@pytest.mark.parametrize("token", ["short", None])
def test_without_a_token_of_the_owners_alone_it_does_not_listen(place, token):
    place.state.joinpath("token").write_text(token or "x" * 43)
    place.state.joinpath("token").chmod(0o600 if token else 0o644)
    process = place.daemon("--http", "127.0.0.1:0")
    assert "delete it and install again" in process.communicate(timeout=20)[1]
    assert process.returncode == 1
    assert os.listdir(os.path.dirname(place.socket)) == ["s.lock"]


def test_a_port_that_is_taken_ends_it(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = place.daemon("--http", f"127.0.0.1:{taken.getsockname()[1]}")
        assert "cannot listen at" in process.communicate(timeout=20)[1]
    assert process.returncode == 1


# --- ending ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", daemon.ENDING)
def test_it_ends_clean_when_it_is_told_to(place, number):
    process = place.up("--http", "127.0.0.1:0")
    workers, cells = place.team()
    process.send_signal(number)
    assert process.wait(20) == 0
    until(lambda: not any(map(alive, (*workers, *cells))))
    assert not os.path.lexists(place.socket)
    acts = [(record["act"], record["pid"], record["version"]) for record in place.records("daemon")]
    assert [act for act, _, _ in acts] == ["started", "ended"]
    assert {pid for _, pid, _ in acts} == {process.pid}


def test_stop_ends_it(place):
    process = place.up()
    assert link.ask(place.socket, link.STOP, seconds=10)[0] == 0
    assert process.wait(20) == 0


def test_ctrl_c_lets_what_was_begun_finish(place, assembled):
    """A terminal sends SIGINT to the whole group: workers and cells must not die of it."""
    config = place.host.configured("slow", LOOPING, loops=assembled("loop_evaluate"))
    process = place.up(config=config, start_new_session=True)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(place.ask(wire(tool_name="Looped"))))
    asking.start()
    time.sleep(0.15)
    os.killpg(process.pid, signal.SIGINT)
    asking.join(20)
    assert b"clock" in answers[0][1], answers
    assert process.wait(20) == 0


def test_nobody_comes_in_while_it_ends(place, assembled):
    config = place.host.configured("slow", LOOPING, loops=assembled("loop_evaluate"))
    process = place.up(config=config)
    asking = threading.Thread(target=lambda: place.ask(wire(tool_name="Looped")))
    asking.start()
    time.sleep(0.1)
    process.terminate()
    until(lambda: not os.path.lexists(place.socket), pause=0.001)
    asking.join(20)
    assert process.wait(20) == 0


def test_it_ends_when_nobody_needs_it(place):
    process = place.up("--idle", "2")
    until(lambda: process.poll() is not None or place.ask(PASSED))
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(place.socket)
        time.sleep(2.6)
        assert process.poll() is None  # somebody is there
    assert process.wait(20) == 0
    assert 2 < time.monotonic() - begun < 15
    assert "idle" in place.records("daemon")[-1]["why"]


def test_it_does_not_end_for_lack_of_events_while_it_listens_at_an_address(place):
    process = place.up("--idle", "1", "--http", "127.0.0.1:0")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2.5)


@pytest.mark.parametrize("name", ["", ".lock"])
def test_it_ends_when_nobody_can_find_it_any_more(place, name):
    process = place.up()
    os.unlink(place.socket + name)
    assert process.wait(20) == 0


def test_it_leaves_a_socket_alone_that_took_its_place(place):
    process = place.up()
    os.unlink(place.socket)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(place.socket)
        assert process.wait(20) == 0
        assert os.path.lexists(place.socket)


def test_it_ends_when_wasmguard_is_installed_anew(place):
    """A copy of the package, which is then written over."""
    copy, package = place.folder / "site", Path(daemon.__file__).parents[1]
    shutil.copytree(package, copy / "wasmguard", ignore=shutil.ignore_patterns("__pycache__"))
    program = f"import sys; sys.path.insert(0, {str(copy)!r}); from wasmguard.__main__ import main; main()"
    process = place.up(program=program)
    (copy / "wasmguard/version.py").write_text((package / "version.py").read_text())
    assert process.wait(20) == 0
    assert "installed anew" in place.records("daemon")[-1]["why"]


def test_systemd_gives_the_socket_and_keeps_it(place):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place.socket)
        os.chmod(place.socket, 0o600)
        listener.listen()
        notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notified.bind(str(place.folder / "notify"))
        notified.settimeout(20)
        given = f"os.dup2({listener.fileno()}, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')"
        env = {"NOTIFY_SOCKET": str(place.folder / "notify")}
        process = place.up(program=f"import os; {given}; {SERVE}", env=env, pass_fds=(listener.fileno(),))
        assert notified.recv(100) == b"READY=1"
        assert denied(place.ask())
        process.terminate()
        assert process.wait(20) == 0
        assert notified.recv(100) == b"STOPPING=1"
        assert os.path.lexists(place.socket)
        notified.close()
