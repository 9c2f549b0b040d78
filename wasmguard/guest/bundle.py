"""A policy as files: finding them, and reading them once.

A reference is `builtin:<name>`, a folder with `policy.wasm` and `manifest.toml`, or a `.wasm` file. One that is called
`policy.wasm` brings the manifest beside it, if there is one; any file may carry its manifest inside (`guest.sections`).

1. The bytes that are read are the bytes that are hashed and used: a file is opened once, checked on its descriptor and
   read up to its cap. Nobody can swap it in between.
2. A module and its manifest are regular files that belong to us or to root, and that nobody else may write. The file
   itself is no symlink; the folders on the way may be.
3. A builtin policy lies inside wasmguard's own installation, and whoever can write there can write this check too: so
   rule 2 asks only for regular files there, whatever owner and mode the installer chose. But its bytes must be the ones
   that the file `sha256` beside them names, if there is one.
4. A manifest beside a module and one inside it are the same bytes: else nobody could say which of them was checked.
"""

from __future__ import annotations

import hashlib
import os
import stat

from wasmguard.errors import BundleError, ModuleRefused
from wasmguard.guest import manifest
from wasmguard.guest.manifest import Manifest
from wasmguard.guest.sections import MANIFEST_SECTION, custom
from wasmguard.places import expanded, stamp
from wasmguard.toml_errors import closest
from wasmguard.value import Value

BUILTIN = "builtin:"
MODULE = "policy.wasm"
MANIFEST = "manifest.toml"
DIGEST = "sha256"

GROUP_OR_OTHERS = stat.S_IWGRP | stat.S_IWOTH
OTHERS = stat.S_IWOTH


class Bundle(Value):
    """A policy's files, as they were read."""

    reference: str
    """What the owner wrote as `module`."""
    path: str
    """The module file, absolute."""
    module: bytes
    sha256: str
    """Of `module`, in hexadecimal."""
    stat: tuple[int, int, int]
    """Size, modification time in nanoseconds and inode of the module file: they change when it is written."""
    manifest: Manifest | None


def open_bundle(reference: str, base: str, cap: int) -> Bundle:
    """The policy that *reference* names; a relative path is relative to *base*. Its module has at most *cap* bytes.

    Raises:
        BundleError: if there is none, or its files cannot be trusted or used.
    """
    path, declared, builtin = _found(reference, base)
    trusted = None if builtin else GROUP_OR_OTHERS
    module, seen = _read(path, cap, trusted)
    sha256 = hashlib.sha256(module).hexdigest()
    if builtin:
        _check_digest(path, sha256)
    return Bundle(
        reference=reference,
        path=path,
        module=module,
        sha256=sha256,
        stat=stamp(seen),
        manifest=_manifest(declared, trusted, path, _inside(module, path)),
    )


def builtin_dir() -> str:
    """Where the policies are that come with wasmguard: in the package, or beside it in a checkout of the source."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    installed = os.path.join(package, "builtin")
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(package), "build")


def builtins() -> list[str]:
    """The names of the policies that come with wasmguard."""
    folder = builtin_dir()
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in names if os.path.isfile(os.path.join(folder, name, MODULE)))


def read_once(path: str, cap: int, *, follow: bool, refused_mode: int | None) -> tuple[bytes, os.stat_result]:
    """The bytes of the regular file *path*, at most *cap*, and what its descriptor says about it.

    With *follow* it may be a symlink. It belongs to us or to root and has none of the bits of *refused_mode*; None lets
    both be anything.

    Raises:
        ValueError: with the cause, and what to do.
    """
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not hold us up
    flags |= getattr(os, "O_BINARY", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    try:
        file = os.open(path, flags)
        try:
            seen = os.fstat(file)
            if why := _untrusted(seen, refused_mode):
                raise ValueError(why)
            with open(file, "rb", closefd=False) as stream:
                data = stream.read(cap + 1)
        finally:
            os.close(file)
    except OSError as error:
        if not follow and os.path.islink(path):
            raise ValueError("a symlink: name the file that it points to") from None
        advice = "write it" if isinstance(error, FileNotFoundError) else "make it readable"
        raise ValueError(f"cannot be read: {(error.strerror or 'unknown').lower()}: {advice}") from None
    if len(data) > cap:
        raise ValueError(f"more than {cap:_} bytes: make it smaller")
    return data, seen


def _untrusted(seen: os.stat_result, refused_mode: int | None) -> str:
    """Why a file with this status is not to be used; empty if it is."""
    if not stat.S_ISREG(seen.st_mode):
        return "not a regular file: name one"
    if refused_mode is None or not hasattr(os, "geteuid"):
        return ""
    if seen.st_uid not in (os.geteuid(), 0):
        return f"belongs to user {seen.st_uid}: only your own files and root's count: copy it"
    if seen.st_mode & refused_mode:
        return f"open for writing to others (mode {stat.S_IMODE(seen.st_mode):o}): `chmod go-w` it"
    return ""


def _found(reference: str, base: str) -> tuple[str, str, bool]:
    """The module file of *reference*, its manifest file or nothing, and whether it is a builtin policy."""
    if reference.startswith(BUILTIN):
        folder = _builtin(reference.removeprefix(BUILTIN))
        return os.path.join(folder, MODULE), os.path.join(folder, MANIFEST), True
    path = os.path.abspath(os.path.join(base, expanded(reference)))
    if os.path.isdir(path):
        return _in_folder(path), os.path.join(path, MANIFEST), False
    if not os.path.lexists(path):
        raise BundleError(f"`{path}`: no such file or folder: write a path, or `{BUILTIN}` and a name")
    beside = os.path.join(os.path.dirname(path), MANIFEST)
    declared = os.path.basename(path) == MODULE and os.path.lexists(beside)
    return path, beside if declared else "", False


def _builtin(name: str) -> str:
    known = builtins()
    if name not in known:
        advice = closest(name, known) if known else "this copy has none at all: install it anew"
        raise BundleError(f"`{BUILTIN}{name}`: no such policy comes with wasmguard: {advice}")
    return os.path.join(builtin_dir(), name)


def _in_folder(folder: str) -> str:
    for name in (MODULE, MANIFEST):
        if not os.path.lexists(os.path.join(folder, name)):
            raise BundleError(f"`{folder}`: no `{name}` in it: a policy's folder holds `{MODULE}` and `{MANIFEST}`")
    return os.path.join(folder, MODULE)


def _inside(module: bytes, path: str) -> bytes | None:
    """The manifest that the module carries."""
    try:
        return custom(module, MANIFEST_SECTION)
    except ModuleRefused as refusal:
        raise ModuleRefused(f"`{path}`: {refusal}") from None


def _manifest(beside: str, refused_mode: int | None, path: str, inside: bytes | None) -> Manifest | None:
    """The manifest in the file *beside* the module *path*, or in the module; None if there is neither."""
    if not beside:
        return None if inside is None else _parsed(inside, f"{path} (manifest)")
    data, _ = _read(beside, manifest.LARGEST, refused_mode)
    if inside is not None and inside != data:
        raise BundleError(f"`{beside}`: not the manifest that is inside `{MODULE}`: build it again")
    return _parsed(data, beside)


def _parsed(data: bytes, source: str) -> Manifest:
    try:
        return Manifest.parse(data.decode(), source)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BundleError(f"{source}:{line}: not UTF-8: save the file as UTF-8") from None


def _check_digest(path: str, sha256: str) -> None:
    beside = os.path.join(os.path.dirname(path), DIGEST)
    if os.path.lexists(beside):
        named, _ = _read(beside, 1024, None)
        if named.split()[:1] != [sha256.encode()]:
            raise BundleError(f"`{path}`: not the bytes that `{DIGEST}` beside it names: install wasmguard anew")


def _read(path: str, cap: int, refused_mode: int | None) -> tuple[bytes, os.stat_result]:
    try:
        return read_once(path, cap, follow=False, refused_mode=refused_mode)
    except ValueError as error:
        raise BundleError(f"`{path}`: {error}") from None
