"""`wasmguard build`: a project becomes a bundle, one file that anybody can check.

1. A project is a folder with `manifest.toml` and the source file of exactly one language, its mark.
2. The manifest is checked before anything is compiled, and is built in as it was read.
3. What the compiler made loses its custom sections (names, debug information), at every depth; `producers` stay, they
   say what it was made with. It gets the manifest as the section `wasmguard.manifest`.
4. It must pass what a lock asks of it: the scan, the ABI and the compiler, under the limits that the manifest names;
   of OPA's modules, that all builtins are there. So what is built would load. Only the time to compile is not held
   against it: this machine may be busy.
5. The bundle's three files are replaced when all of that has succeeded, and not before. Nothing else changes.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from wasmguard.config_tables import known_event
from wasmguard.errors import BuildError, BundleError, HostError, ModuleRefused, UsageError
from wasmguard.guest.abi import OPA
from wasmguard.guest.bundle import DIGEST, MANIFEST, MODULE, read_once
from wasmguard.guest.manifest import LARGEST, Manifest
from wasmguard.guest.sections import MANIFEST_SECTION, with_custom
from wasmguard.limits import AUTHOR, KIB, PROFILES, Limits
from wasmguard.text import lines as cleaned
from wasmguard.text import one_line
from wasmguard.value import Value
from wasmguard.workshop.columns import beside
from wasmguard.workshop.files import replace_files
from wasmguard.workshop.languages import LANGUAGES
from wasmguard.workshop.languages.language import Language

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmguard.sandbox.scan import Shape

BUILD = "build"
KEPT = frozenset({"producers"})
PATH = 4_096  # characters of a path that is shown
SAID = 40_000  # characters of a compiler's words; C++ can say more about one mistake


class Project(Value):
    """A policy's source, before anything was made of it."""

    folder: Path
    language: Language
    manifest: Manifest
    written: bytes
    """The manifest's file, as it was read."""


class Built(Value):
    """What a build made, and nobody has written yet."""

    project: Project
    module: bytes
    sha256: str
    shape: Shape
    seconds: float


def project_at(path: Path) -> Project:
    """The project in the folder *path*.

    Raises:
        UsageError: if there is none.
        BundleError: if its manifest cannot be used, or its language is not clear.
    """
    if not path.is_dir():
        raise UsageError(f"`{path}` is no folder: name the one that holds the policy's `{MANIFEST}`")
    if not os.path.lexists(path / MANIFEST):
        raise UsageError(f"`{path}` holds no `{MANIFEST}`: name a policy's folder, or make one with `wasmguard new`")
    try:
        written, _ = read_once(str(path / MANIFEST), LARGEST, follow=True, refused_mode=None)
        text = written.decode()
    except UnicodeDecodeError:
        raise BundleError(f"`{path / MANIFEST}`: not UTF-8: save the file as UTF-8") from None
    except ValueError as error:
        raise BundleError(f"`{path / MANIFEST}`: {error}") from None
    manifest = Manifest.parse(text, str(path / MANIFEST))
    for event in manifest.events:
        try:
            known_event(event)
        except ValueError as error:
            raise BundleError(f"{path / MANIFEST}: `events`: {error}") from None
    return Project(folder=path.resolve(), language=_language_of(path), manifest=manifest, written=written)


def build(project: Project) -> Built:
    """The module of *project*, sealed, stripped, with its manifest, and proven to load here.

    Raises:
        BuildError: if the compiler is missing or refuses the source.
        ModuleRefused: if what it made cannot be a policy under the limits that the manifest names.
    """
    begun = perf_counter()
    module = with_custom(_stripped(project, _compiled(project)), MANIFEST_SECTION, project.written)
    shape = _loadable(project, module)
    return Built(
        project=project,
        module=module,
        sha256=hashlib.sha256(module).hexdigest(),
        shape=shape,
        seconds=perf_counter() - begun,
    )


def write(built: Built, into: Path) -> None:
    """Make *into* the bundle of *built*: its three files are replaced, others in there stay.

    Raises:
        HostError: if it cannot be written; then what was there before is still there.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
        replace_files({into / name: data for name, data in _files(built).items()})
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise HostError(f"`{into}` cannot be written: {why}: name another folder with `--into`") from None


def differs(built: Built, into: Path | None) -> str:
    """What differs between *built* and the bundle in *into*, or, where there is none, and what a second build makes.

    Empty if nothing does. Raises like `build`.
    """
    if into is None or not (into / MODULE).exists():
        again = build(built.project)
        return "" if again.module == built.module else f"two builds gave {built.sha256[:12]} and {again.sha256[:12]}"
    files = _files(built)
    other = [name for name, data in files.items() if not (into / name).is_file() or (into / name).read_bytes() != data]
    return " and ".join(f"`{into / name}`" for name in other) + " is not what the source gives" if other else ""


def told(built: Built, into: Path) -> Iterator[tuple[str, str]]:
    """The bundle in words: (style, text)."""
    title, shape = built.project.language.title, built.shape
    yield "title", f"built {built.project.manifest.name} from {title} in {built.seconds:.1f} s"
    yield "plain", ""
    yield "plain", beside("file", one_line(str(into / MODULE), PATH))
    yield "plain", beside("bytes", f"{len(built.module):,}")
    yield "plain", beside("sha256", built.sha256)
    yield "plain", beside("imports", _imports(shape))
    yield "plain", beside("reproducible", _reproducible(built.project.language))
    yield "plain", ""
    yield "plain", "Next:"
    folder = os.path.relpath(built.project.folder)
    test = "wasmguard test" if folder == "." else f"wasmguard test {shlex.quote(folder)}"
    yield "plain", f"  {test:20} asks it about its cases"
    yield "plain", f'  module = "{one_line(os.path.abspath(into), PATH)}"'
    if built.project.manifest.limits == "roomy":
        yield "plain", '  limits.profile = "roomy"'
    yield "plain", "                       in your wasmguard.toml puts it to work"


def as_data(built: Built, into: Path | None) -> dict[str, Any]:
    """The same for programs."""
    return {
        "name": built.project.manifest.name,
        "language": built.project.language.name,
        "module": None if into is None else str(into / MODULE),
        "bytes": len(built.module),
        "sha256": built.sha256,
        "kind": built.shape.kind,
        "imports": [f"{module}.{name}" if module else name for module, name, _ in built.shape.imports],
        "reproducible": built.project.language.reproducible,
        "seconds": round(built.seconds, 3),
    }


def _language_of(folder: Path) -> Language:
    found = [language for language in LANGUAGES.values() if (folder / language.mark).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        marks = " and ".join(f"`{language.mark}`" for language in found)
        raise BundleError(f"`{folder}` holds {marks}: a policy is in one language: keep one of them")
    marks = ", ".join(f"`{language.mark}`" for language in LANGUAGES.values())
    raise BundleError(f"`{folder}` holds no policy's source: write one of {marks}")


def _compiled(project: Project) -> bytes:
    with tempfile.TemporaryDirectory(prefix="wasmguard-build-") as folder:
        work = os.path.realpath(folder)
        try:
            return project.language.compile(project.folder, Path(work)).read_bytes()
        except BuildError as error:
            said = error.said.replace(f"{work}/", "").replace(work, ".")  # gone when the author reads it
            error.said = cleaned(_without_colour(said), SAID)
            raise


def _without_colour(text: str) -> str:
    """Some compilers are coloured even when no terminal listens."""
    import re

    return re.sub(r"\x1b\[[0-9;:?]*[ -/]*[@-~]", "", text)


def _stripped(project: Project, module: bytes) -> bytes:
    """*module*, which must be one, without custom sections."""
    from wasmguard.sandbox.scan import MAGIC, scan
    from wasmguard.sandbox.strip import stripped

    try:
        if not module.startswith(MAGIC):
            scan(module)  # it says what that is instead
        return stripped(module, KEPT)
    except ModuleRefused as error:
        raise _refused(project, error) from None


def _loadable(project: Project, module: bytes) -> Shape:
    """What *module* is, if a lock would take it."""
    from wasmguard.sandbox import opa_entry
    from wasmguard.sandbox.compile import compiled
    from wasmguard.sandbox.engine import Setup
    from wasmguard.sandbox.isolation import PROCESS, THREAD
    from wasmguard.sandbox.scan import check_abi, scan

    limits = _limits(project.manifest)
    try:
        shape = scan(module, limits)
        check_abi(shape, limits, project.manifest.abi)
        setup = Setup(
            kind=shape.kind,
            reservation=-(-limits.memory // (64 * KIB)) * 64 * KIB,
            stack=limits.stack,
            table_elements=limits.table_elements,
        )
        code = compiled(module, setup, limits, project.manifest.abi)
        if project.manifest.abi == OPA:
            opa_entry.found(code, shape, setup, limits, PROCESS if hasattr(os, "fork") else THREAD)
    except ModuleRefused as error:
        raise _refused(project, error) from None
    return shape


def _limits(manifest: Manifest) -> Limits:
    return PROFILES[manifest.limits].replaced(**AUTHOR)


def _refused(project: Project, error: ModuleRefused) -> ModuleRefused:
    return ModuleRefused(f"`{project.manifest.name}`: the module that {project.language.title} made {error}")


def _files(built: Built) -> dict[str, bytes]:
    """The bundle, file by file; the manifest first, so that a module never stands beside an older one."""
    return {MANIFEST: built.project.written, MODULE: built.module, DIGEST: f"{built.sha256}\n".encode()}


def _imports(shape: Shape) -> str:
    if not shape.imports:
        return "none"
    what = "WASI" if shape.wasi else "OPA"
    return f"{len(shape.imports)} of {what}, which lead nowhere: {', '.join(name for _, name, _ in shape.imports)}"


def _reproducible(language: Language) -> str:
    if language.reproducible:
        return "yes: `wasmguard build --check` compares"
    return f"no: the tools for {language.title} give other bytes each time: keep this file, its sha256 names it"
