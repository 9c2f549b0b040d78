"""AssemblyScript: one module out of the kit's `entry.ts` and the policy, by the compiler that the project pins.

1. The compiler is the project's own (`npm install` puts it into `node_modules/`), else that of the toolchains, else
   `asc` on `PATH`. Another version than `package.json` names is refused: it gives other bytes.
2. No memory is ever freed, as every event gets a fresh instance. What would call `abort`, an import, is a trap instead.
3. Names are relative to the folder of the build, so that the module does not depend on it.
"""

from __future__ import annotations

import json
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.workshop.languages.language import NODE, Language, ToolMissing, copied, run, tool

MARK = "assembly/policy.ts"
INSTALL = "run `npm install` in the project's folder"

_OPTIONS = ["-O3", "--runtime", "stub", "--use", "abort=", "--initialMemory", "2", "--noColors"]


def compile(project: Path, work: Path) -> Path:
    """The module of the project's `assembly/policy.ts` on its `kit/`.

    Raises:
        BuildError: if the compiler is missing, or refuses the source.
    """
    compiler = [tool("node", NODE), tool("asc", INSTALL, project)]
    if wanted := _pinned(project):
        found = run([*compiler, "--version"], work).split()[-1]
        if found != wanted:
            raise ToolMissing(f"`assemblyscript` {wanted} is missing: there is {found}: {INSTALL}")
    copied(project, work, "assembly", "kit")
    run([*compiler, "kit/entry.ts", "--outFile", "policy.wasm", *_OPTIONS], work)
    return work / "policy.wasm"


def _pinned(project: Path) -> str:
    """The version that the project's `package.json` names, if it names one exactly."""
    try:
        package = json.loads((project / "package.json").read_text(encoding="utf-8"))
        version = package["devDependencies"]["assemblyscript"]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        raise BuildError("`package.json` does not name `assemblyscript` in `devDependencies`: add it") from None
    return version if isinstance(version, str) and version[:1].isdigit() else ""


LANGUAGE = Language(name="assemblyscript", title="AssemblyScript", mark=MARK, compile=compile, kit="assemblyscript")
