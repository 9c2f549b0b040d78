"""Names of places, on every platform; nothing here touches a disk."""

import os
import subprocess
import sys

import pytest

from wasmguard import places
from wasmguard.errors import HostError, UsageError

HOME = {"HOME": "/home/ada"}
XDG = {
    "XDG_CONFIG_HOME": "/x/config",
    "XDG_CACHE_HOME": "/x/cache",
    "XDG_STATE_HOME": "/x/state",
    "XDG_RUNTIME_DIR": "/run/user/7",
}
FOLDERS = [places.config_dir, places.cache_dir, places.state_dir, places.runtime_dir]


@pytest.fixture
def on(monkeypatch):
    return lambda platform: monkeypatch.setattr(places.sys, "platform", platform)


@pytest.fixture
def unknown_user(monkeypatch):
    pwd = pytest.importorskip("pwd")

    def nobody(_uid):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)


def all_of(environ):
    return [folder(environ) for folder in FOLDERS]


def test_linux_follows_xdg(on):
    on("linux")
    assert all_of(HOME | XDG) == [
        "/x/config/wasmguard",
        "/x/cache/wasmguard",
        "/x/state/wasmguard",
        "/run/user/7/wasmguard",
    ]


def test_linux_without_xdg_lives_below_home(on):
    on("linux")
    assert all_of(HOME) == [
        "/home/ada/.config/wasmguard",
        "/home/ada/.cache/wasmguard",
        "/home/ada/.local/state/wasmguard",
        "/home/ada/.local/state/wasmguard/run",
    ]


@pytest.mark.parametrize("value", ["", "relative/folder", "./here", "~/there"])
def test_an_xdg_variable_that_is_not_absolute_counts_as_not_set(on, value):
    on("linux")
    assert all_of(HOME | dict.fromkeys(XDG, value)) == all_of(HOME)


def test_macos_uses_the_library(on):
    on("darwin")
    assert all_of({"HOME": "/Users/ada"}) == [
        "/Users/ada/Library/Application Support/wasmguard",
        "/Users/ada/Library/Caches/wasmguard",
        "/Users/ada/Library/Application Support/wasmguard/state",
        "/Users/ada/Library/Application Support/wasmguard/state/run",
    ]


def test_windows_uses_its_application_folders(on):
    on("win32")
    environ = {"APPDATA": "/roaming", "LOCALAPPDATA": "/local", "USERPROFILE": "/ada"}
    assert all_of(environ) == [
        "/roaming/wasmguard",
        "/local/wasmguard/cache",
        "/local/wasmguard/state",
        "/local/wasmguard/state/run",
    ]
    assert places.config_dir({"USERPROFILE": "/ada"}) == "/ada/AppData/Roaming/wasmguard"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32", "freebsd14"])
def test_no_place_is_the_place_of_something_else(on, platform):
    on(platform)
    everywhere = all_of(HOME | {"USERPROFILE": "/ada"})
    assert len(set(everywhere)) == len(FOLDERS)


def test_the_password_database_knows_home_when_the_environment_does_not(on, monkeypatch):
    on("linux")
    pwd = pytest.importorskip("pwd")
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: pwd.struct_passwd(("b", "x", 1, 1, "", "/home/bob", "/bin/sh")))
    assert places.cache_dir({}) == "/home/bob/.cache/wasmguard"
    assert places.cache_dir({"HOME": ""}) == "/home/bob/.cache/wasmguard"
    assert places.cache_dir({"HOME": "not/absolute"}) == "/home/bob/.cache/wasmguard"


@pytest.mark.usefixtures("unknown_user")
def test_without_any_home_the_message_says_what_to_set(on):
    on("linux")
    with pytest.raises(HostError, match=r"set `\$HOME` or `\$XDG_CACHE_HOME`"):
        places.cache_dir({})


@pytest.mark.usefixtures("unknown_user")
def test_without_any_home_the_xdg_folders_still_work(on):
    on("linux")
    assert all_of(XDG) == all_of(XDG | HOME)


def test_the_option_goes_before_the_variable_and_that_before_the_folder(on):
    on("linux")
    environ = HOME | {"WASMGUARD_CONFIG": "/by/variable.toml"}
    assert places.config_file("/by/option.toml", environ) == "/by/option.toml"
    assert places.config_file(None, environ) == "/by/variable.toml"
    assert places.config_file(None, HOME) == "/home/ada/.config/wasmguard/wasmguard.toml"
    assert places.config_file(None, HOME | {"WASMGUARD_CONFIG": ""}) == places.config_file(None, HOME)


def test_an_option_is_relative_to_the_current_folder():
    assert places.config_file("mine.toml", HOME) == os.path.join(os.getcwd(), "mine.toml")


def test_a_leading_tilde_is_home():
    assert places.config_file("~/a.toml", HOME) == "/home/ada/a.toml"
    assert places.config_file(None, HOME | {"WASMGUARD_CONFIG": "~/b.toml"}) == "/home/ada/b.toml"
    assert places.expanded("~bob/a", HOME) == "~bob/a"
    assert places.expanded("a/~/b", HOME) == "a/~/b"


def test_the_folder_an_agent_stands_in_does_not_choose_the_configuration():
    with pytest.raises(UsageError, match="not absolute"):
        places.config_file(None, HOME | {"WASMGUARD_CONFIG": "wasmguard.toml"})


def test_an_empty_option_is_not_the_default():
    with pytest.raises(UsageError, match="`--config` is empty"):
        places.config_file("", HOME)


def test_the_process_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("WASMGUARD_CONFIG", "/from/environ.toml")
    assert places.config_file() == "/from/environ.toml"


def test_a_hook_process_pays_nothing_for_it():
    code = "import os, sys; before = set(sys.modules); import wasmguard.places; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if not name.startswith("wasmguard")} <= {"__future__"}


def test_a_stamp_changes_when_a_file_is_written_or_replaced(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"one")
    stamps = [places.stamp(file.stat())]
    file.write_bytes(b"three")
    stamps.append(places.stamp(file.stat()))
    (tmp_path / "other").write_bytes(b"three")
    (tmp_path / "other").replace(file)
    stamps.append(places.stamp(file.stat()))
    assert len(set(stamps)) == 3
