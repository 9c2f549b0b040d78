"""Rust: cargo builds the project and its kit for `wasm32-unknown-unknown`.

1. Debian's compiler is taken where it can build the project: it has no std for wasm, so std is built from its sources
   (`-Zbuild-std`, which a stable compiler lets through with `RUSTC_BOOTSTRAP=1`). Crates and std come from folders that
   Debian's packages fill: no network, and the same bytes everywhere.
2. Else the one on `PATH` is, if it has a std for wasm (`rustup target add`). It gets its crates as cargo always does;
   what it makes does the same, but is another file.
3. The project is built as a copy, so that no lock file and no folder appears in it, and the folders of the build are
   named away: the module does not depend on them.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wasmguard.errors import BuildError
from wasmguard.workshop.languages.language import Language, ToolMissing, run, tool

TARGET = "wasm32-unknown-unknown"
RUSTUP = f"rustup target add {TARGET}"
PACKAGES = "rustc-web cargo-web rust-web-src lld-22 librust-rmp-serde-dev librust-serde-derive-dev"
INSTALL = (
    f"install Rust with rustup, then `{RUSTUP}`; or on Debian 12: apt-get install --no-install-recommends {PACKAGES}"
)

SYSTEM = Path("/usr")  # where Debian's packages put everything
LINKER = "bin/wasm-ld-22"
CRATES = "share/cargo/registry"
CRATE = "rmp-serde-1.1.1"  # what the kit stands on
LEFT_BEHIND = ("target", "build", "cases", ".git", ".cargo")

# The stack lies at the bottom, so that running over it traps; 32 KiB are enough for everything that a request may hold,
# and leave half of the first page to the heap: a page more costs every event some microseconds.
FLAGS = ("-Clink-arg=-zstack-size=32768", "-Clink-arg=--stack-first", "-Ctarget-feature=+simd128")


@dataclass(frozen=True, kw_only=True)
class _Toolchain:
    """One cargo with its compiler."""

    cargo: str
    options: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[Path, str] = field(default_factory=dict)  # that are in what it compiles, and what to call them


def compile(project: Path, work: Path) -> Path:
    """The module of *project*, built within *work*.

    Raises:
        BuildError: if there is no compiler for wasm, or it refuses the source.
    """
    source, target = work / "policy", work / "target"
    shutil.copytree(project, source, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    chain = _debian(project, work) or _installed(project)
    folders = {source: "/policy", **chain.folders}
    flags = [*FLAGS, *(f"--remap-path-prefix={folder}={name}" for folder, name in folders.items())]
    environ = {
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        "CARGO_TARGET_DIR": str(target),
        "RUSTC_WRAPPER": "",
        **chain.environ,
    }
    run([chain.cargo, "build", "--quiet", "--release", "--lib", "--target", TARGET, *chain.options], source, environ)
    made = sorted((target / TARGET / "release").glob("*.wasm"))
    if len(made) != 1:
        raise BuildError('`cargo` made no module: `Cargo.toml` needs `crate-type = ["cdylib"]` in `[lib]`')
    return made[0]


def _debian(project: Path, work: Path) -> _Toolchain | None:
    """Debian's compiler, if all of its packages are there and have every crate that the project names."""
    cargo, rustc, linker, crates = (SYSTEM / path for path in ("bin/cargo", "bin/rustc", LINKER, CRATES))
    if not (cargo.is_file() and rustc.is_file() and linker.exists() and (crates / CRATE).is_dir()):
        return None
    rust = SYSTEM / f"src/rustc-{run([rustc, '--version'], work).split()[1]}/library"
    if not (rust / "vendor").is_dir() or not all(any(crates.glob(f"{name}-[0-9]*")) for name in _crates(project)):
        return None
    vendor = work / "vendor"
    vendor.mkdir()
    for crate in crates.iterdir():
        (vendor / crate.name).symlink_to(crate)
    for crate in (rust / "vendor").iterdir():
        (vendor / f"lib-{crate.name}").symlink_to(crate)
    (work / "policy" / "Cargo.lock").unlink(missing_ok=True)  # it may name crates by the sums of a registry
    options = [
        *("--offline", "-Zbuild-std=std,panic_abort", "-Zbuild-std-features="),
        *("--config", 'source.crates-io.replace-with="debian"'),
        *("--config", f'source.debian.directory="{vendor}"'),
    ]
    environ = {
        "RUSTC": str(rustc),
        "RUSTC_BOOTSTRAP": "1",
        "CARGO_HOME": str(work / "home"),
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": str(linker),
    }
    return _Toolchain(
        cargo=str(cargo),
        options=options,
        environ=environ,
        folders={vendor: "/crates", crates: "/crates", rust: "/rust"},
    )


def _installed(project: Path) -> _Toolchain:
    """The compiler on `PATH`, if it has a std for wasm."""
    cargo, rustc = tool("cargo", INSTALL), tool("rustc", INSTALL)
    libraries = Path(run([rustc, "--print", "target-libdir", "--target", TARGET], project).strip())
    if not any(libraries.glob("libstd-*.rlib")):
        how = RUSTUP if shutil.which("rustup") else INSTALL
        raise ToolMissing(f"`{rustc}` has no standard library for `{TARGET}`: {how}")
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    return _Toolchain(cargo=cargo, folders={home / "registry/src": "/crates"})


def _crates(project: Path) -> list[str]:
    """The crates that the project names, except those that are folders of its own."""
    try:
        named = tomllib.loads((project / "Cargo.toml").read_text(encoding="utf-8")).get("dependencies", {})
    except (OSError, ValueError):
        return []  # cargo says what is wrong
    entries = {name: wanted if isinstance(wanted, dict) else {} for name, wanted in named.items()}
    return [entry.get("package", name) for name, entry in entries.items() if "path" not in entry]


LANGUAGE = Language(name="rust", title="Rust", mark="src/policy.rs", compile=compile, kit="rust")
