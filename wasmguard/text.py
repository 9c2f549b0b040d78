"""Untrusted text, made safe once where it enters: reasons, notes, engine messages, names from modules.

1. Characters that steer a terminal, a log or a reader, or that nobody sees, are replaced by U+FFFD: every category C*
   (controls, format characters such as bidi overrides and tags, surrogates, private use, unassigned), line and
   paragraph separators, what Unicode calls default ignorable (variation selectors, Hangul fillers, …), and combining
   marks beyond the third in a row.
2. In one line, line breaks and tabs become blanks.
3. Then the text is cut to its cap, and an ellipsis says so.

This loses joiners in emoji and some scripts' format characters; that is accepted. No more is looked at than can be
shown: what a text costs depends on its cap, not on its length.
"""

from __future__ import annotations

import unicodedata

BAD = "\N{REPLACEMENT CHARACTER}"
MARKS_IN_A_ROW = 3  # enough for every living orthography; more stack over the neighbouring lines

_IGNORABLE = frozenset(  # Default_Ignorable_Code_Point of Unicode 16, without those of category C*
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))  # variation selectors
)


def one_line(text: str, cap: int) -> str:
    """*text* as at most *cap* printable characters on one line."""
    if not (text.isascii() and text.isprintable()):
        text = text[: 2 * cap + 2]  # at the worst two of them become one, and one more shows that it is too long
        text = _cleaned(text.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))
    return _cut(text, cap)


def lines(text: str, cap: int) -> str:
    """*text* as at most *cap* characters, line breaks and tabs kept."""
    return _cut(_cleaned(text[: cap + 1], kept="\n\t"), cap)


def quoted(text: str) -> str:
    """*text* between double quotes, which it cannot close: for the places where a model reads it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_plain(character: str) -> bool:
    """Whether the character shows itself and does nothing else."""
    category = unicodedata.category(character)
    return category[0] != "C" and category not in ("Zl", "Zp") and character not in _IGNORABLE


def _cleaned(text: str, kept: str = "") -> str:
    if text.isascii() and text.isprintable():
        return text
    seen = set(text)  # what a character is, is asked once for each
    bad = [character for character in seen if not is_plain(character) and character not in kept]
    marks = {c for c in seen if unicodedata.combining(c) or unicodedata.category(c)[0] == "M"}
    if marks:
        text = _without_piles(text, marks)
    return text.translate(dict.fromkeys(map(ord, bad), BAD)) if bad else text


def _without_piles(text: str, marks: set[str]) -> str:
    """*text* with each of its *marks* beyond the third in a row replaced."""
    run, left = 0, []
    for character in text:
        run = run + 1 if character in marks else 0
        left.append(character if run <= MARKS_IN_A_ROW else BAD)
    return "".join(left)


def _cut(text: str, cap: int) -> str:
    return text if len(text) <= cap else text[: cap - 1] + "…"
