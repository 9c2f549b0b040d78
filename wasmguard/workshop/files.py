"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

MODE = 0o644  # a bundle that others may write is refused


def replace_files(files: Mapping[Path, bytes]) -> None:
    """Make each path a file with these bytes; their folders are there.

    None is replaced before all of them lie beside their places, so what goes wrong (a full disk, a closed folder) goes
    wrong while everything is as it was. They are replaced in the order given.

    Raises:
        OSError: if one of them cannot be written; nothing is left behind.
    """
    new: list[tuple[str, Path]] = []
    try:
        for path, data in files.items():
            if path.is_dir():
                raise IsADirectoryError(21, "Is a directory")  # which only the replacing would find
            number, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
            new.append((temporary, path))
            with open(number, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(number)
            os.chmod(temporary, MODE)
        for temporary, path in new:
            os.replace(temporary, path)
    finally:
        for temporary, _ in new:
            with suppress(FileNotFoundError):  # it was moved to its place
                os.remove(temporary)
