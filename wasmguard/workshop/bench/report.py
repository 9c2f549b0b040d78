"""The files that a run leaves behind: the figures that were kept, and the page."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmguard.errors import UsageError
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.bench import baseline
from wasmguard.workshop.bench.page import page
from wasmguard.workshop.files import replace_files

if TYPE_CHECKING:
    from collections.abc import Iterator


class Outputs(Value):
    """Where a person wants what."""

    save: str = ""
    html: str = ""

    def writable(self) -> None:
        """See that both can be written, before a minute is spent on what goes into them.

        Raises:
            UsageError: if one of them cannot.
        """
        for option, named in self._named():
            shown, path = one_line(named, 200), os.path.realpath(named)  # a link stays one
            folder = os.path.dirname(path)
            if os.path.isdir(path):
                raise UsageError(f"`{option} {shown}` is a folder: name a file in it")
            if os.path.lexists(path) and not os.path.isfile(path):
                raise UsageError(f"`{option} {shown}` is no file: name one, or a name that is free")
            if not os.path.isdir(folder):
                raise UsageError(f"`{option} {shown}`: there is no folder `{one_line(folder, 200)}`: make it first")
            try:
                number, tried = tempfile.mkstemp(prefix=f".{os.path.basename(path)}-", dir=folder)
            except OSError as error:
                why = (error.strerror or "unknown").lower()
                raise UsageError(f"`{option} {shown}`: cannot be written: {why}: name another one") from None
            os.close(number)
            os.remove(tried)
        if self.save and self.html and os.path.realpath(self.save) == os.path.realpath(self.html):
            raise UsageError("`--save` and `--html` are the same file: name two")

    def write(self, document: dict[str, Any]) -> None:
        """Write them, each whole or not at all. Figures of a run that was interrupted are nothing to compare with: they
        are not kept.

        Raises:
            OSError: if one of them cannot be written.
        """
        if self.save and document["complete"]:
            baseline.saved(self.save, document)
        if self.html:
            replace_files({Path(os.path.realpath(self.html)): page(document).encode("utf-8", "replace")})

    def _named(self) -> Iterator[tuple[str, str]]:
        if self.save:
            yield "--save", self.save
        if self.html:
            yield "--html", self.html
