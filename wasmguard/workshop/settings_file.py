"""A settings file on the disk: read as text, replaced as a whole, never half written.

1. A link is followed: what it leads to is replaced, and the link stays.
2. The new file is written beside the old one and takes its place at the end, when its bytes are on the disk. It has the
   old one's mode and owner, or it is not written.
3. A file that somebody else changed since it was read is not replaced.
4. What the owner closed to himself (no write permission) is not replaced either.
5. Before, a copy goes into the state folder, closed to others.

`uninstall` uses this when nothing else works, so it imports no more than it must.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import tempfile
from dataclasses import dataclass
from time import strftime

from wasmguard import places
from wasmguard.errors import HostError
from wasmguard.sandbox.cache import private_folder

LARGEST = 2**20  # bytes: real ones have some kilobytes
BACKUPS = "backups"


@dataclass(frozen=True)
class SettingsFile:
    """A settings file as it was when it was read."""

    path: str
    """As the agent names it."""
    target: str
    """As it really is (rule 1)."""
    data: bytes | None
    """None if there is none."""

    @property
    def text(self) -> str:
        """What it says; empty if there is none.

        Raises:
            HostError: if it is no text.
        """
        try:
            return (self.data or b"").decode()
        except UnicodeDecodeError as error:
            why = f"is not in UTF-8 (byte {error.start}): save it in UTF-8, then repeat"
            raise HostError(f"`{self.path}` {why}") from None


def read(path: str) -> SettingsFile:
    """The settings file *path*.

    Raises:
        HostError: if there is something that cannot be read as one.
    """
    target = os.path.realpath(path)
    try:
        file = os.open(target, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, NotADirectoryError):
        return SettingsFile(path, target, None)
    except OSError as error:
        raise HostError(f"`{path}` cannot be read: {_why(error)}: repair it, then repeat") from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise HostError(f"`{path}` is no regular file: remove it, then repeat")
        with open(file, "rb", closefd=False) as stream:
            data = stream.read(LARGEST + 1)
    finally:
        os.close(file)
    if len(data) > LARGEST:
        raise HostError(f"`{path}` is over {LARGEST} bytes: that is no settings file")
    return SettingsFile(path, target, data)


def write(file: SettingsFile, text: str, *, mode: int) -> list[str]:
    """Replace *file* by *text*; with *mode* if it is new. Returns what was made besides, see `installed.Entry.made`.

    Raises:
        HostError: if that is not possible; then nothing changed.
    """
    folder, made = os.path.dirname(file.target), [] if file.data is not None else ["file"]
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder, 0o755)  # whoever may write there could put other settings in place
            made.append("folder")
        _replace(file, folder, text.encode(), mode)
    except OSError as error:
        if "folder" in made and os.path.isdir(folder):
            os.rmdir(folder)
        raise HostError(f"`{file.path}` cannot be written: {_why(error)}: {_mend(error)}") from error
    return made


def remove(file: SettingsFile, *, folder: bool) -> None:
    """Remove *file*, and with *folder* the folder it is in if that is empty then.

    Raises:
        HostError: if that is not possible.
    """
    try:
        _check_unchanged(file)
        os.unlink(file.target)
    except OSError as error:
        raise HostError(f"`{file.path}` cannot be removed: {_why(error)}: {_mend(error)}") from error
    if folder:
        try:
            os.rmdir(os.path.dirname(file.target))
        except OSError:  # something else is in it
            return


def backup(file: SettingsFile, scope: str) -> str:
    """Keep a copy of *file*, and say where; nothing if there is no file.

    Raises:
        HostError: if it cannot be kept.
    """
    if file.data is None:
        return ""
    folder = os.path.join(places.state_dir(), BACKUPS)
    private_folder(folder)
    path = os.path.join(folder, f"{scope}-{strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}.json")
    try:
        _write_new(path, file.data, 0o600)
    except OSError as error:
        raise HostError(f"`{path}` cannot be written: {_why(error)}: make room there") from None
    return path


def by_root(file: SettingsFile, text: str | None) -> str:
    """The command by which root makes *file* say *text*, or removes it."""
    if text is None:
        return shlex.join(["sudo", "rm", file.target])
    copy = os.path.join(tempfile.mkdtemp(prefix="wasmguard-"), os.path.basename(file.target))
    _write_new(copy, text.encode(), 0o644)
    return shlex.join(["sudo", "install", "-D", "-m", "644", copy, file.target])


def _replace(file: SettingsFile, folder: str, data: bytes, mode: int) -> None:
    """Rules 2 to 4."""
    owner: tuple[int, int] | None = None
    if file.data is not None:
        seen = os.stat(file.target)
        mode, owner = stat.S_IMODE(seen.st_mode), (seen.st_uid, seen.st_gid)
        if not os.access(file.target, os.W_OK):
            raise PermissionError(13, "Permission denied")
    temporary = os.path.join(folder, f".{os.path.basename(file.target)}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _write_new(temporary, data, mode, owner)
        _check_unchanged(file)
        os.replace(temporary, file.target)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write_new(path: str, data: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with open(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        if owner is not None and owner != (os.fstat(file).st_uid, os.fstat(file).st_gid):
            os.fchown(file, *owner)
        os.fchmod(file, mode)
        os.fsync(file)


def _check_unchanged(file: SettingsFile) -> None:
    """Rule 3."""
    if read(file.path).data != file.data:
        raise HostError(f"`{file.path}` was changed by somebody else just now: repeat it")


def _mend(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "make the file and its folder writable, then repeat"
    return "make room there, then repeat" if error.errno == errno.ENOSPC else "repair that, then repeat"


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
