"""The private cache: files that only we wrote, and know again.

Compiled modules are native code, and a plan says what a policy may do, so neither is believed because it lies in the
right place:

1. The folder is ours and closed to everybody else; so is every file. Both are checked on open descriptors, and neither
   is a symbolic link. A pipe or a device in a file's place is refused, and nobody waits for it.
2. Whoever may rename a folder above decides what lies in ours. So every folder on the way, and every link that leads
   there, belongs to us or to root and is not for everybody to write, or is sticky like `/tmp`.
3. A file begins with a MAC (keyed BLAKE2b, RFC 7693) over its name and its bytes, under a key of this user's that lives
   elsewhere. A file that was changed, renamed or made by somebody else is not read.
4. The bytes that were verified are the bytes that are used: a file is read once, and never more of it than it may have.
5. Writing goes to a new file that takes the old one's place at the end, when its bytes are on the disk, so that nobody
   ever sees half a file, not even after a power cut.

A hard link to a file of ours changes nothing: it has our owner, our mode and our bytes.
"""

from __future__ import annotations

import os
import stat
from _operator import _compare_digest  # what `hmac.compare_digest` is, without `hashlib`

from wasmguard.errors import CacheError, why_of

try:  # what `hashlib.blake2b` is; but `hashlib` loads OpenSSL first, 2 ms of a hook process
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

MAGIC = b"wasmguard sealed 1\n"
MAC = 32  # bytes of a MAC
KEY = 32  # bytes of the key
LARGEST = 512 * 2**20  # bytes; a component of 18 MB compiles to 38

LINKS = 40  # on the way to a folder: more make a circle, as for Linux

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_NOBODY = 65_534  # how a user namespace shows owners that it has no number for


def digest(data: bytes) -> str:
    """A digest of *data* for what only this cache compares. (Modules are pinned by SHA-256, which others can check.)"""
    return blake2b(data, digest_size=32).hexdigest()


class Vault:
    """A private folder of sealed files."""

    def __init__(self, folder: str, key_folder: str) -> None:
        """Files live in *folder*, the key in *key_folder*; both are made when the first file is written."""
        self.folder, self.key_folder = folder, key_folder
        self._key: bytes | None = None

    def read(self, name: str) -> bytes:
        """The bytes that were written as *name*.

        Raises:
            CacheError: if the file is missing, is not ours, or is not what was written.
        """
        sealed = _read(self.folder, name, LARGEST)
        mac, data = sealed[len(MAGIC) : len(MAGIC) + MAC], sealed[len(MAGIC) + MAC :]
        if not sealed.startswith(MAGIC) or not _compare_digest(mac, self._mac(name, data)):
            raise CacheError(f"`{os.path.join(self.folder, name)}` is not what was written there: run `wasmguard lock`")
        return data

    def has(self, name: str) -> bool:
        """Whether *name* can be read."""
        try:
            self.read(name)
        except CacheError:
            return False
        return True

    def write(self, name: str, data: bytes) -> None:
        """Keep *data* as *name*, whole or not at all.

        Raises:
            CacheError: if it cannot be written; the old file is then still there.
        """
        self._ensure_key()
        for folder in (self.folder, self.key_folder):
            _clear(folder)
        _write(self.folder, name, MAGIC + self._mac(name, data) + data)

    def key(self) -> bytes:
        """This user's key, made if there is none yet.

        Raises:
            CacheError: if it cannot be read or made.
        """
        if self._key is None:
            self._ensure_key()
        return self._known_key()

    def _mac(self, name: str, data: bytes) -> bytes:
        state = blake2b(name.encode() + b"\0", key=self._known_key(), digest_size=MAC)
        state.update(data)
        return state.digest()

    def _known_key(self) -> bytes:
        if self._key is None:
            self._key = _read(self.key_folder, "key", KEY)
        if len(self._key) != KEY:
            raise CacheError(f"`{self.key_folder}/key` is damaged: delete it and run `wasmguard lock`")
        return self._key

    def _ensure_key(self) -> None:
        try:
            _read(self.key_folder, "key", KEY)
        except CacheError:
            if os.path.lexists(os.path.join(self.key_folder, "key")):
                raise
            self._key = None
            _write(self.key_folder, "key", os.urandom(KEY), first=True)


def private_folder(path: str) -> None:
    """Make the absolute *path*, open to its owner only, or check that it is ours.

    Raises:
        CacheError: if it cannot be made, or belongs to somebody else, or is open to others, or lies where others may
            replace it.
    """
    try:
        _make(path)
    except OSError as error:
        raise CacheError(
            f"cannot make `{path}`: {why_of(error)}: make its parent writable, or set $XDG_CACHE_HOME and"
            " $XDG_STATE_HOME"
        ) from None
    os.close(_opened_folder(path))


def _make(path: str) -> None:
    """`os.makedirs`, but whatever the umask is, only we may write to what it makes (XDG base directories, 0.8)."""
    if not os.path.lexists(path):
        _make(os.path.dirname(path))
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return  # somebody else was first: it is looked at like any other


def _opened_folder(path: str) -> int:
    """A descriptor of the folder, which is ours and closed to others."""
    try:
        if why := _foreign_above(path):
            raise CacheError(f"`{path}` is not safe: {why}: close it, or set $XDG_CACHE_HOME and $XDG_STATE_HOME")
        folder = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NOFOLLOW | _CLOEXEC)
    except OSError as error:
        raise CacheError(f"cannot open `{path}`: {why_of(error)}: run `wasmguard lock`") from None
    if why := foreign(os.fstat(folder)):
        os.close(folder)
        raise CacheError(f"`{path}` {why}: it must belong to you alone: `chmod 700` it, or delete it and lock again")
    return folder


def _foreign_above(path: str) -> str:
    """Which folder or link on the way to *path* somebody else may replace, and why; empty if there is none."""
    here, names, links = "/", path.split("/")[-2::-1], 0
    while True:
        seen = os.lstat(here)
        if why := _replaceable(seen):
            return f"`{here}` {why}"
        if stat.S_ISLNK(seen.st_mode):
            links += 1
            target = os.readlink(here)
            names += target.split("/")[::-1]
            here = "/" if target.startswith("/") else os.path.dirname(here)
        while names and names[-1] in ("", "."):
            names.pop()
        if not names or links > LINKS:
            return "" if links <= LINKS else f"`{here}` is on a way of more than {LINKS} links"
        name = names.pop()
        here = os.path.dirname(here) if name == ".." else f"{here.rstrip('/')}/{name}"


def _replaceable(seen: os.stat_result) -> str:
    """Why somebody else may replace what is in this folder, or this link; empty if nobody may."""
    if not hasattr(os, "geteuid"):
        return ""
    if seen.st_uid not in (os.geteuid(), 0) and not (seen.st_uid == _NOBODY and _in_user_namespace()):
        return f"belongs to user {seen.st_uid}"
    if not stat.S_ISDIR(seen.st_mode) or seen.st_mode & stat.S_ISVTX:
        return ""
    ours = seen.st_gid in (os.getegid(), 0)  # many give each user a group, and a umask of 002
    open_to = stat.S_IWOTH if ours else stat.S_IWOTH | stat.S_IWGRP
    return f"is open to others for writing (mode {stat.S_IMODE(seen.st_mode):o})" if seen.st_mode & open_to else ""


def _in_user_namespace() -> bool:
    """Whether some owners have no number here: then root's folders look like nobody's, as inside bubblewrap."""
    try:
        with open("/proc/self/uid_map", "rb") as file:
            return file.read().split() != [b"0", b"0", b"4294967295"]
    except OSError:
        return False


def _read(folder: str, name: str, most: int) -> bytes:
    directory, most = _opened_folder(folder), most + len(MAGIC) + MAC
    try:
        file = os.open(name, os.O_RDONLY | _NOFOLLOW | _CLOEXEC | _NONBLOCK, dir_fd=directory)
    except OSError as error:
        raise CacheError(f"cannot read `{os.path.join(folder, name)}`: {why_of(error)}: run `wasmguard lock`") from None
    finally:
        os.close(directory)
    try:
        seen = os.fstat(file)
        if why := foreign(seen) or ("is no regular file" if not stat.S_ISREG(seen.st_mode) else ""):
            raise CacheError(f"`{os.path.join(folder, name)}` {why}: delete it and run `wasmguard lock`")
        if seen.st_size > most:
            raise CacheError(f"`{os.path.join(folder, name)}` is too large: delete it and run `wasmguard lock`")
        with open(file, "rb", closefd=False) as stream:
            return stream.read(seen.st_size + 1)  # it may be growing: then its seal is wrong
    finally:
        os.close(file)


def _write(folder: str, name: str, data: bytes, *, first: bool = False) -> None:
    """Put *data* in place at once; with *first*, only if there is nothing yet: of two that come together one wins."""
    private_folder(folder)
    directory, temporary = _opened_folder(folder), f".{name}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        file = _locked(temporary, directory)
        try:
            with open(file, "wb", closefd=False) as stream:
                stream.write(data)
                stream.flush()
                os.fsync(file)
            if first:
                _put_first(temporary, name, directory)
            else:
                os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(temporary, dir_fd=directory)
            raise
        finally:
            os.close(file)
        os.fsync(directory)
    except OSError as error:
        raise CacheError(f"cannot write `{os.path.join(folder, name)}`: {why_of(error)}: make room there") from None
    finally:
        os.close(directory)


def _locked(name: str, directory: int) -> int:
    """A descriptor of the new file *name*, whose lock says that somebody still writes it."""
    import fcntl

    while True:
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC, 0o600, dir_fd=directory)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:  # else somebody cleared it away before it was locked
            return file
        os.close(file)


def _clear(folder: str) -> None:
    """Take away what writers left behind that were killed."""
    import fcntl
    from contextlib import suppress

    if not os.path.lexists(folder):
        return
    directory = _opened_folder(folder)
    try:
        for name in os.listdir(directory):
            if name.startswith("."):
                with suppress(OSError):
                    file = os.open(name, os.O_RDONLY | _NOFOLLOW | _CLOEXEC | _NONBLOCK, dir_fd=directory)
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        os.unlink(name, dir_fd=directory)
                    finally:
                        os.close(file)
    finally:
        os.close(directory)


def _put_first(temporary: str, name: str, directory: int) -> None:
    from contextlib import suppress

    with suppress(FileExistsError):  # somebody else was first, and theirs counts
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    os.unlink(temporary, dir_fd=directory)


def foreign(seen: os.stat_result) -> str:
    """Why a file or folder is not this user's alone; empty if it is."""
    if hasattr(os, "geteuid") and seen.st_uid != os.geteuid():
        return f"belongs to user {seen.st_uid}"
    return f"is open to others (mode {stat.S_IMODE(seen.st_mode):o})" if seen.st_mode & 0o077 else ""
