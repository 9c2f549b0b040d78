"""Rebuilds the policies of this folder into `build/`, and tells whether the bytes are those that were there.

    build [--into FOLDER] [--check] [--all] [NAME ...]

NAME is a shipped policy (`path-redirect`) or a language (`rust`, `languages/rust`); without one, everything is built.
A shipped policy is built by its own `build.sh`, a language's by `wasmguard build`. Each gets `policy.wasm`,
`manifest.toml` and `sha256` in FOLDER/NAME, by default in `build/`; what cannot be built leaves there what was there.

--check compares with `build/` and writes nothing, but for what `--into` names; other bytes are then a failure. The
tools of some languages give other bytes each time: those are built and not compared, tests/languages holds them to
their word. A language whose tools are missing is skipped and listed, and with --all that is a failure, too.

Exit codes: 0 as asked; 1 something could not be built; 2 wrong usage; 3 everything is built, and --check found other
bytes.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from wasmguard.errors import BuildError, WasmguardError
from wasmguard.text import one_line
from wasmguard.workshop import build as workshop
from wasmguard.workshop.files import replace_files
from wasmguard.workshop.languages.language import ToolMissing

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "build"
LANGUAGES = "languages/"
OTHER = 3  # exit code
PATIENCE = 900  # seconds for one policy
FILES = ("manifest.toml", "policy.wasm", "sha256")


class Row(NamedTuple):
    """What became of one policy."""

    name: str
    size: str
    word: str  # same, different, new, not comparable, skipped, failed
    why: str = ""


def main():
    """Build what was asked for; the exit code says whether everything is as it should be."""
    asked = arguments()
    into = Path(asked.into).resolve() if asked.into else None if asked.check else BUILT
    with tempfile.TemporaryDirectory(prefix="wasmguard-policies-") as work:
        rows = []
        for name in asked.names or every():
            print(f"{name} …", file=sys.stderr, flush=True)
            rows.append(rebuilt(name, into, BUILT if asked.check else into, Path(work)))
    print(table(rows))
    words = {row.word for row in rows}
    if "failed" in words or (asked.all and "skipped" in words):
        sys.exit(1)
    sys.exit(OTHER if asked.check and words & {"different", "new"} else 0)


def arguments():
    """The command line; a name that there is not ends it."""
    parser = argparse.ArgumentParser(prog="build", description="Rebuild policies; see policies-src/rebuild.py.")
    parser.add_argument("--into", metavar="FOLDER", help="where they go, if not to build/")
    parser.add_argument("--check", action="store_true", help="compare with build/; other bytes are a failure")
    parser.add_argument("--all", action="store_true", help="a language whose tools are missing is a failure, too")
    parser.add_argument("names", metavar="NAME", nargs="*")
    asked = parser.parse_args()
    known = every()
    for at, name in enumerate(asked.names):
        asked.names[at] = name if name in known else f"{LANGUAGES}{name}"
        if asked.names[at] not in known:
            parser.error(f"`{one_line(name, 80)}` is no policy here: write one of {', '.join(known)}")
    return asked


def every():
    """The name of each policy."""
    found = [*HERE.glob("*/manifest.toml"), *HERE.glob(f"{LANGUAGES}*/manifest.toml")]
    return sorted((path.parent.relative_to(HERE).as_posix() for path in found), key=lambda name: ("/" in name, name))


def rebuilt(name, into, before, work):
    """Build one, into *into* if that is a folder, and compare it with what is in *before*."""
    project, made = HERE / name, work / name
    try:
        reproducible = language(project, made) if name.startswith(LANGUAGES) else shipped(project, made)
    except ToolMissing as error:
        return Row(name, "", "skipped", str(error))
    except WasmguardError as error:
        said = error.said if isinstance(error, BuildError) else ""
        print(said.rstrip("\n"), file=sys.stderr)
        return Row(name, "", "failed", str(error))
    files = {file: (made / file).read_bytes() for file in FILES}
    word = compared(files, before / name) if reproducible else "not comparable"
    if into:
        (into / name).mkdir(parents=True, exist_ok=True)
        replace_files({into / name / file: data for file, data in files.items()})
    why = "" if reproducible else "its tools give other bytes each time: tests/languages says whether it keeps its word"
    return Row(name, f"{len(files['policy.wasm']):,}", word, why)


def language(project, made):
    """Build a project as `wasmguard build` does. Returns whether the bytes can be compared."""
    found = workshop.project_at(project)
    workshop.write(workshop.build(found), made)
    return found.language.reproducible


def shipped(project, made):
    """Build a shipped policy by its script."""
    try:
        done = subprocess.run(
            [project / "build.sh", made], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BuildError(f"`{project.name}/build.sh` was not done in {PATIENCE} s") from None
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace")
        raise BuildError(f"`{project.name}/build.sh` failed with {done.returncode}: what it said is above", said=said)
    sha256 = hashlib.sha256((made / "policy.wasm").read_bytes()).hexdigest()
    (made / "sha256").write_text(f"{sha256}\n")
    (made / "manifest.toml").write_bytes((project / "manifest.toml").read_bytes())
    return True


def compared(files, before):
    """Whether *files* are what is in the folder *before*: one word."""
    if not (before / "policy.wasm").exists():
        return "new"
    there = {file: (before / file).read_bytes() if (before / file).exists() else b"" for file in files}
    return "same" if there == files else "different"


def table(rows):
    """All of it, and what is to be said about some."""
    widest = max(len(row.name) for row in rows)
    lines = [f"{row.name:{widest}}  {row.size:>12}  {row.word}" for row in rows]
    told = [f"{row.name}: {row.why}" for row in rows if row.why]
    return "\n".join([*lines, *([""] if told else []), *told])


if __name__ == "__main__":
    main()
