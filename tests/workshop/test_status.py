"""What `wasmguard status` and `wasmguard stop` say."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
import types
from contextlib import suppress
from pathlib import Path

import pytest

from tests.serve.daemons import PASSED, REFUSED, Place, alive, until
from tests.serve.host import HERE
from wasmguard import audit, installed, link, places, spool, switch, wire
from wasmguard.errors import HostError
from wasmguard.serve import start
from wasmguard.workshop import status
from wasmguard.workshop.columns import WIDTH

SHADOWED = """
[[policy]]
name = "passes"
module = "passes.wasm"
events = ["PreToolUse", "PostToolUse"]

[[policy]]
name = "refuses"
module = "denies.wasm"
tools = ["Refused"]
shadow = true
"""


@pytest.fixture
def place(assembled, monkeypatch):
    """A place whose folders are this process's, and whose daemon listens where it does by default."""
    made = Place(assembled)
    places.tell(home=str(made.home), runtime=str(made.folder / "run"))
    made.socket = link.socket_of(str(made.config))
    yield made
    made.close()
    places.tell()


def entry(place, *events, **changes):
    known = {
        "agent": "claude-code",
        "scope": "user",
        "path": "/settings.json",
        "transport": "command",
        "config": str(place.config),
        "socket": place.socket,
        "events": events,
        "command": (),
        "time": 0,
    }
    return installed.Entry(**known | changes)


def told(place):
    """All lines, wrapped lines joined."""
    text = "\n".join(text for _, text in status.lines(status.status(str(place.config))))
    return re.sub(r"\n {16}", " ", text)


# --- no daemon ------------------------------------------------------------------------------------------------------
def test_without_a_daemon_it_says_what_to_do(place):
    for ask in (status.status, status.stop):
        with pytest.raises(HostError, match=r"there is no daemon: .* `wasmguard serve --daemon`"):
            ask(str(place.config))


def test_a_socket_that_a_dead_daemon_left_is_no_daemon(place):
    process = place.up()
    workers, _ = place.team()
    process.kill()
    process.wait()
    until(lambda: not any(map(alive, workers)))
    with pytest.raises(HostError, match="there is no daemon"):
        status.status(str(place.config))


def test_why_the_last_one_could_not_begin_is_told(place):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    note = Path(start.note(place.socket))
    note.write_text("usual.toml:1: `broken = [`: not TOML\n")
    with pytest.raises(
        HostError, match=r"the last one, \d+ s ago, could not begin: usual.toml:1: `broken = \[`: not TOML$"
    ):
        status.status(str(place.config))
    note.write_bytes(start.ATTEMPT * 3)  # nobody knows
    with pytest.raises(HostError, match="hooks decide by themselves"):
        status.status(str(place.config))


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense", link.answered(0, b"[]\n"), link.answered(3, b""), link.answered(0, b"{")]
)
def test_a_daemon_that_answers_nonsense_is_an_error(place, answer):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    lock = start.locked(place.socket)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place.socket)
        listener.listen()

        def serve():
            with listener.accept()[0] as channel:
                channel.recv(100)
                channel.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(HostError, match=r"no daemon answers|answers nonsense|does not tell"):
            status.status(str(place.config))
        thread.join()
    os.close(lock)
    os.unlink(place.socket)


# --- a daemon -------------------------------------------------------------------------------------------------------
def test_it_tells_who_answers_where_and_what_was_decided(place):
    process = place.up("--idle", "90", "--http", "127.0.0.1:0")
    for event in (PASSED, PASSED, REFUSED):
        place.ask(event)
    until(lambda: len(place.team()[1]) == 2)
    said = until(lambda: "refuses" in told(place) and told(place))
    digest = place.status()["digest"][:12]
    for line in (
        rf"wasmguard \S+: a daemon answers, process {process.pid}",
        rf"  socket +{place.socket}",
        r"  http +http://127\.0\.0\.1:\d+",
        rf"  configuration +{place.config}",
        rf"  plan +{digest}",
        r"  last reload +none: the configuration has not changed",
        r"  decided +3: 2 passed, 0 allowed, 0 asked, 1 denied; 0 rewritten",
        r"  faults +0",
        r"  last +0 s ago: PreToolUse Refused: deny by `refuses`: .*no.*",
        r"  times +half took at most .*s \(p50\), 99 % at most .*s \(p99\)",
        r"  memory +master \d+\.\d MiB, 2 workers \d+\.\d MiB, 2 cells \d+\.\d MiB resident, .*",
    ):
        assert re.search(f"^{line}$", said, re.MULTILINE), (line, said)


def test_how_many_records_there_are_is_told(place):
    place.up()
    for event in (PASSED, REFUSED):
        place.ask(event)

    def moved():
        return status.status(str(place.config))["records"]["records"] >= 3

    until(moved)  # with the start of the daemon
    assert re.search(r"\n  kept +\d+ records since \d{4}-\d\d-\d\d [0-9:]+, [0-9.]+ KiB", told(place))
    assert "  lost" not in told(place)
    audit.record("lost", count=2, why="no room")
    assert until(lambda: "  lost          2 records: `wasmguard log` says when" in told(place))


def test_records_that_cannot_be_read_are_told_and_no_error(place):
    place.up()
    folder = Path(spool.folder())
    until((folder / "000001.db").exists)
    for path in folder.glob("*.db*"):
        path.write_bytes(b"no database" * 1000)
    assert status.status(str(place.config))["records"]["error"]
    assert re.search(r"\n  unreadable +`", told(place))


def test_that_nothing_is_recorded_is_told(place):
    place.written("[record]\non = false\n" + place.config.read_text())
    place.host.locked(place.config)
    place.up()
    assert not status.status(str(place.config))["records"]["on"]
    assert "this configuration has no decision recorded" in told(place)


def test_a_version_beside_a_policy_says_whose(place):
    later = '[[policy]]\nname = "later"\nmodule = "denies.wasm"\nshadow_of = "passes"\n'
    place.written(place.config.read_text() + later)
    place.host.locked(place.config)
    place.up()
    assert "  later         shadow of passes: asked and recorded, never obeyed: PreToolUse of Passed" in told(place)


def test_what_people_read_fits_80_columns(place):
    place.up()
    place.written("broken = [")
    place.ask(REFUSED)
    until(lambda: place.status()["followed"])
    for _, text in status.lines(status.status(str(place.config))):
        for line in text.splitlines():
            assert len(line) <= WIDTH or len(line.split()[-1]) > WIDTH - 18, line


def test_the_data_can_be_written_as_json(place):
    place.up()
    wire.written(status.status(str(place.config)))


def test_without_installed_hooks_that_is_said_once(place):
    place.up()
    said = told(place)
    assert said.count("run `wasmguard install claude-code`") == 1
    assert "not routed" not in said
    assert "  passes        loaded: PreToolUse of Passed" in said


def test_policies_are_loaded_shadowed_or_not_routed(place, monkeypatch):
    place.written(SHADOWED)
    place.host.locked(place.config)
    place.up()
    for events, passes in (
        (("PreToolUse", "PostToolUse"), "loaded: PreToolUse, PostToolUse"),
        (("PreToolUse",), "partly not routed: no installed hook sends PostToolUse"),
        (("Stop",), "not routed: no installed hook sends PreToolUse, PostToolUse"),
    ):
        monkeypatch.setattr(installed, "entries", lambda events=events: (entry(place, *events),))
        said = told(place)
        assert f"  passes        {passes}" in said
        assert "  refuses       shadowed: asked and recorded, never obeyed: PreToolUse of Refused" in said


def test_hooks_of_another_configuration_do_not_count(place, monkeypatch):
    place.up()
    other = entry(place, "PreToolUse", config="/elsewhere/wasmguard.toml")
    monkeypatch.setattr(installed, "entries", lambda: (other,))
    assert not status.status(str(place.config))["installed"]


def test_where_installed_hooks_look_is_looked_too(place, monkeypatch):
    place.socket = str(place.folder / "run/elsewhere")
    process = place.up()
    with pytest.raises(HostError):
        status.status(str(place.config))
    monkeypatch.setattr(installed, "entries", lambda: (entry(place, "PreToolUse"),))
    assert status.status(str(place.config))["master"] == process.pid


def test_two_daemons_of_one_configuration_are_told_and_both_are_stopped(place, monkeypatch):
    monkeypatch.setattr(installed, "entries", lambda: (entry(place, "PreToolUse"),))
    place.socket, usual = str(place.folder / "run/elsewhere"), place.socket
    place.up()
    elsewhere, place.socket = place.socket, usual
    place.up()
    place.socket = elsewhere
    assert status.status(str(place.config))["also"] == [elsewhere]
    assert "another daemon of the same configuration" in told(place)
    status.stop(str(place.config))
    assert [process.wait(20) for process in place.processes] == [0, 0]


def test_that_the_guard_is_off_is_told_without_a_daemon_too(place):
    switch.switch_off(60)
    try:
        with pytest.raises(HostError, match=r"no daemon, and the guard is off until .*: `wasmguard on` ends that"):
            status.status(str(place.config))
    finally:
        switch.switch_on()


def test_a_policy_that_a_plugin_asks_is_routed(place, monkeypatch):
    place.up()
    hook = types.SimpleNamespace(config=str(place.config), events=("PreToolUse",))
    assert "no hook is installed" in told(place)
    monkeypatch.setattr(status.plugins, "hooks_in", lambda _: [hook])
    assert status.status(str(place.config))["installed"]
    assert "no hook is installed" not in told(place)


def test_that_the_guard_is_off_is_told(place):
    place.up()
    switch.switch_off(60)
    try:
        assert "nothing is judged; `wasmguard on` ends that" in told(place)
    finally:
        switch.switch_on()


# --- the last reload ------------------------------------------------------------------------------------------------
def test_a_change_is_told(place):
    place.up()
    old = place.status()["digest"][:12]
    place.written(place.config.read_text() + "# changed\n")
    until(lambda: place.status()["followed"])
    assert re.search(rf"last reload +\d s ago: {old} -> (?!{old})[0-9a-f]{{12}}\n", told(place))


def test_a_failed_change_is_told_and_why(place):
    place.up()
    old = place.status()["digest"][:12]
    place.written("broken = [")
    until(lambda: place.status()["followed"])
    place.ask(REFUSED)
    time.sleep(0.3)
    assert re.search(rf"last reload +\d s ago: failed, {old} stays: .*not TOML", told(place))


OLD, NEW = {"time": 1_000, "old": "a", "new": "b", "error": ""}, {"time": 2_000, "old": "b", "new": "b", "error": "x"}


@pytest.mark.parametrize(
    ("followed", "worker", "last"),
    [
        (None, None, None),
        (OLD, None, OLD),
        (None, NEW, NEW),
        (OLD, NEW, NEW),  # a worker could not follow what the master found right
        (NEW, OLD, NEW),
        (NEW, NEW | {"time": 3_000, "error": "y"}, NEW),  # the master knows more
        (OLD | {"time": 3_000}, NEW, OLD | {"time": 3_000}),  # over
    ],
)
def test_the_masters_word_counts_unless_a_worker_could_not_follow(followed, worker, last):
    assert status._last_reload({"followed": followed, "reload": worker}) == last


# --- stop -----------------------------------------------------------------------------------------------------------
def test_stop_waits_until_it_has_ended(place):
    process = place.up()
    assert f"process {process.pid}, has ended" in status.stop(str(place.config))
    assert not os.path.lexists(place.socket)
    lock = start.locked(place.socket)
    assert lock >= 0
    os.close(lock)
    assert process.wait(20) == 0


def test_one_that_does_not_end_is_told(place, monkeypatch):
    monkeypatch.setattr(status, "ENDING", 0.5)
    deaf = f"{HERE}\nfrom wasmguard.serve import daemon\ndaemon.ENDING = ()\nimport signal\n"
    deaf += "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nfrom wasmguard.__main__ import main; main()"
    process = place.up(program=deaf)
    try:
        with pytest.raises(
            HostError, match=rf"process {process.pid}, has not ended after 0 s: .*`kill -9 {process.pid}`"
        ):
            status.stop(str(place.config))
    finally:
        process.kill()


def test_one_that_was_replaced_at_once_has_ended(place):
    """A hook may start the next one before `stop` looks again."""
    first = place.up()
    stopper = "from wasmguard.workshop import status; print(status.stop(sys.argv[1]))"
    tell = f"from wasmguard import places; places.tell(home={str(place.home)!r}, runtime={str(place.folder / 'run')!r})"
    command = [sys.executable, "-I", "-c", f"{HERE}\n{tell}\n{stopper}", str(place.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stopping:
        while first.poll() is None:
            with suppress(HostError):
                place.status()
        second = place.up()
        assert f"process {first.pid}, has ended" in stopping.communicate(timeout=20)[0]
    assert second.poll() is None


def test_the_lock_of_the_next_one_does_not_count_as_that_of_the_last(place):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    lock = start.locked(place.socket)
    with subprocess.Popen([sys.executable, "-c", ""]) as last:
        last.wait(30)
        assert status._gone(place.socket, last.pid)
    assert not status._gone(place.socket, os.getpid())
    os.close(lock)
    assert status._gone(place.socket, os.getpid())


# --- what is said twice ---------------------------------------------------------------------------------------------
def test_names_beside_the_socket_are_those_of_the_daemon(place):
    os.makedirs(os.path.dirname(place.socket), 0o700)
    assert start.note(place.socket) == f"{place.socket}.{status.NOTE}"
    assert not status._locked(place.socket)
    lock = start.locked(place.socket)
    assert status._locked(place.socket)
    os.close(lock)
    assert not status._locked(place.socket)
