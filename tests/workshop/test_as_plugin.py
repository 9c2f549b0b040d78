"""A plugin of Claude Code in a marketplace of its own."""

import json

import pytest

from tests.workshop.test_install import everything, here, texts
from wasmguard import installed
from wasmguard.agents import claude_settings
from wasmguard.errors import ConfigError, HostError, UsageError
from wasmguard.version import __version__
from wasmguard.workshop import hook_command
from wasmguard.workshop.as_plugin import as_plugin

__all__ = ["here"]


@pytest.fixture
def write(here):
    return lambda folder="plugin", **given: as_plugin(
        "claude-code", str(here.root / folder), **{"config": str(here.config), **given}
    )


def test_it_writes_a_marketplace_with_one_plugin_and_its_hooks(here, write):
    outcome = write()
    folder = here.root / "plugin"
    market = json.loads((folder / ".claude-plugin" / "marketplace.json").read_text())
    (offered,) = market["plugins"]
    plugin = folder / offered["source"]
    manifest = json.loads((plugin / ".claude-plugin" / "plugin.json").read_text())
    assert (manifest["name"], manifest["version"]) == (offered["name"], __version__)
    hooks = json.loads((plugin / "hooks" / "hooks.json").read_text())["hooks"]
    assert hooks.keys() == set(claude_settings.ALWAYS)
    assert hooks["PreToolUse"][0]["hooks"] == [claude_settings.command_handler(hook_command.command(str(here.config)))]
    assert "plugin install wasmguard@wasmguard" in texts(outcome)
    assert (plugin / "README.md").exists()


def test_it_is_no_part_of_anybodys_settings(write):
    write()
    assert installed.entries() == ()


def test_to_repeat_it_changes_nothing_and_an_older_one_is_written_again(here, write):
    write()
    before = everything(here.root)
    assert not write().changed
    assert everything(here.root) == before
    (here.root / "plugin" / "plugins" / "wasmguard" / "hooks" / "hooks.json").write_text("{}")
    assert write().changed
    assert everything(here.root) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.txt", "mine"),
        (".claude-plugin/marketplace.json", '{"name": "other"}'),
        (".claude-plugin/marketplace.json", "[]"),
        (".claude-plugin/marketplace.json", "{"),
    ],
)
def test_a_folder_that_holds_something_else_is_not_touched(here, write, name, text):
    path = here.root / "plugin" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    before = everything(here.root)
    with pytest.raises(HostError, match="holds something else"):
        write()
    assert everything(here.root) == before


def test_a_file_in_the_folders_place_is_refused(here, write):
    (here.root / "plugin").write_text("")
    with pytest.raises(UsageError, match="is no folder"):
        write()


def test_a_dry_run_writes_nothing(here, write):
    before = everything(here.root)
    assert write(dry_run=True).changed
    assert everything(here.root) == before


def test_an_empty_folder_will_do(here, write):
    (here.root / "plugin").mkdir()
    assert write().changed


def test_what_cannot_be_meant_is_refused(here, write):
    with pytest.raises(UsageError, match="no agent"):
        as_plugin("other", str(here.root / "plugin"))
    with pytest.raises(UsageError, match="the token is yours alone"):
        write(transport="http")
    with pytest.raises(ConfigError, match="run `wasmguard init`"):
        write(config="/none/wasmguard.toml")
    assert not (here.root / "plugin").exists()


def test_what_cannot_be_written_is_told(here, write):
    (here.root / "file").write_text("")
    with pytest.raises(HostError, match="cannot be written"):
        write("file/plugin")
