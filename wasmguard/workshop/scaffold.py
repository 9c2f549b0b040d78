"""`wasmguard new`: a project for a policy, which builds at once and has one case to make green.

1. The project is a copy of the language's template and of its kit: it builds anywhere, without our source.
2. `NAME`, where it stands alone, becomes the policy's name, in names of files and in texts. A kit is copied as it is.
3. It appears whole or not at all. What is there already is never touched.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from wasmguard.errors import HostError, UsageError
from wasmguard.guest.manifest import PolicyName
from wasmguard.text import one_line
from wasmguard.workshop import kits
from wasmguard.workshop.languages.language import Language

if TYPE_CHECKING:
    from collections.abc import Iterator

KIT = "kit"
PLACEHOLDER = re.compile(rb"(?<![A-Za-z0-9_])NAME(?![A-Za-z0-9_])")
FAILING = "a write that climbs is denied too"  # the case of every template that its author makes green


def new(name: str, language: Language, into: Path) -> Path:
    """Make the folder *name* in the folder *into*: a policy in *language*. Returns the folder.

    Raises:
        UsageError: if that is no name for a policy, or *into* is no folder.
        HostError: if there is something of that name already, or it cannot be written.
    """
    _check_name(name)
    if not into.is_dir():
        raise UsageError(f"`{into}` is no folder: name one that is there")
    made = into / name
    if os.path.lexists(made):
        raise HostError(f"`{made}` is there already: choose another name, or take it away")
    work = Path(tempfile.mkdtemp(prefix=".wasmguard-new-", dir=into))
    try:
        whole = work / name
        kits.copy_template(language.name, whole)
        for folder, folders, files in os.walk(whole, topdown=False):  # from below, so that names change behind us
            for file in files:
                _fill_in(Path(folder, file), name)
            for entry in (*files, *folders):
                os.rename(Path(folder, entry), Path(folder, _filled(entry.encode(), name).decode()))
        if language.kit:
            kits.copy_kit(language.kit, whole / KIT)
        os.rename(whole, made)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"`{made}` cannot be written: {why}: choose another name or folder") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return made


def told(made: Path, language: Language) -> Iterator[tuple[str, str]]:
    """What a person is told about the new project: (style, text)."""
    kit = f", on its kit in `{KIT}/`" if language.kit else ""
    yield "title", f"made {made}: a policy in {language.title}{kit}"
    yield "plain", ""
    yield "plain", "Next:"
    yield "plain", f"  cd {shlex.quote(str(made))}"
    yield "plain", "  wasmguard build    makes build/policy.wasm"
    yield "plain", "  wasmguard test     asks it about cases/; one of them fails:"
    yield "plain", f'                     "{FAILING}"'
    yield "plain", ""
    yield "plain", f"A comment in {language.mark} says which line makes that one green."


def _check_name(name: str) -> None:
    validator = get_args(PolicyName)[1]  # the one place that says what a name is
    try:
        validator.func(name)
    except ValueError as error:
        form = str(error).rpartition(" is not ")[2]  # there the word stands as TOML writes it
        raise UsageError(f"`{one_line(name, 80)}` is not {form}") from None


def _fill_in(file: Path, name: str) -> None:
    data = file.read_bytes()
    if (filled := _filled(data, name)) != data:
        file.write_bytes(filled)


def _filled(data: bytes, name: str) -> bytes:
    return PLACEHOLDER.sub(name.encode(), data)
