"""A home of their own for a while: what is shown, tried or attacked does not touch the owner's files."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOMES = ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "LOCALAPPDATA")


@contextmanager
def home_in(folder: str) -> Iterator[None]:
    """Home, cache and state in *folder* meanwhile, whatever platform's variables name them."""
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(HOMES, folder))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
