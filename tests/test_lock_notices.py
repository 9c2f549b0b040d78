"""What an owner is told about a policy that was locked: what is strong, missing or useless."""

import pytest

from wasmguard.config_tables import PolicyConfig
from wasmguard.guest.grants import Grants, Max, OneOf
from wasmguard.guest.manifest import Manifest
from wasmguard.limits import DEFAULT, ROOMY
from wasmguard.lock_notices import notices_of


def manifest(**changed):
    said = {"abi": 1, "name": "it", "version": "1", "summary": "x", "events": ["PreToolUse"], **changed}
    return Manifest.model_validate(said)


def noticed(grants=None, limits=DEFAULT, needs="default", events=None, asks=None):
    policy = PolicyConfig.model_validate({"name": "it", "module": "it.wasm", "events": events})
    return notices_of(policy, manifest(limits=needs, asks=asks or {}), grants or Grants(), limits)


def test_an_ordinary_policy_is_nothing_to_talk_about():
    assert noticed() == []


@pytest.mark.parametrize(
    ("key", "constraint", "notice"),
    [
        ("Bash.command", Max(bytes=10, silent=True), "it may rewrite `Bash.command` without anybody seeing it"),
        ("Bash.command", Max(bytes=10), "it may rewrite `Bash.command`: a strong grant"),
        ("Read.limit", OneOf(values=(1, 2)), "it may rewrite `Read.limit`: a strong grant"),
    ],
)
def test_a_strong_grant_is_called_one(key, constraint, notice):
    assert noticed(Grants(rewrite={key: constraint})) == [notice]


@pytest.mark.parametrize(
    ("asks", "key"),
    [
        ({"rewrite": ["Write.file_path"]}, '`grants.rewrite."Write.file_path"`'),
        ({"rewrite_output": ["Read"]}, '`grants.rewrite_output."Read"`'),
        ({"permissions": ["session"]}, '`grants.permissions = ["session"]`'),
        ({"state": {"max": 1024}}, "`grants.state = 1024`"),
    ],
)
def test_what_a_policy_asks_for_and_was_not_granted_is_named(asks, key):
    (notice,) = noticed(asks=asks)
    assert notice.startswith(f"it asks for {key}: ")


@pytest.mark.parametrize(("given", "noticed_ones"), [(DEFAULT, 1), (ROOMY, 0)])
def test_limits_that_its_author_asks_for_are_named_until_they_are_given(given, noticed_ones):
    notices = noticed(limits=given, needs="roomy")
    assert len(notices) == noticed_ones
    assert all("it asks for more than the default limits" in notice for notice in notices)


def test_an_event_that_it_cannot_judge_or_stop_is_useless():
    first, second = noticed(events=["Notification"])
    assert first == "it does not say that it can judge `Notification`"
    assert second == "`Notification` is only observed: nothing it says there stops anything"
