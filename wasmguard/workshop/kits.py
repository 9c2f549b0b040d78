"""What `wasmguard new` copies: a template for each language, and the kit that its policies stand on.

They come with wasmguard: `wasmguard/kits/` in an installation, `policies-src/` in a checkout. Both hold
`templates/<language>/` and `sdk/<kit>/`. In a checkout people build there too, so what a build leaves behind is left
behind here, and so are the scripts that build the shipped policies.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from wasmguard.errors import HostError

TEMPLATES, KITS = "templates", "sdk"
LEFT_BEHIND = shutil.ignore_patterns(
    *("target", "Cargo.lock"),  # of cargo: a kit is no crate of its own
    *("node_modules", "zig-cache", ".zig-cache", "zig-out"),
    *("__pycache__", "*.pyc", "*.egg-info", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    *("*.wasm", "*.part", ".DS_Store"),
    "build.sh",
)


def kits_dir() -> Path:
    """The folder of templates and kits: in the package, or beside it in a checkout of the source."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "kits"
    return installed if installed.is_dir() else package.parent / "policies-src"


def copy_template(language: str, into: Path) -> None:
    """The project that a policy in *language* begins with, as the new folder *into*. Names are still placeholders.

    Raises:
        HostError: if there is none.
    """
    _copy(kits_dir() / TEMPLATES / language, into)


def copy_kit(kit: str, into: Path) -> None:
    """The kit *kit* as the new folder *into*.

    Raises:
        HostError: if there is none.
    """
    _copy(kits_dir() / KITS / kit, into)


def _copy(source: Path, into: Path) -> None:
    if not source.is_dir():
        raise HostError(f"its installation is broken: `{source}` is missing: reinstall it")
    shutil.copytree(source, into, ignore=LEFT_BEHIND, copy_function=shutil.copyfile)
    for folder, _, _ in os.walk(into):  # an installation may be closed to writing; a project is its author's
        os.chmod(folder, os.stat(folder).st_mode | 0o700)
