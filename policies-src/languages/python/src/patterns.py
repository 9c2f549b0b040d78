"""Patterns for paths: `?` is one character and `*` any number of them, but no `/`; `**` is anything, and `/**/` is
anything between two `/`, or a single `/`. Every other character is itself.

When something does not fit, the last star takes one character more; when that would be a `/`, the last double star
does. Stars before those never need to change: whatever else they could take, the later one can take too.
"""

from __future__ import annotations


def fits(pattern: str, path: str) -> bool:
    """Whether all of *path* fits *pattern*."""
    p = t = 0
    star: tuple[int, int] | None = None  # the pattern behind the last star, and how far it has taken the path
    stars: tuple[int, int] | None = None
    while True:
        if pattern.startswith("**", p):
            p = _behind_stars(pattern, p)
            star, stars = None, (p, t)
        elif pattern.startswith("*", p):
            p += 1
            star = p, t
        elif t < len(path) and p < len(pattern) and _same(pattern[p], path[t]):
            p, t = p + 1, t + 1
        elif p == len(pattern) and t == len(path):
            return True
        elif star and star[1] < len(path) and path[star[1]] != "/":
            p, t = star = star[0], star[1] + 1
        elif stars and (taken := _more(stars, pattern, path)):
            p, t = stars = stars[0], taken
            star = None
        else:
            return False


def _same(wanted: str, character: str) -> bool:
    return character != "/" if wanted == "?" else wanted == character


def _more(stars: tuple[int, int], pattern: str, path: str) -> int:
    """How far the double star takes the path next: one character, or up to a `/` if it is a whole component. 0: not."""
    p, taken = stars
    if taken == len(path):
        return 0
    return path.find("/", taken) + 1 if pattern[p - 1] == "/" else taken + 1


def _behind_stars(pattern: str, p: int) -> int:
    """Where the pattern goes on behind the stars at *p*; if they are a whole component, their `/` belongs to them."""
    end = p
    while pattern.startswith("*", end):
        end += 1
    return end + (p > 0 and pattern[p - 1] == "/" and pattern.startswith("/", end))
