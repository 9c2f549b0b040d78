"""Matchers: which tools a policy is asked about, written as in the agent's own settings and SDKs.

1. Nothing, or `*`: every tool.
2. Nothing but letters, digits, `_`, `-`, `,`, `|` and blanks: a name, or names with `|` or `,` between them, compared
   exactly.
3. Anything else is a regular expression (Python's), which matches anywhere in the name: `^mcp__files__` or `Edit$`.

Claude Code 2.1.329 has the same rules, but an expression that it cannot read never matches, and nobody is told: here it
is an error when the configuration is locked. So is one that has more than `MOST_WAYS` ways to match a name, like
`(a+)+`: who chooses a tool's name (an MCP server, the agent) could make it run for hours over 30 letters.

A name of more than `LONGEST` characters is no tool's that we know: it matches everything, so that it is judged.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LONGEST = 128  # characters; MCP's names have at most 64, with server and prefix 128
MOST_WAYS = 2**22
"""Ways to match a name of `LONGEST` characters, each of which may be tried: 0.2 s at the worst. Three `.*` have 2**21,
and where no `^` stands before them each place to begin counts."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-,| ")
_made: dict[str, Callable[[str], bool]] = {}


def matches(matcher: str, tool: str) -> bool:
    """Whether *matcher* names *tool*.

    Raises:
        ValueError: if it is no matcher; `check` says so earlier.
    """
    known = _made.get(matcher) or _made.setdefault(matcher, _compiled(matcher))
    return len(tool) > LONGEST or known(tool)


def check(matcher: str) -> None:
    """Pass if *matcher* is one.

    Raises:
        ValueError: with what is wrong, and what to do.
    """
    _compiled(matcher)
    if matcher != "*" and not _PLAIN.issuperset(matcher) and _tries(matcher) > MOST_WAYS:
        raise ValueError(
            f"`{matcher}` has so many ways to match that a tool's name can make it run for hours: repeat nothing that"
            " repeats, begin with `^`, or write names, like `Write|Edit`"
        )


def _compiled(matcher: str) -> Callable[[str], bool]:
    if matcher in ("", "*"):
        return lambda _tool: True
    if _PLAIN.issuperset(matcher):
        names = frozenset(name.strip() for name in matcher.replace(",", "|").split("|"))
        if "" in names:
            raise ValueError(f"`{matcher}` has an empty name in it: write `Write|Edit`")
        return names.__contains__
    import re  # 5 ms of a hook process, so only where there is an expression

    try:
        search = re.compile(matcher).search
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"`{matcher}` is no regular expression: {error}: write names, like `Write|Edit`") from None
    return lambda tool: search(tool) is not None


def _tries(matcher: str) -> float:
    """How often an expression may try to match one name, at the most; never too few."""
    import re
    from re import _parser  # type: ignore[attr-defined]  # the only one who reads expressions as `re` does

    tree = _parser.parse(matcher)
    start = tree[0] if len(tree) and not tree.state.flags & re.MULTILINE else (None, None)
    anchored = start[0] is _parser.AT and start[1] in (_parser.AT_BEGINNING, _parser.AT_BEGINNING_STRING)
    return _ways(tree, _parser) * (1 if anchored else LONGEST)


def _ways(node: Any, parser: Any) -> float:
    """In how many ways a part of an expression may match: a choice adds them up, a sequence multiplies them."""
    if isinstance(node, parser.SubPattern):
        ways = 1.0
        for kind, given in node.data:
            ways *= _ways_of(kind, given, parser)
        return ways
    if isinstance(node, (tuple, list)):
        ways = 1.0
        for part in node:
            ways *= _ways(part, parser)
        return ways
    return 1.0


def _ways_of(kind: Any, given: Any, parser: Any) -> float:
    if kind is parser.BRANCH:
        return sum(_ways(choice, parser) for choice in given[1])
    if kind not in (parser.MAX_REPEAT, parser.MIN_REPEAT, parser.POSSESSIVE_REPEAT):
        return _ways(given, parser)
    least, most, body = given
    ways, times = _ways(body, parser), min(most, LONGEST) - min(least, LONGEST) + 1
    if ways == 1:
        return float(times)
    return ways**most * times if most < 64 and ways < 2**16 else float("inf")
