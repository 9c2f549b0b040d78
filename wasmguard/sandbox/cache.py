"""The private cache: files that only we wrote, and know again.

Compiled modules are native code, and a plan says what a policy may do, so neither is believed because it lies in the
right place:

1. The folder is ours and closed to everybody else; so is every file. Both are checked on open descriptors, and no
   symbolic link is followed.
2. A file begins with a MAC (keyed BLAKE2b, RFC 7693) over its name and its bytes, under a key of this user's that lives
   elsewhere. A file that was changed, renamed or made by somebody else is not read.
3. The bytes that were verified are the bytes that are used: a file is read once.
4. Writing goes to a new file that takes the old one's place at the end, so that nobody ever sees half a file.
"""

from __future__ import annotations

import os
import stat

from wasmguard.errors import CacheError

try:  # what `hashlib.blake2b` is; but `hashlib` loads OpenSSL first, 2 ms of a hook process
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

MAGIC = b"wasmguard sealed 1\n"
MAC = 32  # bytes of a MAC
KEY = 32  # bytes of the key
LARGEST = 512 * 2**20  # bytes; a component of 18 MB compiles to 38

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


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
        if not sealed.startswith(MAGIC) or mac != self._mac(name, data):  # a local file: no oracle to time
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
        _write(self.folder, name, MAGIC + self._mac(name, data) + data)

    def _mac(self, name: str, data: bytes) -> bytes:
        if self._key is None:
            self._key = _read(self.key_folder, "key", KEY)
        if len(self._key) != KEY:
            raise CacheError(f"`{self.key_folder}/key` is damaged: delete it and run `wasmguard lock`")
        state = blake2b(name.encode() + b"\0", key=self._key, digest_size=MAC)
        state.update(data)
        return state.digest()

    def _ensure_key(self) -> None:
        try:
            _read(self.key_folder, "key", KEY)
        except CacheError:
            if os.path.lexists(os.path.join(self.key_folder, "key")):
                raise
            self._key = None
            _write(self.key_folder, "key", os.urandom(KEY), first=True)


def private_folder(path: str) -> None:
    """Make *path*, open to its owner only, or check that it is ours.

    Raises:
        CacheError: if it cannot be made, or belongs to somebody else, or is open to others.
    """
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise CacheError(
            f"cannot make `{path}`: {_why(error)}: make its parent writable, or set $XDG_CACHE_HOME and $XDG_STATE_HOME"
        ) from None
    os.close(_opened_folder(path))


def _opened_folder(path: str) -> int:
    """A descriptor of the folder, which is ours and closed to others."""
    try:
        folder = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NOFOLLOW | _CLOEXEC)
    except OSError as error:
        raise CacheError(f"cannot open `{path}`: {_why(error)}: run `wasmguard lock`") from None
    if why := _foreign(os.fstat(folder)):
        os.close(folder)
        raise CacheError(f"`{path}` {why}: it must belong to you alone: `chmod 700` it, or delete it and lock again")
    return folder


def _read(folder: str, name: str, most: int) -> bytes:
    directory = _opened_folder(folder)
    try:
        file = os.open(name, os.O_RDONLY | _NOFOLLOW | _CLOEXEC, dir_fd=directory)
    except OSError as error:
        raise CacheError(f"cannot read `{os.path.join(folder, name)}`: {_why(error)}: run `wasmguard lock`") from None
    finally:
        os.close(directory)
    try:
        seen = os.fstat(file)
        if why := _foreign(seen) or ("is no regular file" if not stat.S_ISREG(seen.st_mode) else ""):
            raise CacheError(f"`{os.path.join(folder, name)}` {why}: delete it and run `wasmguard lock`")
        if seen.st_size > most + len(MAGIC) + MAC:
            raise CacheError(f"`{os.path.join(folder, name)}` is too large: delete it and run `wasmguard lock`")
        with open(file, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(file)


def _write(folder: str, name: str, data: bytes, *, first: bool = False) -> None:
    """Put *data* in place at once; with *first*, only if there is nothing yet: of two that come together one wins."""
    private_folder(folder)
    directory, temporary = _opened_folder(folder), f".{name}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC, 0o600, dir_fd=directory)
        try:
            with open(file, "wb") as stream:
                stream.write(data)
            if first:
                _put_first(temporary, name, directory)
            else:
                os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(temporary, dir_fd=directory)
            raise
    except OSError as error:
        raise CacheError(f"cannot write `{os.path.join(folder, name)}`: {_why(error)}: make room there") from None
    finally:
        os.close(directory)


def _put_first(temporary: str, name: str, directory: int) -> None:
    from contextlib import suppress

    with suppress(FileExistsError):  # somebody else was first, and theirs counts
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    os.unlink(temporary, dir_fd=directory)


def _foreign(seen: os.stat_result) -> str:
    """Why the file is not ours alone; empty if it is."""
    if hasattr(os, "geteuid") and seen.st_uid != os.geteuid():
        return f"belongs to user {seen.st_uid}"
    return f"is open to others (mode {stat.S_IMODE(seen.st_mode):o})" if seen.st_mode & 0o077 else ""


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
