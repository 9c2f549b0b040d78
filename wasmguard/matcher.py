"""Matchers: which tools a policy is asked about, written as in the agent's own settings and SDKs.

1. Nothing, or `*`: every tool.
2. Nothing but letters, digits, `_`, `-`, `,`, `|` and blanks: a name, or names with `|` or `,` between them, compared
   exactly.
3. Anything else is a regular expression (Python's), which matches anywhere in the name: `^mcp__files__` or `Edit$`.

Claude Code 2.1.329 has the same rules, but an expression that it cannot read never matches, and nobody is told: here it
is an error when the configuration is locked. A name of more than `LONGEST` characters is no tool's that we know: it
matches everything, so that it is judged, and no expression can be made to run for hours over it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 256  # characters; MCP's names have at most 64, with server and prefix 128

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
