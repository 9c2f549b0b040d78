"""What an interrupted replay had found, so that the next one goes on.

1. It is sealed like all that lies in the cache: see `wasmguard.sandbox.cache`. What was tampered with, or is of another
   version, is nothing: the run begins at the beginning.
2. It is known by what was replayed and by what decided: files by their stamps, records by their first bound, plans by
   what they decide. Another file, another record of the same name or another policy is another run.
3. It is written whole or not at all, at most once in a while; a run that came to its end takes it away.
4. Others are gone after a week, and only the newest stay.
"""

from __future__ import annotations

import os
from contextlib import suppress
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from wasmguard import places, version
from wasmguard.errors import CacheError
from wasmguard.sandbox.cache import Vault, digest
from wasmguard.wire import read, written
from wasmguard.workshop.replay.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmguard.workshop.replay.sources import Source

FORMAT = 2
OFTEN = 1.0  # seconds between two writings
STAY = 7 * 86_400  # seconds
MOST = 8  # files


class Kept:
    """The file of one run."""

    def __init__(self, sources: Sequence[Source], since: str, plans: Sequence[str]) -> None:
        """*since* as it was typed: an hour later, `2h` goes on from the same moment. *plans* are their identities."""
        files = [[source.path, *source.stamp] for source in sources]
        about = [FORMAT, version.__version__, files, since, *plans]
        self._name = f"{digest(written(about).encode())[:40]}.replay"
        self._vault = Vault(os.path.join(places.cache_dir(), "replays"), places.state_dir())
        self._last = monotonic()

    def found(self) -> tuple[dict[str, Any], Tally] | None:
        """What a run before left: where it was, and what it had found; None if there is nothing."""
        try:
            data = read(self._vault.read(self._name).decode())
            return data["place"], Tally.of(data["tally"])
        except (CacheError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, place: dict[str, Any], tally: Tally, *, now: bool = False) -> None:
        """Keep where we are, if it is time to, or *now*. That it cannot be kept stops nothing."""
        if not now and monotonic() - self._last < OFTEN:
            return
        with suppress(CacheError):
            self._vault.write(self._name, written({"place": place, "tally": tally.data()}).encode())
        self._last = monotonic()

    def forget(self) -> None:
        """The run is over, or begins anew."""
        with suppress(OSError):
            os.unlink(os.path.join(self._vault.folder, self._name))

    def clean(self) -> None:
        """Take away what nobody will go on with."""
        with suppress(OSError):  # another replay may be doing the same
            files = sorted(os.scandir(self._vault.folder), key=lambda entry: -entry.stat().st_mtime)
            for number, entry in enumerate(files):
                old = time() - entry.stat().st_mtime > STAY
                if entry.name != self._name and (old or number >= MOST):
                    os.unlink(entry)
