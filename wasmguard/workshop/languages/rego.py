"""Rego: `opa build` compiles the project's rules, and those of its kit, into one module of OPA's own ABI.

1. The entrypoint is `wasmguard/answer` where `src/policy.rego` defines `answer`, else `wasmguard/deny`.
2. The rules are built as a copy under the same short names: the module holds the name and the line of each rule that it
   may complain about.
3. Tests (`*_test.rego`) are no part of it. Data files would stay outside of the module without a word, and rules that
   look there would be undefined: they are refused.
"""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.guest.opa import ANSWER, DENY
from wasmguard.workshop.languages.language import Language, copied, run, text_of, tool

MARK = "src/policy.rego"
MODULE = "/policy.wasm"  # in the archive that OPA makes
DATA = (".json", ".yaml", ".yml")
INSTALL = (
    "install it: `brew install opa`, or `go install github.com/open-policy-agent/opa@v1.22.2`, or put the program of "
    "https://github.com/open-policy-agent/opa/releases/tag/v1.22.2 on `PATH`"
)
_RULE = re.compile(r"^(?:default\s+)?(answer|deny)\b", re.MULTILINE)


def compile(project: Path, work: Path) -> Path:
    """The module of the project's `src/` and `kit/`.

    Raises:
        BuildError: if `opa` is missing or refuses the rules, or there is no entrypoint among them.
    """
    opa = tool("opa", INSTALL, project)
    folders = [name for name in ("src", "kit") if (project / name).is_dir()]
    for name in folders:
        _check_data(project / name, project)
    copied(project, work, *folders, without=["*_test.rego", "*.md"])
    archive = work / "bundle.tar.gz"
    run([opa, "build", "--target", "wasm", "--entrypoint", _entrypoint(project), "--output", archive, *folders], work)
    made = work / "policy.wasm"
    made.write_bytes(_module(archive))
    return made


def _entrypoint(project: Path) -> str:
    rules = set(_RULE.findall(text_of(project, MARK)))
    if not rules:
        raise BuildError(f"`{MARK}` defines neither `answer` nor `deny`: write one of them, in `package wasmguard`")
    return ANSWER if "answer" in rules else DENY


def _check_data(folder: Path, project: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.suffix in DATA:
            name = path.relative_to(project).as_posix()
            raise BuildError(f"`{name}` would not be compiled in: write its data as rules, in a file `.rego`")


def _module(archive: Path) -> bytes:
    try:
        with tarfile.open(archive) as bundle:
            file = bundle.extractfile(MODULE)
            if file is not None:
                return file.read()
    except (KeyError, OSError, tarfile.TarError):
        pass
    raise BuildError("`opa` made no module: use one of version 1.22 or later")


LANGUAGE = Language(name="rego", title="Rego", mark=MARK, compile=compile, kit="rego")
