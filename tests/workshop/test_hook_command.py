"""The command line that goes into the agent's settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wasmguard import link, places
from wasmguard.errors import HostError
from wasmguard.serve import options
from wasmguard.version import __version__
from wasmguard.workshop import hook_command

CONFIG = "/c/wasmguard.toml"


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(hook_command, "native_client", lambda: "")


def split(command):
    """The socket, and the options behind it as a hook reads them."""
    at = next(number for number, word in enumerate(command) if word.endswith("client.py"))
    return command[at + 1], options.parsed(command[at + 2 :])


def test_it_names_everything_by_its_whole_path_and_no_version(tmp_path):
    command = hook_command.command(CONFIG)
    assert command[:3] == (sys.executable, "-I", "-S")
    assert all(os.path.isabs(word) for word in command if not word.startswith("-") and word != hook_command.STEP)
    assert os.path.isfile(command[5])
    socket, said = split(command)
    assert socket == link.socket_of(CONFIG)
    assert said == options.Options(config=CONFIG, home=str(tmp_path))
    assert __version__ not in " ".join(command).replace(str(tmp_path), "")


WHOLE = (Path(hook_command.__file__).parents[1] / "serve/client.py").read_bytes()


@pytest.mark.parametrize("length", [0, 1, *range(100, len(WHOLE), 100), len(WHOLE) - 1])
def test_a_client_that_is_half_written_blocks(tmp_path, length):
    """An empty script ends with 0 and says nothing, and the agent goes on."""
    (tmp_path / "client.py").write_bytes(WHOLE[:length])
    command = [sys.executable, "-I", "-S", "-c", hook_command.STEP, str(tmp_path / "client.py"), "/no/socket"]
    done = subprocess.run(command, input=b'{"hook_event_name":"PreToolUse"}', capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip()


def test_a_client_that_is_gone_blocks():
    command = [sys.executable, "-I", "-S", "-c", hook_command.STEP, "/gone/client.py", "/no/socket"]
    done = subprocess.run(command, input=b"{}", capture_output=True, check=False)
    assert done.returncode == 2
    assert b"wasmguard is broken: reinstall it" in done.stderr


def test_folders_are_named_where_home_alone_does_not_give_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    _, said = split(hook_command.command(CONFIG))
    assert (said.state, said.cache) == (str(tmp_path / "s" / "wasmguard"), None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    assert split(hook_command.command(CONFIG))[1].cache is None


def test_a_hook_that_is_told_finds_the_same_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    here = places.state_dir(), places.cache_dir()
    _, said = split(hook_command.command(CONFIG))
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    monkeypatch.setenv("HOME", "/elsewhere")
    try:
        options.settled(said)
        assert (places.state_dir(), places.cache_dir()) == here
    finally:
        places.tell()


def test_the_daemon_that_it_starts_may_listen_for_http():
    assert split(hook_command.command(CONFIG, http="127.0.0.1:20000"))[1].http == "127.0.0.1:20000"


def test_the_native_client_comes_first_and_python_behind_it(monkeypatch):
    monkeypatch.setattr(hook_command, "native_client", lambda: "/v/wasmguard-client")
    native, socket, *python = hook_command.command(CONFIG)
    monkeypatch.setattr(hook_command, "native_client", lambda: "")
    assert native == "/v/wasmguard-client"
    assert tuple(python) == hook_command.command(CONFIG)
    assert socket == split(python)[0]


def test_an_installation_without_its_client_is_broken(monkeypatch):
    monkeypatch.setattr(hook_command, "_part", lambda name: f"/none/{name}")
    with pytest.raises(HostError, match="reinstall wasmguard"):
        hook_command.command(CONFIG)


def test_a_name_that_settings_cannot_hold_is_refused():
    with pytest.raises(HostError, match="not in UTF-8"):
        hook_command.command("/c/\udcff.toml")


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        (f'echo "wasmguard-client {__version__} (by hand)"', True),
        ('echo "wasmguard-client 0.0.0"', False),
        (f'echo "wasmguard-client {__version__}"; exit 1', False),
        ("kill -9 $$", False),
        ("", False),
    ],
)
def test_the_native_client_is_used_if_it_runs_and_is_of_this_version(tmp_path, monkeypatch, script, runs):
    monkeypatch.undo()
    program = tmp_path / "wasmguard-client"
    monkeypatch.setattr(hook_command, "_part", lambda _: str(program))
    assert hook_command.native_client() == ""
    program.write_text(f"#!/bin/sh\n{script}\n")
    assert hook_command.native_client() == ""
    program.chmod(0o755)
    assert hook_command.native_client() == (str(program) if runs else "")


def test_a_native_client_for_another_machine_is_not_used(tmp_path, monkeypatch):
    monkeypatch.undo()
    program = tmp_path / "wasmguard-client"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    monkeypatch.setattr(hook_command, "_part", lambda _: str(program))
    assert hook_command.native_client() == ""
