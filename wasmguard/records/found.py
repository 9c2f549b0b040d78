"""The segments that are there, opened to be read and for nothing else.

1. A segment is opened read-only, asked one bounded thing, and closed: no reader keeps the writer from tidying its log.
2. One that is gone when it is opened, or goes away meanwhile, is no error: the oldest are given up when there are too
   many (`wasmguard.records.retention`), and what they held is not there any more.
3. One that is not as we made it is an error that names it. What cannot be read is never taken for nothing.
4. Every wait ends: nobody is waited for longer than `wasmguard.records.segment.WAIT`.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from wasmguard import spool
from wasmguard.errors import HostError
from wasmguard.records.segment import LOOK, Segment, failed, numbers, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Answer = TypeVar("Answer")

AT_ONCE = 8  # segments that are asked side by side


class Odd(Exception):
    """No error yet: what a segment holds is not what was put there."""


def segments() -> list[str]:
    """The paths of the segments, oldest first.

    Raises:
        HostError: if their folder cannot be read.
    """
    folder = spool.folder()
    return [path_of(folder, number) for number in numbers(folder)]


def asked(path: str, question: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
    """What *question*, which may raise `Odd`, finds in the segment *path*; None if the segment is gone.

    Raises:
        HostError: if the segment cannot be read, or is damaged.
    """
    try:
        with Segment(path, b"") as segment:  # no key: what it says about its end is not asked for
            segment.execute("PRAGMA query_only = ON")
            return question(segment.opened)
    except (HostError, Odd, sqlite3.Error, UnicodeError) as error:
        if not os.path.lexists(path):  # rule 2: whatever that looked like from within
            return None
        if isinstance(error, HostError):
            raise
        if isinstance(error, Odd):
            raise HostError(f"`{path}` is damaged: {error}: {LOOK}") from None
        raise failed(path, error) from None


def each(
    question: Callable[[sqlite3.Connection], Answer | None], *, newest: bool = False, looks_through: bool = False
) -> Iterator[Answer]:
    """What *question* finds in each segment where it finds something, oldest or *newest* first.

    One that *looks through* a whole segment often finds enough in the first. The others are asked side by side then:
    where the disk has to be read, a million records are looked through in a quarter of the time.

    Raises:
        HostError: as `asked`.
    """
    paths = segments()[:: -1 if newest else 1]
    behind = paths[1:] if looks_through else []
    for path in paths[: len(paths) - len(behind)]:
        answer = asked(path, question)
        if answer is not None:
            yield answer
    if behind:
        yield from _side_by_side(question, behind)


def _side_by_side(question: Callable[[sqlite3.Connection], Answer | None], paths: Sequence[str]) -> Iterator[Answer]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            under_way = deque(threads.submit(asked, path, question) for path in paths[:AT_ONCE])
            for ahead in range(AT_ONCE, AT_ONCE + len(paths)):
                answer = under_way.popleft().result()
                under_way.extend(threads.submit(asked, path, question) for path in paths[ahead : ahead + 1])
                if answer is not None:
                    yield answer
        finally:
            threads.shutdown(cancel_futures=True)
