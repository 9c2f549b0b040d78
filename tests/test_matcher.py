"""Matchers: the rules of the agent's own, but what cannot be read is an error."""

from time import thread_time

import pytest

from wasmguard.matcher import LONGEST, check, matches


@pytest.mark.parametrize("matcher", ["", "*", ".*"])
def test_it_may_match_every_tool(matcher):
    assert all(matches(matcher, tool) for tool in ("Write", "mcp__a__b", "x y"))


@pytest.mark.parametrize("matcher", ["Write|Edit", "Write, Edit", " Write |Edit ", "Edit,Write"])
def test_names_are_compared_exactly(matcher):
    assert [matches(matcher, tool) for tool in ("Write", "Edit", "MultiEdit", "write", "Writes")] == [True] * 2 + [
        False
    ] * 3


@pytest.mark.parametrize(
    ("matcher", "yes", "no"),
    [
        ("^mcp__", "mcp__a", "xmcp__a"),
        ("Edit$", "MultiEdit", "Edits"),
        ("W.*", "aWb", "write"),
        ("(?i)write", "WRITE", "x"),
    ],
)
def test_anything_else_is_an_expression_that_matches_anywhere(matcher, yes, no):
    assert matches(matcher, yes)
    assert not matches(matcher, no)


@pytest.mark.parametrize("matcher", ["Wr[", "(", "*x", "a{99999999999}", "Write||Edit", "|"])
def test_what_cannot_be_read_is_an_error(matcher):
    with pytest.raises(ValueError, match="`"):
        check(matcher)


def test_a_name_that_is_no_tools_is_matched_by_everything():
    assert matches("^(a+)+$", "a" * LONGEST + "b")
    assert matches("Write", "x" * (LONGEST + 1))
    assert not matches("Write", "x" * LONGEST)


ENDLESS = [
    *(r"^mcp__(\w+_?)+__delete$", r"^(mcp__)?([a-z]+_?)*$", "(a|a)*b", "(a+)+", r"(\w{1,8}){1,8}x$", "(?=(a+)+b)"),
    *("(a?){40}a{40}", "(?>a+)*b", "(.*)(?(1)(aa|a)+|b)", "(?m)^.*.*.*x", "a{,200}a{,200}a{,200}x$"),
    *(r"\w*\w*\w*\w*x$", "(((a?){60}){60}){60}"),
]
TAKEN = [
    *("^mcp__.*__.*_.*$", "mcp__.*__write.*", "^mcp__(github|jira)__(create|delete)_.*", r"^\w*\w*\w*x$", "(?i)write"),
    *("^(?!mcp__).*", "^(Write|Edit|MultiEdit)$", ".*", "a{2,}", "(ab)+", r"(?:Bash|Write)\Z"),
]


@pytest.mark.parametrize("matcher", ENDLESS)
def test_what_a_name_could_make_run_for_hours_is_an_error(matcher):
    with pytest.raises(ValueError, match="ways to match"):
        check(matcher)


@pytest.mark.parametrize("matcher", TAKEN)
def test_what_is_taken_takes_a_moment_on_any_name(matcher):
    check(matcher)
    for name in ("_" * LONGEST, "a" * (LONGEST - 1) + "!", "mcp__" * 25):
        begun = thread_time()
        matches(matcher, name)
        assert thread_time() - begun < 1
