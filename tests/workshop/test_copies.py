"""What the real client gets of the owner's settings: hooks, and nothing that leads away."""

import json
import os

import pytest

from tests.workshop.guarded import Owner
from wasmguard.workshop import copies


def kept(settings):
    return json.loads(copies.kept(json.dumps(settings).encode()))


def test_only_what_concerns_hooks_is_kept():
    settings = {
        "hooks": {"PreToolUse": [{"hooks": []}], "Stop": [{"hooks": []}], "SessionStart": [{"hooks": []}]},
        "disableAllHooks": True,
        "allowedHttpHookUrls": [],
        "apiKeyHelper": "/bin/key",
        "permissions": {"allow": ["Bash"]},
        "model": "x",
    }
    assert kept(settings) == {
        "hooks": {"PreToolUse": [{"hooks": []}]},
        "disableAllHooks": True,
        "allowedHttpHookUrls": [],
    }


def test_variables_go_along_only_if_they_steer_hooks():
    names = ["PYTHONPATH", "WASMGUARD_X", "HOME", "ANTHROPIC_BASE_URL", "HTTPS_PROXY", "CLAUDE_CONFIG_DIR", "API"]
    assert kept({"env": dict.fromkeys(names, "x")}) == {"env": {"PYTHONPATH": "x", "WASMGUARD_X": "x", "HOME": "x"}}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"// x\n{}", b"\xff"])
def test_what_the_client_cannot_read_stays_as_it_is(data):
    assert copies.kept(data) == data


def test_a_broken_entry_stays_broken():
    for hooks in (5, {"PreToolUse": 5}, {"PreToolUse": [{"matcher": 5}]}):
        assert kept({"hooks": hooks}) == {"hooks": hooks}


def test_each_scope_lands_where_the_client_looks(tmp_path):
    files = {}
    for scope in ("user", "project", "local"):
        (tmp_path / scope).write_text(json.dumps({"hooks": {}, "model": scope}))
        files[scope] = str(tmp_path / scope)
    home, project = tmp_path / "c", tmp_path / "p"
    home.mkdir()
    project.mkdir()
    copies.copied({**files, "managed": "/nowhere"}, str(home), str(project))
    found = sorted(str(path.relative_to(tmp_path)) for top in (home, project) for path in top.rglob("*.json"))
    assert found == ["c/settings.json", "p/.claude/settings.json", "p/.claude/settings.local.json"]
    assert all(json.loads((tmp_path / path).read_text()) == {"hooks": {}} for path in found)


@pytest.mark.parametrize(
    ("settings", "leads"),
    [
        ({"env": {"ANTHROPIC_BASE_URL": "x"}}, True),
        ({"env": {"https_proxy": "x"}}, True),
        ({"apiKeyHelper": "x"}, True),
        ({"env": {"PLAIN": "x"}, "hooks": {}}, False),
        ([], False),
    ],
)
def test_an_administrators_settings_that_lead_away_are_seen(tmp_path, settings, leads):
    path = tmp_path / "managed-settings.json"
    path.write_text(json.dumps(settings))
    assert bool(copies.leads_away(str(path))) is leads
    assert copies.leads_away(str(tmp_path / "none")) == ""


def test_the_environment_carries_no_secret_of_ours(tmp_path, monkeypatch):
    owner = Owner(tmp_path, monkeypatch)
    owner.installs()
    (hook,) = owner.hooks()
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://elsewhere")
    environ = copies.environment(hook, str(tmp_path), str(tmp_path / "c"))
    assert environ["ANTHROPIC_API_KEY"] == "sk-ant-none"
    assert not {"ANTHROPIC_BASE_URL", "HTTPS_PROXY"} & environ.keys()
    assert environ["HOME"] == os.environ["HOME"]
    assert environ["CLAUDE_CONFIG_DIR"] == str(tmp_path / "c")
