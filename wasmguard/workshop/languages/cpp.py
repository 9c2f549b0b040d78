"""C++: files over the kit's header, by clang with the parts of libc++ and of the C library that print nothing.

Exceptions are compiled but go nowhere, and nothing is imported: the kit's `runtime.hpp` says how.
"""

from __future__ import annotations

from pathlib import Path

from wasmguard.workshop.languages.c import CLANG, LINK, MISSING, OPTIMIZE, STACK_FIRST, clang, provide, stage
from wasmguard.workshop.languages.language import Language, ToolMissing, run

HEADERS = "include/wasm32-wasi/c++/v1"  # below the folder that the compiler's `bin/` is in
INSTALL = (
    "`apt-get install --no-install-recommends clang-22 lld-22 wasi-libc libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32 "
    "libmsgpack-cxx-dev`"
)
MSGPACK = (
    "`apt-get install --no-install-recommends libmsgpack-cxx-dev`, or copy it into `kit/` from "
    "https://github.com/msgpack/msgpack-c (branch `cpp_master`)"
)


def compile(project: Path, work: Path) -> Path:
    """The module of a project in C++.

    Raises:
        BuildError: if the compiler or its library is missing, or it refuses the source.
    """
    compiler, headers = _clang()
    sources = stage(project, work, ".cpp")
    for name in ("msgpack.hpp", "msgpack"):
        provide(name, work, MSGPACK)
    flags = ["-std=c++20", "-Wall", "-Werror=return-type", "-Wno-deprecated", "-Os", *OPTIMIZE, "-DMSGPACK_NO_BOOST"]
    flags += ["-fno-rtti", "-fno-threadsafe-statics", f"-ffile-prefix-map={work}=.", "-Ikit", "-isystem", "include"]
    flags += ["-isystem", headers]
    command = [
        compiler,
        "--driver-mode=g++",
        "--target=wasm32-wasi",
        *flags,
        "-nostartfiles",
        *LINK,
        STACK_FIRST,
        *sources,
    ]
    run([*command, "-o", "policy.wasm"], work)
    return work / "policy.wasm"


def _clang() -> tuple[str, str]:
    """A compiler, and where the headers of its libc++ are."""
    for name in CLANG:
        if not (found := clang(name)):
            continue
        headers = Path(found).resolve().parents[1] / HEADERS
        if (headers / "string").is_file():
            return found, str(headers)
        raise ToolMissing(f"libc++ for wasm is missing beside `{name}`: {INSTALL}")
    raise ToolMissing(f"{MISSING}: {INSTALL}")


LANGUAGE = Language(name="cpp", title="C++", mark="src/policy.cpp", compile=compile, kit="cpp")
