"""What the client ignores, drops or switches off. Every row was seen in Claude Code 2.1.330, but those marked."""

import pytest

from wasmguard.agents.claude_flaws import DROPPED, IGNORED, LOOSE, NOTED, OFF, SHADOWED, allows, flaws, ignored
from wasmguard.agents.claude_settings import command_handler, groups, url_handler

URL = "http://127.0.0.1:20001/v1/hook/claude-code"
OURS = command_handler(("/v/python", "/v/wasmguard/serve/client.py", "/s"))
THEIRS = {"type": "command", "command": "notify"}


def settings(handler=OURS, event="PreToolUse", **more):
    return {"hooks": {event: [groups((event,), handler)[event]]}, **more}


def beside(item, event="PreToolUse"):
    """Settings in which *item* stands beside an entry of ours."""
    whole = settings()
    whole["hooks"].setdefault(event, []).append(item)
    return whole


def found(value, **given):
    return {(flaw.kind, flaw.place) for flaw in flaws(value, **given)}


def test_an_entry_as_we_write_it_has_no_flaw():
    for event in ("PreToolUse", "Stop", "SessionStart"):
        assert found(settings(event=event)) == set()
    assert found(settings(url_handler(URL, "t"))) == set()


@pytest.mark.parametrize("value", [[], "x", None, 5])
def test_settings_that_are_no_object_are_ignored(value):
    assert ignored(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", 5),
        ("env", []),
        ("permissions", 5),
        ("statusLine", "x"),
        ("cleanupPeriodDays", "x"),
        ("cleanupPeriodDays", True),
        ("disableAllHooks", "true"),
        ("disableAllHooks", None),
        ("allowManagedHooksOnly", "x"),
        ("allowedHttpHookUrls", "x"),
        ("$schema", 5),
        ("fastMode", 5),
        ("availableModels", 5),
        ("feedbackSurveyRate", "x"),
    ],
)
def test_a_known_key_of_another_type_switches_the_file_off(key, value):
    assert found(settings(**{key: value})) >= {(IGNORED, key)}


@pytest.mark.parametrize("inside", [{"deny": 5}, {"additionalDirectories": 5}, {"defaultMode": 5}])
def test_so_does_one_among_the_permissions(inside):
    assert found(settings(permissions=inside)) == {(IGNORED, f"permissions.{next(iter(inside))}")}
    assert found(settings(permissions={"allow": [], "deny": [], "defaultMode": "plan", "more": 5})) == set()


def test_an_unknown_key_does_nothing():
    assert found(settings(whatever=5)) == set()


@pytest.mark.parametrize(
    ("item", "place"),
    [
        (7, ""),
        ({"matcher": 5, "hooks": []}, ".matcher"),
        ({"matcher": None, "hooks": []}, ".matcher"),
        ({"matcher": "*"}, ".hooks"),
        ({"matcher": "*", "hooks": {}}, ".hooks"),
        ({"hooks": [7]}, ".hooks[0]"),
        ({"hooks": [{"type": "bogus", "command": "x"}]}, ".hooks[0]"),
        ({"hooks": [{"command": "x"}]}, ".hooks[0]"),
        ({"hooks": [{"type": "command"}]}, ".hooks[0]"),
        ({"hooks": [{**THEIRS, "timeout": 0}]}, ".hooks[0]"),
        ({"hooks": [{**THEIRS, "timeout": "30"}]}, ".hooks[0]"),
        ({"hooks": [{**THEIRS, "timeout": None}]}, ".hooks[0]"),
        ({"hooks": [{**THEIRS, "onFailure": "bogus"}]}, ".hooks[0]"),
        ({"hooks": [{**THEIRS, "async": "x"}]}, ".hooks[0]"),
        ({"hooks": [{**THEIRS, "if": None}]}, ".hooks[0]"),
        ({"hooks": [{**THEIRS, "args": "x"}]}, ".hooks[0]"),
        ({"hooks": [{**THEIRS, "shell": "zsh"}]}, ".hooks[0]"),
        ({"hooks": [{"type": "http", "url": "http://x", "headers": {"a": 1}}]}, ".hooks[0]"),  # the schema says so
    ],
)
def test_a_broken_entry_beside_a_guard_switches_the_file_off_and_elsewhere_only_itself(item, place):
    assert (IGNORED, f"hooks.PreToolUse[1]{place}") in found(beside(item))
    assert ignored(beside(item))
    assert (DROPPED, f"hooks.Stop[0]{place}") in found(beside(item, "Stop"))
    assert not ignored(beside(item, "Stop"))


@pytest.mark.parametrize(
    "handler",
    [
        {**THEIRS, "timeout": 2.5},
        {**THEIRS, "bogus": 1},
        {**THEIRS, "once": True},
        {"type": "mcp_tool", "server": "s", "tool": "t", "onFailure": "bogus"},
        {"type": "prompt", "prompt": "p"},
    ],
)
def test_what_the_client_bears_is_not_broken(handler):
    assert not ignored(beside({"matcher": "*", "hooks": [handler], "x": 1}))


@pytest.mark.parametrize("listed", [5, {}, None])
def test_an_event_that_is_no_list(listed):
    whole = settings()
    whole["hooks"]["PermissionRequest"] = listed
    assert ignored(whole) == (listed is not None)
    whole["hooks"] = {"Stop": listed}
    assert found(whole) == {(DROPPED, "hooks.Stop")}


def test_hooks_that_are_no_object_and_events_that_nobody_knows_are_dropped():
    assert found({"hooks": []}) == found({"hooks": None}) == {(DROPPED, "hooks")}
    assert found({"hooks": {"Bogus": []}}) == {(DROPPED, "hooks.Bogus")}


def test_the_switches():
    assert found(settings(disableAllHooks=True)) == {(OFF, "disableAllHooks")}
    assert found(settings(disableAllHooks=False)) == set()
    assert found(settings(allowManagedHooksOnly=True)) == set()
    managed = found(settings(allowManagedHooksOnly=True), name="managed-settings.json")
    assert managed == {(OFF, "allowManagedHooksOnly")}  # not seen: the documents say so


def test_a_url_that_may_not_be_called_is_off():
    assert found(settings(url_handler(URL, None), allowedHttpHookUrls=[])) == {(OFF, "allowedHttpHookUrls")}
    assert found(settings(url_handler(URL, None), allowedHttpHookUrls=["http://127.0.0.1:*"])) == set()
    assert found(settings(allowedHttpHookUrls=[])) == set()


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("*", True),
        (URL, True),
        ("http://127.0.0.1:20001", True),
        ("http://127.0.0.1:*", True),
        ("http://127.0.0.1:20001/*", True),
        ("http://127.0.0.1:20002", False),
        ("http://127.0.0.1:20001/v1", False),
        ("https://127.0.0.1:20001", False),
        ("http://127.0.0.[1]:20001", False),
        ("", False),
        (5, False),
    ],
)
def test_patterns_of_urls(pattern, allowed):
    assert allows([pattern], URL) == allowed


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"if": "Write"}, LOOSE),
        ({"once": True}, LOOSE),
        ({"async": True}, LOOSE),
        ({"asyncRewake": True}, LOOSE),
        ({"shell": "bash"}, LOOSE),
        ({"onFailure": "continue"}, LOOSE),
        ({"onFailure": None}, LOOSE),
        ({"timeout": None}, NOTED),
    ],
)
def test_an_entry_of_ours_that_counts_for_less_is_told(change, kind):
    handler = {key: value for key, value in {**OURS, **change}.items() if value is not None}
    ((flaw),) = flaws(settings(handler))
    assert (flaw.kind, flaw.ours) == (kind, True)


@pytest.mark.parametrize("matcher", ["Write", "Bash|Read", "Wr["])
def test_an_entry_of_ours_with_another_matcher_is_told(matcher):
    whole = settings()
    whole["hooks"]["PreToolUse"][0]["matcher"] = matcher
    assert found(whole) == {(LOOSE, "hooks.PreToolUse")}


def test_two_entries_of_ours_are_noted():
    whole = settings()
    whole["hooks"]["PreToolUse"] *= 2
    assert found(whole) == {(NOTED, "hooks.PreToolUse")}


def test_another_hook_on_the_same_calls_may_undo_a_rewrite():
    ((flaw),) = flaws(beside({"matcher": "*", "hooks": [THEIRS]}))
    assert (flaw.kind, flaw.ours) == (SHADOWED, False)
    assert "notify" in flaw.why
    assert found(beside({"hooks": [THEIRS]}, "Stop")) == set()


@pytest.mark.parametrize(
    ("matcher", "never"), [("Wr[", True), ("(?i)write", True), (".*", False), ("Write, Edit", False)]
)
def test_a_matcher_that_never_matches_is_noted(matcher, never):
    whole = {"hooks": {"PostToolUse": [{"matcher": matcher, "hooks": [THEIRS]}]}}
    assert found(whole) == ({(NOTED, "hooks.PostToolUse")} if never else set())
