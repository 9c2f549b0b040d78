"""The shipped policies without a memory, and what the client really sent: ordinary work goes on."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.policies.asking import SOURCES, Guests, answered
from wasmguard.decision import Effect

RECORDED = sorted((Path(__file__).parents[1] / "wire" / "claude").glob("*/*.json"))
OUTSIDE = "mcp__files__write_note"  # the one recorded call that names a path of the system
LISTS = ["deny", "ask", "deny_reads", "ask_reads"]


@pytest.fixture(scope="module")
def guests():
    return Guests()


def manifest(policy):
    return tomllib.loads((SOURCES / policy / "manifest.toml").read_text(encoding="utf-8"))


def recorded(policy):
    """The payloads that this policy is asked about."""
    for path in RECORDED:
        event = json.loads(path.read_text(encoding="utf-8"))
        if event.get("hook_event_name") in manifest(policy)["events"]:
            yield event


@pytest.mark.parametrize("policy", ["prompt-guard", "sensitive-paths", "backup-redirect"])
def test_ordinary_work_goes_on(guests, policy):
    defaults = {name: setting["default"] for name, setting in manifest(policy)["settings"].items()}
    events = [event for event in recorded(policy) if event.get("tool_name") != OUTSIDE]
    assert len(events) >= 10
    for event in events:
        for settings in ({}, defaults):
            answer, _ = answered(guests[policy], policy, {"event": event, "settings": settings})
            assert (answer.effect, answer.rewrite, answer.rewrite_output) == (Effect.PASS, None, None), event


def test_a_recorded_call_with_a_path_of_the_system_needs_consent(guests):
    events = [event for event in recorded("sensitive-paths") if event.get("tool_name") == OUTSIDE]
    assert events
    for event in events:
        answer, _ = answered(guests["sensitive-paths"], "sensitive-paths", {"event": event})
        assert answer.effect is (Effect.PASS if event["hook_event_name"] == "PostToolUse" else Effect.ASK)
        assert bool(answer.notes) is (event["hook_event_name"] == "PostToolUse")


@pytest.mark.parametrize("name", LISTS)
def test_the_defaults_of_sensitive_paths_are_those_of_its_manifest(guests, name):
    """Each entry counts where nothing is set, with the effect of its list, when the other lists are empty."""
    settings = {other: [] for other in [*LISTS, "exempt"] if other != name}
    for pattern in manifest("sensitive-paths")["settings"][name]["default"]:
        event = {
            "hook_event_name": "PreToolUse",
            "tool_name": "mcp__x__y",
            "cwd": "/w",
            "tool_input": {"path": pattern},
        }
        answer, _ = answered(guests["sensitive-paths"], "sensitive-paths", {"event": event, "settings": settings})
        assert answer.effect is (Effect.DENY if "deny" in name else Effect.ASK), pattern
