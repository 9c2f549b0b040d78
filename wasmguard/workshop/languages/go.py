"""Go: the official compiler for `wasip1`, sealed, with its start-up run when it is built.

Another version of the compiler gives other bytes, so it is exactly the one in the project's `toolchain` line. `go`
fetches that where it is another itself; whoever set `GOTOOLCHAIN` has chosen otherwise. It runs in the project, because
it writes only to its own cache, and with everything out of the environment that would change the bytes.
"""

from __future__ import annotations

import os
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.workshop.languages.language import Language, run, tool
from wasmguard.workshop.seal import sealed

INSTALL = (
    "Go 1.24 or newer is at https://go.dev/dl, on macOS `brew install go`; it fetches the version of `go.mod` itself"
)

_TARGET = {
    "GOOS": "wasip1",
    "GOARCH": "wasm",
    "GOWASM": "",
    "GOWORK": "off",  # a workspace around the project is not part of it
    "GOFLAGS": "",
    "GOEXPERIMENT": "",
    "GO111MODULE": "on",
}


def compile(project: Path, work: Path) -> Path:
    """The sealed module of the Go program in `src/`.

    Raises:
        BuildError: if a tool is missing or fails, or the program is no policy.
    """
    go = tool("go", INSTALL)
    raw = work.resolve() / "compiled.wasm"
    options = ["-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w -buildid="]
    run([go, "build", *options, "-o", raw, "./src"], project, {**_TARGET, **_version(project)})
    return sealed(raw, work, started=True)


def _version(project: Path) -> dict[str, str]:
    """The `toolchain` that `go.mod` names, taken exactly: for `go` itself it is only the lowest."""
    try:
        lines = (project / "go.mod").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise BuildError("`go.mod` is missing: `wasmguard new` makes one, with the kit in it") from None
    named = next((words[1] for line in lines if len(words := line.split()) >= 2 and words[0] == "toolchain"), None)
    return {} if named is None or "GOTOOLCHAIN" in os.environ else {"GOTOOLCHAIN": named}


LANGUAGE = Language(
    name="go",
    title="Go",
    mark="src/policy.go",
    compile=compile,
    kit="go",
)
