"""C: one file over the kit's header, by clang, or by the clang in Zig where there is none for wasm.

1. No C library is linked, only its headers are read: Debian's `wasi-libc`, or those that Zig brings.
2. msgpuck is one header. It is taken from `kit/` if it lies there, else from the system; nothing else of the system's
   include folder may be seen, because its C library is another one.
3. All names are relative to the folder of the build, so the module does not depend on where that is.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.workshop.languages.language import Language, ToolMissing, copied, pythons, run, tool, with_pip
from wasmguard.workshop.languages.zig import VERSION

CLANG = ("clang-22", "clang")  # the one that Debian's packages are pinned to, and whatever else calls itself so
LIBRARY_HEADERS = Path("/usr/include/wasm32-wasi")
SYSTEM_HEADERS = ("/usr/include", "/usr/local/include", "/opt/homebrew/include")
MISSING = f"`{CLANG[0]}` with `wasm-ld` and wasi-libc is missing"
INSTALL = (
    "`apt-get install --no-install-recommends clang-22 lld-22 wasi-libc libmsgpuck-dev` (without `-22` where there is "
    f"none), or anywhere {with_pip(f'ziglang=={VERSION}')}"
)
MSGPUCK = (
    "`apt-get install --no-install-recommends libmsgpuck-dev`, or copy it into `kit/` from "
    "https://github.com/tarantool/msgpuck"
)

OPTIMIZE = ("-flto", "-mbulk-memory", "-msimd128", "-DNDEBUG")  # without NDEBUG `assert` brings in what can print
# 64 KiB of stack at the bottom of the memory, so that running over it traps. Zig puts it there by itself.
LINK = ("-Wl,--no-entry", "-Wl,-z,stack-size=65536", "-Wl,--gc-sections", "-Wl,--strip-all")
STACK_FIRST = "-Wl,--stack-first"


@dataclass(frozen=True)
class Compiler:
    """A compiler for wasm: how it is called, and what it has to be told of its own."""

    command: tuple[str, ...]
    flags: tuple[str, ...]


def compile(project: Path, work: Path) -> Path:
    """The module of a project in C.

    Raises:
        BuildError: if there is no compiler for wasm, or it refuses the source.
    """
    compiler = _clang() or _zig()
    if compiler is None:
        raise ToolMissing(f"{MISSING}: {INSTALL}")
    sources = stage(project, work, ".c")
    provide("msgpuck.h", work, MSGPUCK)
    flags = ("-std=c17", "-Wall", "-Werror=return-type", "-O2", *OPTIMIZE, f"-ffile-prefix-map={work}=.")
    command = [*compiler.command, *flags, "-Iinclude", "-Ikit", *compiler.flags, "-nostdlib", *LINK, *sources]
    run([*command, "-o", "policy.wasm"], work, {"ZIG_GLOBAL_CACHE_DIR": str(work / "zig-cache")})
    return work / "policy.wasm"


def stage(project: Path, work: Path, ending: str) -> list[str]:
    """Copies what a project is compiled from into *work*: its sources, named with this *ending*, relative to *work*.

    Raises:
        BuildError: if its kit or a source is missing.
    """
    copied(project, work, "kit", "src")
    if not (sources := sorted((work / "src").rglob(f"*{ending}"))):
        raise BuildError(f"`src/` holds no `*{ending}`: write the policy there")
    (work / "include").mkdir()
    return [source.relative_to(work).as_posix() for source in sources]


def provide(name: str, work: Path, install: str) -> None:
    """Makes the header or folder *name* of the system visible in the `include/` of *work*, unless the kit has it.

    Raises:
        ToolMissing: if it is nowhere; *install* is what to do.
    """
    if (work / "kit" / name).exists():
        return
    for folder in SYSTEM_HEADERS:
        if (found := Path(folder) / name).exists():
            (work / "include" / name).symlink_to(found)
            return
    raise ToolMissing(f"`{name}` is missing: {install}")


def clang(name: str) -> str | None:
    """Where this clang is, if it is there and has a linker for wasm."""
    try:
        found = tool(name, INSTALL)
        linker = run([found, "--target=wasm32-wasi", "-print-prog-name=wasm-ld"], Path.cwd()).strip()
    except BuildError:
        return None
    return found if shutil.which(linker) else None


def _clang() -> Compiler | None:
    if not (LIBRARY_HEADERS / "string.h").is_file():
        return None
    for name in CLANG:
        if found := clang(name):
            headers = ("-Wno-deprecated", "-isystem", str(LIBRARY_HEADERS))  # the older name of the target, by Debian
            return Compiler((found, "--target=wasm32-wasi"), (*headers, STACK_FIRST))
    return None


def _zig() -> Compiler | None:
    for python in pythons():
        try:
            package = run([python, "-c", "import ziglang; print(ziglang.__path__[0])"], Path.cwd()).strip()
        except BuildError:
            continue
        headers = [f"-isystem{package}/lib/libc/include/{kind}" for kind in ("wasm-wasi-musl", "generic-musl")]
        return Compiler((python, "-m", "ziglang", "cc", "-target", "wasm32-wasi"), tuple(headers))
    return None


LANGUAGE = Language(name="c", title="C", mark="src/policy.c", compile=compile, kit="c")
