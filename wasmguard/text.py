"""Untrusted text, made safe once where it enters: reasons, notes, engine messages, names from modules.

1. Characters that steer a terminal, a log or a reader are replaced by U+FFFD: every category C* (controls, format
   characters such as bidi overrides and tags, surrogates, private use, unassigned), line and paragraph separators,
   variation selectors, and combining marks beyond the third in a row.
2. In one line, line breaks and tabs become blanks.
3. Then the text is cut to its cap, and an ellipsis says so.

This loses joiners in emoji and some scripts' format characters; that is accepted.
"""

from __future__ import annotations

import unicodedata

BAD = "\N{REPLACEMENT CHARACTER}"
MARKS_IN_A_ROW = 3  # enough for every living orthography; more stack over the neighbouring lines


def one_line(text: str, cap: int) -> str:
    """*text* as at most *cap* printable characters on one line."""
    if not (text.isascii() and text.isprintable()):
        text = _cleaned(text.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))
    return _cut(text, cap)


def lines(text: str, cap: int) -> str:
    """*text* as at most *cap* characters, line breaks and tabs kept."""
    return _cut("\n".join("\t".join(map(_cleaned, line.split("\t"))) for line in text.split("\n")), cap)


def quoted(text: str) -> str:
    """*text* between double quotes, which it cannot close: for the places where a model reads it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_plain(character: str) -> bool:
    """Whether the character shows itself and does nothing else."""
    category = unicodedata.category(character)
    return category[0] != "C" and category not in ("Zl", "Zp") and not _selects_a_variation(character)


def _selects_a_variation(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _cleaned(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    marks, kept = 0, []
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) or unicodedata.category(character)[0] == "M" else 0
        kept.append(character if is_plain(character) and marks <= MARKS_IN_A_ROW else BAD)
    return "".join(kept)


def _cut(text: str, cap: int) -> str:
    return text if len(text) <= cap else text[: cap - 1] + "…"
