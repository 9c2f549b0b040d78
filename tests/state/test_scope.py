"""Where an event belongs: nobody gets a fresh start by leaving something out, and nobody another one's place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmguard.errors import StateError
from wasmguard.event import Event
from wasmguard.state.scope import LONGEST, SCOPES, key_of

SESSION = "4bef8f8b-ce88-4ead-a908-16158175668b"
TRANSCRIPT = f"/home/dev/.claude/projects/-home-dev-project/{SESSION}.jsonl"


def event(**fields):
    return Event(name="PreToolUse", agent="claude", fields=fields)


def key(scope, environ=None, **fields):
    return key_of(scope, event(**fields), environ)


def test_a_session_is_its_id():
    assert key("session", session_id=SESSION, cwd="/x", agent_id="a") == SESSION


def test_an_agent_is_the_main_thread_or_a_sub_agent_of_a_session():
    main, sub = key("agent", session_id=SESSION), key("agent", session_id=SESSION, agent_id="a1")
    assert (main, sub) == (f"{SESSION}/", f"{SESSION}/a1")
    assert key("agent", session_id="other", agent_id="a1") != sub


def test_a_project_does_not_follow_the_current_folder():
    keys = {key("project", {"CLAUDE_PROJECT_DIR": d}, transcript_path=TRANSCRIPT, cwd=d) for d in ("/a", "/b", "")}
    assert len(keys) == 1
    assert key("project", transcript_path=TRANSCRIPT.replace(SESSION, "another")) in keys
    assert key("project", transcript_path="/home/dev/.claude/projects/-home-dev-other/x.jsonl") not in keys


def test_without_a_transcript_a_project_is_its_folder_and_without_that_the_current_one():
    assert key("project", {"CLAUDE_PROJECT_DIR": "/a"}, cwd="/b") == key(
        "project", {"CLAUDE_PROJECT_DIR": "/a"}, cwd="/c"
    )
    assert key("project", {}, cwd="/b") == key("project", None, cwd="/b") != key("project", None, cwd="/c")


def test_the_same_folder_for_another_reason_is_another_project():
    keys = [
        key("project", transcript_path="/a/x.jsonl"),
        key("project", {"CLAUDE_PROJECT_DIR": "/a"}),
        key("project", cwd="/a"),
    ]
    assert len(set(keys)) == 3


def test_the_owner_is_one_place():
    assert key("owner") == key("owner", session_id=SESSION, cwd="/x") == ""


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("nothing", [{}, {"session_id": ""}, {"session_id": None, "cwd": 5, "transcript_path": ["x"]}])
def test_what_is_missing_is_one_shared_place_and_never_a_fresh_one(scope, nothing):
    assert key(scope, **nothing) == key(scope)


def test_there_are_no_other_scopes():
    with pytest.raises(StateError, match="`team` is no scope: choose one of session, agent, project, owner"):
        key("team")


NAMES = st.text(st.characters(codec=None), max_size=80) | st.text("ab#/.:%", max_size=4) | st.just("a" * (LONGEST + 1))
CONTEXTS = st.tuples(NAMES, NAMES)


@given(CONTEXTS, CONTEXTS)
def test_two_agents_share_a_key_only_if_they_are_the_same(one, two):
    keys = [key("agent", session_id=session, agent_id=agent) for session, agent in (one, two)]
    assert (keys[0] == keys[1]) is (one == two)


@given(NAMES, NAMES)
def test_two_sessions_share_a_key_only_if_they_are_the_same(one, two):
    assert (key("session", session_id=one) == key("session", session_id=two)) is (one == two)
    assert key("session", session_id=key("session", session_id=one)) != key("session", session_id=one) or len(one) <= 64


@given(st.sampled_from(SCOPES), NAMES, NAMES, NAMES)
def test_keys_are_short_and_plain(scope, session, agent, folder):
    made = key(scope, session_id=session, agent_id=agent, transcript_path=f"{folder}/x.jsonl", cwd=folder)
    assert len(made) <= 200
    assert made.isascii()
    assert made.isprintable()
    assert ":" not in made
