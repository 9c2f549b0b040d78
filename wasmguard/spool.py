"""The spool: where records wait for the database, whatever becomes of the process that wrote them.

1. A record is one frame, appended with one `write`: from then on no death of a process takes it away. Nobody waits for
   anybody, and nothing but this file is touched while an event waits for its answer.
2. A frame carries a MAC under this user's key. One that was changed, or torn by a full disk, is no record, but it is
   counted: the next one is found behind it.
3. Whoever moves frames on takes the whole file by renaming it, reads it, and unlinks it when everything is kept. A
   writer that still had it open sees that it has another name now, and writes once more: nobody may have read what it
   wrote there. So a frame may come twice, and never not at all: every record has an id, by which the database knows it
   again.
4. A spool that nobody empties does not grow for ever: at `most` bytes it is full, which is an error like a full disk.
"""

from __future__ import annotations

import os
import stat
from _operator import _compare_digest

from wasmguard import places
from wasmguard.errors import HostError, why_of
from wasmguard.sandbox.cache import Vault, foreign, private_folder
from wasmguard.value import Value

try:  # as in `wasmguard.sandbox.cache`
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME, TAKEN = "spool", ".taken"
MAGIC = b"\xc1wg1"  # 0xc1 is the one byte that msgpack never uses
MAC = 16  # bytes
HEAD = len(MAGIC) + 4 + MAC
LARGEST = 2**27  # bytes of a body: the hard maximum of an event, twice
MOST = 2**30  # bytes of the file (rule 4)
PIECE = 2**20  # bytes for one read
FUTILE = 2**32  # bytes of frames with a wrong MAC, seconds of work, after which a file holds none for us
AGAIN = 3  # times that a writer looks for another file

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FLAGS |= getattr(os, "O_NONBLOCK", 0)  # nobody's pipe may hold us up
_READING = _FLAGS & ~(os.O_WRONLY | os.O_APPEND | os.O_CREAT) | os.O_RDONLY


class Damaged(Value):
    """What was no record."""

    bytes: int


def folder() -> str:
    """Where records are."""
    return os.path.join(places.state_dir(), "records")


def key() -> bytes:
    """The key of this user's records, made if there is none yet.

    Raises:
        CacheError: if it cannot be read or made.
    """
    return Vault(folder(), places.state_dir()).key()


def append(body: bytes) -> int:
    """Append one record to this user's spool, see `Spool.append`."""
    with Spool() as spool:
        return spool.append(body)


class Spool:
    """The spool of one folder, for writing. Threads and forked processes may share it."""

    def __init__(self, where: str | None = None, key_folder: str | None = None, *, most: int = MOST) -> None:
        self._file, self._inode = -1, 0
        self.folder, self.most = where or folder(), most
        self.path = os.path.join(self.folder, NAME)
        self._key_folder = key_folder or places.state_dir()
        self._key = b""

    def append(self, body: bytes) -> int:
        """Append one record; returns how many bytes the file has then.

        Raises:
            HostError: if it is not there whole afterwards.
        """
        if not self._key:
            self._key = Vault(self.folder, self._key_folder).key()
        size = len(body)
        mac = blake2b(body, key=self._key, digest_size=MAC).digest()
        frame = b"".join((MAGIC, size.to_bytes(4, "big"), mac, body))
        for _ in range(AGAIN):
            file = self._file if self._file >= 0 else self._opened()
            try:
                written = os.write(file, frame)
                seen = os.lstat(self.path)
            except FileNotFoundError:  # taken, and there is no other one yet
                self.close()
                continue
            except OSError as error:
                self.close()
                why = why_of(error)
                raise HostError(f"`{self.path}` cannot be written: {why}: make room there, or repair it") from None
            if seen.st_ino != self._inode:  # taken, and there is another one
                self.close()
                continue
            if written != len(frame):
                raise HostError(f"`{self.path}` took {written} of {len(frame)} bytes: make room there")
            if seen.st_size > self.most:
                self._full(seen.st_size)
            return seen.st_size
        raise HostError(f"`{self.path}` is gone each time that it is written: see who deletes it")

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.close()  # of a guard that nobody closed

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> int:
        private_folder(self.folder)
        try:
            file = os.open(self.path, _FLAGS, 0o600)
        except OSError as error:
            why = why_of(error)
            raise HostError(f"`{self.path}` cannot be written: {why}: make room there, or repair the file") from None
        seen = os.fstat(file)
        if why := shared(seen):
            os.close(file)
            raise HostError(f"`{self.path}` {why}: remove it, or make it yours alone (`chmod 600`)")
        if self._file >= 0:  # another thread was quicker
            os.close(file)
        else:
            self._file, self._inode = file, seen.st_ino
        return self._file

    def _full(self, size: int) -> None:
        self.close()
        raise HostError(
            f"`{self.path}` has {size:_} bytes, more than {self.most:_}: nobody empties it: run `wasmguard log`"
        )


class Taken:
    """A file of records that nobody but its reader moves on."""

    def __init__(self, path: str, secret: bytes) -> None:
        self.path, self._key, self._file = path, secret, -1
        self._rest = bytearray()
        """What was read, and is not known to be a frame yet."""
        self._lost, self._futile = 0, 0

    def bodies(self) -> Iterator[bytes | Damaged]:
        """The records in it, in the order in which they came. Half a frame at the end is left for `finish`.

        Raises:
            HostError: if it cannot be read, or is no file of ours.
        """
        try:
            self._file = os.open(self.path, _READING)
            seen = os.fstat(self._file)
        except OSError as error:
            raise HostError(f"`{self.path}` cannot be read: {why_of(error)}: remove it, or make it yours") from None
        if not stat.S_ISREG(seen.st_mode):
            raise HostError(f"`{self.path}` is no regular file: remove it")
        yield from self._read()

    def finish(self) -> Iterator[bytes | Damaged]:
        """Unlink it, once its records are kept, and yield what came meanwhile; some of that may come again elsewhere.

        Raises:
            HostError: if it cannot be unlinked.
        """
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise HostError(f"`{self.path}` cannot be removed: {why_of(error)}: make its folder yours") from None
        yield from self._read(last=True)
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _read(self, *, last: bool = False) -> Iterator[bytes | Damaged]:
        while piece := os.read(self._file, PIECE):
            self._rest += piece
            yield from self._frames(last=False)
        if last:
            yield from self._frames(last=True)

    def _frames(self, *, last: bool) -> Iterator[bytes | Damaged]:
        """The frames in what was read, up to the first one that needs more, which does not come after the *last*. Each
        byte that is none of a frame is looked at once, and then only counted."""
        rest, key, at = self._rest, self._key, 0
        while (left := len(rest) - at) >= HEAD or (last and left):
            if rest.startswith(MAGIC, at) and self._futile < FUTILE:
                if self._lost:
                    yield self._damaged()
                size = int.from_bytes(rest[at + 4 : at + 8], "big")
                end = at + HEAD + size
                if end <= len(rest):
                    body = bytes(rest[at + HEAD : end])
                    if _compare_digest(rest[at + 8 : at + HEAD], blake2b(body, key=key, digest_size=MAC).digest()):
                        yield body
                        at = end
                        continue
                    self._futile += size
                elif size <= LARGEST and not last:
                    break
            after = rest.find(MAGIC, at + 1)
            if after < 0:
                after = len(rest) if last else len(rest) - len(MAGIC) + 1
            self._lost, at = self._lost + after - at, after
        del rest[:at]
        if last and self._lost:
            yield self._damaged()

    def _damaged(self) -> Damaged:
        lost, self._lost = self._lost, 0
        return Damaged(bytes=lost)


def taken(where: str | None = None, key_folder: str | None = None) -> Iterator[Taken]:
    """The files of records that wait, oldest first, for the one process that moves them on.

    Raises:
        HostError: if the folder cannot be read.
    """
    where = where or folder()
    secret = Vault(where, key_folder or places.state_dir()).key()
    try:
        path = os.path.join(where, NAME)
        if os.path.lexists(path) and os.lstat(path).st_size:
            os.rename(path, f"{path}.{os.urandom(8).hex()}{TAKEN}")
        names = [name for name in os.listdir(where) if name.startswith(NAME + ".") and name.endswith(TAKEN)]
        paths = sorted((os.path.join(where, name) for name in names), key=lambda found: os.lstat(found).st_mtime_ns)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(f"`{where}` cannot be read: {why_of(error)}: make it yours") from None
    for found in paths:
        file = Taken(found, secret)
        try:
            yield file
        finally:
            file.close()


def waiting(where: str | None = None) -> int:
    """How many bytes of records wait."""
    total = 0
    try:
        with os.scandir(where or folder()) as entries:
            for entry in entries:
                if entry.name == NAME or (entry.name.startswith(NAME + ".") and entry.name.endswith(TAKEN)):
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        pass
    return total


def shared(seen: os.stat_result) -> str:
    """Why nothing may be written into this file: somebody else may be at it, too; empty if nobody is."""
    if not stat.S_ISREG(seen.st_mode):
        return "is no regular file"
    return "has another name" if seen.st_nlink > 1 else foreign(seen)
