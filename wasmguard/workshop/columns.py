"""Words in two columns, and numbers in words, for people."""

from __future__ import annotations

import textwrap
from time import localtime, strftime

WIDTH = 80  # columns of a terminal
HEAD = 16  # columns of the first one
UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"))


def beside(head: str, text: str) -> str:
    """*text* beside *head*, on lines that fit. Words stay whole: paths are copied. A head that is too wide for its
    column stands alone."""
    wrapped = textwrap.wrap(text, WIDTH - HEAD, break_on_hyphens=False, break_long_words=False) or [""]
    indented = [f"{' ' * HEAD}{line}" for line in wrapped]
    if len(head) > HEAD - 3:
        return "\n".join([f"  {head}", *indented])
    return "\n".join([f"  {head}".ljust(HEAD) + wrapped[0], *indented[1:]])


def wrapped(text: str, indent: str) -> list[str]:
    """*text* on lines that fit, the first behind *indent* and the others two columns further. Words stay whole."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def length_of(seconds: float) -> str:
    """A time as people say it, its two largest units at most: `3 s`, `2 min 5 s`, `3 days 4 h`."""
    left, said = int(seconds), []
    for size, name in UNITS:
        if left >= size:
            number, left = divmod(left, size)
            said.append(f"{number} {name}{'s' if name == 'day' and number != 1 else ''}")
    if left or not said:
        said.append(f"{left} s")
    return " ".join(said[:2])


def latency(microseconds: float) -> str:
    """A time below a minute, in the unit that suits it: `181 us`, `1.2 ms`, `3.1 s`."""
    if microseconds < 1_000:
        return f"{microseconds:.0f} us"
    return f"{microseconds / 1_000:.1f} ms" if microseconds < 1_000_000 else f"{microseconds / 1_000_000:.1f} s"


def clock(ms: float) -> str:
    """The local time of day of a moment in Unix milliseconds: `14:05:09`."""
    return strftime("%H:%M:%S", localtime(ms / 1000))


def day(ms: float) -> str:
    """The local date of a moment in Unix milliseconds: `2026-11-22`."""
    return strftime("%Y-%m-%d", localtime(ms / 1000))


def counted(count: int, noun: str) -> str:
    """`1 event`, `12,000 events`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """`12 %`; what is not nothing and not all is not shown as such."""
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return "99.9 %"
    return f"{share * 100:.1f} %".replace(".0 %", " %")
