"""What the agent may not do to the guard, whatever the policies say: every protected thing, and every way to it."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protection.house import MANAGED, ORDINARY, House
from wasmguard import lock
from wasmguard.agents import claude
from wasmguard.event import Event
from wasmguard.protection.events import Protection

WIRE = Path(__file__).parent / "wire" / "claude"

WRITERS = {
    "Write": lambda path: ("Write", {"file_path": path, "content": "x"}),
    "Edit": lambda path: ("Edit", {"file_path": path, "old_string": "a", "new_string": "b"}),
    "MultiEdit": lambda path: ("MultiEdit", {"file_path": path, "edits": [{"old_string": "a", "new_string": "b"}]}),
    "NotebookEdit": lambda path: ("NotebookEdit", {"notebook_path": path, "new_source": "x"}),
    "an MCP tool": lambda path: ("mcp__files__write", {"path": path, "text": "x"}),
    "deep inside": lambda path: ("mcp__files__write", {"files": [{"deep": [{"where": path}]}]}),
    "as a key": lambda path: ("mcp__files__push", {"files": {path: "x"}}),
    "as an address": lambda path: ("mcp__files__write", {"uri": "file://" + path.replace("e", "%65")}),
    "a tool that nobody knows": lambda path: ("Overwrite", {"target": path}),
    "a command of an MCP tool": lambda path: ("mcp__shell__run", {"command": f"tee {path}"}),
    "Bash": lambda path: ("Bash", {"command": f"echo x > {path}"}),
    "Monitor": lambda path: ("Monitor", {"command": f"echo x > {path}", "description": "d", "timeout_ms": 1}),
    "PowerShell": lambda path: ("PowerShell", {"command": f"Set-Content {path} x"}),
}
SPELLINGS = {
    "as it is": lambda path, house: path,
    "from ~ on": lambda path, house: path.replace(house.home, "~"),
    "relative": lambda path, house: os.path.relpath(path, house.project),
    "with ..": lambda path, house: path.replace(house.home, f"{house.home}/proj/../nothing/.."),
    "with . and //": lambda path, house: path.replace("/", "/.//"),
    "with slashes before and behind": lambda path, house: f"/{path}//",
    "in capitals": lambda path, house: os.path.dirname(path) + "/" + os.path.basename(path).upper(),
    "behind a NUL": lambda path, house: path + "\0.txt",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return House(tmp_path_factory.mktemp("protection"))


@pytest.mark.parametrize("writer", WRITERS)
def test_no_tool_writes_a_protected_file(house, writer):
    missed = [path for path in [*house.things, MANAGED] if not house.tool(*WRITERS[writer](path))]
    assert missed == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_protected_file_is_another_file(house, spelling):
    spelt = {path: SPELLINGS[spelling](path, house) for path in house.things}
    missed = [s for s in spelt.values() if not house.tool("Write", {"file_path": s, "content": "x"})]
    assert missed == []


def test_a_new_file_in_a_folder_of_the_guard_is_one_of_its_files(house):
    for folder in (".config/wasmguard", ".cache/wasmguard/a/b", ".local/state/wasmguard/plans"):
        assert house.tool("Write", {"file_path": f"{house.home}/{folder}/new", "content": "x"})


def test_a_symbolic_link_is_what_it_leads_to(house):
    link, folder, gone = (f"{house.project}/{name}" for name in ("link", "folder", "gone"))
    os.symlink(f"{house.home}/.claude/settings.json", link)
    os.symlink(f"{house.home}/.config", folder)
    os.symlink(f"{house.home}/.config/wasmguard/not-yet", gone)
    for path in (
        link,
        f"{folder}/wasmguard/wasmguard.toml",
        f"{folder}/wasmguard/new",
        gone,
        f"{folder}/../.claude.json",
    ):
        assert house.tool("Write", {"file_path": path, "content": "x"}), path
        assert house.bash(f"echo x > {path}"), path
    assert not house.tool("Write", {"file_path": f"{folder}/x/y", "content": "x"})


def test_a_folder_that_leads_to_home_leads_to_what_is_in_it(tmp_path):
    house = House(tmp_path / "real")
    os.symlink(tmp_path / "real", tmp_path / "named")
    named = str(tmp_path / "named/home/ada")
    through = Protection(house.plan, house.environ | {"HOME": named})
    for name in (".claude/settings.json", ".claude.json", ".config/wasmguard/wasmguard.toml", ".cache/wasmguard/x"):
        for home in (named, house.home):
            event = house.event("Write", {"file_path": f"{home}/{name}", "content": "x"})
            assert through.refusal(event), (home, name)


def test_a_hard_link_is_the_file_that_it_is_another_name_of(house):
    for number, thing in enumerate(house.things):
        other = f"{house.project}/hard{number}"
        os.link(thing, other)
        if thing.endswith("sub/.claude/settings.json"):
            continue  # of a folder that nobody told us about
        assert house.tool("Write", {"file_path": other, "content": "x"}), thing
        assert house.bash(f"tee {other}"), thing
    os.link(f"{house.project}/a", f"{house.project}/a2")
    assert not house.tool("Write", {"file_path": f"{house.project}/a2", "content": "x"})


def test_where_the_folders_hold_more_files_than_one_can_compare_a_hard_link_is_refused(house, monkeypatch):
    monkeypatch.setattr("wasmguard.protection.paths.MOST_FILES", 2)
    os.link(f"{house.project}/b", f"{house.project}/b2")
    assert house.tool("Write", {"file_path": f"{house.project}/b2", "content": "x"})


@pytest.mark.parametrize("writer", ["Write", "Edit", "NotebookEdit", "an MCP tool", "deep inside", "Bash"])
def test_ordinary_files_are_written(house, writer):
    refused = {name: house.tool(*WRITERS[writer](f"{house.home}/{name}")) for name in [*ORDINARY, "proj/README.md"]}
    assert not any(refused.values()), refused


@pytest.mark.parametrize("tool", ["Read", "Glob", "Grep", "NotebookRead", "WebFetch", "Agent", "TodoWrite"])
def test_reading_is_free(house, tool):
    assert not any(house.tool(tool, {"file_path": path, "path": path}) for path in house.things)


def test_content_is_no_path(house):
    path = f"{house.home}/.config/wasmguard/wasmguard.toml"
    readme = f"{house.project}/README.md"
    harmless = [
        ("Write", {"file_path": readme, "content": path}),
        ("Edit", {"file_path": readme, "old_string": path, "new_string": path}),
        ("MultiEdit", {"file_path": readme, "edits": [{"old_string": path, "new_string": "x"}]}),
        ("NotebookEdit", {"notebook_path": f"{house.project}/n.ipynb", "new_source": path}),
        ("mcp__notes__add", {"text": path}),
        ("mcp__notes__add", {"note": f"{path}\n"}),
        ("mcp__notes__add", {"note": "x" * 5_000 + path}),
        ("mcp__notes__add", {"note": "see ~/.claude/settings.json"}),
        ("mcp__git__show", {"where": "https://example.org/x/blob/main/.claude/settings.json"}),
        ("Bash", {"command": "npm test", "description": path}),
    ]
    assert [call for call in harmless if house.tool(*call)] == []


def test_a_tool_that_moves_or_deletes_takes_no_folder_that_holds_something(house):
    for folder in (house.home, f"{house.home}/.config", f"{house.home}/.claude", house.project, "/", "."):
        assert house.tool("mcp__files__move_file", {"source": folder, "destination": "/tmp/x"}), folder
        assert house.tool("mcp__files__delete_directory", {"path": folder}), folder
        assert not house.tool("mcp__files__list_directory", {"path": folder}), folder
        assert not house.tool("Write", {"file_path": folder, "content": "x"}), folder
    assert not house.tool("mcp__files__delete_directory", {"path": f"{house.project}/build"})


def test_a_permission_request_is_judged_like_the_call(house):
    for path in house.things:
        assert house.tool("Write", {"file_path": path, "content": "x"}, name="PermissionRequest")
    assert not house.tool("Write", {"file_path": "/tmp/x", "content": "x"}, name="PermissionRequest")


def test_the_sentence_says_what_and_what_to_do(house):
    said = house.tool("Write", {"file_path": "~/.config/wasmguard/wasmguard.toml", "content": "x"})
    assert said == (
        f"the agent may not write `{house.home}/.config/wasmguard/wasmguard.toml`, which belongs to the guard:"
        " do it yourself, or run `wasmguard off --for 10m` in a terminal"
    )
    assert "which can switch the agent's hooks off" in house.tool("Edit", {"file_path": ".claude/settings.json"})
    hostile = house.tool("Write", {"file_path": f"{house.home}/.cache/wasmguard/\x1b[31m\n\u202e", "content": "x"})
    assert hostile == ""  # a line feed makes it content; no tool of the agent's writes such a name
    hostile = house.tool("Write", {"file_path": f"{house.home}/.cache/wasmguard/\x1b[31m\u202e", "content": "x"})
    assert hostile.isprintable()
    assert "\ufffd" in hostile


def test_events_that_gate_no_tool_pass(house):
    given = {"tool_name": "Write", "tool_input": {"file_path": f"{house.home}/.claude.json"}, "prompt": "p"}
    for name in claude.KNOWN:
        if name not in ("PreToolUse", "PermissionRequest", "ConfigChange"):
            assert house.protection.refusal(claude.from_mapping({"hook_event_name": name, **given})) == ""


def test_every_recorded_payload_passes(house):
    for path in WIRE.glob("*/*.json"):
        assert house.protection.refusal(claude.parse(path.read_bytes())) == "", path.name


def test_too_many_texts_are_too_many_to_look_up(house):
    assert "split it" in house.tool("mcp__x__y", {"rows": [f"row {n}" for n in range(2_001)]})
    assert house.tool("mcp__x__y", {"rows": [f"row {n}" for n in range(1_999)]}) == ""
    assert house.tool("mcp__x__y", {"content": [f"row {n}" for n in range(2_001)]}) == ""
    assert "self-protection failed" in house.tool("mcp__x__y", {"rows": [0] * 200_001})


def test_a_bug_of_ours_refuses(house, monkeypatch):
    monkeypatch.setattr("wasmguard.protection.paths.Protected.found", lambda *_, **__: 1 / 0)
    assert "ZeroDivisionError: please report it" in house.tool("Write", {"file_path": "/tmp/x", "content": "x"})


def test_a_locked_plan_protects_its_configuration_modules_and_folders(configured, own_home, tmp_path):
    config = str(configured("pass"))
    protection = Protection.of(lock.lock(config, repin=False).plan)
    (plan,) = own_home.rglob("plans/*.plan")
    for path in (config, str(tmp_path / "pass.wasm"), str(tmp_path / "manifest.toml"), str(plan)):
        event = claude.from_mapping(
            {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_input": {"file_path": path, "content": ""}}
        )
        assert protection.refusal(event), path


def test_an_installed_package_is_protected_and_a_checkout_is_not(house, monkeypatch):
    for folder, protected in (("/v/lib/python3.11/site-packages", True), ("/home/me/src", False)):
        monkeypatch.setattr("wasmguard.protection.paths.__file__", f"{folder}/wasmguard/protection/paths.py")
        protection = Protection(house.plan, house.environ)
        for path in (f"{folder}/wasmguard/guard.py", "/v/bin/wasmguard"):
            event = house.event("Write", {"file_path": path, "content": ""})
            assert bool(protection.refusal(event)) is protected


WORDS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "~",
        "home",
        "ada",
        "proj",
        ".claude",
        ".Claude",
        "settings.json",
        ".config",
        "wasmguard",
        "link",
        "x",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8).map("/".join), st.booleans())
def test_whatever_a_write_leads_to_is_not_protected(house, path, absolute):
    """The rule itself, said another way: by the real path and nothing else."""
    link = f"{house.project}/x"
    if not os.path.islink(link):
        os.symlink(f"{house.home}/.config", link)
    path = f"{house.home}/{path}" if absolute else path
    real = os.path.realpath(os.path.join(house.project, path.replace("~", house.home, 1) if path[:1] == "~" else path))
    guarded = (
        f"{house.home}/.config/wasmguard",
        f"{house.home}/.cache/wasmguard",
        f"{house.home}/.local/state/wasmguard",
    )
    protected = (real + "/").startswith(tuple(folder + "/" for folder in guarded)) or real in house.things
    if protected:
        assert house.tool("Write", {"file_path": path, "content": "x"})


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.text(st.characters()) | st.integers() | st.booleans() | st.none() | st.floats(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
        max_leaves=20,
    ),
    st.sampled_from(["Write", "Bash", "PowerShell", "mcp__a__move", ""]),
    st.text(st.characters()),
)
def test_no_event_raises(house, value, tool, cwd):
    fields = {"tool_name": tool, "tool_input": {"file_path": value, "command": value}, "cwd": "/" + cwd}
    said = house.protection.refusal(Event(name="PreToolUse", agent="claude", fields=fields))
    assert "self-protection failed" not in said
    assert "\n" not in said


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["source", "file_path", "cwd"]), st.text() | st.integers() | st.none()))
def test_no_change_of_settings_raises(house, fields):
    said = house.protection.refusal(Event(name="ConfigChange", agent="claude", fields=fields))
    assert "self-protection failed" not in said


def test_the_sentences_survive_json(house):
    said = house.tool("Write", {"file_path": f"{house.home}/.config/wasmguard/\ud800", "content": "x"})
    assert said
    assert json.loads(json.dumps(said).encode()) == said
    said.encode()


def test_installed_plugins_of_the_agent_are_protected(house):
    """Their hooks may be ours, and what is registered there is loaded."""
    for name in ("cache/wasmguard/wasmguard/0.1.0/hooks/hooks.json", "installed_plugins.json"):
        path = f"{house.home}/.claude/plugins/{name}"
        assert house.tool("Write", {"file_path": path, "content": "{}"}), path
    assert house.bash("rm -r ~/.claude/plugins")
    assert not house.bash("ls ~/.claude/plugins")
    assert not house.tool("Write", {"file_path": f"{house.project}/plugins/x.json", "content": "{}"})
