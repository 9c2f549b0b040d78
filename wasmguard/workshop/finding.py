"""What `wasmguard doctor` found: one sentence each, what to do about it, and the figures behind it."""

from __future__ import annotations

import json
import textwrap
from types import MappingProxyType
from typing import TYPE_CHECKING

from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

OK, NOTE, WRONG = "ok", "note", "wrong"
WIDTH = 80  # columns
HEAD = 6 + 16  # columns of the mark and of what it is about
LONGEST = 1_000  # characters of one sentence: what others said is in it


class Finding(Value):
    """One thing that was looked at."""

    mark: str
    """`ok`; `note`: worth a look; `wrong`: the agent may do what it should not, or cannot do what it should."""
    about: str
    """A word or two. What begins with `- ` belongs to the finding before it."""
    sentence: str
    """Clean text: what others said is quoted in it."""
    todo: str = ""
    """What to do about it; empty where there is nothing to do."""
    data: Mapping[str, Any] = MappingProxyType({})
    """What a program would want to know, for `--json`."""


def ok(about: str, sentence: str, **data: Any) -> Finding:
    """As it should be."""
    return Finding(mark=OK, about=about, sentence=one_line(sentence, LONGEST), data=data)


def note(about: str, sentence: str, todo: str = "", **data: Any) -> Finding:
    """Worth a look."""
    return Finding(mark=NOTE, about=about, sentence=one_line(sentence, LONGEST), todo=todo, data=data)


def wrong(about: str, sentence: str, todo: str, **data: Any) -> Finding:
    """Not as it should be; *todo* mends it."""
    return Finding(mark=WRONG, about=about, sentence=one_line(sentence, LONGEST), todo=todo, data=data)


def split(about: str, error: Exception) -> Finding:
    """`wrong`, from an error of ours: its last part says what to do (`wasmguard.errors`)."""
    said = " ".join(str(error).split("\n"))
    sentence, _, todo = said.rpartition(": ")
    return wrong(about, sentence or said, todo if sentence else "run `wasmguard check`")


def lines(finding: Finding) -> Iterator[tuple[str, str]]:
    """The finding as it is shown, in `WIDTH` columns: (style, text). Words stay whole: paths are copied."""
    head = f"{finding.mark:6}{finding.about[: HEAD - 7]:{HEAD - 6}}"
    yield from ((finding.mark, line) for line in _wrapped(finding.sentence, head))
    if finding.todo:
        yield from (("plain", line) for line in _wrapped(finding.todo, " " * HEAD + "-> "))


def report(findings: Iterable[Finding]) -> Iterator[tuple[str, str]]:
    """All of them as they are shown, and what they amount to."""
    counts = dict.fromkeys((OK, NOTE, WRONG), 0)
    for finding in findings:
        counts[finding.mark] += 1
        yield from lines(finding)
    notes = f", {counts[NOTE]} worth a look" if counts[NOTE] else ""
    yield "plain", ""
    yield WRONG if counts[WRONG] else "title", f"{counts[WRONG] or 'nothing'} wrong{notes}"


def as_json(findings: Iterable[Finding]) -> str:
    """All of them as one JSON object, for programs. `ok` says whether nothing is wrong."""
    found = [{**finding.as_dict(), "data": dict(finding.data)} for finding in findings]
    counts = {mark: sum(one["mark"] == mark for one in found) for mark in (OK, NOTE, WRONG)}
    said = {"version": __version__, "ok": not counts[WRONG], "counts": counts, "findings": found}
    return json.dumps(said, indent=2, default=str)


def _wrapped(text: str, head: str) -> list[str]:
    after = " " * len(head)
    given = {"break_on_hyphens": False, "break_long_words": False}
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=after, **given) or [head]  # type: ignore[arg-type]
