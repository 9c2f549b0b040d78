"""Zig: one module out of the kit's `entry.zig` and the policy, by the one version of the compiler that they are for.

1. The compiler is `ziglang`, a package for Python, of the toolchains' Python or of the one that runs, or else `zig` on
   `PATH`. Any version but `VERSION` is refused: the language still changes with each, and other versions give other
   bytes.
2. `ReleaseSafe` keeps every check of bounds and overflows: each ends in a trap. Nothing of the kit recurses, so 16 KiB
   of stack do; they lie at the bottom of the memory, so that running over them traps, too.
3. Names are relative to the folder of the build, so that the module does not depend on it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.workshop.languages.language import Language, ToolMissing, copied, pythons, run, with_pip

MARK = "src/policy.zig"
VERSION = "0.17.1"  # of policies-src/toolchains/requirements.txt
INSTALL = with_pip(f"ziglang=={VERSION}")

_OPTIONS = ["-target", "wasm32-freestanding", "-O", "ReleaseSafe", "-fstrip", "-fno-entry", "--stack", "16384"]
_EXPORTS = [f"--export={name}" for name in ("wasmguard_abi_1", "wasmguard_alloc", "wasmguard_evaluate")]
_MODULES = [
    *("--dep", "wasmguard", "--dep", "policy", "-Mroot=kit/entry.zig"),
    *("--dep", "wasmguard", f"-Mpolicy={MARK}"),
    "-Mwasmguard=kit/wasmguard.zig",
]


def compile(project: Path, work: Path) -> Path:
    """The module of the project's `src/policy.zig` on its `kit/`.

    Raises:
        BuildError: if the compiler is missing, or refuses the source.
    """
    zig = compiler(work)
    copied(project, work, "src", "kit")
    caches = {f"ZIG_{which}_CACHE_DIR": str(work / "cache") for which in ("GLOBAL", "LOCAL")}
    run([*zig, "build-exe", *_OPTIONS, *_EXPORTS, *_MODULES, "-femit-bin=policy.wasm"], work, caches)
    return work / "policy.wasm"


def compiler(work: Path) -> list[str]:
    """The command that is the compiler.

    Raises:
        ToolMissing: if there is none of `VERSION`.
    """
    found = ""
    for command in _candidates():
        try:
            version = run([*command, "version"], work).strip()
        except BuildError:  # a Python without the package
            continue
        if version == VERSION:
            return command
        found = version
    there = f"there is {found}, and policies are written for {VERSION}" if found else "no compiler was found"
    raise ToolMissing(f"`zig` is missing: {there}: {INSTALL}")


def _candidates() -> list[list[str]]:
    program = shutil.which("zig")
    return [*([python, "-m", "ziglang"] for python in pythons()), *([[program]] if program else [])]


LANGUAGE = Language(name="zig", title="Zig", mark=MARK, compile=compile, kit="zig")
