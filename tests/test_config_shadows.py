"""`shadow_of`: another version of a policy, and what it takes from it."""

import pytest

from wasmguard import lock
from wasmguard.config import load
from wasmguard.errors import ConfigError

GATE = """[[policy]]
name = "gate"
module = "gate.wasm"
events = ["PreToolUse", "PostToolUse"]
tools = ["Write"]
settings = { root = "/x" }
grants = { effects = ["allow"], state = "4 KiB" }
limits = { fuel = 5 }
timeout = "1 s"
on_fault = "ask"
"""
NEXT = '[[policy]]\nname = "next"\nmodule = "next.wasm"\nshadow_of = "gate"\n'
TAKEN = ("events", "tools", "matcher", "matchers", "settings", "grants", "limits", "timeout", "on_fault")


@pytest.fixture
def loaded(tmp_path):
    def load_text(text):
        (tmp_path / "wasmguard.toml").write_text(text)
        return {policy.name: policy for policy in load(str(tmp_path / "wasmguard.toml")).policy}

    return load_text


@pytest.mark.parametrize("text", [GATE + NEXT, NEXT + GATE])
def test_what_it_does_not_say_it_takes_from_its_policy(loaded, text):
    policies = loaded(text)
    gate, version = policies["gate"], policies["next"]
    assert (version.shadow, version.shadow_of, version.module) == (True, "gate", "next.wasm")
    assert (gate.shadow, gate.shadow_of) == (False, None)
    for key in TAKEN:
        assert getattr(version, key) == getattr(gate, key), key


@pytest.mark.parametrize(
    ("added", "key", "value"),
    [
        ('tools = ["Bash"]', "tools", ("Bash",)),
        ('events = ["PreToolUse"]', "events", ("PreToolUse",)),
        ("settings = {}", "settings", {}),
        ('on_fault = "deny"', "on_fault", "deny"),
        ('timeout = "2 s"', "timeout", 2000),
    ],
)
def test_what_it_says_itself_counts(loaded, added, key, value):
    policies = loaded(GATE + NEXT + added)
    assert getattr(policies["next"], key) == value
    others = set(TAKEN) - {key}
    assert all(getattr(policies["next"], other) == getattr(policies["gate"], other) for other in others)


def test_the_ways_to_say_which_tools_are_one(loaded):
    version = loaded(GATE + NEXT + 'matcher = "Write|Edit"')["next"]
    assert (version.tools, version.matcher) == (None, "Write|Edit")


def test_matchers_are_taken_for_the_events_that_it_is_asked_about(loaded):
    gate = '[[policy]]\nname = "gate"\nmodule = "m"\nmatchers = { PreToolUse = "Write", PostToolUse = "*" }\n'
    assert loaded(gate + NEXT)["next"].matchers == {"PreToolUse": "Write", "PostToolUse": "*"}
    version = loaded(gate + NEXT + 'events = ["PreToolUse"]')["next"]
    assert (version.events, version.matchers) == (("PreToolUse",), {"PreToolUse": "Write"})


def test_a_clock_of_its_own_goes_before_its_policys_timeout(loaded):
    version = loaded(GATE + NEXT + 'limits = { clock = "7 ms" }')["next"]
    assert (version.timeout, version.limits.clock) == (None, 7)


def test_its_policy_may_say_shadow_true_but_it_may_not_say_false(loaded):
    assert loaded(GATE + NEXT + "shadow = true")["next"].shadow
    with pytest.raises(ConfigError, match="`shadow_of` says that it is never obeyed, `shadow = false` that it is"):
        loaded(GATE + NEXT + "shadow = false")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GATE + NEXT.replace('"gate"', '"gat"'), "14: `policy[1].shadow_of`: no policy is called `gat`: did you mean"),
        (
            GATE + NEXT.replace('"gate"', '"next"'),
            "14: `policy[1].shadow_of`: the policy itself: write the name of the",
        ),
        (GATE + NEXT + NEXT.replace("next", "last").replace('"gate"', '"next"'), "`next` is a shadow itself: write"),
        (GATE + "shadow = true\n" + NEXT, "`gate` is a shadow itself: write the name of a policy that is obeyed"),
    ],
)
def test_it_names_a_policy_that_is_obeyed(loaded, text, told):
    with pytest.raises(ConfigError) as caught:
        loaded(text)
    assert told in str(caught.value)


def test_a_module_without_a_manifest_stands_under_that_of_its_policy(configured):
    path = configured("pass", **{"pass": {"shadow_of": '"gate"'}})
    gate = '\n[[policy]]\nname = "gate"\nmodule = "builtin:path-redirect"\nsettings = { root = "/sandbox" }\n'
    gate += 'grants.rewrite."Write.file_path" = { within = "/sandbox" }\n'
    path.write_text(path.read_text() + gate)
    version, gate = lock.lock(str(path), repin=False).plan.policies
    for key in ("events", "tools", "reads", "settings", "grants", "manifest"):
        theirs = getattr(gate, key) or (("*",) if key == "tools" else getattr(gate, key))
        assert getattr(version, key) == theirs, key
    assert (version.shadow, version.shadow_of, gate.shadow, gate.shadow_of) == (True, "gate", False, "")
