"""`wasmguard inspect`: what a module is, from its bytes, and whether it would load here.

1. Any bytes are looked at, and nothing of them runs but what a guard would run: cases, in a jailed process.
2. What the file says about itself (names, manifest, producers) is a stranger's text, cleaned where it enters.
3. Whether it would load is not judged here: it is locked like an owner's policy, and what that says is told.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from wasmguard.errors import BundleError, UsageError, WasmguardError
from wasmguard.guest import abi
from wasmguard.guest.bundle import BUILTIN, MANIFEST, MODULE, builtin_dir, builtins, read_once
from wasmguard.guest.manifest import LARGEST, Manifest
from wasmguard.guest.sections import MANIFEST_SECTION, custom
from wasmguard.limits import HARD_MAX
from wasmguard.sandbox.scan import PAGE, Shape, scan
from wasmguard.text import one_line
from wasmguard.toml_errors import closest
from wasmguard.value import Value
from wasmguard.workshop.cases import read_cases
from wasmguard.workshop.columns import beside
from wasmguard.workshop.exam import fuel_of
from wasmguard.workshop.judged import judged
from wasmguard.workshop.trial import NAMELESS, tried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.workshop.subject import Subject

LISTED = 12  # names of one kind that are told; the others are counted
BESIDE, BUILT_IN, BOTH = "beside it", "built in", "built in, and the same beside it"


class Inspected(Value):
    """What was found out about a file."""

    path: str
    size: int
    sha256: str
    """Empty if the file is larger than any that could be loaded."""
    shape: Shape | None
    damaged: str
    """Why it has no shape; empty if it has one. That is also why it would not load."""
    manifest: Manifest | None
    carried: str
    """Where its manifest is; or, without one, what is wrong with it."""
    refused: str
    """Why it would not load here; empty if it would."""
    seconds: float = 0.0
    """Time in the compiler; 0 if the code was in the cache."""
    limits: str = ""
    """The profile that it was tried with."""
    fuel: dict[str, int] | None = None
    """Of its cases, if it has some."""
    cases: int = 0


def inspected(subject: Subject, profile: str = "") -> Inspected:
    """What the module of *subject* is, tried with the limits that its manifest names, or those of *profile*.

    Raises:
        UsageError: if there is no such file.
        BundleError: if it cannot even be read.
    """
    path = _module_of(subject)
    data, size = _bytes(path)
    shape, damaged = _shape(data) if data is not None else (None, f"has more than {HARD_MAX.module:_} bytes")
    manifest, carried = _manifest(path, data or b"")
    found = Inspected(
        path=path,
        size=size,
        sha256=hashlib.sha256(data).hexdigest() if data is not None else "",
        shape=shape,
        damaged=damaged,
        manifest=manifest,
        carried=carried,
        refused="",
        limits=profile or (manifest.limits if manifest else "default"),
    )
    try:
        return _tried(found, subject, profile)
    except WasmguardError as error:
        name = manifest.name if manifest else NAMELESS
        why = str(error).removeprefix(f"policy `{name}`: ").removeprefix(f"module `{path}`: ")
        return found.replaced(refused=one_line(why, 1_000))


def told(found: Inspected) -> Iterator[tuple[str, str]]:
    """What was found out, in words: (style, text)."""
    yield "title", one_line(found.path, 500)
    for head, text in _facts(found):
        yield "plain", beside(head, text)
    if found.refused:
        yield "deny", beside("loads here", f"no: {found.refused}")
    else:
        compiled = f", compiled in {found.seconds:.2f} s" if found.seconds else ""
        yield "pass", beside("loads here", f"yes, with the limits `{found.limits}`{compiled}")


def as_data(found: Inspected) -> dict[str, Any]:
    """The same for programs."""
    shape, manifest = found.shape, found.manifest
    return {
        "path": found.path,
        "bytes": found.size,
        "sha256": found.sha256 or None,
        "loads": not found.refused,
        "refused": found.refused or None,
        "limits": found.limits,
        "kind": shape.kind if shape else None,
        "abi": _abi(shape, manifest) if shape else None,
        "imports": [list(names) for names in shape.imports] if shape else None,
        "exports": dict(shape.exports) if shape else None,
        "memory": shape.memory.minimum * PAGE if shape and shape.memory else None,
        "table_elements": shape.table_elements_min if shape else None,
        "functions": shape.functions if shape else None,
        "custom": [list(section) for section in shape.custom] if shape else None,
        "producers": [list(names) for names in shape.producers] if shape else None,
        "manifest": manifest.model_dump(mode="json", exclude_none=True) if manifest else None,
        "manifest_is": found.carried,
        "cases": found.cases,
        "fuel": found.fuel,
    }


def _module_of(subject: Subject) -> str:
    if subject.reference.startswith(BUILTIN):
        path = os.path.join(builtin_dir(), os.path.basename(subject.reference.removeprefix(BUILTIN)), MODULE)
        if not os.path.isfile(path):
            shown = one_line(subject.reference, 100)
            advice = closest(shown, [f"{BUILTIN}{name}" for name in builtins()])
            raise UsageError(f"`{shown}`: no such policy comes with wasmguard: {advice}")
        return path
    return os.path.join(subject.reference, MODULE) if os.path.isdir(subject.reference) else subject.reference


def _bytes(path: str) -> tuple[bytes | None, int]:
    """The file's bytes, unless they are too many, and how many they are."""
    try:
        size = os.stat(path).st_size
        if size > HARD_MAX.module:
            return None, size
        return read_once(path, HARD_MAX.module, follow=True, refused_mode=None)[0], size
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise UsageError(f"`{path}`: cannot be read: {why}: build it first, or name another file") from None
    except ValueError as error:
        raise BundleError(f"`{path}`: {error}") from None


def _shape(data: bytes) -> tuple[Shape | None, str]:
    try:
        return scan(data, HARD_MAX), ""
    except BundleError as error:
        return None, str(error)


def _manifest(path: str, data: bytes) -> tuple[Manifest | None, str]:
    """The manifest of a module, and where it is or what is wrong with it."""
    try:
        within = custom(data, MANIFEST_SECTION)
        near = _near(path)
    except (BundleError, ValueError) as error:
        return None, f"cannot be used: {one_line(str(error), 300)}"
    if within is None and near is None:
        return None, "none"
    if within is not None and near is not None and within != near:
        return None, f"the one that is built in differs from the `{MANIFEST}` beside it"
    where = BESIDE if within is None else BUILT_IN if near is None else BOTH
    try:
        text = (near if within is None else within or b"").decode()  # type: ignore[union-attr]  # one of them is there
        return Manifest.parse(text, MANIFEST), where
    except UnicodeDecodeError:
        return None, f"{where}, and not UTF-8"
    except BundleError as error:
        return None, f"{where}, and cannot be used: {one_line(str(error), 500)}"


def _near(path: str) -> bytes | None:
    """The bytes of the manifest beside a bundle's module."""
    beside_it = os.path.join(os.path.dirname(path), MANIFEST)
    if os.path.basename(path) != MODULE or not os.path.lexists(beside_it):
        return None
    return read_once(beside_it, LARGEST, follow=True, refused_mode=None)[0]


def _tried(found: Inspected, subject: Subject, profile: str) -> Inspected:
    """*found*, and what comes of locking it and of asking it about its cases."""
    with tried(subject.reference, profile) as trial:
        found = found.replaced(seconds=trial.seconds)
        try:
            cases = read_cases(subject.cases) if subject.cases else []
        except BundleError:  # `wasmguard test` tells what is wrong with them
            return found
        return found.replaced(cases=len(cases), fuel=fuel_of([judged(trial, case) for case in cases]))


def _facts(found: Inspected) -> Iterator[tuple[str, str]]:
    yield "bytes", f"{found.size:,}"
    if found.sha256:
        yield "sha256", found.sha256
    if found.damaged and found.damaged != found.refused:
        yield "structure", f"none: {found.damaged}"
    if found.shape is not None:
        yield from _structure(found.shape, found.manifest, refused=bool(found.refused))
    yield "manifest", found.carried
    if found.manifest is not None:
        yield from _words(found.manifest)
    if found.fuel is not None:
        numbers = ", ".join(f"{name} {number:_}" for name, number in found.fuel.items())
        yield "fuel", f"{numbers} over {found.cases} case{'s' * (found.cases != 1)}"


def _structure(shape: Shape, manifest: Manifest | None, *, refused: bool) -> Iterator[tuple[str, str]]:
    kind = "component" if shape.kind == "component" else "core module"
    yield "kind", f"{kind}, {shape.functions:,} functions"
    yield "ABI", _abi(shape, manifest)
    yield "imports", _imports(shape, refused=refused)
    yield "exports", _listed([f"{name}: {what}" for name, what in shape.exports.items()]) or "nothing"
    if shape.memory:
        odd = ", shared" * shape.memory.shared + ", 64-bit" * shape.memory.is_64
        yield "memory", f"{shape.memory.minimum * PAGE:,} bytes at the start{odd}"
    if shape.table_elements_min:
        yield "table", f"{shape.table_elements_min:,} elements at the start"
    if shape.custom:
        yield "sections", _listed([f"{name} ({size:,} bytes)" for name, size in shape.custom])
    if shape.producers:
        yield "made with", _listed([f"{tool} {version}".strip() for _, tool, version in shape.producers])


def _abi(shape: Shape, manifest: Manifest | None) -> str:
    if manifest is not None and manifest.abi != abi.VERSION:
        return str(manifest.abi)
    if shape.kind == "component":
        return str(abi.VERSION) if abi.COMPONENT_EXPORT in shape.exports else "none"
    markers = [name for name in shape.exports if name.startswith("wasmguard_abi_")]
    return ", ".join(name.removeprefix("wasmguard_abi_") for name in markers) or "none"


def _imports(shape: Shape, *, refused: bool) -> str:
    if not shape.imports:
        return "none: nothing outside can be reached"
    names = _listed([f"{module}.{name}" if module else name for module, name, _ in shape.imports])
    return names if refused else f"{names}: met by an inert stand-in, no host function"


def _words(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What its author says about it, and what it asks for."""
    made = ", ".join(part for part in (manifest.language, manifest.license) if part)
    yield "policy", f"{manifest.name} {manifest.version}{f' ({made})' if made else ''}: {manifest.summary}"
    tools = f" of {_listed(list(manifest.tools))}" if manifest.tools else ""
    yield "judges", _listed(list(manifest.events)) + tools
    yield "sees", _listed(list(manifest.reads)) if manifest.reads is not None else "the whole event"
    yield "asks for", "; ".join(_asks(manifest)) or "no grant"
    yield "limits", manifest.limits
    if manifest.settings:
        yield "settings", _listed([f"{name} ({setting.type})" for name, setting in manifest.settings.items()])


def _asks(manifest: Manifest) -> Iterator[str]:
    asks = manifest.asks
    if asks.effects:
        yield f"to {', '.join(asks.effects)}"
    if asks.rewrite:
        yield f"to rewrite {_listed(list(asks.rewrite))}"
    if asks.rewrite_output:
        yield f"to rewrite the output of {_listed(list(asks.rewrite_output))}"
    if asks.permissions:
        yield f"to change permissions in {', '.join(asks.permissions)}"
    if asks.state:
        yield f"to remember {asks.state.max:_} bytes about each {asks.state.scope}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(one_line(name, 120) for name in names[:LISTED]) + more
