"""Which hooks of ours are installed, and what they mean."""

import os

import pytest

from tests.workshop.guarded import Owner, hooked
from wasmguard import installed, link, places
from wasmguard.agents import claude_settings
from wasmguard.workshop import hooks


@pytest.fixture
def owner(tmp_path, monkeypatch):
    return Owner(tmp_path, monkeypatch)


def entry(owner, path, **given):
    about = {"agent": "claude-code", "scope": "user", "transport": "command", "events": (), "command": (), "time": 0}
    return installed.Entry(**about, config=str(owner.config), socket="/s.sock", path=str(path), **given)


@pytest.mark.parametrize("scope", ["user", "project", "local"])
def test_a_hook_is_found_in_every_scope_with_all_its_events(owner, scope):
    path = owner.installs(scope=scope)
    (hook,) = owner.hooks()
    assert (hook.scope, hook.path, hook.events) == (scope, path, claude_settings.ALWAYS)
    assert (hook.words, hook.url, hook.seconds, hook.blocks_on_failure) == (owner.serve, "", 30, True)
    assert (hook.config, hook.folders) == (str(owner.config), {"home": str(owner.home)})
    assert hook.project == str(owner.project)


def test_where_nobody_installed_anything_there_is_none(owner):
    assert owner.hooks() == []
    owner.sets("user", {"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "other"}]}]}})
    assert owner.hooks() == []


def test_a_file_that_the_client_ignores_holds_no_hook(owner):
    path = owner.installs()
    with open(path, encoding="utf-8") as file:
        settings = file.read()
    owner.sets("user", settings[:-1] + ', "model": 5}')
    assert owner.hooks() == []


def test_two_handlers_that_differ_are_two_hooks(owner):
    owner.installs(events=["PreToolUse"])
    owner.installs(scope="project", events=["PreToolUse"], timeout=31)
    assert [hook.scope for hook in owner.hooks()] == ["user", "project"]


def test_settings_that_install_wrote_elsewhere_are_read_too(owner, tmp_path):
    there = tmp_path / "other" / ".claude" / "settings.json"
    installed.keep([entry(owner, there, http="").replaced(scope="project")])
    found = hooks.all_settings(str(owner.project))
    assert [one.there for one in found if one.path == str(there)] == [False]
    there.parent.mkdir(parents=True)
    os.rename(owner.installs(), there)
    (hook,) = owner.hooks()
    assert hook.project == str(tmp_path / "other")


def test_the_command_line_says_where_everything_is(owner):
    words = ["/x/wasmguard-client", "/run/a.sock", "/usr/bin/python3", "-I", "-S", "/x/wasmguard/serve/client.py"]
    words += ["/run/a.sock", "--config", "/c.toml", "--home=/h", "--state", "/s", "--cache", "/k", "--http", "1:2"]
    known = hooks.options_of(claude_settings.command_handler(words))
    expected = {"socket": "/run/a.sock", "config": "/c.toml", "home": "/h", "state": "/s", "cache": "/k", "http": "1:2"}
    assert known == expected
    assert hooks.options_of({"command": " ".join(words)}) == expected


def test_a_url_means_what_install_remembers_else_what_a_command_beside_it_says_else_what_is_usual(owner):
    handler = claude_settings.url_handler(f"http://127.0.0.1:7{claude_settings.PATH}", None)
    by_url = hooked(["PreToolUse"], handler)
    path = owner.sets("user", by_url)
    (hook,) = owner.hooks()
    usual = places.config_file()
    assert (hook.url, hook.config, hook.socket) == (handler["url"], usual, link.socket_of(usual))
    assert (hook.allowed[0], hook.folders) == ("WASMGUARD_TOKEN", {})

    owner.sets("user", {"hooks": {**by_url["hooks"], **hooked(["SessionStart"], command(owner, "/a.sock"))["hooks"]}})
    (hook,) = [hook for hook in owner.hooks() if hook.url]
    assert (hook.config, hook.socket, hook.folders) == (str(owner.config), "/a.sock", {"home": str(owner.home)})

    handler = command(owner, "/b.sock")
    installed.keep([entry(owner, path).replaced(command=(handler["command"], *handler["args"]))])
    assert {hook.socket for hook in owner.hooks() if hook.url} == {"/b.sock"}


def command(owner, socket):
    return claude_settings.command_handler([*owner.serve, "--socket", socket])


def test_a_command_that_says_nothing_means_what_is_usual_in_an_agents_hook(owner):
    owner.installs(["wasmguard", "serve"])
    (hook,) = owner.hooks()
    assert (hook.config, hook.folders) == (places.config_file(), {"home": places.home_in_database()})


def test_without_args_a_command_goes_to_the_shell(owner):
    owner.installs(["wasmguard serve"], args=None)
    (hook,) = owner.hooks()
    assert hook.words == ["/bin/sh", "-c", "wasmguard serve"]


@pytest.mark.parametrize(("timeout", "seconds"), [(1, 1), (30, 30), (30_000, hooks.LONGEST), (None, hooks.LONGEST)])
def test_nobody_is_waited_for_longer_than_a_hook_of_ours_may_need(owner, timeout, seconds):
    owner.installs(timeout=timeout)
    (hook,) = owner.hooks()
    assert hook.seconds == seconds


def test_the_variables_of_all_settings_reach_a_hook_the_closer_ones_first(owner):
    owner.installs()
    owner.sets("project", {"env": {"A": "project", "B": "project", "": "x", "C=D": "x", "E": "a\0b"}})
    owner.sets("local", {"env": {"A": "local", "N": 5}})
    (hook,) = owner.hooks()
    assert hook.variables == {"A": "local", "B": "project", "N": "5"}


BROKEN = [
    *("", "{", "[]", "null", "\ufeff{}", '{"hooks": 5}', '{"hooks": {"PreToolUse": 5}}', '{"env": []}', "\0", "{}" * 9),
    *('{"hooks": {"PreToolUse": [5, {"hooks": 5}, {"hooks": [5, {"type": "command"}]}]}}', "[" * 100_000, "\ud800"),
    *('{"hooks": {"PreToolUse": [{"hooks": [{"type": "http", "url": 5}]}]}}', "// x\n{}", '{"hooks": NaN}'),
]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_no_broken_settings_raise(owner, text):
    for scope in ("user", "project", "local"):
        path = owner.sets(scope, "")
        with open(path, "wb") as file:
            file.write(text.encode("utf-8", "surrogatepass"))
    assert owner.hooks() == []


def test_settings_that_are_no_file_are_told(owner):
    path = owner.sets("user", "{}")
    for make in (lambda: os.mkdir(path), lambda: os.mkfifo(path), lambda: os.symlink("/dev/zero", path)):
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        make()
        assert "no regular file" in hooks.read("user", path).flaw or "cannot be read" in hooks.read("user", path).flaw
    assert "has more than" in hooks.read("user", str(_large(owner))).flaw
    assert not hooks.read("user", f"{path}/below").there
    assert hooks.read("user", "a\0b").flaw


def _large(owner):
    path = owner.root / "large.json"
    path.write_bytes(b" " * (hooks.LARGEST + 1))
    return path
