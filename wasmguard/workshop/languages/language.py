"""What is known of a language: its mark, its tools, and how a project in it becomes a module.

1. A tool is looked for in the project first (`node_modules/.bin`), then in `$WASMGUARD_TOOLCHAINS`, then beside the
   Python that runs, then on `PATH`. One that is nowhere is an error that says what installs it.
2. A compiler is started without a shell, in the folder that its language wants. What it says is shown to the person
   word for word when it fails, and not otherwise.
3. Nothing is written into the project but by tools that know no other way (`target/`, `node_modules/`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wasmguard.errors import BuildError

NODE = (
    "install Node.js 20 or newer: `apt-get install nodejs npm` (from Debian 13, Ubuntu 25.04 on), `brew install node`, "
    "or https://nodejs.org"
)
TOOLCHAINS = "/opt/wasmguard-toolchains"  # where policies-src/install-toolchains.sh puts them
PATIENCE = 900  # seconds; Rust takes 60 where the standard library is built, too


class ToolMissing(BuildError):
    """Nothing is wrong with the source: a compiler, or what it needs, is not installed."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language, or one dialect of it."""

    name: str
    """What `--lang` takes: the name of its template."""

    title: str
    """As people write it: `Rust`."""

    mark: str
    """The file whose presence says that a project is in this language: `src/policy.rs`."""

    compile: Callable[[Path, Path], Path]
    """`compile(project, work)`: the module's file, made within the empty folder *work* and sealed if it has to be.

    Raises BuildError.
    """

    kit: str = ""
    """The folder of the kits that a project's `kit/` is a copy of; nothing if it needs none."""

    reproducible: bool = True
    """Whether the same source gives the same bytes."""


def tool(name: str, install: str, project: Path | None = None) -> str:
    """Where the program *name* is. *install* is what to do without it: a command, or a sentence.

    Raises:
        ToolMissing: if it is nowhere.
    """
    beside = toolchains()
    places = [project / "node_modules/.bin"] if project else []
    places += [beside / "bin", beside / "node_modules/.bin", Path(sys.executable).parent]
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", os.defpath)])
    if not (found := shutil.which(name, path=path)):
        raise ToolMissing(f"`{name}` is missing: {install}")
    return found


def toolchains() -> Path:
    """The folder of compilers that were installed for policies alone."""
    return Path(os.environ.get("WASMGUARD_TOOLCHAINS", TOOLCHAINS))


def pythons() -> list[str]:
    """The Pythons that may have a compiler as one of their packages: that of the toolchains, and the one that runs."""
    own = toolchains() / "bin/python"
    return [*([str(own)] if own.exists() else []), sys.executable]


def with_node() -> dict[str, str]:
    """What has to be in the environment of a tool that is a script for Node.js, which may be among the toolchains only.

    Raises:
        ToolMissing: if there is no Node.js.
    """
    node = Path(tool("node", NODE))
    return {"PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)])}


def copied(project: Path, work: Path, *folders: str, without: Sequence[str] = ()) -> None:
    """Copy *folders* of a project into *work*, but for what *without* matches, so that no compiler sees where it lies.

    Raises:
        BuildError: if one is missing.
    """
    for folder in folders:
        if not (project / folder).is_dir():
            raise BuildError(f"`{folder}/` is missing: take it from a project that `wasmguard new` makes")
        shutil.copytree(project / folder, work / folder, ignore=shutil.ignore_patterns(*without))


def text_of(project: Path, mark: str) -> str:
    """The source file *mark*.

    Raises:
        BuildError: if it is not UTF-8.
    """
    try:
        return (project / mark).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BuildError(f"`{mark}` is not UTF-8 at byte {error.start}: save it as UTF-8") from None


def with_pip(package: str) -> str:
    """What installs *package* where `pythons` and `tool` look: in the environment that wasmguard runs in."""
    return f"run `{shlex.quote(sys.executable)} -m pip install {package}`"


def run(command: Sequence[str | Path], cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    """What *command* prints, run in *cwd* with our environment and what *environ* adds.

    Raises:
        BuildError: if it cannot be started or fails; `said` holds its own words.
    """
    words = [str(word) for word in command]
    name = _name_of(words)
    try:
        ended = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise BuildError(f"`{name}` was not done in {PATIENCE} s and was ended: try it by hand") from None
    except OSError as error:
        raise BuildError(f"`{name}` cannot be started: {(error.strerror or 'unknown').lower()}") from None
    said = (ended.stdout + ended.stderr).decode("utf-8", "replace")
    if ended.returncode:
        raise BuildError(f"`{name}` failed with {ended.returncode}: what it said is above", said=said)
    return ended.stdout.decode("utf-8", "replace")


def _name_of(words: Sequence[str]) -> str:
    """What a person calls the program: a compiler, not Python or Node.js that runs it."""
    name = os.path.basename(words[0])
    if name.startswith("python") and words[1:2] == ["-m"]:
        return words[2]
    return os.path.basename(words[1]) if name == "node" and len(words) > 1 else name
