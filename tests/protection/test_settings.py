"""Changes of the agent's settings: what would switch our hooks off is not applied."""

import json
import os

import pytest

from tests.protection.house import House
from wasmguard import installed
from wasmguard.protection.settings import LARGEST

OURS = {"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", "command": "/v/bin/wasmguard"}]}]}}
HARMFUL = {
    "disableAllHooks": ({"disableAllHooks": True}, "`disableAllHooks`"),
    "disableAllHooks, odd": ({"disableAllHooks": "yes"}, "`disableAllHooks`"),
    "disableAllHooks, none": ({"disableAllHooks": None}, "`disableAllHooks`"),
    "allowManagedHooksOnly": ({"allowManagedHooksOnly": True}, "`allowManagedHooksOnly`"),
    "allowedHttpHookUrls": ({"allowedHttpHookUrls": []}, "`allowedHttpHookUrls`"),
    "LD_PRELOAD": ({"env": {"A": "b", "LD_PRELOAD": "/x.so"}}, "`LD_PRELOAD`"),
    "DYLD": ({"env": {"DYLD_INSERT_LIBRARIES": "/x"}}, "`DYLD_INSERT_LIBRARIES`"),
    "PYTHONPATH": ({"env": {"PYTHONPATH": "."}}, "`PYTHONPATH`"),
    "WASMGUARD_CONFIG": ({"env": {"WASMGUARD_CONFIG": "/x"}}, "`WASMGUARD_CONFIG`"),
    "XDG_STATE_HOME": ({"env": {"XDG_STATE_HOME": "/x"}}, "`XDG_STATE_HOME`"),
    "HOME": ({"env": {"HOME": "/x"}}, "`HOME`"),
    "CLAUDE_CONFIG_DIR": ({"env": {"CLAUDE_CONFIG_DIR": "/x"}}, "`CLAUDE_CONFIG_DIR`"),
    "CLAUDE_CODE_SIMPLE": ({"env": {"CLAUDE_CODE_SIMPLE": "1"}}, "`CLAUDE_CODE_SIMPLE`"),
    "a wrapper of hooks": ({"env": {"CLAUDE_CODE_SHELL_PREFIX": "/x"}}, "`CLAUDE_CODE_SHELL_PREFIX`"),
    "an odd env": ({"env": ["HOME=/x"]}, "no object"),
    "no object": ([], "no JSON object"),
}
HARMLESS = [
    {},
    OURS,
    {"disableAllHooks": False, "allowManagedHooksOnly": False},
    {"permissions": {"allow": ["Bash"]}, "env": {"NODE_ENV": "test", "PATH": "/bin", "MY_HOME": "x"}},
]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return House(tmp_path_factory.mktemp("settings"))


@pytest.mark.parametrize("harm", HARMFUL)
def test_what_switches_hooks_off_or_steers_them_is_not_applied(house, harm):
    settings, said = HARMFUL[harm]
    path = house.put("proj/.claude/settings.local.json", json.dumps(settings))
    refused = house.changed(source="local_settings", file_path=path)
    assert said in refused
    assert path in refused


@pytest.mark.parametrize("settings", HARMLESS)
def test_other_changes_are_applied(house, settings):
    path = house.put("proj/.claude/settings.local.json", "\ufeff" + json.dumps(settings))
    assert house.changed(source="local_settings", file_path=path) == ""


@pytest.mark.parametrize(
    "text", ["", "{", '{"disableAllHooks": true', "// x\n{}", "\0", '{"a": ' * 5_000, "{}" * 2, '{"a": NaN}']
)
def test_what_cannot_be_read_is_not_applied(house, text):
    path = house.put("proj/.claude/settings.local.json", text)
    assert "mend the file" in house.changed(source="local_settings", file_path=path)


def test_no_special_file_holds_the_hook_up(house):
    fifo, folder = f"{house.project}/fifo", f"{house.project}/build"
    os.mkfifo(fifo)
    for path in (fifo, folder, "/dev/zero"):
        assert "cannot be read" in house.changed(source="local_settings", file_path=path)
    huge = house.put("proj/huge.json", " " * (LARGEST + 1))
    assert "over 1048576 bytes" in house.changed(source="local_settings", file_path=huge)


def test_a_file_that_is_gone_sets_nothing(house):
    assert house.changed(source="local_settings", file_path=f"{house.project}/gone.json") == ""
    assert house.changed(source="local_settings", file_path=f"{house.project}/a/gone.json").endswith("mend the file")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("user_settings", "moved/settings.json"),
        ("project_settings", "proj/.claude/settings.json"),
        ("local_settings", "proj/.claude/settings.local.json"),
        ("something_new", "proj/.claude/settings.json"),
    ],
)
def test_without_a_name_the_usual_files_of_the_scope_are_read(house, source, name):
    for other in ("moved/settings.json", "proj/.claude/settings.json", "proj/.claude/settings.local.json"):
        house.put(other)
    assert house.changed(source=source) == ""
    house.put(name, '{"disableAllHooks": true}')
    assert "disableAllHooks" in house.changed(source=source)
    assert "disableAllHooks" in house.changed() if source == "something_new" else True
    house.put(name)


def test_a_relative_name_is_one_of_the_session(house):
    house.put("proj/x.json", '{"disableAllHooks": true}')
    assert "disableAllHooks" in house.changed(source="project_settings", file_path="x.json")
    assert "no readable name" in house.changed(source="project_settings", file_path=7)


def test_skills_are_no_settings(house):
    skill = house.put("proj/.claude/skills/x/SKILL.md", "# not JSON")
    assert house.changed(source="skills", file_path=skill) == ""


HOOK = ("/v/bin/python", "-I", "-S", "/v/wasmguard/serve/client.py", "/run/s", "--config", "/c", "--home", "/h")


@pytest.fixture
def hooked(house, own_home):
    """Settings with hooks of ours, as `wasmguard install` remembers them: the path, and the JSON of the file."""
    entry = installed.Entry(
        agent="claude-code",
        scope="local",
        path=f"{house.project}/.claude/settings.local.json",
        transport="command",
        config="/c",
        socket="/run/s",
        events=("PreToolUse", "ConfigChange"),
        command=HOOK,
        time=0,
    )
    installed.keep([entry])
    handlers = installed.expected(entry)
    hooks = {event: [{"matcher": "*", "hooks": [dict(handlers[event])]}] for event in entry.events}
    house.put("proj/.claude/settings.local.json", json.dumps({"hooks": hooks}))
    return entry.path, {"hooks": hooks}


def changed(house, path, settings):
    house.put("proj/.claude/settings.local.json", json.dumps(settings))
    return house.changed(source="local_settings", file_path=path)


def test_settings_that_still_hold_our_hooks_may_change(house, hooked):
    path, settings = hooked
    assert changed(house, path, settings) == ""
    assert changed(house, path, settings | {"model": "opus"}) == ""


def test_settings_that_lost_a_hook_of_ours_are_not_applied(house, hooked):
    path, settings = hooked
    for event in settings["hooks"]:
        rest = {name: groups for name, groups in settings["hooks"].items() if name != event}
        assert f"the guard's hook for `{event}` no more" in changed(house, path, {"hooks": rest})
    assert "no more" in changed(house, path, {})


@pytest.mark.parametrize(
    "change",
    [{"onFailure": "continue"}, {"command": "/bin/true"}, {"async": True}, {"if": "Bash"}],
    ids=str,
)
def test_nor_settings_in_which_it_is_another(house, hooked, change):
    path, settings = hooked
    settings["hooks"]["PreToolUse"][0]["hooks"][0] |= change
    assert "the guard's hook for `PreToolUse` no more" in changed(house, path, settings)


def test_a_file_with_our_hooks_may_not_go(house, hooked):
    path, _ = hooked
    os.unlink(path)
    assert "no more" in house.changed(source="local_settings", file_path=path)
    installed.keep([])  # what `wasmguard uninstall` does first
    assert house.changed(source="local_settings", file_path=path) == ""
