"""Our hooks in plugins of the agent."""

import json

import pytest

from tests.workshop.guarded import Owner
from wasmguard.workshop import hooks, plugins

NAME = "wasmguard@wasmguard"


@pytest.fixture
def owner(tmp_path, monkeypatch):
    return Owner(tmp_path, monkeypatch)


def found(owner):
    return plugins.ours(hooks.all_settings(str(owner.project)))


def test_a_plugin_that_is_enabled_and_asks_us_is_found_where_the_client_keeps_it(owner):
    path = owner.plugs_in()
    assert {name: (one.scope, one.path) for name, one in found(owner).items()} == {NAME: ("plugin", str(path))}
    (hook,) = plugins.hooks_in(str(owner.project))
    assert (hook.words, hook.config) == (owner.serve, str(owner.config))
    assert "PreToolUse" in hook.events
    assert hook.name == "the command in the plugin"


def test_one_that_is_not_enabled_does_not_count_and_the_closer_settings_say_so_last(owner):
    owner.plugs_in(enabled=False)
    assert found(owner) == {}
    owner.sets("project", {"enabledPlugins": {NAME: True}})
    assert found(owner)
    owner.sets("local", {"enabledPlugins": {NAME: False}})
    assert found(owner) == {}


def test_one_of_somebody_else_is_none_of_ours(owner):
    owner.plugs_in(["/bin/other"])
    assert found(owner) == {}


@pytest.mark.parametrize(
    "known",
    [
        *("", "[]", "{", '{"plugins": []}'),
        *(json.dumps({"plugins": {NAME: odd}}) for odd in (None, {}, [None], [{"installPath": 5}])),
        *(json.dumps({"plugins": {NAME: [{"installPath": odd}]}}) for odd in ("cache", "/nowhere", "/dev/null")),
    ],
)
def test_what_the_client_wrote_down_may_be_anything(owner, known):
    owner.plugs_in()
    (owner.home / ".claude" / "plugins" / "installed_plugins.json").write_text(known)
    assert found(owner) == {}
    owner.sets("user", {"enabledPlugins": [NAME]})
    assert found(owner) == {}
