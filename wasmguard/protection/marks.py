"""Marks in a word: what the shell would replace by something else, and what that could be.

A wildcard or a brace that the shell acts on is a private character here, so that a quoted one is a plain character.
"""

from __future__ import annotations

MOST = 64  # words that braces make of one

ANY, ONE, SET, OPEN, COMMA, CLOSE = map(chr, range(0x10FFF0, 0x10FFF6))
"""Marks: what `* ? [ { , }` are where the shell acts on them. Private characters; in a text they become U+FFFD."""

MARKS = dict(zip("*?[{,}", (ANY, ONE, SET, OPEN, COMMA, CLOSE), strict=True))
SIGNS = {ord(mark): sign for sign, mark in MARKS.items()}
_PLAIN_BRACES = {ord(OPEN): "{", ord(COMMA): ",", ord(CLOSE): "}"}
LOST = {ord(mark): "\ufffd" for mark in MARKS.values()}
"""What the marks themselves become in a text that has them."""

WILD = frozenset((ANY, ONE, SET))


def word_set(text: str) -> frozenset[str]:
    """The words of *text*: a table of names that fits in a glance."""
    return frozenset(text.split())


def plain(text: str) -> str:
    """*text* with its marks as the characters that they were."""
    return text if text.isascii() else text.translate(SIGNS)


def alternatives(text: str) -> list[str]:
    """What the braces of *text* stand for, `a{b,c}` for two words; those over `MOST` words stand for anything."""
    words: list[str] = []
    waiting = [text]
    for _ in range(2 * MOST):
        if not waiting:
            return words
        here = waiting.pop()
        group = _group(here)
        if not group:
            words.append(here.translate(_PLAIN_BRACES) if not here.isascii() else here)
            continue
        start, *bounds = group
        options = [here[a + 1 : b] for a, b in zip([start, *bounds], bounds, strict=False)]
        if len(words) + len(waiting) + len(options) > MOST:
            options = [ANY]
        waiting += [here[:start] + option + here[bounds[-1] + 1 :] for option in reversed(options)]
    return words + [here[: here.find(OPEN)] + ANY + here[here.rfind(CLOSE) + 1 :] for here in waiting]


def _group(text: str) -> list[int]:
    """Where the first innermost braces with a comma open, have their commas, and close; empty if there are none."""
    if OPEN not in text or CLOSE not in text:
        return []
    levels: list[list[int]] = []
    for at, sign in enumerate(text):
        if sign == OPEN:
            levels.append([at])
        elif sign == COMMA and levels:
            levels[-1].append(at)
        elif sign == CLOSE and levels:
            level = levels.pop()
            if len(level) > 1:
                return [*level, at]
    return []


def matches(pattern: str, name: str) -> bool:
    """Whether the wildcards of *pattern* can stand for *name*: `ANY`, `ONE` and `SET`, which are marks."""
    at, star, resumed, here = 0, -1, 0, 0
    while here < len(name):
        width = _one(pattern, at, name[here])
        if at < len(pattern) and pattern[at] == ANY:
            star, resumed, at = at, here, at + 1
        elif width:
            at, here = at + width, here + 1
        elif star >= 0:
            resumed += 1
            at, here = star + 1, resumed
        else:
            return False
    return all(sign == ANY for sign in pattern[at:])


def _one(pattern: str, at: int, sign: str) -> int:
    """How many characters of *pattern* stand for *sign*; 0 if they do not."""
    if at >= len(pattern):
        return 0
    if pattern[at] == SET:
        stop = pattern.find("]", at + 2)
        if stop < 0:
            return sign == "["
        inside = pattern[at + 1 : stop]
        return stop + 1 - at if "-" in inside or ":" in inside or (sign in inside) != (inside[0] in "!^") else 0
    return pattern[at] in (ONE, sign)


def could_be(pattern: str, name: str) -> bool:
    """As `matches`, but a wildcard never stands for a dot at the start."""
    return not (name[0] == "." and pattern[:1] in WILD) and matches(pattern, name)
