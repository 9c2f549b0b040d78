"""Known advisories of the engine, and what shields from them here.

`TABLE` is as old as `AS_OF` says. It lists what concerns versions that wasmguard can be installed with; older ones have
known escapes and are refused as a whole (`OLDEST`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmguard.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_OF = "2026-11-20"

OLDEST = (50, 0, 1)
"""The oldest version that is looked up one by one. It has the fixes of CVE-2026-34971 and CVE-2026-34987 (escapes),
CVE-2026-34988 (memory of the last instance), RUSTSEC-2026-0222 and RUSTSEC-2026-0223."""


class Advisory(Value):
    """One bug of the engine that its authors announced."""

    name: str
    published: str
    """Year, month, day."""
    fixed: tuple[int, ...]
    """The first version without it."""
    what: str
    shield: str = ""
    """Why it does not reach wasmguard; empty if it does."""


TABLE = (
    Advisory(
        name="GHSA-43j2-gcp4-m22g",
        published="2026-11-16",
        fixed=(50, 0, 2),
        what="a guest aborts its process through the heap of garbage-collected objects",
        shield="modules that need them are refused, and they are switched off",
    ),
)


def numbers(version: str) -> tuple[int, ...]:
    """`50.0.1` as numbers that compare; what is no number ends them."""
    found: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)


def concerning(version: str) -> Iterator[Advisory]:
    """Those of `TABLE` that wasmtime *version* has not fixed."""
    return (advisory for advisory in TABLE if numbers(version) < advisory.fixed)
